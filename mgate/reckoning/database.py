"""The core's rows from its own database: a ``clerk.Core`` over a ``model.source.Source``.

A day is asked for in short spans, so that each statement is a small one whatever the table's size: an index on the
moment of writing finds a span at once, and ordering a few hundred rows costs nothing. The span grows where little was
written and shrinks where much was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from mgate.model.source import Count, Source
from mgate.reckoning.sheet import Line

FIRST: Final = 300_000
SHORTEST, LONGEST = 1_000, 6 * 3_600_000
"""Milliseconds that one statement asks for: at first, at least, at most."""

MOST: Final = 2_000
FEW: Final = 500
"""Rows that one statement gives at most, and below which the next span is twice as long."""


class DatabaseCore:
    """One source, for one reckoning. It has a session of its own, so that polling goes on.

    Args:
        versioned: whether its rows have versions; then each reference bears one.
    """

    told: Final = None

    def __init__(self, source: Source, *, versioned: bool) -> None:
        self._source = source
        self._versioned = versioned
        self._span = FIRST

    async def rows(self, begin: int, end: int) -> AsyncIterator[Sequence[Line]]:
        """See ``clerk.Core``.

        Raises:
            SourceError: as ``Source.written``.
        """
        at = begin
        while at < end:
            until = min(at + self._span, end)
            found, pages = 0, 0
            async for counts in self._pages(at, until):
                found, pages = found + len(counts), pages + 1
                yield [self._line(count) for count in counts]
            if pages > 1:
                self._span = max(SHORTEST, self._span // 2)
            elif found < FEW:
                self._span = min(LONGEST, self._span * 2)
            at = until

    async def close(self) -> None:
        """See ``clerk.Core``."""
        await self._source.close()

    async def _pages(self, begin: int, end: int) -> AsyncIterator[Sequence[Count]]:
        after = ""
        while counts := await self._source.written(begin / 1000, end / 1000, after, MOST):
            yield counts
            after = counts[-1].key

    def _line(self, count: Count) -> Line:
        ref = f"{count.key}/{count.version}" if self._versioned else count.key
        # Not cut down: a moment that a float holds a little below its millisecond would fall before its span.
        return Line(ref, round(count.created * 1000), count.final)
