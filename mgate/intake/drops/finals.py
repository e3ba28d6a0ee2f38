"""The last state of every message of a file: the journal is followed until all have ended, then a second file written.

The book remembers up to where the journal was read, in the transaction that puts what it told to the rows. Where the
journal cannot tell (a message that had been accepted before, events that are no longer kept, a life that is over and
nothing was heard) the desk is asked, message by message.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from mgate.intake.drops import results
from mgate.intake.drops.book import Book, Change, TakenFile
from mgate.intake.drops.folder import Folder
from mgate.intake.drops.hands import Hands
from mgate.intake.drops.names import final_name
from mgate.intake.drops.results import FinalRow
from mgate.intake.drops.writing import write_back

EVENTS: Final = 500
"""Events that are taken from the journal at a time."""

_PAGE: Final = 300
_ASKED: Final = 50


class News(NamedTuple):
    """What the journal told: changes behind the place that was asked from, and the place that was come to.

    ``lost``: what came before the place can be told no more.
    """

    changes: Sequence[Change]
    place: int
    lost: bool = False


class Journal(Protocol):
    """The journal as one client reads it, and the desk beside it."""

    async def end(self) -> int | None:
        """The place behind its last event; None when it cannot be read now."""

    async def after(self, place: int, most: int) -> News | None:
        """The client's events behind a place; None when it cannot be read now."""

    async def ask(self, message: int) -> Change | None:
        """Where a message stands; None when that cannot be told now."""

    def acknowledge(self, place: int) -> None:
        """Show others how far it has been read."""


class Finals:
    """Follows the messages of one folder.

    Args:
        gate: raises when the service stops.
        taking: whether rows of some file may have been accepted and not booked yet.
        written: hears of each final file.
    """

    def __init__(
        self,
        folder: Folder,
        book: Book,
        hands: Hands,
        journal: Journal,
        wall: Callable[[], float],
        gate: Callable[[], None],
        taking: Callable[[], bool],
        written: Callable[[TakenFile], None],
    ) -> None:
        self._folder = folder
        self._book = book
        self._hands = hands
        self._journal = journal
        self._wall = wall
        self._gate = gate
        self._taking = taking
        self._written = written
        self._place: int | None = None
        self._asked: set[int] = set()

    async def begin(self) -> bool:
        """Find the place in the journal; before that nothing may be handed in. False when it cannot be read now."""
        if self._place is None:
            self._place = await self._hands.away(self._book.cursor)
        if self._place is None:
            self._place = await self._journal.end()
            if self._place is not None:
                await self._hands.away(self._book.apply, (), self._place, True)
        return self._place is not None

    async def step(self, files: Sequence[TakenFile]) -> None:
        """Take what the journal has, and write what is complete. ``files``: those of the book."""
        if all(each.phase == "final" for each in files):
            return
        await self._follow()
        for each in files:
            if each.phase == "taken":
                await self._complete(each)

    async def _follow(self) -> None:
        while self._place is not None:
            self._gate()
            # Asked before the journal is: what is handed in afterwards is told of afterwards.
            taking = self._taking()
            news = await self._journal.after(self._place, EVENTS)
            if news is None:
                return
            moved = news.place != self._place
            if moved:
                await self._hands.away(self._book.apply, news.changes, news.place, taking or self._taking())
                self._place = news.place
                self._journal.acknowledge(news.place)
            if news.lost:
                self._asked.clear()
                await self._ask_all()
            if not moved:
                return

    async def _complete(self, file: TakenFile) -> None:
        over = self._wall() > file.over
        if file.number not in self._asked:
            await self._ask(file, known=not over)
            self._asked.add(file.number)
        if over or not await self._hands.away(self._book.is_open, file.number):
            name = final_name(file.name, file.form)
            await write_back(self._hands, self._folder, name, "done", self._pages(file))
            await self._hands.away(self._book.end, file.number)
            self._written(file)

    async def _pages(self, file: TakenFile) -> AsyncIterator[bytes]:
        yield results.head(FinalRow, file.form)
        line = 0
        while page := await self._hands.away(self._book.finals, file.number, line, _PAGE, moment):
            self._gate()
            line = page[-1].line
            yield results.render(page, file.form)

    async def _ask_all(self) -> None:
        for file in await self._hands.away(self._book.files):
            if file.phase != "final":
                await self._ask(file, known=False)

    async def _ask(self, file: TakenFile, *, known: bool) -> None:
        line = 0
        while page := await self._hands.away(self._book.unsure, file.number, line, _ASKED, known=known):
            self._gate()
            line = page[-1][0]
            changes = [change for _, message in page if (change := await self._journal.ask(message)) is not None]
            await self._hands.away(self._book.apply, changes, None, True)


def moment(at: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"
