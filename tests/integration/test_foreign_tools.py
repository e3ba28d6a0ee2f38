"""A run on the wire as Wireshark reads it, the push API as schemathesis reads it; skipped where they are missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mgate.peers.interop.main import CANNOT
from tests.integration.instance import ROOT


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a path short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="mg-", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def interop(folder: Path, *asked: str) -> subprocess.CompletedProcess[str]:
    """`tools/interop`, as a process of its own; skips the test when it cannot be run here."""
    command = [sys.executable, "-m", "mgate.peers.interop.main", *asked, "--seed", "1", "--folder", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == CANNOT:
        pytest.skip(done.stdout.splitlines()[-1])
    return done


def test_tshark_finds_no_malformed_pdu_in_a_whole_run(folder: Path) -> None:
    done = interop(folder, "capture")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "none malformed, none missing" in done.stdout


@pytest.mark.parametrize("way", [[], ["--tls"]], ids=["by the socket", "over mutual TLS"])
def test_schemathesis_finds_no_fault_in_the_push_api(folder: Path, way: list[str]) -> None:
    done = interop(folder, "schema", "--examples", "10", *way)
    assert done.returncode == 0, done.stdout + done.stderr
