"""What the admin API answers of operators: what the daemon has found out that no profile says."""

from __future__ import annotations

import msgspec


class OperatorRow(msgspec.Struct, frozen=True):
    """One account.

    Attributes:
        name: NAME of [sms.NAME]; ``profile``: that of its operator.
        ids: ``pinned`` by the profile, ``learnt``, ``learning``, or ``open`` where matches prove nothing.
        pairing: ``same``, ``hex then decimal`` or ``decimal then hex``; empty when it is not known.
        votes: matches that only one pairing explained, since the start.
        unread: what was marked as a receipt and could not be read, since the start.
    """

    name: str
    profile: str
    ids: str
    pairing: str
    votes: int
    unread: int


class OperatorsView(msgspec.Struct, frozen=True):
    """GET /v1/operators: every account, in the order of the configuration."""

    operators: tuple[OperatorRow, ...]
