"""How the daemon starts, when it refuses to, and how it ends. A refusal leaves everything as it was."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.instance import LIMIT, House, Process, ask, batch, message, until

EX_CONFIG = 78
EX_IOERR = 74
STEP = """
import sys, time
from pathlib import Path
real, flag = time.time, Path(sys.argv.pop(1))
time.time = lambda: real() - (3600.0 if flag.exists() else 0.0)
from mgate.daemon.main import main
main()
"""
OTHER_REACTOR = """
import twisted.internet.selectreactor
twisted.internet.selectreactor.install()
from mgate.daemon.main import main
main()
"""


def content(folder: Path) -> dict[str, str]:
    """The digest of every file in a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def refused(house: House, daemon: Process, status: int = EX_CONFIG) -> str:
    """Why the daemon would not start; it must have said so once."""
    assert daemon.wait() == status, daemon.said()
    (line,) = house.events("start_refused")
    return str(line["detail"])


@pytest.fixture(scope="module")
def used() -> Iterator[Path]:
    """An instance that has run, holds a message, and has stopped."""
    house = House()
    try:
        house.make()
        house.start()
        house.pushed("kept")
        house.stop()
        yield house.path
    finally:
        house.end()


def copied(house: House, used: Path) -> dict[str, str]:
    """A copy of the used instance in a house of its own; its files."""
    shutil.copytree(used, house.path)
    return content(house.path)


# ---- the end ---------------------------------------------------------------------------------------------------------


def test_sigterm_under_load_ends_within_ten_seconds_and_leaves_nothing_in_doubt(house: House) -> None:
    house.begin("[latency]\nsubmit = [0.05, 0.4]\n[receipts]\ndelay = 0.1\n", window=20, binds=2)
    results = batch(house.push_socket, [message(f"r{n}", "otp" if n % 3 else "service") for n in range(300)])
    until(lambda: len(house.operator.submits()) > 60, "the load is on")
    began = time.monotonic()
    house.stop()
    assert time.monotonic() - began < 10.0
    seen = Counter(row.umr for row in house.operator.submits())
    assert not house.events("answers_lost")
    house.start()
    assert not house.events("spool_swept")
    states = Counter(house.state(line["id"]) for line in results)
    assert states["uncertain"] == 0
    assert sum(states.values()) == 300
    assert max(seen.values()) == 1


def test_a_second_daemon_on_the_same_instance_is_refused_and_the_first_goes_on(house: House) -> None:
    house.make()
    house.start()
    second = house.launch()
    assert second.wait() == EX_CONFIG
    assert "another mgated runs on this instance" in second.said()
    assert house.push("still here").status == 202


# ---- refusals --------------------------------------------------------------------------------------------------------


def test_a_wrong_kek_is_refused_before_anything_is_written(house: House, used: Path) -> None:
    copied(house, used)
    kek = house.path / "keys" / "kek"
    right = kek.read_bytes()
    kek.chmod(0o600)
    kek.write_bytes(bytes(range(32)))
    kek.chmod(0o400)
    before = content(house.path)
    sentence = refused(house, house.launch())
    assert "key" in sentence
    assert len(sentence.split()) > 6
    assert content(house.path) == before
    kek.chmod(0o600)
    kek.write_bytes(right)
    kek.chmod(0o400)
    house.start()
    assert house.find("kept")[0]["state"] in ("ready", "waiting")


def test_a_lost_keyring_beside_a_spool_is_told_and_never_made_anew(house: House, used: Path) -> None:
    copied(house, used)
    for copy in ("keyring.a", "keyring.b"):
        (house.path / "keys" / "ring" / copy).unlink()
    before = content(house.path)
    assert "restore them" in refused(house, house.launch())
    assert content(house.path) == before


def test_a_spool_of_another_keyring_is_refused_untouched(house: House, used: Path) -> None:
    house.make()
    shutil.rmtree(house.path / "spool")
    shutil.copytree(used / "spool", house.path / "spool")
    before = content(house.path)
    assert "another keyring" in refused(house, house.launch())
    assert content(house.path) == before


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_spool_of_a_newer_version_is_refused_untouched(house: House, used: Path, mode: str) -> None:
    copied(house, used)
    with closing(sqlite3.connect(house.path / "spool" / "spool.db")) as spool:
        spool.execute(f"PRAGMA journal_mode = {mode}")
        spool.execute("PRAGMA user_version = 999")
    before = content(house.path)
    assert "install the newer one" in refused(house, house.launch())
    assert content(house.path) == before


