"""The registers of senders that operators keep of us: what ends is told 30 days before, in time to renew it.

A sender whose registration has ended is refused or rewritten by the operator, and no status says why.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mgate.channels.smpp.channel import SmppChannel
from mgate.config.operators import Registered
from mgate.telemetry import Alarm, Event, Log, Telemetry

LOOK: Final = 3600.0
"""Seconds between two looks."""

DAYS: Final = 30


class Registers:
    """Looks at the register of every account.

    Args:
        accounts: by route, as they are now; a reload changes their profiles.
        wall: seconds since 1970.
    """

    def __init__(
        self, accounts: Mapping[str, SmppChannel], clock: IReactorTime, wall: Callable[[], float],
        telemetry: Telemetry, log: Log,
    ) -> None:  # fmt: skip
        self._accounts = accounts
        self._clock = clock
        self._wall = wall
        self._telemetry = telemetry
        self._log = log
        self._told: set[tuple[str, Registered, dt.date]] = set()
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Look now, and every hour."""
        self.look()
        self._next = self._clock.callLater(LOOK, self.start)

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def look(self) -> None:
        """Tell what ends, once a day each, and whether anything does."""
        today = dt.datetime.fromtimestamp(self._wall(), dt.UTC).date()
        ending = [
            (route, entry) for route, account in self._accounts.items() for entry in account.profile.ending(today, DAYS)
        ]
        told = {(route, entry, today) for route, entry in ending}
        for route, entry, _ in sorted(told - self._told, key=lambda each: (each[0], each[1].sender)):
            self._log(Event.SENDER_ENDS, route=route, detail=_words(entry, today))
        self._told = told
        if self._telemetry.sound(Alarm.SENDER_ENDS, bool(ending)):
            self._log(Event.ALARM_RAISED if ending else Event.ALARM_CLEARED, alarm=Alarm.SENDER_ENDS.value)


def _words(entry: Registered, today: dt.date) -> str:
    """A sender that is a number stands in no log: its profile says which it is."""
    who = entry.sender if not entry.sender.removeprefix("+").isdigit() else "a number"
    ended = entry.until is not None and entry.until < today
    return f"the registration of {who} ({', '.join(entry.classes)}) {'ended' if ended else 'ends'} on {entry.until}"
