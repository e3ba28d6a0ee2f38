"""How long to wait before an operator is called again. Pure: chance and the clock are arguments.

The wait doubles from try to try. Some answers ask for more patience: an account can be locked by wrong passwords, and
an old session may stand over there for minutes. All binds of an account share one spacing, because operators count
connects and refuse those who come too fast.
"""

from __future__ import annotations

from typing import Final

from mgate.channels.smpp.events import Refusal

_ALREADY_BOUND_WAIT: Final = 5.0
_MOST_DOUBLINGS: Final = 16
STEADY: Final = 30.0
"""Seconds that a session must have been bound for the waits to begin anew: a link that flaps is not a good one."""


def reconnect_wait(
    failures: int, refusal: Refusal | None, shortest: float, longest: float, bad_password_wait: float, chance: float
) -> float:
    """Seconds to wait after ``failures`` failures in a row (counted from 1).

    ``chance`` is from [0, 1): it spreads the waits of many binds, so that they do not come back as one.
    """
    if refusal is Refusal.BAD_CREDENTIALS:
        return bad_password_wait * (1.0 + 0.25 * chance)
    wait = min(shortest * 2.0 ** min(max(failures - 1, 0), _MOST_DOUBLINGS), longest)
    if refusal is Refusal.ALREADY_BOUND:
        wait = max(wait, min(_ALREADY_BOUND_WAIT, longest))
    return wait * (0.75 + 0.5 * chance)


class Spacing:
    """Keeps the connects of one account ``every`` seconds apart."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._planned: list[float] = []

    def apply(self, every: float) -> None:
        """Keep them so far apart from now on."""
        self._every = every

    def plan(self, now: float, earliest: float) -> float:
        """The first moment from ``earliest`` on that is far enough from every other planned one; it is taken."""
        self._planned = sorted(moment for moment in self._planned if moment > now - self._every)
        at = earliest
        for moment in self._planned:
            if abs(moment - at) < self._every:
                at = moment + self._every
        self._planned.append(at)
        return at
