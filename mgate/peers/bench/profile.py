"""Where the daemon's time goes: py-spy from outside where it is installed, else the daemon's own cProfile.

py-spy takes samples and slows nothing by much; cProfile counts every call and makes the row two or three times as slow,
so its shares count and the row's rates do not.
"""

import pstats
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mgate.peers.bench.stage import PROFILE, House

FIRST: Final = 10
_RATE: Final = 200
_WAIT: Final = 30.0


class Profiler:
    """Writes a file for each row into `folder`, and knows its first lines. `spy` is py-spy's path, None without it."""

    def __init__(self, folder: Path, spy: str | None = None) -> None:
        self._folder = folder
        self._spy = spy or _installed()

    def file(self, row: str) -> Path:
        """Where the profile of a row is written."""
        return self._folder / f"profile-{row}.txt"

    def environment(self, row: str) -> Mapping[str, str]:
        """What the daemon must be started with."""
        return {} if self._spy else {PROFILE: str(self._raw(row))}

    @contextmanager
    def looking(self, house: House, row: str) -> Iterator[None]:
        """Take samples as long as the block runs; nothing when the daemon profiles itself."""
        if self._spy is None:
            yield
            return
        raw = self._raw(row)
        command = [self._spy, "record", "--pid", str(house.daemon.pid), "--rate", str(_RATE), "--nonblocking"]
        command += ["--format", "raw", "--duration", "86400", "--output", str(raw)]
        with (house.folder / "py-spy.log").open("wb") as words:
            spy = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=words, stderr=words)  # noqa: S603  # py-spy
        try:
            yield
        finally:
            spy.send_signal(signal.SIGINT)
            spy.wait(_WAIT)

    def lines(self, row: str) -> tuple[str, ...]:
        """The first lines, written beside the raw file; none when nothing was recorded."""
        raw = self._raw(row)
        if not raw.exists():
            return ()
        every = samples(raw.read_text().splitlines()) if self._spy else _calls(raw)
        whole = sum(every.values())
        shares = [f"{100.0 * cost / whole:5.1f} %  {where}" for where, cost in every.most_common()]
        self.file(row).write_text("\n".join(shares) + "\n")
        return tuple(shares[:FIRST])

    def _raw(self, row: str) -> Path:
        return self._folder / f"profile-{row}.raw"


def samples(folded: Iterable[str]) -> Counter[str]:
    """Samples by the function that ran, from stacks `outer;...;inner count` (py-spy's raw format)."""
    counted: Counter[str] = Counter()
    for line in folded:
        stack, _, count = line.rpartition(" ")
        if stack and count.isdigit():
            counted[_without_line(stack.rpartition(";")[2])] += int(count)
    return counted


def _without_line(frame: str) -> str:
    """`name (file.py:12)` as `name (file.py)`: a share of a function, not of a line."""
    head, colon, number = frame.rpartition(":")
    return f"{head})" if colon and number.rstrip(")").isdigit() else frame


def _calls(raw: Path) -> Counter[str]:
    """Microseconds in each function itself, from a cProfile."""
    # What pstats keeps is not among its published names; the tuple is (calls, ..., own seconds, ...).
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, object]] = pstats.Stats(str(raw)).stats  # type: ignore[attr-defined]  # as said
    counted: Counter[str] = Counter()
    for (path, _, name), (_, _, own, _, _) in stats.items():
        counted[f"{name} ({Path(path).name})"] += int(own * 1e6)
    return counted


def _installed() -> str | None:
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")
