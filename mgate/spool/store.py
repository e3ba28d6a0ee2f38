"""The live spool on SQLite: the one writer.

WAL, ``synchronous=FULL`` (with NORMAL, two power cuts of three lost something acknowledged), ``secure_delete=ON`` (FAST
left 2,997 of 3,000 deleted rows in the file). One transaction a batch: read the rows that the batch concerns, let a
``Turn`` decide, write what it leaves in statements of many rows.

Errors are of two kinds. A full or read-only disk rolls back cleanly: ``StoreFull``. Anything else that the disk says
leaves it unknown what is on it: ``StoreBroken``, and the process must end, because after a failed fsync the page cache
lies.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from mgate.spool import queries
from mgate.spool.engine import StoreBroken, StoreFull
from mgate.spool.filter import RefFilter
from mgate.spool.queries import Names, Value, read, select, write
from mgate.spool.rows import Attempt, Early, KnownRef, Row, Touched
from mgate.spool.schema import migrate
from mgate.spool.shelf import ShelfOnSqlite
from mgate.spool.turn import SameNumber, Turn
from mgate.spool.verbs import Result, Trim, Verb

BUCKET: Final = 1 << 12
"""Rows a bucket of a tag index holds: small enough that the newest stays in the page cache."""

SLICE: Final = 1_000
"""References that one slice of background work adds to the filter: a millisecond or two."""

REBUILD: Final = 1 << 20
"""References that are added, over as many again as it began with, until the filter is built anew."""

_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY})


WAL_MOST: Final = 64 << 20
"""Octets of WAL at which the writer itself copies it into the file, because the checkpoints beside it fell behind."""

WAL_OLDEST: Final = 30_000
"""Milliseconds after which the writer empties the WAL in any case: erased texts stay in it no longer than that."""

_LOOK_AT_WAL: Final = 16


class Told(NamedTuple):
    """A change of a message's state: on which route, which event, and milliseconds after its acceptance."""

    route: str
    event: str
    after: int


