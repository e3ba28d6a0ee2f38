"""Whether an operator that takes messages still tells what becomes of them.

A link can be up, enquire_link answered and every submit taken, and yet nothing reaches anybody: then the receipts stay
away. How many are usual differs from one operator to the next, so each is held against its own past.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

EVERY: Final = 60.0
"""Seconds between two looks."""

WINDOW: Final = 30
"""Looks over which receipts are counted; of what was taken in it, the messages of the last `GRACE` may still wait."""
GRACE: Final = 5
_HALF_LIFE: Final = 1440.0
_LEARNT: Final = 100
_ENOUGH: Final = 20.0
_MISSING: Final = 0.2
_BACK: Final = 0.5


class _Look(NamedTuple):
    accepted: int
    receipts: int


class Progress:
    """One route's receipts against what is usual for it. Counts are totals since the start.

    What is usual is learnt from the looks that leave the window, so that a silence which is not yet noticed is no part
    of it.

    Attributes:
        missing: receipts have stayed away; nothing is learnt until they come again.
    """

    def __init__(self) -> None:
        self.missing = False
        self._looks: deque[_Look] = deque(maxlen=WINDOW + 1)
        self._accepted = self._receipts = 0.0

    @property
    def usual(self) -> float | None:
        """Receipts for a message that was taken, over about a day; None before a hundred were taken."""
        return self._receipts / self._accepted if self._accepted >= _LEARNT else None

    def look(self, accepted: int, receipts: int) -> bool:
        """A minute has passed: whether receipts are missing."""
        looks = self._looks
        looks.append(_Look(accepted, receipts))
        if len(looks) < 2:
            return False
        due = looks[max(len(looks) - 1 - GRACE, 0)].accepted - looks[0].accepted
        came = receipts - looks[0].receipts
        usual = self.usual
        expected = due * usual if usual is not None else 0.0
        if not self.missing:
            self.missing = expected >= _ENOUGH and came < _MISSING * expected
        elif came and came >= _BACK * expected:
            self.missing = False
            looks.clear()
            looks.append(_Look(accepted, receipts))
        if not self.missing and len(looks) == looks.maxlen:
            self._learn(looks[1].accepted - looks[0].accepted, looks[1].receipts - looks[0].receipts)
        return self.missing

    def _learn(self, accepted: int, receipts: int) -> None:
        kept = 0.5 ** (1 / _HALF_LIFE)
        self._accepted = self._accepted * kept + accepted
        self._receipts = self._receipts * kept + receipts
