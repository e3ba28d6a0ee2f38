"""systemd/mgate.service starts what the package installs, in the manner the daemon expects."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from mgate.daemon.watchdog import HUNG

ROOT = Path(__file__).resolve().parents[3]
UNIT = ROOT / "systemd" / "mgate.service"


def _unit() -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None, strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys keep their capitals
    parsed.read(UNIT)
    return parsed


def test_the_unit_restarts_for_ever_but_not_after_a_refused_configuration() -> None:
    unit = _unit()
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit["Service"]["Restart"] == "on-failure"
    assert unit["Service"]["RestartPreventExitStatus"] == "78"


def test_the_unit_waits_for_readiness_and_watches_the_main_process_only() -> None:
    service = _unit()["Service"]
    assert (service["Type"], service["NotifyAccess"], service["WatchdogSec"]) == ("notify", "main", "35")


def test_the_units_watchdog_speaks_after_our_own_which_says_where_the_loop_hung() -> None:
    service = _unit()["Service"]
    assert float(service["WatchdogSec"]) > HUNG
    assert service["WatchdogSignal"] == "SIGABRT"


def test_the_unit_reloads_by_the_signal_that_the_daemon_obeys() -> None:
    assert _unit()["Service"]["ExecReload"] == "/bin/kill -HUP $MAINPID"
    # Where systemd sends the signal itself, it must not be sent twice.
    drop_in = UNIT.with_name("notify-reload.conf").read_text().splitlines()
    assert [line for line in drop_in if not line.startswith("#")] == ["[Service]", "Type=notify-reload", "ExecReload="]


def test_the_unit_starts_an_entry_point_of_the_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = setup["options.entry_points"]["console_scripts"].split("\n")
    program = Path(_unit()["Service"]["ExecStart"].split()[0]).name
    assert program in {script.split("=")[0].strip() for script in scripts}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not on this machine")
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    # Only the program's place is changed: verify wants it to exist.
    text = UNIT.read_text().replace("/opt/mgate/venv/bin/mgated", "/bin/true")
    copy = tmp_path / "mgate.service"
    copy.write_text(text)
    run = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    ours = [line for line in run.stderr.splitlines() if "mgate.service" in line]
    assert (run.returncode, ours) == (0, [])
