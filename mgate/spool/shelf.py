"""What a turn reads of the SQLite spool: the ``Shelf`` of ``rows``, in as few statements as its batches allow."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from mgate.model.entry import Told
from mgate.model.message import Fate, State
from mgate.spool.filter import RefFilter
from mgate.spool.lifecycle import fold_parts
from mgate.spool.queries import ATTEMPT, ROW, STATE, Names, Values, attempt_of, blob, read, row_of, select
from mgate.spool.rows import Attempt, Early, Found, KnownRef, Row, Touched


class PastRefs(Protocol):
    """The memory of references whose messages are in history."""

    def refs(self, wanted: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], KnownRef]:
        """Which of these are known."""


HELD: Final = 20_000
"""Rows that stay at hand: about 20 MiB, and more than what is under way at most banks."""


class Hand:
    """The rows that the last commits touched, as they left them: the newest are asked for again within seconds.

    One thread writes, so what is at hand is what is on the disk. When a transaction fails, what it touched is not: then
    all of it is let go.
    """

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}
        self._by_tag: dict[tuple[str, bytes], Row] = {}
        self._twice: set[tuple[str, bytes]] = set()

    def row(self, part: int) -> Row | None:
        """The row of a part, if it is at hand."""
        return self._rows.get(part)

    def operator_id(self, account: str, tag: bytes) -> Found | None:
        """The one attempt at hand that bears this id of the account and waits for its receipt.

        None where the disk must be asked: ids that an operator gave twice are all looked at there.
        """
        key = (account, tag)
        row = None if key in self._twice else self._by_tag.get(key)
        if row is None or row.newest is None or row.newest.operator_tag != tag or row.newest.fate is not Fate.ACCEPTED:
            return None
        return Found(row.id, row.newest.n, tag)

    def keep(self, row: Row) -> None:
        """Hold a row as a commit has just left it."""
        row.touched = Touched.NOTHING
        self._rows.pop(row.id, None)
        self._rows[row.id] = row
        attempt = row.newest
        if attempt is not None and attempt.operator_tag is not None:
            key = (attempt.route, attempt.operator_tag)
            if self._by_tag.setdefault(key, row) is not row:
                self._twice.add(key)
        if len(self._rows) > HELD:
            self.let_go(next(iter(self._rows)))

    def let_go(self, part: int) -> None:
        """Forget a row: it is gone, or too much is held."""
        row = self._rows.pop(part, None)
        if row is not None and row.newest is not None and row.newest.operator_tag is not None:
            key = (row.newest.route, row.newest.operator_tag)
            if self._by_tag.get(key) is row:
                del self._by_tag[key]

    def clear(self) -> None:
        """Forget everything."""
        self._rows.clear()
        self._by_tag.clear()
        self._twice.clear()


class ShelfOnSqlite:
    """The writer's own view: inside its transaction, on its connection.

    Attributes:
        ref_buckets, op_buckets: the buckets of the tag indexes that hold something; ``old_op_buckets``: those in which
            an attempt before the newest of its part does.
        filter: which references may be known; None until everything remembered is in it.
        hand: the rows that the last commits touched.
        has_early: whether any early receipt is kept; most of the time none is, and nobody need ask.
    """

    def __init__(self, connection: sqlite3.Connection, names: Names, past: PastRefs) -> None:
        self._db = connection
        self._names = names
        self._past = past
        self.filter: RefFilter | None = None
        self.ref_buckets: set[int] = set()
        self.op_buckets: set[int] = set()
        self.old_op_buckets: set[int] = set()
        self.has_early = False
        self.hand = Hand()
        self.refresh()

    def refresh(self) -> None:
        """Look again at what the tables hold."""
        self.ref_buckets = set(nonempty(self._db, "part", "bucket", "ref_tag"))
        self.op_buckets = set(nonempty(self._db, "part", "op_bucket", "op_tag"))
        self.old_op_buckets = set(nonempty(self._db, "attempt", "op_bucket", "op_tag"))
        self.op_buckets |= self.old_op_buckets
        self.has_early = self._db.execute("SELECT 1 FROM early LIMIT 1").fetchone() is not None

    def load(self, ids: Sequence[int]) -> Iterator[Row]:
        """See ``rows.Shelf``."""
        missing = []
        for part in ids:
            row = self.hand.row(part)
            if row is None:
                missing.append(part)
            else:
                yield row
        for values in read(self._db, lambda n: select(ROW, "part", "id", n), missing):
            yield row_of(values, self._names)

    def load_messages(self, heads: Sequence[int]) -> Iterator[Row]:
        """See ``rows.Shelf``."""
        found = read(self._db, lambda n: select("id, parts", "part", "id", n), heads)
        parts = [head + n for head, count in found for n in range(count)]
        yield from self.load(parts)

    def older(self, part: int) -> list[Attempt]:
        """See ``rows.Shelf``."""
        found = self._db.execute(f"SELECT {ATTEMPT} FROM attempt WHERE part = ? ORDER BY n", (part,))
        return [attempt_of(values, self._names) for values in found]

    def sealed(self, heads: Sequence[int]) -> dict[int, tuple[bytes, bytes | None]]:
        """See ``rows.Shelf``."""
        found = read(self._db, lambda n: select("id, hex(envelope), hex(body)", "part", "id", n), heads)
        return {head: (bytes.fromhex(envelope), blob(body)) for head, envelope, body in found}

    def refs(self, wanted: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], KnownRef]:
        """See ``rows.Shelf``."""
        if self.filter is not None:
            wanted = [key for key in wanted if self.filter.may_know(key[1])]
        if not wanted:
            return {}
        known: dict[tuple[str, bytes], KnownRef] = {}
        clients: dict[str, list[bytes]] = {}
        for client, tag in wanted:
            clients.setdefault(client, []).append(tag)
        for client, tags in clients.items():
            number = self._names.known("client", client)
            for bucket in sorted(self.ref_buckets, reverse=True) if number else ():
                known.update(self._refs_in(bucket, client, number, tags))
        missing = [key for key in wanted if key not in known]
        if missing:
            known.update(self._past.refs(missing))
        return known

    def _refs_in(
        self, bucket: int, client: str, number: int, tags: Sequence[bytes]
    ) -> Iterator[tuple[tuple[str, bytes], KnownRef]]:
        columns = "hex(ref_tag), id, parts, hex(content_tag), state"
        tail = " AND bucket = ? AND client = ?"
        found = read(self._db, lambda n: select(columns, "part", "ref_tag", n, tail), tags, bucket, number)
        for tag, head, parts, content, state in found:
            stands = self._fold(head, parts) if parts > 1 else STATE[state]
            yield (client, bytes.fromhex(tag)), KnownRef(head, parts, bytes.fromhex(content), stands)

    def _fold(self, head: int, parts: int) -> State:
        found = self._db.execute("SELECT state FROM part WHERE id BETWEEN ? AND ?", (head, head + parts - 1))
        return fold_parts([STATE[state] for (state,) in found])

    def group(self, client: str, tag: bytes) -> list[int]:
        """See ``rows.Shelf``."""
        number = self._names.known("client", client)
        found = self._db.execute(
            "SELECT id FROM part WHERE group_tag = ? AND client = ? AND state < 5 ORDER BY id", (tag, number)
        )
        return [head for (head,) in found]

    def operator_ids(self, account: str, tags: Sequence[bytes]) -> list[Found]:
        """See ``rows.Shelf``."""
        route = self._names.known("route", account)
        found = [hit for hit in (self.hand.operator_id(account, tag) for tag in tags) if hit is not None]
        seen = {hit.tag for hit in found}
        tags = [tag for tag in tags if tag not in seen]
        for bucket in sorted(self.op_buckets, reverse=True) if route and tags else ():
            found += map(_found, read(self._db, _newest_by_operator_id, tags, bucket, route))
            if bucket in self.old_op_buckets:
                found += map(_found, read(self._db, _older_by_operator_id, tags, bucket, route))
        return found

    def references(self, account: str, reference: int) -> list[Found]:
        """See ``rows.Shelf``."""
        route = self._names.known("route", account)
        rows = self._db.execute(
            "SELECT id, attempts FROM part WHERE reference = ? AND fate IN (1, 4) AND attempt_route = ?"
            " UNION ALL SELECT part, n FROM attempt WHERE reference = ? AND fate IN (1, 4) AND route = ?",
            (reference, route, reference, route),
        )
        return [Found(part, n, b"") for part, n in rows]

    def early(self, account: str, tag: bytes) -> list[Early]:
        """See ``rows.Shelf``."""
        if not self.has_early:
            return []
        rows = self._db.execute(
            "SELECT e.id, e.key, e.told, e.reason, e.reference, e.seen FROM early_tag AS t"
            " JOIN early AS e ON e.id = t.early WHERE t.tag = ? AND e.account = ? ORDER BY e.seen, e.id",
            (tag, self._names.known("route", account)),
        ).fetchall()
        return [
            Early(account, key, self._early_tags(number), Told(told), reason, reference, seen)
            for number, key, told, reason, reference, seen in rows
        ]

    def _early_tags(self, early: int) -> tuple[bytes, ...]:
        return tuple(tag for (tag,) in self._db.execute("SELECT tag FROM early_tag WHERE early = ?", (early,)))

    def wakes(self, now: int, limit: int) -> list[int]:
        """See ``rows.Shelf``."""
        found = self._db.execute("SELECT id FROM part WHERE wake <= ? ORDER BY wake LIMIT ?", (now, limit))
        return [part for (part,) in found]

    def open_attempts(self) -> list[int]:
        """See ``rows.Shelf``."""
        return [part for (part,) in self._db.execute("SELECT id FROM part WHERE fate IN (1, 4) AND fate = 1")]


def _found(values: Values) -> Found:
    part, attempt, tag = values
    return Found(part, attempt, bytes.fromhex(tag))


def _newest_by_operator_id(tags: int) -> str:
    return select("id, attempts, hex(op_tag)", "part", "op_tag", tags, " AND op_bucket = ? AND attempt_route = ?")


def _older_by_operator_id(tags: int) -> str:
    return select("part, n, hex(op_tag)", "attempt", "op_tag", tags, " AND op_bucket = ? AND route = ?")


def nonempty(connection: sqlite3.Connection, table: str, bucket: str, tag: str) -> list[int]:
    """The buckets of a tag index that hold something: one step down the index for each, however many rows they hold."""
    first = f"SELECT min({bucket}) AS b FROM {table} WHERE {tag} IS NOT NULL"
    after = f"SELECT min({bucket}) FROM {table} WHERE {tag} IS NOT NULL AND {bucket} > x.b"
    walk = f"WITH RECURSIVE x(b) AS ({first} UNION ALL SELECT ({after}) FROM x WHERE x.b IS NOT NULL)"
    return [found for (found,) in connection.execute(f"{walk} SELECT b FROM x WHERE b IS NOT NULL")]
