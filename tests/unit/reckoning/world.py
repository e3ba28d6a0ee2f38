"""A spool in memory, history on the disk, and a core that says what it has written: a day as a reckoning meets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mgate.model.address import Msisdn
from mgate.model.entry import Submission
from mgate.model.message import COUNT_BITS, ENDED, Fate, IdSource, Secret, State, TrafficClass
from mgate.policy.reckoning import Sums
from mgate.reckoning.clerk import Clerk, Day, Progress
from mgate.reckoning.sheet import Difference, Line
from mgate.seal.keyfile import Kek
from mgate.seal.keyring import Cut, Group, Keyring
from mgate.seal.record import Place, Sealer
from mgate.seal.tags import Tags
from mgate.spool.census import Census
from mgate.spool.engine import Ending, Record
from mgate.spool.history import HistoryReader, HistoryWriter
from mgate.spool.rows import Attempt, JournalRow, Row
from mgate.spool.sealing import ENVELOPE, PART, Blocks, Sealing
from mgate.spool.shelf import StoredHead
from mgate.spool.story import ending_of

MIDNIGHT = 1_790_035_200_000
"""A midnight of UTC, in milliseconds."""

HOUR = 3_600_000
DAY = 24 * HOUR
MINUTE = 60_000
LATE = 5 * MINUTE
TAKEN = {State.SENT, State.DELIVERED, State.UNDELIVERED, State.NO_RECEIPT}


class FileCore:
    """A core whose whole list is given at once, in pieces of ``piece`` rows."""

    def __init__(self, lines: Sequence[Line], told: int | None = None, piece: int = 7) -> None:
        self.lines = list(lines)
        self.told = told
        self._piece = piece

    async def rows(self, begin: int, end: int) -> AsyncIterator[Sequence[Line]]:
        given, self.lines = self.lines, []
        for start in range(0, len(given), self._piece):
            yield given[start : start + self._piece]

    async def close(self) -> None: ...


class DatabaseCore:
    """A core that is asked for one span after the other."""

    told = None

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = list(lines)
        self.asked: list[tuple[int, int]] = []

    async def rows(self, begin: int, end: int) -> AsyncIterator[Sequence[Line]]:
        self.asked.append((begin, end))
        found = [line for line in self.lines if begin <= line.at < end]
        if found:
            yield found

    async def close(self) -> None: ...


class World:
    """What mgate knows. ``now``: milliseconds."""

    def __init__(self, folder: Path, now: int = MIDNIGHT + 30 * HOUR) -> None:
        self.folder = folder
        self.now = now
        self.keyring = Keyring.create(folder, Kek(bytes(32)), b"d" * 16)
        self.keyring.prepare((Group("notice", Cut.DAY, 400 * 86_400),), MIDNIGHT / 1000)
        self.sealer = Sealer(self.keyring, self.keyring.database)
        self.sealing = Sealing(self.keyring, self.sealer, Tags(self.keyring), IdSource(), str.lower)
        self._ended: list[Ending] = []
        self.live: dict[int, Record] = {}
        self.rests: list[float] = []
        self._counts: dict[int, int] = {}

    # ---- what has happened -----------------------------------------------------------------------------------------

    def accepted(
        self,
        ref: str,
        at: int,
        state: State = State.DELIVERED,
        client: str = "core",
        after: int = 50,
        old: bool = True,
        number: int = 0,
    ) -> int:
        """A message, in history if it has ended and ``old``, else in the live spool; it left ``after`` it was taken."""
        asked = Submission(
            client, ref, Msisdn("+375291110001"), TrafficClass.SERVICE, Secret("Code 482913"), "Example",
            (at + DAY) / 1000, 0.0, "", (), b"", ref.encode(), 1,
        )  # fmt: skip
        new = self.sealing.message(asked, "sms:op-a", 1, (), at / 1000)
        self._counts[at] = self._counts.get(at, 0) + 1
        # An id of the message's own moment, whatever was accepted before it.
        number = number or (at << COUNT_BITS) + self._counts[at]
        row = Row(
            number, 1, 1, client, new.traffic, new.route, state, at, at, new.expires, at, new.period, new.phone_tag,
            events=[JournalRow(1, state.word, "", at + after, True)],
        )  # fmt: skip
        if state in TAKEN:
            row.tries = [Attempt(1, "sms:op-a", 0, 1, at + after, Fate.ACCEPTED, at + after)]
        envelope = self._resealed(new.id, row, new.envelope)
        if state in ENDED and old:
            head = StoredHead(number, client, new.ref_tag, new.content_tag, envelope, b"", "", b"")
            self._ended.append(ending_of(head, [row]))
        else:
            self.live[number] = Record((row,), new.ref_tag, new.content_tag, envelope, None)
        return number

    def _resealed(self, was: int, row: Row, sealed: bytes) -> bytes:
        """The envelope of a message whose id is another now."""

        def place(number: int) -> Place:
            return Place(PART, ENVELOPE, number, row.period, row.traffic, row.expires // 1000, row.created // 1000)

        return self.sealer.seal(place(row.id), self.sealer.unseal(place(was), sealed))

    # ---- what stands for the spool's reader ------------------------------------------------------------------------

    def reader(self) -> _Reader:
        return _Reader(self)

    # ---- a reckoning -----------------------------------------------------------------------------------------------

    def reckon(
        self, core: FileCore | DatabaseCore, client: str = "core", told: Callable[[Progress], None] = lambda _: None
    ) -> tuple[Sums, list[Difference]]:
        self.move()
        # The tests' own thread has a loop that runs already.
        with ThreadPoolExecutor(1) as other:
            return other.submit(asyncio.run, self._reckon(core, client, told)).result()

    def move(self) -> None:
        """Have what has ended in its files."""
        if self._ended:
            history = HistoryWriter(self.folder, Blocks(self.sealer))
            history.put(sorted(self._ended, key=lambda one: one.message), self.now)
            history.close()
            self._ended = []

    async def _reckon(
        self, core: FileCore | DatabaseCore, client: str, told: Callable[[Progress], None]
    ) -> tuple[Sums, list[Difference]]:
        clerk = Clerk(self.census, self.folder, lambda: self.now / 1000, self.rest)
        try:
            day = Day(client, MIDNIGHT, MIDNIGHT + DAY, LATE, 7 * DAY)
            sums = await clerk.count(day, core, told)
            return sums, [one async for found in clerk.differences() for one in found]
        finally:
            await clerk.close()

    async def rest(self, seconds: float) -> None:
        """How long it rested; it did not."""
        self.rests.append(seconds)

    def census(self, damaged: Callable[[], None]) -> Census:
        """A census of all of it."""
        reader = HistoryReader(self.folder, Blocks(self.sealer), lambda path, error: damaged())
        return Census(self.reader(), reader, self.sealing, self.keyring, lambda message, error: damaged())  # type: ignore[arg-type]  # the two questions that a census asks


class _Reader:
    def __init__(self, world: World) -> None:
        self._world = world

    def accepted(self, client: str, after: int, until: int, limit: int) -> list[int]:
        live = self._world.live.values()
        mine = [one.rows[0].id for one in live if one.rows[0].client == client and after < one.rows[0].id < until]
        return sorted(mine)[:limit]

    def records(self, heads: Sequence[int]) -> list[Record]:
        return [self._world.live[head] for head in heads if head in self._world.live]

    def close(self) -> None: ...
