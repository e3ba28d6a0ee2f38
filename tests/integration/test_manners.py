"""A loop that hangs is ended; a disk that stalls is waited for."""

from __future__ import annotations

import signal
import threading
from typing import Any

from tests.integration.instance import House, ask, until

HANG = """
import os, sys, time
import mgate.daemon.watchdog as watchdog
watchdog.HUNG = {limit}
from mgate.daemon.main import main
from mgate.control import server
def hang(self, request):
    {act}
server.Hatch.version = hang
main()
"""

STALL = """
import os, sys, time
import mgate.daemon.watchdog as watchdog
watchdog.HUNG = 3.0
flag = sys.argv.pop(1)
from mgate.spool.store import SqliteStore
flush = SqliteStore.flush
def slow(self):
    while os.path.exists(flag):
        time.sleep(0.01)
    return flush(self)
SqliteStore.flush = slow
from mgate.daemon.main import main
main()
"""


def hang(house: House, limit: float, act: str) -> int:
    """Start a daemon whose loop hangs when it is asked for its version, ask it, and wait; its exit status."""
    house.make()
    # The interpreter's own words about where it hung are not JSON, and mean to be read.
    house.bugs_allowed = True
    house.start(command=("-c", HANG.format(limit=limit, act=act)))

    def call() -> None:
        try:
            ask(house.admin_socket, "GET", "/v1/version")
        except OSError:
            pass

    asking = threading.Thread(target=call)
    asking.start()
    status = house.daemon.wait()
    asking.join()
    return status


def test_a_loop_that_hangs_is_aborted_and_the_log_says_where(house: House) -> None:
    assert hang(house, 2.0, "time.sleep(1000)") == -signal.SIGABRT
    (line,) = house.events("loop_hung")
    assert line["seconds"] >= 2.0
    assert any(frame.endswith(" hang") for frame in line["frames"])


def test_a_loop_that_never_lets_go_of_the_interpreter_is_ended_all_the_same(house: House) -> None:
    # A regular expression that goes back and forth for ever holds the interpreter's lock all the while.
    assert hang(house, 1.0, "import re; re.match('(a+)+$', 'a' * 60 + 'b')") == 1
    assert "Timeout" in house.daemon.said()
    assert " in hang" in house.daemon.said()


def test_a_disk_that_stalls_is_waited_for(house: House) -> None:
    flag = house.folder / "stall"
    house.operator.start()
    house.make(rate=4)
    house.start(command=("-c", STALL, str(flag)))
    house.wait_bound()
    taken = [house.pushed(f"before{n}") for n in range(20)]
    until(lambda: len(house.operator.submits()) >= 2, "they leave")
    flag.touch()
    # What is pushed before the stall is known waits for its commit.
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(house.push("caught")))
    waiting.start()
    until(lambda: house.events("alarm_raised"), "the alarm")
    out = len(house.operator.submits())
    refused = house.push("refused")
    assert (refused.status, refused.body["error"]) == (503, "not_kept")
    assert "does not answer" in refused.body["detail"]
    assert int(refused.headers["Retry-After"]) >= 1
    status = ask(house.admin_socket, "GET", "/v1/status").body
    assert status["alarms"] == ["disk_stalled"]
    metrics = ask(house.metrics_socket, "GET", "/metrics").body["text"]
    assert 'mgate_alarm{alarm="disk_stalled"} 1.0' in metrics
    # Longer than the watchdog would wait for a loop.
    uptime = status["uptime"]
    until(lambda: ask(house.admin_socket, "GET", "/v1/status").body["uptime"] > uptime + 4.0, "it lives on")
    assert len(house.operator.submits()) - out <= 1
    assert not answers
    flag.unlink()
    waiting.join()
    assert answers[0].status == 202
    until(lambda: house.events("alarm_cleared"), "the alarm is cleared")
    again = house.pushed("again")
    for name in (*taken, answers[0].body["id"], again):
        house.wait_state(name, "delivered")
    assert [line["alarm"] for line in house.events("alarm_raised", "alarm_cleared")] == ["disk_stalled"] * 2
    house.stop()
    assert len(house.operator.submits()) == 22
