"""Ears: what the rooms report, turned into numbers, log lines and alarms. Said by any thread; nothing here blocks."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from mgate.daemon.logs import bug
from mgate.model.message import ENDED
from mgate.seal.errors import SealError
from mgate.spool.engine import StoreBroken, Told
from mgate.spool.lifecycle import CannotHappen
from mgate.spool.verbs import Fit
from mgate.telemetry import Alarm, Event, Log, Telemetry

_ENDED = {state.word for state in ENDED}


class Ears:
    """Listens to the spool, the keeper and the binds.

    Args:
        seconds: a monotonic clock.
        full: told on the writer's thread when a commit found no room.
    """

    def __init__(
        self, log: Log, telemetry: Telemetry, seconds: Callable[[], float], full: Callable[[], None]
    ) -> None:  # fmt: skip
        self._log = log
        self._telemetry = telemetry
        self._seconds = seconds
        self._full = full
        self.last_commit = 0.0
        """The monotonic moment of the last commit; 0.0 before the first."""

    # ---- the writer ------------------------------------------------------------------------------------------------

    def committed(self, rows: int, seconds: float) -> None:
        """See ``spool.service.Numbers``."""
        self.last_commit = self._seconds()
        self._telemetry.spool.commit_seconds.add(seconds)
        self._telemetry.spool.commit_rows.add(rows)
        if self._telemetry.sound(Alarm.COMMIT_FAILED, raised=False):
            self._log(Event.ALARM_CLEARED, alarm=Alarm.COMMIT_FAILED.value)

    def failed(self, reason: str) -> None:
        """See ``spool.service.Numbers``."""
        self._full()
        self._telemetry.spool.commit_failures.n += 1
        if self._telemetry.sound(Alarm.COMMIT_FAILED, raised=True):
            self._log(Event.COMMIT_FAILED, reason=reason)
            self._log(Event.ALARM_RAISED, alarm=Alarm.COMMIT_FAILED.value, detail=reason)

    def journalled(self, told: Sequence[Told]) -> None:
        """Changes of messages, after their commit."""
        for one in told:
            if one.event in _ENDED:
                self._telemetry.spool.ended[one.event].n += 1
            if one.event == "sent":
                numbers = self._telemetry.routes[one.route]
                numbers.sent_seconds.add(one.after / 1000)
                numbers.answer_seconds.add(one.took / 1000)
            elif one.event == "delivered":
                self._telemetry.routes[one.route].delivered_seconds.add(one.after / 1000)

    def repeated(self, parts: int) -> None:
        """So many parts leave once more although a try before may have been sent, after their commit."""
        self._telemetry.spool.repeats.n += parts

    def broken(self, error: StoreBroken) -> None:
        """The disk cannot be trusted any more: say so and leave at once, before anything else is answered or sent."""
        self._log(Event.COMMIT_FAILED, reason=str(error), detail="leaving with status 74; the next start decides")
        os._exit(os.EX_IOERR)

    def bug(self, error: Exception) -> None:
        """Something that cannot happen did; its verb was not written, and the service goes on."""
        bug(self._log, error, "in the spool")
        alarm = Alarm.IMPOSSIBLE_CHANGE
        if isinstance(error, CannotHappen) and self._telemetry.sound(alarm, raised=True):
            self._log(Event.ALARM_RAISED, alarm=alarm.value, detail=str(error))

    def swept(self, parts: int) -> None:
        """So many parts were open when the last run ended, and are in doubt."""
        if parts:
            self._log(Event.SPOOL_SWEPT, count=parts)

    # ---- records ---------------------------------------------------------------------------------------------------

    def damaged(self, part: int, error: Exception) -> None:
        """A record cannot be opened."""
        self._log(Event.RECORD_QUARANTINED, message=part, error=type(error).__name__, detail=str(error))
        if self._telemetry.sound(Alarm.RECORD_QUARANTINED, raised=True):
            self._log(Event.ALARM_RAISED, alarm=Alarm.RECORD_QUARANTINED.value)

    def damaged_file(self, path: Path, error: sqlite3.Error | SealError) -> None:
        """A file of history cannot be read."""
        self._log(Event.RECORD_QUARANTINED, path=str(path), error=type(error).__name__, detail=str(error))
        if self._telemetry.sound(Alarm.RECORD_QUARANTINED, raised=True):
            self._log(Event.ALARM_RAISED, alarm=Alarm.RECORD_QUARANTINED.value)

    def fits(self, route: str, fits: Sequence[Fit]) -> None:
        """How receipts fitted."""
        receipts = self._telemetry.routes[route].receipts
        for fit in fits:
            receipts[fit.word].n += 1

    # ---- the keeper ------------------------------------------------------------------------------------------------

    def moved(self, messages: int) -> None:
        """See ``spool.keeper.Observer``."""
        self._telemetry.spool.moved.n += messages
        if self._telemetry.sound(Alarm.HISTORY_FAILED, raised=False):
            self._log(Event.ALARM_CLEARED, alarm=Alarm.HISTORY_FAILED.value)

    def dropped(self, period: int) -> None:
        """See ``spool.keeper.Observer``."""
        self._log(Event.HISTORY_DROPPED, count=period)

    def failed_round(self, what: str, error: Exception) -> None:
        """See ``spool.keeper.Observer``."""
        if self._telemetry.sound(Alarm.HISTORY_FAILED, raised=True):
            self._log(Event.COMMIT_FAILED, source=what, error=type(error).__name__, reason=str(error))
            self._log(Event.ALARM_RAISED, alarm=Alarm.HISTORY_FAILED.value, detail=what)
