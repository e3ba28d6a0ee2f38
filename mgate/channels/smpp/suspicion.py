"""Whether a bind that takes submits answers any of them.

Some operators answer every enquire_link and nothing else: the link is up, and what is said on it goes nowhere. A bind
that has had submits open and answered none of them for a while is *suspect*: codes go by another one, and what may wait
goes on trying it. Any answer clears it; without one the bind is given up.

It costs the hot path two comparisons a batch: one timer looks after a bind that has something open, however much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

SUSPECT_AFTER: Final = 5.0
"""Seconds without an answer to any submit, while one is open."""

GIVEN_UP_AFTER: Final = 60.0
"""Seconds that a bind may be suspect."""


class Suspicion:
    """Watches one connection.

    Args:
        changed: the bind is suspect, or is not any more.
        give_up: it was suspect for too long.
    """

    def __init__(self, clock: IReactorTime, changed: Callable[[], None], give_up: Callable[[], None]) -> None:
        self.suspect = False
        self._clock = clock
        self._changed = changed
        self._give_up = give_up
        self._since: float | None = None
        self._timer: IDelayedCall | None = None

    def asked(self) -> None:
        """Submits were handed over."""
        if self._since is None:
            self._since = self._clock.seconds()
            if self._timer is None:
                self._timer = self._clock.callLater(SUSPECT_AFTER, self._look)

    def answered(self, more: bool) -> None:
        """The operator answered a submit; ``more``: others are open. A time-out is no answer."""
        self._since = self._clock.seconds() if more else None
        if self.suspect:
            self.suspect = False
            self._rearm(SUSPECT_AFTER if more else None)
            self._changed()

    def over(self) -> None:
        """The connection is gone, or is about to be in order."""
        self._since = None
        self.suspect = False
        self._rearm(None)

    def _look(self) -> None:
        self._timer = None
        if self._since is None:
            return
        left = self._since + SUSPECT_AFTER - self._clock.seconds()
        if left > 0:
            self._rearm(left)
            return
        self.suspect = True
        self._timer = self._clock.callLater(GIVEN_UP_AFTER, self._too_long)
        self._changed()

    def _too_long(self) -> None:
        self._timer = None
        self._give_up()

    def _rearm(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            self._timer = self._clock.callLater(seconds, self._look)
