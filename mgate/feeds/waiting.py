"""Who waits for the next event, by client, and until when. Pure: one row each; the caller keeps one timer for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar

_W = TypeVar("_W")

_FEW: Final = 64


class Waiting(Generic[_W]):
    """The waiting.

    Args:
        gone: whether one need not be answered any more: it is let go some time later, and never given.
    """

    def __init__(self, gone: Callable[[_W], bool]) -> None:
        self._gone = gone
        self._count = 0
        self._next = 0
        self._by_client: dict[str, dict[int, _W]] = {}
        self._deadlines: list[tuple[float, int, str]] = []
        self._sweep_at = _FEW

    def __len__(self) -> int:
        return self._count

    def add(self, client: str, one: _W, deadline: float) -> None:
        """Let it wait."""
        self._next += 1
        self._by_client.setdefault(client, {})[self._next] = one
        heappush(self._deadlines, (deadline, self._next, client))
        self._count += 1
        if len(self._deadlines) > self._sweep_at:
            self._sweep()

    def take(self, clients: Iterable[str]) -> list[_W]:
        """These clients need not wait any more."""
        found: list[_W] = []
        for client in clients:
            mine = self._by_client.pop(client, None)
            if mine is not None:
                self._count -= len(mine)
                found += [one for one in mine.values() if not self._gone(one)]
        return found

    def take_all(self) -> list[_W]:
        """Nobody need wait any more."""
        return self.take(list(self._by_client))

    def expire(self, now: float) -> list[_W]:
        """Those who have waited long enough."""
        found: list[_W] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, number, client = heappop(self._deadlines)
            one = self._drop(client, number)
            if one is not None and not self._gone(one):
                found.append(one)
        return found

    def next_deadline(self) -> float | None:
        """When the first of them has waited long enough; None when nobody waits."""
        while self._deadlines and self._deadlines[0][1] not in self._by_client.get(self._deadlines[0][2], ()):
            heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def _drop(self, client: str, number: int) -> _W | None:
        mine = self._by_client.get(client)
        one = None if mine is None else mine.pop(number, None)
        if one is not None:
            self._count -= 1
            if not mine:
                del self._by_client[client]
        return one

    def _sweep(self) -> None:
        """Forget those who went away. Done when the number has doubled, so it costs each of them little."""
        for _, number, client in self._deadlines:
            one = self._by_client.get(client, {}).get(number)
            if one is not None and self._gone(one):
                self._drop(client, number)
        self._deadlines = [row for row in self._deadlines if row[1] in self._by_client.get(row[2], ())]
        heapify(self._deadlines)
        self._sweep_at = max(_FEW, 2 * len(self._deadlines))
