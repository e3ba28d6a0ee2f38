"""The core's own list of a day as a file: CSV with the columns ``key``, ``created``, and ``version`` and ``state``.

The last two may be left out; ``state`` is the core's last word of a row, as its result table has it. Read row by row,
so that its size does not matter. A list that cannot be read to its end is refused whole, with the row: half a list
would make messages look extra.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from mgate.model.source import FINAL

COLUMNS: Final = ("key", "version", "created", "state")
_NEEDED: Final = ("key", "created")
_DELIMITERS: Final = ",;\t|"
_MILLISECONDS: Final = 100_000_000_000
"""From here on a number is milliseconds: as seconds it would be the year 5138."""


class CountsError(Exception):
    """The list cannot be read; the sentence says where, and what to do."""


class Written(NamedTuple):
    """A row: its reference, when it was written (milliseconds since 1970), and its last word, one
    of ``model.source.FINAL``; empty for none."""

    ref: str
    at: int
    final: str


def read_counts(path: Path, zone: ZoneInfo, *, versioned: bool) -> Iterator[Written]:
    """The rows of a file.

    Args:
        zone: of moments that name none.
        versioned: whether each reference bears its version, though it be empty.

    Raises:
        CountsError: at once or at the row where it breaks.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            delimiter = max(_DELIMITERS, key=header.count)
            names = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]
            for column in (column for column in _NEEDED if column not in names):
                known = ", ".join(COLUMNS)
                raise CountsError(f"{path}: its first line names no column {column}; columns are {known}")
            yield from _rows(path, csv.reader(file, delimiter=delimiter, strict=True), names, zone, versioned)
    except OSError as error:
        raise CountsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CountsError(f"{path}: is not UTF-8: write it in UTF-8") from error
    except csv.Error as error:
        raise CountsError(f"{path}: is no CSV: {error}") from error


def _rows(
    path: Path, rows: Iterator[list[str]], names: list[str], zone: ZoneInfo, versioned: bool
) -> Iterator[Written]:
    at = {name: names.index(name) for name in COLUMNS if name in names}
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) != len(names):
            raise CountsError(f"{path}: row {number} has {len(row)} fields, the first line {len(names)}")
        given = {name: row[place].strip() for name, place in at.items()}
        if not given["key"]:
            raise CountsError(f"{path}: row {number} has no key")
        moment = _moment(given["created"], zone)
        if moment is None:
            raise CountsError(
                f"{path}: row {number}: created is {given['created']!r}; it is a moment such as"
                ' "2026-07-01 09:30:00" or "2026-07-01T09:30:00+03:00", or seconds since 1970'
            )
        version = given.get("version", "")
        ref = f"{given['key']}/{version}" if version or versioned else given["key"]
        state = given.get("state", "").lower()
        yield Written(ref, moment, state if state in FINAL else "")


def _moment(text: str, zone: ZoneInfo) -> int | None:
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        return int(number if number >= _MILLISECONDS else number * 1000) if 0 < number < 1e15 else None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)
