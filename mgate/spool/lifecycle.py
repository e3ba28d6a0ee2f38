"""The life of a message: a table, and three folds. Pure.

A row is one part (one ``submit_sm``). Each try of it is an attempt with its own fate. Every outcome and receipt is
written on *its* attempt; then ``fold_fates`` says what that means for the part, as an event; ``advance`` looks the
event up in the table; and ``fold_parts`` says where the message stands. So a late answer can never be taken for
another try.

The table knows no guards. Whether a refusal is DEFER or EXHAUST is decided by ``policy.step`` and arrives here as a
different event. The table and its notes (a), (b), (c) are those of the design's page on states, which passed an
exhaustive model; ``tests/unit/spool/test_model.py`` plays the same faults against this code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final

from mgate.model.message import ENDED, Fate, State


class Event(IntEnum):
    """What can happen to a part."""

    LEASE = 1
    RETURN = 2
    ACCEPT = 3
    DEFER = 4
    EXHAUST = 5
    LOSE_REPLY = 6
    REPEAT = 7
    CONFIRM = 8
    LAPSE = 9
    LOSE_PATIENCE = 10
    CANCEL = 11


class CannotHappen(Exception):
    """An event that the table marks impossible: a bug of ours. Nothing may be written."""


_R, _L, _SE, _U, _D, _UD, _E, _N, _C = State  # the columns, in their order

# Event by event, the state that each column moves to; a missing column cannot happen.
_TABLE: Final[dict[Event, dict[State, State]]] = {
    Event.LEASE: {_R: _L},
    Event.RETURN: {_L: _R, _D: _D},
    Event.ACCEPT: {_R: _SE, _L: _SE, _SE: _SE, _U: _SE, _D: _D, _UD: _UD, _E: _E, _N: _N},
    Event.DEFER: {_R: _R, _L: _R, _SE: _R, _U: _R, _D: _D, _UD: _UD, _E: _E, _N: _N},
    Event.EXHAUST: {_R: _UD, _L: _UD, _SE: _UD, _U: _UD, _D: _D, _UD: _UD, _E: _E, _N: _N},
    Event.LOSE_REPLY: {_R: _U, _L: _U, _SE: _U, _U: _U, _D: _D, _UD: _UD, _E: _E, _N: _N},
    Event.REPEAT: {_U: _R},
    Event.CONFIRM: {_R: _D, _L: _D, _SE: _D, _U: _D, _D: _D, _UD: _UD, _E: _E, _N: _D},
    Event.LAPSE: {_R: _E, _L: _L, _SE: _SE, _U: _U, _D: _D, _UD: _UD, _E: _E, _N: _N, _C: _C},
    Event.LOSE_PATIENCE: {_R: _E, _L: _L, _SE: _N, _U: _N, _D: _D, _UD: _UD, _E: _E, _N: _N, _C: _C},
    Event.CANCEL: {_R: _C, _C: _C},
}


def advance(state: State, event: Event) -> State:
    """The state after ``event``.

    Raises:
        CannotHappen: for a cell that the table marks ``!`` (the answers 409 are given by ``turn``, without an event).
    """
    after = _TABLE[event].get(state)
    if after is None:
        raise CannotHappen(f"{event.name} in state {state.name}")
    return after


# ---- the attempt ---------------------------------------------------------------------------------------------------

_MOVES: Final[dict[Fate, frozenset[Fate]]] = {
    Fate.OPEN: frozenset(set(Fate) - {Fate.OPEN}),
    Fate.IN_DOUBT: frozenset(set(Fate) - {Fate.OPEN, Fate.IN_DOUBT}),
    Fate.ACCEPTED: frozenset({Fate.DELIVERED, Fate.UNDELIVERED}),
    Fate.REFUSED: frozenset(),
    Fate.DELIVERED: frozenset(),
    Fate.UNDELIVERED: frozenset(),
}

MAY_HAVE_LEFT: Final = frozenset({Fate.OPEN, Fate.ACCEPTED, Fate.IN_DOUBT, Fate.DELIVERED, Fate.UNDELIVERED})
"""The fates of an attempt that may have reached the operator."""


def may_become(fate: Fate, new: Fate) -> bool:
    """Whether an attempt's fate moves so; what else arrives (a repeat, a contradiction) is a note, no event."""
    return new in _MOVES[fate]


def fold_fates(fates: Iterable[Fate]) -> Event | None:
    """What the fates of all attempts of a part mean for it.

    CONFIRM, ACCEPT or LOSE_REPLY; None while an attempt is open; EXHAUST when every one surely failed, and then policy
    says whether it is DEFER instead.
    """
    seen = set(fates)
    if Fate.DELIVERED in seen:
        return Event.CONFIRM
    if Fate.OPEN in seen:
        return None
    if Fate.ACCEPTED in seen:
        return Event.ACCEPT
    if Fate.IN_DOUBT in seen:
        return Event.LOSE_REPLY
    return Event.EXHAUST


# ---- the message ---------------------------------------------------------------------------------------------------

JOURNALLED: Final[dict[State, str]] = {
    State.SENT: "sent",
    State.UNCERTAIN: "uncertain",
    State.DELIVERED: "delivered",
    State.UNDELIVERED: "undelivered",
    State.EXPIRED: "expired",
    State.NO_RECEIPT: "no_receipt",
    State.CANCELLED: "cancelled",
}
"""The journal's event for each state that a message's fold may change to; acceptance writes ``accepted``."""


def fold_parts(states: Sequence[State]) -> State:
    """Where a message stands whose parts stand so."""
    if len(states) == 1:
        return states[0]
    seen = set(states)
    for live in (State.LEASED, State.READY, State.UNCERTAIN, State.SENT):
        if live in seen:
            return live
    if seen == {State.DELIVERED}:
        return State.DELIVERED
    # Without a receipt is not failed: a late one may still correct it, and then the message as a whole.
    if State.UNDELIVERED in seen or (State.DELIVERED in seen and seen & {State.EXPIRED, State.CANCELLED}):
        return State.UNDELIVERED
    for ended in (State.NO_RECEIPT, State.EXPIRED):
        if ended in seen:
            return ended
    return State.CANCELLED


def failed_beside(states: Iterable[State]) -> bool:
    """Whether a sibling among these has failed, so that the message can no longer arrive whole."""
    return any(state in ENDED and state is not State.DELIVERED for state in states)
