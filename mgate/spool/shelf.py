"""What a turn reads of the SQLite spool: the ``Shelf`` of ``rows``, in as few statements as its batches allow."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Protocol

from mgate.model.entry import Told
from mgate.model.message import State
from mgate.spool.filter import RefFilter
from mgate.spool.lifecycle import fold_parts
from mgate.spool.queries import ATTEMPT, ROW, STATE, Names, attempt_of, read, row_of, select
from mgate.spool.rows import Attempt, Early, Found, KnownRef, Row


class PastRefs(Protocol):
    """The memory of references whose messages are in history."""

    def refs(self, wanted: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], KnownRef]:
        """Which of these are known."""


class ShelfOnSqlite:
    """The writer's own view: inside its transaction, on its connection.

    Attributes:
        ref_buckets, op_buckets: the buckets of the tag indexes that hold something.
        filter: which references may be known; None until everything remembered is in it.
        has_early: whether any early receipt is kept; most of the time none is, and nobody need ask.
    """

    def __init__(self, connection: sqlite3.Connection, names: Names, past: PastRefs) -> None:
        self._db = connection
        self._names = names
        self._past = past
        self.filter: RefFilter | None = None
        self.ref_buckets: set[int] = set()
        self.op_buckets: set[int] = set()
        self.has_early = False
        self.refresh()

    def refresh(self) -> None:
        """Look again at what the tables hold."""
        self.ref_buckets = set(nonempty(self._db, "part", "bucket", "ref_tag"))
        self.op_buckets = set(nonempty(self._db, "part", "op_bucket", "op_tag"))
        self.op_buckets |= set(nonempty(self._db, "attempt", "op_bucket", "op_tag"))
        self.has_early = self._db.execute("SELECT 1 FROM early LIMIT 1").fetchone() is not None

    def load(self, ids: Sequence[int]) -> Iterator[Row]:
        """See ``rows.Shelf``."""
        for values in read(self._db, lambda n: select(ROW, "part", "id", n), ids):
            yield row_of(values, self._names)

    def load_messages(self, heads: Sequence[int]) -> Iterator[Row]:
        """See ``rows.Shelf``."""
        found = read(self._db, lambda n: select("id, parts", "part", "id", n), heads)
        parts = [head + n for head, count in list(found) for n in range(int(count or 0))]
        yield from self.load(parts)

    def older(self, part: int) -> list[Attempt]:
        """See ``rows.Shelf``."""
        found = self._db.execute(f"SELECT {ATTEMPT} FROM attempt WHERE part = ? ORDER BY n", (part,))
        return [attempt_of(values, self._names) for values in found]

    def sealed(self, heads: Sequence[int]) -> dict[int, tuple[bytes, bytes | None]]:
        """See ``rows.Shelf``."""
        found = read(self._db, lambda n: select("id, envelope, body", "part", "id", n), heads)
        return {head: (envelope, body) for head, envelope, body in found}

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
        columns = "ref_tag, id, parts, content_tag, state"
        tail = " AND bucket = ? AND client = ?"
        for tag, head, parts, content, state in list(
            read(self._db, lambda n: select(columns, "part", "ref_tag", n, tail), tags, bucket, number)
        ):
            stands = self._fold(head, parts) if parts > 1 else STATE[state]
            yield (client, tag), KnownRef(head, parts, content, stands)

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
        found: list[Found] = []
        for bucket in sorted(self.op_buckets, reverse=True) if route and tags else ():
            found += [Found(*hit) for hit in read(self._db, _newest_by_operator_id, tags, bucket, route)]
            found += [Found(*hit) for hit in read(self._db, _older_by_operator_id, tags, bucket, route)]
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


def _newest_by_operator_id(tags: int) -> str:
    return select("id, attempts, op_tag", "part", "op_tag", tags, " AND op_bucket = ? AND attempt_route = ?")


def _older_by_operator_id(tags: int) -> str:
    return select("part, n, op_tag", "attempt", "op_tag", tags, " AND op_bucket = ? AND route = ?")


def nonempty(connection: sqlite3.Connection, table: str, bucket: str, tag: str) -> list[int]:
    """The buckets of a tag index that hold something: one step down the index for each, however many rows they hold."""
    first = f"SELECT min({bucket}) AS b FROM {table} WHERE {tag} IS NOT NULL"
    after = f"SELECT min({bucket}) FROM {table} WHERE {tag} IS NOT NULL AND {bucket} > x.b"
    walk = f"WITH RECURSIVE x(b) AS ({first} UNION ALL SELECT ({after}) FROM x WHERE x.b IS NOT NULL)"
    return [found for (found,) in connection.execute(f"{walk} SELECT b FROM x WHERE b IS NOT NULL")]
