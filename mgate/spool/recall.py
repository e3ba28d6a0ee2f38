"""Which references may be known: the filter, and how it is read in after a start.

A start accepts before anything is read: a million references take seconds. So the filter is in force at once, and what
it has not read yet is asked on the disk: first what is live is read, the newest bucket first, then the files of ended
messages. Live before ended, because messages move that way: one that moves meanwhile is seen in one of both. What an
earlier run has kept of its filter (``kept_filter``) need not be read again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from mgate.spool.filter import Chunk, RefFilter
from mgate.spool.kept_filter import KeptFilter, Marks
from mgate.spool.rows import KnownRef

REBUILD: Final = 1 << 20
"""References that are added, over as many again as it began with, until the filter is built anew."""

LOOKS: Final = 40_000
"""Looks into a bucket that one commit may cost: about 50 ms."""

WORTH: Final = 100_000
"""References from which on a filter is kept over a restart: fewer are read in a moment."""

_NOTHING: Final = Marks(0, b"", 0, {})
_TAGS: Final = "SELECT ref_tag FROM message WHERE bucket = ?"

RefKey = tuple[str, bytes]
"""A client, and the tag of one of its references."""


class Past(Protocol):
    """The memory of references whose messages are in history."""

    def files(self) -> list[str]:
        """The names of its files, the oldest day first."""

    def refs(self, wanted: Sequence[RefKey], files: Sequence[str] | None = None) -> dict[RefKey, KnownRef]:
        """Which of these are known, in these files or in all."""

    def buckets(self, file: str) -> int:
        """How many buckets a file has, about."""

    def tags(self, file: str, first: int = 0) -> Iterator[Sequence[bytes]]:
        """Every reference tag of a file from a bucket on, in runs; none when it is gone."""


class _Reading:
    """A filter, and what is not in it yet: ``buckets`` of the live spool, and ``files``, None for all.

    Args:
        chunks, marks: what an earlier run has kept of it.
    """

    def __init__(
        self, db: sqlite3.Connection, past: Past, chunks: Sequence[Chunk] = (), marks: Marks = _NOTHING
    ) -> None:
        self.filter = RefFilter(chunks)
        self.buckets = _buckets_after(db, marks.greatest) if chunks else nonempty(db, "message")
        self.files: list[str] | None = None
        self._from = marks.past
        self._sizes = {file: max(past.buckets(file) - self._from.get(file, 0), 0) for file in past.files()}
        self._db = db
        self._past = past
        self._runs: Iterator[Sequence[bytes]] = iter(())

    @property
    def whole(self) -> bool:
        return self.files is not None and not self.files

    def looks(self) -> int:
        """Into how many buckets must be looked for one reference."""
        sizes = self._sizes
        return len(self.buckets) + sum(sizes.get(file, 0) for file in (sizes if self.files is None else self.files))

    def step(self) -> bool:
        """Read a little more, a millisecond or two; whether there is more to read."""
        if self.buckets:
            self.filter.add([tag for (tag,) in self._db.execute(_TAGS, (self.buckets[-1],))])
            self.buckets.pop()
            return True
        if self.files is None:
            self.files = self._past.files()
            self._open_next()
        run = next(self._runs, None)
        if run is not None:
            self.filter.add(run)
        elif self.files:
            self.files.pop()
            self._open_next()
        return bool(self.files)

    def _open_next(self) -> None:
        if self.files:
            self._runs = self._past.tags(self.files[-1], self._from.get(self.files[-1], 0))


class Recall:
    """Says of a reference where it must be looked for. One thread at a time uses it.

    Args:
        journal: the journal's last run: its first sequence and its tag.
        bears_run: whether the journal holds this run.
    """

    def __init__(
        self, db: sqlite3.Connection, past: Past, kept: KeptFilter, journal: Callable[[], tuple[int, bytes]],
        bears_run: Callable[[int, bytes], bool],
    ) -> None:  # fmt: skip
        self._db = db
        self._past = past
        self._kept = kept
        self._journal = journal
        chunks, self._marks = kept.load() or ((), _NOTHING)
        if not bears_run(self._marks.first, self._marks.chain):
            chunks, self._marks = (), _NOTHING
        self._greatest = self._marks.greatest
        self._saved = max(len(chunks) - 1, 0)
        self._now = _Reading(db, past, chunks, self._marks)
        self._next: _Reading | None = None
        self._rebuild_at = 0

    @property
    def whole(self) -> bool:
        """Whether everything remembered is in the filter that is in force."""
        return self._now.whole

    @property
    def unread(self) -> tuple[Sequence[int], Sequence[str] | None]:
        """Buckets of the live spool, and files of the past (None: all), of which the filter knows nothing yet."""
        return self._now.buckets, self._now.files

    @property
    def bears(self) -> int:
        """How many new references a commit may bring without a long stop."""
        return LOOKS // (self._now.looks() or 1)

    def may_know(self, tag: bytes) -> bool:
        """False when the reference is surely in nothing that was read."""
        return self._now.filter.may_know(tag)

    def add(self, tags: Sequence[bytes], greatest: int) -> None:
        """References that a commit keeps, and the greatest id of their messages."""
        self._greatest = max(self._greatest, greatest)
        self._now.filter.add(tags)
        if self._next is not None:
            self._next.filter.add(tags)
        elif self._rebuild_at and len(self._now.filter) >= self._rebuild_at:
            self._next = _Reading(self._db, self._past)

    def step(self) -> bool:
        """Read a little more, or keep a chunk that is full; whether there is more to do. Half of the filter may be
        forgotten: then it is built anew beside the one in force."""
        reading = self._next or self._now
        if not reading.whole:
            if reading.step():
                return True
            if reading is self._next:
                self._marks, self._saved = _NOTHING, 0
            self._now, self._next = reading, None
            self._rebuild_at = 2 * len(reading.filter) + REBUILD
        return self._keep_one()

    def _keep_one(self) -> bool:
        """Keep the next full chunk, with what was true before; beside the last of them the newest, with what is."""
        chunks = self._now.filter.chunks
        if self._saved < len(chunks) - 1:
            self._kept.save(self._saved + 1, chunks[self._saved], self._marks)
            self._saved += 1
            if self._saved == len(chunks) - 1:
                self._keep_newest(chunks)
        return self._saved < len(chunks) - 1

    def _keep_newest(self, chunks: Sequence[Chunk]) -> None:
        first, chain = self._journal()
        past = {file: max(self._past.buckets(file) - 1, 0) for file in self._past.files()}
        self._marks = Marks(first, chain, self._greatest, past)
        self._kept.save(len(chunks), chunks[-1], self._marks)
        self._kept.forget(len(chunks))

    def close(self) -> None:
        """Keep what is worth keeping: nothing before all was read, or when reading it again is quick."""
        if not self.whole or self._next is not None or len(self._now.filter) < WORTH:
            return
        while self._keep_one():
            pass
        self._keep_newest(self._now.filter.chunks)


def _buckets_after(connection: sqlite3.Connection, greatest: int) -> list[int]:
    """The buckets of the messages with greater ids, oldest first."""
    found = connection.execute("SELECT DISTINCT bucket FROM message WHERE id > ? ORDER BY bucket", (greatest,))
    return [bucket for (bucket,) in found]


def nonempty(connection: sqlite3.Connection, table: str) -> list[int]:
    """The buckets of a tag index that hold something, oldest first: one step down the index for each, however many
    rows they hold."""
    walk = (
        f"WITH RECURSIVE x(b) AS (SELECT min(bucket) FROM {table} UNION ALL"
        f" SELECT (SELECT min(bucket) FROM {table} WHERE bucket > x.b) FROM x WHERE x.b IS NOT NULL)"
    )
    return [found for (found,) in connection.execute(f"{walk} SELECT b FROM x WHERE b IS NOT NULL")]
