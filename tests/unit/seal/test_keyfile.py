"""A key file is read if it is a key and nobody else's; else the error says how to mend it."""

import base64
import os
from pathlib import Path

import pytest

from mgate.seal.errors import BadKeyFile
from mgate.seal.keyfile import Kek, KeyFile

KEY = bytes(range(200, 232))


def key_file(folder: Path, content: bytes, mode: int = 0o400) -> KeyFile:
    path = folder / "mgate.key"
    path.write_bytes(content)
    path.chmod(mode)
    return KeyFile(path)


@pytest.mark.parametrize(
    "content",
    [KEY, base64.b64encode(KEY), base64.b64encode(KEY) + b"\n", b"  " + base64.b64encode(KEY) + b"\r\n"],
    ids=["raw", "base64", "base64 and newline", "base64 in white space"],
)
def test_a_key_is_read_raw_or_as_base64(tmp_path: Path, content: bytes) -> None:
    assert key_file(tmp_path, content).read().ring_key() == Kek(KEY).ring_key()


@pytest.mark.parametrize(
    "content",
    [b"", KEY[:31], KEY + b"\n", base64.b64encode(KEY[:31]), b"*" + base64.b64encode(KEY), b"x" * 5000],
    ids=["empty", "31 raw", "33 raw", "base64 of 31", "not base64", "long"],
)
def test_what_is_no_key_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    file = key_file(tmp_path, content)
    with pytest.raises(BadKeyFile, match="neither 32 raw bytes nor base64") as refused:
        file.read()
    assert str(file.path) in str(refused.value)


def test_a_file_of_zeros_is_not_a_key(tmp_path: Path) -> None:
    with pytest.raises(BadKeyFile, match="equal bytes"):
        key_file(tmp_path, bytes(32)).read()


@pytest.mark.parametrize("mode", [0o404, 0o402, 0o401, 0o420, 0o410, 0o644, 0o666])
def test_a_file_that_others_can_use_is_refused_with_mode_and_remedy(tmp_path: Path, mode: int) -> None:
    file = key_file(tmp_path, KEY, mode)
    with pytest.raises(BadKeyFile) as refused:
        file.read()
    assert str(file.path) in str(refused.value)
    assert f"mode {mode:04o}" in str(refused.value)
    assert f"chmod 0400 {file.path}" in str(refused.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to another group")
def test_the_group_may_read_only_if_it_is_roots_as_with_systemd_credentials(tmp_path: Path) -> None:
    file = key_file(tmp_path, KEY, 0o440)
    os.chown(file.path, -1, 0)
    file.read()
    os.chown(file.path, -1, 12345)
    with pytest.raises(BadKeyFile, match="mode 0440"):
        file.read()


def test_a_missing_file_a_folder_and_a_fifo_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadKeyFile, match="No such file"):
        KeyFile(tmp_path / "none").read()
    with pytest.raises(BadKeyFile, match="not a regular file"):
        KeyFile(tmp_path).read()
    os.mkfifo(tmp_path / "fifo", 0o400)
    with pytest.raises(BadKeyFile, match="not a regular file"):
        KeyFile(tmp_path / "fifo").read()


def test_a_made_file_is_the_owners_alone_and_reads_as_the_key_that_was_returned(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "mgate.key")
    assert file.make().ring_key() == file.read().ring_key()
    assert file.path.stat().st_mode & 0o777 == 0o400


def test_a_file_that_is_there_is_never_made_anew(tmp_path: Path) -> None:
    file = key_file(tmp_path, KEY)
    with pytest.raises(BadKeyFile, match="exists"):
        file.make()
    assert file.path.read_bytes() == KEY


def test_two_made_keys_differ(tmp_path: Path) -> None:
    assert KeyFile(tmp_path / "one").make().check != KeyFile(tmp_path / "two").make().check
