"""`history`: the rates of `batch` and `singles` with thirty days behind them."""

import subprocess
import sys
import time
from pathlib import Path
from shutil import disk_usage
from typing import Final

from mgate.peers.bench.backlog import START, rates, start
from mgate.peers.bench.figures import Asked, Figure, figure
from mgate.peers.bench.load import EVERY_CLASS
from mgate.peers.bench.rates import WINDOW, memory_figure
from mgate.peers.bench.row import Row, Said, Setting
from mgate.peers.bench.stage import Account, House
from mgate.peers.bench.watch import story
from mgate.peers.house import Asker, HouseError

DAYS: Final = 30
A_DAY: Final = 1_000_000
EACH: Final = 25e-6
"""Seconds that the making of one message takes, by two processes on two quiet cores."""
KEYS: Final = 20.0
"""Seconds that the keys of so many periods take, each on the disk before the next."""
OCTETS: Final = 750
"""That one message of history takes on the disk, at most; while it is made its references take some more."""
REMEMBERED: Final = 7
"""Days whose references are surely still known."""
LOOK: Final = 0.5
IDLE: Final = 0.1
REST: Final = 2.0
"""A daemon that has used less than a tenth of a core, as was seen every half second for two, has read all."""
_RETENTION: Final = '\n[retention]\notp = "40d"\n'  # by default the oldest day would go at once


def _history(setting: Setting) -> Said:
    messages, days = setting.count(A_DAY, 1_000), setting.days or DAYS
    free, needed = disk_usage(setting.folder).free, days * messages * OCTETS
    if free < needed:
        raise HouseError(f"{days} days of {messages:,} messages need {needed:,} octets of disk, {free:,} are free")
    with House(setting.folder / "house", Account(window=WINDOW)) as house:
        house.instance.settle(_RETENTION)
        setting.tell(f"{days} days of {messages:,} messages are to be made: {KEYS + days * messages * EACH:.0f} s")
        began = time.monotonic()
        generate(house.instance.path / "mgate.toml", days, messages)
        took = time.monotonic() - began
        octets = sum(file.stat().st_size for file in (house.instance.path / "spool" / "history").iterdir())
        setting.tell(f"{days} days of {messages:,} messages were made in {took:.0f} s")
        reading = read_in(house)
        setting.tell(f"all references were read in {reading:.0f} s; an orderly end keeps their filter")
        started = start(house)
        found = ask(house, messages, min(days, REMEMBERED))
        figures = [
            figure("until all references are read in, for the first time", reading, unit="s"),
            figure("first bind after a start", started, unit="s", asked=Asked("<", START)),
            *rates(setting, house, "", EVERY_CLASS),
            memory_figure(house.peak()),
            Figure("found by reference: slowest", (found,), "ms"),
            Figure("octets of history a message", (octets / (days * messages),)),
        ]
        house.stop_daemon()
        twice = story(house.ledger).repeats
    if twice:
        raise HouseError(f"{twice} texts came to the operator twice")
    return Said(tuple(figures), (f"{days} days of {messages:,} messages of every class.",), WINDOW)


def read_in(house: House) -> float:
    """Start the daemon, wait until it has nothing more to read, and end it in good order; how many seconds it read."""
    began = house.start_daemon()
    busy, before = time.time(), house.spent()
    while time.time() - busy < REST:
        time.sleep(LOOK)
        now = house.spent()
        if now - before > LOOK * IDLE:
            busy = time.time()
        before = now
    house.stop_daemon()
    return busy - began


def generate(config: Path, days: int, messages: int) -> None:
    """Make the history of an instance at rest; HouseError when that fails."""
    command = [sys.executable, "-m", "mgate.peers.bench.history", str(config), "--days", str(days)]
    done = subprocess.run([*command, "--messages", str(messages)], stdout=sys.stderr, check=False)  # noqa: S603  # ours
    if done.returncode:
        raise HouseError(f"the history was not made: status {done.returncode}")


def ask(house: House, messages: int, days: int) -> float:
    """Ask the daemon for messages of the days that it must remember; the slowest answer, milliseconds.

    Raises:
        HouseError: it does not know one, or not as delivered.
    """
    asker, slowest = Asker(house.socket), 0.0
    for day in range(1, days + 1):
        for number in (0, messages // 2, messages - 1):
            name = f"h{day:02d}-{number:07d}"
            began = time.monotonic()
            says = asker.ask(name)
            slowest = max(slowest, time.monotonic() - began)
            if [one.state for one in says] != ["delivered"]:
                raise HouseError(f"mgated does not know {name} of its history as delivered: {says}")
    asker.close()
    return slowest * 1000.0


ROWS: Final = (
    Row(
        "history",
        f"batch and singles with {DAYS} days of {A_DAY:,} messages each in history; start, memory, octets",
        _history,
        ("batch", "singles"),
        DAYS * A_DAY * EACH + KEYS + 60.0,
    ),
)
