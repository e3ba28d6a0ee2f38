"""What the courses of files share: a thread for what waits for disks, and turns of the reactor's loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

RUN: Final = 48
"""Rows that are read, checked and handed in between two turns of the loop: two or three milliseconds."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Hands:
    """One thread, and the clock.

    Args:
        clock: the reactor, or a ``Clock``; ``post``: what takes calls from threads.
    """

    def __init__(self, clock: IReactorTime, post: IReactorFromThreads) -> None:
        self._clock = clock
        self._post = post
        self._pool = ThreadPool(0, 1, "drops")

    def start(self) -> None:
        """Start the thread."""
        self._pool.start()

    def stop(self) -> None:
        """End it; what it does now is waited for."""
        self._pool.stop()

    async def away(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Have it done on the thread."""
        return await deferToThreadPool(self._post, self._pool, work, *args, **kwargs)

    def now(self) -> float:
        """Seconds of a clock that only goes on."""
        return self._clock.seconds()

    async def turn(self) -> None:
        """Let the loop turn once."""
        await self.sleep(0.0)

    async def sleep(self, seconds: float) -> None:
        """Go on later."""
        waited: Deferred[None] = Deferred()
        call = self._clock.callLater(seconds, lambda: waited.callback(None))
        try:
            await waited
        finally:
            if call.active():
                call.cancel()
