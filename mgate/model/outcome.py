"""Outcomes: how one attempt on one route ended. A closed set; match it to the end."""

from __future__ import annotations

from typing import Literal

import msgspec

Why = Literal["other_route", "foreign_network", "quota", "throttled"]
"""Why another route may do better: the operator says so, it does not serve the number, it takes no more for some hours,
or it takes less just now."""


class Accepted(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The route took it. ``operator_id`` is its name for the message, exactly as it came; empty when it gave none."""

    operator_id: str


class Deferred(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Surely not sent, and worth another try: throttled, queue full, system error. Burns no attempt.

    Attributes:
        reason: the SMPP status by name, such as ``ESME_RTHROTTLED``, or a word of ours.
    """

    reason: str


class Rejected(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Surely not sent, and no other try on this route would do better. ``reason`` is the SMPP status by name."""

    reason: str


class Elsewhere(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Surely not sent, and another route may do better. Burns no attempt.

    Attributes:
        reason: the SMPP status by name.
        routes: where else the message may go, best first; a channel knows none, dispatch fills them in.
    """

    reason: str
    why: Why
    routes: tuple[str, ...] = ()


class Uncertain(msgspec.Struct, frozen=True, gc=False, tag=True):
    """It was written and no answer came: it may have been sent.

    Attributes:
        reason: ``response_timeout``, ``link_lost``, ``nonsense_answer`` or ``crash``.
        link_alive: whether the link it was written to still stands, so that a late answer may yet come.
        routes: where else a repeat may go, best first; a channel knows none, dispatch fills them in.
    """

    reason: str
    link_alive: bool
    routes: tuple[str, ...] = ()


class NotWritten(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Provably never written: it goes back as if it had not been leased."""

    reason: str


Outcome = Accepted | Deferred | Rejected | Elsewhere | Uncertain | NotWritten
