"""The poller of one source: claim, take, and only after the commit say so to the database.

One task has the say. In each turn it does the first of these that there is to do: mark what has been answered, wait
where it must, claim more. While one batch is in the spool's hands the next is claimed already; the source never gives
rows of a customer whose older ones are not marked, so his order stands. A batch that came full is followed by the next
at once; after one that did not, the source is asked again when it announces rows, or when the poll interval is over.

What stops the claiming: a person's pause, a spool without room (rows that are claimed go back), the source's own rate,
a database that fails (1 s to 60 s between two tries), and the end, at which what is claimed is finished or given back.
A row that was claimed and never marked comes again when its lease is over, and is recognised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from mgate.intake.client import RateBucket
from mgate.intake.rows import RowRules
from mgate.intake.taking import Outcome, Taking, returned
from mgate.model.source import Lag, Result, Row, Source, SourceError
from mgate.policy.sifting import sift
from mgate.telemetry import ROW_REFUSALS, SourceNumbers, SourceState

MOST_OUT: Final = 4
"""Batches of one source that may be in the spool's hands."""

MOST_MARKED: Final = 1000
"""Results that are marked in one transaction."""

SHORTEST, LONGEST = 1.0, 60.0
"""Seconds between two tries while a database fails or the spool has no room."""

LOOK_EVERY: Final = 30.0
"""Seconds between two looks at how far a source is behind; each stands in the place of a claim."""


