"""The rows as one commit works on them, and what a turn must be able to read. Pure.

A row is one part (one ``submit_sm``) with all its attempts; the head of a message, its first part, bears the message's
events too. The rows of a message stand side by side (part n has the id of the message plus n - 1). On the disk a row is
one value (msgpack) beside the few columns that questions need: to write a row whole is cheaper than to change columns.

Fields are only ever added at the end: a spool of yesterday holds rows of yesterday's form.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from mgate.model.entry import Told
from mgate.model.message import Fate, State, TrafficClass


class Attempt(msgspec.Struct, array_like=True, gc=False):
    """One try of one part. Moments in milliseconds, 0 where it has not happened.

    Attributes:
        n: which try of the part it is, from 1.
        operator_id: sealed. ``place``: its row in the index of operator ids, 0 while it has none, negative while
            that row bears another id.
        barred: its route has sent the part away, and is not asked for it again while there is another.
    """

    n: int
    route: str
    bind: int
    reference: int
    leased: int
    fate: Fate = Fate.OPEN
    answered: int = 0
    heard: int = 0
    reason: str = ""
    repeat: bool = False
    operator_tag: bytes | None = None
    operator_id: bytes | None = None
    place: int = 0
    barred: bool = False


class JournalRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A change of a message's state, as the journal told it; ``at`` in milliseconds."""

    sequence: int
    event: str
    reason: str
    at: int
    may_have_been_sent: bool


class Row(msgspec.Struct, array_like=True, gc=False):
    """One part, as it stands in this commit.

    Attributes:
        route: where it leaves next, or by which it left last: what became of it there is told of that route.
        due: READY: when it may leave. UNCERTAIN: when it is to be repeated, 0 for never.
        wake: live: when the clock has something to say about it; ended: when it moves to history.
        burned: attempts that may have been sent; ``deferrals``: refusals that it backed off after.
        keeps_text: whether the head still holds the text of a class that erases it.
        tries: its attempts, first to last; ``events``: the message's (on the head row only).
        queued, timer, marked, doubts: how it stands in the tables beside its own: the moment that it is queued under
            (0: not), the moment that its timer is set to (never later than ``wake``), whether its newest attempt is
            marked as open, and which of its attempts are listed as doubtful.
        repeat_route: UNCERTAIN: where a repeat goes; empty for its own route.
    """

    id: int
    n: int
    parts: int
    client: str
    traffic: TrafficClass
    route: str
    state: State
    created: int
    due: int
    expires: int
    wake: int
    period: int
    phone_tag: bytes
    burned: int = 0
    deferrals: int = 0
    repeats_off: bool = False
    reason: str = ""
    keeps_text: bool = False
    tries: list[Attempt] = []
    events: list[JournalRow] = []
    queued: int = 0
    timer: int = 0
    marked: bool = False
    doubts: tuple[int, ...] = ()
    repeat_route: str = ""

    @property
    def head(self) -> int:
        """The id of the message: that of its first part."""
        return self.id - self.n + 1

    @property
    def attempts(self) -> int:
        """How many tries there were."""
        return len(self.tries)

    @property
    def newest(self) -> Attempt | None:
        """The last try."""
        return self.tries[-1] if self.tries else None

    @property
    def barred(self) -> set[str]:
        """The routes that have sent it away."""
        return {attempt.route for attempt in self.tries if attempt.barred}

    @property
    def event(self) -> int:
        """The journal's last sequence for the message (on the head row), 0 before the first."""
        return self.events[-1].sequence if self.events else 0


class Head(Protocol):
    """What is kept once a message, and never changes: ``verbs.NewMessage``, or what was read back of one.

    ``ref`` and ``meta`` are the client's own, in clear: held in memory, sealed on the disk.
    """

    @property
    def id(self) -> int: ...
    @property
    def client(self) -> str: ...
    @property
    def ref_tag(self) -> bytes: ...
    @property
    def content_tag(self) -> bytes: ...
    @property
    def envelope(self) -> bytes: ...
    @property
    def body(self) -> bytes: ...
    @property
    def ref(self) -> str: ...
    @property
    def meta(self) -> bytes: ...

    def without_text(self) -> Head:
        """The same, its text erased."""


class Early(msgspec.Struct, frozen=True, gc=False):
    """A receipt that fits no attempt yet. ``key`` is the tag of the best form of its operator id."""

    account: str
    key: bytes
    tags: tuple[bytes, ...]
    told: Told
    reason: str
    reference: int
    seen: int


class KnownRef(msgspec.Struct, frozen=True, gc=False):
    """A reference that is known: whose message, with which content. ``state``: where it stood at the last commit."""

    message: int
    parts: int
    content_tag: bytes
    state: State


class Found(msgspec.Struct, frozen=True, gc=False):
    """An attempt that bears an operator id or a reference. ``tag``: the one that hit, empty for a reference."""

    part: int
    attempt: int
    tag: bytes


Hit = tuple[Row, Attempt]
"""An attempt, with its part."""


class Shelf(Protocol):
    """What a turn reads of an engine. Everything is as the last commit left it."""

    def load(self, ids: Sequence[int]) -> Iterable[Row]:
        """The rows of these parts; what is not there is not given."""

    def load_messages(self, heads: Sequence[int]) -> Iterable[Row]:
        """The rows of all parts of these messages."""

    def heads(self, messages: Sequence[int]) -> dict[int, Head]:
        """What never changes of these messages; the text of an otp only while it is kept."""

    def refs(self, wanted: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], KnownRef]:
        """Which of these (client, ref tag) are known, in the spool or within the memory of history."""

    def group(self, client: str, tag: bytes) -> list[int]:
        """The heads of the live messages of this client's group and number, oldest first."""

    def at_hand(self, account: str, tag: bytes) -> Hit | None:
        """The one attempt at hand that bears this id of the account and waits for its receipt.

        None when it is not at hand, or not the only one that may be meant: then ``operator_ids`` knows.
        """

    def operator_ids(self, account: str, tags: Sequence[bytes]) -> list[Found]:
        """The attempts of this account that bear one of these ids, newest first."""

    def references(self, account: str, reference: int) -> list[Found]:
        """The open and doubtful attempts of this account that bear this reference."""

    def early(self, account: str, tag: bytes) -> list[Early]:
        """The early receipts that this operator id fits, first seen first."""

    def cursors(self, client: str) -> dict[str, int]:
        """The durable cursor of each feed of this client."""

    def wakes(self, now: int, limit: int) -> list[int]:
        """The parts whose ``timer`` has come, soonest first."""

    def from_the_future(self, first: int) -> list[int]:
        """The ready parts with this id or a greater one."""

    def open_attempts(self) -> list[int]:
        """The parts whose newest attempt is open."""
