"""The disk of the spool: what is free, what the spool takes, and whether new messages may still come in.

Two marks keep a full disk harmless. Below ``min_free`` new pushes are refused, early. And when somebody else fills the
disk to the last octet all the same, a file of our own is given up, so that what is under way can still be written down;
then nothing more is leased until there is room for that file again.

A disk that stalls keeps whoever looks at it, so the looking has a thread of its own.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mgate.config import Spool
from mgate.telemetry import Alarm, Event, Log, Telemetry

EVERY: Final = 1.0
"""Seconds between two looks."""

RESERVE: Final = "reserve"
"""The name of the file that is given up, beside the spool."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The disk at one moment: octets that are free, octets of the spool's files, octets that the reserve holds."""

    free: int
    spool: int
    reserved: int


class Reserve:
    """The file that holds room until it is needed. Used by two threads.

    Attributes:
        given_up: it was taken away for what is under way, and could not be made again yet.
        refused: why the file system will never hold it, in its own words; empty while it may.
    """

    def __init__(self, path: Path, octets: int) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.octets = octets
        self.given_up = False
        self.refused = ""

    def held(self) -> int:
        """The octets that it holds on the disk now, whole or not."""
        try:
            return min(self._path.stat().st_blocks * 512, self.octets)
        except OSError:
            return 0

    def hold(self) -> bool:
        """Make it, as large as it must be; False when there is no room for it."""
        with self._lock:
            try:
                with open(self._path, "wb", opener=_private) as file:  # Path.open knows no opener
                    os.posix_fallocate(file.fileno(), 0, self.octets)
            except OSError as error:
                self._path.unlink(missing_ok=True)
                no_room = error.errno in {errno.ENOSPC, errno.EDQUOT}
                self.refused = "" if no_room else error.strerror or str(error)
                self.given_up = self.given_up and no_room
                return False
            self.given_up = False
            return True

    def give_up(self) -> None:
        """Take it away."""
        with self._lock:
            try:
                self._path.unlink()
            except OSError:
                return  # it is gone already, or the disk is read-only and nothing helps
            self.given_up = True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


class SpoolDisk:
    """Looked at once a second, by its thread.

    Args:
        post: runs a call on the reactor's thread.

    Attributes:
        room: whether new messages may come in.
    """

    def __init__(
        self, spool: Spool, post: Callable[[Callable[[], None]], None], telemetry: Telemetry, log: Log
    ) -> None:  # fmt: skip
        self._path = spool.path
        self._least = spool.min_free
        self._reserve = Reserve(spool.path.with_name(RESERVE), spool.reserve)
        self._post = post
        self._telemetry = telemetry
        self._log = log
        self._told_refused = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mgate-disk", daemon=True)
        self.room = True
        self.spool_octets = 0
        self.free_octets = 0

    @property
    def full(self) -> bool:
        """The disk was full to the last octet, and there is no room for the reserve yet."""
        return self._reserve.given_up

    def start(self) -> None:
        """Look now, and once a second from now on."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """Look no more. A look that a stalled disk keeps is not waited for."""
        self._over.set()

    def apply(self, spool: Spool) -> None:
        """Go on by these limits."""
        self._least = spool.min_free
        self._reserve.octets, self._reserve.refused = spool.reserve, ""

    def give_up(self) -> None:
        """The disk is full to the last octet. Said by the writer's thread."""
        self._reserve.give_up()

    def look(self) -> None:
        """Look at the disk, see to the reserve, and raise or clear the alarm."""
        self._weigh(self._seen())

    def _run(self) -> None:
        while not self._over.wait(EVERY):
            try:
                seen = self._seen()
            except OSError:
                continue  # a folder that cannot be looked at cannot be written to: the writer tells it better
            self._post(lambda seen=seen: self._weigh(seen))  # type: ignore[misc]  # bound now

    def _seen(self) -> Seen:
        reserve = self._reserve
        free, held = shutil.disk_usage(self._path.parent).free, reserve.held()
        if held < reserve.octets and not reserve.refused and free + held >= self._least + reserve.octets:
            reserve.hold()
            free, held = shutil.disk_usage(self._path.parent).free, reserve.held()
        wal = self._path.with_name(self._path.name + "-wal")
        spool = sum(file.stat().st_size for file in (self._path, wal) if file.exists())
        return Seen(free, spool, held)

    def _weigh(self, seen: Seen) -> None:
        reserve = self._reserve
        self.free_octets, self.spool_octets = seen.free, seen.spool
        self._telemetry.spool.free.n = seen.free
        self._telemetry.spool.octets.n = seen.spool
        # What the reserve does not hold yet is not free for new messages.
        wanting = 0 if reserve.refused else reserve.octets - seen.reserved
        self.room = seen.free >= self._least + wanting
        if reserve.refused and not self._told_refused:
            self._log(Event.FOREIGN_WARNING, source="reserve", detail=f"cannot be held: {reserve.refused}")
        self._told_refused = bool(reserve.refused)
        if self._telemetry.sound(Alarm.DISK_LOW, raised=not self.room):
            event = Event.ALARM_CLEARED if self.room else Event.ALARM_RAISED
            self._log(event, alarm=Alarm.DISK_LOW.value, octets=seen.free, path=str(self._path.parent))
