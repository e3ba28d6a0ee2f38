"""One reckoning, from the first row of the core to the last difference.

The rows of the day come first, because they are what is asked. Then mgate's side is looked through: the day itself, and
after it for as long as a row is still without a message, since a row that was written before midnight may be taken
after it, or days later when the source was paused. A message that has no row of the day may be one of another day's:
the days before are asked for, one by one, for as long as there is such a message.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeVar

from mgate.policy.reckoning import Sums, Tally
from mgate.reckoning.sheet import Difference, Line, Sheet
from mgate.spool.census import Census

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
SKEW: Final = HOUR
"""Milliseconds that the core's clock may differ from ours; rows and messages are looked for that much beyond a day."""

_STRIDE: Final = 6 * HOUR
_STEP: Final = 500

_T = TypeVar("_T")


class Day(NamedTuple):
    """What is reckoned: a client's day, in milliseconds.

    Attributes:
        late_after: see ``policy.reckoning.Tally``.
        reach: how far behind the day a message of its rows is looked for, and before it the row of a message.
    """

    client: str
    begin: int
    end: int
    late_after: int
    reach: int


class Progress(NamedTuple):
    """``doing``: ``rows``, ``messages`` or ``counting``; ``of``: 0 while nobody knows."""

    doing: str
    done: int
    of: int


class Core(Protocol):
    """Where the core's rows come from."""

    def rows(self, begin: int, end: int) -> AsyncIterator[Sequence[Line]]:
        """The rows written from ``begin`` until before ``end``, milliseconds.

        Others may come with them. One that gives all it has at the first time gives nothing after.
        """

    @property
    def told(self) -> int | None:
        """How many rows it says that it has given at the first time; None when it says nothing of it."""

    async def close(self) -> None:
        """No more is asked of it."""


Told = Callable[[Progress], None]
Open = Callable[[Callable[[], None]], Census]
"""Opens a census; what it is given hears of each message or block that cannot be read."""


class Clerk:
    """Does one reckoning. Used in a task of asyncio.

    Args:
        folder: on whose disk things are put aside.
        now: seconds since 1970.
        rest: waits so many seconds, while the thread does nothing.
    """

    def __init__(
        self,
        census: Open,
        folder: Path,
        now: Callable[[], float],
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._now = now
        self._rest = rest
        self._thread = ThreadPoolExecutor(1, "mgate-reckoning")
        self._unreadable = 0
        self._others = 0
        self._census = census(self._damaged)
        self._sheet = Sheet(folder)

    def _damaged(self) -> None:
        self._unreadable += 1

    async def count(self, day: Day, core: Core, told: Told) -> Sums:
        """Reckon; ``told`` hears how far it is, many times a second.

        Raises:
            mgate.model.source.SourceError: the core's side could not be read.
            sqlite3.Error, OSError: there was no room to put things aside, or a file cannot be read.
        """
        now = int(self._now() * 1000)
        await self._write(day, core, told)
        twice = await self._do(self._sheet.ready)
        await self._look_for_messages(day, now, told)
        await self._look_for_rows(day, core)
        tally = Tally(day.late_after, now)
        counted = 0
        while step := await self._do(partial(self._sheet.judge, tally, _STEP)):
            counted += step
            told(Progress("counting", counted, self._sheet.rows))
        await self._do(partial(self._sheet.settle, tally, twice))
        given = self._sheet.rows if core.told is None else core.told - self._others
        return tally.sums(given - twice, self._unreadable)

    async def differences(self) -> AsyncIterator[Sequence[Difference]]:
        """All that differs, after ``count``."""
        every = self._sheet.differences()
        while found := await self._do(lambda: list(islice(every, _STEP))):
            yield found

    async def close(self) -> None:
        """Leave nothing behind. Waits for the step under way."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._leave)
        self._thread.shutdown(wait=False)

    def _leave(self) -> None:
        self._sheet.close()
        self._census.close()

    async def _write(self, day: Day, core: Core, told: Told) -> None:
        async for lines in core.rows(day.begin, day.end):
            mine = [line for line in lines if day.begin <= line.at < day.end]
            await self._do(partial(self._sheet.write, mine))
            if len(mine) < len(lines):
                others = [line for line in lines if not day.begin <= line.at < day.end]
                self._others += len(others)
                await self._do(partial(self._sheet.explain, others))
            told(Progress("rows", self._sheet.rows, 0))

    async def _look_for_messages(self, day: Day, now: int, told: Told) -> None:
        await self._look(day, day.begin - SKEW, day.end, told)
        at, last = day.end, min(now + SKEW, day.end + day.reach)
        while at < last and await self._do(self._sheet.unmet):
            await self._look(day, at, min(at + _STRIDE, last), told)
            at += _STRIDE

    async def _look(self, day: Day, begin: int, end: int, told: Told) -> None:
        walk = self._census.walk(day.client, begin, end)
        while (step := await self._do(lambda: next(walk, None))) is not None:
            await self._do(partial(self._sheet.meet, step.found, day.begin, day.end))
            told(Progress("messages", step.looked_at, step.of))

    async def _look_for_rows(self, day: Day, core: Core) -> None:
        begin, end = day.end, day.end + SKEW
        while begin >= day.begin - day.reach and await self._do(self._sheet.unexplained):
            async for lines in core.rows(begin, end):
                await self._do(partial(self._sheet.explain, lines))
            begin, end = (day.begin - DAY, day.begin) if begin == day.end else (begin - DAY, begin)

    async def _do(self, step: Callable[[], _T]) -> _T:
        """One step on the thread, and then as long a rest. A rest is as long as the step *took*: beside a busy reactor
        a step waits for the interpreter, and then the rest is the longer."""
        begun = time.monotonic()
        done = await asyncio.get_running_loop().run_in_executor(self._thread, step)
        await self._rest(time.monotonic() - begun)
        return done
