"""Watches whether the accounts bring their messages to people, and in time: counts what the spool tells, and every
second has it judged (``policy.quality``). Who is poor goes behind others, and an alarm names it.

Marketing does not count: many of its numbers are old, and no account is worse for that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mgate.config.routes import Quality
from mgate.model.message import TrafficClass
from mgate.policy.quality import Fed, Health, Marks, fed, judged, settled
from mgate.spool.engine import Told
from mgate.telemetry import Alarm, Event, Log, Telemetry

EVERY: Final = 1.0
"""Seconds between two judgements."""

_MARKETING: Final = TrafficClass.MARKETING


class Deliveries:
    """Counts messages by the second in which they left. ``seconds``: a monotonic clock."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._sent = Counter[tuple[str, int]]()
        self._delivered = Counter[tuple[str, int, int]]()

    def heard(self, told: Sequence[Told]) -> None:
        """Changes of messages, after their commit."""
        now = self._seconds()
        for one in told:
            if one.traffic is _MARKETING:
                continue
            if one.event == "sent":
                self._sent[one.route, int(now - one.took / 1000)] += 1
            elif one.event == "delivered":
                self._delivered[one.route, int(now - one.took / 1000), one.took // 1000] += 1

    def take(self) -> dict[str, list[Fed]]:
        """What was counted since the last time, by route."""
        news: dict[str, list[Fed]] = {}
        for (route, at), count in self._sent.items():
            news.setdefault(route, []).append(Fed(at, sent=count))
        for (route, at, took), count in self._delivered.items():
            news.setdefault(route, []).append(Fed(at, delivered=count, took=took))
        self._sent.clear()
        self._delivered.clear()
        return news


class Judge(Protocol):
    """Who goes by it."""

    @property
    def routes(self) -> tuple[str, ...]:
        """The routes that there are."""

    def judge(self, route: str, poor: bool) -> None:
        """One of them delivers worse than is bearable, or well again."""


class QualityWatch:
    """Judges every account; see the module."""

    def __init__(
        self, settings: Quality, deliveries: Deliveries, judge: Judge, clock: IReactorTime, telemetry: Telemetry,
        log: Log,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._deliveries = deliveries
        self._judge = judge
        self._clock = clock
        self._telemetry = telemetry
        self._log = log
        self._health: dict[str, Health] = {}
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Judge from now on."""
        self._timer = self._clock.callLater(EVERY, self._tick)

    def stop(self) -> None:
        """Judge no more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def apply(self, settings: Quality) -> None:
        """Judge by these settings; what was counted by others is forgotten."""
        if settings != self._settings:
            self._settings = settings
            for route, health in self._health.items():
                self._take_up(route, health._replace(slices=()) if settings.judge else Health())

    def _tick(self) -> None:
        self._timer = self._clock.callLater(EVERY, self._tick)
        news, marks, now = self._deliveries.take(), self._settings.marks, self._clock.seconds()
        routes = self._judge.routes
        for route in [route for route in self._health if route not in routes]:
            self._take_up(route, Health())
            del self._health[route]
        if not self._settings.judge:
            return
        for route in routes:
            health = fed(self._health.get(route, Health()), news.get(route, ()), marks, now)
            self._take_up(route, judged(health, marks, now), marks)

    def _take_up(self, route: str, health: Health, marks: Marks | None = None) -> None:
        before = self._health.get(route, Health())
        self._health[route] = health
        if before.poor != health.poor and route in self._judge.routes:
            self._judge.judge(route, health.poor)
        if before.fault != health.fault:
            self._say(route, health, marks)

    def _say(self, route: str, health: Health, marks: Marks | None) -> None:
        if health.fault is None:
            self._log(Event.ROUTE_WELL, route=route)
        else:
            detail = _words(health, marks, self._clock.seconds()) if marks is not None else ""
            self._log(Event.ROUTE_POOR, route=route, reason=health.fault.value, detail=detail)
        poor = sorted(name for name, each in self._health.items() if each.fault is not None)
        if self._telemetry.sound(Alarm.ROUTE_POOR, raised=bool(poor)):
            event = Event.ALARM_RAISED if poor else Event.ALARM_CLEARED
            self._log(event, alarm=Alarm.ROUTE_POOR.value, detail=", ".join(poor))


def _words(health: Health, marks: Marks, now: float) -> str:
    """What was judged, for people."""
    sums = settled(health, marks, now)
    late = f", {sums.late} of them late" if sums.late else ""
    return f"of {sums.sent} messages {sums.delivered} were delivered within {marks.in_time:.0f} s{late}"
