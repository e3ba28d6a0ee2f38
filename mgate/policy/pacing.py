"""How fast an account may be used, and what is kept free for the urgent.

A token is the right to send one PDU. Three buckets fill at once: the whole rate, the part of it that bulk may use, and
the part that it may not. Bulk pays out of the first two, so that it can never use more than its part; urgent traffic
may use everything. A bucket holds a tenth of a second's tokens, one at least: what was not used earlier is no right to
a burst. All parts of a message are paid at once, into debt if need be, so that a long message is never left half sent
for want of tokens. An urgent message does not wait for the debt of bulk: what bulk may not use is there for it.
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
        own: the tokens that bulk may not use. Urgent traffic pays out of them too, so that they are there only for the
            one that comes when bulk has left a debt, and no right to a greater burst.
        at: the moment that the counts are true for, monotonic seconds.
    """

    rate: float
    whole: float
    bulk: float
    own: float
    at: float

    @classmethod
    def full(cls, rate: float, now: float) -> Purse:
        """A purse that nothing was taken from."""
        return cls(rate, _capacity(rate), _capacity(_bulk_rate(rate)), _capacity(_own_rate(rate)), now)

    def refill(self, now: float) -> Purse:
        """The purse at ``now``."""
        rate, whole, bulk, own, at = self
        if not rate or now <= at:
            return self
        gone = now - at
        return Purse(
            rate,
            _filled(whole, gone, rate),
            _filled(bulk, gone, _bulk_rate(rate)),
            _filled(own, gone, _own_rate(rate)),
            now,
        )

    def at_rate(self, rate: float, now: float) -> Purse:
        """The purse at ``now``, to be filled at another rate from then on: what it held stays, as far as there is room,
        so that a change of the rate is no right to a burst."""
        if not self.rate or not rate:
            return Purse.full(rate, now)
        _, whole, bulk, own, at = self.refill(now)
        room = _capacity(rate), _capacity(_bulk_rate(rate)), _capacity(_own_rate(rate))
        return Purse(rate, min(whole, room[0]), min(bulk, room[1]), min(own, room[2]), at)

    def pays(self, urgent: bool) -> bool:
        """Whether a message may be begun now."""
        if not self.rate:
            return True
        least = 1.0 - _ALMOST
        if urgent:
            return self.whole >= least or self.own >= least
        return self.whole >= least and self.bulk >= least

    def affords(self, urgent: bool) -> int:
        """How many messages of one PDU may be begun now, one after the other."""
        if not self.rate:
            return _NO_LIMIT
        if not self.pays(urgent):
            return 0
        return int((max(self.whole, self.own) if urgent else min(self.whole, self.bulk)) + _ALMOST)

    def pay(self, urgent: bool, tokens: int) -> Purse:
        """What is left after ``tokens`` PDUs."""
        rate, whole, bulk, own, at = self
        if not rate:
            return self
        if urgent:
            own = max(own - tokens, 0.0)
        else:
            bulk -= tokens
        return Purse(rate, whole - tokens, bulk, own, at)

    def refund(self, urgent: bool, tokens: int) -> Purse:
        """What there is after ``tokens`` that were paid for nothing came back."""
        rate, whole, bulk, own, at = self
        if not rate:
            return self
        part = bulk if urgent else min(bulk + tokens, _capacity(_bulk_rate(rate)))
        return Purse(rate, min(whole + tokens, _capacity(rate)), part, own, at)

    def wait(self, urgent: bool) -> float:
        """Seconds until ``pays`` would say yes, if nothing else is paid before."""
        if self.pays(urgent):
            return 0.0
        wait = (1.0 - self.whole) / self.rate
        if urgent:
            return min(wait, (1.0 - self.own) / _own_rate(self.rate))
        return max(wait, (1.0 - self.bulk) / _bulk_rate(self.rate))


class Turns(NamedTuple):
    """A pace by which each message is told its moment in advance: one after the other, a second's worth at once.

    Attributes:
        rate: parts a second.
        next: the moment of the next turn, on the clock that it is asked by.
    """

    rate: float
    next: float = 0.0

    def take(self, at: float, parts: int) -> tuple[float, Turns]:
        """The moment for a message that may not leave before ``at``, and the turns that are left."""
        free = max(self.next, at - 1.0)
        return max(free, at), Turns(self.rate, free + parts / self.rate)


def _bulk_rate(rate: float) -> float:
    return rate * _BULK_TENTHS / 10


def _own_rate(rate: float) -> float:
    return rate * (10 - _BULK_TENTHS) / 10


def _filled(tokens: float, gone: float, rate: float) -> float:
    return min(tokens + gone * rate, _capacity(rate))


def _capacity(rate: float) -> float:
    return max(1.0, rate * _BURST)
