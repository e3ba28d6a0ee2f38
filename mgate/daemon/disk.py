"""The disk of the spool: what is free, what the spool takes, and whether new messages may still come in.

New pushes are refused early, while there is still room for the states of what is in flight.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from mgate.telemetry import Alarm, Event, Log, Telemetry


class SpoolDisk:
    """Looked at once a second by ``life``.

    Args:
        least: free octets below which new pushes are refused.
    """

    def __init__(self, path: Path, least: int, telemetry: Telemetry, log: Log) -> None:
        self._path = path
        self._least = least
        self._telemetry = telemetry
        self._log = log
        self.room = True
        self.spool_octets = 0
        self.free_octets = 0

    def look(self) -> None:
        """Look at the disk, and raise or clear its alarm."""
        self.free_octets = shutil.disk_usage(self._path.parent).free
        wal = self._path.with_name(self._path.name + "-wal")
        self.spool_octets = sum(file.stat().st_size for file in (self._path, wal) if file.exists())
        self._telemetry.spool.free.n = self.free_octets
        self._telemetry.spool.octets.n = self.spool_octets
        self.room = self.free_octets >= self._least
        if self._telemetry.sound(Alarm.DISK_LOW, raised=not self.room):
            event = Event.ALARM_CLEARED if self.room else Event.ALARM_RAISED
            self._log(event, alarm=Alarm.DISK_LOW.value, octets=self.free_octets, path=str(self._path.parent))
