"""An asyncio loop whose clock leaps to the next timer: hours of back-off in a millisecond, and nobody sleeps."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")

STUCK = 1e6
"""Virtual seconds after which a test is taken for hung."""


class _Leaping(selectors.DefaultSelector):
    """Instead of waiting, lets the clock leap."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("the loop waits for nothing that could come")
        if not ready and timeout:
            self.now += timeout
            assert self.now < STUCK, "the test hangs"
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """See above."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now


def play(act: Coroutine[object, object, _T]) -> _T:
    """Run it on a clock of its own; no task may be left over. In a thread, because pytest itself runs in a loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_play, act).result()


def _play(act: Coroutine[object, object, _T]) -> _T:
    loop = VirtualLoop()
    try:
        result = loop.run_until_complete(act)
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        assert not left, left
        return result
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
