"""A drop folder on a disk of its own, an acceptor in memory, and hands that do everything at once."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest

from mgate.intake.client import PushClient
from mgate.intake.codes import Code, refusal
from mgate.intake.drops.blocks import Limits
from mgate.intake.drops.book import Book
from mgate.intake.drops.course import Around, Course, Ended, Takes
from mgate.intake.drops.folder import Folder
from mgate.intake.drops.hands import Hands
from mgate.intake.drops.rules import RowRules
from mgate.intake.normal import Normaliser
from mgate.model.entry import Submission
from mgate.model.message import MessageId, State, TrafficClass
from mgate.model.ports import Answer, Taken

NOW = 1_800_000_000.0
HEADER = "ref,to,text\n"

_P = ParamSpec("_P")
_T = TypeVar("_T")


class NowHands(Hands):
    """Everything is done where it is asked for, and no time passes but that which is slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return sum(self.slept)

    async def away(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return work(*args, **kwargs)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Shelf:
    """An acceptor that keeps in memory and answers at once; it refuses the first ``full`` calls for now."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[bytes, Taken]] = {}
        self.order: list[str] = []
        self.full = 0

    def accept(self, submissions: Sequence[Submission], answer: Callable[[Sequence[Answer]], None]) -> None:
        if self.full:
            self.full -= 1
            answer([refusal(Code.NOT_KEPT, retry_after=5)] * len(submissions))
        else:
            answer([self._one(one) for one in submissions])

    def _one(self, asked: Submission) -> Answer:
        if asked.ref not in self.known:
            taken = Taken(MessageId((1 << 60) + len(self.known) * 256), 1, False, State.READY)
            self.known[asked.ref] = asked.canonical, taken
            self.order.append(asked.ref)
            return taken
        content, first = self.known[asked.ref]
        if content != asked.canonical:
            return refusal(Code.REF_CONFLICT, "ref")
        return Taken(first.message, 1, True, State.SENT)


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """The answer of something that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as over:
        found: _T = over.value
        return found
    raise AssertionError("it waits for something")


class Job:
    """The bank's batch job, and mgate's side of its folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = Folder(path)
        self.folder.open()
        self.book = Book(path / "work" / "book.db")
        self.hands = NowHands()
        self.shelf = Shelf()
        self.counted = [0, 0, 0]
        self.gate: Callable[[], None] = lambda: None
        client = PushClient("payroll", frozenset(TrafficClass), default_sender="EXBANK", default_country="BY")
        rules = RowRules(client, TrafficClass.SERVICE, Normaliser("BY"))
        self.takes = Takes(rules, Limits(1000, 1 << 20, 100), "auto", "auto", "auto", (), "", whole=True)

    def put(self, name: str, content: str | bytes, ending: str = "csv", **manifest: Any) -> None:
        """Put a file and its manifest, by rename, as the page for programmers says."""
        octets = content.encode() if isinstance(content, str) else content
        file = f"{name}.{ending}"
        (self.path / "in" / file).write_bytes(octets)
        rows = len(octets.splitlines()) - ("csv" in ending)
        said = {"file": file, "rows": rows, "sha256": hashlib.sha256(octets).hexdigest(), **manifest}
        self.manifest(name, json.dumps(said).encode())

    def manifest(self, name: str, octets: bytes) -> None:
        part = self.path / "in" / f".{name}.part"
        part.write_bytes(octets)
        part.rename(self.path / "in" / f"{name}.manifest.json")

    def around(self) -> Around:
        return Around(
            self.folder, self.book, self.hands, self.takes, self.shelf, lambda: NOW, lambda: self.gate(),
            self._count, b"k" * 16,
        )  # fmt: skip

    def take(self, name: str) -> Ended:
        """Claim a file and take it to its end."""
        self.folder.claim(name)
        return run(Course(self.around(), name).run(fresh=True))

    def go_on(self, name: str) -> Ended:
        """What the next start does with a file that was left in work."""
        return run(Course(self.around(), name).run(fresh=False))

    def lines(self, place: str, name: str, kind: str = "result", form: str = "csv") -> list[str]:
        return (self.path / place / f"{name}.{kind}.{form}").read_text().splitlines()

    def names(self, place: str) -> list[str]:
        return sorted(each.name for each in (self.path / place).iterdir() if not each.name.startswith("book.db"))

    def _count(self, accepted: Counter[TrafficClass], known: int, refused: int) -> None:
        news = accepted.total(), known, refused
        self.counted = [has + more for has, more in zip(self.counted, news, strict=True)]


def csv_of(count: int, first: int = 0) -> str:
    """A file of so many good rows."""
    rows = (f"r{n},+37529{1_110_001 + n},Hello {n}\n" for n in range(first, first + count))
    return HEADER + "".join(rows)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "drop")
