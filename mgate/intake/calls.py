"""Calls to the core system: a question by its name, with a limit, and never in the way of a message.

Only what the configuration names can be run, with the parameters that stand in it. Each call has its time limit, its
number at once, and a breaker: after five failures in a row it is refused without asking, and one try is let through
after ten seconds, then after twice as long, up to five minutes. A core system that is down is left alone to come up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mgate.model.source import Source, SourceError

FAILURES: Final = 5
SHORTEST: Final = 10.0
LONGEST: Final = 300.0


class CallRefused(Exception):
    """The call was not made.

    Attributes:
        reason: ``unknown_call``, ``unknown_parameter``, ``missing_parameter``, ``busy`` (as many run as may) or
            ``open`` (the breaker's word).
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CallRules:
    """What the configuration says of one call: the names of its parameters, seconds, and how many at once."""

    parameters: frozenset[str]
    limit: float
    at_once: int


class Breaker:
    """Lets calls through, or spares a core system that fails. Pure: moments are arguments."""

    def __init__(self) -> None:
        self._failures = 0
        self._until = 0.0
        self._wait = SHORTEST
        self._trying = False

    def wait(self, now: float) -> float:
        """Seconds until a call may be tried; 0.0 when it may be now."""
        if self._failures < FAILURES:
            return 0.0
        return max(0.0, self._until - now) if not self._trying else self._wait

    def begins(self) -> None:
        """A call that may be tried is."""
        self._trying = self._failures >= FAILURES

    def ended(self, well: bool, now: float) -> None:
        """A call ended."""
        tried, self._trying = self._trying, False
        if well:
            self._failures, self._wait = 0, SHORTEST
            return
        self._failures += 1
        if tried:
            self._wait = min(self._wait * 2.0, LONGEST)
        if self._failures >= FAILURES:
            self._until = now + self._wait


class Calls:
    """The calls of one source.

    Args:
        line: makes them, on a connection of its own.
        seconds: a monotonic clock.
    """

    def __init__(self, line: Source, rules: Mapping[str, CallRules], seconds: Callable[[], float]) -> None:
        self._line = line
        self._rules = dict(rules)
        self._seconds = seconds
        self._breakers: dict[str, Breaker] = {}
        self._running: dict[str, int] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """What can be called."""
        return tuple(self._rules)

    def apply(self, rules: Mapping[str, CallRules]) -> None:
        """Go on by these; breakers stay as they are."""
        self._rules = dict(rules)

    async def call(self, name: str, arguments: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
        """Make a call; its rows.

        Raises:
            CallRefused: it was not made.
            mgate.model.source.SourceError: it was made and failed.
        """
        rules = self._rules.get(name)
        if rules is None:
            known = ", ".join(self._rules) or "none"
            raise CallRefused("unknown_call", f"no such call is configured; known: {known}")
        _check(rules, arguments)
        breaker = self._breakers.setdefault(name, Breaker())
        wait = breaker.wait(self._seconds())
        if wait > 0.0:
            raise CallRefused("open", f"it failed {FAILURES} times in a row; the next try may be in {wait:.0f} s")
        if self._running.get(name, 0) >= rules.at_once:
            raise CallRefused("busy", f"{rules.at_once} of it run already, and no more may")
        return await self._run(name, rules, arguments, breaker)

    async def _run(
        self, name: str, rules: CallRules, arguments: Mapping[str, object], breaker: Breaker
    ) -> Sequence[Mapping[str, object]]:
        self._running[name] = self._running.get(name, 0) + 1
        breaker.begins()
        well = False
        try:
            async with asyncio.timeout(rules.limit):
                rows = await self._line.call(name, arguments, rules.limit)
            well = True
        except TimeoutError:
            raise SourceError("busy", f"no answer within {rules.limit:g} s", "see what it waits for") from None
        finally:
            self._running[name] -= 1
            breaker.ended(well, self._seconds())
        return rows


def _check(rules: CallRules, arguments: Mapping[str, object]) -> None:
    wanted = ", ".join(sorted(rules.parameters)) or "none"
    if unknown := sorted(arguments.keys() - rules.parameters):
        raise CallRefused("unknown_parameter", f"{', '.join(unknown)}: there is no such parameter; there are {wanted}")
    if missing := sorted(rules.parameters - arguments.keys()):
        raise CallRefused("missing_parameter", f"{', '.join(missing)}: is missing; all parameters are {wanted}")
