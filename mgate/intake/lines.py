"""Octets to numbered lines, with a bound on how long a line may be. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

LONGEST_LINE: Final = 64 * 1024


class NumberedLine(NamedTuple):
    """One line without its newline; ``octets`` is None when it was too long and is skipped."""

    number: int
    octets: bytes | None


class Lines:
    """Cuts a body into lines; keeps at most one unfinished line of bounded length.

    Lines are counted from 1 as an editor counts them, the blank ones too; those are not given out.
    """

    def __init__(self) -> None:
        self._tail = b""
        self._skipping = False
        self._number = 1

    @property
    def next_number(self) -> int:
        """The number of the line that is unfinished, or comes next."""
        return self._number

    def feed(self, data: bytes) -> list[NumberedLine]:
        """The lines that ``data`` finishes, and the one that it makes too long."""
        found: list[NumberedLine] = []
        pieces = (self._tail + data).split(b"\n")
        self._tail = pieces.pop()
        for piece in pieces:
            if self._skipping or len(piece) > LONGEST_LINE:
                self._add(found, piece)
                self._skipping = False
            elif piece and not piece.isspace():
                found.append(NumberedLine(self._number, piece))
            self._number += 1
        if len(self._tail) > LONGEST_LINE:
            self._add(found, self._tail)
            self._skipping = True
            self._tail = b""
        return found

    def end(self) -> list[NumberedLine]:
        """The last line, when the body does not end with a newline."""
        found: list[NumberedLine] = []
        self._add(found, self._tail)
        self._tail = b""
        return found

    def _add(self, found: list[NumberedLine], piece: bytes) -> None:
        if self._skipping:
            return
        if len(piece) > LONGEST_LINE:
            found.append(NumberedLine(self._number, None))
        elif piece and not piece.isspace():
            found.append(NumberedLine(self._number, piece))
