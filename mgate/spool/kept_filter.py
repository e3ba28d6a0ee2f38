"""The filter of references on the disk, so that a start need not read every reference again.

A chunk is written when it is full, and the newest one at the end of the day or beside a full one. Each file says what
is surely in it and in those before it (``Marks``); what came after is read from the spool. The files are a copy of what
is known elsewhere: one that is missing, torn, or of another life of this spool (a restored backup) is left aside, and
all is read as on the first day. The bits are those of keyed tags, which stand on the disk beside them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from mgate.spool.filter import CHUNK_OCTETS, Chunk

_MAGIC: Final = b"mgate refs 1\n"
_DIGEST: Final = 16


class Marks(msgspec.Struct, frozen=True, array_like=True):
    """What is surely in the filter: the live messages up to the id ``greatest``, and of the files of the past what
    stands in buckets below that of ``past``.

    Attributes:
        first, chain: the journal's last run at that moment, by which a restored spool is known.
    """

    first: int
    chain: bytes
    greatest: int
    past: dict[str, int]


class _Header(msgspec.Struct, frozen=True, array_like=True):
    before: tuple[bytes, ...]
    count: int
    marks: Marks


class KeptFilter:
    """The chunk files of one spool. A disk that takes none is no fault: the next start takes longer.

    Each bears the digests of those before it: what it says of all of them holds for just these.
    """

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._digests: list[bytes] = []
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(_Header).decode

    def _path(self, number: int) -> Path:
        return self._spool.with_name(f"{self._spool.name}-refs-{number:05d}")

    def save(self, number: int, chunk: Chunk, marks: Marks) -> None:
        """Keep the chunk of this number, from 1, whole or not at all. ``marks``: what is in it and those before it."""
        del self._digests[number - 1 :]
        header = self._encode(_Header(tuple(self._digests), chunk.count, marks))
        body = len(header).to_bytes(4, "big") + header + bytes(chunk.bits)
        digest = hashlib.blake2b(body, digest_size=_DIGEST).digest()
        path = self._path(number)
        fresh = path.with_name(path.name + ".new")
        try:
            fresh.touch(0o600)
            fresh.write_bytes(_MAGIC + digest + body)
            fresh.replace(path)
        except OSError:
            fresh.unlink(missing_ok=True)
        self._digests.append(digest)

    def load(self) -> tuple[Sequence[Chunk], Marks] | None:
        """The chunks, the oldest first, and what is in them; None when nothing is to be trusted."""
        chunks: list[Chunk] = []
        marks: Marks | None = None
        trusted = 0
        while (read := self._read(len(chunks) + 1)) is not None:
            digest, header, chunk = read
            chunks.append(chunk)
            if header.before == tuple(self._digests):
                trusted, marks = len(chunks), header.marks
            self._digests.append(digest)
        del self._digests[trusted:]
        return None if marks is None else (chunks[:trusted], marks)

    def forget(self, above: int = 0) -> None:
        """Delete the files of greater numbers."""
        for path in sorted(self._spool.parent.glob(f"{self._spool.name}-refs-*")):
            number = path.name.removesuffix(".new").rpartition("-")[2]
            if path.name.endswith(".new") or (number.isdecimal() and int(number) > above):
                path.unlink(missing_ok=True)

    def _read(self, number: int) -> tuple[bytes, _Header, Chunk] | None:
        try:
            octets = self._path(number).read_bytes()
        except OSError:
            return None
        digest, body = octets[len(_MAGIC) :][:_DIGEST], octets[len(_MAGIC) + _DIGEST :]
        if not octets.startswith(_MAGIC) or hashlib.blake2b(body, digest_size=_DIGEST).digest() != digest:
            return None
        end = 4 + int.from_bytes(body[:4], "big")
        try:
            header = self._decode(body[4:end])
        except msgspec.DecodeError:
            return None
        return (digest, header, Chunk(bytearray(body[end:]), header.count)) if len(body) == end + CHUNK_OCTETS else None
