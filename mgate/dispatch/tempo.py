"""How fast one account is used: its tokens, and the slower pace that its operator asked for.

The rate is the configured one until the operator throttles; then ``policy.adaptive`` says how fast, and the purse is
filled at that. What is measured, for an account without a configured rate, is what was paid.
"""

from __future__ import annotations

from typing import Final

from mgate.policy.adaptive import Throttle
from mgate.policy.pacing import Purse

_MEASURE: Final = 1.0
"""Seconds over which it is measured how much leaves."""


class Tempo:
    """One account's. All moments are monotonic seconds.

    Attributes:
        purse: the tokens at the last ``refill``; pay out of it with ``pay``.
    """

    __slots__ = ("_measured", "_paid", "_since", "_throttle", "purse")

    def __init__(self, rate: float, now: float) -> None:
        """``rate``: PDUs a second as configured, 0 for no limit."""
        self.purse = Purse.full(rate, now)
        self._throttle = Throttle(rate)
        self._paid = 0
        self._measured = 0.0
        self._since = now

    @property
    def slowed(self) -> bool:
        """Whether the operator asked for less than is configured, not long ago."""
        return self._throttle.slowed

    def refill(self, now: float) -> None:
        """Fill the purse for the time that has gone. A ``now`` of 0.0 does nothing: who has no limit need not look at
        the clock."""
        if self._throttle.slowed:
            self._throttle = self._throttle.recovered(now)
            self._set_rate(now)
        self.purse = self.purse.refill(now)
        if now >= self._since + _MEASURE:
            self._measured = self._paid / (now - self._since)
            self._paid, self._since = 0, now

    def pay(self, urgent: bool, tokens: int) -> None:
        """So many PDUs leave."""
        self._paid += tokens
        self.purse = self.purse.pay(urgent, tokens)

    def refund(self, urgent: bool, tokens: int) -> None:
        """So many that were paid did not leave."""
        self._paid = max(self._paid - tokens, 0)
        self.purse = self.purse.refund(urgent, tokens)

    def throttled(self, now: float) -> None:
        """The operator asked to slow down."""
        measured = max(self._measured, self._paid / max(now - self._since, _MEASURE))
        self._throttle = self._throttle.throttled(measured, now)
        self._set_rate(now)

    def apply(self, rate: float, now: float) -> None:
        """Another rate is configured."""
        self._throttle = self._throttle.configured(rate)
        self._set_rate(now)

    def _set_rate(self, now: float) -> None:
        if self._throttle.limit != self.purse.rate:
            self.purse = self.purse.at_rate(self._throttle.limit, now)
