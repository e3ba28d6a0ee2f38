"""Heads that were read before: a client that stays sends the same octets before each body.

A parser that stands between two requests makes of the same octets the same head. So a head that it has once read whole,
with a body of known length behind it, is known by its octets from then on, and the parser is not asked again. It never
sees the requests that are read so, and stands where it stood.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgate.net.exchange import Head

END: Final = b"\r\n\r\n"

_LONGEST: Final = 1_024
_MOST: Final = 256


class KnownHead(NamedTuple):
    """A head and the octets of body that belong to it."""

    head: Head
    length: int


class Heads:
    """The known heads of one listener; about 256 KiB at the most."""

    __slots__ = ("_known", "find")

    def __init__(self) -> None:
        self._known: dict[bytes, KnownHead] = {}
        self.find = self._known.get

    def learn(self, octets: bytes, known: KnownHead) -> None:
        """Know these octets from now on, if they are a head and no more.

        The caller answers for it that a parser has read them, with ``known.length`` octets behind them, as one request.
        Where the body was chunked, or more came behind it, the octets do not end as a head does.
        """
        if len(octets) > _LONGEST or octets.find(END) != len(octets) - len(END):
            return
        if len(self._known) >= _MOST:
            # Heads that differ each time (a moment, a trace) would fill it; those that are used come back at once.
            self._known.clear()
        self._known[octets] = known
