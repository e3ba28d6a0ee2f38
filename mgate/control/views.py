"""What the admin API answers: plain values, whose field names are the API's and those of mgatectl's ``--json``.

Lengths of time are seconds, sizes octets, moments RFC 3339 in UTC with an empty text for *not yet*. No text and no
number of a customer has a place here.
"""

from __future__ import annotations

import msgspec

from mgate.config import Plain, Setting
from mgate.model.view import MessageView


class LaneView(msgspec.Struct, frozen=True):
    """What waits in one lane of one route; ``oldest`` is the age of the oldest part that is due, 0.0 where none is."""

    route: str
    lane: int
    waiting: int
    oldest: float


class BindView(msgspec.Struct, frozen=True):
    """One configured bind.

    Attributes:
        state: ``bound``, ``connecting``, ``waiting`` (for the next try), ``refused`` (by the operator) or ``paused``;
            ``suspect``: bound, but it answers no submit.
        since: when it came into that state.
        peer: the operator's ``host:port``.
        window, in_flight: slots, and those in use.
        rate: PDUs a second that the account may send over all its binds; 0 for no limit.
        last_error: what ended the last connection or refused the last bind; empty for nothing.
        submits, receipts: counted since the daemon started.
        kind: ``transceiver``, or ``transmitter`` and ``receiver`` where the operator wants pairs.
    """

    route: str
    bind: int
    state: str
    since: str
    peer: str
    window: int
    in_flight: int
    rate: int
    last_error: str
    submits: int
    receipts: int
    kind: str = "transceiver"


class DoorView(msgspec.Struct, frozen=True):
    """The way in of one client.

    Attributes:
        certificates: what its certificates are known by.
        by_socket, by_tls: connections that are open.
    """

    client: str
    socket: str
    certificates: tuple[str, ...]
    by_socket: int
    by_tls: int


class GateView(msgspec.Struct, frozen=True):
    """An address where clients come in over TLS; ``tls`` is NAME of the section [tls.NAME] that is shown there."""

    address: str
    tls: str


class StatusView(msgspec.Struct, frozen=True):
    """The daemon at a glance.

    Attributes:
        state: ``starting``, ``running`` or ``stopping``.
        uptime: since it started.
        uncertain: parts of which nobody knows whether they were sent.
        last_commit: how long ago the last commit was; -1.0 before the first.
        spool_octets, free_octets: the spool's files, and what is free on their disk.
        accepted, ended: messages since the start.
        alarms: words of `telemetry.Alarm`.
        doors, gates: the ways in.
    """

    version: str
    instance: str
    state: str
    uptime: float
    accepted: int
    ended: int
    uncertain: int
    last_commit: float
    spool_octets: int
    free_octets: int
    alarms: tuple[str, ...]
    lanes: tuple[LaneView, ...]
    binds: tuple[BindView, ...]
    doors: tuple[DoorView, ...] = ()
    gates: tuple[GateView, ...] = ()


class QueueRow(msgspec.Struct, frozen=True):
    """The live parts of one route, class and client, by state; ``oldest`` as in `LaneView`."""

    route: str
    traffic: str = msgspec.field(name="class")
    lane: int
    client: str
    ready: int
    waiting: int
    leased: int
    sent: int
    uncertain: int
    oldest: float


class QueueView(msgspec.Struct, frozen=True):
    """The answer of ``/v1/queue``."""

    rows: tuple[QueueRow, ...]


class FeedView(msgspec.Struct, frozen=True):
    """A feed that was acknowledged once.

    Attributes:
        behind: events of the journal behind its cursor, whoever's they are.
        oldest: when the first of them happened; empty for none.
    """

    client: str
    feed: str
    cursor: str
    behind: int
    oldest: str


class FeedsView(msgspec.Struct, frozen=True):
    """The answer of ``/v1/feeds``."""

    feeds: tuple[FeedView, ...]


class BindsView(msgspec.Struct, frozen=True):
    """The answer of ``/v1/binds``, and of pausing and resuming: the binds that were meant, as they stand now."""

    binds: tuple[BindView, ...]


class ConfigView(msgspec.Struct, frozen=True):
    """The answer of ``/v1/config``: the file, and its settings as the file would write them."""

    file: str
    settings: tuple[Setting, ...]


class MistakeView(msgspec.Struct, frozen=True):
    """A mistake in the configuration; an empty key when the section is at fault, an empty section for the file."""

    section: str
    key: str
    problem: str


class ChangeView(msgspec.Struct, frozen=True):
    """What differs between the file and what runs.

    Attributes:
        key: the setting; empty when the section itself is new (``was`` is null) or gone (``becomes`` is null).
        when: the words of `config.When`; ``needs a restart`` is not taken up.
    """

    section: str
    key: str
    was: Plain | None
    becomes: Plain | None
    when: str


class ReloadView(msgspec.Struct, frozen=True):
    """The answer of ``/v1/reload``.

    Attributes:
        applied: whether what can be was taken up: not when there are mistakes, nor when it was only asked.
        problems: what could not be done after all, a sentence each.
    """

    file: str
    applied: bool
    mistakes: tuple[MistakeView, ...]
    changes: tuple[ChangeView, ...]
    problems: tuple[str, ...]


class VersionView(msgspec.Struct, frozen=True):
    """The answer of ``/v1/version``."""

    version: str
    python: str


class MessagesView(msgspec.Struct, frozen=True):
    """The answer of ``/v1/messages``: whoever bears that reference, or the newest to that number."""

    messages: tuple[MessageView, ...]


class Cancelled(msgspec.Struct, frozen=True):
    """The answer of a cancellation that was in time."""

    id: str
    state: str


class ErrorView(msgspec.Struct, frozen=True):
    """Every refusal, in the form of the push API: a word for programs, the field at fault, a sentence for people."""

    error: str
    field: str
    detail: str


class Sent(msgspec.Struct, frozen=True):
    """The answer to one push."""

    id: str
    ref: str
    state: str
    parts: int
    duplicate: bool = False
    reason: str = ""
