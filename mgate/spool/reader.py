"""Questions about the live spool: a read-only connection on its own thread; no question waits for a commit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mgate.model.message import COUNT_BITS, ENDED, State, TrafficClass
from mgate.model.ready import Ask, Header, Mark, Ready
from mgate.spool.engine import Count, Ending, Queued, Record, StoredEvents, Waiting
from mgate.spool.queries import decode_row, read, select
from mgate.spool.recall import nonempty
from mgate.spool.rows import Row
from mgate.spool.shelf import StoredHead
from mgate.spool.store import connect
from mgate.spool.story import ending_of
from mgate.spool.verbs import DeadRun

_READY = (
    "SELECT id, n, parts, attempts, expires FROM ready"
    " WHERE route = ? AND lane = ? AND client = ? AND due <= ? AND expires > ? ORDER BY due, id LIMIT ?"
)
_CLIENTS = (
    "WITH RECURSIVE x(c) AS (SELECT min(client) FROM ready WHERE route = ?1 AND lane = ?2 UNION ALL"
    " SELECT (SELECT min(client) FROM ready WHERE route = ?1 AND lane = ?2 AND client > x.c) FROM x"
    " WHERE x.c IS NOT NULL) SELECT c FROM x WHERE c IS NOT NULL"
)
_NEXT_DUE = "SELECT min(due) FROM ready WHERE route = ? AND lane = ? AND client = ? AND due > ?"
_QUEUED = (
    "SELECT client, due, id, n FROM ready WHERE route = ? AND lane = ? AND (client, due, id) > (?, ?, ?) AND due <= ?"
    " ORDER BY client, due, id LIMIT ?"
)
_ROUTES = (
    "WITH RECURSIVE x(r) AS (SELECT min(route) FROM ready UNION ALL"
    " SELECT (SELECT min(route) FROM ready WHERE route > x.r) FROM x WHERE x.r IS NOT NULL)"
    " SELECT r FROM x WHERE r IS NOT NULL"
)
# The millisecond of its acceptance stands in the id.
_COUNTS = (
    f"SELECT route, class, client, 1, due <= ?, count(*), min(id) >> {COUNT_BITS} FROM ready GROUP BY 1, 2, 3, 5"
    f" UNION ALL SELECT route, class, client, state, 0, count(*), min(id) >> {COUNT_BITS} FROM part"
    " WHERE state > 1 GROUP BY 1, 2, 3, 4"
)
_ENDED = min(ENDED)


class SqliteReader:
    """A ``Reader`` of the SQLite spool."""

    def __init__(self, path: Path) -> None:
        self._db = connect(path, read_only=True)

    def ready(self, ask: Ask, now: int) -> Ready:
        """See ``engine.Reader``."""
        headers: list[Header] = []
        dues: list[int] = []
        for (client,) in self._db.execute(_CLIENTS, (ask.route, ask.lane)).fetchall():
            (due,) = self._db.execute(_NEXT_DUE, (ask.route, ask.lane, client, now)).fetchone()
            if due is not None:
                dues.append(due)
            if client not in ask.skip:
                rows = self._db.execute(_READY, (ask.route, ask.lane, client, now, now, ask.limit)).fetchall()
                headers += [Header(part, n, parts, client, tries, end / 1000) for part, n, parts, tries, end in rows]
        return Ready(tuple(headers), min(dues) / 1000 if dues else 0.0)

    def queued(self, route: str, lane: int, after: Mark, limit: int, now: int) -> list[Queued]:
        """See ``engine.Reader``."""
        found = self._db.execute(_QUEUED, (route, lane, *after, now, limit))
        return [Queued(Mark(client, due, part), n) for client, due, part, n in found]

    def routes(self) -> list[str]:
        """See ``engine.Reader``."""
        return [route for (route,) in self._db.execute(_ROUTES)]

    def records(self, heads: Sequence[int]) -> list[Record]:
        """See ``engine.Reader``."""
        self._db.execute("BEGIN")  # one snapshot for all of a record's tables
        try:
            return self._records(heads)
        finally:
            self._db.execute("COMMIT")

    def _records(self, heads: Sequence[int]) -> list[Record]:
        records: list[Record] = []
        bodies: dict[int, bytes] = dict(read(self._db, _bodies, heads))
        rows = {head: self._rows(head) for head in heads}
        for head, ref_tag, content_tag, envelope in read(self._db, _messages, heads):
            records.append(Record(tuple(rows[head]), ref_tag, content_tag, envelope, bodies.get(head)))
        return records

    def _rows(self, head: int) -> list[Row]:
        (first,) = self._db.execute(_PART, (head,)).fetchone() or (None,)
        if first is None:
            return []
        rows = [decode_row(first)]
        if rows[0].parts > 1:
            last = head + rows[0].parts - 1
            rows += [decode_row(row) for (row,) in self._db.execute(_PARTS, (head + 1, last))]
        return rows

    def by_ref(self, tags: Sequence[tuple[str, bytes]]) -> list[int]:
        """See ``engine.Reader``."""
        query = "SELECT id FROM message WHERE bucket = ? AND client = ? AND ref_tag = ?"
        found: list[int] = []
        for bucket in nonempty(self._db, "message"):
            for client, tag in tags:
                found += [head for (head,) in self._db.execute(query, (bucket, client, tag))]
        return found

    def by_phone(self, tags: Sequence[bytes], limit: int) -> list[int]:
        """See ``engine.Reader``."""
        found: list[int] = []
        for bucket in reversed(nonempty(self._db, "message")):
            found += [head for (head,) in read(self._db, _by_phone, tags, bucket)]
            if len(found) >= limit:
                break
        return sorted(found, reverse=True)[:limit]

    def accepted(self, client: str, after: int, until: int, limit: int) -> list[int]:
        """See ``engine.Reader``."""
        query = "SELECT id FROM message WHERE id > ? AND id < ? AND client = ? ORDER BY id LIMIT ?"
        return [head for (head,) in self._db.execute(query, (after, until, client, limit))]

    def ended(self, now: int, after: int, limit: int) -> tuple[list[Ending], int]:
        """See ``engine.Reader``."""
        query = f"SELECT id, row FROM part WHERE id > ? AND state >= {_ENDED} ORDER BY id LIMIT ?"
        found = self._db.execute(query, (after, limit)).fetchall()
        endings: list[Ending] = []
        for head, value in found:
            row = decode_row(value)
            if row.n == 1 and row.wake <= now:
                endings += self._ending(head, now)
        return endings, found[-1][0] if len(found) == limit else 0

    def _ending(self, head: int, now: int) -> list[Ending]:
        for record in self.records([head]):
            if all(row.state in ENDED and row.wake <= now for row in record.rows):
                first = record.rows[0]
                constant = StoredHead(
                    first.id, first.client, record.ref_tag, record.content_tag, record.envelope, b"", "", b""
                )
                return [ending_of(constant, record.rows)]
        return []

    def events(self, after: int, limit: int) -> list[StoredEvents]:
        """See ``engine.Reader``."""
        found = self._db.execute(_RUNS, (after, after, limit))
        return [StoredEvents(*run) for run in found.fetchall()]

    def last_event(self) -> int:
        """See ``engine.Reader``."""
        row = self._db.execute("SELECT first + count - 1 FROM journal ORDER BY first DESC LIMIT 1").fetchone()
        return 0 if row is None else int(row[0])

    def cursor(self, client: str, feed: str) -> int:
        """See ``engine.Reader``."""
        row = self._db.execute("SELECT cursor FROM feed WHERE client = ? AND name = ?", (client, feed)).fetchone()
        return 0 if row is None else int(row[0])

    def feeds(self) -> list[tuple[str, str, int]]:
        """See ``engine.Reader``."""
        return self._db.execute("SELECT client, name, cursor FROM feed").fetchall()

    def dead(self) -> list[DeadRun]:
        """See ``engine.Reader``."""
        rows = self._db.execute("SELECT * FROM dead ORDER BY client, feed, first")
        return [DeadRun(*row) for row in rows]

    def waiting(self) -> list[Waiting]:
        """See ``engine.Reader``."""
        rows = self._db.execute("SELECT route, lane, count(*), min(due) FROM ready GROUP BY route, lane")
        return [Waiting(*row) for row in rows]

    def uncertain(self) -> int:
        """See ``engine.Reader``."""
        query = "SELECT count(*) FROM part WHERE state = 4 AND id IN (SELECT part FROM doubt)"
        return int(self._db.execute(query).fetchone()[0])

    def counts(self, now: int) -> list[Count]:
        """See ``engine.Reader``."""
        return [
            Count(route, TrafficClass(traffic), client, State(state), bool(due), parts, oldest)
            for route, traffic, client, state, due, parts, oldest in self._db.execute(_COUNTS, (now,))
        ]

    def clients(self) -> list[str]:
        """See ``engine.Reader``."""
        return [client for (client,) in self._db.execute("SELECT name FROM client")]

    def periods(self) -> set[int]:
        """See ``engine.Reader``."""
        both = "SELECT DISTINCT period FROM part UNION SELECT DISTINCT period FROM journal"
        return {period for (period,) in self._db.execute(both)}

    def close(self) -> None:
        """See ``engine.Reader``."""
        self._db.close()


_PART = "SELECT row FROM part WHERE id = ?"
_PARTS = "SELECT row FROM part WHERE id BETWEEN ? AND ? ORDER BY id"
# A cursor may stand in the middle of a run: the one that it stands in comes first.
_RUNS = (
    "SELECT first, count, period, sealed FROM journal WHERE first >= coalesce("
    "(SELECT first FROM journal WHERE first <= ? ORDER BY first DESC LIMIT 1), 0)"
    " AND first + count - 1 > ? ORDER BY first LIMIT ?"
)


def _messages(heads: int) -> str:
    return select("id, ref_tag, content_tag, envelope", "message", "id", heads)


def _bodies(heads: int) -> str:
    return select("id, sealed", "body", "id", heads)


def _by_phone(tags: int) -> str:
    return select("id", "message", "phone_tag", tags, " AND bucket = ?")
