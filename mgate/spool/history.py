"""History: sealed files of ended messages, one for each period of a retention group, and the memory of references.

An ended message leaves the live spool for the file of the period that it was accepted in, as one sealed story. When
the period's retention ends, the file goes and its key with it: never a mass DELETE. Beside them stand files of
references, one for each day on which messages ended, so that a reference is remembered for its days whatever its
message's retention, and forgotten by deleting a file.

The order of a move: the story is on the disk, then the reference, then the live spool forgets. A crash in between moves
the message again, and the second copy takes the place of the first.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from mgate.model.message import State
from mgate.spool.rows import KnownRef
from mgate.spool.shelf import nonempty

_BUCKET: Final = 1 << 14
_OPEN_FILES: Final = 8
_RUN: Final = 1_000

_STORIES: Final = """
    CREATE TABLE IF NOT EXISTS story (
        id INTEGER PRIMARY KEY,
        bucket INTEGER NOT NULL,
        client TEXT NOT NULL,
        class INTEGER NOT NULL,
        state INTEGER NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        ended INTEGER NOT NULL,
        ref_tag BLOB NOT NULL,
        phone_tag BLOB NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS story_ref ON story (bucket, ref_tag);
    CREATE INDEX IF NOT EXISTS story_phone ON story (bucket, phone_tag);
"""
_REFS: Final = """
    CREATE TABLE IF NOT EXISTS ref (
        bucket INTEGER NOT NULL,
        client TEXT NOT NULL,
        tag BLOB NOT NULL,
        content_tag BLOB NOT NULL,
        message INTEGER NOT NULL,
        parts INTEGER NOT NULL,
        state INTEGER NOT NULL,
        PRIMARY KEY (bucket, client, tag)
    ) STRICT, WITHOUT ROWID;
"""


# The buckets of a file, by one step down the index for each: DISTINCT would read the whole index.
_BUCKETS: Final = (
    "WITH RECURSIVE x(b) AS (SELECT min(bucket) FROM story UNION ALL"
    " SELECT (SELECT min(bucket) FROM story WHERE bucket > x.b) FROM x WHERE x.b IS NOT NULL)"
    " SELECT b FROM x WHERE b IS NOT NULL"
)

_REF: Final = "SELECT message, parts, content_tag, state FROM ref WHERE bucket = ? AND client = ? AND tag = ?"


class SealedStory(msgspec.Struct, frozen=True, gc=False):
    """A story as its file keeps it; moments in milliseconds. ``event``: the journal's last row when it was copied."""

    message: int
    parts: int
    client: str
    traffic: int
    state: State
    created: int
    expires: int
    ended: int
    period: int
    ref_tag: bytes
    content_tag: bytes
    phone_tag: bytes
    sealed: bytes
    event: int


def story_file(folder: Path, period: int) -> Path:
    """The file of a period's stories."""
    return folder / f"period-{period:08d}.db"


def _refs_file(folder: Path, at: int) -> Path:
    return folder / f"refs-{datetime.fromtimestamp(at / 1000, UTC):%Y%m%d}.db"


class HistoryWriter:
    """Puts ended messages into their files. One thread uses it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: OrderedDict[Path, sqlite3.Connection] = OrderedDict()

    def put(self, stories: Sequence[SealedStory], now: int) -> None:
        """Have these on the disk, and their references, when it returns; ``now`` in milliseconds."""
        by_period: dict[int, list[SealedStory]] = {}
        for story in stories:
            by_period.setdefault(story.period, []).append(story)
        for period, of_period in by_period.items():
            self._put_stories(self._connection(story_file(self._folder, period), _STORIES), of_period)
        self._put_refs(self._connection(_refs_file(self._folder, now), _REFS), stories)

    def _put_stories(self, file: sqlite3.Connection, stories: Sequence[SealedStory]) -> None:
        bucket = _newest_bucket(file, "story")
        rows = [
            (
                one.message, bucket, one.client, one.traffic, one.state, one.created, one.expires, one.ended,
                one.ref_tag, one.phone_tag, one.sealed,
            )
            for one in stories
        ]  # fmt: skip
        with _transaction(file):
            file.executemany("INSERT OR REPLACE INTO story VALUES (?,?,?,?,?,?,?,?,?,?,?)", rows)

    def _put_refs(self, file: sqlite3.Connection, stories: Sequence[SealedStory]) -> None:
        bucket = _newest_bucket(file, "ref")
        rows = [
            (bucket, one.client, one.ref_tag, one.content_tag, one.message, one.parts, one.state) for one in stories
        ]
        with _transaction(file):
            file.executemany("INSERT OR REPLACE INTO ref VALUES (?,?,?,?,?,?,?)", rows)

    def drop_refs_before(self, moment: int) -> list[Path]:
        """Delete the files of references of days that ended before ``moment`` (milliseconds)."""
        keep = _refs_file(self._folder, moment).name
        old = [path for path in sorted(self._folder.glob("refs-*.db")) if path.name < keep]
        for path in old:
            self._drop(path)
        return old

    def drop_period(self, period: int) -> None:
        """Delete a period's file; its key is destroyed by the caller, first."""
        self._drop(story_file(self._folder, period))

    def _drop(self, path: Path) -> None:
        connection = self._open.pop(path, None)
        if connection is not None:
            connection.close()
        for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            file.unlink(missing_ok=True)

    def close(self) -> None:
        """Close every file."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def _connection(self, path: Path, script: str) -> sqlite3.Connection:
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        while len(self._open) >= _OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.executescript(script)
        self._open[path] = connection
        return connection


class _transaction:  # noqa: N801  # reads as a word of the ``with`` statement
    def __init__(self, file: sqlite3.Connection) -> None:
        self._file = file

    def __enter__(self) -> None:
        self._file.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if error is None:
                self._file.execute("COMMIT")
        finally:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")


def _newest_bucket(file: sqlite3.Connection, table: str) -> int:
    """The bucket that new rows go into; a new one when the last has its rows."""
    (newest,) = file.execute(f"SELECT max(bucket) FROM {table}").fetchone()  # two names of ours
    if newest is None:
        return 0
    (rows,) = file.execute(f"SELECT count(*) FROM {table} WHERE bucket = ?", (newest,)).fetchone()
    return int(newest) + int(rows >= _BUCKET)


class PastRefs:
    """The references of ended messages, as the writer of the live spool looks them up. One thread uses it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[Path, sqlite3.Connection] = {}

    def refs(self, wanted: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], KnownRef]:
        """See ``rows.Shelf``."""
        known: dict[tuple[str, bytes], KnownRef] = {}
        for file in self._files():
            for bucket in nonempty(file, "ref", "bucket", "tag"):
                for client, tag in wanted:
                    row = file.execute(_REF, (bucket, client, tag)).fetchone()
                    if row is not None:
                        known[client, tag] = KnownRef(row[0], row[1], row[2], State(row[3]))
        return known

    def tags(self) -> Iterator[Sequence[bytes]]:
        """Every reference tag remembered, in runs."""
        for file in self._files():
            cursor = file.execute("SELECT tag FROM ref")
            while run := cursor.fetchmany(_RUN):
                yield [tag for (tag,) in run]

    def _files(self) -> list[sqlite3.Connection]:
        paths = sorted(self._folder.glob("refs-*.db"), reverse=True)
        for gone in [path for path in self._open if path not in paths]:
            self._open.pop(gone).close()
        for path in paths:
            if path not in self._open:
                file = _reading(path)
                if file.execute("SELECT 1 FROM sqlite_master WHERE name = 'ref'").fetchone():
                    self._open[path] = file
                else:
                    file.close()  # its writer is just making it
        return [self._open[path] for path in paths if path in self._open]