class Past(Protocol):
    """The memory of references whose messages are in history."""

    def refs(self, wanted: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], KnownRef]:
        """Which of these are known."""

    def tags(self) -> Iterator[Sequence[bytes]]:
        """Every reference tag remembered, in runs."""


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
        journalled: told, on the writer's thread, of every change of a message after its commit; for the counters.
    """

    def __init__(
        self,
        path: Path,
        database: bytes,
        same_number: SameNumber,
        past: Past,
        journalled: Callable[[Sequence[Told]], None] | None = None,
    ) -> None:
        self._db = _open(path, database)
        self._wal = path.with_name(path.name + "-wal")
        self._commits = 0
        self._emptied = 0
        self._journalled = journalled
        self._same_number = same_number
        self._names = Names(self._db)
        self._names.refresh()
        self._past = past
        self._shelf = ShelfOnSqlite(self._db, self._names, past)
        self._fresh_filter = RefFilter()
        self._loading: Iterator[Sequence[bytes]] | None = self._everything_remembered()
        self._rebuild_at = 0
        self._sequence = self._last("SELECT seq FROM sqlite_sequence WHERE name = 'journal'") + 1
        self._bucket = _Buckets(self._last("SELECT max(bucket) FROM part") + 1)
        op = max(self._last("SELECT max(op_bucket) FROM part"), self._last("SELECT max(op_bucket) FROM attempt"))
        self._op_bucket = _Buckets(op + 1)

    def _last(self, query: str) -> int:
        row = self._db.execute(query).fetchone()
        return int(row[0]) if row is not None and row[0] is not None else 0

    # ---- the verbs -------------------------------------------------------------------------------------------------

    def commit(self, verbs: Sequence[Verb], now: int) -> list[Result]:
        """See ``engine.Store``."""
        turn = Turn(self._shelf, now, self._sequence, self._same_number)
        results = self._transaction(turn, verbs)
        self._sequence = turn.ledger.next_sequence
        self._remember([message.ref_tag for message, _ in turn.inserted])
        if self._journalled is not None:
            self._journalled(_told(turn))
        self._commits += 1
        if self._commits % _LOOK_AT_WAL == 0:
            self._look_at_wal(now)
        return results

    def _look_at_wal(self, now: int) -> None:
        """Empty the WAL when it is old: under a load that never rests nobody else can, and it holds erased texts."""
        if now - self._emptied < WAL_OLDEST and _look(self._wal)[0] <= WAL_MOST:
            return
        self._db.execute("PRAGMA busy_timeout = 20")  # a reader's old snapshot may be in the way: then the next time
        self.checkpoint("TRUNCATE")
        self._db.execute("PRAGMA busy_timeout = 5000")
        self._emptied = now

    def sweep(self, now: int) -> int:
        """See ``engine.Store``."""
        turn = Turn(self._shelf, now, self._sequence, self._same_number)
        (swept,) = self._transaction(turn, None)
        self._sequence = turn.ledger.next_sequence
        return swept if isinstance(swept, int) else 0

    def greatest_id(self) -> int:
        """See ``engine.Store``."""
        return max(
            self._last("SELECT max(id) FROM part"),
            self._last("SELECT max(id) FROM inbound"),
            self._last("SELECT max(message) FROM (SELECT message FROM journal ORDER BY sequence DESC LIMIT 100000)"),
        )

    def tend(self, now: int) -> bool:
        """See ``engine.Store``: fills the reference filter after a start, and anew when half of it may be forgotten."""
        if self._loading is None:
            return False
        for tags in self._loading:
            self._fresh_filter.add(tags)
            return True
        self._loading = None
        self._shelf.filter = self._fresh_filter
        self._rebuild_at = 2 * len(self._fresh_filter) + REBUILD
        return False

    def _remember(self, tags: Sequence[bytes]) -> None:
        self._fresh_filter.add(tags)
        if self._shelf.filter is None or not tags:
            return
        if self._shelf.filter is not self._fresh_filter:
            self._shelf.filter.add(tags)
        elif len(self._fresh_filter) >= self._rebuild_at:
            self._fresh_filter = RefFilter()
            self._fresh_filter.add(tags)
            self._loading = self._everything_remembered()

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
        self.checkpoint("TRUNCATE")
        self._db.close()

    def _everything_remembered(self) -> Iterator[Sequence[bytes]]:
        greatest = 0
        while True:
            rows = self._db.execute(
                "SELECT id, ref_tag FROM part WHERE id > ? AND ref_tag IS NOT NULL ORDER BY id LIMIT ?",
                (greatest, SLICE),
            ).fetchall()
            if not rows:
                break
            greatest = rows[-1][0]
            yield [tag for _, tag in rows]
            if len(rows) < SLICE:
                break  # what is accepted from now on is added by its commit
        yield from self._past.tags()

    # ---- the transaction -------------------------------------------------------------------------------------------

    def _transaction(self, turn: Turn, verbs: Sequence[Verb] | None) -> list[Result]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            results: list[Result] = [turn.sweep()] if verbs is None else turn.run(verbs)
            self._write(turn)
            self._db.execute("COMMIT")
            self._hold(turn)
        except sqlite3.Error as error:
            try:
                self._roll_back()
            except sqlite3.Error as worse:
                raise StoreBroken(f"{error}; and then the transaction could not be rolled back: {worse}") from error
            raise _kind(error) from error
        except BaseException:
            self._roll_back()
            raise
        return results

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._names.refresh()  # names given in the transaction are gone with it
        self._shelf.hand.clear()
        self._shelf.refresh()

    def _hold(self, turn: Turn) -> None:
        hand = self._shelf.hand
        for _, rows in turn.inserted:
            for row in rows:
                hand.keep(row)
        for row in turn.ledger.changed.values():
            hand.keep(row)
        for message, _ in turn.forgotten:
            head = hand.row(message)
            for part in range(message, message + (1 if head is None else head.parts)):
                hand.let_go(part)

    def _write(self, turn: Turn) -> None:
        ledger = turn.ledger
        new = {row.id for _, rows in turn.inserted for row in rows}
        self._insert_parts(turn)
        self._update_parts([row for row in ledger.changed.values() if row.id not in new])
        self._write_attempts(list(ledger.attempts.values()))
        write(self._db, queries.insert_journal, [queries.journal_values(row, self._names) for row in ledger.journal])
        for early in turn.early_kept:
            self._keep_early(early)
        for early in turn.early_used:
            self._drop_early(early)
        for inbound in turn.inbound:
            account = self._names.number("route", inbound.account)
            self._db.execute(
                "INSERT OR IGNORE INTO inbound VALUES (?, ?, ?, ?, ?)",
                (inbound.id, account, inbound.created, inbound.period, inbound.sealed),
            )
        self._forget(turn.forgotten)
        for trim in turn.trims:
            self._trim(trim)

    def _insert_parts(self, turn: Turn) -> None:
        values = []
        for message, rows in turn.inserted:
            bucket = self._bucket.next()
            self._shelf.ref_buckets.add(bucket)
            values += [queries.new_part(message, row, bucket, self._names) for row in rows]
        write(self._db, queries.insert_parts, values)

    def _update_parts(self, rows: Sequence[Row]) -> None:
        by_columns: dict[int, list[tuple[Value, ...]]] = {}
        for row in rows:
            touched = row.touched
            bucket = self._bucket_of(row.newest) if touched & Touched.OPERATOR else 0
            values = queries.changed_part(row, touched, self._names, bucket)
            by_columns.setdefault(touched & ~Touched.STATE, []).append(values)
        for touched, values_of_kind in by_columns.items():
            columns = queries.columns_of(touched)
            erase = bool(touched & Touched.BODY)
            write(self._db, lambda n, c=columns, e=erase: queries.update(c, n, e), values_of_kind)  # type: ignore[misc]  # the lambda's defaults

    def _write_attempts(self, attempts: Sequence[Attempt]) -> None:
        values = [queries.attempt_values(attempt, self._names, self._bucket_of(attempt)) for attempt in attempts]
        self._shelf.old_op_buckets |= {attempt.operator_bucket for attempt in attempts if attempt.operator_tag}
        write(self._db, queries.insert_attempts, values)

    def _bucket_of(self, attempt: Attempt | None) -> int:
        if attempt is None or attempt.operator_tag is None or attempt.operator_bucket:
            return 0
        bucket = self._op_bucket.next()
        self._shelf.op_buckets.add(bucket)
        return bucket

    def _keep_early(self, early: Early) -> None:
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO early (account, key, told, reason, reference, seen) VALUES (?, ?, ?, ?, ?, ?)",
            (
                self._names.number("route", early.account), early.key, early.told.value, early.reason,
                early.reference, early.seen,
            ),
        )  # fmt: skip
        if cursor.rowcount:
            self._shelf.has_early = True
            rows = [(tag, cursor.lastrowid) for tag in early.tags]
            self._db.executemany("INSERT OR IGNORE INTO early_tag VALUES (?, ?)", rows)

    def _drop_early(self, early: Early) -> None:
        (found,) = self._db.execute(
            "SELECT id FROM early WHERE account = ? AND key = ? AND reference = ? AND told = ?",
            (self._names.number("route", early.account), early.key, early.reference, early.told.value),
        ).fetchone()
        self._db.executemany("DELETE FROM early_tag WHERE tag = ? AND early = ?", [(tag, found) for tag in early.tags])
        self._db.execute("DELETE FROM early WHERE id = ?", (found,))

    def _forget(self, messages: Sequence[tuple[int, int]]) -> None:
        """Delete these messages, but for those whose journal has moved on since they were copied."""
        if not messages:
            return
        found = {head: facts for head, *facts in read(self._db, _facts_to_forget, [head for head, _ in messages])}
        still = [(head, *found[head][1:]) for head, event in messages if head in found and found[head][0] == event]
        parts = [head + n for head, count, _ in still for n in range(count)]
        tried = [head + n for head, count, attempts in still if count > 1 or attempts > 1 for n in range(count)]
        write(self._db, _delete_parts, [(part,) for part in parts])
        write(self._db, _delete_attempts, [(part,) for part in tried])

    def _trim(self, trim: Trim) -> None:
        old = self._db.execute(
            "SELECT id FROM early WHERE seen < ? LIMIT ?", (trim.early_before, trim.limit)
        ).fetchall()
        for (early,) in old:
            self._db.execute("DELETE FROM early_tag WHERE early = ?", (early,))
            self._db.execute("DELETE FROM early WHERE id = ?", (early,))
        first = self._db.execute("SELECT sequence, at FROM journal ORDER BY sequence LIMIT 1").fetchone()
        if first is not None and first[1] < trim.journal_before:
            self._db.execute(
                "DELETE FROM journal WHERE sequence < ? AND at < ?", (first[0] + trim.limit, trim.journal_before)
            )
        self._shelf.refresh()


def _facts_to_forget(heads: int) -> str:
    return select("id, event, parts, attempts", "part", "id", heads)


def _delete_parts(parts: int) -> str:
    return f"DELETE FROM part WHERE id IN ({','.join('?' * parts)})"


def _delete_attempts(parts: int) -> str:
    return f"DELETE FROM attempt WHERE part IN ({','.join('?' * parts)})"


def _told(turn: Turn) -> list[Told]:
    rows = turn.ledger.rows
    return [
        Told(rows[event.message].route, event.event, event.at - rows[event.message].created)
        for event in turn.ledger.journal
        if event.message in rows
    ]


class Checkpointer:
    """Copies the WAL into the file from a connection of its own, so that no commit waits for it. One thread uses it.

    A WAL that nobody writes to any more is emptied too: it still holds pages as they were before, among them the texts
    that have been erased since.
    """

    def __init__(self, path: Path) -> None:
        self._wal = path.with_name(path.name + "-wal")
        self._db = connect(path)
        self._db.execute("PRAGMA busy_timeout = 0")
        self._seen = (0, 0)

    def step(self, least: int) -> None:
        """Copy what can be copied, if the WAL has more than ``least`` octets or has not changed since the last step."""
        seen = _look(self._wal)
        if seen[0] and seen == self._seen:
            # Where somebody reads or writes after all, this does nothing and comes again.
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        elif seen[0] > least:
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._seen = seen

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def _look(path: Path) -> tuple[int, int]:
    """Size, and nanoseconds of the last change."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


class _Buckets:
    """Gives bucket numbers: a new one after every ``BUCKET`` rows."""

    def __init__(self, first: int) -> None:
        self._count = first * BUCKET

    def next(self) -> int:
        self._count += 1
        return self._count // BUCKET


def _kind(error: sqlite3.Error) -> StoreFull | StoreBroken:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    sentence = f"{getattr(error, 'sqlite_errorname', 'SQLITE_ERROR')}: {error}"
    return StoreFull(sentence) if code in _FULL else StoreBroken(sentence)
