"""Where the admin socket is, even where the rest of the file is wrong: the daemon runs well by an older one."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Final, NamedTuple

from mgate.config.kinds import NotAllowed, Place
from mgate.config.mistakes import ConfigError, Mistake
from mgate.config.reading import read
from mgate.config.tree import Admin

_HEADING: Final = re.compile(r"\s*\[+\s*([^\]]*?)\s*\]")
_SOCKET: Final = re.compile(r"\s*socket\s*=")


class Hatch(NamedTuple):
    """The admin socket, and the mistakes of a file of which only this could be believed."""

    socket: Path
    mistakes: tuple[Mistake, ...]


def hatch_of(path: Path) -> Hatch:
    """Where to speak to the daemon of this file.

    Errors: `ConfigError` when there is no such file, or it may not be looked into.
    """
    try:
        return Hatch(read(path).admin.socket, ())
    except ConfigError as error:
        try:
            content = path.read_bytes()
        except OSError:
            raise error from None
        home = Path(os.path.abspath(path)).parent  # noqa: PTH100  # as ``read`` does
        return Hatch(_place(_said(content.decode("utf-8", "replace")), home), error.mistakes)


def _place(said: object, home: Path) -> Path:
    try:
        return Place().read(said, home)
    except NotAllowed:
        return home / Admin().socket


def _said(text: str) -> object:
    """What [admin] says of its socket; None for nothing that can be read."""
    try:
        admin = tomllib.loads(text).get("admin")
    except tomllib.TOMLDecodeError:
        return _by_lines(text)
    return admin.get("socket") if isinstance(admin, dict) else None


def _by_lines(text: str) -> object:
    """The same, of a file that is no TOML: the line is one by itself."""
    section = ""
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            section = heading[1]
        elif section == "admin" and _SOCKET.match(line):
            try:
                return tomllib.loads(line)["socket"]
            except tomllib.TOMLDecodeError:
                return None
    return None
