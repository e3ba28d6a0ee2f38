"""The bridge between Twisted and asyncio: one set of tasks, whose ends are told as Deferreds.

Drivers of databases are written for asyncio, and their code must run inside a task of its own: a coroutine that Twisted
drives has no current task, so a timeout of asyncio fails in it. What is cancelled ends here with Twisted's
``CancelledError``; asyncio's is no ``Exception`` and would pass by every ``except`` and ``addTimeout`` of ours.

The reactor cancels no task when it stops: `Bridge.stop` does, and waits until their last words are said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Final, TypeVar

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import CancelledError, Deferred, fail

_T = TypeVar("_T")

LAST_WORDS: Final = 2.0
"""Seconds that a cancelled task has to let go of what it holds."""


class Bridge:
    """The only place where tasks are made.

    Args:
        trunk: of which this is a `branch`.
    """

    def __init__(self, reactor: AsyncioSelectorReactor, trunk: Bridge | None = None) -> None:
        self._reactor = reactor
        self._loop: asyncio.AbstractEventLoop = reactor._asyncioEventloop  # noqa: SLF001  # the loop it was made on
        self._trunk = trunk
        self._tasks: set[asyncio.Task[object]] = set()
        self._stopped = False

    def branch(self) -> Bridge:
        """A bridge for one who may go before the others: stopping it stops his tasks alone, and stopping this stops
        them too."""
        return Bridge(self._reactor, self)

    @property
    def stopped(self) -> bool:
        """Whether nothing is run any more."""
        return self._stopped or (self._trunk is not None and self._trunk.stopped)

    @property
    def running(self) -> int:
        """How many tasks are not done."""
        return len(self._tasks)

    def run(self, coroutine: Coroutine[object, object, _T]) -> Deferred[_T]:
        """Run it in a task of its own; its result or error.

        Cancelling the Deferred cancels the task, and fires at once with Twisted's ``CancelledError``: the task may
        still be letting go. After `stop` nothing is run any more, and the answer is the same error.
        """
        if self.stopped:
            coroutine.close()
            return fail(CancelledError())
        task = self._loop.create_task(coroutine)
        self.keep(task)
        answer: Deferred[_T] = Deferred(lambda _: _cancel(task))
        task.add_done_callback(lambda done: self._done(done, answer))
        return answer

    def wait(self, deferred: Deferred[_T]) -> asyncio.Future[_T]:
        """The other way: what a task awaits in place of a Deferred. Cancelling the task cancels the Deferred."""
        return deferred.asFuture(self._loop)

    def stop(self, limit: float = LAST_WORDS) -> Deferred[int]:
        """Cancel every task; fires when all are done, or after ``limit`` seconds, with how many are not."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        answer: Deferred[int] = Deferred()
        ending = self._loop.create_task(_end(set(self._tasks), limit))
        ending.add_done_callback(lambda done: answer.callback(0 if done.cancelled() else done.result()))
        return answer

    def keep(self, task: asyncio.Task[object]) -> None:
        """This runs, here or on a branch."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._trunk is not None:
            self._trunk.keep(task)

    def _done(self, task: asyncio.Task[_T], answer: Deferred[_T]) -> None:
        error = CancelledError() if task.cancelled() else task.exception()
        if answer.called:  # It was cancelled, and whoever did so has been told: what came of it concerns nobody.
            return
        if error is None:
            answer.callback(task.result())
        else:
            answer.errback(error)


async def _end(tasks: set[asyncio.Task[object]], limit: float) -> int:
    if not tasks:
        return 0
    _, left = await asyncio.wait(tasks, timeout=limit)
    return len(left)


def _cancel(task: asyncio.Task[_T]) -> None:
    task.cancel()
