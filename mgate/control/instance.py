"""Making a new instance: the folder that ``mgatectl init`` leaves, ready for mgated."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mgate.config import Config, ConfigError, read
from mgate.seal.errors import SealError
from mgate.seal.keyfile import KeyFile
from mgate.seal.keyring import Keyring

LONGEST_PASSWORD: Final = 64
"""SMPP 3.4, section 5.2.2, allows 8 and a NUL; operators give longer ones and take them: only a mistake is refused."""

CONFIG: Final = "mgate.toml"
_ACCOUNT: Final = "op-a"
_PASSWORD: Final = f"keys/{_ACCOUNT}.password"
_TRAVERSED: Final = 0o751
"""A client of another group must pass to its socket, which its own owner, group and mode protect; it lists nothing."""

_FOLDERS: Final = (
    ("keys", 0o700),
    ("keys/ring", 0o700),
    ("run", _TRAVERSED),
    ("spool", 0o700),
    ("spool/history", 0o700),
)


class CannotInit(Exception):
    """No instance was made, and nothing is left of the try; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the operator gave: its address, our name there, the password's file; and how fast it lets us go."""

    host: str
    port: int
    system_id: str
    password_file: Path
    binds: int
    window: int
    rate: int


def make_instance(folder: Path, account: Account) -> Config:
    """Make configuration, keys and folders in a folder that is new or empty.

    No path in it is absolute, so that the folder can be moved while mgated does not run.
    Errors: `CannotInit`.
    """
    password = _password(account.password_file)
    made = _claim(folder)
    try:
        return _fill(folder, account, password)
    except ConfigError as error:
        _undo(folder, made)
        raise CannotInit("\n".join(f"{mistake.key}: {mistake.problem}" for mistake in error.mistakes)) from error
    except (OSError, SealError) as error:
        _undo(folder, made)
        raise CannotInit(f"{folder}: cannot be filled: {error}") from error


def _fill(folder: Path, account: Account, password: bytes) -> Config:
    for name, mode in _FOLDERS:
        (folder / name).mkdir(mode=0o700)
        # By chmod, since a strict umask would take the clients' way from mkdir's mode.
        (folder / name).chmod(mode)
    _write(folder / CONFIG, _toml(account).encode(), 0o640)
    config = read(folder / CONFIG)
    _write(folder / _PASSWORD, password, 0o400)
    Keyring.create(config.keys.ring, KeyFile(config.keys.kek_file).make(), uuid.uuid4().bytes)
    return config


def _claim(folder: Path) -> bool:
    """See that the folder is there and empty; True when it was made here."""
    try:
        folder.mkdir(mode=0o700)
        folder.chmod(_TRAVERSED)
        return True
    except FileExistsError:
        pass
    except OSError as error:
        raise CannotInit(f"{folder}: cannot be made: {error.strerror}") from error
    if not folder.is_dir():
        raise CannotInit(f"{folder}: is not a folder")
    if any(folder.iterdir()):
        raise CannotInit(f"{folder}: is not empty; an instance is made in a folder of its own")
    return False


def _undo(folder: Path, made: bool) -> None:
    for name in (CONFIG, "keys", "run", "spool"):
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if made:
        folder.rmdir()


def _password(path: Path) -> bytes:
    try:
        line = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise CannotInit(f"{path}: the password cannot be read: {error.strerror}") from error
    if not 1 <= len(line) <= LONGEST_PASSWORD or not line.isascii() or b"\n" in line or b"\0" in line:
        raise CannotInit(f"{path}: must hold one line of 1 to {LONGEST_PASSWORD} ASCII characters")
    return line + b"\n"


def _write(path: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
        file.write(content)


def _toml(account: Account) -> str:
    return f"""\
# Made by mgatectl init. Every other setting, with its meaning and default, stands in etc/mgate.toml of the release.
# Relative paths begin at this folder. After a change: mgatectl config check, then mgatectl reload.

[push.clients.local]
# Every class, any sender, no limit. Say here which sender a message has that names none:
#default_sender = "ExampleBank"

[sms.{_ACCOUNT}]
host = {_quoted(account.host)}
port = {account.port}
system_id = {_quoted(account.system_id)}
password_file = "{_PASSWORD}"
# With TLS: tls = "NAME" in the place of plain_tcp, and a section [tls.NAME]. Without: your own reason why this line is
# safe, such as an IPsec tunnel to the operator.
plain_tcp = "no reason given yet: mgatectl init wrote this line"
binds = {account.binds}
window = {account.window}
rate = {account.rate}
"""


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
