"""Every SQL statement by which the live spool is written and looked up by key, and the shapes of their values.

Statements that read many keys come in a few fixed sizes, so that SQLite's cache of prepared statements is hit; what is
missing to a size is filled up with NULL, which matches nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec

from mgate.model.message import ENDED, Fate, State
from mgate.policy.classes import RULES
from mgate.spool.ledger import NEVER
from mgate.spool.rows import Attempt, Row
from mgate.spool.verbs import NewMessage

Value = int | str | bytes | None
Values = tuple[Any, ...]
"""What a row of a result holds; whoever reads it gives it types."""
SIZES: Final = (1, 8, 64, 256)

INSERT_MESSAGE: Final = "INSERT INTO message VALUES (?,?,?,?,?,?,?,?)"
INSERT_BODY: Final = "INSERT INTO body VALUES (?,?)"
WRITE_PART: Final = "REPLACE INTO part VALUES (?,?,?,?,?,?,?)"
INSERT_READY: Final = "INSERT INTO ready VALUES (?,?,?,?,?,?,?,?,?,?)"
DELETE_READY: Final = "DELETE FROM ready WHERE route = ? AND lane = ? AND client = ? AND due = ? AND id = ?"
INSERT_WAKE: Final = "INSERT INTO wake VALUES (?,?)"
DELETE_WAKE: Final = "DELETE FROM wake WHERE at = ? AND id = ?"
INSERT_OPEN: Final = "INSERT OR IGNORE INTO open VALUES (?)"
INSERT_DOUBT: Final = "INSERT OR IGNORE INTO doubt VALUES (?,?,?,?)"
DELETE_DOUBT: Final = "DELETE FROM doubt WHERE account = ? AND reference = ? AND part = ? AND n = ?"
WRITE_OP: Final = "REPLACE INTO op VALUES (?,?,?,?,?,?)"
INSERT_RUN: Final = "INSERT INTO journal VALUES (?,?,?,?,?,?)"
INSERT_INBOUND: Final = "INSERT OR IGNORE INTO inbound VALUES (?,?,?,?,?)"
WRITE_DEAD: Final = "REPLACE INTO dead VALUES (?,?,?,?,?,?,?)"
DELETE_DEAD: Final = "DELETE FROM dead WHERE client = ? AND feed = ? AND first = ?"
WRITE_CURSOR: Final = "REPLACE INTO feed VALUES (?,?,?)"

RING_AGAIN: Final = 60_000
"""Milliseconds until a timer rings again for what has ended and is still here."""

_LANE: Final = {traffic: rules.lane for traffic, rules in RULES.items()}

encode_row: Final = msgspec.msgpack.Encoder().encode
"""A row as its column holds it."""

decode_row: Final = msgspec.msgpack.Decoder(Row).decode
"""The row behind its column."""


def delete(table: str) -> str:
    """Delete by the key of the part."""
    return f"DELETE FROM {table} WHERE id = ?"  # a name of ours


@cache
def select(columns: str, table: str, key: str, keys: int, tail: str = "") -> str:
    """A statement that reads the rows of so many keys."""
    return f"SELECT {columns} FROM {table} WHERE {key} IN ({','.join('?' * keys)}){tail}"  # names of ours


def read(
    connection: sqlite3.Connection, statement: Callable[[int], str], keys: Sequence[Value], *more: Value
) -> list[Values]:
    """Run a ``select`` of many keys over all of them; ``more`` are the parameters that follow the keys."""
    found: list[Values] = []
    for start in range(0, len(keys), SIZES[-1]):
        run = keys[start : start + SIZES[-1]]
        size = next(size for size in SIZES if size >= len(run))
        found += connection.execute(statement(size), (*run, *(None,) * (size - len(run)), *more)).fetchall()
    return found


def message_values(message: NewMessage, bucket: int) -> tuple[Value, ...]:
    """The values of ``INSERT_MESSAGE``."""
    return (
        message.id, bucket, message.client, message.ref_tag, message.content_tag, message.phone_tag,
        message.group_tag or None, message.envelope,
    )  # fmt: skip


class Changes:
    """What changed rows mean for the tables: lists of values, each for one statement.

    ``place`` gives the next row of the index of operator ids; ``bucket`` its bucket; ``moved``: parts whose route is
    another now, with the one that they are queued under.
    """

    def __init__(
        self, now: int, place: Callable[[], int], bucket: Callable[[int], int], moved: Mapping[int, str]
    ) -> None:  # fmt: skip
        self._now = now
        self._moved = moved
        self._place = place
        self._bucket = bucket
        self.parts: list[tuple[Value, ...]] = []
        self.queued: list[tuple[Value, ...]] = []
        self.unqueued: list[tuple[Value, ...]] = []
        self.timers: list[tuple[int, int]] = []
        self.untimed: list[tuple[int, int]] = []
        self.opened: list[tuple[int]] = []
        self.closed: list[tuple[int]] = []
        self.doubted: list[tuple[Value, ...]] = []
        self.undoubted: list[tuple[Value, ...]] = []
        self.ops: list[tuple[Value, ...]] = []

    def add(self, row: Row) -> None:
        """See where a changed row now stands in every table, and write it whole."""
        due = row.due if row.state is State.READY else 0
        if due != row.queued or row.id in self._moved:
            self._queue(row, due)
        timer = row.timer
        if row.wake < timer or timer <= self._now:
            self._time(row)
        if row.tries:
            newest = row.tries[-1]
            is_open = newest.fate is Fate.OPEN
            if is_open is not row.marked:
                row.marked = is_open
                (self.opened if is_open else self.closed).append((row.id,))
            if newest.operator_tag is not None and newest.place <= 0:
                self._index(row, newest)
            if row.doubts or newest.fate is Fate.IN_DOUBT or len(row.tries) > 1:
                self._tries(row)
        self.parts.append(
            (row.id, row.state, row.traffic, row.client, row.route, row.period, encode_row(row))
        )  # fmt: skip

    def _queue(self, row: Row, due: int) -> None:
        lane = _LANE[row.traffic]
        if row.queued:
            route = self._moved.get(row.id, row.route)
            self.unqueued.append((route, lane, row.client, row.queued, row.id))
        if due:
            self.queued.append((
                row.route, lane, row.client, due, row.id, row.traffic, row.expires, row.n, row.parts, len(row.tries),
            ))  # fmt: skip
        row.queued = due

    def _time(self, row: Row) -> None:
        """Set the timer: never later than ``wake``; an early ring costs one look, an update at each change more."""
        if row.state in ENDED and row.wake <= self._now:
            if row.timer > self._now:
                return
            timer = self._now + RING_AGAIN
        else:
            timer = row.wake
        if timer >= NEVER:
            timer = 0
        if timer != row.timer:
            if row.timer:
                self.untimed.append((row.timer, row.id))
            if timer:
                self.timers.append((timer, row.id))
            row.timer = timer

    def _index(self, row: Row, attempt: Attempt) -> None:
        attempt.place = place = -attempt.place or self._place()
        self.ops.append((place, self._bucket(place), attempt.route, attempt.operator_tag, row.id, attempt.n))

    def _tries(self, row: Row) -> None:
        """The rare case: several tries, or doubt."""
        for attempt in row.tries:
            if attempt.operator_tag is not None and attempt.place <= 0:
                self._index(row, attempt)
            doubtful = attempt.fate is Fate.IN_DOUBT
            if doubtful is not (attempt.n in row.doubts):
                values = (attempt.route, attempt.reference, row.id, attempt.n)
                (self.doubted if doubtful else self.undoubted).append(values)
        row.doubts = tuple(attempt.n for attempt in row.tries if attempt.fate is Fate.IN_DOUBT)


class Removals:
    """What forgotten messages mean for the tables."""

    def __init__(self) -> None:
        self.messages: list[tuple[int]] = []
        self.bodies: list[tuple[int]] = []
        self.parts: list[tuple[int]] = []
        self.timed: list[tuple[int, int]] = []
        self.ops: list[tuple[int]] = []
        self.undoubted: list[tuple[Value, ...]] = []

    def add(self, rows: Sequence[Row]) -> None:
        """A whole message goes; it has ended, so none of its parts is queued or open."""
        head = rows[0]
        self.messages.append((head.id,))
        if head.keeps_text:
            self.bodies.append((head.id,))
        for row in rows:
            self.parts.append((row.id,))
            if row.timer:
                self.timed.append((row.timer, row.id))
            for attempt in row.tries:
                if attempt.place:
                    self.ops.append((attempt.place,))
                if attempt.n in row.doubts:
                    self.undoubted.append((attempt.route, attempt.reference, row.id, attempt.n))