def test_a_spool_that_is_none_any_more_is_told_with_the_status_of_a_broken_disk(house: House, used: Path) -> None:
    copied(house, used)
    spool = house.path / "spool" / "spool.db"
    spool.write_bytes(b"no database" * 1000)
    before = content(house.path)
    assert "cannot be read as a spool" in refused(house, house.launch(), EX_IOERR)
    assert content(house.path) == before


def test_every_mistake_of_the_configuration_is_told_at_once(house: House) -> None:
    house.make(
        'windw = 3\nresponse_limit = "soon"\n', '[spool]\nreference_days = 1\n[pusch]\nx = 1\n[log]\nlevel = "loud"'
    )
    daemon = house.launch()
    assert daemon.wait() == EX_CONFIG
    said = daemon.said()
    for word in ("windw", "window", "response_limit", "reference_days", "pusch", "push", "level", "debug"):
        assert word in said
    assert "Traceback" not in said


def test_a_socket_path_that_is_too_long_is_refused_with_the_path_and_the_limit(house: House) -> None:
    house.make(more=f'[push]\nfolder = "{"f" * 110}"\n')
    (house.path / ("f" * 110)).mkdir()
    daemon = house.launch()
    assert daemon.wait() == EX_CONFIG
    assert "over 107 bytes" in daemon.said()
    assert "push.sock" in daemon.said()


def test_another_reactor_is_a_fault_that_is_told(house: House) -> None:
    house.make()
    house.bugs_allowed = True
    daemon = house.launch(command=("-c", OTHER_REACTOR))
    assert daemon.wait() not in (0, EX_CONFIG)
    assert "ReactorAlreadyInstalled" in daemon.said()


# ---- what the service's keeper hears ---------------------------------------------------------------------------------


def test_the_keeper_hears_ready_then_signs_of_life_then_stopping(house: House) -> None:
    path = house.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as keeper:
        keeper.bind(str(path))
        keeper.settimeout(LIMIT)
        house.make()
        house.start({"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "30000000"})
        heard: list[str] = []

        def words(wanted: str, times: int) -> None:
            while sum(wanted in word for word in heard) < times:
                heard.append(keeper.recv(4096).decode())

        words("READY=1", 1)
        words("WATCHDOG=1", 2)
        house.daemon.signal(signal.SIGTERM)
        words("STOPPING=1", 1)
        assert house.daemon.wait() == 0
    assert "STATUS=running" in next(word for word in heard if "READY=1" in word)


# ---- the operator's weather, and the clock ---------------------------------------------------------------------------


def test_an_operator_that_is_down_at_the_start_is_waited_for_and_one_that_comes_back_is_found(house: House) -> None:
    house.make('reconnect_max = "2s"\n')
    house.start()
    first = house.pushed("before")
    until(lambda: house.binds()[0]["last_error"], "the refusal is told")
    until(lambda: "no_bind_open" in _alarms(house), "ten seconds without a bind are an alarm")
    house.operator.start()
    house.wait_state(first, "delivered")
    house.operator.stop()
    until(lambda: house.binds()[0]["state"] != "bound", "the loss is seen")
    second = house.pushed("between")
    house.operator.start()
    house.wait_state(second, "delivered")
    until(lambda: not _alarms(house), "the alarm is cleared")


def _alarms(house: House) -> list[str]:
    return list(ask(house.metrics_socket, "GET", "/health").body["alarms"])


def test_a_wall_clock_that_steps_back_an_hour_stops_no_timer(house: House) -> None:
    flag = house.folder / "stepped"
    house.operator.start("[silence]\nsubmits = 1.0\nreceipts = false\n")
    house.make('response_limit = "2s"\n')
    house.start(command=("-c", STEP, str(flag)))
    house.wait_bound()
    # The timer of its answer is set before the step.
    name = house.pushed("late")
    until(house.operator.submits, "it is out")
    flag.touch()
    told = house.wait_state(name, "uncertain", limit=6.0)
    assert told["attempts"][0]["reason"] == "response_timeout"
    uptime = ask(house.admin_socket, "GET", "/v1/status").body["uptime"]
    until(lambda: ask(house.admin_socket, "GET", "/v1/status").body["uptime"] > uptime + 1.0, "its own clock goes on")
    began = time.monotonic()
    house.stop()
    assert time.monotonic() - began < 10.0


def test_the_log_is_one_json_object_a_line(house: House) -> None:
    house.make()
    house.start()
    house.stop()
    lines = [json.loads(line) for line in house.daemon.said().splitlines()]
    assert [line["event"] for line in lines][:1] == ["started"]
    assert lines[-1]["event"] == "stopped"
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["at"]) for line in lines)
    assert lines[0]["pid"] == house.daemon.pid
