"""The brake: what must not begin while the disk cannot take it.

A storage path that fails over takes 30 to 120 seconds, and a daemon that dies of it loses its binds for nothing. So
while a commit hangs, new pushes are refused, nothing more is leased or tidied, and one alarm says so; what was asked
before waits for its commit, and all goes on when the disk answers. On a disk that is full to the last octet nothing
more is leased either: what room was given up belongs to what is under way.
"""

from __future__ import annotations

from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mgate.telemetry import Alarm, Event, Log, Telemetry

EVERY: Final = 0.25
"""Seconds between two looks."""


class Commits(Protocol):
    """The writer, as the brake sees it."""

    @property
    def since(self) -> float:
        """The monotonic moment at which it went to the disk; 0.0 while it is not there."""


class Room(Protocol):
    """The disk, as the brake sees it."""

    @property
    def room(self) -> bool:
        """Whether new messages may come in."""

    @property
    def full(self) -> bool:
        """Whether what room was given up for what is under way."""


class Held(Protocol):
    """Who must not begin anything while it is held. Both may be said again."""

    def hold(self) -> None:
        """Begin nothing more."""

    def go_on(self) -> None:
        """Begin again."""


class Brake:
    """Looks four times a second, on the reactor.

    Args:
        limit: seconds that a commit may take until the disk is said to stall.
        sending: the dispatcher; ``tidying``: whoever writes to the disk on the reactor's own thread.
        clock: runs on the clock of ``commits``.
    """

    def __init__(
        self, commits: Commits, disk: Room, limit: float, sending: Held, tidying: Held, clock: IReactorTime,
        telemetry: Telemetry, log: Log,
    ) -> None:  # fmt: skip
        self._commits = commits
        self._disk = disk
        self._limit = limit
        self._sending = sending
        self._tidying = tidying
        self._clock = clock
        self._telemetry = telemetry
        self._log = log
        self._began = 0.0
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Look from now on."""
        self.look()
        self._next = self._clock.callLater(EVERY, self.start)

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def apply(self, limit: float) -> None:
        """Go on by this limit."""
        self._limit = limit

    def why_not(self) -> str:
        """Why no new message may come in now; empty when it may."""
        if self._waited() > self._limit:
            return "the disk of the spool does not answer"
        return "" if self._disk.room and not self._disk.full else "the disk of the spool is nearly full"

    def look(self) -> None:
        """Put the brake on, or take it off."""
        waited = self._waited()
        stalled = waited > self._limit
        self._telemetry.spool.stalled.n = round(waited, 3) if stalled else 0
        if self._telemetry.sound(Alarm.DISK_STALLED, raised=stalled):
            self._tell(stalled, waited)
        _set(self._tidying, stalled)
        _set(self._sending, stalled or self._disk.full)

    def _tell(self, stalled: bool, waited: float) -> None:
        now = self._clock.seconds()
        if stalled:
            self._began = now - waited
            self._telemetry.spool.stalls.n += 1
            self._log(Event.ALARM_RAISED, alarm=Alarm.DISK_STALLED.value, seconds=round(waited, 3))
        else:
            self._log(Event.ALARM_CLEARED, alarm=Alarm.DISK_STALLED.value, seconds=round(now - self._began, 3))

    def _waited(self) -> float:
        since = self._commits.since
        return self._clock.seconds() - since if since else 0.0


def _set(held: Held, on: bool) -> None:
    if on:
        held.hold()
    else:
        held.go_on()
