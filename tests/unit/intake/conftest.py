"""A push socket on strings, with an acceptor that answers when it is told and a desk of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
from twisted.internet.task import Clock

from mgate.intake.client import PushClient
from mgate.intake.codes import BY_WORD, Code, refusal
from mgate.intake.gathering import Gathering
from mgate.intake.push import PushApi
from mgate.model.entry import Submission
from mgate.model.message import MessageId, State, TrafficClass, show_id
from mgate.model.ports import Answer, Refusal, Taken
from mgate.model.view import MessageView
from mgate.net.bounds import Limits
from mgate.telemetry import Telemetry
from tests.unit.net.conftest import Client, House

NOW = 1_800_000_000.0
LOCAL = PushClient("local", frozenset(TrafficClass), default_sender="EXBANK", default_country="BY")

Waiting = tuple[Sequence[Submission], Callable[[Sequence[Answer]], None]]


class LaterAcceptor:
    """Keeps in memory; answers a call when ``commit`` is told to, whichever comes first."""

    def __init__(self) -> None:
        self.waiting: list[Waiting] = []
        self.calls: list[int] = []
        self.known: dict[tuple[str, str], tuple[bytes, Taken]] = {}
        self.at_once = False
        self.full = False

    def accept(self, submissions: Sequence[Submission], answer: Callable[[Sequence[Answer]], None]) -> None:
        self.waiting.append((submissions, answer))
        self.calls.append(len(submissions))
        if self.at_once:
            self.commit()

    def commit(self, index: int = 0) -> None:
        submissions, answer = self.waiting.pop(index)
        answer([self._one(submission) for submission in submissions])

    def commit_all(self) -> None:
        while self.waiting:
            self.commit()

    def _one(self, asked: Submission) -> Answer:
        if self.full:
            return refusal(Code.NOT_KEPT, retry_after=5)
        key = asked.client, asked.ref
        if key not in self.known:
            taken = Taken(MessageId((1 << 60) + len(self.known) * 256), 1, False, State.READY)
            self.known[key] = asked.canonical, taken
            return taken
        content, first = self.known[key]
        if content != asked.canonical:
            return refusal(Code.REF_CONFLICT, "ref")
        return Taken(first.message, first.parts, True, State.SENT)


class OneMessageDesk:
    """Knows one message of the client ``local``; says of others what it is told to."""

    def __init__(self) -> None:
        self.message = MessageId(1 << 60)
        self.word = "cancelled"

    @property
    def view(self) -> MessageView:
        return MessageView(
            id=show_id(self.message), ref="r1", client="local", traffic="otp", to="+37529*****01", sender="EXBANK",
            state="ready", reason="", parts=1, accepted_at="2027-01-15T08:00:00.000Z", not_before="",
            expires_at="2027-01-15T08:03:00.000Z", ended_at="", may_have_been_sent=False, in_history=False, tags=(),
            part_states=(), attempts=(), events=(),
        )  # fmt: skip

    def show(self, client: str, message: MessageId, answer: Callable[[MessageView | None], None]) -> None:
        answer(self.view if (client, message) == ("local", self.message) else None)

    def by_ref(self, client: str, ref: str, answer: Callable[[Sequence[MessageView]], None]) -> None:
        answer([self.view] if (client, ref) == ("local", "r1") else [])

    def by_number(self, number: str, limit: int, answer: Callable[[Sequence[MessageView]], None]) -> None:
        raise AssertionError("a client may not search by number")

    def cancel(self, client: str, message: MessageId, answer: Callable[[str], None]) -> None:
        answer(self.word if (client, message) == ("local", self.message) else "unknown")


@dataclass
class Socket:
    """One client's push socket and everything behind it."""

    api: PushApi
    house: House
    acceptor: LaterAcceptor
    desk: OneMessageDesk
    telemetry: Telemetry

    def connect(self) -> Client:
        return self.house.connect()

    def turn(self) -> None:
        """The reactor's turn ends."""
        self.house.clock.advance(0)


class AsTheyAre:
    """Texts that nothing is done to."""

    def table(self, traffic: TrafficClass) -> str:
        return ""

    def text_refusal(self, traffic: TrafficClass, text: str) -> Refusal | None:
        return None


@pytest.fixture
def build_socket() -> Callable[..., Socket]:
    return build


def build(client: PushClient = LOCAL, limits: Limits | None = None, **changes: object) -> Socket:
    acceptor, desk, clock = LaterAcceptor(), OneMessageDesk(), Clock()
    telemetry = Telemetry("0", {}, BY_WORD)
    gathering = Gathering(acceptor, lambda act: clock.callLater(0, act))
    rules = replace(client, **changes)  # type: ignore[arg-type]  # the fields of PushClient
    wall = lambda: NOW + clock.seconds()  # noqa: E731
    api = PushApi(rules, acceptor, gathering, desk, clock, wall, telemetry.push, AsTheyAre())
    house = House(api.routes(), limits or Limits(), None, None, clock)
    return Socket(api, house, acceptor, desk, telemetry)


@pytest.fixture
def socket() -> Socket:
    return build()


def message(ref: object = "r1", **fields: object) -> bytes:
    """One message as a client sends it; a field given as None is left out."""
    whole = {"ref": ref, "to": "+375291110001", "class": "otp", "text": "Code 482913", **fields}
    return json.dumps({key: value for key, value in whole.items() if value is not None}).encode()


def refused(answer: object) -> tuple[str, str]:
    """Code and field of a refusal."""
    assert isinstance(answer, Refusal), answer
    return answer.code, answer.field
