"""The watchdog: it ends what hangs, and nothing that was only put to sleep."""

from __future__ import annotations

import faulthandler
import json
import threading
from collections.abc import Iterator

import pytest

from mgate.daemon.watchdog import Watchdog
from mgate.telemetry import Log


class World:
    def __init__(self) -> None:
        self.now = 1000.0
        self.lines: list[dict[str, object]] = []
        self.ends: list[float] = []
        log = Log(lambda line: self.lines.append(json.loads(line)))
        self.dog = Watchdog(log, lambda: self.now, self._end, 30.0)

    def _end(self) -> None:
        self.ends.append(self.now)

    def pass_by(self, seconds: float, step: float = 0.5) -> None:
        for _ in range(round(seconds / step)):
            self.now += step
            self.dog.look()


@pytest.fixture
def world() -> Iterator[World]:
    built = World()
    yield built
    built.dog.stop()


def test_a_loop_that_turns_lives(world: World) -> None:
    for _ in range(100):
        world.dog.turned()
        world.pass_by(29.0)
    assert not world.ends


def test_a_loop_that_hangs_is_ended_and_the_log_says_where_it_hung(world: World) -> None:
    world.dog.turned()
    world.pass_by(30.0)
    assert not world.ends
    world.pass_by(0.5)
    assert len(world.ends) == 1
    (line,) = world.lines
    assert (line["event"], line["seconds"]) == ("loop_hung", 30.0)
    frames = line["frames"]
    assert isinstance(frames, list)
    assert any("test_watchdog.py" in frame for frame in frames)


def test_a_process_that_was_stopped_for_a_minute_is_not_hung(world: World) -> None:
    world.dog.turned()
    world.pass_by(1.0)
    world.now += 60.0
    world.pass_by(5.0)
    assert not world.ends


def test_the_thread_looks_by_itself() -> None:
    ended = threading.Event()
    moments = iter(range(1_000_000))
    dog = Watchdog(Log(lambda _: None), lambda: float(next(moments)), ended.set, 1.5)
    dog.start()
    try:
        assert ended.wait(10.0)
    finally:
        dog.stop()
        faulthandler.cancel_dump_traceback_later()
