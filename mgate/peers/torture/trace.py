"""What a daemon did to the disk, as strace wrote it down, and what a power cut at any moment could have left of it.

The disk of this model keeps what was synced and nothing else for sure. Each write since the last sync of its file is
kept, dropped, or torn to sectors, whatever the order; names made, changed and removed since the last sync of their
folder are kept up to some moment, in their order, as a journaling file system does. What is synced by fsync of a new
file is its name too (ext4 and XFS do so). Memory-mapped writes are not seen: SQLite maps only the -shm file, which it
builds anew after every crash.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

CALLS: Final = (
    "openat,pwrite64,write,writev,pwritev,lseek,ftruncate,fallocate,fsync,fdatasync,unlink,unlinkat,rename,renameat,"
    "renameat2"
)
SECTOR: Final = 512
_LINE: Final = re.compile(rb"^(\d+) +(\d+\.\d+) (.*)$", re.DOTALL)
_RESUMED: Final = re.compile(rb"^<\.\.\. (\w+) resumed>(.*)$", re.DOTALL)
_CALL: Final = re.compile(rb"^(\w+)\((.*)\)\s+= (-?\d+)", re.DOTALL)
_FD: Final = re.compile(rb"^(\d+)<([^>]*)>(\(deleted\))?")
_STRING: Final = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')
_OPENED: Final = re.compile(rb"= (\d+)<([^>]*)>")


class Write(NamedTuple):
    """A write that is not synced; ``data`` None: the file was cut, or made longer, to ``at`` octets."""

    at: int
    data: bytes | None


class File:
    """A file: what is synced of it, and what is not yet."""

    def __init__(self, synced: bytes = b"") -> None:
        self.synced = bytearray(synced)
        self.pending: list[Write] = []
        self.size = len(synced)

    def sync(self, writes: int) -> None:
        """The first so many of what is pending are on the disk."""
        for write in self.pending[:writes]:
            _apply(self.synced, write)
        del self.pending[:writes]


class Named(NamedTuple):
    """A change of names that is not synced: ``file`` bears this path now, None: nothing does any more."""

    path: str
    file: File | None


class Disk:
    """The files under some folders, as they are now and as a cut would leave them."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self._roots = tuple(f"{root}/" for root in roots)
        self.names: dict[str, File] = {}
        for root in self._roots:
            for path in Path(root).rglob("*"):
                if path.is_file():
                    self.names[str(path)] = File(path.read_bytes())
        self._durable = dict(self.names)
        self._unsynced: list[Named] = []
        self._places: dict[int, tuple[File, int]] = {}

    def holds(self, path: str) -> bool:
        """Whether this path is of the disk."""
        return path.startswith(self._roots) and not path.endswith("-shm")

    # ---- what a program does ---------------------------------------------------------------------------------------

    def opened(self, path: str, handle: int, *, made: bool, cut: bool, appends: bool) -> None:
        """A file was opened; ``made``: and made, if it was not there; ``cut``: to nothing."""
        file = self.names.get(path)
        if file is None:
            if not made:
                return
            file = File()
            self._name(path, file)
        if cut and file.size:
            self.resized(file, 0)
        self._places[handle] = file, file.size if appends else 0

    def written(self, file: File, at: int, data: bytes) -> None:
        """A write at a place."""
        file.pending.append(Write(at, data))
        file.size = max(file.size, at + len(data))

    def streamed(self, handle: int, file: File, data: bytes) -> None:
        """A write where the file stands."""
        known, at = self._places.get(handle, (file, file.size))
        at = at if known is file else file.size
        self.written(file, at, data)
        self._places[handle] = file, at + len(data)

    def sought(self, handle: int, at: int) -> None:
        """The file stands elsewhere now."""
        if handle in self._places:
            self._places[handle] = self._places[handle][0], at

    def resized(self, file: File, size: int) -> None:
        """It was cut, or made longer."""
        file.pending.append(Write(size, None))
        file.size = size

    def removed(self, path: str) -> None:
        """A name is gone."""
        self._name(path, None)

    def renamed(self, old: str, new: str) -> None:
        """A name was changed, and what had the new one is gone."""
        file = self.names.get(old)
        if file is not None:
            self._name(new, file)
            self._name(old, None)

    def nameless(self, handle: int) -> File | None:
        """The file that was opened as this handle."""
        return self._places[handle][0] if handle in self._places else None

    def synced(self, path: str, file: File | None, writes: int) -> None:
        """A sync that began with so many writes pending (-1: with all) is done; of a folder: its names."""
        if file is not None:
            file.sync(len(file.pending) if writes < 0 else writes)
            self._keep([one for one in self._unsynced if one.file is file and one.path == path])
        else:
            self._keep([one for one in self._unsynced if str(Path(one.path).parent) == path])

    def _name(self, path: str, file: File | None) -> None:
        self._unsynced.append(Named(path, file))
        if file is None:
            self.names.pop(path, None)
        else:
            self.names[path] = file

    def _keep(self, changes: list[Named]) -> None:
        """The journal is written in order: what came before is kept too."""
        if not changes:
            return
        last = max(index for index, one in enumerate(self._unsynced) if any(one is change for change in changes))
        for one in self._unsynced[: last + 1]:
            _rename(self._durable, one)
        del self._unsynced[: last + 1]

    # ---- what a cut leaves -----------------------------------------------------------------------------------------

    def after_cut(self, chance: Random) -> dict[str, bytes]:
        """The files that a power cut now could leave, by path."""
        names = dict(self._durable)
        for one in self._unsynced[: chance.randint(0, len(self._unsynced))]:
            _rename(names, one)
        manner = chance.choice(("none", "all", "some", "torn"))
        return {path: _left(file, manner, chance) for path, file in names.items()}


