"""The units of the daily reckoning start what there is, each morning, and their failure is an alarm."""

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from mgate.control.cli import main

ROOT = Path(__file__).resolve().parents[3]
UNITS = ROOT / "systemd"
NAMES = ("mgate-reconcile@.service", "mgate-reconcile@.timer", "mgate-alarm@.service")


def unit(name: str) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None, strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys keep their capitals
    parsed.read(UNITS / name)
    return parsed


def test_the_timer_reckons_each_morning_and_makes_up_for_a_morning_that_was_missed() -> None:
    timer = unit("mgate-reconcile@.timer")
    assert timer["Timer"]["OnCalendar"] == "*-*-* 06:00"
    assert timer["Timer"]["Persistent"] == "true"
    assert "RandomizedDelaySec" in timer["Timer"]


def test_the_service_calls_a_command_of_mgatectl_with_options_that_it_has() -> None:
    service = unit("mgate-reconcile@.service")
    program, *arguments = shlex.split(service["Service"]["ExecStart"].replace("%i", "core"))
    assert Path(program).name == "mgatectl"
    # The configuration is not there, which is another error than a wrong option's.
    assert CliRunner().invoke(main, arguments).exit_code == 1
    assert CliRunner().invoke(main, [*arguments, "--no-such-option"]).exit_code == 2


def test_a_reckoning_that_fails_starts_the_alarm() -> None:
    assert unit("mgate-reconcile@.service")["Unit"]["OnFailure"] == "mgate-alarm@%n.service"
    assert "daemon.crit" in unit("mgate-alarm@.service")["Service"]["ExecStart"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not on this machine")
def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    # Only the program's place is changed: verify wants it to exist.
    for name in NAMES:
        text = (UNITS / name).read_text().replace("/opt/mgate/venv/bin/mgatectl", "/bin/true")
        (tmp_path / name.replace("@", "@core")).write_text(text)
        (tmp_path / name).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name.replace("@", "@core")) for name in NAMES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert not [line for line in done.stderr.splitlines() if "mgate" in line], done.stderr
    assert done.returncode == 0, done.stderr
