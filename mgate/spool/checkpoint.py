"""Copies the WAL into the spool's file from a connection of its own, so that no commit waits for it."""

from __future__ import annotations

from pathlib import Path

from mgate.spool.store import connect, wal_of


class Checkpointer:
    """One thread uses it. It never empties the WAL: for that the writer would have to wait."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = connect(path)
        self._db.execute("PRAGMA busy_timeout = 0")

    def step(self, least: int) -> None:
        """Copy what can be copied, if the WAL has more than ``least`` octets."""
        if wal_of(self._path)[0] > least:
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
