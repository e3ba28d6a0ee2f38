"""How fast an account may be used, and what is kept free for the urgent.

A token is the right to send one PDU. Two buckets fill at once: the whole rate, and the part of it that bulk may use.
Bulk pays out of both, urgent traffic out of the first alone, so that bulk can never use more than its part and urgent
traffic may use everything. A bucket holds a tenth of a second's tokens: what was not used earlier is no right to a
burst. All parts of a message are paid at once, into debt if need be, so that a long message is never left half sent
for want of tokens.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_BURST: Final = 0.1
"""Seconds of the rate that a bucket holds."""

_BULK_TENTHS: Final = 8
"""Tenths of an account's tokens, and of a window's slots, that bulk may use."""

_ALMOST: Final = 1e-6
"""A timer that fires at the very moment of a token must find it, whatever floating point made of the sum."""

_NO_LIMIT: Final = 1 << 30
"""More messages than any run of them has."""


def bulk_slots(window: int) -> int:
    """How many slots of a window bulk may use: 80 %, and at least one is kept free of it.

    A window of 1 cannot be divided: there the lanes alone decide.
    """
    return window * _BULK_TENTHS // 10 if window > 1 else window


class Purse(NamedTuple):
    """An account's tokens at one moment.

    Attributes:
        rate: PDUs a second over all binds of the account; 0 for no limit.
        whole: tokens for any traffic; below zero when a long message left a debt.
        bulk: the tokens of these that bulk may use.
        at: the moment that the counts are true for, monotonic seconds.
    """

    rate: float
    whole: float
    bulk: float
    at: float

    @classmethod
    def full(cls, rate: float, now: float) -> Purse:
        """A purse that nothing was taken from."""
        return cls(rate, _capacity(rate), _capacity(_bulk_rate(rate)), now)

    def refill(self, now: float) -> Purse:
        """The purse at ``now``."""
        rate, whole, bulk, at = self
        if not rate or now <= at:
            return self
        gone = now - at
        part = _bulk_rate(rate)
        return Purse(rate, min(whole + gone * rate, _capacity(rate)), min(bulk + gone * part, _capacity(part)), now)

    def pays(self, urgent: bool) -> bool:
        """Whether a message may be begun now."""
        if not self.rate:
            return True
        return self.whole >= 1.0 - _ALMOST and (urgent or self.bulk >= 1.0 - _ALMOST)

    def affords(self, urgent: bool) -> int:
        """How many messages of one PDU may be begun now, one after the other."""
        if not self.rate:
            return _NO_LIMIT
        if not self.pays(urgent):
            return 0
        return max(int((self.whole if urgent else min(self.whole, self.bulk)) + _ALMOST), 1)

    def pay(self, urgent: bool, tokens: int) -> Purse:
        """What is left after ``tokens`` PDUs."""
        rate, whole, bulk, at = self
        if not rate:
            return self
        return Purse(rate, whole - tokens, bulk if urgent else bulk - tokens, at)

    def refund(self, urgent: bool, tokens: int) -> Purse:
        """What there is after ``tokens`` that were paid for nothing came back."""
        rate, whole, bulk, at = self
        if not rate:
            return self
        part = bulk if urgent else min(bulk + tokens, _capacity(_bulk_rate(rate)))
        return Purse(rate, min(whole + tokens, _capacity(rate)), part, at)

    def wait(self, urgent: bool) -> float:
        """Seconds until ``pays`` would say yes, if nothing else is paid before."""
        if self.pays(urgent):
            return 0.0
        wait = (1.0 - self.whole) / self.rate
        return wait if urgent else max(wait, (1.0 - self.bulk) / _bulk_rate(self.rate))


def _bulk_rate(rate: float) -> float:
    return rate * _BULK_TENTHS / 10


def _capacity(rate: float) -> float:
    return max(1.0, rate * _BURST)
