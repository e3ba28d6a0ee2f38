"""What the admin API answers of guards."""

from __future__ import annotations

import msgspec


class BlockedView(msgspec.Struct, frozen=True):
    """A range of numbers that gets no codes, and until when (RFC 3339)."""

    range: str
    until: str


class RefusedView(msgspec.Struct, frozen=True):
    """A message that a guard refused; the number is masked."""

    at: str
    client: str
    ref: str
    traffic: str
    to: str
    code: str
    detail: str


class GuardsView(msgspec.Struct, frozen=True):
    """How the guards stand.

    Attributes:
        learning: the watch over ranges is younger than seven days, and blocks nothing.
        refused: the last refusals, newest first; they are forgotten when mgated restarts.
    """

    learning: bool
    blocked: tuple[BlockedView, ...]
    refused: tuple[RefusedView, ...]