class FoundStory(msgspec.Struct, frozen=True, gc=False):
    """A sealed story as a question found it; moments in milliseconds."""

    message: int
    period: int
    client: str
    traffic: int
    created: int
    expires: int
    sealed: bytes


class HistoryReader:
    """Finds stories. Opens a file for each question and closes it after; one thread uses it.

    ``on_damaged`` is told of a file that cannot be read; what else is known is still answered.
    """

    def __init__(self, folder: Path, on_damaged: Callable[[Path, sqlite3.Error], None]) -> None:
        self._folder = folder
        self._on_damaged = on_damaged

    def by_id(self, message: int, periods: Sequence[int]) -> FoundStory | None:
        """The story of a message that was accepted in one of these periods."""
        for period in periods:
            found = self._find(period, "id = ?", (message,))
            if found:
                return found[0]
        return None

    def by_tag(self, column: str, tags: Sequence[tuple[int, bytes]], limit: int) -> list[FoundStory]:
        """The newest stories that bear, in this column, the tag given with the period; newest period first."""
        found: list[FoundStory] = []
        for period, tag in tags:
            found += self._find(period, f"bucket IN ({_BUCKETS}) AND {column} = ?", (tag,))
            if len(found) >= limit:
                break
        return sorted(found, key=lambda story: -story.message)[:limit]

    def _find(self, period: int, where: str, key: tuple[int | bytes]) -> list[FoundStory]:
        path = story_file(self._folder, period)
        if not path.exists():
            return []
        columns = "id, client, class, created, expires, sealed"
        try:
            with closing(_reading(path)) as file:
                rows = file.execute(f"SELECT {columns} FROM story WHERE {where}", key).fetchall()
        except sqlite3.DatabaseError as error:
            self._on_damaged(path, error)
            return []
        return [FoundStory(row[0], period, *row[1:]) for row in rows]


def _reading(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection
