"""The disk fails: it fills and is freed, a file may not grow, writes and syncs fail, it turns read-only.

A full disk must cost no restart: pushes are refused and taken again soon after there is room. An error of the disk must
end the daemon with status 74, because after a failed fsync nobody knows what is on it; the next start goes on.
"""

import fcntl
import os
import resource
import subprocess
import time
from pathlib import Path
from typing import Final

from mgate.peers.house import HouseError, Running
from mgate.peers.torture.kill import ready_or_dead
from mgate.peers.torture.stage import Course, Discipline, Stage
from mgate.peers.torture.tools import FIU, ROOT

MIB: Final = 1 << 20
RECOVERED: Final = 5.0
"""Seconds after there is room again until pushes are taken."""

SIZE: Final = 256
"""MiB: room for the messages of a hundred rounds, so that the disk is full only when it was filled."""

SETTINGS: Final = '[spool]\nmin_free = "16MiB"\nreserve = "16MiB"\n'
LOOP: Final = "loop,errors=remount-ro"
FREEZE: Final = 0xC0045877
THAW: Final = 0xC0045878
"""FIFREEZE and FITHAW of linux/fs.h."""

_LONGEST: Final = 6.0
_CHUNK: Final = bytes(64 << 10)


class _Mounted(Discipline):
    """The spool on a disk of its own."""

    needs = (ROOT,)

    def __init__(self) -> None:
        self.spool: Path | None = None

    def course(self, course: Course) -> Course:
        """What is kept free and held in reserve leaves nearly all of the disk to messages."""
        return course._replace(settings=SETTINGS)

    async def furnish(self, stage: Stage) -> None:
        """Mount it."""
        spool = stage.instance.path / "spool"
        self.mount(stage, spool)
        self.spool = spool
        (spool / "history").mkdir(mode=0o700, exist_ok=True)

    async def tidy(self, stage: Stage) -> None:
        """Unmount it; who uses it is ended first."""
        if self.spool is not None:
            if stage.daemon is not None and stage.daemon.alive:
                stage.daemon.kill()
            run("umount", str(self.spool))
            self.spool = None

    def mount(self, stage: Stage, spool: Path) -> None:
        """Mount the disk on the spool's folder."""
        raise NotImplementedError

    @property
    def folder(self) -> Path:
        """Where it is mounted."""
        if self.spool is None:
            raise AssertionError("furnish comes first")
        return self.spool


class Full(_Mounted):
    """A tmpfs that fills to the last octets, or to where new messages must be refused early; then it is freed.

    ``left``: octets that are left at most when it is filled to the brim.
    """

    name = "full"

    def __init__(self, left: int = 512 << 10) -> None:
        super().__init__()
        self._left = left

    def mount(self, stage: Stage, spool: Path) -> None:
        """A tmpfs."""
        run("mount", "-t", "tmpfs", "-o", f"size={SIZE}m,mode=0700", "tmpfs", str(spool))

    async def round(self, stage: Stage, number: int) -> None:
        """Fill, wait, free, and see pushes taken again."""
        chance = stage.random
        await stage.spend(chance.uniform(0.1, 1.0))
        brim = number % 3 != 0
        _fill(self.folder / "filler", chance.randint(0, self._left) if brim else chance.randint(1, 15) * MIB)
        await stage.spend(chance.uniform(0.5, 3.0))
        stage.must_live()
        (self.folder / "filler").unlink()
        answered, freed = stage.pusher.answered, time.monotonic()
        while stage.pusher.answered == answered and time.monotonic() - freed < 4 * RECOVERED:
            await stage.spend(0.02)
        stage.must_live()
        took = time.monotonic() - freed
        if took > RECOVERED:
            stage.besides.append(f"pushes were taken again {took:.1f} s after there was room, not {RECOVERED:g}")
        stage.deeds["filled to the brim" if brim else "filled to the low-water mark"] += 1
        stage.deeds["slowest recovery, ms"] = max(stage.deeds["slowest recovery, ms"], round(took * 1000))


class Limit(Discipline):
    """RLIMIT_FSIZE, set under the running daemon: to SQLite an I/O error, so it must end with 74 and start again."""

    name = "limit"

    async def round(self, stage: Stage, number: int) -> None:
        """Set the limit just above what is there; start again when it has struck."""
        chance = stage.random
        await stage.spend(chance.uniform(0.1, 1.0))
        daemon = stage.must_live()
        spool = stage.instance.path / "spool"
        most = max(path.stat().st_size for path in spool.iterdir() if path.name.startswith("spool.db"))
        resource.prlimit(
            daemon.pid, resource.RLIMIT_FSIZE, (most + chance.randint(0, 256 << 10), resource.RLIM_INFINITY)
        )
        await end(stage, daemon, "the limit")
        await stage.start()


