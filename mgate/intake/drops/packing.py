"""Unpacking: the octets of a file as they lie in the folder, to those of its rows, piece by piece. Pure.

A packed file is one file: a gzip file (RFC 1952) has one member, a zip file (APPNOTE 6.3) one entry, stored or
deflated, that is no folder, no link and not encrypted. It is read from its beginning to its end as a stream, so that
its own table of contents, which may say anything, is only compared with what was there. How much comes out is bounded
all the way: by octets, and by how many times the file's size that is.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from typing import Final, Protocol

from mgate.intake.drops.faults import FileFault, Refused
from mgate.intake.drops.names import Packing

PIECE: Final = 128 * 1024
"""Octets that come out at a time, at most."""

_UNTIL: Final = 64 * 1024
"""Octets of a zip file's end, which are held to be compared, and of its first header."""

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_ENCRYPTED: Final = 0x0001
_LENGTH_BEHIND: Final = 0x0008
_STORED: Final = 0
_DEFLATED: Final = 8
_GZIP_WINDOW: Final = 31
_LARGE: Final = 0xFFFFFFFF


class Unpacker(Protocol):
    """One file's."""

    def feed(self, octets: bytes) -> Iterator[bytes]:
        """What these octets of the file unpack to, in pieces. Raises `Refused`."""

    def end(self) -> None:
        """The file is over. Raises `Refused` when it should not be."""


def unpacker(packing: Packing) -> Unpacker:
    """What unpacks such a file."""
    match packing:
        case Packing.NONE:
            return _Plain()
        case Packing.GZIP:
            return _Gzip()
        case Packing.ZIP:
            return _Zip()


class Bounds:
    """Holds what comes out against what a folder takes.

    Args:
        size: of the file as it lies in the folder; ``most_bytes``, ``most_ratio``: see ``config.drops.Drop``.
    """

    def __init__(self, size: int, most_bytes: int, most_ratio: int) -> None:
        self._most = most_bytes
        self._inflated = max(size, 1024) * most_ratio
        self.out = 0

    def add(self, octets: int) -> None:
        """So many more have come out. Raises `Refused`."""
        self.out += octets
        if self.out > self._inflated:
            raise Refused(FileFault.BOMB)
        if self.out > self._most:
            raise Refused(FileFault.TOO_LARGE, f"{self._most} bytes are the most, unpacked")


class _Plain:
    def feed(self, octets: bytes) -> Iterator[bytes]:
        for start in range(0, len(octets), PIECE):
            yield octets[start : start + PIECE]

    def end(self) -> None:
        """A plain file may end anywhere."""


class _Gzip:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP_WINDOW)

    def feed(self, octets: bytes) -> Iterator[bytes]:
        over = self._stream.eof
        yield from _inflate(self._stream, octets)
        if self._stream.unused_data or (over and octets):
            raise Refused(FileFault.BAD_ARCHIVE, "something stands behind its end; one gzip member is taken")

    def end(self) -> None:
        if not self._stream.eof:
            raise Refused(FileFault.BAD_ARCHIVE, "it breaks off")


class _Zip:
    """First the header, then the entry, then what stands behind it."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._begun = False
        self._over = False
        self._stream: zlib._Decompress | None = None
        self._left = 0
        self._crc = 0
        self._size = 0

    def feed(self, octets: bytes) -> Iterator[bytes]:
        if not self._begun:
            self._head += octets
            octets = self._begin()
        if self._begun and not self._over:
            for piece in self._entry(octets):
                self._crc = zlib.crc32(piece, self._crc)
                self._size += len(piece)
                yield piece
        elif self._over:
            self._behind(octets)

    def end(self) -> None:
        if not self._over:
            raise Refused(FileFault.BAD_ARCHIVE, "it breaks off")
        for skipped in (0, 12, 16, 20, 24):  # the lengths that a data descriptor may have, and none
            if self._tail[skipped : skipped + 4] == b"PK\x01\x02":
                self._contents(self._tail[skipped:])
                return
        raise Refused(FileFault.BAD_ARCHIVE, "it holds more than one file, or has no table of contents")

    def _begin(self) -> bytes:
        """Read the header when it has come; the octets of the entry that have come with it."""
        if not b"PK\x03\x04".startswith(self._head[:4]) and self._head[:4] != b"PK\x03\x04":
            raise Refused(FileFault.BAD_ARCHIVE, "it is no zip file")
        if len(self._head) < _LOCAL.size:
            return b""
        _, _, flags, method, _, _, _, packed, plain, name, extra = _LOCAL.unpack_from(self._head)
        begin = _LOCAL.size + name + extra
        if len(self._head) < begin:
            return b""
        _check_name(self._head[_LOCAL.size : _LOCAL.size + name])
        if flags & _ENCRYPTED:
            raise Refused(FileFault.BAD_ARCHIVE, "it is encrypted")
        if method == _DEFLATED:
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        elif method != _STORED or flags & _LENGTH_BEHIND or packed != plain or packed == _LARGE:
            raise Refused(FileFault.BAD_ARCHIVE, "it is packed in a way that is not taken; use deflate")
        self._left = packed
        self._begun = True
        rest, self._head = self._head[begin:], b""
        return rest

    def _entry(self, octets: bytes) -> Iterator[bytes]:
        if self._stream is None:
            here, octets = octets[: self._left], octets[self._left :]
            self._left -= len(here)
            yield from (here[start : start + PIECE] for start in range(0, len(here), PIECE))
            if self._left:
                return
        else:
            yield from _inflate(self._stream, octets)
            if not self._stream.eof:
                return
            octets = self._stream.unused_data
        self._over = True
        self._behind(octets)

    def _behind(self, octets: bytes) -> None:
        self._tail += octets
        if len(self._tail) > _UNTIL:
            raise Refused(FileFault.BAD_ARCHIVE, "it holds more than one file")

    def _contents(self, table: bytes) -> None:
        """Hold the table of contents against what was there."""
        if len(table) < _CENTRAL.size:
            raise Refused(FileFault.BAD_ARCHIVE, "it breaks off")
        entry = _CENTRAL.unpack_from(table)
        crc, size, attributes = entry[7], entry[9], entry[15]
        end = _CENTRAL.size + sum(entry[10:13])
        if table[end : end + 4] not in (b"PK\x05\x06", b"PK\x06\x06"):
            raise Refused(FileFault.BAD_ARCHIVE, "it holds more than one file, or breaks off")
        if stat.S_IFMT(attributes >> 16) not in (0, stat.S_IFREG):
            raise Refused(FileFault.BAD_ARCHIVE, "it holds a link or a folder, not a file")
        if crc != self._crc or size not in (self._size, _LARGE):
            raise Refused(FileFault.BAD_ARCHIVE, "its content is damaged")


def _check_name(name: bytes) -> None:
    """The name is never used; one that is a way to another place says that the file means harm, or is a folder."""
    if b"/" in name or b"\\" in name or b"\0" in name or name in (b"", b".", b".."):
        raise Refused(FileFault.BAD_ARCHIVE, "the file in it has no plain name")


def _inflate(stream: zlib._Decompress, octets: bytes) -> Iterator[bytes]:
    try:
        while octets and not stream.eof:
            yield stream.decompress(octets, PIECE)
            octets = stream.unconsumed_tail
    except zlib.error as error:
        raise Refused(FileFault.BAD_ARCHIVE, "its content is damaged") from error
