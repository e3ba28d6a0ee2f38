"""The seam between the spool and what keeps its rows: one writer's verbs, and the questions of readers.

SQLite (``store``) is the embedded default; ``memory`` passes the same conformance suite. Nothing above this seam may
know which engine it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from mgate.model.message import State, TrafficClass
from mgate.model.ready import Ask, Mark, Ready
from mgate.spool.rows import Attempt, JournalRow, Row
from mgate.spool.verbs import DeadRun, Result, Verb


class StoreFull(Exception):
    """The commit was rolled back cleanly: no room, or a read-only disk. Worth another try."""


class StoreBroken(Exception):
    """The disk or the file cannot be trusted any more: an I/O error, a failed fsync, corruption. Never tried again."""


class NewerSpool(Exception):
    """The spool was written by a newer version of mgate; it was not touched."""


class ForeignSpool(Exception):
    """The spool was sealed under another keyring than the one that is here; it was not touched."""


class Record(NamedTuple):
    """A whole live message as it is kept: its parts in order, the first with the events.

    ``body``: None when the text has been erased.
    """

    rows: tuple[Row, ...]
    ref_tag: bytes
    content_tag: bytes
    envelope: bytes
    body: bytes | None

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """All tries of all parts, in their order."""
        return tuple(attempt for row in self.rows for attempt in row.tries)

    @property
    def journal(self) -> tuple[JournalRow, ...]:
        """The message's events."""
        return tuple(self.rows[0].events)


class Told(msgspec.Struct, frozen=True, gc=False):
    """A change of a message's state: on which route, which event, and milliseconds after its acceptance.

    Attributes:
        took: milliseconds since its first part was last on its way out; 0 when it never was.
    """

    route: str
    event: str
    after: int
    traffic: TrafficClass
    took: int


def told_of(row: Row, event: JournalRow) -> Told:
    """What an event of a message says; ``row``: its first part."""
    took = event.at - row.tries[-1].leased if row.tries else 0
    return Told(row.route, event.event, event.at - row.created, row.traffic, took)


class Ending(msgspec.Struct, frozen=True, gc=False):
    """A message that has ended, ready for its history file; moments in milliseconds.

    Attributes:
        ended: the moment of its last event; ``event``: the journal's last sequence for it when it was copied.
        story: its sealed envelope and its rows (msgpack), as ``story`` reads them.
    """

    message: int
    parts: int
    client: str
    traffic: int
    state: State
    created: int
    ended: int
    period: int
    ref_tag: bytes
    content_tag: bytes
    phone_tag: bytes
    event: int
    story: bytes

    def __repr__(self) -> str:
        return f"Ending({self.message})"


class News(NamedTuple):
    """What a commit has changed, for who wants to hear of it: only to be told when it is on the disk.

    ``repeats``: parts leased although a try before may have been sent.
    """

    told: list[Told]
    over: list[Ending]
    journalled: bool
    repeats: int = 0


class StoredEvents(NamedTuple):
    """A run of the journal's events, sealed together: ``events`` of them from sequence ``first``."""

    first: int
    events: int
    period: int
    sealed: bytes


class Count(NamedTuple):
    """How many parts stand somewhere, and the acceptance of the oldest (milliseconds)."""

    route: str
    traffic: TrafficClass
    client: str
    state: State
    due: bool
    parts: int
    oldest: int


class Queued(NamedTuple):
    """A ready part at its place in a lane: part ``n`` of its message."""

    mark: Mark
    n: int


class Waiting(NamedTuple):
    """What waits in one lane of a route, due or not, and the earliest moment at which a part of it was or is due."""

    route: str
    lane: int
    parts: int
    oldest: int


class Store(Protocol):
    """The one writer. Its calls never overlap."""

    def work(self, verbs: Sequence[Verb], now: int) -> list[Result]:
        """Answer a batch of verbs in one transaction; ``now`` in milliseconds since 1970.

        Nothing of it is durable, and nobody may be answered, before ``flush`` has come back. A batch that raised has
        changed nothing.

        Raises:
            StoreFull: nothing happened and another try may do better.
            StoreBroken: whether it happened is not known; the process must end.
            CannotHappen: a bug of ours.
        """

    def flush(self) -> News:
        """Have what ``work`` did on the disk when it returns. May wait for the disk; may be called on another thread.

        Raises:
            StoreFull, StoreBroken: as ``work``; the whole batch is undone.
        """

    def sweep(self, now: int, routes: tuple[str, ...] = ()) -> int:
        """Once, at start: every open attempt is in doubt (``states.md``, rule 7). ``routes``: by which a code in doubt
        may be repeated, best first."""

    def greatest_id(self) -> int:
        """The greatest id ever kept, 0 for none: ids go on from it."""

    def tend(self, now: int) -> bool:
        """A slice of work in the background, a few milliseconds long; whether there is more to do.

        Raises:
            StoreBroken: the disk cannot be trusted any more.
        """

    @property
    def bears(self) -> int:
        """How many new messages a commit may bring without a long stop: few while references are still read in."""

    def tidy(self) -> None:
        """Asked once a second while nothing else is to be done: leave no trace of what has been erased."""

    def close(self) -> None:
        """Leave everything on the disk, tidy."""


class Reader(Protocol):
    """Questions, answered from a snapshot of the last commit. Synchronous; called from one thread, not the writer's."""

    def ready(self, ask: Ask, now: int) -> Ready:
        """The parts of a lane that may leave now, and when the next one becomes due."""

    def queued(self, route: str, lane: int, after: Mark, limit: int, now: int) -> list[Queued]:
        """The next parts of a lane that are due, from behind that place on, whether alive or over."""

    def routes(self) -> list[str]:
        """The routes on which any part is ready, due or not."""

    def records(self, heads: Sequence[int]) -> list[Record]:
        """These messages, whole; what is not in the live spool is not given."""

    def by_ref(self, tags: Sequence[tuple[str, bytes]]) -> list[int]:
        """The live messages that bear these (client, ref tag)."""

    def by_phone(self, tags: Sequence[bytes], limit: int) -> list[int]:
        """The newest live messages to a number, by its tag in each period."""

    def accepted(self, client: str, after: int, until: int, limit: int) -> list[int]:
        """The live messages of a client with ids above ``after`` and below ``until``, at most so many, in order."""

    def ended(self, now: int, after: int, limit: int) -> tuple[list[Ending], int]:
        """The messages with ids above ``after`` that may move to history, and where to go on, 0 when all were seen.

        At most ``limit`` rows are looked at. A commit tells of what ends in it by itself: this is for a start.
        """

    def events(self, after: int, limit: int) -> list[StoredEvents]:
        """The journal's next runs of events with one beyond sequence ``after``, at most ``limit`` of them."""

    def last_event(self) -> int:
        """The journal's last sequence, 0 for an empty one."""

    def cursor(self, client: str, feed: str) -> int:
        """The durable cursor of a feed, 0 for one that was never acknowledged."""

    def feeds(self) -> list[tuple[str, str, int]]:
        """The durable cursors of all feeds: client, feed, cursor."""

    def dead(self) -> list[DeadRun]:
        """What feeds gave up, by client, feed and sequence."""

    def waiting(self) -> list[Waiting]:
        """What waits, by route and lane; from an index alone, so that it may be asked often."""

    def uncertain(self) -> int:
        """How many parts are uncertain."""

    def counts(self, now: int) -> list[Count]:
        """The live parts, counted."""

    def clients(self) -> list[str]:
        """Every client that ever had a message."""

    def periods(self) -> set[int]:
        """The periods that live messages are sealed in: their keys must not go."""

    def close(self) -> None:
        """Let go of the file."""
