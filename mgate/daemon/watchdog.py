"""The watchdog of the loop: a thread that aborts the process when the loop has not turned for too long.

systemd's watchdog does the same where there is systemd; a bank may run without. A restart costs a second, a loop that
hangs costs every message until somebody comes. Where the loop hangs goes to the log first.

Only time in which this thread itself was awake is counted, so a process that was stopped, or a machine that was put to
sleep, is not taken for hung. A loop that holds the interpreter's lock in foreign code keeps this thread from running:
for that there is a second alarm clock, of the interpreter's own in C, at twice the time; it prints where every thread
stands and ends with status 1.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from mgate.daemon.logs import standing
from mgate.telemetry import Event, Log

HUNG: Final = 30.0
"""Seconds without a turn after which the loop is hung. Disks are no reason: nothing of the loop waits for one."""

_EVERY: Final = 0.5


class Watchdog:
    """Watches the thread that makes it.

    Args:
        abort: ends the process with SIGABRT; must not come back.
        limit: seconds without a turn that are too many.
    """

    def __init__(
        self, log: Log, seconds: Callable[[], float] = time.monotonic, abort: Callable[[], None] = os.abort,
        limit: float = HUNG,
    ) -> None:  # fmt: skip
        self._log = log
        self._seconds = seconds
        self._abort = abort
        self._limit = limit
        self._watched = threading.get_ident()
        self._turned = False
        self._still = 0.0
        self._looked = seconds()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mgate-watchdog", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._looked = self._seconds()
        self.turned()
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._over.set()
        faulthandler.cancel_dump_traceback_later()

    def turned(self) -> None:
        """The loop turns. Said by it, about once a second."""
        self._turned = True
        faulthandler.dump_traceback_later(2 * self._limit, exit=True, file=sys.stderr)

    def look(self) -> None:
        """Count how long the loop has stood still, and end it when that is too long."""
        now = self._seconds()
        awake, self._looked = min(now - self._looked, 2 * _EVERY), now
        turned, self._turned = self._turned, False
        self._still = 0.0 if turned else self._still + awake
        if self._still >= self._limit:
            self._log(Event.LOOP_HUNG, seconds=round(self._still, 3), frames=standing(self._watched))
            self._abort()

    def _run(self) -> None:
        while not self._over.wait(_EVERY):
            self.look()
