"""`python -m mgate.peers.bench.history INSTANCE`: days of history, as the daemon would have left them.

It writes with the daemon's own writer, under the instance's own keys, while no daemon runs: every story can be found by
its reference and number and opened. It checks nothing, so what it shares with the daemon hides nothing; the row
`history` asks the daemon for some of them afterwards. Days are written by two processes, a batch at a time.
"""

import argparse
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from struct import Struct
from typing import Final

import msgspec
from rich.progress import Progress

from mgate.config import Config, read
from mgate.model.message import CLASS_BY_WORD, Fate, IdSource, State
from mgate.peers.bench.load import EVERY_CLASS
from mgate.policy.classes import RULES
from mgate.seal.keyfile import KeyFile
from mgate.seal.keyring import Cut, Group, Keyring
from mgate.seal.record import Place, Sealer
from mgate.seal.tags import Tags
from mgate.spool.history import HistoryWriter, SealedStory
from mgate.spool.sealing import HISTORY, STORY, Envelope
from mgate.spool.story import AttemptStory, EventStory, PartStory, Story

DAY: Final = 86_400
CLIENT: Final = "local"
PROCESSES: Final = 2
_BATCH: Final = 5_000
_MARKED: Final = 9_090_909
_SEQUENCES: Final = 1 << 40
_EIGHT: Final = Struct(">8Q").pack
_EVENTS: Final = ("accepted", "sent", "delivered")
_GROUPS: Final = {"otp": Cut.HOUR, "notice": Cut.DAY, "marketing": Cut.DAY}


def ref(day: int, number: int) -> str:
    """The reference of a message: `day` counts back from yesterday, 1."""
    return f"h{day:02d}-{number:07d}"


class Mould:
    """The encoded story of one class, in which only numbers differ: filled in, not encoded, thirty million times."""

    def __init__(self, word: str, day: int, route: str) -> None:
        self.traffic = CLASS_BY_WORD[word]
        self.rules = RULES[self.traffic]
        # Numbers of eight octets in MessagePack, as all that take their places are.
        message, created, expires, answered, ended, *sequences = (0x7B7B_0000_0000_0000 + n for n in range(8))
        name = ref(day, _MARKED)
        text = "" if self.rules.erase_text else f"Code 482913 for {name} at Example Bank. Tell it to nobody."
        envelope = Envelope("+37529111####", "Example", name, "", "", (), b"", 0.0, 1000)
        attempt = AttemptStory(
            1, 1, route, 0, Fate.DELIVERED, created, answered, ended, "", repeat=False, operator_id="#" * 16
        )  # fmt: skip
        events = tuple(
            EventStory(sequence, kind, "", at, kind != "accepted")
            for sequence, kind, at in zip(sequences, _EVENTS, (created, answered, ended), strict=True)
        )
        part = PartStory(State.DELIVERED, "", created, may_have_left=True)
        story = Story(message, CLIENT, self.traffic, created, expires, envelope, text, (part,), (attempt,), events)
        numbers = (message, created, expires, answered, ended, *sequences)
        marks = [number.to_bytes(8, "big") for number in numbers]
        marks += [b"%07d" % _MARKED, b"#" * 16, b"####"]
        pieces = re.split(b"(" + b"|".join(map(re.escape, marks)) + b")", msgspec.msgpack.encode(story))
        self._fixed = b"%b".join(piece.replace(b"%", b"%%") for piece in pieces[::2])
        self._order = itemgetter(*(marks.index(mark) for mark in pieces[1::2]))

    def fill(self, number: int, message: int, created: int) -> bytes:
        """The story of message `number` of the day, made at `created`, milliseconds."""
        sequence = _SEQUENCES + number * 3
        numbers = (message, created, created + int(self.rules.life * 1000), created + 50, created + 200)
        packed = _EIGHT(*numbers, sequence, sequence + 1, sequence + 2)
        values = [packed[at : at + 8] for at in range(0, 64, 8)]
        values += (b"%07d" % number, b"%016x" % message, b"%04d" % (number % 10_000))
        filled: bytes = self._fixed % self._order(values)
        return filled


class DayMaker:
    """Makes the stories of one instance, sealed."""

    def __init__(self, config: Config, route: str) -> None:
        self._keyring = Keyring.open(config.keys.ring, KeyFile(config.keys.kek_file).read())
        self._sealer = Sealer(self._keyring, self._keyring.database)
        self._tags = Tags(self._keyring)
        self._route = route

    def stories(self, day: int, midnight: int, messages: int) -> Iterator[SealedStory]:
        """`messages` stories, evenly over the day that began at `midnight`, seconds since 1970."""
        ids = IdSource()
        step = DAY * 1000 / messages
        moulds = [Mould(word, day, self._route) for word in EVERY_CLASS]
        for number in range(messages):
            created = midnight * 1000 + int(number * step)
            yield self._story(moulds[number % len(moulds)], ref(day, number), number, ids.take(created, 1), created)

    def _story(self, mould: Mould, name: str, number: int, message: int, created: int) -> SealedStory:
        rules, tags = mould.rules, self._tags
        expires = created + int(rules.life * 1000)
        period = self._keyring.period_at(rules.group, created / 1000).number
        place = Place(HISTORY, STORY, message, period, mould.traffic, expires // 1000, created // 1000)
        return SealedStory(
            message, 1, CLIENT, mould.traffic, State.DELIVERED, created, expires, created + 200, period,
            tags.ref_tag(CLIENT, name), tags.content_tag(CLIENT, name.encode()),
            tags.phone_tag(period, f"+37529111{number % 10_000:04d}"),
            self._sealer.seal(place, mould.fill(number, message, created)), _SEQUENCES + number * 3 + 2,
        )  # fmt: skip


def prepare(config: Config, first: int, last: int) -> None:
    """Have the keyring hold every period of the days from `first` to before `last`, seconds since 1970."""
    keyring = Keyring.open(config.keys.ring, KeyFile(config.keys.kek_file).read())
    kept = config.retention
    for group, retention in (("otp", kept.otp), ("notice", kept.notice), ("marketing", kept.marketing)):
        cut = _GROUPS[group]
        for moment in range(first, last, cut):
            keyring.prepare((Group(group, cut, int(retention)),), float(moment))


def write_day(file: Path, route: str, day: int, midnight: int, messages: int) -> int:
    """Write one day; how many messages. Runs in a process of its own."""
    config = read(file)
    writer = HistoryWriter(config.spool.history)
    try:
        batch: list[SealedStory] = []
        for story in DayMaker(config, route).stories(day, midnight, messages):
            batch.append(story)
            if len(batch) == _BATCH:
                writer.put(batch, story.ended)
                batch.clear()
        if batch:
            writer.put(batch, batch[-1].ended)
    finally:
        writer.close()
    return messages


def write(file: Path, days: int, messages: int, now: float, processes: int = PROCESSES) -> None:
    """Give an instance that is at rest so many days of so many messages, up to the last midnight (UTC)."""
    config = read(file)
    today = int(now // DAY) * DAY
    config.spool.history.mkdir(parents=True, exist_ok=True)
    prepare(config, today - days * DAY, today)
    route = config.sms[0].route
    with Progress() as progress, ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        task = progress.add_task("history", total=days * messages)
        jobs = [pool.submit(write_day, file, route, day, today - day * DAY, messages) for day in range(days, 0, -1)]
        for done in as_completed(jobs):
            progress.advance(task, done.result())
    writer = HistoryWriter(config.spool.history)
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
