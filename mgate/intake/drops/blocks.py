"""A claimed file as blocks of unpacked octets. Everything here waits for a disk or computes without the interpreter's
lock, and runs on a thread; the reactor only gets what came of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Final, NamedTuple

from mgate.intake.drops.encodings import BadOctets, Sniffer
from mgate.intake.drops.faults import FileFault, Refused
from mgate.intake.drops.folder import Seen, seen
from mgate.intake.drops.names import Packing
from mgate.intake.drops.packing import Bounds, unpacker

READ: Final = 128 * 1024
"""Octets that are read at a time."""


class Limits(NamedTuple):
    """What a folder takes; see ``config.drops.Drop``."""

    most_rows: int
    most_bytes: int
    most_ratio: int


class Examined(NamedTuple):
    """What the first look at a file found. ``seen``: how it was then; ``octets``: unpacked."""

    digest: str
    encoding: str
    seen: Seen
    octets: int


class Blocks:
    """The unpacked octets of an open file, from its beginning, in blocks of 128 KiB at most.

    Args:
        file: its descriptor, which whoever opened it closes.
        before: how it must still be; None when nobody has looked yet.
    """

    def __init__(self, file: int, packing: Packing, limits: Limits, before: Seen | None) -> None:
        self._file = file
        self._before = before
        self.seen = seen(file)
        self._bounds = Bounds(self.seen.size, limits.most_bytes, limits.most_ratio)
        self._unpacker = unpacker(packing)
        self._digest = hashlib.sha256()
        self._at = 0
        self._pieces = self._all()
        if self.seen.size > limits.most_bytes:
            raise Refused(FileFault.TOO_LARGE, f"{limits.most_bytes} bytes are the most")

    @property
    def at(self) -> int:
        """Octets of the file that have been read."""
        return self._at

    @property
    def digest(self) -> str:
        """The SHA-256 of what has been read, in hexadecimal."""
        return self._digest.hexdigest()

    def next(self) -> bytes:
        """The next block; empty at the end.

        Raises:
            Refused: it cannot be unpacked, is too large, or somebody writes to it.
        """
        return next(self._pieces, b"")

    def _all(self) -> Iterator[bytes]:
        while octets := os.pread(self._file, READ, self._at):
            if self._before is not None and seen(self._file) != self._before:
                raise Refused(FileFault.CHANGED)
            self._at += len(octets)
            self._digest.update(octets)
            for piece in self._unpacker.feed(octets):
                self._bounds.add(len(piece))
                if piece:
                    yield piece
        self._unpacker.end()


class Look:
    """The first look at a file: its digest, that it can be unpacked, and its encoding; a step at a time."""

    def __init__(self, blocks: Blocks, encoding: str) -> None:
        self._blocks = blocks
        self._sniffer = Sniffer(encoding)
        self._octets = 0

    def step(self) -> bool:
        """Look at some more; False at the end. Raises `Refused`."""
        for _ in range(8):
            block = self._blocks.next()
            self._octets += len(block)
            try:
                self._sniffer.feed(block, not block)
            except BadOctets as bad:
                raise Refused(FileFault.BAD_ENCODING, bad.detail, bad.line) from bad
            if not block:
                return False
        return True

    def found(self) -> Examined:
        """What it found. Raises `Refused` when the encoding cannot be told."""
        encoding = self._sniffer.encoding()
        if encoding is None:
            raise Refused(FileFault.UNKNOWN_ENCODING)
        return Examined(self._blocks.digest, encoding, self._blocks.seen, self._octets)