class Ears(Protocol):
    """Who is told what a person may want to know. Each change is told once."""

    def failed(self, source: str, error: SourceError) -> None:
        """The database fails from now on, or for another reason than before."""

    def well(self, source: str, seconds: float) -> None:
        """It answers again, after so long."""

    def held(self, source: str, why: str) -> None:
        """The spool has no room for its rows."""

    def goes_on(self, source: str, seconds: float) -> None:
        """It has room again, after so long."""

    def stuck(self, source: str, key: str, error: SourceError) -> None:
        """What became of this row cannot be written into the database, and of others it can."""

    def bug(self, source: str, error: Exception) -> None:
        """A row could not be taken for a mistake of ours; it is left to come again."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a source is asked: rows a claim, and seconds between two claims that find little."""

    batch: int
    poll: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing is claimed, since when (the loop's time), and after how many tries."""

    why: str
    sentence: str
    todo: str
    since: float
    tries: int = 1

    def again(self, why: str, sentence: str, todo: str) -> Trouble:
        """It happened again."""
        return Trouble(why, sentence, todo, self.since, self.tries + 1)


def patience(tries: int, chance: float) -> float:
    """Seconds until the next try after so many in a row (counted from 1); ``chance`` from [0, 1) spreads them."""
    whole = min(SHORTEST * 2.0 ** min(tries - 1, 16), LONGEST)
    return max(SHORTEST, whole * (0.5 + 0.5 * chance))


class Poller:
    """Polls one source.

    Args:
        line: the source, kept to its limits (``line.Line``).
        why_not: why nothing may come in now; empty when it may.
        chance: numbers from [0, 1).

    Attributes:
        paused: whether a person wants nothing claimed.
        fault: why the database fails; None while it answers. ``full``: why the spool took nothing.
        lag: how far it was behind when that was last looked at; None before.
    """

    def __init__(
        self, name: str, line: Source, taking: Taking, pace: Pace, why_not: Callable[[], str],
        chance: Callable[[], float], numbers: SourceNumbers, ears: Ears,
    ) -> None:  # fmt: skip
        self.name = name
        self.paused = False
        self.fault: Trouble | None = None
        self.full: Trouble | None = None
        self.lag: Lag | None = None
        self._line = line
        self._taking = taking
        self._pace = pace
        self._why_not = why_not
        self._chance = chance
        self._numbers = numbers
        self._ears = ears
        self._news = asyncio.Event()
        self._out: list[asyncio.Task[None]] = []
        self._settled: list[Result] = []
        self._announced: asyncio.Task[bool] | None = None
        self._asked_at = self._not_before = self._looked_at = float("-inf")
        self._bucket: RateBucket | None = None
        self._finishing = False
        self._running = False

    # ---- what others say -------------------------------------------------------------------------------------------

    @property
    def state(self) -> SourceState:
        """Where it stands."""
        if not self._running or self._finishing:
            return "stopped"
        if self.paused:
            return "paused"
        return "failing" if self.fault else "held" if self.full else "running"

    @property
    def next_try(self) -> float:
        """Seconds until the next try, while the database fails or the spool has no room; -1.0 otherwise."""
        return max(0.0, self._not_before - _now()) if self.state in {"failing", "held"} else -1.0

    @property
    def out(self) -> int:
        """Batches whose rows are claimed and not marked."""
        return len(self._out) + bool(self._settled)

    def pause(self) -> None:
        """Claim nothing more; what is claimed is finished."""
        self.paused = True
        self._tell()

    def resume(self) -> None:
        """Claim again, at once."""
        self.paused = False
        self.wake()

    def wake(self) -> None:
        """Claim now: there are rows, or somebody mended what was wrong."""
        self._not_before = float("-inf")
        self._drop_announced()
        self._tell()

    def try_again(self) -> None:
        """Somebody may have mended the database: where it fails, its back-off is over. A rate is kept."""
        if self.fault is not None:
            self.wake()

    def finish(self) -> None:
        """Claim nothing more; `run` returns when what is claimed is marked."""
        self._finishing = True
        self._tell()

    def apply(self, rules: RowRules, pace: Pace) -> None:
        """Go on by these."""
        if rules.client.rate != self._taking.rules.client.rate:
            self._bucket = None
        self._taking.apply(rules)
        self._pace = pace
        self._tell()

    def _tell(self) -> None:
        self._numbers.enter(self.state)
        self._news.set()

    # ---- the task --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Poll until `finish`; to be run once, as a task. Cancelled, it leaves what is claimed to its lease."""
        self._running = True
        self._tell()
        try:
            while not (self._finishing and not self._out and not self._settled):
                try:
                    await self._turn()
                except SourceError as error:
                    if not await self._endure(error):
                        return
        finally:
            await self._let_go()

    async def _turn(self) -> None:
        now = _now()
        if self._settled:
            await self._mark()
        elif self._finishing or self.paused or len(self._out) >= MOST_OUT:
            await self._hear(None)
        elif self._not_before > now:
            await self._hear(self._not_before - now)
        elif why_not := self._why_not():
            self._hold(why_not)
        elif self._announced is not None and not self._announced.done():
            await self._hear(None, self._announced)
        elif not self._was_early(now):
            await self._claim(now)

    async def _hear(self, most: float | None, also: asyncio.Task[bool] | None = None) -> None:
        """Until there are news, at most so many seconds."""
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait({news, also} if also else {news}, timeout=most, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        self._news.clear()

    def _was_early(self, now: float) -> bool:
        """Whether the source came back from its wait without rows and before its time: it is not asked at once."""
        announced, self._announced = self._announced, None
        if announced is None or announced.result() or now >= self._asked_at + self._pace.poll - 0.001:
            return False
        self._not_before = self._asked_at + self._pace.poll
        return True

    async def _endure(self, error: SourceError) -> bool:
        """Wait before the next try; False at the end, when there is none."""
        self._numbers.errors[error.reason if error.reason in self._numbers.errors else "mismatch"].n += 1
        self._drop_announced()
        if self._finishing:
            return False
        before, what = self.fault, (error.reason, str(error), error.todo)
        self.fault = before.again(*what) if before else Trouble(*what, _now())
        if before is None or before.why != error.reason:
            self._ears.failed(self.name, error)
        self._tell()
        self._news.clear()
        self._not_before = _now() + patience(self.fault.tries, self._chance())
        # Marks wait as well as claims: it is the same database.
        while (left := self._not_before - _now()) > 0.0 and self.state != "stopped":
            await self._hear(left)
        return True

    def _is_well(self) -> None:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            self._ears.well(self.name, _now() - fault.since)
            self._tell()

    # ---- claiming --------------------------------------------------------------------------------------------------

    async def _claim(self, now: float) -> None:
        if now >= self._looked_at + LOOK_EVERY and not await self._is_behind(now):
            rows: Sequence[Row] = ()
        else:
            rows = await self._line.claim(self._most())
        self._asked_at = now
        self._is_well()
        self._numbers.claimed.n += len(rows)
        if len(rows) < self._most():
            self._announced = asyncio.ensure_future(self._line.wait(self._pace.poll))
        if self._bucket is not None:
            self._not_before = now + self._bucket.take(len(rows), now)
        if not rows and not self._out:
            self._has_room()
        if rows and self._finishing:
            self._settled += [returned(row, now) for row in rows]
        elif rows:
            self._out.append(asyncio.ensure_future(self._take(rows, tuple(self._out))))

    def _most(self) -> int:
        """Rows of a claim: no more at once than a second's worth, where the source has a rate."""
        rate = self._taking.rules.client.rate
        if rate is None:
            self._bucket = None
            return self._pace.batch
        self._bucket = self._bucket or RateBucket(rate, _now())
        return max(1, min(self._pace.batch, int(rate)))

    async def _is_behind(self, now: float) -> bool:
        """Look how far it is behind; True when there is something to claim, or that cannot be told."""
        self._looked_at = now
        try:
            self.lag = lag = await self._line.lag()
        except SourceError as error:
            if error.reason == "unreachable":
                raise
            return True
        self._numbers.behind(lag.waiting, lag.oldest, lag.clock_difference)
        return lag.waiting != 0

    async def _take(self, rows: Sequence[Row], before: Sequence[asyncio.Task[None]]) -> None:
        """Take a batch, and count what came of it; it ends by itself, never in an error."""
        try:
            outcome = await self._taking.take(rows, before)
        except Exception as error:  # noqa: BLE001  # a mistake of ours with one row must not keep the others back
            self._ears.bug(self.name, error)
            outcome = await self._take_singly(rows, before)
        mine = asyncio.current_task()
        self._out = [task for task in self._out if task is not mine]
        self._settled += outcome.results
        self._count(outcome)
        self._news.set()

    async def _take_singly(self, rows: Sequence[Row], before: Sequence[asyncio.Task[None]]) -> Outcome:
        whole = Outcome()
        for row in rows:
            try:
                one = await self._taking.take([row], before)
            except Exception as error:  # noqa: BLE001  # as above; this one gets no answer, and comes again
                self._ears.bug(self.name, error)
                continue
            whole.results += one.results
            whole.no_room = one.no_room or whole.no_room
        return whole

    def _count(self, outcome: Outcome) -> None:
        back = 0
        for result in outcome.results:
            match result.state:
                case "taken":
                    self._numbers.taken.n += 1
                case "returned":
                    back += 1
                case "refused":
                    self._numbers.refused[_kind_of(result.reason)].n += 1
        self._numbers.returned.n += back
        self._numbers.duplicates.n += outcome.duplicates
        if outcome.no_room is not None:
            self._hold(outcome.no_room.detail, outcome.no_room.retry_after)
        elif back:
            # They would be claimed again at once, and come back as fast.
            self._not_before = max(self._not_before, _now() + self._pace.poll)
        elif outcome.results:
            self._has_room()

    def _has_room(self) -> None:
        if self.full is not None:
            full, self.full = self.full, None
            self._ears.goes_on(self.name, _now() - full.since)
            self._tell()

    def _hold(self, why: str, least: float = 0.0) -> None:
        """The spool has no room: claim nothing for a while."""
        if self.full is None:
            self.full = Trouble("full", why, "", _now())
            self._ears.held(self.name, why)
            self._tell()
        else:
            self.full = self.full.again("full", why, "")
        wait = max(patience(self.full.tries, self._chance()), least) if least else SHORTEST
        self._not_before = max(self._not_before, _now() + wait)

    # ---- marking ---------------------------------------------------------------------------------------------------

    async def _mark(self) -> None:
        results = self._settled[:MOST_MARKED]
        try:
            await self._line.ack(results)
        except SourceError as error:
            if error.reason != "mismatch" or not await sift(results, self._line.ack, self._stuck):
                raise
        del self._settled[: len(results)]
        self._is_well()

    def _stuck(self, result: Result, error: SourceError) -> None:
        """It gets no answer: its lease ends, and it is refused or taken again as before."""
        self._ears.stuck(self.name, result.key, error)

    # ---- the end ---------------------------------------------------------------------------------------------------

    def _drop_announced(self) -> None:
        announced, self._announced = self._announced, None
        if announced is not None:
            announced.cancel()
            announced.add_done_callback(_forget)

    async def _let_go(self) -> None:
        self._running = False
        self._drop_announced()
        self._numbers.enter("stopped")
        for task in self._out:
            task.cancel()
        await asyncio.gather(*self._out, return_exceptions=True)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _forget(task: asyncio.Task[bool]) -> None:
    """Nobody asks what came of it."""
    if not task.cancelled():
        task.exception()


def _kind_of(reason: str) -> str:
    """The word under which a refusal is counted."""
    word = "conflict" if reason == "ref_conflict" else reason
    return word if word in ROW_REFUSALS else "other"
