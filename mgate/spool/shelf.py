"""What a turn reads of the SQLite spool: the ``Shelf`` of ``rows``; from the hand where it can, else from the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence

import msgspec

from mgate.model.entry import Told
from mgate.spool.hand import Hand
from mgate.spool.journal import tag_of
from mgate.spool.kept_filter import KeptFilter
from mgate.spool.lifecycle import fold_parts
from mgate.spool.queries import decode_row, read, select
from mgate.spool.recall import Past, Recall, RefKey, nonempty
from mgate.spool.rows import Early, Found, Head, Hit, KnownRef, Row


class StoredHead(msgspec.Struct, frozen=True, gc=False):
    """What never changes of a message, read back: see ``rows.Head``."""

    id: int
    client: str
    ref_tag: bytes
    content_tag: bytes
    envelope: bytes
    body: bytes
    ref: str
    meta: bytes

    def without_text(self) -> StoredHead:
        """The same, its text erased."""
        return msgspec.structs.replace(self, body=b"")

    def __repr__(self) -> str:
        return f"StoredHead({self.id})"


OpenWords = Callable[[Row, bytes], tuple[str, bytes]]
"""The client's own reference and meta in the sealed envelope of a head; empty ones when it cannot be opened."""


class ShelfOnSqlite:
    """The writer's own view: inside its transaction, on its connection.

    Attributes:
        ref_buckets, op_buckets: the buckets of the tag indexes that hold something.
        recall: which references may be known, and where to look for them.
        hand: the rows that the last commits touched.
        has_early: whether any early receipt is kept; most of the time none is, and nobody need ask.
        has_doubt: whether any attempt is in doubt; the same.
    """

    def __init__(
        self, connection: sqlite3.Connection, past: Past, kept: KeptFilter, open_words: OpenWords
    ) -> None:  # fmt: skip
        self._db = connection
        self._past = past
        self._open_words = open_words
        self.recall = Recall(connection, past, kept, self._last_run, self._bears_run)
        self.ref_buckets: set[int] = set()
        self.op_buckets: set[int] = set()
        self.has_early = self.has_doubt = False
        self.hand = Hand()
        self.refresh()

    def _last_run(self) -> tuple[int, bytes]:
        found = self._db.execute("SELECT first, sealed FROM journal ORDER BY first DESC LIMIT 1").fetchone()
        return (0, b"") if found is None else (found[0], tag_of(found[1]))

    def _bears_run(self, first: int, chain: bytes) -> bool:
        found = self._db.execute("SELECT sealed FROM journal WHERE first = ?", (first,)).fetchone()
        return found is not None and tag_of(found[0]) == chain

    def refresh(self) -> None:
        """Look again at what the tables hold."""
        self.ref_buckets = set(nonempty(self._db, "message"))
        self.op_buckets = set(nonempty(self._db, "op"))
        self.has_early = self._db.execute("SELECT 1 FROM early LIMIT 1").fetchone() is not None
        self.has_doubt = self._db.execute("SELECT 1 FROM doubt LIMIT 1").fetchone() is not None

    def load(self, ids: Sequence[int]) -> Iterator[Row]:
        """See ``rows.Shelf``."""
        missing = []
        at_hand = self.hand.rows
        for part in ids:
            row = at_hand.get(part)
            if row is None:
                missing.append(part)
            else:
                yield row
        if missing:
            for (value,) in read(self._db, _rows, missing):
                yield decode_row(value)

    def load_messages(self, heads: Sequence[int]) -> Iterator[Row]:
        """See ``rows.Shelf``."""
        for head in self.load(heads):
            yield head
            if head.parts > 1:
                yield from self.load(range(head.id + 1, head.id + head.parts))

    def heads(self, messages: Sequence[int]) -> dict[int, Head]:
        """See ``rows.Shelf``. What is read is kept at hand with its rows."""
        found: dict[int, Head] = {}
        missing = []
        at_hand = self.hand.heads
        for message in messages:
            head = at_hand.get(message)
            if head is None:
                missing.append(message)
            else:
                found[message] = head
        if missing:
            rows = {row.id: row for row in self.load(missing)}
            bodies: dict[int, bytes] = dict(read(self._db, _bodies, missing))
            for id_, client, ref_tag, content_tag, envelope in read(self._db, _heads, missing):
                ref, meta = self._open_words(rows[id_], envelope)
                body = bodies.get(id_, b"")
                found[id_] = at_hand[id_] = StoredHead(id_, client, ref_tag, content_tag, envelope, body, ref, meta)
        return found

    def refs(self, wanted: Sequence[RefKey]) -> dict[RefKey, KnownRef]:
        """See ``rows.Shelf``."""
        may_know, (buckets, files) = self.recall.may_know, self.recall.unread
        suspects = [key for key in wanted if may_know(key[1])]
        known = self._look_up(suspects, sorted(self.ref_buckets), None) if suspects else {}
        if buckets or files != []:
            others = [key for key in wanted if key not in known]
            known.update(self._look_up(others, buckets, files))
        return known

    def _look_up(
        self, wanted: Sequence[RefKey], buckets: Sequence[int], files: Sequence[str] | None
    ) -> dict[RefKey, KnownRef]:  # fmt: skip
        """Which of these are known, in these buckets of the live spool or these files of the past."""
        known: dict[RefKey, KnownRef] = {}
        missing: list[RefKey] = []
        for key in wanted:
            found = read(self._db, _by_ref, buckets, *key)
            if found:
                known[key] = self._known(*found[0])
            else:
                missing.append(key)
        if missing and files != []:
            known.update(self._past.refs(missing, files))
        return known

    def _known(self, head: int, content_tag: bytes) -> KnownRef:
        rows = list(self.load_messages([head]))
        return KnownRef(head, len(rows), content_tag, fold_parts([row.state for row in rows]))

    def group(self, client: str, tag: bytes) -> list[int]:
        """See ``rows.Shelf``."""
        found = self._db.execute(
            "SELECT m.id FROM message AS m JOIN part AS p ON p.id = m.id"
            " WHERE group_tag = ? AND m.client = ? AND state < 5 ORDER BY m.id",
            (tag, client),
        )
        return [head for (head,) in found]

    def at_hand(self, account: str, tag: bytes) -> Hit | None:
        """See ``rows.Shelf``."""
        return self.hand.operator_id(account, tag)

    def operator_ids(self, account: str, tags: Sequence[bytes]) -> list[Found]:
        """See ``rows.Shelf``."""
        buckets = sorted(self.op_buckets)
        found = [
            (place, part, n, tag)
            for tag in dict.fromkeys(tags)
            for place, part, n in read(self._db, _by_operator_id, buckets, tag, account)
        ]
        return [Found(part, n, tag) for _, part, n, tag in sorted(found, reverse=True)]

    def references(self, account: str, reference: int) -> list[Found]:
        """See ``rows.Shelf``."""
        found = []
        if self.has_doubt:
            rows = self._db.execute(
                "SELECT part, n FROM doubt WHERE account = ? AND reference = ?", (account, reference)
            )
            found = [Found(part, n, b"") for part, n in rows]
        for part in self.open_attempts():
            for row in self.load([part]):
                attempt = row.tries[-1]
                if (attempt.route, attempt.reference) == (account, reference):
                    found.append(Found(part, attempt.n, b""))
        return found

    def early(self, account: str, tag: bytes) -> list[Early]:
        """See ``rows.Shelf``."""
        if not self.has_early:
            return []
        rows = self._db.execute(
            "SELECT e.id, e.key, e.told, e.reason, e.reference, e.seen FROM early_tag AS t"
            " JOIN early AS e ON e.id = t.early WHERE t.tag = ? AND e.account = ? ORDER BY e.seen, e.id",
            (tag, account),
        ).fetchall()
        return [
            Early(account, key, self._early_tags(number), Told(told), reason, reference, seen)
            for number, key, told, reason, reference, seen in rows
        ]

    def _early_tags(self, early: int) -> tuple[bytes, ...]:
        return tuple(tag for (tag,) in self._db.execute("SELECT tag FROM early_tag WHERE early = ?", (early,)))

    def cursors(self, client: str) -> dict[str, int]:
        """See ``rows.Shelf``."""
        return dict(self._db.execute("SELECT name, cursor FROM feed WHERE client = ?", (client,)))

    def wakes(self, now: int, limit: int) -> list[int]:
        """See ``rows.Shelf``."""
        found = self._db.execute("SELECT id FROM wake WHERE at <= ? ORDER BY at LIMIT ?", (now, limit))
        return [part for (part,) in found]

    def from_the_future(self, first: int) -> list[int]:
        """See ``rows.Shelf``."""
        return [part for (part,) in self._db.execute("SELECT id FROM part WHERE id >= ? AND state = 1", (first,))]

    def open_attempts(self) -> list[int]:
        """See ``rows.Shelf``."""
        return [part for (part,) in self._db.execute("SELECT id FROM open")]


def _by_ref(buckets: int) -> str:
    return select("id, content_tag", "message", "bucket", buckets, " AND client = ? AND ref_tag = ?")


def _rows(parts: int) -> str:
    return select("row", "part", "id", parts)


def _bodies(heads: int) -> str:
    return select("id, sealed", "body", "id", heads)


def _heads(heads: int) -> str:
    return select("id, client, ref_tag, content_tag, envelope", "message", "id", heads)


def _by_operator_id(buckets: int) -> str:
    return select("id, part, n", "op", "bucket", buckets, " AND tag = ? AND account = ?")
