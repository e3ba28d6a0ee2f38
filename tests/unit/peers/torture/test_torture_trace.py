"""The model of the disk: what was synced is there after every cut, what was not is there only by luck."""

from pathlib import Path
from random import Random

import pytest

from mgate.peers.torture.trace import Disk, replay


def hexed(octets: bytes) -> str:
    return "".join(f"\\x{octet:02x}" for octet in octets)


class Recorder:
    """Writes what strace would have written."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.lines: list[bytes] = []

    def path(self, name: str) -> str:
        return hexed(str(self._root / name if name else self._root).encode())

    def call(self, text: str, thread: int = 7) -> None:
        self.lines.append(f"{thread}     {1000 + len(self.lines)}.5 {text}\n".encode())

    def opened(self, name: str, flags: str = "O_RDWR|O_CREAT", handle: int = 3) -> None:
        self.call(f'openat(AT_FDCWD, "{self.path(name)}", {flags}, 0600) = {handle}<{self.path(name)}>')

    def wrote(self, name: str, data: bytes, at: int) -> None:
        self.call(f'pwrite64(3<{self.path(name)}>, "{hexed(data)}", {len(data)}, {at}) = {len(data)}')

    def synced(self, name: str = "") -> None:
        self.call(f"fdatasync(3<{self.path(name)}>) = 0")

    def outcomes(self) -> set[tuple[tuple[str, bytes], ...]]:
        """Every state that some cut after the last line leaves."""
        disk = Disk([self._root])
        for _ in replay(self.lines, disk):
            pass
        cuts = (disk.after_cut(Random(seed)) for seed in range(200))
        return {tuple(sorted((Path(path).name, data) for path, data in files.items())) for files in cuts}


@pytest.fixture
def tape(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path)


def test_what_was_synced_stays_and_what_was_not_may_go(tape: Recorder) -> None:
    tape.opened("a")
    tape.wrote("a", b"safe", 0)
    tape.synced("a")
    tape.wrote("a", b"luck", 4)
    assert tape.outcomes() == {(("a", b"safe"),), (("a", b"safeluck"),)}


def test_a_long_write_is_torn_to_sectors_in_any_order(tape: Recorder) -> None:
    tape.opened("a")
    tape.wrote("a", b"\0" * 1024, 0)
    tape.synced("a")
    tape.wrote("a", b"x" * 1024, 0)
    contents = {dict(files)["a"] for files in tape.outcomes()}
    assert contents == {first * 512 + last * 512 for first in (b"\0", b"x") for last in (b"\0", b"x")}


def test_a_file_that_was_never_synced_may_be_missing(tape: Recorder) -> None:
    tape.opened("a")
    tape.wrote("a", b"x", 0)
    assert tape.outcomes() == {(), (("a", b""),), (("a", b"x"),)}
    tape.call(f"fsync(5<{tape.path('')}>) = 0")
    assert tape.outcomes() == {(("a", b""),), (("a", b"x"),)}


def test_names_change_in_their_order_until_their_folder_is_synced(tape: Recorder) -> None:
    tape.opened("a.new")
    tape.wrote("a.new", b"1", 0)
    tape.synced("a.new")
    tape.call(f'rename("{tape.path("a.new")}", "{tape.path("a")}") = 0')
    assert (("a", b"1"),) in tape.outcomes()
    assert (("a.new", b"1"),) in tape.outcomes()
    assert () not in tape.outcomes()
    tape.call(f"fsync(5<{tape.path('')}>) = 0")
    assert tape.outcomes() == {(("a", b"1"),)}
    tape.call(f'unlink("{tape.path("a")}") = 0')
    assert tape.outcomes() == {(("a", b"1"),), ()}


def test_a_file_without_a_name_is_still_written_to_and_may_have_it_again_after_a_cut(
    tape: Recorder, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    tape.opened("a", "O_RDWR", handle=9)
    tape.call(f'unlink("{tape.path("a")}") = 0')
    tape.call(f'pwrite64(9<{tape.path("a")}>(deleted), "{hexed(b"new")}", 3, 0) = 3')
    assert tape.outcomes() == {(), (("a", b"old"),), (("a", b"new"),)}


def test_a_sync_covers_what_was_written_before_it_began(tape: Recorder) -> None:
    tape.opened("a")
    tape.wrote("a", b"1", 0)
    tape.call(f"fdatasync(3<{tape.path('a')}> <unfinished ...>", thread=8)
    tape.wrote("a", b"2", 1)
    tape.call("<... fdatasync resumed>) = 0", thread=8)
    assert tape.outcomes() == {(("a", b"1"),), (("a", b"12"),)}


def test_a_sync_that_fails_or_has_not_ended_is_none(tape: Recorder) -> None:
    tape.opened("a")
    tape.wrote("a", b"1", 0)
    tape.call(f"fsync(5<{tape.path('')}>) = 0")
    tape.call(f"fdatasync(3<{tape.path('a')}>) = -1 EIO (Input/output error)")
    tape.call(f"fdatasync(3<{tape.path('a')}> <unfinished ...>", thread=8)
    assert tape.outcomes() == {(("a", b""),), (("a", b"1"),)}


def test_streams_cuts_and_growth_are_followed(tape: Recorder) -> None:
    tape.opened("a")
    tape.call(f'write(3<{tape.path("a")}>, "{hexed(b"ab")}", 2) = 2')
    tape.call(f'write(3<{tape.path("a")}>, "{hexed(b"cd")}", 2) = 2')
    tape.call(f"ftruncate(3<{tape.path('a')}>, 3) = 0")
    tape.call(f"fallocate(3<{tape.path('a')}>, 0, 0, 5) = 0")
    tape.call(f"lseek(3<{tape.path('a')}>, 0, SEEK_SET) = 0")
    tape.call(f'write(3<{tape.path("a")}>, "{hexed(b"X")}", 1) = 1')
    tape.synced("a")
    assert tape.outcomes() == {(("a", b"Xbc\0\0"),)}


def test_a_file_opened_to_nothing_or_at_its_end_is_written_there(tape: Recorder, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").write_bytes(b"old")
    for name, flags in (("a", "O_WRONLY|O_CREAT|O_TRUNC"), ("b", "O_WRONLY|O_CREAT|O_APPEND")):
        tape.opened(name, flags)
        tape.call(f'write(3<{tape.path(name)}>, "{hexed(b"n")}", 1) = 1')
        tape.synced(name)
    assert tape.outcomes() == {(("a", b"n"), ("b", b"oldn"))}


def test_what_is_elsewhere_and_what_is_mapped_does_not_concern_it(tape: Recorder) -> None:
    tape.opened("a-shm")
    tape.call(f'write(2</dev/null>, "{hexed(b"x")}", 1) = 1')
    tape.call('openat(AT_FDCWD, "\\x2f\\x78", O_RDONLY) = -1 ENOENT (No such file or directory)')
    assert list(replay(tape.lines, Disk([Path("/nowhere")]))) == []
    assert tape.outcomes() == {()}


def test_a_call_that_the_model_does_not_know_is_not_passed_over(tape: Recorder) -> None:
    tape.opened("a")
    tape.call(f'writev(3<{tape.path("a")}>, [{{iov_base="{hexed(b"x")}", iov_len=1}}], 1) = 1')
    with pytest.raises(ValueError, match="writev"):
        tape.outcomes()
