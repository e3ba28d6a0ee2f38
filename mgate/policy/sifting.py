"""What to do with results that a database refuses together: write those that it takes alone, and name the others. Pure.

One value that does not fit its column must not keep a whole batch back, for ever. So the batch is halved until what is
refused stands alone. When it is not the values but the mapping, everything is refused; a few that stand alone show it,
and then nothing is left out: all of it waits until somebody mends the mapping.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from mgate.model.source import Result, SourceError

FEW: Final = 20
"""Results refused alone, and none taken, after which the mapping is held to be wrong."""

Write = Callable[[Sequence[Result]], Awaitable[None]]


async def sift(results: Sequence[Result], write: Write, left_out: Callable[[Result, SourceError], None]) -> int:
    """Write what can be written of results that were refused together with ``mismatch``.

    Args:
        write: writes some, all or none, as ``Source.ack`` does; in their order.
        left_out: told of each that is refused alone while others are taken.

    Returns:
        How many were written; 0 when the mapping is wrong, and then nothing is left out.

    Raises:
        SourceError: it is no matter of the values.
    """
    taken = 0
    refused: list[tuple[Result, SourceError]] = []
    left = _halves(results) if len(results) > 1 else []
    while left:
        some = left.pop()
        try:
            await write(some)
        except SourceError as error:
            if error.reason != "mismatch":
                raise
            if len(some) > 1:
                left += _halves(some)
                continue
            refused.append((some[0], error))
            if not taken and len(refused) == FEW:
                return 0
        else:
            taken += len(some)
    if taken:
        for one in refused:
            left_out(*one)
    return taken


def _halves(results: Sequence[Result]) -> list[Sequence[Result]]:
    """The second first: the stack gives back the older ones before the younger."""
    half = len(results) // 2
    return [results[half:], results[:half]]
