"""A journal on a list, whose answers come when they are told to, and a stream over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import pytest
from twisted.internet.task import Clock

from mgate.feeds.cursor import Cursors
from mgate.feeds.runs import Runs
from mgate.feeds.stream import PAUSE, Stream
from mgate.seal.errors import NoKey, Tampered
from mgate.spool.engine import Reader, StoredEvents
from mgate.spool.journal import Box, FeedEvent, seal_run, tag_of

DATABASE = bytes(range(16))
CURSORS = Cursors(DATABASE)
AT = 1_800_000_000_000
_T = TypeVar("_T")


def event(sequence: int, client: str = "local", meta: bytes = b"", ref: str = "", route: str = "") -> FeedEvent:
    return FeedEvent(
        sequence, (1 << 60) + sequence, client, ref or f"r{sequence}", "sent", "", True, AT + sequence, 1, meta, route
    )


class OpenBox:
    """Seals by adding a tag; opens what is not marked as damaged."""

    def __init__(self) -> None:
        self.opened: list[int] = []
        self.damaged: set[int] = set()
        self.shredded: set[int] = set()

    @property
    def box(self) -> Box:
        return Box(lambda _now: 1, lambda first, _, plain: plain + first.to_bytes(16), self._unseal)

    def _unseal(self, first: int, period: int, sealed: bytes) -> bytes:
        if first in self.damaged:
            raise Tampered(f"run {first}")
        if first in self.shredded:
            raise NoKey(period, shredded=True)
        self.opened.append(first)
        return sealed[:-16]


class ListReader:
    """The journal, and the durable cursors of feeds."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._tag = b""
        self.runs: list[StoredEvents] = []
        self.rows: list[tuple[str, str, int]] = []
        self.reads: list[tuple[int, int]] = []

    def append(self, *clients: str, meta: bytes = b"") -> None:
        """A commit's run: an event for each of these clients."""
        begin = self.last_event() + 1
        self.keep([event(begin + n, client, meta) for n, client in enumerate(clients)])

    def keep(self, events: Sequence[FeedEvent]) -> None:
        """A commit's run of these events."""
        self.runs.append(seal_run(self._box, events, self._tag, AT))
        self._tag = tag_of(self.runs[-1].sealed)

    def events(self, after: int, limit: int) -> list[StoredEvents]:
        self.reads.append((after, limit))
        return [run for run in self.runs if run.first + run.events - 1 > after][:limit]

    def last_event(self) -> int:
        return self.runs[-1].first + self.runs[-1].events - 1 if self.runs else 0

    def feeds(self) -> list[tuple[str, str, int]]:
        return list(self.rows)


class LaterJournal:
    """Answers at once, or when it is told to."""

    def __init__(self, reader: ListReader) -> None:
        self._reader = cast("Reader", reader)
        self.at_once = True
        self.broken = False
        self.asked = 0
        self.waiting: list[Callable[[], None]] = []

    def ask(self, question: Callable[[Reader], _T], answer: Callable[[_T], None], otherwise: _T) -> None:
        self.asked += 1
        found = otherwise if self.broken else question(self._reader)
        if self.at_once:
            answer(found)
        else:
            self.waiting.append(lambda: answer(found))

    def come(self) -> None:
        """What was asked before is answered."""
        waiting, self.waiting = self.waiting, []
        for answer in waiting:
            answer()


class Poll:
    """A poll that notes its answer."""

    def __init__(self, client: str = "local", limit: int = 5_000, deadline: float = 0.0) -> None:
        self.client = client
        self.limit = limit
        self.deadline = deadline
        self.gone = False
        self.said = ""
        self.place = -1
        self.lines = b""

    @property
    def sequences(self) -> list[int]:
        return [int(line.split(b'"sequence":')[1].split(b",")[0]) for line in self.lines.splitlines()]

    def answer(self, lines: Sequence[bytes], events: int, place: int) -> None:
        self._say("answer", place)
        self.lines = b"".join(lines)
        assert len(self.sequences) == events

    def beyond(self) -> None:
        self._say("beyond", -1)

    def lost(self, place: int) -> None:
        self._say("lost", place)

    def failed(self) -> None:
        self._say("failed", -1)

    def _say(self, word: str, place: int) -> None:
        assert not self.said, "a poll is answered once"
        self.said, self.place = word, place


class World:
    """A stream and all that it stands on."""

    def __init__(self, most: int = 8 << 20) -> None:
        self.box = OpenBox()
        self.reader = ListReader(self.box.box)
        self.journal = LaterJournal(self.reader)
        self.clock = Clock()
        self.damage: list[int] = []
        self.runs = Runs(self.box.box, CURSORS.prefix, lambda first, _error: self.damage.append(first), most)
        self.stream = Stream(self.journal, self.runs, self.clock)

    def commit(self, *clients: str, meta: bytes = b"") -> None:
        """A commit that told something."""
        self.reader.append(*clients, meta=meta)
        self.stream.wake()

    def put(self, at: int | None, client: str = "local", limit: int = 5_000, wait: float = 0.0) -> Poll:
        poll = Poll(client, limit, self.clock.seconds() + wait)
        self.stream.put(poll, at)
        return poll

    def ask(self, at: int | None, client: str = "local", limit: int = 5_000) -> Poll:
        """A poll that does not wait, and its answer."""
        poll = self.put(at, client, limit)
        self.turn()
        assert poll.said
        return poll

    def turn(self) -> None:
        self.clock.advance(0)

    def pause(self) -> None:
        self.clock.advance(PAUSE)


@pytest.fixture
def world() -> World:
    return World()
