"""The watch over ranges of numbers that get codes: see ``policy.guards.pumping``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from mgate.policy.guards.pumping import DAYS, DIGITS, HOUR, MOST_RANGES, Marks, Range, is_pumped, next_hour, range_of

_DAY: Final = 86_400.0
_BEGIN: Final = DIGITS + 1
"""Characters of a range, its plus sign among them: `range_of`, which costs a call."""


class Kept(msgspec.Struct, frozen=True):
    """What a watch knows, as it is put aside.

    Attributes:
        began: when it began to watch, seconds since 1970; ``hour``: the hour that it was put aside in, since then.
        ranges: the codes of that hour, and the busiest hour of seven days, by range.
        blocked: until when, by range.
    """

    began: float
    hour: int
    ranges: dict[str, tuple[int, tuple[int, ...]]]
    blocked: dict[str, float]


class Watch:
    """Counts the codes of every range, and blocks what is pumped.

    Args:
        now: when it begins, seconds since 1970.
        told: called with a range, the codes of its hour, and until when it is blocked; 0.0 when it is not.
    """

    def __init__(self, marks: Marks, now: float, told: Callable[[str, int, float], None]) -> None:
        self._marks = marks
        self._floor = marks.floor
        self._told = told
        self._blocks = True
        self._block_for = HOUR
        self._began = now
        self._hour = int(now // HOUR)
        self._ends = (self._hour + 1) * HOUR
        self._codes: dict[str, int] = {}
        self._known: dict[str, Range] = {}
        self._alarmed: set[str] = set()
        self.blocked: dict[str, float] = {}
        """Until when, seconds since 1970, by range; some may be over."""

    def apply(self, marks: Marks, blocks: bool, block_for: float) -> None:
        """Go on by these settings."""
        self._marks, self._floor, self._blocks, self._block_for = marks, marks.floor, blocks, block_for

    def is_learning(self, now: float) -> bool:
        """Whether it has not watched for seven days yet: then nothing is blocked."""
        return now - self._began < DAYS * _DAY

    def admit(self, e164: str, now: float) -> bool:
        """Count a code to this number; False, and nothing is counted, when its range is blocked."""
        if now >= self._ends:
            self._turn(now)
        name, counted = e164[:_BEGIN], self._codes
        codes = counted.get(name, 0)
        if self.blocked and self._is_blocked(name, now):
            return False
        if codes >= self._floor and self._is_pumped(name, codes, now):
            return False
        if codes or len(counted) < MOST_RANGES:
            counted[name] = codes + 1
        return True

    def take_back(self, e164: str) -> None:
        """A code came to nothing, or was a repeat."""
        name = range_of(e164)
        if self._codes.get(name):
            self._codes[name] -= 1

    def release(self, name: str) -> bool:
        """Block a range no longer, and take what it got in this hour for usual; False when it was not blocked."""
        if self.blocked.pop(name, None) is None:
            return False
        codes, days = self._codes.get(name, 0), self._known.get(name, Range()).days
        self._known[name] = Range(0, (max(days[0], codes, self._marks.floor), *days[1:]))
        return True

    def put_aside(self) -> Kept:
        """What it knows."""
        names = self._codes.keys() | self._known.keys()
        ranges = {name: (self._codes.get(name, 0), self._known.get(name, Range()).days) for name in names}
        return Kept(self._began, self._hour, ranges, dict(self.blocked))

    def go_on(self, kept: Kept, now: float) -> None:
        """Go on from what was put aside."""
        self._began, self._hour, self._ends = min(kept.began, now), kept.hour, (kept.hour + 1) * HOUR
        self._codes = {name: codes for name, (codes, _) in kept.ranges.items() if codes}
        self._known = {name: Range(0, days) for name, (_, days) in kept.ranges.items() if len(days) == DAYS}
        self.blocked = dict(kept.blocked)
        if int(now // HOUR) != self._hour:
            self._turn(now)

    def _is_blocked(self, name: str, now: float) -> bool:
        until = self.blocked.get(name)
        if until is None:
            return False
        if now < until:
            return True
        del self.blocked[name]
        return False

    def _is_pumped(self, name: str, codes: int, now: float) -> bool:
        """Whether this range gets too many now, and is blocked for it."""
        if not is_pumped(Range(codes, self._known.get(name, Range()).days), self._marks):
            return False
        blocks = self._blocks and not self.is_learning(now)
        if blocks:
            self.blocked[name] = now + self._block_for
        if blocks or name not in self._alarmed:
            self._alarmed.add(name)
            self._told(name, codes, now + self._block_for if blocks else 0.0)
        return blocks

    def _turn(self, now: float) -> None:
        """An hour is over, or several."""
        hour = int(now // HOUR)
        ranges = {
            name: Range(self._codes.get(name, 0), self._known.get(name, Range()).days)
            for name in self._codes.keys() | self._known.keys()
        }
        self._known = next_hour(ranges, max(0, hour // 24 - self._hour // 24))
        self._codes = {}
        self._alarmed.clear()
        self._hour, self._ends = hour, (hour + 1) * HOUR
        self.blocked = {name: until for name, until in self.blocked.items() if now < until}
