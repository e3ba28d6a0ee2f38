"""A row of a file: a ``Submission``, or the fault that is in the way. Pure.

A row is read by the very rules of a push; its own are the number, as the folder's normaliser reads it, and the
reference. The canonical form holds what the row says and nothing that our configuration adds, so that a row that comes
again after a restart is the same, whatever was configured meanwhile.
"""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from typing import Final

from mgate.intake.client import PushClient
from mgate.intake.codes import Code
from mgate.intake.drops.faults import Fault, RowFault, fault
from mgate.intake.drops.table import Line, ref_of
from mgate.intake.normal import Normaliser, Unread
from mgate.intake.request import read_fields
from mgate.intake.shape import canonical
from mgate.model.entry import Submission
from mgate.model.message import TrafficClass
from mgate.model.ports import Refusal

_DIGEST: Final = 32


@dataclass(frozen=True, slots=True)
class RowRules:
    """By what the rows of one folder are read.

    Attributes:
        client: what the folder may send, and its defaults; its name is the folder's.
        traffic: the class of a row that says none; None: each must say one.
        numbers: reads its numbers.
    """

    client: PushClient
    traffic: TrafficClass | None
    numbers: Normaliser


class Checker:
    """Reads the rows of one file.

    Args:
        name, digest: the file's NAME and the SHA-256 of its octets, from which the references of rows without one are
            made: the same file names the same messages for ever.
    """

    def __init__(self, rules: RowRules, name: str, digest: str) -> None:
        self._rules = rules
        self._stem = f"{name}/{digest[:_DIGEST]}/"

    def ref(self, line: Line) -> str:
        """The reference of a row; empty when what it says is none."""
        return ref_of(line.said) if "ref" in line.said else f"{self._stem}{line.row}"

    def read(self, line: Line, now: float) -> Submission | Fault:
        """Read one row; ``now`` in seconds since 1970."""
        read = self._read(line, now)
        return read._replace(ref=self.ref(line)) if isinstance(read, Fault) else read

    def _read(self, line: Line, now: float) -> Submission | Fault:
        said = line.said
        said.setdefault("ref", f"{self._stem}{line.row}")
        try:
            same = canonical(said)
        except (UnicodeEncodeError, ValueError):
            return Fault(line.line, Code.LONE_SURROGATE.word, "", Code.LONE_SURROGATE.sentence)
        to, number = said.get("to"), None
        if isinstance(to, str) and to:
            found = self._rules.numbers.read(to)
            if isinstance(found, Unread):
                return Fault(line.line, found.word, "to", found.sentence)
            number = found
        if "class" not in said and self._rules.traffic is not None:
            said = {**said, "class": self._rules.traffic.word}
        read = read_fields(said, self._rules.client, -1, now, number, same)
        return Fault(line.line, read.code, read.field, read.detail) if isinstance(read, Refusal) else read


class Refs:
    """Finds a reference that comes twice in one file; of a million it keeps 24 MiB.

    Each is known by 63 bits of a digest under a key of this run, so that nobody can make two that look like one; that
    two do so by chance among a million is one in twenty million.

    Args:
        rows: how many may come.
        key: 16 random octets or more.
    """

    def __init__(self, rows: int, key: bytes) -> None:
        bits = max(8, (rows * 3 // 2).bit_length())
        self._mask = (1 << bits) - 1
        self._marks = array("Q", [0]) * (1 << bits)
        self._lines = array("I", [0]) * (1 << bits)
        self._left = rows
        self._key = key

    def first(self, ref: str, line: int) -> int:
        """The line that had this reference before; 0 when none had, and now this one has."""
        digest = hashlib.blake2b(ref.encode(), digest_size=8, key=self._key).digest()
        mark = int.from_bytes(digest, "little") | 1
        place = mark >> 7 & self._mask
        marks = self._marks
        while marks[place]:
            if marks[place] == mark:
                return self._lines[place]
            place = place + 1 & self._mask
        if self._left > 0:
            self._left -= 1
            marks[place] = mark
            self._lines[place] = line
        return 0


def repeated(line: int, first: int, ref: str) -> Fault:
    """The fault of a row whose reference an earlier line has."""
    found = fault(RowFault.REPEATED_REF, line, "ref", f"line {first} of this file has the same ref")
    return found._replace(ref=ref)
