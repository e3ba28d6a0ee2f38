"""How often in a period: sliding counts in cells of 64 bits, so that a million numbers are 8 MiB and no more.

A cell is a print of what it counts (20 bits), the quarter of the period in which it was last counted (14), and five
counts of six bits, one a quarter, the newest lowest. The current quarter and the four before it are counted: whatever
comes, no period holds more than the limit, and what was counted is forgotten after a period and a quarter.

Cells are few and numbers are many: a key has two cells to choose from, and when both are taken the one that counts
less is given up. What is forgotten so is let pass. That two keys fall into one cell with the same print happens to two
of a million; then they share a count, which matters only when it stands at the limit.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

QUARTERS: Final = 4
MOST: Final = 60
"""The greatest limit: the sum of the five counts is taken by a remainder of 63."""

_PRINT: Final = 44
_QUARTER: Final = 30
_QUARTERS: Final = (1 << 14) - 1
_COUNT: Final = 6
_ONE: Final = (1 << _COUNT) - 1
_COUNTS: Final = (1 << _QUARTER) - 1
_KEPT: Final = QUARTERS + 1


class Cells(Protocol):
    """Numbers of 64 bits, as many as a power of two."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, place: int, /) -> int:
        """One of them."""

    def __setitem__(self, place: int, cell: int, /) -> None:
        """Write one."""


class Limit(NamedTuple):
    """At most ``most`` in any ``period`` of seconds."""

    most: int
    period: float


def quarter(now: float, period: float) -> int:
    """The quarter of a period that a moment falls into, seconds since 1970."""
    return int(now * QUARTERS / period)


def admit(cells: Cells, key: int, quarter: int, most: int) -> int:
    """Count ``key`` once more: how often it has been in the period, this time included; 0, and nothing is counted, when
    that would be more than ``most``.

    Args:
        cells: they are written to.
        key: 64 bits that are as good as random.
    """
    place, mark = key & len(cells) - 1, key >> _PRINT
    cell = cells[place]
    if cell >> _PRINT != mark:
        other = cells[place ^ 1]
        if other >> _PRINT != mark:
            if cell and _live(cell, quarter) % _ONE > _live(other, quarter) % _ONE:
                place ^= 1
            cells[place] = mark << _PRINT | (quarter & _QUARTERS) << _QUARTER | 1
            return 1
        place ^= 1
        cell = other
    # As `_live`, which costs a call.
    gone = quarter - (cell >> _QUARTER) & _QUARTERS
    counts = (cell & _COUNTS) << _COUNT * gone & _COUNTS if gone < _KEPT else 0
    found = counts % _ONE + 1
    if found > most:
        return 0
    cells[place] = mark << _PRINT | (quarter & _QUARTERS) << _QUARTER | counts + 1
    return found


def count(cells: Cells, key: int, quarter: int) -> int:
    """How often ``key`` was counted in the period."""
    place = _place(cells, key)
    return _live(cells[place], quarter) % _ONE if place is not None else 0


def take_back(cells: Cells, key: int, quarter: int) -> None:
    """Count ``key`` once less: the newest time that is known."""
    place = _place(cells, key)
    if place is None:
        return
    counts = _live(cells[place], quarter)
    for shift in range(0, _KEPT * _COUNT, _COUNT):
        if counts >> shift & _ONE:
            cells[place] = key >> _PRINT << _PRINT | (quarter & _QUARTERS) << _QUARTER | counts - (1 << shift)
            return


def _place(cells: Cells, key: int) -> int | None:
    place = key & len(cells) - 1
    return next((each for each in (place, place ^ 1) if cells[each] >> _PRINT == key >> _PRINT), None)


def _live(cell: int, quarter: int) -> int:
    """The counts of a cell as they are in this quarter."""
    gone = quarter - (cell >> _QUARTER) & _QUARTERS
    return (cell & _COUNTS) << _COUNT * gone & _COUNTS if gone < _KEPT else 0
