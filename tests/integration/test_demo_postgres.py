"""`tools/demo --postgres`, as a user starts it: rows become SMS, results stand beside them, what it prints works."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mgate.peers.house import HouseError
from mgate.peers.postgres import programs
from tests.integration.test_demo import LIMIT, ROOT, folder, processes_of

__all__ = ["folder"]


def _has_postgresql() -> bool:
    try:
        programs()
    except HouseError:
        return False
    return True


pytestmark = pytest.mark.skipif(not _has_postgresql(), reason="Debian's postgresql is not installed")


def _command(folder: Path, *more: str) -> list[str]:
    return ["tools/demo", "--postgres", "--folder", str(folder / "demo"), *more]


def test_rows_become_messages_and_what_became_of_them_stands_beside_them(folder: Path) -> None:
    done = subprocess.run(
        _command(folder), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b1 +taken +delivered +1 ", done.stdout), done.stdout
    assert re.search(r"\b2 +taken +delivered +1 ", done.stdout), done.stdout
    assert re.search(r"\b3 +refused +refused .*cannot be read", done.stdout), done.stdout
    assert "2 submit_sm" in done.stdout
    assert list(folder.iterdir()) == []
    assert processes_of(folder) == []
    assert processes_of(_cluster_of(done.stdout)) == []
    assert not _cluster_of(done.stdout).exists()


def test_kept_up_it_takes_the_psql_that_it_prints_and_ends_in_order_when_it_is_interrupted(folder: Path) -> None:
    with subprocess.Popen(
        _command(folder, "--keep"), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    ) as demo:  # fmt: skip
        try:
            assert demo.stdout is not None
            lines = _lines_to_paste(iter(demo.stdout.readline, ""))
            said = subprocess.run(
                ["bash", "-euc", lines], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False
            )
            assert said.returncode == 0, said.stdout + said.stderr
            demo.send_signal(signal.SIGINT)
            assert demo.wait(LIMIT) == 0, demo.stdout.read()
        finally:
            demo.kill()
    assert "delivered" in said.stdout
    assert "INSERT 0 1" in said.stdout
    assert "messages can be taken" in said.stdout + said.stderr
    assert not (folder / "demo").exists()
    assert not _cluster_of(lines).exists()
    assert processes_of(folder) == []


def _lines_to_paste(lines: Iterator[str]) -> str:
    pasted, said, kept_up = "", "", False
    for line in lines:
        said += line
        kept_up = kept_up or line.startswith("All stays up")
        if kept_up and line.startswith("  "):
            pasted += line
        if kept_up and "mgatectl source check" in line:
            return pasted
    raise AssertionError(f"the demo ended before it said what to try:\n{said}")


def _cluster_of(said: str) -> Path:
    found = re.search(r"-h (/tmp/pg-\S+)", said)
    assert found is not None, said
    return Path(found[1])
