"""Who goes, and who waits for that: two of one name would work at the same database, each unaware of the other.

A reload replaces what has changed, and the old one may need some seconds to finish. A second reload within them
replaces what has not even begun; whoever comes last still waits for the first.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, DeferredList


class Leaving:
    """Those who go, by name."""

    def __init__(self) -> None:
        self._going: dict[str, list[Deferred[None]]] = {}

    def go(self, name: str, gone: Deferred[None]) -> None:
        """This one goes; ``gone`` fires when nothing of it is left."""
        self._going.setdefault(name, []).append(gone)
        gone.addBoth(lambda _: self._gone(name, gone))

    def after(self, name: str, begin: Callable[[], None]) -> None:
        """Begin when nobody of this name is going: now, or when the last has gone."""
        if not self._going.get(name):
            begin()
        else:
            DeferredList(list(self._going[name])).addCallback(lambda _: self.after(name, begin))

    def all(self) -> Deferred[None]:
        """Fires when all who are going have gone."""
        everybody = [gone for each in self._going.values() for gone in each]
        return DeferredList(everybody).addCallback(lambda _: None)

    def _gone(self, name: str, gone: Deferred[None]) -> None:
        left = self._going[name]
        left.remove(gone)
        if not left:
            del self._going[name]
