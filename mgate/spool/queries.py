"""Every SQL statement of the live spool, beside the shape of its rows.

Many rows go into one statement, and many rows come back as one (a JSON array), because every step of SQLite gives up
the interpreter's lock, and winning it back from a busy reactor costs up to half a millisecond. Statements come in a
few fixed sizes, so that SQLite's cache of prepared statements is hit; what is missing to a size is filled up with
rows of NULL, which match nothing and insert nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

import msgspec

from mgate.model.message import ENDED, Fate, State, TrafficClass
from mgate.policy.classes import RULES
from mgate.spool.rows import Attempt, JournalRow, Row, Touched
from mgate.spool.verbs import NewMessage

Value = int | str | bytes | None
Values = tuple[Any, ...]
"""What a row of a result holds; ``row_of`` and its like give it types."""
SIZES: Final = (1, 8, 64, 200)

# Enum(value) costs half a microsecond for each of three columns of a row; a dict does not.
FATE: Final = {int(fate): fate for fate in Fate}
STATE: Final = {int(state): state for state in State}
TRAFFIC: Final = {int(traffic): traffic for traffic in TrafficClass}

_LANE: Final = {traffic: rules.lane for traffic, rules in RULES.items()}

ROW: Final = (
    "id, n, parts, client, class, route, state, created, due, expires, wake, retire, period, attempts, burned,"
    " deferrals, repeats_off, reason, event, body IS NOT NULL, hex(phone_tag), fate, reference, bind,"
    " attempt_route, leased, answered, heard, attempt_reason, repeat, op_bucket, hex(op_tag), hex(op_id)"
)
_ATTEMPT: Final = (
    "part", "n", "fate", "reference", "bind", "route", "leased", "answered", "heard", "reason", "repeat", "op_bucket",
    "op_tag", "op_id",
)  # fmt: skip
ATTEMPT: Final = f"{', '.join(_ATTEMPT[:-2])}, hex(op_tag), hex(op_id)"
JOURNAL: Final = "sequence, message, previous, client, event, reason, at, may_have_been_sent"

_NEW_PART: Final = (
    "id", "bucket", "n", "parts", "client", "class", "lane", "route", "state", "created", "due", "expires", "wake",
    "retire", "period", "attempts", "burned", "reason", "event", "fate", "reference", "bind", "attempt_route", "leased",
    "phone_tag", "ref_tag", "content_tag", "group_tag", "envelope", "body",
)  # fmt: skip

_STATE: Final = (
    "state", "due", "attempts", "burned", "deferrals", "repeats_off", "reason", "event", "fate", "reference", "bind",
    "attempt_route", "leased", "answered", "heard", "attempt_reason", "repeat",
)  # fmt: skip
_WAKE: Final = ("wake", "retire")
_OPERATOR: Final = ("op_bucket", "op_tag", "op_id")


@cache
def _marks(columns: int, rows: int) -> str:
    return ",".join(["(" + ",".join("?" * columns) + ")"] * rows)


@cache
def insert(table: str, columns: tuple[str, ...], rows: int, verb: str = "INSERT") -> str:
    """A statement that inserts so many rows."""
    values = f"VALUES {_marks(len(columns), rows)}"
    return f"{verb} INTO {table} ({','.join(columns)}) SELECT * FROM ({values}) WHERE column1 IS NOT NULL"


@cache
def update(columns: tuple[str, ...], rows: int, erase: bool) -> str:
    """A statement that updates so many parts; the id comes first in each row of values."""
    sets = [f"{column} = v.column{index}" for index, column in enumerate(columns, start=2)]
    if erase:
        sets.append("body = NULL")
    values = _marks(len(columns) + 1, rows)
    return f"UPDATE part SET {', '.join(sets)} FROM (VALUES {values}) AS v WHERE part.id = v.column1"


@cache
def select(columns: str, table: str, key: str, keys: int, tail: str = "") -> str:
    """A statement that reads the rows of so many keys, as one JSON array of arrays."""
    where = f"{key} IN ({','.join('?' * keys)}){tail}"
    return f"SELECT json_group_array(json_array({columns})) FROM {table} WHERE {where}"


def _size_for(rows: int) -> int:
    return next(size for size in SIZES if size >= rows)


def write(connection: sqlite3.Connection, statement: Callable[[int], str], rows: Sequence[Sequence[Value]]) -> None:
    """Run a statement of many rows over all of them."""
    for start in range(0, len(rows), SIZES[-1]):
        run = rows[start : start + SIZES[-1]]
        size = _size_for(len(run))
        missing = (None,) * (len(run[0]) * (size - len(run)))
        connection.execute(statement(size), (*chain.from_iterable(run), *missing))


def read(
    connection: sqlite3.Connection, statement: Callable[[int], str], keys: Sequence[Value], *more: Value
) -> list[Values]:
    """Run a ``select`` of many keys over all of them; ``more`` are the parameters that follow the keys."""
    found: list[Values] = []
    for start in range(0, len(keys), SIZES[-1]):
        run = keys[start : start + SIZES[-1]]
        size = _size_for(len(run))
        (array,) = connection.execute(statement(size), (*run, *(None,) * (size - len(run)), *more)).fetchone()
        found += rows_of(array)
    return found


rows_of: Final = msgspec.json.Decoder(list[Values]).decode
"""The rows behind a JSON array of arrays."""


def blob(text: str) -> bytes | None:
    """The octets behind a column that was read as ``hex(column)``; None for none."""
    return bytes.fromhex(text) if text else None


class Names:
    """Names of clients and routes as small numbers. One writer gives numbers; readers look again when one is new."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._ids: dict[tuple[str, str], int] = {}
        self._names: dict[int, str] = {}

    def refresh(self) -> None:
        """Read them all again."""
        self._ids = {}
        for number, kind, name in self._connection.execute("SELECT id, kind, name FROM name"):
            self._ids[kind, name] = number
            self._names[number] = name

    def number(self, kind: str, name: str) -> int:
        """The number of a name, given now if it has none (the writer's; inside a transaction)."""
        known = self._ids.get((kind, name))
        if known is None:
            cursor = self._connection.execute("INSERT INTO name (kind, name) VALUES (?, ?)", (kind, name))
            known = self._ids[kind, name] = cursor.lastrowid or 0
            self._names[known] = name
        return known

    def known(self, kind: str, name: str) -> int:
        """The number of a name, 0 when it has none."""
        if (kind, name) not in self._ids:
            self.refresh()
        return self._ids.get((kind, name), 0)

    def name(self, number: int) -> str:
        """The name behind a number."""
        if number not in self._names:
            self.refresh()
        return self._names[number]

    def all(self, kind: str) -> list[str]:
        """Every name of a kind."""
        self.refresh()
        return [name for known, name in self._ids if known == kind]


