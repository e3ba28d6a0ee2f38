"""What the admin API shows of a trace."""

from __future__ import annotations

import msgspec


class TraceRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One PDU: see ``channels.smpp.trace.Traced``. ``at`` is RFC 3339 with milliseconds; ``way`` is in or out."""

    n: int
    at: str
    bind: str
    way: str
    command: str
    sequence: int
    octets: int
    status: str = ""
    length: int = -1
    id: str = ""
    source: str = ""
    destination: str = ""
    tlvs: tuple[str, ...] = ()
    note: str = ""


class TraceView(msgspec.Struct, frozen=True):
    """A trace of one route. ``left``: seconds until it ends by itself; 0: it has ended. ``rows``: those asked for."""

    route: str
    left: float
    rows: tuple[TraceRow, ...]
