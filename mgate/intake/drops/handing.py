"""Handing rows in: acceptance answers each, the book keeps the answers, what is refused only for now comes again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

from twisted.internet.defer import Deferred

from mgate.intake.drops.book import Answered, Book
from mgate.intake.drops.faults import Fault
from mgate.intake.drops.hands import Hands
from mgate.model.entry import Submission
from mgate.model.message import TrafficClass
from mgate.model.ports import Acceptor, Answer, Taken
from mgate.policy.classes import RECEIPT_PATIENCE

MOST_OUT: Final = 1_000
"""Rows that may wait for their commit at a time."""

_BOOKED: Final = 240
_NOT_NOW: Final = frozenset({429, 503})
_MARGIN: Final = 3_600.0


class Count(Protocol):
    """Hears of answers: so many more rows were ``accepted``, by their class, ``known`` or ``refused``."""

    def __call__(self, accepted: Counter[TrafficClass], known: int, refused: int) -> None: ...


class Handed(NamedTuple):
    """A row that was read, and the line it begins in."""

    line: int
    submission: Submission


class Handing:
    """The rows of one file on their way.

    Args:
        number: of the file in the book.
    """

    def __init__(
        self, acceptor: Acceptor, book: Book, hands: Hands, wall: Callable[[], float], number: int, count: Count
    ) -> None:
        self._acceptor = acceptor
        self._book = book
        self._hands = hands
        self._wall = wall
        self._number = number
        self._count = count
        self._out = 0
        self._over = 0.0
        self._answers: list[Answered] = []
        self._again: list[Handed] = []
        self._wait = 0.0
        self._news: Deferred[None] | None = None

    def put(self, rows: Sequence[Handed], refused: Sequence[Fault]) -> None:
        """Hand these in; the refused ones only want to be written down."""
        self._answers += [
            Answered(each.line, each.ref, None, 0, False, each.code, each.field, each.detail) for each in refused
        ]
        if refused:
            self._count(Counter(), 0, len(refused))
        if rows:
            self._out += len(rows)
            self._over = max(self._over, *(row.submission.expires for row in rows))
            self._acceptor.accept([row.submission for row in rows], partial(self._answered, rows))

    async def room(self) -> None:
        """Wait until more may be handed in."""
        await self._settle(MOST_OUT - 1, _BOOKED)

    async def all(self) -> None:
        """Wait until every row has its answer, and the book has it."""
        await self._settle(0, 1)
        # Answers that came while others were being written.
        await self._write(1)

    async def leave(self) -> None:
        """Wait for what is out, and write it down; what was refused for now is left for another time."""
        self._again.clear()
        while self._out:
            await self._heard()
        self._again.clear()
        await self._write(1)

    async def _settle(self, out: int, booked: int) -> None:
        await self._write(booked)
        while self._out > out or self._again:
            if self._again and not self._out:
                await self._hands.sleep(self._wait)
                again, self._again = self._again, []
                self.put(again, ())
            elif self._out:
                await self._heard()
            await self._write(booked)

    async def _heard(self) -> None:
        self._news = Deferred()
        await self._news

    async def _write(self, least: int) -> None:
        if len(self._answers) >= least:
            answers, self._answers = self._answers, []
            over = self._over + RECEIPT_PATIENCE + _MARGIN
            await self._hands.away(self._book.write, self._number, answers, over, self._wall())

    def _answered(self, rows: Sequence[Handed], answers: Sequence[Answer]) -> None:
        self._out -= len(rows)
        accepted, known, refused = Counter[TrafficClass](), 0, 0
        for (line, submission), answer in zip(rows, answers, strict=True):
            if isinstance(answer, Taken):
                accepted[submission.traffic] += not answer.duplicate
                known += answer.duplicate
                self._answers.append(Answered(line, submission.ref, answer.message, answer.parts, answer.duplicate))
            elif answer.status in _NOT_NOW:
                self._wait = float(max(1, answer.retry_after))
                self._again.append(Handed(line, submission))
            else:
                refused += 1
                self._answers.append(
                    Answered(line, submission.ref, None, 0, False, answer.code, answer.field, answer.detail)
                )
        self._count(accepted, known, refused)
        news, self._news = self._news, None
        if news is not None:
            news.callback(None)
