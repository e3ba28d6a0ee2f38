"""How many rows wait, asked of the databases when a person wants to know."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from mgate.intake.polling import Poller
from mgate.model.source import Source, SourceError

FRESH: Final = 2.0
"""Seconds for which a person waits for the databases."""


class Looks:
    """The looks that run; each ends by the time limit of its line."""

    def __init__(self) -> None:
        self._running: dict[Source, asyncio.Task[None]] = {}

    async def look(self, asked: Iterable[tuple[Source, Poller]]) -> None:
        """Have every poller know how far it is behind. What is slow goes on beside: to break a question off would cost
        its connection, and the next who looks shall see the answer."""
        for line, poller in asked:
            if line not in self._running:
                task = self._running[line] = asyncio.ensure_future(_look(line, poller))
                task.add_done_callback(lambda _, line=line: self._running.pop(line))  # type: ignore[misc]  # bound now
        if self._running:
            await asyncio.wait(set(self._running.values()), timeout=FRESH)

    def stop(self) -> None:
        """Break off what runs: the daemon stops."""
        for task in self._running.values():
            task.cancel()


async def _look(line: Source, poller: Poller) -> None:
    try:
        poller.lag = await line.lag()
    except SourceError:
        return  # the poller meets it too, and tells of it
