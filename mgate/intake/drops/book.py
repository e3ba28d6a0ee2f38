"""The book of one drop folder: which files were taken, what was answered to each row, and what became of each message.

One SQLite database in ``work``, on the thread of whoever calls. It repeats what the spool knows, so that results can be
written without asking for a million messages one by one; lost, it is made anew by the files that are in work, whose
rows are then recognised by the spool. So it need not be durable to the last commit (``synchronous=NORMAL``): after a
power cut it stands a moment earlier, and the journal is read again from the place that it remembers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from mgate.intake.drops.results import FinalRow, ResultRow
from mgate.model.message import show_id

FINAL: Final = frozenset({"delivered", "undelivered", "expired", "no_receipt", "cancelled"})
"""The states that end a message."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), cursor INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS file (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, form TEXT NOT NULL,
    phase TEXT NOT NULL, claimed REAL NOT NULL, touched REAL NOT NULL, over REAL NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX IF NOT EXISTS file_name ON file (name);
CREATE INDEX IF NOT EXISTS file_digest ON file (digest);
CREATE TABLE IF NOT EXISTS row (
    file INTEGER NOT NULL, line INTEGER NOT NULL, ref TEXT NOT NULL, message INTEGER, parts INTEGER NOT NULL,
    known INTEGER NOT NULL, code TEXT NOT NULL, field TEXT NOT NULL, detail TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'accepted', reason TEXT NOT NULL DEFAULT '', sent INTEGER NOT NULL DEFAULT 0,
    at INTEGER NOT NULL DEFAULT 0, open INTEGER NOT NULL,
    PRIMARY KEY (file, line)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS row_message ON row (message) WHERE message IS NOT NULL;
CREATE INDEX IF NOT EXISTS row_open ON row (file) WHERE open = 1;
CREATE TABLE IF NOT EXISTS tally (
    file INTEGER PRIMARY KEY, accepted INTEGER NOT NULL, known INTEGER NOT NULL, refused INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS turned (
    name TEXT PRIMARY KEY, at REAL NOT NULL, rows INTEGER NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS early (
    message INTEGER PRIMARY KEY, state TEXT NOT NULL, reason TEXT NOT NULL, sent INTEGER NOT NULL, at INTEGER NOT NULL
);
"""
_RUN: Final = 64


class TakenFile(NamedTuple):
    """One file in the book.

    Attributes:
        form: ``csv`` or ``ndjson``.
        phase: ``taking`` (rows are being handed in), ``taken`` (each has its answer) or ``final``.
        claimed, touched: when, and when its last row was answered; ``over``: when its last message's life ends, with
            the patience for receipts. Seconds since 1970.
    """

    number: int
    name: str
    digest: str
    form: str
    phase: str
    claimed: float
    touched: float
    over: float


class Turned(NamedTuple):
    """A file that was refused whole: when (seconds since 1970), how many rows its manifest names, and why.

    ``reason``: the word of a ``FileFault``.
    """

    name: str
    at: float
    rows: int
    reason: str


class Answered(NamedTuple):
    """The answer to one row; ``message`` is None when it was refused."""

    line: int
    ref: str
    message: int | None
    parts: int = 0
    known: bool = False
    code: str = ""
    field: str = ""
    detail: str = ""


class Change(NamedTuple):
    """One event of the journal; ``at``: milliseconds since 1970."""

    message: int
    state: str
    reason: str
    sent: bool
    at: int


class Counts(NamedTuple):
    """Of one file: rows that were accepted, were known before, were refused, and messages that have not ended."""

    accepted: int
    known: int
    refused: int
    open: int


class Book:
    """Reads and writes it. Every method is one short transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: sqlite3.Connection | None = None

    def close(self) -> None:
        """Leave the database."""
        if self._open is not None:
            self._open.close()
            self._open = None

    @property
    def _db(self) -> sqlite3.Connection:
        if self._open is None:
            db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=256)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA cache_size = -4096")
            db.executescript(_TABLES)
            self._open = db
        return self._open

    # ---- files -----------------------------------------------------------------------------------------------------

    def files(self) -> list[TakenFile]:
        """Every file that is remembered, oldest first."""
        return [TakenFile(*row) for row in self._db.execute("SELECT * FROM file ORDER BY number")]

    def file(self, name: str) -> TakenFile | None:
        """The file of this NAME."""
        row = self._db.execute("SELECT * FROM file WHERE name = ?", (name,)).fetchone()
        return None if row is None else TakenFile(*row)

    def first(self, digest: str) -> str:
        """The NAME of the file that had this content first; empty when none had."""
        row = self._db.execute("SELECT name FROM file WHERE digest = ? ORDER BY number LIMIT 1", (digest,)).fetchone()
        return "" if row is None else str(row[0])

    def begin(self, name: str, digest: str, form: str, now: float) -> TakenFile:
        """A file is about to be handed in."""
        statement = (
            "INSERT INTO file (name, digest, form, phase, claimed, touched)"
            " VALUES (?, ?, ?, 'taking', ?, ?) RETURNING *"
        )
        with self._db as db:
            db.execute("DELETE FROM turned WHERE name = ?", (name,))
            return TakenFile(*db.execute(statement, (name, digest, form, now, now)).fetchone())

    def turn(self, number: int, phase: str) -> None:
        """A file comes into another phase."""
        self._db.execute("UPDATE file SET phase = ? WHERE number = ?", (phase, number))

    def forget(self, number: int) -> None:
        """Remove a file and its rows."""
        with self._db as db:
            db.execute("BEGIN")
            db.execute("DELETE FROM row WHERE file = ?", (number,))
            db.execute("DELETE FROM tally WHERE file = ?", (number,))
            db.execute("DELETE FROM file WHERE number = ?", (number,))

    def end(self, number: int) -> None:
        """All of a file is written: remove its rows; the file itself is remembered, and how many rows it had."""
        counts = self.counts(number)
        with self._db as db:
            db.execute("BEGIN")
            db.execute("UPDATE file SET phase = 'final' WHERE number = ?", (number,))
            db.execute("INSERT OR REPLACE INTO tally VALUES (?, ?, ?, ?)", (number, *counts[:3]))
            db.execute("DELETE FROM row WHERE file = ?", (number,))

    def turn_away(self, turned: Turned) -> None:
        """Remember that a file was refused whole."""
        self._db.execute("INSERT OR REPLACE INTO turned VALUES (?, ?, ?, ?)", turned)

    def turned(self) -> list[Turned]:
        """Every file that was refused whole and did not come again, oldest first."""
        return [Turned(*row) for row in self._db.execute("SELECT * FROM turned ORDER BY at")]

    def forget_turned(self, before: float) -> None:
        """Forget those that were refused before a moment."""
        self._db.execute("DELETE FROM turned WHERE at < ?", (before,))

    def counts(self, number: int) -> Counts:
        """How it stands with a file, or stood when it ended."""
        ended = self._db.execute("SELECT accepted, known, refused, 0 FROM tally WHERE file = ?", (number,)).fetchone()
        if ended is not None:
            return Counts(*ended)
        statement = (
            "SELECT count(message), coalesce(sum(known), 0), count(*) - count(message), coalesce(sum(open), 0)"
            " FROM row WHERE file = ?"
        )
        return Counts(*self._db.execute(statement, (number,)).fetchone())

    def is_open(self, number: int) -> bool:
        """Whether a message of this file has not ended yet."""
        row = self._db.execute("SELECT 1 FROM row WHERE file = ? AND open = 1 LIMIT 1", (number,)).fetchone()
        return row is not None

    # ---- rows ------------------------------------------------------------------------------------------------------

    def answered(self, number: int, lines: Sequence[int]) -> set[int]:
        """Which of these lines have their answer; ``lines`` grows."""
        statement = "SELECT line FROM row WHERE file = ? AND line BETWEEN ? AND ?"
        return {row[0] for row in self._db.execute(statement, (number, lines[0], lines[-1]))}

    def write(self, number: int, answers: Sequence[Answered], over: float, now: float) -> None:
        """Answers to rows of a file; what the journal told of their messages before is put to them."""
        with self._db as db:
            db.execute("BEGIN")
            for start in range(0, len(answers), _RUN):
                run = answers[start : start + _RUN]
                values = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"] * len(run))
                db.execute(
                    "INSERT OR REPLACE INTO row (file, line, ref, message, parts, known, code, field, detail, open)"
                    f" VALUES {values}",
                    [value for each in run for value in (number, *each, int(each.message is not None))],
                )
            db.execute("UPDATE file SET touched = ?, over = max(over, ?) WHERE number = ?", (now, over, number))
            self._join_early(db, number)

    def results(self, number: int, after: int, most: int) -> list[ResultRow]:
        """The answers behind a line, in order."""
        statement = (
            "SELECT line, ref, message, parts, known, code, field, detail FROM row"
            " WHERE file = ? AND line > ? ORDER BY line LIMIT ?"
        )
        return [
            ResultRow(line, ref, "refused", "", 0, False, code, field, detail)
            if message is None
            else ResultRow(line, ref, "accepted", show_id(message), parts, bool(known))
            for line, ref, message, parts, known, code, field, detail in self._db.execute(
                statement, (number, after, most)
            )
        ]

    def finals(self, number: int, after: int, most: int, moment: Callable[[int], str]) -> list[FinalRow]:
        """Where the messages behind a line stand, in order; ``moment`` shows milliseconds since 1970."""
        statement = (
            "SELECT line, ref, message, state, reason, sent, at, parts FROM row"
            " WHERE file = ? AND line > ? AND message IS NOT NULL ORDER BY line LIMIT ?"
        )
        return [
            FinalRow(line, ref, show_id(message), state, reason, bool(sent), moment(at) if at else "", parts)
            for line, ref, message, state, reason, sent, at, parts in self._db.execute(statement, (number, after, most))
        ]

    def unsure(self, number: int, after: int, most: int, *, known: bool) -> list[tuple[int, int]]:
        """Line and message of rows behind a line that have not ended as far as the book knows, in order.

        Args:
            known: only those that had been accepted before: the journal may have told of their end long ago.
        """
        statement = (
            "SELECT line, message FROM row"
            " WHERE file = ? AND line > ? AND open = 1 AND known >= ? ORDER BY line LIMIT ?"
        )
        return list(self._db.execute(statement, (number, after, int(known), most)))

    # ---- the journal -----------------------------------------------------------------------------------------------

    def cursor(self) -> int | None:
        """Up to where the journal has been read; None before the first time."""
        row = self._db.execute("SELECT cursor FROM place").fetchone()
        return None if row is None else int(row[0])

    def apply(self, changes: Sequence[Change], cursor: int | None, taking: bool) -> None:
        """Put what the journal tells to the rows, and remember up to where it was read.

        Args:
            cursor: None leaves it where it is.
            taking: rows of some file have no answer in the book yet: what is told of unknown messages is kept for them.
        """
        last = {change.message: change for change in changes}
        with self._db as db:
            db.execute("BEGIN")
            self._set(db, list(last.values()))
            if taking:
                self._keep_early(db, list(last.values()))
            else:
                db.execute("DELETE FROM early")
            if cursor is not None:
                db.execute("INSERT OR REPLACE INTO place VALUES (1, ?)", (cursor,))

    def _set(self, db: sqlite3.Connection, changes: Sequence[Change]) -> None:
        for start in range(0, len(changes), _RUN):
            run = changes[start : start + _RUN]
            values = ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(run))
            db.execute(
                "UPDATE row SET state = v.column2, reason = v.column3, sent = v.column4, at = v.column5,"
                f" open = v.column6 FROM (VALUES {values}) AS v WHERE row.message = v.column1 AND row.at <= v.column5",
                [value for change in run for value in (*change, int(change.state not in FINAL))],
            )

    def _keep_early(self, db: sqlite3.Connection, changes: Sequence[Change]) -> None:
        known: set[int] = set()
        for start in range(0, len(changes), _RUN):
            run = [change.message for change in changes[start : start + _RUN]]
            marks = ", ".join("?" * len(run))
            known |= {row[0] for row in db.execute(f"SELECT message FROM row WHERE message IN ({marks})", run)}
        unknown = [change for change in changes if change.message not in known]
        db.executemany("INSERT OR REPLACE INTO early VALUES (?, ?, ?, ?, ?)", unknown)

    def _join_early(self, db: sqlite3.Connection, number: int) -> None:
        found = db.execute(
            "SELECT e.* FROM early e JOIN row r ON r.message = e.message WHERE r.file = ?", (number,)
        ).fetchall()
        if found:
            self._set(
                db, [Change(message, state, reason, bool(sent), at) for message, state, reason, sent, at in found]
            )
            db.executemany("DELETE FROM early WHERE message = ?", [(row[0],) for row in found])
