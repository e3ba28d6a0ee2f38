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


def test_two_kills_under_load_lose_nothing_and_repeat_only_what_is_marked(folder: Path) -> None:
    done = run(
        "mgate.peers.torture", "kill", "--rounds", "2", "--seed", "1", "--rate", "60", "--most", "1.5",
        "--drain", "60", "--folder", str(folder), "--script", str(CALM),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all promises kept" in done.stdout
    counts = json.loads((folder / "report.json").read_bytes())["counts"]
    assert counts["accepted"] > 20
    assert counts["submits"] > 20
    assert counts["state delivered"] > 10


def test_the_bench_measures_every_kind_of_row(folder: Path) -> None:
    done = run("mgate.peers.bench", "--rows", "batch,singles", "--messages", "300", "--json", "--folder", str(folder))
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [(one["name"], one["messages"]) for one in results] == [("batch", 300), ("singles", 300)]
    assert all(one["end_to_end"] > 0 and one["daemon_us"] > 0 and one["to_submit"][0] > 0 for one in results)
    assert list(folder.iterdir()) == []
