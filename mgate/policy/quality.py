"""Whether an account still brings its messages to people, and in time.

A message is judged when it has had its time: of those that were sent between ``window`` and ``in_time`` ago, so many
parts were delivered within ``in_time`` of being sent. A route is poor when that is fewer than ``poor_below``, or when
more than half of them came later than ``slow_after``; it is well again above ``well_above``, with fewer than a quarter
late. Between the two it stays what it was, so that it does not swing.

A poor route gets hardly any traffic that could prove it better, so it is tried: after a rest, ``least`` parts are let
onto it, and when these have had their time they alone decide. A trial that fails doubles the rest. A route that has
never told of a delivery is not judged: there are operators that send no receipts.

What is counted comes in slices, so that a window is a handful of numbers whatever the traffic. A receipt is counted in
the slice of the moment that its part was *sent*. Moments are of one clock that never goes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple, assert_never

SLICES: Final = 30
"""Slices of a window."""

_LONGEST_REST: Final = 8
"""A rest is not doubled beyond so many times the first."""

_LATE_WHEN_POOR, _LATE_WHEN_WELL = 0.5, 0.25


class Marks(NamedTuple):
    """What is bearable.

    Attributes:
        window, in_time, slow_after, rest: seconds; ``in_time`` is less than ``window``.
        poor_below, well_above: shares of what was sent, 0 to 1.
        least: parts that a judgement needs.
    """

    window: float = 900.0
    in_time: float = 180.0
    slow_after: float = 60.0
    rest: float = 600.0
    poor_below: float = 0.6
    well_above: float = 0.8
    least: int = 50


class Slice(NamedTuple):
    """What is known of the parts that were sent in one slice of time, the ``at``-th of its length since the clock
    began: ``delivered`` of them in time, ``late`` of these after ``slow_after``."""

    at: int
    sent: int
    delivered: int
    late: int


class Phase(Enum):
    """Where a route is. RESTING and WAITING: it is put behind others; WAITING: the trial's messages have their time."""

    WELL = "well"
    RESTING = "resting"
    TRIAL = "trial"
    WAITING = "waiting"


class Fault(Enum):
    """What is wrong: the word of the alarm."""

    UNDELIVERED = "few_delivered"
    SLOW = "delivered_late"


class Sums(NamedTuple):
    """What was judged."""

    sent: int
    delivered: int
    late: int

    @property
    def ratio(self) -> float:
        """The share that was delivered in time."""
        return self.delivered / self.sent if self.sent else 0.0


class Health(NamedTuple):
    """One route's quality: a value; feed it and judge it.

    Attributes:
        slices: the oldest first.
        phase: where it is; ``until``: when that ends, if time ends it.
        since: what was sent before does not count: when the last trial began.
        rest: the length of the last rest, 0 when it was well since.
        fault: what made it poor, until it is well again.
        tells: it has told of a delivery.
    """

    slices: tuple[Slice, ...] = ()
    phase: Phase = Phase.WELL
    until: float = 0.0
    since: float = 0.0
    rest: float = 0.0
    fault: Fault | None = None
    tells: bool = False

    @property
    def poor(self) -> bool:
        """Whether other routes go before it."""
        return self.phase is Phase.RESTING or self.phase is Phase.WAITING


class Fed(NamedTuple):
    """Something to count: parts sent at a moment, or deliveries of parts that were sent then, after so many seconds."""

    sent_at: float
    sent: int = 0
    delivered: int = 0
    took: float = 0.0


def fed(health: Health, news: Iterable[Fed], marks: Marks, now: float) -> Health:
    """The health with more counted. What is no longer judged is forgotten."""
    length = marks.window / SLICES
    oldest = int((now - marks.window - marks.in_time) // length)
    slices = {each.at: each for each in health.slices if each.at >= oldest}
    tells = health.tells
    for sent_at, sent, delivered, took in news:
        tells = tells or delivered > 0
        at = int(sent_at // length)
        if at < oldest or sent_at < health.since or took > marks.in_time:
            continue
        was = slices.get(at, Slice(at, 0, 0, 0))
        late = delivered if took > marks.slow_after else 0
        slices[at] = Slice(at, was.sent + sent, was.delivered + delivered, was.late + late)
    return health._replace(slices=tuple(slices[at] for at in sorted(slices)), tells=tells)


def judged(health: Health, marks: Marks, now: float) -> Health:
    """The health in the phase that it is in now. Ask every second or so; a ``fault`` that comes or goes is news."""
    match health.phase:
        case Phase.WELL:
            fault = _fault(health, settled(health, marks, now), marks)
            return health if fault is None else _resting(health, fault, marks, now)
        case Phase.RESTING:
            if _is_well(settled(health, marks, now), marks):
                return _well(health)
            return health._replace(phase=Phase.TRIAL, since=now, slices=()) if now >= health.until else health
        case Phase.TRIAL:
            enough = sum(each.sent for each in health.slices) >= marks.least or now >= health.since + marks.window
            until = now + marks.in_time + marks.window / SLICES  # so that the slice of the last part is over as well
            return health._replace(phase=Phase.WAITING, until=until) if enough else health
        case Phase.WAITING:
            return _verdict(health, marks, now) if now >= health.until else health
        case _:
            assert_never(health.phase)


def settled(health: Health, marks: Marks, now: float) -> Sums:
    """What was sent so long ago that it should have been delivered."""
    length = marks.window / SLICES
    last = int((now - marks.in_time) // length)
    return _summed(each for each in health.slices if each.at < last)


def _verdict(health: Health, marks: Marks, now: float) -> Health:
    """After a trial: its parts have had their time, and what was sent before it is not counted."""
    fault = _fault(health, settled(health, marks, now), marks._replace(least=1))
    return _well(health) if fault is None else _resting(health, fault, marks, now)


def _summed(slices: Iterable[Slice]) -> Sums:
    sent = delivered = late = 0
    for each in slices:
        sent, delivered, late = sent + each.sent, delivered + each.delivered, late + each.late
    return Sums(sent, delivered, late)


def _fault(health: Health, sums: Sums, marks: Marks) -> Fault | None:
    if not health.tells or sums.sent < marks.least:
        return None
    if sums.ratio < marks.poor_below:
        return Fault.UNDELIVERED
    return Fault.SLOW if sums.late > sums.delivered * _LATE_WHEN_POOR else None


def _is_well(sums: Sums, marks: Marks) -> bool:
    enough = sums.sent >= marks.least
    return enough and sums.ratio >= marks.well_above and sums.late < sums.delivered * _LATE_WHEN_WELL


def _well(health: Health) -> Health:
    return health._replace(phase=Phase.WELL, until=0.0, rest=0.0, fault=None)


def _resting(health: Health, fault: Fault, marks: Marks, now: float) -> Health:
    rest = min(health.rest * 2 or marks.rest, marks.rest * _LONGEST_REST)
    return health._replace(phase=Phase.RESTING, until=now + rest, rest=rest, fault=fault)
