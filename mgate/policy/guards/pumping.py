"""SMS pumping: somebody asks for codes to numbers that he is paid for, thousands in a row of one range.

A range is the first seven digits of a number. Its base is its busiest hour of the last seven days. In an hour in which
a range gets more codes than ``floor`` and more than ``factor`` times its base, it is blocked: for as long as the
setting says, or until a person releases it. What is refused is not counted, so an attack does not make itself a base.

Until seven days are known nothing is blocked, only told: to a service that has just begun, every range is new. The
ranges that are kept are bounded; when there are more, those with the fewest codes are forgotten at the hour's end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

HOUR: Final = 3_600.0
DAYS: Final = 7
DIGITS: Final = 7
MOST_RANGES: Final = 20_000


class Range(NamedTuple):
    """What is known of a range.

    Attributes:
        hour: codes in the hour that runs.
        days: the busiest hour of each of the last seven days, today first.
    """

    hour: int = 0
    days: tuple[int, ...] = (0,) * DAYS


class Marks(NamedTuple):
    """From when on a range is pumped: more codes an hour than ``floor``, and than ``factor`` times its base."""

    floor: int
    factor: int


def range_of(e164: str) -> str:
    """The range of a number: ``+`` and seven digits."""
    return e164[: 1 + DIGITS]


def is_pumped(known: Range, marks: Marks) -> bool:
    """Whether one more code would be more than a range gets by itself."""
    return known.hour >= marks.floor and known.hour >= marks.factor * max(known.days)


def next_hour(ranges: Mapping[str, Range], days: int) -> dict[str, Range]:
    """What is known of every range at the end of an hour, ``days`` of which lie between this hour and the next."""
    closed: dict[str, Range] = {}
    for name, known in ranges.items():
        today = (max(known.days[0], known.hour), *known.days[1:])
        of_days = (*(0,) * min(days, DAYS), *today)[:DAYS]
        if any(of_days):
            closed[name] = Range(0, of_days)
    if len(closed) <= MOST_RANGES:
        return closed
    busiest = sorted(closed, key=lambda name: max(closed[name].days), reverse=True)
    return {name: closed[name] for name in busiest[:MOST_RANGES]}
