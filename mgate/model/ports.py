"""The sockets in the wall: what one room asks of another, as protocols. ``daemon.wiring`` plugs them together.

Everything here is asked in batches and answered by a callback, not a Deferred: on the hot path one batch is one call.
Every callback comes on the reactor's thread, exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from mgate.model.entry import Entry, Submission
from mgate.model.message import MessageId, Outgoing, State, TrafficClass
from mgate.model.outcome import Outcome
from mgate.model.ready import Header
from mgate.model.view import MessageView

# ---- what acceptance answers ---------------------------------------------------------------------------------------


class Taken(msgspec.Struct, frozen=True, gc=False):
    """It is on the disk. ``duplicate``: it had been before, with the same content; ``state``: where it stands now."""

    message: MessageId
    parts: int
    duplicate: bool
    state: State


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """It was not taken, and why.

    Attributes:
        status: the HTTP status that says it: 403, 409, 413, 422, 429 or 503.
        code: a word of the closed, documented list (``intake.codes``).
        field: the field at fault; empty when none is.
        detail: a sentence for a person, without the text or the whole number.
        retry_after: seconds after which another try makes sense; 0 when none does.
    """

    status: int
    code: str
    field: str
    detail: str
    retry_after: int = 0


Answer = Taken | Refusal


class Acceptor(Protocol):
    """The front door for what the bank submits."""

    def accept(self, submissions: Sequence[Submission], answer: Callable[[Sequence[Answer]], None]) -> None:
        """Take a batch; ``answer`` gets one answer for each, in order, after the commit that holds them."""


class Receiver(Protocol):
    """The door for what operators send back."""

    def receive(self, entries: Sequence[Entry], done: Callable[[bool], None]) -> None:
        """Take receipts and inbound messages; ``done(True)`` after the commit that holds them.

        ``done(False)`` when they could not be kept, and the operator must be left to send them again.
        """


# ---- the way out ---------------------------------------------------------------------------------------------------


class Slot(msgspec.Struct, frozen=True, gc=False):
    """One place in the window of one configured bind, reserved for one part.

    Attributes:
        route: the route's name, such as ``sms:op-a``.
        bind: the index of the bind within the route, from 0.
        reference: the ``user_message_reference`` that the attempt will bear, 16 bits.
        urgent: taken from the reserve that serves otp and fraud only.
    """

    route: str
    bind: int
    reference: int
    urgent: bool


class Admission(Protocol):
    """Asked at acceptance whether a new message may leave in the very commit that takes it. ``dispatch`` answers.

    ``offer`` reserves, so every slot that it gave comes back by ``settle``: as an ``Outgoing`` whose lease is on the
    disk, or as None when the commit took no row for it (a duplicate, a failed commit). And every message that it gave
    none comes back by ``waits``, whatever the commit made of it: until then no younger one of its lane is offered any.
    """

    def route_for(self, asked: Submission) -> str:
        """The planned route of a message; empty when no route may have it."""

    def offer(self, route: str, traffic: TrafficClass, client: str, parts: int) -> tuple[Slot, ...]:
        """A slot for each part, or none at all.

        They are given if policy says Try now and nothing of its lane or a more urgent one waits for that route.
        """

    def settle(self, results: Sequence[tuple[Slot, Outgoing | None]]) -> None:
        """What became of the slots that were offered."""

    def waits(
        self, route: str, traffic: TrafficClass, refused: int, headers: Sequence[Header], later: float
    ) -> None:  # fmt: skip
        """What a commit made of messages without slots; said after it, because an answer to a read that began before
        does not show them.

        Args:
            refused: how many of them ``offer`` had refused.
            headers: their parts that stand in the spool unleased and due, oldest first.
            later: when the first of those is due that are not yet, seconds since 1970; 0 when there is none.
        """


class Channel(Protocol):
    """One way out: every bind of one route. Slots belong to its configured binds, not to their sessions.

    The outcomes go to the ``Outcomes`` that the channel was built with.
    """

    @property
    def name(self) -> str:
        """The route's name, such as ``sms:op-a``."""

    def open_binds(self, urgent: bool = False) -> Sequence[int]:
        """The indexes of the binds that take parts now: bound and not paused; ``urgent``: those that take codes, which
        go by none that may be deaf while there is another."""

    @property
    def suspect(self) -> bool:
        """Whether binds are open, and all of them take submits and answer none."""

    def submit(self, batch: Sequence[Outgoing]) -> None:
        """Write these parts on their binds; each has exactly one outcome, NotWritten when its bind is gone."""


class Outcomes(Protocol):
    """Where a channel tells how attempts ended. ``dispatch`` listens."""

    def ended(self, route: str, results: Sequence[tuple[Outgoing, Outcome]]) -> None:
        """These attempts ended. The slot of each is freed when the outcome is on the disk, not now."""

    def late(self, route: str, results: Sequence[tuple[Outgoing, Outcome]]) -> None:
        """Answers that came after their time-out: they touch no slot, only the attempt's record."""

    def binds_changed(self, route: str) -> None:
        """A bind opened, closed, was paused or resumed: ask ``open_binds`` again."""


# ---- the desk: questions about messages ----------------------------------------------------------------------------


class NoAnswer(Enum):
    """The question could not be answered now; whether there is such a message is not known."""

    LATER = "later"


class Desk(Protocol):
    """Answers questions about messages and takes wishes to cancel them.

    ``client`` says who asks, and sees its own only; an empty ``client`` is an administrator, who sees all. Answers come
    from the spool and the history alike.
    """

    def show(self, client: str, message: MessageId, answer: Callable[[MessageView | NoAnswer | None], None]) -> None:
        """One message by its id; None when there is none for this client."""

    def by_ref(self, client: str, ref: str, answer: Callable[[Sequence[MessageView] | NoAnswer], None]) -> None:
        """The messages that bear this reference: at most one a client."""

    def by_number(self, number: str, limit: int, answer: Callable[[Sequence[MessageView] | NoAnswer], None]) -> None:
        """The newest messages to this number (E.164), for administrators."""

    def cancel(self, client: str, message: MessageId, answer: Callable[[str], None]) -> None:
        """Cancel what has not left.

        The answer: ``cancelled``, ``unknown``, ``leaving``, ``left``, ``may_have_left``, ``ended`` or ``busy``.
        """
