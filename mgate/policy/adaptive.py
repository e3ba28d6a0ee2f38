"""How fast an account is used after its operator asked to slow down: down by half, and up again little by little.

Additive increase, multiplicative decrease, as TCP shares a line (Chiu and Jain 1989): it finds what the operator takes
now, without knowing it. Many answers that ask at once are about one moment, so the rate is halved once in ``_DEAF``
seconds at most. It comes back by a twentieth of the full rate a second, after ``_CALM`` seconds without such an answer:
from the least to the full in less than half a minute. What is halved first is what really left, if that was less than
the rate: half of an unused rate would slow nothing down.

Where the configuration gives no rate, the full one is what left in the second before the first such answer,
``_UNKNOWN`` at least, and once it is reached again there is no limit again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_DEAF: Final = 1.0
_CALM: Final = 2.0
_STEP: Final = 1 / 20
_LEAST: Final = 1 / 20
"""Of the full rate; never below one PDU a second."""

_UNKNOWN: Final = 20.0
"""PDUs a second that any account may be believed to take: what leaves in a quiet second says nothing of it."""


class Throttle(NamedTuple):
    """An account's pace at one moment.

    Attributes:
        full: PDUs a second as configured, 0 for no limit.
        ceiling: where a recovery ends: ``full``, or what was measured; 0 while nothing slows it down.
        rate: PDUs a second now, while ``ceiling`` is not 0; see ``limit``.
        halved_at, at: monotonic seconds: of the last halving, and of ``rate``.
    """

    full: float
    ceiling: float = 0.0
    rate: float = 0.0
    halved_at: float = 0.0
    at: float = 0.0

    @property
    def limit(self) -> float:
        """PDUs a second, 0 for no limit."""
        return self.rate if self.ceiling else self.full

    @property
    def slowed(self) -> bool:
        """Whether it is slower than configured."""
        return self.ceiling > 0.0

    def throttled(self, measured: float, now: float) -> Throttle:
        """After an answer that asks to slow down. ``measured``: PDUs of the last second."""
        if self.ceiling and now < self.halved_at + _DEAF:
            return self
        slow = self.recovered(now)
        left = max(measured, 1.0 if slow.full else _UNKNOWN)
        ceiling = slow.ceiling or slow.full or left
        before = slow.rate if slow.ceiling else min(ceiling, left)
        return Throttle(self.full, ceiling, max(before / 2, _least(ceiling)), now, now)

    def recovered(self, now: float) -> Throttle:
        """The pace at ``now``, when nobody asked again."""
        begins = max(self.at, self.halved_at + _CALM)
        if not self.ceiling or now <= begins:
            return self
        rate = self.rate + (now - begins) * self.ceiling * _STEP
        return Throttle(self.full) if rate >= self.ceiling else self._replace(rate=rate, at=now)

    def configured(self, full: float) -> Throttle:
        """By another configured rate."""
        if not self.ceiling or full == self.full:
            return self._replace(full=full)
        ceiling = full or self.ceiling
        return self._replace(full=full, ceiling=ceiling, rate=min(max(self.rate, _least(ceiling)), ceiling))


def _least(ceiling: float) -> float:
    return min(max(ceiling * _LEAST, 1.0), ceiling)
