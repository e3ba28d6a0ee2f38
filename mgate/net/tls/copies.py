"""Copies of an identity's files, for drivers that read files themselves: libpq does at each of its connections.

Whoever renews a certificate puts two files in place, one after the other, and a driver that reads in between finds a
pair that does not fit. So it is given copies of what was read at once and found right. Each set has a folder of its
own, which is handed out when it is whole and never written to again; it goes when another set is in use and the last
who reads it is done.

A copy of the key tells nobody more than its file does, which lies on a disk of this machine, under this very account,
with the same mode. It is there as long as the daemon runs; what a crash leaves is taken away at the next start.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

_FOLDER_MODE: Final = 0o700
_MODE: Final = 0o600
_SUFFIX: Final = ".pem"


class Copy:
    """One set on the disk, lent to whoever reads it."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        self._places = {key: folder / f"{key}{_SUFFIX}" for key in files}
        self._folder = folder
        self._lent = 0
        self._over = False
        folder.mkdir(_FOLDER_MODE)
        try:
            for key, octets in files.items():
                _write(self._places[key], octets)
        except OSError:
            self._remove()
            raise

    @property
    def whole(self) -> bool:
        """Whether nobody took a file of it away, such as who cleans folders."""
        return all(place.is_file() for place in self._places.values())

    @contextmanager
    def lend(self) -> Iterator[Mapping[str, Path]]:
        """Where each file is. They stay until this is left."""
        self._lent += 1
        try:
            yield self._places
        finally:
            self._lent -= 1
            self._go_when_done()

    def retire(self) -> None:
        """Another set is in use."""
        self._over = True
        self._go_when_done()

    def _go_when_done(self) -> None:
        if self._over and not self._lent:
            self._remove()

    def _remove(self) -> None:
        _remove(self._folder)


class Copies:
    """The folder in which the sets stand.

    Args:
        folder: of the daemon's own, best in memory; made when there is something to put into it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)
        self.clear()

    def make(self, name: str, files: Mapping[str, bytes]) -> Copy:
        """A set of the identity ``name``: its files by the keys of [tls.NAME].

        Raises:
            OSError: it cannot be written.
        """
        self._folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        self._folder.chmod(_FOLDER_MODE)
        return Copy(self._folder / f"{name}.{next(self._numbers)}", files)

    def clear(self) -> None:
        """Take every set away, those of a daemon that died among them."""
        try:
            found = list(self._folder.iterdir())
        except OSError:
            return  # Nothing was ever put there.
        for each in found:
            _remove(each)
        _without_a_word(self._folder.rmdir)


def _write(place: Path, octets: bytes) -> None:
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)


def _remove(folder: Path) -> None:
    """Take a set away, and nothing that is none: somebody may have named a folder of his own."""
    for place in folder.glob(f"*{_SUFFIX}"):
        _without_a_word(place.unlink)
    _without_a_word(folder.rmdir)


def _without_a_word(remove: Callable[[], None]) -> None:
    try:
        remove()
    except OSError:
        pass  # It is gone already, or is not ours.
