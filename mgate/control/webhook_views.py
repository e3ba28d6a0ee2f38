"""What the admin API answers of webhooks."""

from __future__ import annotations

import msgspec


class WebhookView(msgspec.Struct, frozen=True):
    """One webhook.

    Attributes:
        state: ``running``, ``failing`` or ``paused``; ``reason``: why it fails, or empty.
        replaying: whether what was given up is being called again.
        taken, dead: events since the start that were taken, and that were given up.
        lag: age in seconds of the oldest event that is not told.
        next_try: seconds until the next call where it fails; -1 when it is well.
    """

    name: str
    client: str
    url: str
    state: str
    reason: str
    replaying: bool
    taken: int
    dead: int
    lag: float
    next_try: float = -1.0


class WebhooksView(msgspec.Struct, frozen=True):
    """The answer of ``/v1/webhooks``, and of pausing and resuming one."""

    webhooks: tuple[WebhookView, ...]


class DeadView(msgspec.Struct, frozen=True):
    """Events that were given up together: the first and last sequence, how many, why and when (RFC 3339)."""

    first: int
    last: int
    events: int
    reason: str
    time: str


class DeadsView(msgspec.Struct, frozen=True):
    """The answer of ``/v1/webhooks/{name}/dead``."""

    name: str
    dead: tuple[DeadView, ...]


class ReplayView(msgspec.Struct, frozen=True):
    """What a replay does, or would do. ``begun``: False in a dry run, when nothing is dead, or while one runs."""

    name: str
    dry_run: bool
    runs: int
    events: int
    begun: bool