# ---- rows to values ------------------------------------------------------------------------------------------------


def new_part(message: NewMessage, row: Row, bucket: int, names: Names) -> tuple[Value, ...]:
    """The values of a new row, in the order of ``insert_parts``."""
    attempt = row.newest
    ended = row.state in ENDED
    lease: tuple[Value, ...] = (0, 0, 0, 0, 0)
    if attempt is not None:
        lease = (attempt.fate, attempt.reference, attempt.bind, names.number("route", attempt.route), attempt.leased)
    records: tuple[Value, ...] = (None, None, None, None, None)
    if row.n == 1:
        body = message.body if row.keeps_text else None
        records = (message.ref_tag, message.content_tag, message.group_tag or None, message.envelope, body)
    return (
        row.id,
        bucket,
        row.n,
        row.parts,
        names.number("client", row.client),
        row.traffic,
        _LANE[row.traffic],
        names.number("route", row.route),
        row.state,
        row.created,
        row.due,
        row.expires,
        None if ended else row.wake,
        row.wake if ended else None,
        row.period,
        row.attempts,
        row.burned,
        row.reason,
        row.event,
        *lease,
        row.phone_tag,
        *records,
    )


def changed_part(row: Row, touched: int, names: Names, op_bucket: int) -> tuple[Value, ...]:
    """The values of a changed row, in the order of ``update_parts`` for the same ``touched``."""
    attempt = row.newest
    values: tuple[Value, ...] = (
        row.id, row.state, row.due, row.attempts, row.burned, row.deferrals, row.repeats_off, row.reason, row.event,
    )  # fmt: skip
    if attempt is None:
        values += (0, 0, 0, 0, 0, 0, 0, "", 0)
    else:
        values += (
            attempt.fate, attempt.reference, attempt.bind, names.number("route", attempt.route), attempt.leased,
            attempt.answered, attempt.heard, attempt.reason, attempt.repeat,
        )  # fmt: skip
    if touched & Touched.WAKE:
        ended = row.state in ENDED
        values += (None if ended else row.wake, row.wake if ended else None)
    if touched & Touched.OPERATOR:
        if attempt is None or attempt.operator_tag is None:
            values += (0, None, None)
        else:
            attempt.operator_bucket = attempt.operator_bucket or op_bucket
            values += (attempt.operator_bucket, attempt.operator_tag, attempt.operator_id)
    return values


