"""A CSV file as people make them, read row by row into the messages of the push API.

Encoding and delimiter are found, not asked for; columns are known by their usual names or by a mapping. What cannot be
read as a whole file is a `SheetError`; a row that cannot be read is `Bad`, and the others go on. The check here is a
first one: what only the daemon knows (a sender's right, a number's plan) it says itself.

A row without a ref gets one from the file's content and the row's number, so that the same file pushed again is
recognised row by row, and what was taken is not sent twice.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

import msgspec

from mgate.model.address import mask
from mgate.model.message import CLASS_BY_WORD

FIELDS: Final = ("ref", "to", "class", "text", "sender", "valid_for", "not_before", "not_after", "group", "tags")
"""The fields of a message that a column may hold."""

_ALIASES: Final = {
    **{field: field for field in FIELDS},
    **dict.fromkeys(("phone", "phone_number", "number", "msisdn", "mobile", "tel", "telephone", "recipient"), "to"),
    **dict.fromkeys(("message", "body", "msg", "content", "sms"), "text"),
    **dict.fromkeys(("from", "source", "sender_id", "originator"), "sender"),
    **dict.fromkeys(("reference", "id", "external_id", "message_id"), "ref"),
    **dict.fromkeys(("type", "category", "traffic_class"), "class"),
    **dict.fromkeys(("ttl", "validity", "lifetime"), "valid_for"),
}
_DELIMITERS: Final = (",", ";", "\t", "|")
_LONGEST_HEADER: Final = 65_536
_REQUIRED: Final = ("to", "text", "class")
_SCIENTIFIC: Final = re.compile(r"[0-9]+([.,][0-9]+)?[eE]\+?[0-9]+", re.ASCII)
_BOMS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class SheetError(Exception):
    """The file cannot be pushed as it is; the sentence names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Good:
    """A row that can be pushed. ``number``: as a spreadsheet counts, the header is row 1; ``to`` is masked."""

    number: int
    ref: str
    to: str
    line: bytes


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that cannot, with the column at fault (empty: the whole row) and the reason."""

    number: int
    ref: str
    to: str
    field: str
    reason: str


Row = Good | Bad


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file whose header is understood.

    Attributes:
        digest: the head of the SHA-256 of its content, from which refs are made.
        columns: for each column its field, or empty for a column that is left out.
        ignored: the names of those.
        defaults: what holds for rows whose cell is empty or missing.
    """

    path: Path
    digest: str
    delimiter: str
    columns: tuple[str, ...]
    ignored: tuple[str, ...]
    defaults: Mapping[str, str]

    def rows(self) -> Iterator[Row]:
        """Every row that is not empty, in order; as often as wanted."""
        refs: dict[str, int] = {}
        with closing(_text(self.path)) as text:
            for number, cells in _records(csv.reader(text, delimiter=self.delimiter, strict=True)):
                row = self._row(number, cells)
                if isinstance(row, Good):
                    first = refs.setdefault(row.ref, number)
                    if first != number:
                        row = Bad(number, row.ref, row.to, "ref", f"row {first} has the same ref")
                if row is not None:
                    yield row

    def _row(self, number: int, cells: list[str] | str) -> Row | None:
        if isinstance(cells, str):
            return Bad(number, "", "", "", cells)
        if number == 1 or not any(cell.strip() for cell in cells):
            return None
        message = dict(self.defaults)
        message.update(
            (field, cell if field == "text" else cell.strip())
            for field, cell in zip(self.columns, cells, strict=False)
            if field and cell.strip()
        )
        if "class" in message:
            message["class"] = message["class"].lower()
        ref = message.setdefault("ref", f"{self.digest}-{number}")
        to = mask(message.get("to", ""))
        if len(cells) != len(self.columns):
            return Bad(
                number, ref, to, "", f"has {len(cells)} cells, the header has {len(self.columns)}: is a quote missing?"
            )
        wrong = _wrong(message)
        if wrong is not None:
            return Bad(number, ref, to, *wrong)
        return Good(number, ref, to, msgspec.json.encode(_typed(message)))


