"""What the feeds that mgate hands on itself report, turned into numbers, log lines and alarms."""

from __future__ import annotations

from typing import Final

from mgate.model.source import Result, SourceError
from mgate.telemetry import Alarm, Event, Log, OutwardKind, Telemetry

LATE: Final = 3600.0
"""Seconds after which an event that is not told is an alarm."""

_LATE: Final[dict[OutwardKind, Alarm]] = {"writeback": Alarm.WRITEBACK_LATE, "webhook": Alarm.WEBHOOK_LATE}
_FAILED: Final[dict[OutwardKind, Event]] = {"writeback": Event.WRITEBACK_FAILED, "webhook": Event.WEBHOOK_FAILED}
_WELL: Final[dict[OutwardKind, Event]] = {"writeback": Event.WRITEBACK_WELL, "webhook": Event.WEBHOOK_WELL}


class Lateness:
    """Who is late, or has given something up: an alarm for all of one kind."""

    def __init__(self, alarm: Alarm, telemetry: Telemetry, log: Log) -> None:
        self._alarm = alarm
        self._telemetry = telemetry
        self._log = log
        self._names: set[str] = set()

    def say(self, name: str, *, raised: bool) -> None:
        """It is, or is not any more."""
        (self._names.add if raised else self._names.discard)(name)
        if self._telemetry.sound(self._alarm, raised=bool(self._names)):
            event = Event.ALARM_RAISED if self._names else Event.ALARM_CLEARED
            self._log(event, alarm=self._alarm.value, detail=", ".join(sorted(self._names)))


class OutwardEars:
    """Listens to one feed: see ``feeds.writeback.Hearer`` and ``feeds.webhook.Hearer``.

    Args:
        name: of the source, or of the webhook.
        late: the alarm of all feeds of its kind.
    """

    def __init__(self, kind: OutwardKind, name: str, late: Lateness, telemetry: Telemetry, log: Log) -> None:
        self._kind = kind
        self._name = name
        self._late = late
        self._telemetry = telemetry
        self._log = log
        self._numbers = telemetry.outward_of(kind, name)
        self._why = ""

    def told(self, count: int) -> None:
        """The other side has so many more."""
        self._numbers.told.n += count
        if self._why:
            self._why = ""
            self._log(_WELL[self._kind], client=self._name)

    def lags(self, seconds: float) -> None:
        """How far it is behind."""
        self._numbers.lag.n = round(max(0.0, seconds), 3)
        self._late.say(self._name, raised=seconds > LATE)

    def trouble(self, why: str, detail: str, pause: float) -> None:
        """It did not work: said once for each reason."""
        self._numbers.failures.n += 1
        if why != self._why:
            self._why = why
            self._log(_FAILED[self._kind], client=self._name, reason=why, detail=detail, seconds=round(pause, 1))

    def lost(self, after: int, place: int) -> None:
        """Sequences that nobody can be told any more: for that somebody must look into the messages' own stories."""
        self._numbers.lost.n += max(0, place - after)
        detail = (
            f"the {self._kind} was away for longer than the journal keeps events, or they cannot be read: sequences"
            f" {after + 1} to {place} (of all clients) are not told; what became of those messages stands in their own"
            " stories: mgatectl reconcile finds them"
        )
        self._log(Event.EVENTS_LOST, client=self._name, count=place - after, detail=detail)
        if self._telemetry.sound(Alarm.EVENTS_LOST, raised=True):
            self._log(Event.ALARM_RAISED, alarm=Alarm.EVENTS_LOST.value, detail=self._name)

    def gone(self) -> None:
        """There is no such feed any more."""
        self._late.say(self._name, raised=False)


class WriteBackEars(OutwardEars):
    """See ``feeds.writeback.Hearer``."""

    def wrote(self, results: int) -> None:
        """See ``feeds.writeback.Hearer``."""
        self.told(results)

    def failed(self, error: Exception, pause: float) -> None:
        """See ``feeds.writeback.Hearer``."""
        if isinstance(error, SourceError):
            self.trouble(error.reason, f"{error}; {error.todo}" if error.todo else str(error), pause)
        else:
            self.trouble(type(error).__name__, str(error), pause)

    def refused(self, result: Result, error: SourceError) -> None:
        """See ``feeds.writeback.Hearer``."""
        self._numbers.refused.n += 1
        detail = f"sequence {result.sequence}, {result.state} of {result.message}, is left out: {error}; {error.todo}"
        self._log(Event.WRITEBACK_REFUSED, client=self._name, reason=error.reason, detail=detail)


class WebhookEars(OutwardEars):
    """See ``feeds.webhook.Hearer``."""

    def __init__(
        self, name: str, late: Lateness, dead: Lateness, telemetry: Telemetry, log: Log
    ) -> None:  # fmt: skip
        super().__init__("webhook", name, late, telemetry, log)
        self._dead = dead

    def took(self, events: int) -> None:
        """See ``feeds.webhook.Hearer``."""
        self.told(events)

    def failed(self, why: str, pause: float) -> None:
        """See ``feeds.webhook.Hearer``."""
        self.trouble(why, f"tried again after {pause:.0f} s", pause)

    def died(self, first: int, last: int, events: int, reason: str) -> None:
        """See ``feeds.webhook.Hearer``."""
        self._numbers.refused.n += events
        detail = f"sequences {first} to {last} are given up: mgatectl webhook dead {self._name}, and replay"
        self._log(Event.WEBHOOK_DEAD, client=self._name, reason=reason, count=events, detail=detail)
        self._dead.say(self._name, raised=True)

    def replayed(self, runs: int, left: int, why: str) -> None:
        """See ``feeds.webhook.Hearer``."""
        detail = f"{left} left on the list" + (f": {why}" if why else "")
        self._log(Event.WEBHOOK_REPLAYED, client=self._name, count=runs, detail=detail)

    def listed(self, runs: int) -> None:
        """So many runs are on the list of the dead."""
        self._dead.say(self._name, raised=runs > 0)

    def gone(self) -> None:
        """See ``OutwardEars``."""
        super().gone()
        self._dead.say(self._name, raised=False)
