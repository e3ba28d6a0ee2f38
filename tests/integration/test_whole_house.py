"""The bench starts the whole house for a few seconds, and tells what it saw.

Of the other tools, `tools/demo` has tests of its own, and `tools/torture` a short form that `tools/check` runs.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


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
