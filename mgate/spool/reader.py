"""Questions about the live spool: a read-only connection on its own thread; no question waits for a commit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mgate.model.ready import Ask, Header, Ready
from mgate.spool.engine import Count, Record, Waiting
from mgate.spool.queries import (
    ATTEMPT,
    JOURNAL,
    ROW,
    STATE,
    TRAFFIC,
    Names,
    attempt_of,
    blob,
    journal_of,
    read,
    row_of,
    rows_of,
    select,
)
from mgate.spool.rows import Attempt, JournalRow, Row
from mgate.spool.shelf import nonempty
from mgate.spool.store import connect

_READY = (
    "SELECT json_group_array(json_array(id, n, parts, attempts, expires)) FROM (SELECT * FROM part"
    " WHERE state = 1 AND route = ? AND lane = ? AND client = ? AND due <= ? AND expires > ?"
    " ORDER BY due, id LIMIT ?)"
)
_NEXT_DUE = "SELECT min(due) FROM part WHERE state = 1 AND route = ? AND lane = ? AND client = ? AND due > ?"
_COUNTS = (
    "SELECT route, class, client, state, state = 1 AND due <= ?, count(*), min(created) FROM part"
    " GROUP BY route, class, client, state, 5"
)


class SqliteReader:
    """A ``Reader`` of the SQLite spool."""

    def __init__(self, path: Path) -> None:
        self._db = connect(path, read_only=True)
        self._names = Names(self._db)

    def ready(self, ask: Ask, now: int) -> Ready:
        """See ``engine.Reader``."""
        route = self._names.known("route", ask.route)
        headers: list[Header] = []
        dues: list[int] = []
        for client in self.clients() if route else ():
            number = self._names.known("client", client)
            (due,) = self._db.execute(_NEXT_DUE, (route, ask.lane, number, now)).fetchone()
            if due is not None:
                dues.append(due)
            if client not in ask.skip:
                (array,) = self._db.execute(_READY, (route, ask.lane, number, now, now, ask.limit)).fetchone()
                rows = rows_of(array)
                headers += [Header(part, n, parts, client, tries, end / 1000) for part, n, parts, tries, end in rows]
        return Ready(tuple(headers), min(dues) / 1000 if dues else 0.0)

    def records(self, heads: Sequence[int]) -> list[Record]:
        """See ``engine.Reader``."""
        self._db.execute("BEGIN")  # one snapshot for all of a record's tables
        try:
            return self._records(heads)
        finally:
            self._db.execute("COMMIT")

    def _records(self, heads: Sequence[int]) -> list[Record]:
        sealed = {head: (count, *map(blob, tags)) for head, count, *tags in read(self._db, _records_of, heads)}
        parts = [head + n for head, (count, *_) in sealed.items() for n in range(count)]
        rows = {row.id: row for row in (row_of(values, self._names) for values in read(self._db, _rows_of, parts))}
        older: dict[int, list[Attempt]] = {}
        for values in read(self._db, _attempts_of, [row.id for row in rows.values() if row.attempts > 1]):
            older.setdefault(values[0], []).append(attempt_of(values, self._names))
        journal = self._journal_of([(head, rows[head].event) for head in sealed])
        return [
            Record(
                tuple(mine := [rows[head + n] for n in range(count)]),
                tuple(attempt for row in mine for attempt in _attempts(row, older)),
                tuple(journal[head]),
                *tags,
            )
            for head, (count, *tags) in sealed.items()
        ]

    def _journal_of(self, last: Sequence[tuple[int, int]]) -> dict[int, list[JournalRow]]:
        """The journal rows of messages, by walking back from the last of each: the journal needs no index for it."""
        chains: dict[int, list[JournalRow]] = {head: [] for head, _ in last}
        wanted = [event for _, event in last if event]
        while wanted:
            found = [journal_of(values, self._names) for values in read(self._db, _journal_rows, wanted)]
            for row in found:
                chains[row.message].insert(0, row)
            wanted = [row.previous for row in found if row.previous]
        return chains

    def by_ref(self, tags: Sequence[tuple[str, bytes]]) -> list[int]:
        """See ``engine.Reader``."""
        query = "SELECT id FROM part WHERE bucket = ? AND client = ? AND ref_tag = ?"
        found: list[int] = []
        for bucket in nonempty(self._db, "part", "bucket", "ref_tag"):
            for client, tag in tags:
                found += [
                    head for (head,) in self._db.execute(query, (bucket, self._names.known("client", client), tag))
                ]
        return found

    def by_phone(self, tags: Sequence[bytes], limit: int) -> list[int]:
        """See ``engine.Reader``."""
        found: list[int] = []
        for bucket in reversed(nonempty(self._db, "part", "bucket", "ref_tag")):
            found += [head for (head,) in read(self._db, _by_phone, tags, bucket)]
            if len(found) >= limit:
                break
        return sorted(found, reverse=True)[:limit]

    def ended(self, now: int, limit: int) -> list[int]:
        """See ``engine.Reader``."""
        query = "SELECT id FROM part WHERE state >= 5 AND retire <= ? AND n = 1 ORDER BY retire LIMIT ?"
        return [head for (head,) in self._db.execute(query, (now, limit))]

    def next_wake(self) -> int:
        """See ``engine.Reader``."""
        row = self._db.execute("SELECT min(wake) FROM part WHERE wake IS NOT NULL").fetchone()
        return int(row[0] or 0)

    def waiting(self) -> list[Waiting]:
        """See ``engine.Reader``."""
        rows = self._db.execute("SELECT route, lane, count(*), min(due) FROM part WHERE state = 1 GROUP BY route, lane")
        return [Waiting(self._names.name(route), lane, parts, oldest) for route, lane, parts, oldest in rows]

    def uncertain(self) -> int:
        """See ``engine.Reader``."""
        query = "SELECT count(*) FROM part WHERE fate IN (1, 4) AND state = 4"
        return int(self._db.execute(query).fetchone()[0])

    def counts(self, now: int) -> list[Count]:
        """See ``engine.Reader``."""
        self._names.refresh()
        return [
            Count(
                self._names.name(route), TRAFFIC[traffic], self._names.name(client), STATE[state], bool(due), parts,
                oldest,
            )
            for route, traffic, client, state, due, parts, oldest in self._db.execute(_COUNTS, (now,))
        ]  # fmt: skip

    def clients(self) -> list[str]:
        """See ``engine.Reader``."""
        return self._names.all("client")

    def periods(self) -> set[int]:
        """See ``engine.Reader``."""
        return {period for (period,) in self._db.execute("SELECT DISTINCT period FROM part")}

    def close(self) -> None:
        """See ``engine.Reader``."""
        self._db.close()


def _attempts(row: Row, older: dict[int, list[Attempt]]) -> list[Attempt]:
    newest = [] if row.newest is None else [row.newest]
    return sorted(older.get(row.id, []), key=lambda attempt: attempt.n) + newest


def _records_of(heads: int) -> str:
    return select(
        "id, parts, hex(ref_tag), hex(content_tag), hex(envelope), hex(body)", "part", "id", heads, " AND n = 1"
    )


def _rows_of(parts: int) -> str:
    return select(ROW, "part", "id", parts)


def _attempts_of(parts: int) -> str:
    return select(ATTEMPT, "attempt", "part", parts)


def _journal_rows(rows: int) -> str:
    return select(JOURNAL, "journal", "sequence", rows)


def _by_phone(tags: int) -> str:
    return select("id", "part", "phone_tag", tags, " AND bucket = ? AND ref_tag IS NOT NULL")
