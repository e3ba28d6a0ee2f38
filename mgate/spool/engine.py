"""The seam between the spool and what keeps its rows: one writer's verbs, and the questions of readers.

SQLite (``store``) is the embedded default; ``memory`` passes the same conformance suite. Nothing above this seam may
know which engine it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from mgate.model.message import State, TrafficClass
from mgate.model.ready import Ask, Ready
from mgate.spool.rows import Attempt, JournalRow, Row
from mgate.spool.verbs import Result, Verb


class StoreFull(Exception):
    """The commit was rolled back cleanly: no room, or a read-only disk. Worth another try."""


class StoreBroken(Exception):
    """The disk or the file cannot be trusted any more: an I/O error, a failed fsync, corruption. Never tried again."""


class NewerSpool(Exception):
    """The spool was written by a newer version of mgate; it was not touched."""


class ForeignSpool(Exception):
    """The spool was sealed under another keyring than the one that is here; it was not touched."""


class Record(NamedTuple):
    """A whole message as it is kept: what a trace shows and what history copies.

    Attributes:
        rows: its parts in order; ``attempts``: all of them, by part and number; ``journal``: its rows, first to last.
        body: None when the text has been erased.
    """

    rows: tuple[Row, ...]
    attempts: tuple[Attempt, ...]
    journal: tuple[JournalRow, ...]
    ref_tag: bytes
    content_tag: bytes
    envelope: bytes
    body: bytes | None


class Count(NamedTuple):
    """How many parts stand somewhere, and the acceptance of the oldest (milliseconds)."""

    route: str
    traffic: TrafficClass
    client: str
    state: State
    due: bool
    parts: int
    oldest: int


class Waiting(NamedTuple):
    """What waits in one lane of a route, due or not, and the earliest moment at which a part of it was or is due."""

    route: str
    lane: int
    parts: int
    oldest: int


class Store(Protocol):
    """The one writer. Synchronous; called from one thread only."""

    def commit(self, verbs: Sequence[Verb], now: int) -> list[Result]:
        """Answer a batch of verbs in one durable transaction; ``now`` in milliseconds since 1970.

        Raises:
            StoreFull: nothing happened and another try may do better.
            StoreBroken: whether it happened is not known; the process must end.
        """

    def sweep(self, now: int) -> int:
        """Once, at start: every open attempt is in doubt (``states.md``, rule 7)."""

    def greatest_id(self) -> int:
        """The greatest id ever kept, 0 for none: ids go on from it."""

    def tend(self, now: int) -> bool:
        """A slice of work in the background, a few milliseconds long; whether there is more to do."""

    def close(self) -> None:
        """Leave everything on the disk, tidy."""


class Reader(Protocol):
    """Questions, answered from a snapshot of the last commit. Synchronous; called from one thread, not the writer's."""

    def ready(self, ask: Ask, now: int) -> Ready:
        """The parts of a lane that may leave now, and when the next one becomes due."""

    def records(self, heads: Sequence[int]) -> list[Record]:
        """These messages, whole; what is not in the live spool is not given."""

    def by_ref(self, tags: Sequence[tuple[str, bytes]]) -> list[int]:
        """The live messages that bear these (client, ref tag)."""

    def by_phone(self, tags: Sequence[bytes], limit: int) -> list[int]:
        """The newest live messages to a number, by its tag in each period."""

    def ended(self, now: int, limit: int) -> list[int]:
        """The messages that may move to history."""

    def next_wake(self) -> int:
        """The next moment at which the clock has something to say about a live part; 0 for none."""

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
