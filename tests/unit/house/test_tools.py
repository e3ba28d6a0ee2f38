"""tools/check tells the truth about its steps, and tools/venv destroys nothing that it did not make."""

import importlib.machinery
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("mgate_tools_check", str(ROOT / "tools" / "check"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "LOGS", tmp_path)
    return module


def test_every_step_runs_and_the_failed_ones_are_listed(check: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    house = check.House()
    assert not house.step("first", lambda log: check._run(log, "sh", "-c", "echo broken pipe dream; exit 3"))
    assert not house.step("second", lambda log: check._run(log, "no-such-program-here"))
    assert house.step("third", lambda log: check._run(log, "true"))
    assert house.verdict() == 1
    said = capfd.readouterr().out
    assert "broken pipe dream" in said
    assert "exit status 3" in said
    assert "no-such-program-here did not start" in said
    assert house.failed == ["first", "second"]


def test_a_house_without_faults_is_let_through(check: ModuleType) -> None:
    house = check.House()
    assert house.step("only", lambda log: check._run(log, "true"))
    assert house.verdict() == 0


def test_a_step_that_hangs_is_stopped_with_what_it_started(check: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "LONGEST_STEP_S", 0.05)
    house = check.House()
    assert not house.step("hanging", lambda log: check._run(log, "sh", "-c", "tail -f /dev/null & wait"))


def test_the_last_line_is_the_one_in_which_pytest_counts(check: ModuleType, tmp_path: Path) -> None:
    log = tmp_path / "tests.log"
    log.write_text("==== FAILURES ====\nnoise\n==== 1 failed, 2 passed in 0.3s ====\nCoverage: wrote something\n")
    assert check._closing_line(log) == "==== 1 failed, 2 passed in 0.3s ===="
    log.write_text("")
    assert check._closing_line(log) == "no tests ran"


def test_ci_calls_the_check_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    assert lines == ['exec "$(dirname "$0")/../tools/check"']


def test_a_folder_that_is_not_a_venv_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "venv", tmp_path / "tools")
    for name in ("requirements.txt", "requirements-dev.txt", "setup.cfg", "pyproject.toml"):
        (tmp_path / name).write_text("")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "precious").write_text("kept")
    run = subprocess.run([tmp_path / "tools" / "venv", "true"], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "is not a venv" in run.stderr
    assert (tmp_path / ".venv" / "precious").read_text() == "kept"
