"""The daily reckoning: what the core has written on a day, against what mgate has made of it. Pure.

Two equations must hold. Every row of the core was accepted, was refused with a reason that the core has, has its last
word in the core's own table though mgate does not know it any more, or is missing: there is no other way. And every
accepted one has exactly one end, or is under way. The words are those of events and results. What was counted on the
way (rows of the core that were read) is held against the sum of its parts, so that a row that was lost between two
counts is noticed as well.

Moments are milliseconds since 1970, 0 where something has not happened.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, time, timedelta
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from mgate.model.message import State
from mgate.model.source import REFUSED


class End(Enum):
    """Where an accepted message stands, as the reckoning counts it.

    UNDER_WAY: accepted or sent, without a last word.
    """

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    NO_RECEIPT = "no_receipt"
    UNCERTAIN = "uncertain"
    UNDER_WAY = "under_way"


class Gap(Enum):
    """How a row of the core and what mgate knows of it may differ.

    MISSING: the core has it without a last word, mgate does not. EXTRA: mgate has it, the core does not. TWICE: mgate
    has a second message of the same reference, or the core a second row. ACCEPTED_LATE, SENT_LATE: more than
    ``late_after`` after it was written, or after the moment before which it was not to leave. FINAL_BY_CORE: the core's
    table has the last word of it and mgate does not know it any more, as after a lost store: it differs, and nothing
    need be done.
    """

    MISSING = "missing"
    EXTRA = "extra"
    TWICE = "twice"
    ACCEPTED_LATE = "accepted_late"
    SENT_LATE = "sent_late"
    FINAL_BY_CORE = "final_by_core"


class Written(msgspec.Struct, frozen=True, gc=False):
    """A row of the core: when it was written, and its last word there (``model.source.FINAL``), empty for none."""

    at: int
    final: str = ""


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A message as the spool or the history knows it.

    Attributes:
        taken: an operator took every part of it; ``sent``: when the last of them left.
        not_before: the moment before which it was not to leave.
    """

    message: int
    accepted: int
    state: State
    taken: bool = False
    sent: int = 0
    not_before: int = 0
    reason: str = ""


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What a day comes to; each number counts rows of the core or messages.

    Attributes:
        core: rows of the core; ``twice``: those of them that repeat another, or messages that repeat one.
        final_by_core: rows that mgate does not know, and of which the core's table has the last word.
        sent: messages that an operator took, whatever came of them.
        accepted_late, sent_late: of the accepted ones; no message is counted in both.
        unreadable: blocks of history that could not be opened: what stands there may look missing.
    """

    core: int = 0
    accepted: int = 0
    refused: int = 0
    final_by_core: int = 0
    missing: int = 0
    extra: int = 0
    twice: int = 0
    sent: int = 0
    delivered: int = 0
    undelivered: int = 0
    expired: int = 0
    cancelled: int = 0
    no_receipt: int = 0
    uncertain: int = 0
    under_way: int = 0
    accepted_late: int = 0
    sent_late: int = 0
    unreadable: int = 0

    @property
    def ended(self) -> int:
        """The accepted ones, summed by where they stand."""
        ways = (self.delivered, self.undelivered, self.expired, self.cancelled)
        return sum(ways) + self.no_receipt + self.uncertain + self.under_way

    @property
    def balances(self) -> bool:
        """Whether both equations hold, with everything read."""
        ways = self.accepted + self.refused + self.final_by_core + self.missing
        return self.core == ways and self.accepted == self.ended and not self.unreadable

    @property
    def gap(self) -> bool:
        """Whether a person must look at it: something is missing, or the sums are wrong."""
        return self.missing > 0 or not self.balances


class Tally:
    """Counts a day, row by row.

    Args:
        late_after: milliseconds. ``now``: of the reckoning; what has not left by then may be late already.
    """

    def __init__(self, late_after: int, now: int) -> None:
        self._late_after = late_after
        self._now = now
        self._counted: Counter[str] = Counter()

    def add(self, written: Written, kept: Kept | None) -> Gap | None:
        """Count a row of the core, and what mgate has of it; how they differ."""
        counted = self._counted
        if kept is None:
            if written.final == REFUSED:
                counted[REFUSED] += 1
                return None
            gap = Gap.FINAL_BY_CORE if written.final else Gap.MISSING
            counted[gap.value] += 1
            return gap
        counted["accepted"] += 1
        counted["sent"] += kept.taken
        counted[end_of(kept).value] += 1
        late = self._late(written, kept)
        if late is not None:
            counted[late.value] += 1
        return late

    def beside(self, gap: Gap, count: int = 1) -> None:
        """Count what is in no row of the core of this day."""
        self._counted[gap.value] += count

    def sums(self, core: int, unreadable: int) -> Sums:
        """The whole. ``core``: how many different rows the core's side says that it gave."""
        return Sums(core=core, unreadable=unreadable, **self._counted)

    def _late(self, written: Written, kept: Kept) -> Gap | None:
        if kept.accepted - written.at > self._late_after:
            return Gap.ACCEPTED_LATE
        left = kept.sent or (self._now if kept.state in _WAITING else 0)
        return Gap.SENT_LATE if left - max(written.at, kept.not_before) > self._late_after else None


_WAITING: Final = frozenset({State.READY, State.LEASED})
_ENDS: Final = {
    State.DELIVERED: End.DELIVERED,
    State.UNDELIVERED: End.UNDELIVERED,
    State.EXPIRED: End.EXPIRED,
    State.CANCELLED: End.CANCELLED,
    State.NO_RECEIPT: End.NO_RECEIPT,
    State.UNCERTAIN: End.UNCERTAIN,
    State.READY: End.UNDER_WAY,
    State.LEASED: End.UNDER_WAY,
    State.SENT: End.UNDER_WAY,
}


def end_of(kept: Kept) -> End:
    """Where a message stands, as it is counted."""
    return _ENDS[kept.state]


def word_of(kept: Kept) -> str:
    """Where a message stands, as the last event of it says."""
    return "accepted" if kept.state in _WAITING else kept.state.word


def day_span(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """The first moment of a day and that of the next; 23 or 25 hours where the clock is changed."""
    return _midnight(day, zone), _midnight(day + timedelta(days=1), zone)


def yesterday(now: float, zone: ZoneInfo) -> date:
    """The day before the one that it is at ``now`` (seconds since 1970)."""
    return datetime.fromtimestamp(now, zone).date() - timedelta(days=1)


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, time(), zone).timestamp() * 1000)
