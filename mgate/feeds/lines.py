"""Events as clients read them: one JSON object a line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from mgate.model.message import show_id
from mgate.spool.journal import FeedEvent


class EventLine(msgspec.Struct, frozen=True, gc=False):
    """One event of a feed.

    Attributes:
        cursor: the place behind this event.
        sequence: its number in the journal of all clients: it grows, and is not without holes.
        ref, meta: as the client gave them; no meta, no field.
        event: what happened; ``reason``: why, or empty.
        may_have_been_sent: whether any attempt had been written to a link by then.
        time: RFC 3339 in UTC, with milliseconds; ``parts``: of the message.
        channel, operator: by which it went, or is to go; absent where that is not known.
    """

    cursor: str
    sequence: int
    id: str
    ref: str
    event: str
    reason: str
    may_have_been_sent: bool
    time: str
    parts: int
    channel: str | msgspec.UnsetType = msgspec.UNSET
    operator: str | msgspec.UnsetType = msgspec.UNSET
    meta: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_encode = msgspec.json.Encoder().encode_lines


def render(events: Sequence[FeedEvent], prefix: str) -> bytes:
    """The lines of these events; ``prefix``: with which their cursors begin."""
    second, unset, raw, way = _second, msgspec.UNSET, msgspec.Raw, _way
    return _encode(
        [
            EventLine(
                f"{prefix}{event.sequence:x}",
                event.sequence,
                show_id(event.message),
                event.ref,
                event.event,
                event.reason,
                event.may_have_been_sent,
                f"{second(event.at // 1000)}.{event.at % 1000:03d}Z",
                event.parts,
                *way(event.route),
                raw(event.meta) if event.meta else unset,
            )
            for event in events
        ]
    )


def way_of(route: str) -> tuple[str, str]:
    """Channel and operator of a route such as ``sms:op-a``; empty ones for none."""
    channel, _, operator = route.partition(":")
    return channel, operator


def moment(at: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC."""
    return f"{_second(at // 1000)}.{at % 1000:03d}Z"


@lru_cache(maxsize=1024)
def _way(route: str) -> tuple[str | msgspec.UnsetType, str | msgspec.UnsetType]:
    return way_of(route) if route else (msgspec.UNSET, msgspec.UNSET)


@lru_cache(maxsize=1024)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
