"""How long a bind rests when the operator asks to slow down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

_FIRST: Final = 1.0
_LONGEST: Final = 30.0


class Throttle:
    """The pause of one bind. ``over`` is called when it ends by itself.

    A window's worth of throttled answers is one wish: the pause doubles only when the first submits after it are
    throttled again.
    """

    def __init__(self, clock: IReactorTime, over: Callable[[], None]) -> None:
        self._clock = clock
        self._over = over
        self._seconds = 0.0
        self._call: IDelayedCall | None = None

    @property
    def rests(self) -> bool:
        """Whether it rests now."""
        return self._call is not None

    def asked(self) -> float:
        """The operator asks: how many seconds the pause is that begins; 0 when one runs already."""
        if self._call is not None:
            return 0.0
        self._seconds = min(max(self._seconds * 2, _FIRST), _LONGEST)
        self._call = self._clock.callLater(self._seconds, self._ended)
        return self._seconds

    def taken(self) -> None:
        """A submit was taken: the next pause begins small again."""
        if self._call is None:
            self._seconds = 0.0

    def lift(self) -> None:
        """End the pause, and forget that there was any."""
        self._seconds = 0.0
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _ended(self) -> None:
        self._call = None
        self._over()
