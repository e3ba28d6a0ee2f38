"""Which references may be known: the filter, and how it is read in after a start.

A start accepts before anything is read: a million references take seconds. So the filter is in force at once, and what
it has not read yet is asked on the disk: first all buckets of the live spool are read, the newest first, then the files
of ended messages. Live before ended, because messages move that way: one that moves meanwhile is seen in one of both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from mgate.spool.filter import RefFilter
from mgate.spool.rows import KnownRef

REBUILD: Final = 1 << 20
"""References that are added, over as many again as it began with, until the filter is built anew."""

LOOKS: Final = 40_000
"""Looks into a bucket that one commit may cost: about 50 ms."""

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

    def tags(self, file: str) -> Iterator[Sequence[bytes]]:
        """Every reference tag of a file, in runs; none when it is gone."""


class _Reading:
    """A filter, and what is not in it yet: ``buckets`` of the live spool, and ``files``, None for all."""

    def __init__(self, db: sqlite3.Connection, past: Past) -> None:
        self.filter = RefFilter()
        self.buckets = nonempty(db, "message")
        self.files: list[str] | None = None
        self._sizes = {file: past.buckets(file) for file in past.files()}
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
            self._runs = self._past.tags(self.files[-1])


class Recall:
    """Says of a reference where it must be looked for. One thread at a time uses it."""

    def __init__(self, db: sqlite3.Connection, past: Past) -> None:
        self._db = db
        self._past = past
        self._now = _Reading(db, past)
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

    def add(self, tags: Sequence[bytes]) -> None:
        """References that a commit keeps."""
        self._now.filter.add(tags)
        if self._next is not None:
            self._next.filter.add(tags)
        elif self._rebuild_at and len(self._now.filter) >= self._rebuild_at:
            self._next = _Reading(self._db, self._past)

    def step(self) -> bool:
        """Read a little more; whether there is more to read. Half of the filter may be forgotten: then it is built
        anew beside the one in force."""
        reading = self._next or self._now
        if reading.whole:
            return False
        if reading.step():
            return True
        self._now, self._next = reading, None
        self._rebuild_at = 2 * len(reading.filter) + REBUILD
        return False


def nonempty(connection: sqlite3.Connection, table: str) -> list[int]:
    """The buckets of a tag index that hold something, oldest first: one step down the index for each, however many
    rows they hold."""
    walk = (
        f"WITH RECURSIVE x(b) AS (SELECT min(bucket) FROM {table} UNION ALL"
        f" SELECT (SELECT min(bucket) FROM {table} WHERE bucket > x.b) FROM x WHERE x.b IS NOT NULL)"
    )
    return [found for (found,) in connection.execute(f"{walk} SELECT b FROM x WHERE b IS NOT NULL")]
