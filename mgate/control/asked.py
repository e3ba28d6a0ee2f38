"""What holds for every command of mgatectl: which instance is meant, and how to answer."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console, RenderableType

from mgate.config import Config, ConfigError, find_config, read
from mgate.config.hatch import hatch_of
from mgate.control.talk import Daemon

_WIDE: Final = 200


@dataclass(slots=True)
class Asked:
    """What holds for every command: which configuration, and how to answer.

    Attributes:
        socket: the admin socket, where somebody named it: then no configuration is read for it.
    """

    config: str | None = None
    socket: str | None = None
    as_json: bool = False
    _daemon: Daemon | None = None

    def tree(self) -> Config:
        """The configuration."""
        return read(self.path())

    def tree_if_right(self) -> Config | None:
        """The configuration; None when it has a mistake, of which the daemon's own answer tells already."""
        try:
            return self.tree()
        except ConfigError:
            return None

    def path(self) -> Path:
        """Its file."""
        return find_config(self.config, os.environ)

    def daemon(self) -> Daemon:
        """The daemon that this configuration is for. A mistake in the file is no reason not to look into one that runs
        well by what the file was before."""
        self._daemon = self._daemon or Daemon(self._admin())
        return self._daemon

    def _admin(self) -> Path:
        if self.socket is not None:
            return Path(self.socket)
        socket, mistakes = hatch_of(self.path())
        if mistakes:
            more = f" and {len(mistakes) - 1} more" if len(mistakes) > 1 else ""
            self.note(
                f"warning: {mistakes[0]}{more} (mgatectl config check); the daemon is asked at {socket} all the same"
            )
        return socket

    def leave(self) -> None:
        """The command is over."""
        if self._daemon is not None:
            self._daemon.close()

    def say(self, answer: object, *shown: RenderableType) -> None:
        """Give the answer: as JSON for a program, or as people see it."""
        if self.as_json:
            sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode() + "\n")
            return
        # Where there is no screen whose width could be asked, a table must not be cut to one.
        width = None if sys.stdout.isatty() else _WIDE
        console = Console(highlight=False, markup=False, width=width)
        for each in shown:
            console.print(each)

    def note(self, sentence: str) -> None:
        """Say something beside the answer, to people only."""
        if not self.as_json:
            sys.stderr.write(sentence + "\n")
