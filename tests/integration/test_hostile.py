"""The daemon with a hostile and a healthy operator, over TCP. All of them: tools/torture hostile.

Time is judged there, on a machine that does nothing else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mgate.peers.torture.hostile import SCRIPTS, trial


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mgh-") as short:  # a path of a socket is short
        yield Path(short)


@pytest.mark.parametrize("name", ["resets", "deaf", "strange-pdus"])
def test_codes_leave_by_the_healthy_operator_whatever_the_other_does(name: str, folder: Path) -> None:
    felt = trial(SCRIPTS / f"{name}.toml", folder, 3.0)
    assert felt.kept, felt
    assert felt.tried > 10, "the hostile one was not tried"
    assert felt.p99 < 5.0, felt
