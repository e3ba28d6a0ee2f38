"""The live spool on SQLite: the one writer.

WAL, ``synchronous=FULL`` (with NORMAL, two power cuts of three lost something acknowledged), ``secure_delete=ON`` (FAST
left 2,997 of 3,000 deleted rows in the file). One transaction a batch: read the rows that the batch concerns, let a
``Turn`` decide, write what it leaves. ``work`` touches the page cache alone; the disk is waited for in ``flush``.

Errors are of two kinds. A full or read-only disk rolls back cleanly: ``StoreFull``. Anything else that the disk says
leaves it unknown what is on it: ``StoreBroken``, and the process must end, because after a failed fsync the page cache
lies.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from mgate.spool import queries
from mgate.spool.early import drop_early, keep_early, trim_all
from mgate.spool.engine import Ending, News, StoreBroken, StoreFull, Told, told_of
from mgate.spool.journal import Box, FeedEvent, seal_run, tag_of
from mgate.spool.kept_filter import KeptFilter
from mgate.spool.queries import Changes, Removals
from mgate.spool.recall import Past
from mgate.spool.schema import migrate
from mgate.spool.shelf import OpenWords, ShelfOnSqlite
from mgate.spool.story import ending_of
from mgate.spool.turn import SameNumber, Turn
from mgate.spool.verbs import Result, Verb

BUCKET: Final = 1 << 10
"""Rows a bucket of a tag index holds: small enough that the newest stays in the page cache."""

_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY})


WAL_MOST: Final = 64 << 20
"""Octets of WAL at which the writer itself copies it into the file, because the checkpoints beside it fell behind."""

WAL_OLDEST: Final = 30_000
"""Milliseconds after which the writer empties the WAL in any case: erased texts stay in it no longer than that."""

_LOOK_AT_WAL: Final = 16


_T = TypeVar("_T")


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection to a spool file, set as the product needs it."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA cache_size = -32768")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


def _open(path: Path, database: bytes) -> sqlite3.Connection:
    try:
        connection = connect(path)
        migrate(connection, database)
    except sqlite3.Error as error:
        raise _kind(error) from error
    return connection


class SqliteStore:
    """A ``Store`` in one SQLite file.

    Args:
        path: the file; made when it is not there.
        database: the uuid of the keyring that seals its records.
        same_number: compares a phone tag with the numbers of a receipt.
        past: the references of ended messages.
        box: seals the journal.
        open_words: opens the client's own words in an envelope.
    """

    def __init__(  # built once, by wiring
        self, path: Path, database: bytes, same_number: SameNumber, past: Past, box: Box, open_words: OpenWords
    ) -> None:
        self._db = _open(path, database)
        self._path = path
        self._seen = (0, 0)
        self._commits = 0
        self._emptied = 0
        self._same_number = same_number
        self._box = box
        try:
            self._shelf = ShelfOnSqlite(self._db, past, KeptFilter(path), open_words)
        except sqlite3.Error as error:  # of a file of references
            raise _kind(error) from error
        self._now = 0
        self._news = News([], [], journalled=False)
        self._clients: set[str] = set()
        self._sequence, self._chain = 1, b""
        self._look_up_journal()
        self._bucket = (self._last("SELECT max(bucket) FROM message") + 1) * BUCKET
        self._op = self._last("SELECT max(id) FROM op")

    def _last(self, query: str) -> int:
        row = self._db.execute(query).fetchone()
        return int(row[0]) if row is not None and row[0] is not None else 0

    def _look_up_journal(self) -> None:
        last = self._db.execute("SELECT first, count, sealed FROM journal ORDER BY first DESC LIMIT 1").fetchone()
        self._sequence, self._chain = (1, b"") if last is None else (last[0] + last[1], tag_of(last[2]))

    # ---- the verbs -------------------------------------------------------------------------------------------------

    def work(self, verbs: Sequence[Verb], now: int) -> list[Result]:
        """See ``engine.Store``."""
        return self._work(now, lambda turn: turn.run(verbs))

    def sweep(self, now: int, routes: tuple[str, ...] = ()) -> int:
        """See ``engine.Store``."""
        swept = self._work(now, lambda turn: turn.sweep(routes))
        self.flush()
        return swept

    def flush(self) -> News:
        """See ``engine.Store``."""
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(error) from error
        self._commits += 1
        if self._commits % _LOOK_AT_WAL == 0:
            self._look_at_wal(self._now)
        return self._news

    def tidy(self) -> None:
        """See ``engine.Store``: a WAL that nobody writes to any more still holds texts that have been erased since."""
        seen = wal_of(self._path)
        if seen[0] and seen == self._seen:
            self.checkpoint("TRUNCATE")
        self._seen = seen

    def _look_at_wal(self, now: int) -> None:
        """Empty the WAL when it is old: under a load that never rests nobody else can, and it holds erased texts."""
        if now - self._emptied < WAL_OLDEST and wal_of(self._path)[0] <= WAL_MOST:
            return
        self._db.execute("PRAGMA busy_timeout = 20")  # a reader's old snapshot may be in the way: then the next time
        self.checkpoint("TRUNCATE")
        self._db.execute("PRAGMA busy_timeout = 5000")
        self._emptied = now

    def greatest_id(self) -> int:
        """See ``engine.Store``."""
        return max(
            self._last("SELECT max(id) FROM part"),
            self._last("SELECT max(id) FROM inbound"),
            self._last("SELECT max(greatest) FROM (SELECT greatest FROM journal ORDER BY first DESC LIMIT 10000)"),
        )

    def tend(self, now: int) -> bool:
        """See ``engine.Store``: reads the references that are remembered into their filter."""
        try:
            return self._shelf.recall.step()
        except sqlite3.Error as error:  # not even a full one: what stands beside this was committed, and is to be told
            raise StoreBroken(str(_kind(error))) from error

    @property
    def bears(self) -> int:
        """See ``engine.Store``."""
        return self._shelf.recall.bears

    def checkpoint(self, mode: str) -> None:
        """Copy the WAL into the file; ``mode`` is PASSIVE, RESTART or TRUNCATE. Without room it stays as it is, safe.

        Raises:
            StoreBroken: the disk cannot be trusted any more.
        """
        try:
            self._db.execute(f"PRAGMA wal_checkpoint({mode})")
        except sqlite3.Error as error:
            kind = _kind(error)
            if isinstance(kind, StoreBroken):
                raise kind from error

    def close(self) -> None:
        """See ``engine.Store``."""
        self._shelf.recall.close()
        self.checkpoint("TRUNCATE")
        self._db.close()

    # ---- the transaction -------------------------------------------------------------------------------------------

    def _work(self, now: int, run: Callable[[Turn], _T]) -> _T:
        turn = Turn(self._shelf, now, self._sequence, self._same_number)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            results = run(turn)
            self._write(turn, now)
        except sqlite3.Error as error:
            raise self._failed(error) from error
        except BaseException:
            self._roll_back()
            raise
        self._now = now
        self._sequence = turn.ledger.next_sequence
        if turn.inserted:
            self._shelf.recall.add(
                [message.ref_tag for message, _ in turn.inserted], max(message.id for message, _ in turn.inserted)
            )
        return results

    def _failed(self, error: sqlite3.Error) -> StoreFull | StoreBroken:
        try:
            self._roll_back()
        except sqlite3.Error as worse:
            return StoreBroken(f"{error}; and then the transaction could not be rolled back: {worse}")
        return _kind(error)

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._clients.clear()
        self._shelf.hand.clear()
        self._shelf.refresh()
        self._look_up_journal()

    def _write(self, turn: Turn, now: int) -> None:
        self._insert(turn)
        changes = Changes(now, self._next_op, _op_bucket, turn.ledger.moved)
        for row in turn.ledger.changed.values():
            changes.add(row)
        self._change(changes)
        over = self._endings(turn)
        self._forget(turn)
        self._tell(turn, now)
        self._shelf.hand.trim()
        for early in turn.early_kept:
            self._shelf.has_early = keep_early(self._db, early) or self._shelf.has_early
        for early in turn.early_used:
            drop_early(self._db, early)
        if turn.inbound:
            values = [(new.id, new.account, new.created, new.period, new.sealed) for new, _ in turn.inbound]
            self._db.executemany(queries.INSERT_INBOUND, values)
        if turn.acks:
            self._db.executemany(queries.WRITE_CURSOR, [(*key, cursor) for key, cursor in turn.acks.items()])
        for bury in turn.buried:
            self._db.executemany(queries.WRITE_DEAD, [msgspec.structs.astuple(dead) for dead in bury.dead])
            self._db.executemany(queries.DELETE_DEAD, [(bury.client, bury.feed, first) for first in bury.raised])
        for trim in turn.trims:
            trim_all(self._db, trim)
            self._shelf.refresh()
        self._news = News(_told(turn), over, bool(turn.ledger.journal or turn.inbound), turn.ledger.repeats)

    def _insert(self, turn: Turn) -> None:
        values, bodies = [], []
        heads = self._shelf.hand.heads
        for message, rows in turn.inserted:
            if message.client not in self._clients:
                self._clients.add(message.client)
                self._db.execute("INSERT OR IGNORE INTO client VALUES (?)", (message.client,))
            self._bucket += 1
            bucket = self._bucket // BUCKET
            self._shelf.ref_buckets.add(bucket)
            values.append(queries.message_values(message, bucket))
            if rows[0].keeps_text:
                bodies.append((message.id, message.body))
            heads[message.id] = message
        if values:
            self._db.executemany(queries.INSERT_MESSAGE, values)
        if bodies:
            self._db.executemany(queries.INSERT_BODY, bodies)
        if turn.ledger.erased:
            self._erase(turn.ledger.erased)

    def _erase(self, messages: Sequence[int]) -> None:
        self._db.executemany(queries.delete("body"), [(message,) for message in messages])
        heads = self._shelf.hand.heads
        for message in messages:
            if message in heads:
                heads[message] = heads[message].without_text()

    def _next_op(self) -> int:
        self._op += 1
        self._shelf.op_buckets.add(_op_bucket(self._op))
        return self._op

    def _change(self, changes: Changes) -> None:
        run = self._db.executemany
        for statement, values in (
            (queries.WRITE_PART, changes.parts),
            (queries.DELETE_READY, changes.unqueued),
            (queries.INSERT_READY, changes.queued),
            (queries.DELETE_WAKE, changes.untimed),
            (queries.INSERT_WAKE, changes.timers),
            (queries.INSERT_OPEN, changes.opened),
            (queries.delete("open"), changes.closed),
            (queries.INSERT_DOUBT, changes.doubted),
            (queries.DELETE_DOUBT, changes.undoubted),
            (queries.WRITE_OP, changes.ops),
        ):
            if values:
                run(statement, values)
        if changes.doubted:
            self._shelf.has_doubt = True

    def _endings(self, turn: Turn) -> list[Ending]:
        over = turn.ledger.over
        if not over:
            return []
        heads = self._shelf.heads(list(over))
        siblings = turn.ledger.siblings
        return [ending_of(heads[message], siblings(row)) for message, row in over.items()]

    def _forget(self, turn: Turn) -> None:
        """Delete these messages, but for those whose journal has moved on since they were copied."""
        hand = self._shelf.hand
        for row in turn.ledger.changed.values():
            hand.keep(row)
        if turn.forgotten:
            turn.ledger.load_messages([message for message, _ in turn.forgotten])
            removals = Removals()
            for message, event in turn.forgotten:
                head = turn.ledger.rows.get(message)
                if head is not None and head.event == event:
                    removals.add(turn.ledger.siblings(head))
            self._remove(removals)

    def _remove(self, removals: Removals) -> None:
        for table, keys in (
            ("message", removals.messages), ("body", removals.bodies), ("part", removals.parts), ("op", removals.ops),
        ):  # fmt: skip
            if keys:
                self._db.executemany(queries.delete(table), keys)
        if removals.timed:
            self._db.executemany(queries.DELETE_WAKE, removals.timed)
        if removals.undoubted:
            self._db.executemany(queries.DELETE_DOUBT, removals.undoubted)
        for (part,) in removals.parts:
            self._shelf.hand.let_go(part)

    def _tell(self, turn: Turn, now: int) -> None:
        """Append this commit's run to the journal."""
        events = _events(turn, self._shelf)
        if events:
            run = seal_run(self._box, events, self._chain, now)
            greatest = max(event.message for event in events)
            self._db.execute(queries.INSERT_RUN, (run.first, run.events, now, greatest, run.period, run.sealed))
            self._chain = tag_of(run.sealed)


