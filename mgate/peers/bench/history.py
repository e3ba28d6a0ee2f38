"""`python -m mgate.peers.bench.history INSTANCE`: days of history, as the daemon would have left them.

It seals with the daemon's own front and writes with its own writer, under the instance's own keys, while no daemon
runs: every story can be found by its reference and number and opened. It checks nothing, so what it shares with the
daemon hides nothing; the row `history` asks the daemon for some of them afterwards. Two processes write a day each.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Final

from rich.progress import Progress

from mgate.config import Config, read
from mgate.model.address import Msisdn
from mgate.model.entry import Submission
from mgate.model.message import CLASS_BY_WORD, Fate, IdSource, Outgoing, Secret, State, TrafficClass
from mgate.model.outcome import Accepted
from mgate.peers.bench.load import EVERY_CLASS
from mgate.policy.classes import RULES
from mgate.seal.keyfile import KeyFile
from mgate.seal.keyring import Cut, Group, Keyring
from mgate.seal.record import Sealer
from mgate.seal.tags import Tags
from mgate.spool.engine import Ending
from mgate.spool.history import HistoryWriter
from mgate.spool.rows import Attempt, JournalRow, Row
from mgate.spool.sealing import Blocks, Sealing
from mgate.spool.story import ending_of

DAY: Final = 86_400
CLIENT: Final = "local"
PROCESSES: Final = 2
ANSWERED: Final = 50
HEARD: Final = 200
"""Milliseconds from acceptance to the operator's answer and to the receipt."""

_TIMER: Final = 60_000  # how long after its end a store rings again for a message, milliseconds
_BATCH: Final = 5_000
_LOOK: Final = 1.0
_SEQUENCES: Final = 1 << 40
_CUTS: Final = {"otp": Cut.HOUR, "notice": Cut.DAY, "marketing": Cut.DAY}
_TURN: Final = tuple(CLASS_BY_WORD[word] for word in EVERY_CLASS)


def ref(day: int, number: int) -> str:
    """The reference of a message: `day` counts back from yesterday, 1."""
    return f"h{day:02d}-{number:07d}"


class DayMaker:
    """Makes the endings of one instance: messages that were accepted, sent and delivered at once."""

    def __init__(self, config: Config, route: str) -> None:
        keyring = Keyring.open(config.keys.ring, KeyFile(config.keys.kek_file).read())
        sealer = Sealer(keyring, keyring.database)
        self.box = Blocks(sealer)
        self._sealing = Sealing(keyring, sealer, Tags(keyring), IdSource(), str.lower)
        self._route = route

    def endings(self, day: int, midnight: int, messages: int) -> Iterator[Ending]:
        """`messages` endings, evenly over the day that began at `midnight`, seconds since 1970."""
        step = DAY * 1000 / messages
        turn, begin, ending = len(_TURN), midnight * 1000, self.ending
        for number in range(messages):
            yield ending(_TURN[number % turn], ref(day, number), number, begin + int(number * step))

    def ending(self, traffic: TrafficClass, name: str, number: int, created: int) -> Ending:
        """The message `number` of its day, accepted at `created`, milliseconds."""
        to, text = f"+37529111{number % 10_000:04d}", f"Code 482913 for {name} at Example Bank. Tell it to nobody."
        expires = created / 1000 + RULES[traffic].life
        asked = Submission(
            CLIENT, name, Msisdn(to), traffic, Secret(text), "Example", expires, 0.0, "", (), b"", text.encode(), 1000
        )
        new = self._sealing.message(asked, self._route, 1, (), created / 1000)
        reference = number & 0xFFFF
        out = Outgoing(
            new.id, 1, 0, reference, 1, 1, to, "Example", asked.text, expires, traffic, self._route, new.period, created
        )
        end = self._sealing.end(out, Accepted(f"{new.id:016x}"))
        answered, heard, sequence = created + ANSWERED, created + HEARD, _SEQUENCES + number * 3
        attempt = Attempt(
            1, self._route, 0, reference, created, Fate.DELIVERED, answered, heard, "", False, end.operator_tag,
            end.operator_id, number + 1,
        )  # fmt: skip
        row = Row(
            new.id, 1, 1, CLIENT, traffic, self._route, State.DELIVERED, created, created, new.expires, heard,
            new.period, new.phone_tag, 1, tries=[attempt], timer=heard + _TIMER,
        )  # fmt: skip
        row.events = [
            JournalRow(sequence, "accepted", "", created, False),
            JournalRow(sequence + 1, "sent", "", answered, True),
            JournalRow(sequence + 2, "delivered", "", heard, True),
        ]
        return ending_of(new, [row])


def prepare(config: Config, first: int, last: int) -> None:
    """Have the keyring hold every period of the days from `first` to before `last`, seconds since 1970."""
    keyring = Keyring.open(config.keys.ring, KeyFile(config.keys.kek_file).read())
    kept = config.retention
    spans = {"otp": kept.otp, "notice": kept.notice, "marketing": kept.marketing}
    groups = tuple(Group(name, cut, int(spans[name])) for name, cut in _CUTS.items())
    for moment in range(first, last, min(_CUTS.values())):
        keyring.prepare(groups, float(moment))


def write_day(
    file: Path, route: str, day: int, midnight: int, messages: int, told: Callable[[int], None] = lambda _: None
) -> None:
    """Write one day; `told` hears of every batch that is on the disk."""
    config = read(file)
    maker = DayMaker(config, route)
    writer = HistoryWriter(config.spool.history, maker.box)
    last = (midnight + DAY) * 1000 - 1  # the next day's references are another process's file
    try:
        endings = maker.endings(day, midnight, messages)
        while batch := list(islice(endings, _BATCH)):
            writer.put(batch, min(batch[-1].ended, last))
            told(len(batch))
    finally:
        writer.close()


_made: "Synchronized[int]"


def _share(made: "Synchronized[int]") -> None:
    global _made  # noqa: PLW0603  # the one way to give a pool's process what it inherits
    _made = made


def _count(messages: int) -> None:
    with _made.get_lock():
        _made.value += messages


def _day(file: Path, route: str, day: int, midnight: int, messages: int) -> None:
    write_day(file, route, day, midnight, messages, _count)


def write(file: Path, days: int, messages: int, now: float, processes: int = PROCESSES) -> None:
    """Give an instance that is at rest so many days of so many messages, up to the last midnight (UTC)."""
    config = read(file)
    today = int(now // DAY) * DAY
    config.spool.history.mkdir(parents=True, exist_ok=True)
    prepare(config, today - days * DAY, today)
    route = config.sms[0].route
    context = get_context("spawn")
    made: Synchronized[int] = context.Value("q", 0)
    with Progress() as progress, ProcessPoolExecutor(processes, context, _share, (made,)) as pool:
        bar = progress.add_task("history", total=days * messages)
        jobs = [pool.submit(_day, file, route, day, today - day * DAY, messages) for day in range(days, 0, -1)]
        undone = set(jobs)
        while undone:
            undone = wait(undone, _LOOK).not_done
            progress.update(bar, completed=made.value)
        for job in jobs:
            job.result()
    writer = HistoryWriter(config.spool.history, DayMaker(config, route).box)
    writer.drop_refs_before((today - config.spool.reference_days * DAY) * 1000)
    writer.close()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Give an instance days of history.")
    parser.add_argument("config", type=Path, help="its mgate.toml")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--messages", type=int, default=1_000_000, help="a day")
    given = parser.parse_args()
    write(given.config.absolute(), given.days, given.messages, time.time())
    return 0


if __name__ == "__main__":
    sys.exit(main())
