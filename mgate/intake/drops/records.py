"""Records: the text of a file, piece by piece, to its rows as they are written, each with the line it begins in. Pure.

A row of CSV may go over several lines inside quotes (RFC 4180), so lines are joined until their quotes are even. A
quote that is never closed must not swallow the rest of the file: after 64 KiB its line is told, and reading goes on
with the next. A row of NDJSON is a line. Empty lines are no rows.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from mgate.intake.drops.faults import Fault, RowFault, fault

LONGEST: Final = 64 * 1024
"""Characters of one row."""

Record = tuple[int, str]


class Records:
    """Cuts one file.

    Args:
        quotes: whether a row may go over several lines inside quotes.
    """

    def __init__(self, quotes: bool) -> None:
        self._quotes = quotes
        self._line = 0
        self._part = ""
        self._skipping = False
        self._open: list[Record] = []
        self._open_size = 0
        self.ready: deque[Record | Fault] = deque()
        """Rows, and faults that are no rows, in order; whoever takes them takes them from the left."""

    def feed(self, text: str, final: bool = False) -> None:
        """The next piece of the text; ``final`` with the last one."""
        if self._skipping:
            cut = text.find("\n")
            if cut < 0 and not final:
                return
            self._skipping = False
            text = text[cut + 1 :] if cut >= 0 else ""
        lines = (self._part + text).split("\n")
        self._part = lines.pop()
        self._take(lines)
        if len(self._part) > LONGEST:
            self._overlong()
        if final:
            if self._part:
                self._take([self._part])
            self._part = ""
            while self._open:
                self._give_up()

    def _take(self, lines: list[str]) -> None:
        number = self._line
        self._line += len(lines)
        if self._quotes and (self._open or '"' in "".join(lines)):
            for line in lines:
                number += 1
                self._join(number, line)
            return
        ready = self.ready
        for line in lines:
            number += 1
            if len(line) > LONGEST:
                ready.append(fault(RowFault.LINE_TOO_LONG, number))
            elif line.strip("\r "):
                ready.append((number, line.removesuffix("\r")))

    def _join(self, number: int, line: str) -> None:
        odd = line.count('"') & 1
        if not self._open:
            if not odd:
                self._plain(number, line)
            else:
                self._open, self._open_size = [(number, line)], len(line) + 1
                self._check_open()
            return
        self._open.append((number, line))
        self._open_size += len(line) + 1
        if odd:
            self._close()
        else:
            self._check_open()

    def _plain(self, number: int, line: str) -> None:
        if len(line) > LONGEST:
            self.ready.append(fault(RowFault.LINE_TOO_LONG, number))
        elif line.strip("\r "):
            self.ready.append((number, line.removesuffix("\r")))

    def _close(self) -> None:
        first = self._open[0][0]
        whole = "\n".join(line for _, line in self._open)
        self._open, self._open_size = [], 0
        if len(whole) > LONGEST:
            self.ready.append(fault(RowFault.LINE_TOO_LONG, first))
        else:
            self.ready.append((first, whole.removesuffix("\r")))

    def _check_open(self) -> None:
        while self._open_size > LONGEST:
            self._give_up()

    def _give_up(self) -> None:
        """The first line's quote is not closed: tell it, and read the lines behind it again without it."""
        lines, self._open, self._open_size = self._open, [], 0
        self.ready.append(fault(RowFault.OPEN_QUOTE, lines[0][0]))
        for number, line in lines[1:]:
            self._join(number, line)

    def _overlong(self) -> None:
        """The line that has begun is longer than a row may be: tell it, and pass over the rest of it."""
        while self._open:
            self._give_up()
        self._line += 1
        self.ready.append(fault(RowFault.LINE_TOO_LONG, self._line))
        self._part, self._skipping = "", True
