"""A bank's database in memory, a spool that commits when it is told to, and a poller between them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from mgate.intake.client import PushClient
from mgate.intake.codes import Code, refusal
from mgate.intake.line import Line
from mgate.intake.normal import Normaliser
from mgate.intake.polling import Pace, Poller
from mgate.intake.rows import RowRules
from mgate.intake.taking import Taking
from mgate.intake.unread import UnreadRows
from mgate.model.entry import Submission
from mgate.model.message import MessageId, Secret, State, TrafficClass, show_id
from mgate.model.ports import Answer, NoAnswer, Taken
from mgate.model.source import Row, SourceError
from mgate.model.view import AttemptView, EventView, MessageView
from mgate.telemetry import Telemetry
from tests.conformance.memory_source import MemorySource

NOW = 1_800_000_000.0
NUMBER = "+375291110001"
CLIENT = PushClient("core", frozenset(TrafficClass), default_sender="EXBANK")


def a_row(key: object, **fields: object) -> Row:
    whole: dict[str, object] = {"to": NUMBER, "text": Secret("Code 482913"), **fields}
    return Row(key=str(key), **whole)  # type: ignore[arg-type]  # the fields of Row


@dataclass
class Spool:
    """An acceptor and a desk. ``delay``: seconds of a commit; ``room``: messages that find room; ``doubt``: the desk
    cannot answer; ``words``: what becomes of a wish to cancel, by reference."""

    delay: float = 0.01
    room: float = float("inf")
    doubt: bool = False
    words: dict[str, str] = field(default_factory=dict)
    kept: dict[str, Submission] = field(default_factory=dict)
    runs: list[list[str]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    broken: str = ""
    events: dict[str, EventView] = field(default_factory=dict)

    def accept(self, submissions: Sequence[Submission], answer: Callable[[Sequence[Answer]], None]) -> None:
        refs = [submission.ref for submission in submissions]
        if self.broken in refs:
            raise ZeroDivisionError
        self.runs.append(refs)
        asyncio.get_running_loop().call_later(
            self.delay, lambda: answer([self._keep(submission) for submission in submissions])
        )

    def _keep(self, submission: Submission) -> Answer:
        before = self.kept.get(submission.ref)
        if before is None and len(self.kept) >= self.room:
            return refusal(Code.NOT_KEPT, "", "the disk of the spool is nearly full", 5)
        if before is not None and before.canonical != submission.canonical:
            return refusal(Code.REF_CONFLICT, "ref")
        self.kept.setdefault(submission.ref, submission)
        return Taken(self._id(submission.ref), 1, before is not None, State.READY)

    def known(
        self, client: str, refs: Sequence[str], answer: Callable[[Mapping[str, MessageId] | NoAnswer], None]
    ) -> None:
        answer(NoAnswer.LATER if self.doubt else {ref: self._id(ref) for ref in refs if ref in self.kept})

    def by_ref(self, client: str, ref: str, answer: Callable[[Sequence[MessageView] | NoAnswer], None]) -> None:
        if self.doubt:
            answer(NoAnswer.LATER)
            return
        found = [self._view(ref)] if ref in self.kept else []
        answer(found)

    def cancel(self, client: str, message: MessageId, answer: Callable[[str], None]) -> None:
        ref = next(ref for ref in self.kept if self._id(ref) == message)
        word = self.words.get(ref, "cancelled")
        if word == "cancelled":
            self.cancelled.append(ref)
        answer(word)

    def _id(self, ref: str) -> MessageId:
        return MessageId((1 << 60) + list(self.kept).index(ref) * 256)

    def _view(self, ref: str) -> MessageView:
        return MessageView(
            id=show_id(self._id(ref)), ref=ref, client="core", traffic="otp", to="+37529*****01", sender="EXBANK",
            state="ready", reason="", parts=1, accepted_at="", not_before="", expires_at="", ended_at="",
            may_have_been_sent=False, in_history=False, tags=(), part_states=(),
            attempts=(AttemptView(1, 1, "sms:op-a", 0, "delivered", ""),),
            events=(self.events[ref],) if ref in self.events else (),
        )  # fmt: skip


@dataclass
class Heard:
    """What was told, in order."""

    said: list[str] = field(default_factory=list)

    def failed(self, source: str, error: SourceError) -> None:
        self.said.append(f"failed {error.reason}")

    def well(self, source: str, seconds: float) -> None:
        self.said.append(f"well after {seconds:.0f}")

    def held(self, source: str, why: str) -> None:
        self.said.append("held")

    def goes_on(self, source: str, seconds: float) -> None:
        self.said.append("goes on")

    def stuck(self, source: str, key: str, error: SourceError) -> None:
        self.said.append(f"stuck {key}")

    def bug(self, source: str, error: Exception) -> None:
        self.said.append(f"bug {type(error).__name__}")


class Bank:
    """Everything around one poller; made inside a running loop."""

    def __init__(
        self, batch: int = 100, poll: float = 1.0, announces: bool = False, source: MemorySource | None = None,
        client: PushClient = CLIENT,
    ) -> None:  # fmt: skip
        self.source = source or MemorySource(announces)
        self.spool = Spool()
        self.heard = Heard()
        self.unread = UnreadRows()
        self.why_not = ""
        self.telemetry = Telemetry("0", {}, ())
        self.numbers = self.telemetry.source_of("core")
        self.loop = asyncio.get_running_loop()
        rules = RowRules(client, TrafficClass.SERVICE, Normaliser("BY"))
        taking = Taking(rules, self.spool, self.spool, self.wall, self.unread, self.telemetry.push.accepted)
        pace = Pace(batch, poll)
        self.poller = Poller(
            "core", Line(self.source), taking, pace, lambda: self.why_not, lambda: 0.5, self.numbers, self.heard
        )
        self.task: asyncio.Task[None] | None = None

    def wall(self) -> float:
        return NOW + self.loop.time()

    async def __aenter__(self) -> Self:
        self.task = asyncio.ensure_future(self.poller.run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.task is not None
        self.poller.finish()
        await asyncio.wait({self.task}, timeout=100.0)
        if not self.task.done():
            self.task.cancel()
        await asyncio.wait({self.task})
        if not self.task.cancelled():
            self.task.result()

    def counts(self) -> Counter[str]:
        return Counter(self.source.statuses().values())

    def result(self, key: object) -> tuple[str, str]:
        """State and reason that the bank was told of a row."""
        found = self.source.results[str(key), ""]
        return found.state, found.reason
