"""History: files of ended messages, one for each period of a retention group, and the memory of references.

An ended message leaves the live spool for the file of the period that it was accepted in. What ended together stands
there in one sealed block; beside the blocks stand tags, so that a message is found by its number or its reference
without opening any other. When the period's retention ends, the file goes and its key with it: never a mass DELETE.
Apart from them stand files of references, one for each day on which messages ended, so that a reference is remembered
for its days whatever its message's retention, and forgotten by deleting a file.

The order of a move: the block is on the disk, then the references, then the live spool forgets. A crash in between
moves the messages again; of a message that stands in two blocks the later one counts.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import cache
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from time import time_ns
from typing import Any, Final, Protocol

import msgspec

from mgate.model.message import State
from mgate.seal.errors import SealError
from mgate.spool.engine import Ending
from mgate.spool.queries import read, select
from mgate.spool.recall import nonempty
from mgate.spool.rows import KnownRef
from mgate.spool.story import StoredStory, read_stories

BLOCK: Final = 500
"""Stories that one block holds at most."""

STRAGGLER: Final = 600_000
"""Milliseconds from acceptance to end beyond which a message goes into a block of its likes: so the ids of a block
stand close together, and few blocks must be opened to find one."""

_BUCKET: Final = 1 << 12
_OPEN_FILES: Final = 8
_RUN: Final = 1_000
_SIZES: Final = (256, 64, 16, 4, 1)
_REST: Final = 2_000_000_000  # nanoseconds: longer than any step of a file system's clock

_STORIES: Final = """
    CREATE TABLE IF NOT EXISTS block (
        id INTEGER PRIMARY KEY,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        stories INTEGER NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS block_last ON block (last, first);
    CREATE TABLE IF NOT EXISTS tag (
        bucket INTEGER NOT NULL,
        tag BLOB NOT NULL,
        message INTEGER NOT NULL,
        block INTEGER NOT NULL,
        PRIMARY KEY (bucket, tag, message, block)
    ) STRICT, WITHOUT ROWID;
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
_BLOCKS_OF: Final = "SELECT id, sealed FROM block WHERE last >= ? AND first <= ?"


class BlockBox(Protocol):
    """Seals and opens blocks: of this period, with this number."""

    def seal(self, period: int, number: int, plain: bytes) -> bytes:
        """Seal a block."""

    def unseal(self, period: int, number: int, sealed: bytes) -> bytes:
        """Open a block."""


def story_file(folder: Path, period: int) -> Path:
    """The file of a period's stories."""
    return folder / f"period-{period:08d}.db"


def _refs_file(folder: Path, at: int) -> Path:
    return folder / f"refs-{datetime.fromtimestamp(at / 1000, UTC):%Y%m%d}.db"


class _File:
    """One open file, and the numbers that the next rows of it get."""

    def __init__(self, path: Path, script: str, table: str) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute("PRAGMA secure_delete = ON")
        self.db.execute("PRAGMA temp_store = MEMORY")
        self.db.executescript(script)
        (newest,) = self.db.execute(f"SELECT max(bucket) FROM {table}").fetchone()  # a name of ours
        self._count = 0 if newest is None else (int(newest) + 1) * _BUCKET

    def bucket(self, rows: int) -> int:
        """The bucket of the next rows, which go together."""
        bucket = self._count // _BUCKET
        self._count += rows
        return bucket


class HistoryWriter:
    """Puts ended messages into their files. One thread uses it."""

    def __init__(self, folder: Path, box: BlockBox) -> None:
        self._folder = folder
        self._box = box
        self._open: OrderedDict[Path, _File] = OrderedDict()
        self._encode = msgspec.msgpack.Encoder().encode

    def put(self, endings: Sequence[Ending], now: int) -> None:
        """Have these on the disk, and their references, when it returns; ``now`` in milliseconds."""
        blocks: dict[tuple[int, bool], list[Ending]] = {}
        for one in endings:
            blocks.setdefault((one.period, one.ended - one.created > STRAGGLER), []).append(one)
        for (period, _), together in sorted(blocks.items()):
            file = self._file(story_file(self._folder, period), _STORIES, "tag")
            for start in range(0, len(together), BLOCK):
                self._put_block(file, period, together[start : start + BLOCK])
        self._put_refs(self._file(_refs_file(self._folder, now), _REFS, "ref"), endings)

    def _put_block(self, file: _File, period: int, together: Sequence[Ending]) -> None:
        (last,) = file.db.execute("SELECT max(id) FROM block").fetchone()
        number = int(last or 0) + 1
        ids = [one.message for one in together]
        plain = self._encode([msgspec.Raw(one.story) for one in together])
        sealed = self._box.seal(period, number, plain)
        bucket = file.bucket(2 * len(together))
        tags = sorted((tag, one.message) for one in together for tag in (one.ref_tag, one.phone_tag))
        with _transaction(file.db):
            file.db.execute("INSERT INTO block VALUES (?,?,?,?,?)", (number, min(ids), max(ids), len(ids), sealed))
            _write(file.db, "INSERT OR IGNORE INTO tag", [(bucket, tag, message, number) for tag, message in tags])

    def _put_refs(self, file: _File, endings: Sequence[Ending]) -> None:
        bucket = file.bucket(len(endings))
        rows = [
            (bucket, one.client, one.ref_tag, one.content_tag, one.message, one.parts, one.state) for one in endings
        ]
        with _transaction(file.db):
            _write(file.db, "INSERT OR REPLACE INTO ref", sorted(rows))

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
        file = self._open.pop(path, None)
        if file is not None:
            file.db.close()
        for one in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            one.unlink(missing_ok=True)

    def close(self) -> None:
        """Close every file."""
        for file in self._open.values():
            file.db.close()
        self._open.clear()

    def _file(self, path: Path, script: str, table: str) -> _File:
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        while len(self._open) >= _OPEN_FILES:
            self._open.popitem(last=False)[1].db.close()
        file = self._open[path] = _File(path, script, table)
        return file


@cache
def _many(head: str, columns: int, rows: int) -> str:
    return f"{head} VALUES {','.join(['(' + ','.join('?' * columns) + ')'] * rows)}"


def _write(file: sqlite3.Connection, head: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows in few statements: this thread wins the interpreter's lock back once for each, beside a busy
    reactor. Their sizes are few, so that their prepared forms are found again."""
    start = 0
    for size in _SIZES:
        while len(rows) - start >= size:
            run = rows[start : start + size]
            file.execute(_many(head, len(run[0]), size), tuple(chain.from_iterable(run)))
            start += size


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


class PastRefs:
    """The references of ended messages, as the writer of the live spool looks them up. One thread uses it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[Path, sqlite3.Connection] = {}

    def files(self) -> list[str]:
        """The names of the files, the oldest day first."""
        return [path.name for path in self._paths()]

    def refs(
        self, wanted: Sequence[tuple[str, bytes]], files: Sequence[str] | None = None
    ) -> dict[tuple[str, bytes], KnownRef]:
        """Which of these are known, in these files or in all."""
        known: dict[tuple[str, bytes], KnownRef] = {}
        for path in self._paths():  # the oldest day first: of two that know it, the later one counts
            if files is not None and path.name not in files:
                continue
            file = self._file(path)
            if file is None:
                continue
            buckets = nonempty(file, "ref")
            for client, tag in wanted:
                for message, parts, content_tag, state in read(file, _ref, buckets, client, tag):
                    known[client, tag] = KnownRef(message, parts, content_tag, State(state))
        return known

    def buckets(self, file: str) -> int:
        """How many buckets a file has, about."""
        opened = self._file(self._folder / file)
        (newest,) = (None,) if opened is None else opened.execute("SELECT max(bucket) FROM ref").fetchone()
        return 0 if newest is None else int(newest) + 1

    def tags(self, file: str, first: int = 0) -> Iterator[Sequence[bytes]]:
        """Every reference tag of a file from a bucket on, in runs; none when it is gone. By a connection of its own,
        which a deletion of the file meanwhile does not close."""
        path = self._folder / file
        if not path.exists():
            return
        with closing(_reading(path)) as own:
            if _made(own):
                cursor = own.execute("SELECT tag FROM ref WHERE bucket >= ?", (first,))
                while run := cursor.fetchmany(_RUN):
                    yield [tag for (tag,) in run]

    def close(self) -> None:
        """Let go of the files."""
        for file in self._open.values():
            file.close()
        self._open.clear()

    def _paths(self) -> list[Path]:
        paths = sorted(self._folder.glob("refs-*.db"))
        for gone in [path for path in self._open if path not in paths]:
            self._open.pop(gone).close()
        return paths

    def _file(self, path: Path) -> sqlite3.Connection | None:
        """None when its writer is just making it."""
        if path not in self._open:
            file = _reading(path)
            if not _made(file):
                file.close()
                return None
            self._open[path] = file
        return self._open[path]


def _made(file: sqlite3.Connection) -> bool:
    return file.execute("SELECT 1 FROM sqlite_master WHERE name = 'ref'").fetchone() is not None


def _ref(buckets: int) -> str:
    tail = " AND client = ? AND tag = ? ORDER BY bucket"
    return select("message, parts, content_tag, state", "ref", "bucket", buckets, tail)


class HistoryReader:
    """Finds stories. Opens a file for each question and closes it after; one thread uses it.

    ``on_damaged`` is told of a file or a block that cannot be read; what else is known is still answered.
    """

    def __init__(
        self, folder: Path, box: BlockBox, on_damaged: Callable[[Path, sqlite3.Error | SealError], None]
    ) -> None:
        self._folder = folder
        self._box = box
        self._on_damaged = on_damaged

    def remembered(self, wanted: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], int]:
        """The messages of these (client, ref tag), of those that are within the memory of references."""
        # Not kept open: who asks seldom would hold the octets of files that are long deleted.
        with closing(PastRefs(self._folder)) as past:
            try:
                return {key: known.message for key, known in past.refs(wanted).items()}
            except sqlite3.DatabaseError as error:
                self._on_damaged(self._folder, error)
                return {}

    def by_id(self, message: int, periods: Sequence[int]) -> StoredStory | None:
        """The story of a message that was accepted in one of these periods."""
        for period in periods:
            for stories in self._opened(period, _BLOCKS_OF, (message, message)):
                for story in stories:
                    if story.rows[0].id == message:
                        return story
        return None

    def by_tag(self, tags: Sequence[tuple[int, bytes]], limit: int) -> list[StoredStory]:
        """The newest stories that bear a tag given with its period. Newest period first, its tags side by side."""
        found: dict[int, StoredStory] = {}
        for period, pairs in groupby(tags, key=itemgetter(0)):
            wanted = self._tagged(period, [tag for _, tag in pairs], limit)
            blocks = sorted(set(wanted.values()))
            stories = self._find(period, f"SELECT id, sealed FROM block WHERE id IN ({_marks(blocks)})", blocks)
            found.update({message: stories[message] for message in wanted if message in stories})
            if len(found) >= limit:
                break
        return [found[message] for message in sorted(found, reverse=True)[:limit]]

    def blocks(self, period: int, first: int, last: int) -> list[tuple[int, int]]:
        """The blocks of a period in which messages from id ``first`` to ``last`` may stand: number, stories in it."""
        query = "SELECT id, stories FROM block WHERE last >= ? AND first <= ? ORDER BY id"
        return self._ask(period, lambda file: file.execute(query, (first, last)).fetchall())

    def stories(self, period: int, block: int) -> list[StoredStory]:
        """The stories of one block; none when it cannot be opened, and ``on_damaged`` was told."""
        return list(self._find(period, "SELECT id, sealed FROM block WHERE id = ?", (block,)).values())

    def _tagged(self, period: int, tags: Sequence[bytes], limit: int) -> dict[int, int]:
        """The newest messages that bear one of these tags, with the last block that holds each."""

        def question(file: sqlite3.Connection) -> list[tuple[int, int]]:
            (last,) = file.execute("SELECT max(bucket) FROM tag").fetchone()
            if last is None:
                return []
            # Two short statements: to prepare one that walks the buckets costs more than all the rest of a small file.
            buckets = ",".join(map(str, range(last + 1)))
            query = f"SELECT message, block FROM tag WHERE bucket IN ({buckets}) AND tag IN ({_marks(tags)})"
            return file.execute(query, tuple(tags)).fetchall()

        return dict(sorted(dict(sorted(self._ask(period, question))).items(), reverse=True)[:limit])

    def _find(self, period: int, query: str, values: Sequence[int]) -> dict[int, StoredStory]:
        """The stories of the blocks that a query gives, by message; the later block's where two hold it."""
        found: dict[int, StoredStory] = {}
        for stories in self._opened(period, query, values) if values else ():
            for story in stories:
                found.setdefault(story.rows[0].id, story)
        return found

    def _opened(self, period: int, query: str, values: Sequence[int]) -> Iterator[list[StoredStory]]:
        """The blocks that a query gives, the latest first, each opened when it is asked for."""
        blocks = self._ask(period, lambda file: file.execute(query, tuple(values)).fetchall())
        for number, sealed in sorted(blocks, reverse=True):
            try:
                yield read_stories(self._box.unseal(period, number, sealed))
            except SealError as error:
                self._on_damaged(story_file(self._folder, period), error)

    def _ask(self, period: int, question: Callable[[sqlite3.Connection], list[Any]]) -> list[Any]:
        path = story_file(self._folder, period)
        try:
            rest = _rest(path)
            if rest is not None:
                found = _asked_at_rest(path, question)
                if found is not None and _rest(path) == rest:
                    return found
            with closing(_reading(path)) as file:
                return question(file)
        except FileNotFoundError:
            return []
        except sqlite3.DatabaseError as error:
            if not _unbegun(path):
                self._on_damaged(path, error)
            return []


def _unbegun(path: Path) -> bool:
    """Whether a file has no block and not all its tables: a power cut came before its first commit, or it is just being
    made. Nothing is lost by it, for nothing was moved there; who writes to it next makes the rest."""
    with suppress(sqlite3.DatabaseError), closing(_reading(path)) as file:
        tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master")}
        return "tag" not in tables and ("block" not in tables or not file.execute("SELECT id FROM block").fetchone())
    return False


def _rest(path: Path) -> tuple[int, int] | None:
    """What a file that nobody has written for a while is known again by; None while it may be written.

    Raises:
        FileNotFoundError: there is no such file.
    """
    stat = path.stat()
    if time_ns() - stat.st_mtime_ns < _REST or path.with_name(path.name + "-wal").exists():
        return None
    return stat.st_mtime_ns, stat.st_size


def _asked_at_rest(path: Path, question: Callable[[sqlite3.Connection], list[Any]]) -> list[Any] | None:
    """The answer of a file at rest, without locks and without its shared memory: a fifth of the time that these take,
    and a search asks more than a thousand files. None when it cannot be read so."""
    try:
        address = f"{path.absolute().as_uri()}?immutable=1"
        with closing(sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)) as file:
            return question(file)
    except sqlite3.DatabaseError:
        return None


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _reading(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection
