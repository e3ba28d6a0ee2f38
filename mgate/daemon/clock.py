"""The daemon's own idea of what time it is: it never steps back.

Lives, due moments and receipts are reckoned by the wall clock, and somebody sets it: time synchronisation, a person, a
virtual machine that wakes up. A step forward is believed at once: it may be that the machine slept, and a code that is
sent after its life is worse than one that is dropped. A step back is not believed: by it, what was over would live
again. Small differences are made up slowly, so that no two moments change places.

What the clock says after a step back is taken up at the next start; until then an alarm says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

STEP: Final = 2.0
"""Seconds of difference that are no drift any more but a step."""

SLEW: Final = 0.001
"""Seconds that a second may be shorter while the system's clock is behind."""


def since_boot() -> float:
    """Seconds since the machine started, those that it slept among them; nobody sets this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SteadyClock:
    """Seconds since 1970, for the whole daemon.

    Args:
        system: the wall clock that somebody may set; ``steady``: one that nobody can.
    """

    def __init__(
        self, system: Callable[[], float] = time.time, steady: Callable[[], float] = since_boot
    ) -> None:  # fmt: skip
        self._system = system
        self._steady = steady
        self._offset = system() - steady()
        self._looked = steady()
        self._leapt = 0.0
        self.behind = 0.0
        """By how many seconds the system's clock was set back and has not been followed; 0.0 for none."""

    def now(self) -> float:
        """Seconds since 1970; never less than it has said before."""
        own, system = self._steady() + self._offset, self._system()
        if system <= own:
            return own
        if system - own > STEP:
            self._leapt = system - own
        self._offset += system - own
        return system

    def look(self) -> float:
        """Asked once a second. The seconds of a step forward that was followed since the last time, or 0.0."""
        steady, now = self._steady(), self.now()
        gone, self._looked = steady - self._looked, steady
        ahead = now - self._system()
        self.behind = ahead if ahead > STEP else 0.0
        if not self.behind:
            self._offset -= min(max(ahead, 0.0), gone * SLEW)
        leapt, self._leapt = self._leapt, 0.0
        return leapt
