"""How long to wait before an operator is called again. Pure: chance and the clock are arguments.

The wait doubles from try to try. Some answers ask for more patience: an account can be locked by wrong passwords, and
an old session may stand over there for minutes. All who call one host share one spacing, because operators count
connects and refuse those who come too fast.
"""

from __future__ import annotations

from typing import Final

from mgate.channels.smpp.events import Refusal

_ALREADY_BOUND_WAIT: Final = 5.0
_MOST_DOUBLINGS: Final = 16
_TRY_LIMIT: Final = 15.0
"""Seconds after which a try that nobody heard of again is over; no connect and no bind takes so long by default."""

_LOOK_AGAIN: Final = 1.0
STEADY: Final = 30.0
"""Seconds that a session must have been bound for the waits to begin anew: a link that flaps is not a good one."""


def reconnect_wait(
    failures: int,
    refusal: Refusal | None,
    shortest: float,
    longest: float,
    bad_password_wait: float,
    chance: float,
    already_bound_wait: float = 60.0,
) -> float:
    """Seconds to wait after ``failures`` failures in a row (counted from 1).

    ``chance`` is from [0, 1): it spreads the waits of many binds, so that they do not come back as one. An operator
    that holds on to an old session is asked rarely, but as soon as it may have let go: the waits go up to
    ``already_bound_wait``, whatever the longest is.
    """
    if refusal is Refusal.BAD_CREDENTIALS:
        return bad_password_wait * (1.0 + 0.25 * chance)
    doublings = 2.0 ** min(max(failures - 1, 0), _MOST_DOUBLINGS)
    wait = min(shortest * doublings, longest)
    if refusal is Refusal.ALREADY_BOUND:
        wait = max(wait, min(_ALREADY_BOUND_WAIT * doublings, already_bound_wait))
    return wait * (0.75 + 0.5 * chance)


class Lockout:
    """Sees to it that a password that was refused is not tried again and again: operators lock accounts for it.

    It holds for all binds of the account together. Until the operator has taken the password one bind tries it at a
    time; after a refusal nobody does for a while, and then one again.
    """

    def __init__(self) -> None:
        self._taken = False
        self._trying: float | None = None
        self._until = 0.0

    def may_try(self, now: float) -> bool:
        """Whether the caller may bind now; how that went is told by one of the others."""
        if self._taken:
            return True
        if self.left(now) > 0:
            return False
        self._trying = now
        return True

    def left(self, now: float) -> float:
        """Seconds until somebody may try, as far as that is known; 0 for now."""
        if self._taken:
            return 0.0
        busy = self._trying is not None and now - self._trying < _TRY_LIMIT
        return max(self._until - now, _LOOK_AGAIN if busy else 0.0)

    def refused(self, now: float, wait: float) -> None:
        """The password was refused: ``wait`` seconds are between two tries."""
        self._taken, self._trying, self._until = False, None, now + wait

    def taken(self) -> None:
        """The password was taken."""
        self._taken, self._trying = True, None

    def not_tried(self) -> None:
        """It came to nothing, and not for the password."""
        self._trying = None

    def lift(self) -> None:
        """An administrator says that it is in order now."""
        self._trying, self._until = None, 0.0


class Spacing:
    """Keeps the calls of one host ``every`` seconds apart."""

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
