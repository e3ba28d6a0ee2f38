"""A filter of references: it says "surely new" of almost every new one without asking the disk. Pure.

A reference must be unique for its client as long as it is remembered, in an index of many buckets and files; asking
them all for each push would be the price of every push. The filter (Bloom, about 10 bits a reference) holds every
reference that is remembered and some that no longer are: it may send a new one to the disk in vain, and never lets a
known one pass.

The tags are keyed hashes already, so their own bits choose the places. One thread only: setting a bit is reading and
writing a byte.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

CHUNK: Final = 1 << 20
"""References a chunk holds. Chunks and not one filter, so that it grows with what it holds."""

_BITS: Final = 25
"""2**25 bits for 2**20 references, 32 bits each, and 4 probes: 1 in 5,000 asks a full chunk's disk in vain."""

CHUNK_OCTETS: Final = 1 << (_BITS - 3)

_MASK: Final = (1 << _BITS) - 1
_PROBES: Final = 4


class Chunk:
    """The bits of at most ``CHUNK`` references."""

    __slots__ = ("bits", "count")

    def __init__(self, bits: bytearray | None = None, count: int = 0) -> None:
        self.bits = bytearray(CHUNK_OCTETS) if bits is None else bits
        self.count = count


class RefFilter:
    """Which reference tags may be known."""

    def __init__(self, chunks: Iterable[Chunk] = ()) -> None:
        """``chunks``: those of an earlier run, the oldest first."""
        self._chunks: deque[Chunk] = deque()
        self._chunks.extendleft(chunks)
        if not self._chunks:
            self._chunks.append(Chunk())

    @property
    def chunks(self) -> list[Chunk]:
        """The oldest first; the last one is being filled."""
        return list(reversed(self._chunks))

    def may_know(self, tag: bytes) -> bool:
        """False when the reference is surely new."""
        word = int.from_bytes(tag, "little")
        place = word & _MASK
        for chunk in self._chunks:
            bits = chunk.bits
            # Nearly every new one is told by its first place, so the others are not even cut out of the tag before.
            if bits[place >> 3] >> (place & 7) & 1 and all(
                bits[other >> 3] >> (other & 7) & 1 for other in _other_places(word)
            ):
                return True
        return False

    def add(self, tags: Iterable[bytes]) -> None:
        """Remember these tags."""
        chunk = self._chunks[0]
        for tag in tags:
            if chunk.count >= CHUNK:
                chunk = Chunk()
                self._chunks.appendleft(chunk)
            bits = chunk.bits
            # The four places, written out: a loop over them would cost as much again.
            word = int.from_bytes(tag, "little")
            bits[(word & _MASK) >> 3] |= 1 << (word & 7)
            word >>= _BITS
            bits[(word & _MASK) >> 3] |= 1 << (word & 7)
            word >>= _BITS
            bits[(word & _MASK) >> 3] |= 1 << (word & 7)
            word >>= _BITS
            bits[(word & _MASK) >> 3] |= 1 << (word & 7)
            chunk.count += 1

    def __len__(self) -> int:
        """References added, those added twice counted twice."""
        return sum(chunk.count for chunk in self._chunks)

    @property
    def octets(self) -> int:
        """The memory that the filter takes."""
        return len(self._chunks) * CHUNK_OCTETS


def _other_places(word: int) -> Iterator[int]:
    for _ in range(_PROBES - 1):
        word >>= _BITS
        yield word & _MASK
