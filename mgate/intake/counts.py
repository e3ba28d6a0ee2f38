"""What the guards count with: cells for the flood of an hour, and for every limit of every class. Memory is bounded.

The cells lie in pages that the kernel gives when they are first written to: a limit that nobody comes near costs
nothing.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from mgate.model.message import TrafficClass
from mgate.policy.guards.counting import Limit
from mgate.policy.guards.flood import Memory

CELL: Final = 8
"""Octets of a cell."""
_PRINT: Final = 4

Pages = memoryview


class Counts:
    """The cells of one daemon.

    Args:
        numbers: at least so many numbers are remembered by each limit.

    Attributes:
        flood: of the flood guard.
    """

    def __init__(self, numbers: int) -> None:
        self._size = 1 << (numbers - 1).bit_length()
        self._first = _pages(self._size * _PRINT).cast("I")
        self.flood = Memory(self._cells(), self._cells(), self._first)
        self._limits: dict[str, Pages] = {}

    def apply(self, limits: Mapping[TrafficClass, Iterable[Limit]]) -> None:
        """Keep cells for these limits and no others; those of a limit with the same period stay as they are."""
        wanted = [_name(traffic, limit) for traffic, of_class in limits.items() for limit in of_class]
        self._limits = {name: self._limits.get(name) or self._cells() for name in wanted}

    def of_limit(self, traffic: TrafficClass, limit: Limit) -> Pages:
        """The cells of a limit that was applied."""
        return self._limits[_name(traffic, limit)]

    def dump(self) -> Iterator[tuple[str, bytes]]:
        """Everything that is counted, table by table."""
        for name, cells in self._tables().items():
            yield name, bytes(cells)

    def load(self, tables: Iterable[tuple[str, bytes]]) -> Sequence[str]:
        """Go on from what ``dump`` gave; the names of what does not fit any more, and is left out."""
        own, left_out = self._tables(), []
        for name, octets in tables:
            cells = own.get(name)
            if cells is None or cells.nbytes != len(octets):
                left_out.append(name)
            else:
                cells.cast("B")[:] = octets
        return left_out

    def _tables(self) -> dict[str, Pages]:
        named = {f"flood/{field}": getattr(self.flood, field) for field in Memory._fields}
        return named | self._limits

    def _cells(self) -> Pages:
        return _pages(self._size * CELL).cast("Q")


def _pages(octets: int) -> Pages:
    return memoryview(mmap.mmap(-1, octets))


def _name(traffic: TrafficClass, limit: Limit) -> str:
    return f"{traffic.word}/{limit.period:.0f}"
