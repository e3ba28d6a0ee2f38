"""A webhook: a feed that calls the bank, batch by batch, in order, one request at a time.

A batch is acknowledged by a 2xx, and only then the cursor moves: at least once. When the other side cannot take it now
(no answer, 5xx, 408, 425, 429, and whatever else is neither yes nor no) the very same batch is tried again, after 1
second up to an hour, or after what Retry-After says. It is given up when the other side refuses it (any other 4xx), or
when it has been failing for an hour and the events are older than ``retry_for``: then its sequences go on a durable
list of the dead, loudly, and the feed goes on. Somebody may have them replayed as long as the journal keeps them.

The age that counts is that of the events, not of the tries: so a receiver that was away for longer than ``retry_for``
costs what is too old, and not ``retry_for`` for each batch, and a restart of ours changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from mgate.feeds.dead import DeadList
from mgate.feeds.lines import render
from mgate.feeds.signature import HEADER, sign
from mgate.feeds.tap import Lost, Tap
from mgate.net.calling import Answered, Unanswered
from mgate.spool.journal import FeedEvent
from mgate.spool.verbs import DeadRun

WAIT: Final = 30.0
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 3600.0
PATIENCE: Final = 3600.0
"""Seconds that the other side must have been failing before anything is given up for its age."""

TOO_OLD: Final = "too_old"
PAUSED: Final = "it was paused"
_LATER: Final = frozenset({408, 425, 429})


class Verdict(Enum):
    """What an answer means for a batch."""

    TAKEN = "taken"
    LATER = "later"
    NEVER = "never"


def verdict_of(status: int) -> Verdict:
    """What this status means. A redirect is not followed: whoever moved the service mends the configuration."""
    if 200 <= status < 300:
        return Verdict.TAKEN
    if 400 <= status < 500 and status not in _LATER:
        return Verdict.NEVER
    return Verdict.LATER


def body_of(events: Sequence[FeedEvent], prefix: str) -> bytes:
    """``{"events":[...]}``, each as in the answer of ``GET /v1/events``. ``prefix``: with which cursors begin."""
    return b'{"events":[' + render(events, prefix).rstrip(b"\n").replace(b"\n", b",") + b"]}"


@dataclass(frozen=True, slots=True)
class Manner:
    """How one webhook is served: events in a request at most, seconds that are enough, and the shared secret."""

    batch: int
    retry_for: float
    secret: bytes


Post = Callable[[Mapping[str, str], bytes], "Deferred[Answered]"]
"""Posts headers and a body to the webhook's place; fails with `Unanswered`."""


class Hearer(Protocol):
    """Who is told how it goes."""

    def took(self, events: int) -> None:
        """The other side has so many more."""

    def lags(self, seconds: float) -> None:
        """The age of the oldest event that it does not have; 0.0 when it has all."""

    def failed(self, why: str, pause: float) -> None:
        """It did not work, and is tried again after so many seconds."""

    def died(self, first: int, last: int, events: int, reason: str) -> None:
        """These were given up, and are on the list."""

    def lost(self, after: int, place: int) -> None:
        """What stood in the journal behind ``after`` and up to ``place`` can be told no more."""

    def replayed(self, runs: int, left: int, why: str) -> None:
        """A replay has ended: so many runs were taken, so many are left on the list; ``why`` it stopped, or empty."""


