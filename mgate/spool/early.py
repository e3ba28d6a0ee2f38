"""Receipts that came before anything they fit, on the disk; and what only time removes."""

from __future__ import annotations

import sqlite3

from mgate.spool.rows import Early
from mgate.spool.verbs import Trim


def keep_early(db: sqlite3.Connection, early: Early) -> bool:
    """Keep a receipt until an operator id fits it; False when it is kept already."""
    cursor = db.execute(
        "INSERT OR IGNORE INTO early (account, key, told, reason, reference, seen) VALUES (?, ?, ?, ?, ?, ?)",
        (early.account, early.key, early.told.value, early.reason, early.reference, early.seen),
    )
    if cursor.rowcount:
        rows = [(tag, cursor.lastrowid) for tag in early.tags]
        db.executemany("INSERT OR IGNORE INTO early_tag VALUES (?, ?)", rows)
    return bool(cursor.rowcount)


def drop_early(db: sqlite3.Connection, early: Early) -> None:
    """It has fitted."""
    (found,) = db.execute(
        "SELECT id FROM early WHERE account = ? AND key = ? AND reference = ? AND told = ?",
        (early.account, early.key, early.reference, early.told.value),
    ).fetchone()
    db.executemany("DELETE FROM early_tag WHERE tag = ? AND early = ?", [(tag, found) for tag in early.tags])
    db.execute("DELETE FROM early WHERE id = ?", (found,))


def trim_all(db: sqlite3.Connection, trim: Trim) -> None:
    """Drop what is older than it is kept for."""
    old = db.execute("SELECT id FROM early WHERE seen < ? LIMIT ?", (trim.early_before, trim.limit)).fetchall()
    for (early,) in old:
        db.execute("DELETE FROM early_tag WHERE early = ?", (early,))
        db.execute("DELETE FROM early WHERE id = ?", (early,))
    # The last run stays whatever its age: sequences go on from it.
    db.execute(
        "DELETE FROM journal WHERE first IN (SELECT first FROM journal WHERE at < ?"
        " AND first < (SELECT max(first) FROM journal) ORDER BY first LIMIT ?)",
        (trim.journal_before, trim.limit),
    )
