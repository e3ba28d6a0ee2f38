"""Nonces: 24 random bytes each, from the kernel, drawn many at a time.

A draw gives up the interpreter's lock and costs half a microsecond, so one system call serves many seals. What is drawn
and not yet used is one stock for the process, and must never be used twice: a forked child begins with an empty one,
and what is older than `STALE_AFTER` is thrown away, so that a snapshot of a machine that rests, started twice, has
nothing to repeat. A machine frozen in mid-work and started twice may still repeat `DRAWN` of them.

This is the one clock of the room: it measures an age and never says what time it is.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from time import monotonic
from typing import Final

NONCE_BYTES: Final = 24
DRAWN: Final = 128
STALE_AFTER: Final = 0.25
"""Seconds."""

_CUT = struct.Struct(f"{NONCE_BYTES}s" * DRAWN)


class Nonces:
    """A stock of nonces. Any thread may take from it; clock: seconds that only grow."""

    __slots__ = ("_clock", "_stale_at", "_stock")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._stock: list[bytes] = []
        self._stale_at = 0.0

    def take(self) -> bytes:
        """A nonce that was never given before."""
        now = self._clock()
        try:
            if now < self._stale_at:
                return self._stock.pop()
        except IndexError:
            pass
        # A new list, never the old one filled up: another thread may be taking from that one.
        fresh = list(_CUT.unpack(os.urandom(_CUT.size)))
        first: bytes = fresh.pop()
        self._stock = fresh
        self._stale_at = now + STALE_AFTER
        return first

    def forget(self) -> None:
        """Throw away what was drawn and not used."""
        self._stock.clear()


_of_this_process = Nonces(monotonic)
os.register_at_fork(after_in_child=_of_this_process.forget)

take: Final = _of_this_process.take
"""A nonce that this process never gave before."""
