"""The tools that start the whole house, each for a few seconds: they run, and the house keeps its promises."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CALM = Path(__file__).parents[2] / "etc" / "smsc" / "calm.toml"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not tmp_path: a UNIX socket's path has 107 octets at most, and that of an instance is below it."""
    with tempfile.TemporaryDirectory(prefix="mg-") as path:
        yield Path(path)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, timeout=170, env=environment, check=False
    )


def test_kills_under_load_lose_nothing_and_repeat_only_what_is_marked(folder: Path) -> None:
    done = run(
        "mgate.peers.torture", "kill", "--rounds", "6", "--seed", "1", "--rate", "60", "--keep",
        "--drain", "60", "--folder", str(folder), "--script", str(CALM),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all promises kept" in done.stdout
    counts = json.loads((folder / "kill0" / "report.json").read_bytes())["counts"]
    assert counts["accepted"] > 20
    assert counts["submits"] > 20
    assert counts["state delivered"] > 10


def test_the_bench_measures_and_writes_down_what_was_asked_and_whether_it_is_so(folder: Path) -> None:
    report = folder / "report.json"
    done = run(
        "mgate.peers.bench", "batch", "singles", "--quick", "--messages", "300", "--json", str(report),
        "--folder", str(folder),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(report.read_bytes())
    assert told["quick"] is True
    assert told["machine"]["cores"] > 0
    assert [row["row"] for row in told["rows"]] == ["batch", "singles"]
    for row in told["rows"]:
        figures = {figure["name"]: figure for figure in row["figures"]}
        rate = figures["messages a second, end to end"]
        assert rate["values"][0] > 0
        assert rate["kept"] is (rate["values"][0] >= rate["asked"]["than"])
        assert all(value > 0 for value in figures["push to submit_sm: 50 / 95 / 99 %"]["values"])
        assert row["commit_before"] > 0
    assert "messages a second, end to end" in done.stdout
    assert list(folder.iterdir()) == [report]
