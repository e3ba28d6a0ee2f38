"""The rows as one commit works on them, and what a turn must be able to read. Pure.

A row is one part; the rows of a message stand side by side (part n has the id of the message plus n - 1). The newest
attempt lives in the row, because most parts have exactly one; earlier ones move to a table of their own when the next
lease is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import msgspec

from mgate.model.entry import Told
from mgate.model.message import Fate, State, TrafficClass


class Touched:
    """Which groups of columns a turn changed, so that an index is only touched when it must be.

    Plain numbers to be or-ed together: an ``IntFlag`` costs a microsecond at each.
    """

    NOTHING: Final = 0
    STATE: Final = 1  # state, due and the small facts; always written for a changed row
    WAKE: Final = 2
    OPERATOR: Final = 4
    BODY: Final = 8


class Attempt:
    """One try of one part. Moments in milliseconds, 0 where it has not happened."""

    __slots__ = (
        "answered", "bind", "fate", "heard", "leased", "n", "operator_bucket", "operator_id", "operator_tag", "part",
        "reason", "reference", "repeat", "route",
    )  # fmt: skip

    def __init__(  # a row
        self,
        part: int,
        n: int,
        route: str,
        bind: int,
        fate: Fate,
        reference: int,
        leased: int,
        answered: int = 0,
        heard: int = 0,
        reason: str = "",
        repeat: bool = False,
        operator_bucket: int = 0,
        operator_tag: bytes | None = None,
        operator_id: bytes | None = None,
    ) -> None:
        self.part = part
        self.n = n
        self.route = route
        self.bind = bind
        self.fate = fate
        self.reference = reference
        self.leased = leased
        self.answered = answered
        self.heard = heard
        self.reason = reason
        self.repeat = repeat
        self.operator_bucket = operator_bucket
        self.operator_tag = operator_tag
        self.operator_id = operator_id


class Row:
    """One part, as it stands in this commit.

    Attributes:
        due: READY: when it may leave. UNCERTAIN: when it is to be repeated, 0 for never.
        wake: live: when the clock has something to say about it; ended: when it moves to history.
        burned: attempts that may have been sent; ``deferrals``: refusals that it backed off after.
        attempts: how many there were; ``newest`` is the last of them.
        event: the journal's last row for the message (on the head row only).
        keeps_text: whether the head still holds the sealed body.
    """

    __slots__ = (
        "attempts", "burned", "client", "created", "deferrals", "due", "event", "expires", "id", "keeps_text", "n",
        "newest", "parts", "period", "phone_tag", "reason", "repeats_off", "route", "state", "touched", "traffic",
        "wake",
    )  # fmt: skip

    def __init__(  # a row
        self,
        id: int,  # noqa: A002  # the column's name
        n: int,
        parts: int,
        client: str,
        traffic: TrafficClass,
        route: str,
        state: State,
        created: int,
        due: int,
        expires: int,
        wake: int,
        period: int,
        attempts: int = 0,
        burned: int = 0,
        deferrals: int = 0,
        repeats_off: bool = False,
        reason: str = "",
        event: int = 0,
        keeps_text: bool = True,
        phone_tag: bytes | None = None,
        newest: Attempt | None = None,
    ) -> None:
        self.id = id
        self.n = n
        self.parts = parts
        self.client = client
        self.traffic = traffic
        self.route = route
        self.state = state
        self.created = created
        self.due = due
        self.expires = expires
        self.wake = wake
        self.period = period
        self.attempts = attempts
        self.burned = burned
        self.deferrals = deferrals
        self.repeats_off = repeats_off
        self.reason = reason
        self.event = event
        self.keeps_text = keeps_text
        self.phone_tag = phone_tag
        self.newest = newest
        self.touched: int = Touched.NOTHING

    @property
    def head(self) -> int:
        """The id of the message: that of its first part."""
        return self.id - self.n + 1


class JournalRow(msgspec.Struct, frozen=True, gc=False):
    """One row of the journal. ``previous``: the sequence of the message's row before it, 0 for the first."""

    sequence: int
    message: int
    previous: int
    client: str
    event: str
    reason: str
    at: int
    may_have_been_sent: bool


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


class Shelf(Protocol):
    """What a turn reads of an engine. Everything is as the last commit left it."""

    def load(self, ids: Sequence[int]) -> Iterable[Row]:
        """The rows of these parts, each with its newest attempt; what is not there is not given."""

    def load_messages(self, heads: Sequence[int]) -> Iterable[Row]:
        """The rows of all parts of these messages."""

    def older(self, part: int) -> list[Attempt]:
        """The attempts of a part before its newest, first to last."""

    def sealed(self, heads: Sequence[int]) -> dict[int, tuple[bytes, bytes | None]]:
        """The sealed envelope and body of these messages."""

    def refs(self, wanted: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], KnownRef]:
        """Which of these (client, ref tag) are known, in the spool or within the memory of history."""

    def group(self, client: str, tag: bytes) -> list[int]:
        """The heads of the live messages of this client's group and number, oldest first."""

    def operator_ids(self, account: str, tags: Sequence[bytes]) -> list[Found]:
        """The attempts of this account that bear one of these ids, newest first."""

    def references(self, account: str, reference: int) -> list[Found]:
        """The open and doubtful attempts of this account that bear this reference."""

    def early(self, account: str, tag: bytes) -> list[Early]:
        """The early receipts that this operator id fits, first seen first."""

    def wakes(self, now: int, limit: int) -> list[int]:
        """The live parts whose ``wake`` has come, soonest first."""

    def open_attempts(self) -> list[int]:
        """The parts whose newest attempt is open."""
