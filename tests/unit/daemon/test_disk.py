"""The disk's two marks, and the room that is held for what is under way."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from mgate.config import Spool
from mgate.daemon.disk import SpoolDisk
from mgate.telemetry import Alarm, Log, Telemetry

MIB = 1 << 20


class Usage(NamedTuple):
    free: int


class World:
    """A folder on a disk whose free room is told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room_without_us = 1000 * MIB
        self.spool = Spool(path=folder / "spool.db", min_free=100 * MIB, reserve=4 * MIB)
        self.reserve = folder / "reserve"
        monkeypatch.setattr(shutil, "disk_usage", self._usage)
        self.telemetry = Telemetry("0.1.0", {"sms:op-a": 1}, ())
        self.lines: list[dict[str, object]] = []
        log = Log(lambda line: self.lines.append(json.loads(line)))
        self.disk = SpoolDisk(self.spool, _at_once, self.telemetry, log)

    def _usage(self, _path: Path) -> Usage:
        held = self.reserve.stat().st_blocks * 512 if self.reserve.exists() else 0
        return Usage(self.room_without_us - held)

    def state(self) -> tuple[bool, bool, bool]:
        """Whether there is room, whether the reserve was given up, whether the alarm is raised."""
        return self.disk.room, self.disk.full, Alarm.DISK_LOW.value in self.telemetry.alarms()


def _at_once(call: Callable[[], None]) -> None:
    call()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_the_reserve_is_held_by_real_blocks_and_only_its_owner_may_read_it(world: World) -> None:
    world.disk.look()
    status = world.reserve.stat()
    assert status.st_blocks * 512 >= 4 * MIB
    assert status.st_mode & 0o777 == 0o600
    assert world.state() == (True, False, False)
    assert world.disk.free_octets == 1000 * MIB - status.st_blocks * 512


def test_new_messages_are_refused_below_the_mark_and_the_reserve_stays(world: World) -> None:
    world.disk.look()
    world.room_without_us = 103 * MIB
    world.disk.look()
    assert world.state() == (False, False, True)
    assert world.reserve.exists()
    world.room_without_us = 105 * MIB
    world.disk.look()
    assert world.state() == (True, False, False)
    assert [line["event"] for line in world.lines] == ["alarm_raised", "alarm_cleared"]


def test_a_full_disk_gives_up_the_reserve_and_makes_it_again_when_there_is_room(world: World) -> None:
    world.disk.look()
    world.room_without_us = 4 * MIB
    world.disk.give_up()
    assert not world.reserve.exists()
    world.disk.look()
    assert world.state() == (False, True, True)
    # Room for messages, but not yet for them and the reserve.
    world.room_without_us = 103 * MIB
    world.disk.look()
    assert world.state() == (False, True, True)
    world.room_without_us = 105 * MIB
    world.disk.look()
    assert world.state() == (True, False, False)
    assert world.reserve.stat().st_blocks * 512 >= 4 * MIB


def test_a_commit_that_fails_again_gives_up_nothing_more(world: World) -> None:
    world.disk.look()
    world.disk.give_up()
    world.disk.give_up()
    assert world.state()[1]


def test_a_disk_too_full_for_the_reserve_at_the_start_takes_no_new_messages(world: World) -> None:
    world.room_without_us = 103 * MIB
    world.disk.look()
    assert world.state() == (False, False, True)
    assert not world.reserve.exists()


def test_a_file_system_that_holds_no_reserve_costs_a_warning_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    for _ in range(3):
        world.disk.look()
    assert world.state() == (True, False, False)
    assert not world.reserve.exists()
    assert [line["event"] for line in world.lines] == ["foreign_warning"]


def test_a_reserve_cut_short_is_made_whole(world: World) -> None:
    world.reserve.write_bytes(b"\0" * MIB)
    world.disk.look()
    assert world.reserve.stat().st_blocks * 512 >= 4 * MIB


def test_other_limits_hold_from_the_next_look(world: World) -> None:
    world.disk.look()
    world.disk.apply(msgspec.structs.replace(world.spool, min_free=2000 * MIB))
    world.disk.look()
    assert world.state() == (False, False, True)
    world.disk.apply(msgspec.structs.replace(world.spool, min_free=50 * MIB, reserve=8 * MIB))
    world.disk.look()
    assert world.state() == (True, False, False)
    assert world.reserve.stat().st_blocks * 512 >= 8 * MIB
