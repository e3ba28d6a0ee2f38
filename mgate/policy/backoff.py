"""When to try again after weather on the link: 1, 5, 30, then every 120 seconds, never past the message's life."""

from __future__ import annotations

from typing import Final

_STEPS: Final = (1.0, 5.0, 30.0, 120.0)


def next_due(deferrals: int, now: float) -> float:
    """The moment of the next try after the ``deferrals``-th deferral in a row (counted from 1)."""
    return now + _STEPS[min(max(deferrals, 1), len(_STEPS)) - 1]
