"""What is written back: a line for each row, and later a line for each message. Pure.

A file of CSV gets CSV, one of NDJSON NDJSON, both in UTF-8. A ref that a spreadsheet would take for a formula (it
begins with = + - @, a tab or a carriage return) gets an apostrophe before it in CSV, because people open these files;
NDJSON has it as it is. Neither bears a text or a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from mgate.intake.drops.faults import Fault
from mgate.model.message import show_id

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_QUOTED: Final = re.compile('[,"\n\r]')


class ResultRow(NamedTuple):
    """What became of one row at the door.

    Attributes:
        line: where it begins in the file, from 1.
        status: ``accepted`` or ``refused``.
        id: as the push API shows it; empty when it was refused.
        known: it had been accepted before, with the same content, and is not sent again.
        code, field, detail: of what was refused.
    """

    line: int
    ref: str
    status: str
    id: str = ""
    parts: int = 0
    known: bool = False
    code: str = ""
    field: str = ""
    detail: str = ""


class FinalRow(NamedTuple):
    """Where a message ended; ``at``: RFC 3339 in UTC. ``state`` is that of the push API's document."""

    line: int
    ref: str
    id: str
    state: str
    reason: str
    may_have_been_sent: bool
    at: str
    parts: int


Written = ResultRow | FinalRow

_HEADERS: Final = {kind: ",".join(kind._fields) + "\r\n" for kind in (ResultRow, FinalRow)}
_ENCODE: Final = msgspec.json.Encoder().encode_lines


def head(kind: type[Written], form: str) -> bytes:
    """What stands before the lines: the columns of CSV, nothing in NDJSON."""
    return _HEADERS[kind].encode() if form == "csv" else b""


def render(rows: Sequence[Written], form: str) -> bytes:
    """The lines of these rows."""
    if form == "csv":
        return "".join([_taken(row) or ",".join(map(_cell, row)) + "\r\n" for row in rows]).encode()
    return _ENCODE([{name: value for name, value in zip(row._fields, row, strict=True) if value != ""} for row in rows])


def refused_lines(faults: Iterable[Fault]) -> list[ResultRow]:
    """The lines of a file that was refused whole."""
    return [
        ResultRow(each.line, each.ref, "refused", "", 0, False, each.code, each.field, each.detail) for each in faults
    ]


def accepted_line(line: int, ref: str, message: int, parts: int, known: bool) -> ResultRow:
    """The line of a row that acceptance took."""
    return ResultRow(line, ref, "accepted", show_id(message), parts, known)


def neutral(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _taken(row: Written) -> str:
    """The line of a row that was taken, of which the ref alone was written by somebody else; empty for any other."""
    if not isinstance(row, ResultRow) or row.status != "accepted":
        return ""
    line, ref, _, message, parts, known, _, _, _ = row
    return f"{line},{_cell(ref)},accepted,{message},{parts},{'yes' if known else ''},,,\r\n"


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    text = neutral(value) if isinstance(value, str) else str(value)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
