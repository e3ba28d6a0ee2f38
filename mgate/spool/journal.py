"""The journal: every change of a message's state and every inbound message, in order, for whoever reads a feed.

The events of one commit are one sealed run. It bears everything that a feed tells, the client's own reference and meta
included, so that reading a feed asks for no message, and works when the message has gone to history. Each run bears the
tag of the run before it: one that was taken out, changed or put elsewhere is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from mgate.spool.engine import StoredEvents

_TAG: Final = 16


class FeedEvent(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One event, as a feed tells it. Fields are only ever added at the end.

    Attributes:
        client: whose message it is; empty for an inbound one. ``ref`` and ``meta``: as the client gave them.
        at: milliseconds since 1970.
        route: by which it went, or is to go, such as ``sms:op-a``; empty for an inbound one, and in old runs.
    """

    sequence: int
    message: int
    client: str
    ref: str
    event: str
    reason: str
    may_have_been_sent: bool
    at: int
    parts: int
    meta: bytes
    route: str = ""

    def __repr__(self) -> str:
        return f"FeedEvent({self.sequence}, {self.event})"


class _Run(msgspec.Struct, array_like=True, frozen=True):
    before: bytes
    events: Sequence[FeedEvent]


class BrokenChain(Exception):
    """A run of the journal does not follow the one before it: something was taken out, or put in."""


class Box(msgspec.Struct, frozen=True):
    """How runs are sealed and opened: ``seal(first, period, plain)`` and ``unseal(first, period, sealed)``."""

    period_at: Callable[[int], int]
    seal: Callable[[int, int, bytes], bytes]
    unseal: Callable[[int, int, bytes], bytes]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Run).decode


def seal_run(box: Box, events: Sequence[FeedEvent], before: bytes, now: int) -> StoredEvents:
    """The events of one commit (at least one), to be stored; ``before``: the tag of the run before, empty for none."""
    first = events[0].sequence
    period = box.period_at(now)
    return StoredEvents(first, len(events), period, box.seal(first, period, _encode(_Run(before, events))))


def tag_of(sealed: bytes) -> bytes:
    """What the next run bears of this one: its authentication tag."""
    return sealed[-_TAG:]


def open_runs(box: Box, stored: Iterable[StoredEvents]) -> list[FeedEvent]:
    """The events of consecutive runs.

    Raises:
        mgate.seal.errors.SealError: a run is damaged, or its key is gone.
        BrokenChain: one is missing between them.
    """
    events: list[FeedEvent] = []
    before = b""
    for one in stored:
        run = _decode(box.unseal(one.first, one.period, one.sealed))
        if before and run.before != before:
            raise BrokenChain(f"the journal's run at {one.first} does not follow the one before it")
        before = tag_of(one.sealed)
        events += run.events
    return events
