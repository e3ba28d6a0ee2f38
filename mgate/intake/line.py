"""The line to one source: one verb at a time, and none for longer than its limit, whatever the driver does.

A driver has time limits of its own, and they are believed only as far as they work: one that hangs in a dead firewall,
or swallows its cancellation, must hold up nobody. A verb that is over its limit is cancelled and given up; should it
hang on even so, nothing else is begun on the line until it ends, and whoever asks is told so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Final, TypeVar

from mgate.model.source import Count, Lag, Problem, Result, Row, Source, SourceError

CLAIM_LIMIT: Final = 10.0
SHORT_LIMIT: Final = 5.0
LONG_LIMIT: Final = 25.0
"""Seconds for a claim or an ack, for what counts, and for what looks at everything."""

CLOSE_LIMIT: Final = 2.0
SLACK: Final = 2.0
"""Seconds that a driver has, after its own limit or after a cancellation, to say so."""

_MARKS: Final = frozenset({"taken", "refused", "returned"})
"""States that the outbox is told."""

_T = TypeVar("_T")


class Line:
    """A ``Source`` that keeps to its word."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._turn = asyncio.Lock()
        self._hanging: set[asyncio.Task[object]] = set()

    async def claim(self, most: int) -> Sequence[Row]:
        """See ``model.source.Source``."""
        return await self._alone("claim", self._source.claim(most), CLAIM_LIMIT)

    async def ack(self, results: Sequence[Result]) -> None:
        """See ``model.source.Source``. Of a row of which both are told, its message's state is written before it is
        marked: should we die in between, it is claimed again, and nothing was lost."""
        states = [result for result in results if result.state not in _MARKS]
        marks = [result for result in results if result.state in _MARKS]
        for each in (states, marks):
            if each:
                await self._alone("ack", self._source.ack(each), CLAIM_LIMIT)

    async def wait(self, most: float) -> bool:
        """See ``model.source.Source``."""
        return await self._within("wait", self._source.wait(most), most + SLACK)

    async def call(self, name: str, arguments: Mapping[str, object], limit: float) -> Sequence[Mapping[str, object]]:
        """See ``model.source.Source``."""
        return await self._within("call", self._source.call(name, arguments, limit), limit + SLACK)

    async def lag(self) -> Lag:
        """See ``model.source.Source``."""
        return await self._alone("lag", self._source.lag(), SHORT_LIMIT)

    async def survey(self) -> Sequence[Problem]:
        """See ``model.source.Source``."""
        return await self._within("survey", self._source.survey(), LONG_LIMIT)

    async def rewind(self, since: float, dry_run: bool) -> tuple[int, int]:
        """See ``model.source.Source``."""
        return await self._alone("rewind", self._source.rewind(since, dry_run), LONG_LIMIT)

    async def written(self, begin: float, end: float, after: str, most: int) -> Sequence[Count]:
        """See ``model.source.Source``."""
        return await self._alone("written", self._source.written(begin, end, after, most), LONG_LIMIT)

    async def close(self) -> None:
        """See ``model.source.Source``. It waits for no turn: what runs is broken off by it."""
        await self._within("close", self._source.close(), CLOSE_LIMIT)

    # ---- limits ----------------------------------------------------------------------------------------------------

    async def _alone(self, verb: str, work: Coroutine[object, object, _T], limit: float) -> _T:
        try:
            await self._turn.acquire()
        except asyncio.CancelledError:
            work.close()
            raise
        try:
            if self._hanging:
                await asyncio.wait(set(self._hanging), timeout=SLACK)
            if self._hanging:
                work.close()
                raise SourceError("busy", f"{verb}: what was asked before hangs still", _TODO)
            return await self._within(verb, work, limit, alone=True)
        finally:
            self._turn.release()

    async def _within(
        self, verb: str, work: Coroutine[object, object, _T], limit: float, *, alone: bool = False
    ) -> _T:  # fmt: skip
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task}, timeout=limit)
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=SLACK)
                raise SourceError("busy", f"{verb}: no answer within {limit:g} s", _TODO)
        finally:
            if not task.done():
                # Once only: the second would break into its cleaning up.
                if not task.cancelling():
                    task.cancel()
                self._leave(task, alone)
        return _result(verb, task)

    def _leave(self, task: asyncio.Task[_T], alone: bool) -> None:
        """Let it end whenever it likes; nobody asks for what came of it."""
        if alone:
            self._hanging.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._hanging.discard(task)
        if not task.cancelled():
            task.exception()


_TODO: Final = "see whether the database answers others, and what locks it; mgate asks again by itself"


def _result(verb: str, task: asyncio.Task[_T]) -> _T:
    if task.cancelled():
        raise SourceError("unreachable", f"{verb}: the driver broke off", _TODO)
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, SourceError):
        raise error
    # Its words may hold a row's values, so only its name is told.
    reason = "unreachable" if isinstance(error, OSError) else "mismatch"
    raise SourceError(reason, f"{verb}: the driver failed with {type(error).__name__}", _REPORT) from None


_REPORT: Final = "this is a mistake of mgate: report it with the log around this line"
