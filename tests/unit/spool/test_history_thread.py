"""The history's thread outlives whatever goes wrong in what it is given."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

from mgate.spool.checkpoint import Checkpointer
from mgate.spool.history import HistoryWriter
from mgate.spool.keeper import HistoryThread
from tests.unit.spool.test_history import PlainBox


class FullDisk(Checkpointer):
    """A checkpoint that finds no room."""

    def step(self, least: int) -> None:
        raise sqlite3.OperationalError("database or disk is full")


def test_a_checkpoint_that_finds_no_room_is_told_and_the_thread_goes_on(tmp_path: Path) -> None:
    posted: SimpleQueue[Callable[[], None]] = SimpleQueue()
    told: list[object] = []
    thread = HistoryThread(HistoryWriter(tmp_path, PlainBox()), FullDisk(tmp_path / "spool.db"), posted.put)
    thread.start()
    thread.checkpoint(0, told.append)
    thread.run(lambda history: history.drop_refs_before(0), told.append)
    thread.stop()
    while not posted.empty():
        posted.get()()
    assert [str(one) for one in told] == ["database or disk is full", "[]"]
