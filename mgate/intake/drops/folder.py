"""The folder of one drop: ``in``, ``work``, ``done`` and ``refused``, held by their descriptors.

The job may write into ``in`` and nowhere else. A file is taken by a rename into ``work``, which is ours alone, before
it is opened: then its name means the same file until we let go of it. Nothing follows a link, nothing waits for a pipe,
and a file with a second name, by which it could be written on, is refused. A rename is on the disk when its folders
are; a file that is written back is complete and on the disk before it has its name.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from mgate.intake.drops.faults import FileFault, Refused
from mgate.intake.drops.manifest import LARGEST
from mgate.intake.drops.names import MANIFEST, manifest_of

PLACES: Final = ("in", "work", "done", "refused")
_MODES: Final = {"in": 0o2770, "work": 0o700, "done": 0o2750, "refused": 0o2750}
_OPEN_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PART: Final = ".part"


class FolderError(Exception):
    """The folder cannot be used; the sentence says why and what to do."""


class Seen(NamedTuple):
    """What tells whether a file was written to: its identity, size and time of the last write."""

    device: int
    inode: int
    size: int
    written: int


class Folder:
    """One drop's folder.

    Args:
        path: where; made when it is not there.

    Attributes:
        group: the id of the group that may write to ``in`` and read the answers; -1 leaves the daemon's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.group = -1
        self._places: dict[str, int] = {}

    def open(self) -> None:
        """Make what is missing, and hold it.

        Raises:
            FolderError: said for the operator.
        """
        self.close()
        try:
            made = not self.path.exists()
            self.path.mkdir(mode=0o750, parents=True, exist_ok=True)
            whole = os.open(self.path, _OPEN_FOLDER)
            try:
                _check_owner(self.path, os.fstat(whole))
                if made:
                    os.fchmod(whole, 0o750)  # whatever mask mgated was started with
                if self.group >= 0:
                    os.fchown(whole, -1, self.group)
                for place in PLACES:
                    self._places[place] = self._place(whole, place)
            finally:
                os.close(whole)
        except OSError as error:
            self.close()
            raise FolderError(f"{self.path}: cannot be used: {error.strerror}") from error

    def close(self) -> None:
        """Let go of it."""
        while self._places:
            os.close(self._places.popitem()[1])

    def waiting(self) -> tuple[list[str], int]:
        """The NAMEs whose manifest stands in ``in``, oldest first, and how many files stand there without one."""
        manifests: list[tuple[int, str]] = []
        others = 0
        with os.scandir(self._places["in"]) as entries:
            for entry in entries:
                name = manifest_of(entry.name)
                if name is None:
                    others += not entry.name.startswith(".")
                    continue
                with suppress(FileNotFoundError):
                    manifests.append((entry.stat(follow_symlinks=False).st_mtime_ns, name))
        return [name for _, name in sorted(manifests)], max(0, others - len(manifests))

    def claimed(self) -> list[str]:
        """The NAMEs whose manifest stands in ``work``: a stop or a crash left them there."""
        return sorted(name for each, _ in self.files("work") if (name := manifest_of(each)) is not None)

    def has(self, place: str, file: str) -> bool:
        """Whether there is a file of this name, whatever it is."""
        try:
            os.stat(file, dir_fd=self._places[place], follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def files(self, place: str) -> Iterator[tuple[str, float]]:
        """Every file in a place, and when it was put there or changed last (seconds since 1970)."""
        with os.scandir(self._places[place]) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    yield entry.name, entry.stat(follow_symlinks=False).st_ctime

    def claim(self, name: str) -> None:
        """Take a manifest out of ``in``."""
        self.move(f"{name}{MANIFEST}", "in", "work")

    def move(self, file: str, source: str, target: str) -> bool:
        """Move a file, durably; False when it is not there."""
        try:
            os.rename(file, file, src_dir_fd=self._places[source], dst_dir_fd=self._places[target])
        except FileNotFoundError:
            return False
        os.fsync(self._places[target])
        os.fsync(self._places[source])
        return True

    def put_away(self, file: str, source: str, target: str) -> bool:
        """Move a plain file; a link or a pipe of that name is removed. False when it is not there."""
        try:
            status = os.stat(file, dir_fd=self._places[source], follow_symlinks=False)
        except FileNotFoundError:
            return False
        if stat.S_ISREG(status.st_mode):
            return self.move(file, source, target)
        if stat.S_ISDIR(status.st_mode):
            aside = f"{file}.{status.st_ino}"
            os.rename(file, aside, src_dir_fd=self._places[source], dst_dir_fd=self._places[target])
        else:
            os.unlink(file, dir_fd=self._places[source])
        os.fsync(self._places[source])
        return True

    def remove(self, place: str, file: str) -> None:
        """Remove a file, or a link; a folder of that name stays."""
        with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
            os.unlink(file, dir_fd=self._places[place])

    def read_manifest(self, name: str) -> bytes:
        """The octets of a claimed manifest. Raises `Refused`."""
        file = self.open_file(f"{name}{MANIFEST}")
        try:
            return os.read(file, LARGEST + 1)
        finally:
            os.close(file)

    def open_file(self, file: str) -> int:
        """Open a claimed file; its descriptor.

        Raises:
            Refused: ``no_file``, ``not_a_file`` or ``unreadable``.
        """
        try:
            opened = os.open(file, _OPEN_FILE, dir_fd=self._places["work"])
        except FileNotFoundError:
            raise Refused(FileFault.NO_FILE) from None
        except PermissionError:
            raise Refused(FileFault.UNREADABLE) from None
        except OSError:  # a link (ELOOP), a socket or a device without a driver (ENXIO)
            raise Refused(FileFault.NOT_A_FILE) from None
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            os.close(opened)
            raise Refused(FileFault.NOT_A_FILE)
        return opened

    def create(self, file: str) -> int:
        """A new file in ``work``, to be given its name by ``publish``; its descriptor."""
        part = f"{file}{_PART}"
        self.remove("work", part)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        made = os.open(part, flags, 0o640, dir_fd=self._places["work"])
        if self.group >= 0:
            os.fchown(made, -1, self.group)
        os.fchmod(made, 0o640)
        return made

    def publish(self, written: int, file: str, place: str) -> None:
        """Put a file that was created, durable and whole, where others read it; the descriptor is closed."""
        try:
            os.fsync(written)
        finally:
            os.close(written)
        work, there = self._places["work"], self._places[place]
        os.rename(f"{file}{_PART}", file, src_dir_fd=work, dst_dir_fd=there)
        os.fsync(there)
        os.fsync(work)

    def _place(self, whole: int, place: str) -> int:
        mode = _MODES[place]
        with suppress(FileExistsError):
            os.mkdir(place, 0o700, dir_fd=whole)
        opened = os.open(place, _OPEN_FOLDER, dir_fd=whole)
        status = os.fstat(opened)
        if status.st_uid != os.geteuid():
            os.close(opened)
            raise FolderError(f"{self.path / place}: belongs to somebody else; mgated must own it")
        if self.group >= 0:
            os.fchown(opened, -1, self.group if place != "work" else -1)
        os.fchmod(opened, mode)
        return opened


def seen(file: int) -> Seen:
    """How an open file is now."""
    status = os.fstat(file)
    return Seen(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _check_owner(path: Path, status: os.stat_result) -> None:
    """Whoever may rename ``in`` could put another folder in its place."""
    if status.st_uid != os.geteuid():
        raise FolderError(f"{path}: belongs to somebody else; mgated must own it")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise FolderError(f"{path}: others may write to it; they may write to its folder in only: chmod 0750 {path}")
