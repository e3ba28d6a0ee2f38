"""Looks after every operator once a minute: does it still tell what becomes of what it takes?"""

from __future__ import annotations

from collections.abc import Mapping

from mgate.channels.smpp.channel import SmppChannel
from mgate.model.outcome import Accepted
from mgate.policy.progress import EVERY, Progress
from mgate.telemetry import Alarm, Event, Log, Telemetry


class ReceiptWatch:
    """Raises the alarm of the routes whose receipts stay away. ``accounts`` may come and go."""

    def __init__(self, accounts: Mapping[str, SmppChannel], telemetry: Telemetry, log: Log) -> None:
        self._accounts = accounts
        self._telemetry = telemetry
        self._log = log
        self._routes: dict[str, Progress] = {}
        self._next = 0.0

    def look(self, now: float) -> None:
        """Time has passed; ``now`` in monotonic seconds. It does something once a minute."""
        if now < self._next:
            return
        self._next = now + EVERY
        self._routes = {route: self._routes.get(route) or Progress() for route in self._accounts}
        for route, progress in self._routes.items():
            self._look_at(route, progress)
        missing = sorted(route for route, progress in self._routes.items() if progress.missing)
        if self._telemetry.sound(Alarm.RECEIPTS_MISSING, raised=bool(missing)):
            word = Event.ALARM_RAISED if missing else Event.ALARM_CLEARED
            self._log(word, alarm=Alarm.RECEIPTS_MISSING.value, detail=", ".join(missing))

    def _look_at(self, route: str, progress: Progress) -> None:
        numbers = self._telemetry.routes.get(route)
        if numbers is None:
            return
        accepted = sum(bind.counts.outcomes[Accepted] for bind in self._accounts[route].binds)
        was, missing = progress.missing, progress.look(accepted, int(sum(each.n for each in numbers.receipts.values())))
        numbers.receipts_missing.n = int(missing)
        if missing is not was:
            word = Event.RECEIPTS_MISSING if missing else Event.RECEIPTS_BACK
            usual = f"{progress.usual or 0.0:.2f} receipts a message are usual"
            self._log(word, route=route, detail=usual)
