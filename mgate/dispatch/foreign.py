"""Which numbers are not of an operator's network, as it said when it refused them: for most banks that is all the
portability that they have.

In memory alone, for a while, and never in clear: a number is known by a keyed hash whose key dies with the process.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Final

MOST: Final = 100_000
"""Numbers that are remembered; beyond them those that were learnt or asked for longest ago are forgotten."""

_NONE: Final[frozenset[str]] = frozenset()


class Foreign:
    """What was learnt. Moments are of one clock that only grows."""

    def __init__(self, keep: float, key: bytes, most: int = MOST) -> None:
        """``keep``: seconds that it is remembered. ``key``: 16 to 64 octets that nobody else knows."""
        self.keep = keep
        self._key = key
        self._most = most
        self._known: OrderedDict[bytes, dict[str, float]] = OrderedDict()

    def learn(self, number: str, route: str, now: float) -> None:
        """The operator of a route said that this number is not its own."""
        tag = self._tag(number)
        self._known.setdefault(tag, {})[route] = now + self.keep
        self._known.move_to_end(tag)
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def of(self, number: str, now: float) -> frozenset[str]:
        """The routes that this number is foreign to."""
        if not self._known:
            return _NONE
        tag = self._tag(number)
        said = self._known.get(tag)
        if said is None:
            return _NONE
        live = frozenset(route for route, until in said.items() if until > now)
        if live:
            self._known.move_to_end(tag)
        else:
            del self._known[tag]
        return live

    def _tag(self, number: str) -> bytes:
        return blake2b(number.encode(), digest_size=12, key=self._key).digest()
