"""How a bind stands and what it has counted: for the operations view and the metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from mgate.channels.smpp.events import Note, Refusal
from mgate.model.outcome import Outcome


class BindKind(Enum):
    """What a bind is for. Only a RECEIVER is never given parts."""

    TRANSCEIVER = "transceiver"
    TRANSMITTER = "transmitter"
    RECEIVER = "receiver"


class BindState(Enum):
    """How a bind stands. PAUSED is by an administrator; its session may be up or not."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    BOUND = "bound"
    REFUSED = "refused"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class BindStatus:
    """A bind at one moment.

    Attributes:
        since: when it came into that state, seconds since 1970.
        in_flight: submits without an answer.
        throttled: whether it rests because the operator asked to slow down.
        last_error: what ended the last connection or refused the last bind; empty for nothing.
        suspect: whether it takes submits and answers none (`suspicion`).
        kind: what it is for.
        peer: the host of the last call, as "host:port"; empty before there was any.
    """

    bind: int
    state: BindState
    since: float
    in_flight: int
    throttled: bool
    last_error: str
    suspect: bool = False
    peer: str = ""
    kind: BindKind = BindKind.TRANSCEIVER


@dataclass(slots=True)
class BindCounts:
    """Plain counts since the start, for whoever shows them. ``outcomes`` by their class, ``notes`` by their kind;
    ``orderly``: sessions that the operator ended as it may."""

    submits: int = 0
    outcomes: Counter[type[Outcome]] = field(default_factory=Counter)
    late: int = 0
    throttles: int = 0
    connects: int = 0
    arrivals: int = 0
    orderly: int = 0
    refusals: Counter[Refusal] = field(default_factory=Counter)
    notes: Counter[Note] = field(default_factory=Counter)