class Errors(Discipline):
    """libfiu: a share of all pwrite or fdatasync fails with EIO."""

    name = "errors"
    needs = ("fiu-utils",)

    async def begin(self, stage: Stage) -> None:
        """Nothing runs between two rounds; the first start is a whole one, so that there is something to lose."""
        await stage.start()
        await stage.spend(0.5)
        await stage.stop()

    async def round(self, stage: Stage, number: int) -> None:
        """A life with errors until one of them ends it."""
        chance = stage.random
        what = "rw/pwrite" if number % 2 else "sync/fdatasync"
        share = chance.choice((0.002, 0.01, 0.02))
        daemon = stage.launch(
            {
                "LD_PRELOAD": " ".join(map(str, FIU)),
                "FIU_ENABLE": f"enable_random name=posix/io/{what},probability={share},failinfo=5\n",
            }
        )
        if await ready_or_dead(stage, daemon):
            await end(stage, daemon, what)
        else:
            _expect(stage, daemon, f"{what} at the start")

    async def finish(self, stage: Stage) -> None:
        """A last start, without errors."""
        await stage.start()


class ReadOnly(_Mounted):
    """An ext4 of its own that turns read-only under the daemon, as the kernel does after an error.

    It is frozen when the error comes, so that nothing is on its way to the disk. Without that fdatasync may answer 0
    for what went with the aborted journal (Linux 6.18: for a program of ten lines 3 times in 40), and a judge would
    hold against mgate what the kernel has said wrong.
    """

    name = "readonly"

    def mount(self, stage: Stage, spool: Path) -> None:
        """A file as a loop device."""
        image = stage.folder / "disk"
        with image.open("wb") as file:
            file.truncate(SIZE * MIB)
        run("mkfs.ext4", "-q", str(image))
        run("mount", "-o", LOOP, str(image), str(spool))

    async def round(self, stage: Stage, number: int) -> None:
        """Turn it read-only; nothing more may leave; mend it, and start again."""
        chance = stage.random
        await stage.spend(chance.uniform(0.3, 1.5))
        daemon = stage.must_live()
        _turn_read_only(self.folder)
        if await stage.until_dead(daemon, chance.uniform(1.0, 4.0)):
            _expect(stage, daemon, "read-only")
        else:
            stage.deeds["read-only: lived on"] += 1
            daemon.kill()
        _mend(stage.folder / "disk", self.folder)
        await stage.start()


async def end(stage: Stage, daemon: Running, what: str) -> None:
    """Let the daemon meet its error; one that has not met it in time is killed."""
    if await stage.until_dead(daemon, _LONGEST):
        _expect(stage, daemon, what)
    else:
        daemon.kill()
        stage.deeds[f"{what}: not met"] += 1


def _expect(stage: Stage, daemon: Running, what: str) -> None:
    if daemon.status == os.EX_IOERR:
        stage.deeds[f"{what}: ended with 74"] += 1
    else:
        stage.besides.append(f"{what}: mgated ended with status {daemon.status}, not 74")


def run(*command: str) -> None:
    """Run a program of the system; HouseError when it fails."""
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # with our own arguments
    if done.returncode:
        raise HouseError(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")


def _mend(image: Path, folder: Path) -> None:
    """Unmount, repair and mount again, as whoever is called at night would."""
    run("umount", str(folder))
    checked = subprocess.run(["e2fsck", "-fp", str(image)], capture_output=True, check=False)  # noqa: S603, S607
    if checked.returncode > 2:  # 1 and 2: it was mended (e2fsck(8))
        raise HouseError(f"e2fsck says {checked.returncode}: {checked.stdout.decode(errors='replace')[-500:]}")
    run("mount", "-o", LOOP, str(image), str(folder))


def _turn_read_only(folder: Path) -> None:
    """Have the kernel meet an error of this ext4, while nothing is under way on it."""
    device = folder.stat().st_dev
    fault = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
    place = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(place, FREEZE, 0)
        try:
            Path(f"/sys/fs/ext4/{fault}/trigger_fs_error").write_text("torture")
        finally:
            fcntl.ioctl(place, THAW, 0)
    finally:
        os.close(place)


def _fill(filler: Path, leave: int) -> None:
    """Fill the disk but for ``leave`` octets."""
    with filler.open("wb", buffering=0) as file:
        while True:
            stat = os.statvfs(filler.parent)
            room = stat.f_bavail * stat.f_frsize - leave
            if room < 4096:
                return
            try:
                file.write(_CHUNK[: min(room, len(_CHUNK))])
            except OSError:
                return
