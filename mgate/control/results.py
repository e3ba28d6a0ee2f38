"""What became of the rows of a push: one result a row, their tally, and the file that keeps them."""

from __future__ import annotations

import csv
import os
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

REFUSED: Final = "refused"


class CannotKeep(Exception):
    """The results cannot be written where they were wanted; the sentence says why. Nothing there was touched."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one row.

    Attributes:
        row: its number in the file.
        to: the number, masked.
        id: empty where it was refused.
        state: ``refused``, or a state of the push API.
        reason: why it was refused or failed, with the field at fault; ``duplicate`` where it was known already.
        duplicate: whether an earlier push had brought it.
    """

    row: int
    ref: str
    to: str
    id: str
    state: str
    reason: str
    duplicate: bool = False


@dataclass(slots=True)
class Tally:
    """How many rows went which way. ``states`` counts the messages that were taken, by state."""

    accepted: int = 0
    duplicate: int = 0
    refused: int = 0
    states: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """All that came to a result."""
        return self.accepted + self.duplicate + self.refused

    def add(self, result: Result) -> None:
        """Count one result."""
        if result.state == REFUSED:
            self.refused += 1
        elif result.duplicate:
            self.duplicate += 1
        else:
            self.accepted += 1
        if result.state != REFUSED:
            self.states[result.state] = self.states.get(result.state, 0) + 1


class ResultFile:
    """A CSV of results that is there whole or not at all: written beside its place, then renamed into it.

    Takes the place of an older result file, never of ``source``, the file that is pushed, and of nothing that is no
    regular file. All this is looked at when it is entered. Errors: `CannotKeep`.
    """

    COLUMNS: Final = ("row", "ref", "to", "id", "state", "reason")

    def __init__(self, path: Path, source: Path) -> None:
        self._path = path
        self._source = source

    def __enter__(self) -> Self:
        try:
            self._check()
            handle, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        except OSError as error:
            raise CannotKeep(
                f"{self._path}: the results cannot be written there: {error.strerror}; nothing was pushed"
            ) from error
        self._beside = Path(name)
        self._file = os.fdopen(handle, "w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(self.COLUMNS)
        return self

    def _check(self) -> None:
        try:
            # A link's own kind counts, since it is the link that would be replaced.
            there = self._path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISREG(there.st_mode):
            raise CannotKeep(f"{self._path}: is no regular file; name another for --result; nothing was pushed")
        if os.path.samestat(there, self._source.stat()):
            raise CannotKeep(f"{self._path}: is the file that is pushed; name another for --result; nothing was pushed")

    def write(self, results: Iterable[Result]) -> None:
        """Add results."""
        self._writer.writerows((each.row, each.ref, each.to, each.id, each.state, each.reason) for each in results)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self._file as file:
            if error is None:
                file.flush()
                os.fsync(file.fileno())
        if error is None:
            self._beside.replace(self._path)
        else:
            self._beside.unlink()
