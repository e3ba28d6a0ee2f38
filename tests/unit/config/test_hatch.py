"""The admin socket is found in a file whatever else is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgate.config import ConfigError
from mgate.config.hatch import hatch_of


@pytest.mark.parametrize(
    ("content", "socket"),
    [
        ('[admin]\nsocket = "x/a.sock"\n', "x/a.sock"),
        ('[log]\nlevel = \n[admin] # ours\nmode = \n  socket = "x/a.sock" # here\n', "x/a.sock"),
        ('broken\n[admin]\nowner = "a"\n[metrics]\nsocket = "m.sock"\n', "run/admin.sock"),
        ("broken\n[admin]\nsocket = x/a.sock\n", "run/admin.sock"),
        ("[admin]\nsocket = 3\n", "run/admin.sock"),
        ("admin = 3\n", "run/admin.sock"),
        ("[admin]\nsocket = '/abs/a.sock'\n[sms.op-a\n", "/abs/a.sock"),
        ("", "run/admin.sock"),
    ],
)
def test_the_socket_is_where_the_file_says_or_at_its_own_place(tmp_path: Path, content: str, socket: str) -> None:
    file = tmp_path / "mgate.toml"
    file.write_text(content)
    found = hatch_of(file)
    assert found.socket == tmp_path / socket
    assert found.mistakes


def test_a_file_that_is_no_text_has_the_socket_at_its_own_place(tmp_path: Path) -> None:
    file = tmp_path / "mgate.toml"
    file.write_bytes(b"\xff\xfe[admin]\x00")
    assert hatch_of(file).socket == tmp_path / "run" / "admin.sock"


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        hatch_of(tmp_path / "mgate.toml")
