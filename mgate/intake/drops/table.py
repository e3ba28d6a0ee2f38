"""Rows as messages say them: records of CSV or NDJSON to the fields of the push API, or to a fault. Pure.

A file's columns are known by the names of the fields, or by those that the folder's ``columns`` give them; a column
that is neither is refused, because a misspelt ``not_before`` would send at once. What stands in a header is never told
again: where somebody forgot it, the first customer's number stands there.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from mgate.intake.codes import Code
from mgate.intake.drops.faults import Fault, FileFault, Refused, RowFault, fault
from mgate.intake.drops.records import Record
from mgate.intake.request import FIELDS, LONGEST_REF
from mgate.intake.shape import read_object
from mgate.model.ports import Refusal

DELIMITERS: Final = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}

Said = dict[str, object]
"""What one row says, by the names of the push API."""

_SPACED: Final = re.compile(r"[\s,;]+")
_WHOLE: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_NAIVE: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?", re.ASCII)
_MOMENTS: Final = ("not_before", "not_after")
_TYPED: Final = frozenset({"class", "valid_for", "tags", "meta", *_MOMENTS})
"""Fields that are more than the text of their cell."""


class Line(NamedTuple):
    """One row: the line it begins in, its number among the rows (from 1), and what it says."""

    line: int
    row: int
    said: Said


class Form(NamedTuple):
    """How the rows of one file are written.

    Attributes:
        form: ``csv`` or ``ndjson``.
        delimiter: ``auto`` or a word of ``DELIMITERS``.
        columns: the column of each field that is not named as the field.
        time_zone: of moments without one; empty for none.
    """

    form: str
    delimiter: str
    columns: Mapping[str, str]
    time_zone: str


class Table:
    """Reads the rows of one file, in order."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._by_column = {form.columns.get(field, field).casefold(): field for field in FIELDS}
        self._zone = ZoneInfo(form.time_zone) if form.time_zone else None
        self._fields: tuple[str, ...] = ()
        self._typed_fields = False
        self._delimiter = ""
        self._row = 0

    @property
    def rows(self) -> int:
        """Rows so far, wrong ones too."""
        return self._row

    @property
    def has_refs(self) -> bool:
        """Whether rows bring their own references; of NDJSON each says for itself."""
        return self._form.form == "ndjson" or "ref" in self._fields

    def read(self, records: Sequence[Record | Fault]) -> list[Line | Fault]:
        """The rows of the next records.

        Raises:
            Refused: the header is not as it must be.
        """
        if self._form.form == "ndjson":
            return [self._object(record) for record in records]
        begin = 0
        if not self._fields and records:
            self._header(records[0])
            begin = 1
        return list(self._cells(records[begin:]))

    def end(self) -> None:
        """The file is over. Raises `Refused` when it had no header."""
        if self._form.form == "csv" and not self._fields:
            raise Refused(FileFault.NO_HEADER)

    # ---- NDJSON ----------------------------------------------------------------------------------------------------

    def _object(self, record: Record | Fault) -> Line | Fault:
        self._row += 1
        if isinstance(record, Fault):
            return record
        number, text = record
        try:
            given = read_object(text.encode())
        except UnicodeEncodeError:
            return _code(Code.LONE_SURROGATE, number)
        if isinstance(given, Refusal):
            # What the decoder says of bad JSON may hold a piece of it.
            return _code(next(code for code in Code if code.word == given.code), number)
        if not self._form.columns:
            said = given
        else:
            said = {self._by_column.get(key.casefold(), key): value for key, value in given.items()}
            if len(said) != len(given):
                return _code(Code.DUPLICATE_KEY, number)
        read = self._line(number, said)
        return read._replace(ref=ref_of(said)) if isinstance(read, Fault) else read

    # ---- CSV -------------------------------------------------------------------------------------------------------

    def _header(self, record: Record | Fault) -> None:
        if isinstance(record, Fault):
            raise Refused(FileFault.NO_HEADER, record.detail, record.line)
        line, text = record
        word = self._form.delimiter
        marks = list(DELIMITERS.values()) if word == "auto" else [DELIMITERS[word]]
        names = max((_split(text, mark) for mark in marks), key=self._known)
        self._delimiter = next(mark for mark in marks if _split(text, mark) == names)
        fields = [self._by_column.get(name.strip().casefold(), "") for name in names]
        if not any(fields):
            raise Refused(FileFault.NO_HEADER, "none of its names is known here", line)
        wrong = [f"column {n} has a name that is not known here" for n, field in enumerate(fields, 1) if not field]
        again = [(n, field) for n, field in enumerate(fields, 1) if field and field in fields[: n - 1]]
        wrong += [f"column {n} is {field} again" for n, field in again]
        wrong += [f"there is no column for {field}" for field in ("to", "text") if field not in fields]
        if wrong:
            raise Refused(FileFault.BAD_HEADER, "; ".join(wrong[:20]), line)
        self._fields = tuple(fields)
        self._typed_fields = not _TYPED.isdisjoint(fields)

    def _known(self, names: Sequence[str]) -> int:
        return sum(name.strip().casefold() in self._by_column for name in names)

    def _cells(self, records: Sequence[Record | Fault]) -> Iterator[Line | Fault]:
        texts = (record[1] for record in records if not isinstance(record, Fault))
        reader = csv.reader(texts, delimiter=self._delimiter, strict=True)
        fields, width = self._fields, len(self._fields)
        for record in records:
            self._row += 1
            if isinstance(record, Fault):
                yield record
                continue
            line, text = record
            try:
                cells = next(reader)
            except csv.Error:
                yield fault(RowFault.NOT_CSV, line)
                continue
            if len(cells) != width:
                detail = f"the row has {len(cells)} cells, the header {width} columns"
                yield fault(RowFault.RAGGED, line, "", detail)
            elif "\0" in text:
                yield fault(RowFault.NUL, line)
            else:
                # An empty cell says nothing; a text is kept as it stands.
                plain = {
                    field: cell if field == "text" else bare
                    for field, cell in zip(fields, cells, strict=True)
                    if (bare := cell.strip())
                }
                read = self._typed(line, plain) if self._typed_fields else Line(line, self._row, {**plain})
                yield read._replace(ref=ref_of(plain)) if isinstance(read, Fault) else read

    def _typed(self, line: int, cells: dict[str, str]) -> Line | Fault:
        """The cells as the push API has its fields."""
        said: Said = {**cells}
        if "class" in said:
            said["class"] = cells["class"].lower()
        if "valid_for" in said:
            if not _WHOLE.fullmatch(cells["valid_for"]):
                return _code(Code.BAD_VALUE, line, "valid_for", "a whole number of seconds is wanted")
            said["valid_for"] = int(cells["valid_for"])
        if "tags" in said:
            said["tags"] = [tag for tag in _SPACED.split(cells["tags"]) if tag]
        if "meta" in said:
            held = read_object(b'{"meta":' + cells["meta"].encode(errors="replace") + b"}")
            if isinstance(held, Refusal) or held.keys() != {"meta"}:
                return _code(Code.BAD_JSON, line, "meta", "the cell is not one JSON value")
            said["meta"] = held["meta"]
        return self._line(line, said)

    def _line(self, line: int, said: Said) -> Line | Fault:
        for field in _MOMENTS:
            moment = said.get(field)
            if isinstance(moment, str) and _NAIVE.fullmatch(moment):
                if self._zone is None:
                    detail = "the moment has no time zone, and this folder no time_zone"
                    return _code(Code.BAD_VALUE, line, field, detail)
                try:
                    said[field] = datetime.fromisoformat(moment.upper()).replace(tzinfo=self._zone).isoformat()
                except ValueError:
                    return _code(Code.BAD_VALUE, line, field, "there is no such moment")
        return Line(line, self._row, said)


def ref_of(said: Mapping[str, object]) -> str:
    """The reference that a row says; empty when it says none, or what cannot be one."""
    ref = said.get("ref", "")
    plain = ref.strip() if isinstance(ref, str) else ""
    return plain if len(plain) <= LONGEST_REF and plain.isprintable() else ""


def _code(code: Code, line: int, field: str = "", detail: str = "") -> Fault:
    return Fault(line, code.word, field, detail or code.sentence)


def _split(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []
