"""Acceptance: seal, ask for a slot, spool, and only then answer.

A crash before the commit: the bank has no answer and repeats. After it: the repeat is recognised. A new message that
finds a free slot and nobody waiting is leased in the very commit that takes it, so the common case costs no second one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from mgate.intake.codes import Code, refusal
from mgate.model.entry import Submission
from mgate.model.message import MAX_PARTS, MessageId, Outgoing, State, TrafficClass
from mgate.model.ports import Admission, Answer, Refusal, Slot, Taken
from mgate.model.ready import Header
from mgate.policy.classes import URGENT
from mgate.policy.segments import count
from mgate.spool.front import AcceptAnswer
from mgate.spool.sealing import Sealing
from mgate.spool.verbs import Clash, Kept, NewMessage, NotKept

_RETRY: Final = 5
"""Seconds after which a push that found no room should come again."""


class Spool(Protocol):
    """The spool, as far as acceptance needs it."""

    @property
    def run(self) -> int:
        """How many messages a call may have now."""

    def accept(self, messages: Sequence[NewMessage], done: Callable[[AcceptAnswer], None], *, urgent: bool) -> None:
        """Keep these messages; ``done`` after the commit."""


class Acceptance:
    """The front door: an ``Acceptor``.

    Args:
        wall: seconds since 1970.
        why_not: why no new message may come in now, such as a disk that is nearly full; empty when it may.
    """

    def __init__(
        self,
        spool: Spool,
        sealing: Sealing,
        admission: Admission,
        wall: Callable[[], float],
        why_not: Callable[[], str],
    ) -> None:
        self._spool = spool
        self._sealing = sealing
        self._admission = admission
        self._wall = wall
        self._why_not = why_not

    def accept(self, submissions: Sequence[Submission], answer: Callable[[Sequence[Answer]], None]) -> None:
        """See ``model.ports.Acceptor``."""
        why_not = self._why_not()
        if why_not:
            answer([_no_room(why_not)] * len(submissions))
            return
        run = self._spool.run
        if len(submissions) <= run:
            self._accept_run(submissions, answer)
        else:
            self._accept_runs([submissions[start : start + run] for start in range(0, len(submissions), run)], answer)

    def _accept_runs(self, runs: Sequence[Sequence[Submission]], answer: Callable[[Sequence[Answer]], None]) -> None:
        answers: list[Sequence[Answer]] = [()] * len(runs)
        missing = len(runs)

        def one(index: int, of_run: Sequence[Answer]) -> None:
            nonlocal missing
            answers[index] = of_run
            missing -= 1
            if not missing:
                answer([one for run in answers for one in run])

        for index, run in enumerate(runs):
            self._accept_run(run, lambda of_run, index=index: one(index, of_run))  # type: ignore[misc]  # bound now

    def _accept_run(self, run: Sequence[Submission], answer: Callable[[Sequence[Answer]], None]) -> None:
        now = self._wall()
        messages: list[NewMessage] = []
        asked: list[Submission] = []
        refused: list[tuple[int, Refusal]] = []
        for place, submission in enumerate(run):
            sealed = self._seal(submission, now)
            if isinstance(sealed, NewMessage):
                messages.append(sealed)
                asked.append(submission)
            else:
                refused.append((place, sealed))

        def kept(result: AcceptAnswer) -> None:
            answers = self._settle(messages, asked, result, now)
            for place, one in refused:
                answers.insert(place, one)
            answer(answers)

        if messages:
            self._spool.accept(messages, kept, urgent=any(submission.traffic in URGENT for submission in asked))
        else:
            answer([one for _, one in refused])

    def _seal(self, asked: Submission, now: float) -> NewMessage | Refusal:
        parts = count(asked.text.reveal())
        if parts > MAX_PARTS:
            return refusal(Code.TOO_LONG, "text", f"the text needs {parts} parts, and {MAX_PARTS} is the most")
        route = self._admission.route_for(asked)
        if not route:
            return refusal(Code.NO_ROUTE, "sender", f"no account may send a {asked.traffic.word} of {asked.sender}")
        slots: tuple[Slot, ...] = ()
        if asked.not_before <= now:
            slots = self._admission.offer(route, asked.traffic, asked.client, parts)
        return self._sealing.message(asked, route, parts, slots, now)

    def _settle(
        self, messages: Sequence[NewMessage], asked: Sequence[Submission], result: AcceptAnswer, now: float
    ) -> list[Answer]:
        """After the commit: leased parts go to the wire, unused slots go back, and the bank gets its answers.

        ``now`` is the moment at which slots were asked for.
        """
        slots: list[tuple[Slot, Outgoing | None]] = []
        answers: list[Answer] = []
        waits: dict[tuple[str, TrafficClass], _Waits] = {}
        results = [result] * len(messages) if isinstance(result, NotKept) else result
        for message, submission, one in zip(messages, asked, results, strict=True):
            answers.append(_answer(one))
            if isinstance(one, Kept) and one.leased:
                slots += _outgoing(message, submission)
                continue
            if message.slots:
                slots += [(slot, None) for slot in message.slots]
            refused = not message.slots and submission.not_before <= now
            kept = isinstance(one, Kept) and not one.duplicate
            if refused or kept:
                key = message.route, message.traffic
                (waits.get(key) or waits.setdefault(key, _Waits())).add(message, refused, kept)
        for (route, traffic), waiting in waits.items():
            self._admission.waits(route, traffic, waiting.refused, waiting.headers, waiting.later)
        if slots:
            self._admission.settle(slots)
        return answers


class _Waits:
    """What a commit made of the messages of one class without slots: see ``model.ports.Admission``."""

    __slots__ = ("headers", "later", "refused")

    def __init__(self) -> None:
        self.refused = 0
        self.headers: list[Header] = []
        self.later = 0.0

    def add(self, message: NewMessage, refused: bool, kept: bool) -> None:
        self.refused += refused
        if not kept:
            return
        if message.due > message.created:
            due = message.due / 1000
            self.later = min(self.later or due, due)
            return
        client, parts, expires = message.client, message.parts, message.expires / 1000
        for n in range(1, parts + 1):
            self.headers.append(Header(message.id + n - 1, n, parts, client, 0, expires))


def _outgoing(message: NewMessage, asked: Submission) -> list[tuple[Slot, Outgoing | None]]:
    return [
        (
            slot,
            Outgoing(
                message.id + n,
                1,
                slot.bind,
                slot.reference,
                n + 1,
                message.parts,
                asked.to.e164,
                asked.sender,
                asked.text,
                message.expires / 1000,
                message.traffic,
                slot.route,
                message.period,
                message.created,
                message.client,
                asked.tags,
            ),
        )
        for n, slot in enumerate(message.slots)
    ]


def _answer(one: Kept | Clash | NotKept) -> Answer:
    if isinstance(one, NotKept):
        return _no_room(one.reason)
    if isinstance(one, Clash):
        return refusal(
            Code.REF_CONFLICT, "ref", "this reference is known with other content; give a new message a new reference"
        )
    # The bank learns the state of a repeat; of a new message it learns that it was accepted.
    return Taken(MessageId(one.message), one.parts, one.duplicate, one.state if one.duplicate else State.READY)


def _no_room(reason: str) -> Refusal:
    return refusal(Code.NOT_KEPT, "", f"{reason}; nothing was taken, send it again", retry_after=_RETRY)