def _op_bucket(place: int) -> int:
    return place // BUCKET


def _events(turn: Turn, shelf: ShelfOnSqlite) -> list[FeedEvent]:
    journal = turn.ledger.journal
    heads = shelf.heads(list({row.id: None for row, _ in journal}))
    events = [
        FeedEvent(
            told.sequence, row.id, row.client, heads[row.id].ref, told.event, told.reason, told.may_have_been_sent,
            told.at, row.parts, heads[row.id].meta, row.route,
        )
        for row, told in journal
    ]  # fmt: skip
    if turn.inbound:
        events += [
            FeedEvent(told.sequence, new.id, "", "", told.event, told.reason, False, told.at, 1, b"")
            for new, told in turn.inbound
        ]
        events.sort(key=lambda event: event.sequence)
    return events


def _told(turn: Turn) -> list[Told]:
    return [told_of(row, event) for row, event in turn.ledger.journal]


def wal_of(path: Path) -> tuple[int, int]:
    """Size of the spool's WAL, and nanoseconds of its last change."""
    try:
        status = path.with_name(path.name + "-wal").stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _kind(error: sqlite3.Error) -> StoreFull | StoreBroken:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    sentence = f"{getattr(error, 'sqlite_errorname', 'SQLITE_ERROR')}: {error}"
    return StoreFull(sentence) if code in _FULL else StoreBroken(sentence)