def columns_of(touched: int) -> tuple[str, ...]:
    """The columns of ``changed_part`` after the id."""
    columns: tuple[str, ...] = _STATE
    if touched & Touched.WAKE:
        columns += _WAKE
    if touched & Touched.OPERATOR:
        columns += _OPERATOR
    return columns


def attempt_values(attempt: Attempt, names: Names, op_bucket: int) -> tuple[Value, ...]:
    """The values of an earlier attempt, in the order of ``_ATTEMPT``."""
    if attempt.operator_tag is not None:
        attempt.operator_bucket = attempt.operator_bucket or op_bucket
    return (
        attempt.part,
        attempt.n,
        attempt.fate,
        attempt.reference,
        attempt.bind,
        names.number("route", attempt.route),
        attempt.leased,
        attempt.answered,
        attempt.heard,
        attempt.reason,
        attempt.repeat,
        attempt.operator_bucket,
        attempt.operator_tag,
        attempt.operator_id,
    )


def insert_parts(rows: int) -> str:
    """New parts."""
    return insert("part", _NEW_PART, rows)


def insert_attempts(rows: int) -> str:
    """Earlier attempts, new or changed."""
    return insert("attempt", _ATTEMPT, rows, "INSERT OR REPLACE")


def insert_journal(rows: int) -> str:
    """Journal rows."""
    return insert("journal", tuple(JOURNAL.split(", ")), rows)


# ---- values to rows ------------------------------------------------------------------------------------------------


def row_of(values: Values, names: Names) -> Row:
    """The row behind the values of ``ROW``."""
    (
        id_, n, parts, client, traffic, route, state, created, due, expires, wake, retire, period, attempts, burned,
        deferrals, repeats_off, reason, event, keeps_text, phone_tag, fate, reference, bind, attempt_route, leased,
        answered, heard, attempt_reason, repeat, op_bucket, op_tag, op_id,
    ) = values  # fmt: skip
    newest = None
    if attempts:
        newest = Attempt(
            id_, attempts, names.name(attempt_route), bind, FATE[fate], reference, leased, answered, heard,
            attempt_reason, bool(repeat), op_bucket, blob(op_tag), blob(op_id),
        )  # fmt: skip
    return Row(
        id_, n, parts, names.name(client), TRAFFIC[traffic], names.name(route), STATE[state], created, due, expires,
        wake if wake is not None else retire, period, attempts, burned, deferrals, bool(repeats_off), reason, event,
        bool(keeps_text), blob(phone_tag), newest,
    )  # fmt: skip


def attempt_of(values: Values, names: Names) -> Attempt:
    """The attempt behind the values of ``ATTEMPT``."""
    part, n, fate, reference, bind, route, leased, answered, heard, reason, repeat, op_bucket, op_tag, op_id = values
    return Attempt(
        part, n, names.name(route), bind, FATE[fate], reference, leased, answered, heard, reason, bool(repeat),
        op_bucket, blob(op_tag), blob(op_id),
    )  # fmt: skip


def journal_of(values: Values, names: Names) -> JournalRow:
    """The journal row behind the values of ``JOURNAL``."""
    sequence, message, previous, client, event, reason, at, may = values
    return JournalRow(sequence, message, previous, names.name(client) if client else "", event, reason, at, bool(may))


def journal_values(row: JournalRow, names: Names) -> tuple[Value, ...]:
    """The values of a journal row, in the order of ``JOURNAL``."""
    client = names.number("client", row.client) if row.client else 0
    return (
        row.sequence, row.message, row.previous, client, row.event, row.reason, row.at, row.may_have_been_sent,
    )  # fmt: skip
