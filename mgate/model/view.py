"""Views: what a person or a client may see of a message. No text, and the number masked; field names are the API's."""

from __future__ import annotations

import msgspec


class AttemptView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One try of one part. Times are RFC 3339 in UTC, with milliseconds; empty where it has not happened.

    Attributes:
        part: which part, from 1; ``attempt``: which try of it, from 1.
        fate: ``open``, ``accepted``, ``refused``, ``in_doubt``, ``delivered``, ``undelivered``.
        repeat: whether an earlier try may have been sent too.
        operator_id: the operator's name for it; only administrators see it.
    """

    part: int
    attempt: int
    route: str
    bind: int
    fate: str
    leased_at: str
    answered_at: str = ""
    receipt_at: str = ""
    reason: str = ""
    repeat: bool = False
    operator_id: str = ""


class EventView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row of the journal: the message's state changed."""

    sequence: int
    event: str
    at: str
    reason: str = ""
    may_have_been_sent: bool = False


class PartView(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where one part stands."""

    part: int
    state: str
    reason: str = ""
    due: str = ""


class MessageView(msgspec.Struct, frozen=True, omit_defaults=True):
    """The whole story of one message.

    Attributes:
        to: the number, masked.
        state: as the API says it: ``waiting``, ``ready``, ``leased``, ``sent``, ``uncertain``, ``delivered``,
            ``undelivered``, ``expired``, ``no_receipt``, ``cancelled``.
        may_have_been_sent: whether any attempt was written to a link.
        in_history: whether it has left the live spool.
    """

    id: str
    ref: str
    client: str
    traffic: str = msgspec.field(name="class")
    to: str
    sender: str
    state: str
    reason: str
    parts: int
    accepted_at: str
    not_before: str
    expires_at: str
    ended_at: str
    may_have_been_sent: bool
    in_history: bool
    tags: tuple[str, ...]
    part_states: tuple[PartView, ...]
    attempts: tuple[AttemptView, ...]
    events: tuple[EventView, ...]