class Webhook:
    """One webhook.

    Args:
        prefix: with which the cursors of this journal begin.
        clock: the reactor, or a ``Clock``; ``wall``: seconds since 1970.
        spread: a factor around 1 for each pause.

    Attributes:
        paused: whether a person wants nothing called.
        why: why the last try failed; empty when it did not. ``replaying``: whether a replay runs.
    """

    def __init__(  # built once, by wiring
        self,
        name: str,
        tap: Tap,
        dead: DeadList,
        post: Post,
        manner: Manner,
        prefix: str,
        clock: IReactorTime,
        wall: Callable[[], float],
        hearer: Hearer,
        spread: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self.name = name
        self.paused = False
        self.why = ""
        self._next_try = 0.0
        self.replaying = False
        self._tap = tap
        self._dead = dead
        self._post = post
        self._manner = manner
        self._prefix = prefix
        self._clock = clock
        self._wall = wall
        self._hearer = hearer
        self._spread = spread
        self._acked = 0
        self._failing_since: float | None = None
        self._tries = 0
        self._woken: Deferred[None] | None = None
        self._lives: list[Deferred[None]] = []

    # ---- what others say -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Go on from the durable cursor, until `stop`."""
        self._begin(Deferred.fromCoroutine(self._live()))

    def stop(self) -> None:
        """Call no more. What was not acknowledged is told again after the next start."""
        for life in list(self._lives):
            life.cancel()

    def pause(self) -> None:
        """Call no more until `resume`; the request under way is waited for. A replay ends; what it did not call stays
        on the list."""
        self.paused = True

    def resume(self) -> None:
        """Call again, and at once, even if it would have waited longer after a failure."""
        self.paused = False
        self._wake()

    def apply(self, manner: Manner, post: Post) -> None:
        """Go on so, and try it at once."""
        self._manner = manner
        self._post = post
        if not self.paused:
            self._wake()

    def dead(self) -> Deferred[list[DeadRun]]:
        """What is on the list. Fails with ``tap.Unread``."""
        return self._dead.runs()

    def replay(self, runs: Sequence[DeadRun]) -> bool:
        """Begin to call again what is on the list, beside what is new; False while a replay runs, and while a person
        wants nothing called."""
        if self.replaying or self.paused:
            return False
        self.replaying = True
        self._begin(Deferred.fromCoroutine(self._replay(runs)))
        return True

    def _begin(self, life: Deferred[None]) -> None:
        self._lives.append(life)
        life.addErrback(lambda failure: failure.trap(CancelledError) and None)
        life.addBoth(lambda _: self._lives.remove(life))

    # ---- the feed --------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        at: int | None = None
        begun = False
        while True:
            try:
                if not begun:
                    at = await self._tap.cursor()
                    begun, self._acked = True, at or 0
                at = await self._turn(at)
            except CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, it is told, and tried again
                await self._back_off(f"{type(error).__name__}: {error}", 0.0)

    async def _turn(self, at: int | None) -> int:
        found = await self._tap.next(at, self._manner.batch, WAIT)
        full = not isinstance(found, Lost) and len(found.events) >= self._manner.batch
        if isinstance(found, Lost):
            self._hearer.lost(at or 0, found.place)
        elif found.events:
            reason = await self._deliver(found.events)
            if reason:
                await self._give_up(found.events, reason)
        if not full:
            self._hearer.lags(0.0)
        if found.place > self._acked and await self._tap.acknowledge(found.place):
            self._acked = found.place
        return found.place

    async def _deliver(self, events: Sequence[FeedEvent]) -> str:
        """Until they are taken, or given up; why they were."""
        body = body_of(events, self._prefix)
        while True:
            self._hearer.lags(self._wall() - events[0].at / 1000)
            if self._too_old(events):
                return TOO_OLD
            await self._while_paused()
            answer = await self._call(body)
            if isinstance(answer, str):
                await self._back_off(answer, 0.0)
                continue
            match verdict_of(answer.status):
                case Verdict.TAKEN:
                    self._well(len(events))
                    return ""
                case Verdict.NEVER:
                    return f"http_{answer.status}"
                case Verdict.LATER:
                    await self._back_off(f"HTTP status {answer.status}", answer.retry_after)

    async def _call(self, body: bytes) -> Answered | str:
        """One try: the answer, or why there is none."""
        headers = {"Content-Type": "application/json", "Mgate-Webhook": self.name}
        headers[HEADER] = sign(self._manner.secret, int(self._wall()), body)
        try:
            return await self._post(headers, body)
        except Unanswered as error:
            return str(error)

    def _well(self, events: int) -> None:
        self._failing_since, self._tries, self.why = None, 0, ""
        self._hearer.took(events)

    @property
    def next_try(self) -> float:
        """Seconds until it is called again where it fails; 0 while it is being called, -1 when it is well."""
        return max(0.0, self._next_try - self._clock.seconds()) if self.why else -1.0

    async def _back_off(self, why: str, asked: float) -> None:
        self._tries += 1
        if self._failing_since is None:
            self._failing_since = self._clock.seconds()
        pause = min(FIRST_PAUSE * 2.0 ** min(self._tries - 1, 16), LONGEST_PAUSE) * self._spread()
        pause = max(pause, asked)
        self.why, self._next_try = why, self._clock.seconds() + pause
        self._hearer.failed(why, pause)
        await self._sleep(pause)

    def _too_old(self, events: Sequence[FeedEvent]) -> bool:
        if self._failing_since is None or self._clock.seconds() - self._failing_since < PATIENCE:
            return False
        return self._wall() - events[-1].at / 1000 >= self._manner.retry_for

    async def _while_paused(self) -> None:
        while self.paused:
            await self._sleep(None)

    async def _sleep(self, seconds: float | None) -> None:
        """Until then, or until somebody has changed something that may help."""
        self._woken = woken = Deferred[None]()
        alarm = None if seconds is None else self._clock.callLater(seconds, self._wake)
        try:
            await woken
        finally:
            self._woken = None
            if alarm is not None and alarm.active():
                alarm.cancel()

    def _wake(self) -> None:
        if self._woken is not None:
            self._woken.callback(None)

    # ---- the dead --------------------------------------------------------------------------------------------------

    async def _give_up(self, events: Sequence[FeedEvent], reason: str) -> None:
        """The list must be durable before the cursor passes by."""
        first, last = events[0].sequence, events[-1].sequence
        while not await self._dead.add(first, last, len(events), reason, int(self._wall() * 1000)):
            await self._sleep(FIRST_PAUSE)
        self._hearer.died(first, last, len(events), reason)

    async def _replay(self, runs: Sequence[DeadRun]) -> None:
        done, why = 0, ""
        try:
            for run in runs:
                why = await self._replay_one(run)
                if why:
                    break
                done += 1
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # it is told, and the rest stays on the list
            why = f"{type(error).__name__}: {error}"
        finally:
            self.replaying = False
        self._hearer.replayed(done, len(runs) - done, why)

    async def _replay_one(self, run: DeadRun) -> str:
        """Call a run again, and take it off the list when all of it was taken; why not, or empty."""
        at = run.first - 1
        while at < run.last:
            found = await self._tap.next(at, self._manner.batch, 0.0)
            if isinstance(found, Lost):
                self._hearer.lost(at, min(found.place, run.last))
            else:
                if self.paused:
                    return PAUSED
                events = [event for event in found.events if event.sequence <= run.last]
                answer = await self._call(body_of(events, self._prefix)) if events else Answered(204, 0.0)
                if isinstance(answer, str):
                    return answer
                if verdict_of(answer.status) is not Verdict.TAKEN:
                    return f"HTTP status {answer.status}"
                self._hearer.took(len(events))
            at = max(found.place, at + 1)
        return "" if await self._dead.drop(run.first) else "the list could not be written to the disk"