def open_sheet(path: Path, mapping: Mapping[str, str], defaults: Mapping[str, str]) -> Sheet:
    """Read the header of a file.

    Args:
        mapping: column name to field, for columns with names of their own.
        defaults: field to value, for what the file does not say.

    Errors: `SheetError`.
    """
    digest, head = _measure(path)
    header = _header(path, head)
    delimiter = max(_DELIMITERS, key=lambda mark: sum(map(bool, _columns(_cells(header, mark), mapping))))
    names = [name.strip() for name in _cells(header, delimiter)]
    columns = _columns(names, mapping)
    _check_columns(path, names, columns, mapping, defaults)
    ignored = tuple(name for name, field in zip(names, columns, strict=True) if not field)
    return Sheet(path, digest, delimiter, columns, ignored, defaults)


def _measure(path: Path) -> tuple[str, bytes]:
    """The head of the content's digest, and the first octets; refuses what is not UTF-8, naming the line."""
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines = 1
    head = b""
    try:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                head = head or piece[:_LONGEST_HEADER]
                digest.update(piece)
                lines += decoder.decode(piece).count("\n")
            decoder.decode(b"", final=True)
    except OSError as error:
        raise SheetError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        near = lines + bytes(error.object)[: error.start].count(b"\n")
        kind = "is UTF-16" if head.startswith(_BOMS) else f"line {near} is not UTF-8"
        raise SheetError(f'{path}: {kind}: save the file as UTF-8 (a spreadsheet calls it "CSV UTF-8")') from error
    return digest.hexdigest()[:16], head


def _header(path: Path, head: bytes) -> str:
    lines = head.decode("utf-8-sig", errors="ignore").splitlines()
    if not lines or not lines[0].strip():
        raise SheetError(f"{path}: the first line is empty; it must name the columns, such as: to,class,text")
    return lines[0]


def _cells(header: str, delimiter: str) -> list[str]:
    return next(csv.reader([header], delimiter=delimiter), [])


def _columns(names: Sequence[str], mapping: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(mapping.get(name.strip()) or _ALIASES.get(_plain(name), "") for name in names)


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _check_columns(
    path: Path, names: Sequence[str], columns: Sequence[str], mapping: Mapping[str, str], defaults: Mapping[str, str]
) -> None:
    wrong = [f"there is no column {name!r} for --map" for name in mapping if name not in names]
    for field in FIELDS:
        named = [name for name, column in zip(names, columns, strict=True) if column == field]
        if len(named) > 1:
            wrong.append(f"the columns {', '.join(named)} all mean {field}: choose one with --map, rename the others")
    missing = [field for field in _REQUIRED if field not in columns and field not in defaults]
    if missing:
        hint = " (or say --class)" if "class" in missing else ""
        wrong.append(
            f"no column for {', '.join(missing)}{hint}; name it with --map COLUMN=FIELD;"
            f" the columns are {', '.join(names)}"
        )
    if wrong:
        raise SheetError("\n".join(f"{path}: {sentence}" for sentence in wrong))


def _records(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str] | str]]:
    """Number and cells of every record, the header's too; a sentence in place of cells that cannot be told apart."""
    number = 0
    while True:
        number += 1
        try:
            cells: list[str] | str = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cells = f"is not CSV: {error}"
        yield number, cells


def _text(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", newline="")


def _wrong(message: Mapping[str, str]) -> tuple[str, str] | None:
    """Field and reason of what can be seen to be wrong from here."""
    for field in _REQUIRED:
        if not message.get(field):
            return field, "is empty"
    to = message["to"]
    if _SCIENTIFIC.fullmatch(to):
        return "to", "a spreadsheet has rounded this number (3.75E+11): format the column as text and fill it again"
    if not 5 <= sum(sign.isdigit() for sign in to) <= 20:
        return "to", "is not a phone number"
    if message["class"] not in CLASS_BY_WORD:
        return "class", f"is none of {', '.join(CLASS_BY_WORD)}"
    if not message.get("valid_for", "1").isascii() or not message.get("valid_for", "1").isdigit():
        return "valid_for", "is not a whole number of seconds"
    return None


def _typed(message: Mapping[str, str]) -> dict[str, object]:
    """The message as the push API wants it."""
    typed: dict[str, object] = dict(message)
    if "valid_for" in message:
        typed["valid_for"] = int(message["valid_for"])
    if "tags" in message:
        typed["tags"] = [tag for tag in re.split(r"[\s,;]+", message["tags"]) if tag]
    return typed