def replay(lines: Iterable[bytes], disk: Disk) -> Iterator[float]:
    """Play a trace on the disk; after each line that concerns it, when that was, seconds since 1970."""
    begun: dict[bytes, tuple[bytes, int]] = {}
    for line in lines:
        found = _LINE.match(line.rstrip(b"\n"))
        if found is None:
            continue
        thread, at, text = found.groups()
        resumed = _RESUMED.match(text)
        pending = -1
        if text.endswith(b"<unfinished ...>"):
            text = text.removesuffix(b"<unfinished ...>").rstrip()
            begun[thread] = text, _pending(disk, text)
            continue
        if resumed is not None:
            if thread not in begun:
                continue
            first, pending = begun.pop(thread)
            text = first + resumed[2]
        if _play(disk, text, pending):
            yield float(at)


def _play(disk: Disk, text: bytes, pending: int) -> bool:
    """Do one call; whether it concerned this disk. ``pending``: the writes that a sync began with, -1 for all."""
    call = _CALL.match(text)
    if call is None or int(call[3]) < 0:
        return False
    name, arguments, result = call[1], call[2], int(call[3])
    if name == b"openat":
        return _play_open(disk, text, arguments)
    if name in (b"unlink", b"unlinkat", b"rename", b"renameat", b"renameat2"):
        paths = [_plain(path) for path in _STRING.findall(arguments)]
        if not disk.holds(paths[0]):
            return False
        if name.startswith(b"unlink"):
            disk.removed(paths[0])
        else:
            disk.renamed(paths[0], paths[1])
        return True
    handle = _FD.match(arguments)
    if handle is None:
        return False
    path, file = _plain(handle[2]), _file(disk, handle)
    if name in (b"fsync", b"fdatasync"):
        disk.synced("" if handle[3] else path, file, pending)
        return file is not None or disk.holds(path + "/")
    return file is not None and _play_write(disk, name, int(handle[1]), file, arguments, result)


def _file(disk: Disk, handle: re.Match[bytes]) -> File | None:
    """The file of a handle; one that has lost its name may still bear one after a cut."""
    path = _plain(handle[2])
    if not disk.holds(path):
        return None
    return disk.nameless(int(handle[1])) if handle[3] else disk.names.get(path)


def _play_write(disk: Disk, name: bytes, handle: int, file: File, arguments: bytes, result: int) -> bool:
    numbers = [int(part) for part in re.findall(rb", (\d+)", _STRING.sub(b"", arguments))]
    data = _STRING.search(arguments)
    if name == b"pwrite64" and data is not None:
        disk.written(file, numbers[-1], _octets(data[1])[:result])
    elif name == b"write" and data is not None:
        disk.streamed(handle, file, _octets(data[1])[:result])
    elif name == b"ftruncate":
        disk.resized(file, numbers[0])
    elif name == b"fallocate":
        disk.resized(file, max(file.size, numbers[1] + numbers[2]))
    elif name == b"lseek":
        disk.sought(handle, result)
    else:
        raise ValueError(f"{name.decode()} to a file of the spool: the model of the disk does not know it yet")
    return name != b"lseek"


def _play_open(disk: Disk, text: bytes, arguments: bytes) -> bool:
    opened = _OPENED.search(text)
    path = _plain(opened[2]) if opened is not None else ""
    if opened is None or not disk.holds(path):
        return False
    flags = arguments.rpartition(b'"')[2]
    disk.opened(
        path, int(opened[1]), made=b"O_CREAT" in flags, cut=b"O_TRUNC" in flags, appends=b"O_APPEND" in flags
    )  # fmt: skip
    return b"O_CREAT" in flags


def _pending(disk: Disk, text: bytes) -> int:
    handle = _FD.match(text.partition(b"(")[2])
    file = _file(disk, handle) if handle is not None else None
    return len(file.pending) if file is not None else 0


def _octets(escaped: bytes) -> bytes:
    return bytes.fromhex(escaped.replace(b"\\x", b"").decode())


def _plain(escaped: bytes) -> str:
    return (_octets(escaped) if escaped.startswith(b"\\x") else escaped).decode()


def _apply(content: bytearray, write: Write) -> None:
    if write.data is None:
        if write.at < len(content):
            del content[write.at :]
        else:
            content.extend(bytes(write.at - len(content)))
        return
    if len(content) < write.at:
        content.extend(bytes(write.at - len(content)))
    content[write.at : write.at + len(write.data)] = write.data


def _rename(names: dict[str, File], one: Named) -> None:
    if one.file is None:
        names.pop(one.path, None)
    else:
        names[one.path] = one.file


def _left(file: File, manner: str, chance: Random) -> bytes:
    """What is on the disk of a file: the synced, and of the rest as much as the manner leaves."""
    content = bytearray(file.synced)
    for write in file.pending:
        if manner == "none" or (manner == "some" and chance.random() < 0.5):
            continue
        if manner == "torn" and write.data is not None:
            for at in range(0, len(write.data), SECTOR):
                if chance.random() < 0.5:
                    _apply(content, Write(write.at + at, write.data[at : at + SECTOR]))
        elif manner != "torn" or chance.random() < 0.5:
            _apply(content, write)
    return bytes(content)
