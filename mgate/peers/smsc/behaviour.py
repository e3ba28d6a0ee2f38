"""What the script makes the operator do with one submit: pure decisions, drawn from one seeded source.

The same script, seed and order of submits give the same behaviour; that order is the client's, so only a client that
is itself repeatable sees a run again.
"""

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from random import Random
from typing import Generic, NamedTuple, TypeVar

from mgate.channels.smpp.pdu import ESME_RMSGQFUL, ESME_ROK, ESME_RSYSERR, ESME_RTHROTTLED
from mgate.peers.smsc.script import Script, Span, State, status_number

Drawn = TypeVar("Drawn")


class Shares(Generic[Drawn]):
    """Things with their shares of 1.0; `rest` takes what they leave."""

    __slots__ = ("_bounds", "_things")

    def __init__(self, shares: dict[Drawn, float], rest: Drawn) -> None:
        kept = {thing: share for thing, share in shares.items() if share > 0.0}
        self._bounds = list(accumulate(kept.values()))
        self._things = [*kept, rest]

    def __bool__(self) -> bool:
        return bool(self._bounds)

    def draw(self, chance: float) -> Drawn:
        """The thing at `chance`, 0.0 to below 1.0."""
        return self._things[bisect_right(self._bounds, chance)]


class Promise(NamedTuple):
    """The receipts that a submit will get: each state and how long after the submit; `early`: before the response;
    `other_bind`: on another bind of the account where there is one."""

    states: tuple[tuple[State, float], ...]
    early: bool
    other_bind: bool


NOTHING = Promise((), False, False)


class Behaviour:
    """Answers, one question each, for every submit.

    Attributes:
        plain: every submit is taken, answered and named: three questions that need not be asked.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._random = Random(script.seed)  # noqa: S311  # repeatable on purpose
        self.submit_latency = span(self._random, script.latency.submit)
        self.bind_latency = span(self._random, script.latency.bind)
        self.lifetime = span(self._random, script.disconnects.every)
        self._refusals = Shares(
            {status_number(name): share for name, share in script.errors.shares.items()}
            | {ESME_RMSGQFUL: script.throttling.queue_full, ESME_RSYSERR: script.throttling.system_error},
            ESME_ROK,
        )
        prefixes = script.errors.prefixes.items()
        self._prefixes = tuple((prefix.encode(), status_number(status)) for prefix, status in prefixes)
        self._most = script.throttling.rate * (1.0 + script.throttling.tolerance)
        self._second = -1
        self._in_second = 0
        self._final: Shares[State] = Shares(dict(script.receipts.states), "DELIVRD")
        self._delay = span(self._random, script.receipts.delay)
        rules = script.receipts
        rare = rules.before_response + rules.other_bind + rules.duplicates + rules.intermediates + rules.none
        self._only = next(iter(rules.states)) if len(rules.states) == 1 and not rare else None
        fixed = self._only is not None and not isinstance(rules.delay, tuple)
        self._always = Promise(((self._only, rules.delay),), False, False) if fixed else None  # type: ignore[arg-type]  # neither
        silence = script.silence
        strict = self._most or self._prefixes or self._refusals
        self.plain = not (strict or silence.after or silence.submits or script.ids.empty)

    def status(self, digits: bytes, now: float) -> int:
        """What a submit to these digits is answered: ESME_ROK, or why not. `now` in monotonic seconds."""
        if self._most and not self._within_rate(now):
            return ESME_RTHROTTLED
        for prefix, status in self._prefixes:
            if digits.startswith(prefix):
                return status
        return self._refusals.draw(self._random.random()) if self._refusals else ESME_ROK

    def silent(self, submits: int) -> bool:
        """Whether a session's submit number `submits` stays without an answer."""
        silence = self._script.silence
        if silence.after and submits > silence.after:
            return True
        return silence.submits > 0.0 and self._random.random() < silence.submits

    def nameless(self) -> bool:
        """Whether a good response bears no id."""
        return self._script.ids.empty > 0.0 and self._random.random() < self._script.ids.empty

    def promise(self, part: int, parts: int, silent: bool) -> Promise:
        """The receipts of an accepted submit that asked for them."""
        rules = self._script.receipts
        if not rules.on or (silent and not self._script.silence.receipts):
            return NOTHING
        if parts > 1 and ((rules.parts == "first" and part != 1) or (rules.parts == "last" and part != parts)):
            return NOTHING
        if self._always is not None:
            return self._always
        delay = self._delay()
        if self._only is not None:
            return Promise(((self._only, delay),), False, False)
        chance = self._random.random
        if chance() < rules.none:
            return NOTHING
        states = [(self._final.draw(chance()), delay)]
        if chance() < rules.intermediates:
            states.insert(0, ("ACCEPTD" if chance() < 0.5 else "ENROUTE", delay / 2))
        if chance() < rules.duplicates:
            states.append((states[-1][0], delay * 1.5))
        return Promise(tuple(states), chance() < rules.before_response, chance() < rules.other_bind)

    def reorder(self, pdus: list[bytes]) -> None:
        """Put what leaves in one write into the script's order."""
        if self._script.order == "reversed":
            pdus.reverse()
        elif self._script.order == "shuffled":
            self._random.shuffle(pdus)

    def last_submit(self) -> int:
        """After how many submits a new session is ended; 0 for never."""
        after = self._script.disconnects.after
        return after if isinstance(after, int) else self._random.randint(*after)

    def _within_rate(self, now: float) -> bool:
        second = int(now)
        if second != self._second:
            self._second = second
            self._in_second = 0
        self._in_second += 1
        return self._in_second <= self._most


def span(random: Random, value: Span) -> Callable[[], float]:
    """A source of the span's values: the number itself, or an even draw from the range."""
    if isinstance(value, tuple):
        least, most = value
        return lambda: least + (most - least) * random.random()
    return lambda: value
