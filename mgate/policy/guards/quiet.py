"""When messages of a class may leave: between two minutes of the recipient's own day, on some days of the week, and not
on holidays.

Where the recipient's zone is not known for sure, several are given, and a message may leave when it may in all of
them. The clock of a zone goes by `zoneinfo`. On the two odd days of a year an edge that comes twice, or never, is taken
so that the window is the shorter one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])", re.ASCII)
_DAY: Final = 1_440
_LOOK: Final = 31
"""Days that are looked ahead: no run of holidays is longer."""


class Window(NamedTuple):
    """From minute ``opens`` until before minute ``closes`` of a day, on these days of the week (0 is Monday)."""

    opens: int
    closes: int
    days: frozenset[int]


class Span(NamedTuple):
    """Open from one moment until before the other, seconds since 1970."""

    opens: float
    closes: float


def read_hours(text: str) -> tuple[int, int] | None:
    """``09:00-20:00`` as minutes of a day; None when it is not that, or not a span within one day."""
    found = _HOURS.fullmatch(text)
    if found is None:
        return None
    hour, minute, last, past = map(int, found.groups())
    opens, closes = hour * 60 + minute, last * 60 + past
    return (opens, closes) if opens < closes <= _DAY else None


def open_span(at: float, window: Window, zones: Sequence[tzinfo], holidays: Collection[date]) -> Span | None:
    """The first span, open now or later, that is open in every zone; None when a month has none."""
    moment = at
    for _ in range(2 * _LOOK):
        spans = [_span(moment, window, zone, holidays) for zone in zones]
        opens = max((span.opens for span in spans if span is not None), default=moment)
        closes = min((span.closes for span in spans if span is not None), default=moment)
        if None in spans or opens > at + _LOOK * 86_400.0:
            return None
        if opens < closes:
            return Span(opens, closes)
        moment = opens
    return None


def _span(at: float, window: Window, zone: tzinfo, holidays: Collection[date]) -> Span | None:
    today = datetime.fromtimestamp(at, zone).date()
    for ahead in range(_LOOK):
        day = today + timedelta(ahead)
        if day.weekday() not in window.days or day in holidays:
            continue
        opens, closes = _moment(day, window.opens, zone, max), _moment(day, window.closes, zone, min)
        if at < closes and opens < closes:
            return Span(opens, closes)
    return None


def _moment(day: date, minutes: int, zone: tzinfo, pick: Callable[[Iterable[float]], float]) -> float:
    there = datetime.combine(day, time()) + timedelta(minutes=minutes)
    return pick(there.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))


class Allowed(NamedTuple):
    """It may leave from ``not_before`` until ``expires``, seconds since 1970."""

    not_before: float
    expires: float


class TooShort(NamedTuple):
    """Its life ends before the moment at which it may leave."""

    opens: float


def fit(now: float, not_before: float, expires: float, fixed_end: bool, span: Span) -> Allowed | TooShort:
    """A message's life within a span, which is the first that is open at its earliest moment or later.

    A message that must wait lives, from the opening on, as long as it was given from now on: unless its sender named
    the moment of its end, ``fixed_end``.
    """
    begins = max(now, not_before)
    if span.opens > begins:
        if not fixed_end:
            expires += span.opens - begins
        not_before = span.opens
        if expires <= not_before:
            return TooShort(span.opens)
    return Allowed(not_before, min(expires, span.closes))
