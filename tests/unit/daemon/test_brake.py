"""The brake: a disk that stalls stops what would begin, says so once, and all goes on when it answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from queue import SimpleQueue

import pytest
from twisted.internet.task import Clock

from mgate.daemon.brake import EVERY, Brake
from mgate.spool.engine import News
from mgate.spool.memory import MemoryStore
from mgate.spool.service import Writer
from mgate.spool.verbs import Wake
from mgate.telemetry import Alarm, Log, Telemetry

LIMIT = 10.0


class Disk:
    room = True
    full = False


class Commits:
    since = 0.0


class Held:
    def __init__(self) -> None:
        self.on = False

    def hold(self) -> None:
        self.on = True

    def go_on(self) -> None:
        self.on = False


class World:
    def __init__(self) -> None:
        self.clock, self.disk, self.commits = Clock(), Disk(), Commits()
        self.clock.advance(1000.0)
        self.sending, self.tidying = Held(), Held()
        self.telemetry = Telemetry("0.1.0", {"sms:op-a": 1}, ())
        self.lines: list[dict[str, object]] = []
        log = Log(lambda line: self.lines.append(json.loads(line)))
        self.brake = Brake(
            self.commits, self.disk, 2.0, self.sending, self.tidying, self.clock, self.telemetry, log
        )  # fmt: skip
        self.brake.start()

    def alarmed(self) -> bool:
        return Alarm.DISK_STALLED.value in self.telemetry.alarms()

    def held(self) -> tuple[bool, bool]:
        return self.sending.on, self.tidying.on


@pytest.fixture
def world() -> World:
    return World()


def test_a_commit_that_takes_its_time_is_no_stall(world: World) -> None:
    world.commits.since = world.clock.seconds()
    world.clock.pump([EVERY] * 8)
    assert not world.brake.why_not()
    assert world.held() == (False, False)
    assert not world.alarmed()


def test_a_stall_refuses_holds_and_is_told_once_until_the_disk_answers(world: World) -> None:
    world.commits.since = world.clock.seconds()
    world.clock.pump([EVERY] * 100)
    assert "does not answer" in world.brake.why_not()
    assert world.held() == (True, True)
    assert world.alarmed()
    assert [line["event"] for line in world.lines] == ["alarm_raised"]
    assert world.telemetry.spool.stalled.n == 25.0
    world.commits.since = 0.0
    assert not world.brake.why_not()
    world.clock.advance(EVERY)
    assert world.held() == (False, False)
    assert not world.alarmed()
    assert [line["event"] for line in world.lines] == ["alarm_raised", "alarm_cleared"]
    assert world.lines[1]["seconds"] == pytest.approx(25.0, abs=0.5)
    assert (world.telemetry.spool.stalled.n, world.telemetry.spool.stalls.n) == (0, 1)


def test_pushes_are_refused_from_the_limit_on_not_from_the_next_look(world: World) -> None:
    world.commits.since = world.clock.seconds() - 2.01
    assert world.brake.why_not()


def test_commits_that_follow_one_another_are_no_stall_however_long_they_go_on(world: World) -> None:
    for _ in range(20):
        world.commits.since = world.clock.seconds()
        world.clock.pump([EVERY] * 6)
    assert not world.lines


def test_a_disk_without_room_refuses_and_still_sends_until_it_is_full_to_the_last_octet(world: World) -> None:
    world.disk.room = False
    world.clock.advance(EVERY)
    assert "nearly full" in world.brake.why_not()
    assert world.held() == (False, False)
    world.disk.full = True
    world.clock.advance(EVERY)
    assert world.held() == (True, False)
    world.disk.room, world.disk.full = True, False
    world.clock.advance(EVERY)
    assert world.held() == (False, False)


def test_another_limit_holds_at_once(world: World) -> None:
    world.commits.since = world.clock.seconds() - 3.0
    assert world.brake.why_not()
    world.brake.apply(5.0)
    assert not world.brake.why_not()


def test_a_brake_that_stopped_looks_no_more(world: World) -> None:
    world.brake.stop()
    assert not world.clock.getDelayedCalls()


# ---- the writer, as the brake sees it --------------------------------------------------------------------------------


class SlowStore(MemoryStore):
    """Its disk waits until it is let go."""

    def __init__(self) -> None:
        super().__init__(lambda period, tag, numbers: False)
        self.entered, self.go = threading.Event(), threading.Event()

    def flush(self) -> News:
        self.entered.set()
        assert self.go.wait(LIMIT)
        return super().flush()


class Numbers:
    def committed(self, rows: int, seconds: float) -> None: ...
    def failed(self, reason: str) -> None: ...


def _nothing(_told: object) -> None:
    pass


def test_the_writer_says_since_when_its_disk_hangs_and_nothing_when_it_rests() -> None:
    store, clock = SlowStore(), Clock()
    posted: SimpleQueue[Callable[[], None]] = SimpleQueue()
    writer = Writer(
        store, clock.callLater, posted.put, clock.seconds, clock.seconds, Numbers(), _nothing, _nothing, _nothing
    )  # fmt: skip
    writer.start()
    clock.advance(1000.0)
    posted.get(timeout=LIMIT)()
    assert writer.since == 0.0
    writer.put(Wake(1), 1, _nothing)
    clock.advance(0.0)
    assert store.entered.wait(LIMIT)
    clock.advance(9.0)
    assert writer.since == 1000.0
    store.go.set()
    posted.get(timeout=LIMIT)()
    assert writer.since == 0.0
    writer.stop()
