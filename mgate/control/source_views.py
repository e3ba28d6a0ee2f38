"""What the admin API answers of the databases that messages are taken from.

Lengths of time are seconds, moments seconds since 1970. No text and no number of a customer has a place here: of a
number that could not be read only its shape is shown.
"""

from __future__ import annotations

import msgspec


class SourceView(msgspec.Struct, frozen=True):
    """One source.

    Attributes:
        place: the hosts and the database.
        state: a word of ``telemetry.SOURCE_STATES``.
        reason, detail, todo: why it fails or is held, and what to do; empty when it is well.
        next_try: seconds until the next try where it fails or is held; -1 when it is well.
        waiting, oldest: rows that waited when that was last looked at, and the age of the oldest; -1 before.
        refused: rows, by reason. ``unread``: how many of them for their numbers.
    """

    name: str
    dialect: str
    mode: str
    place: str
    state: str
    reason: str
    detail: str
    todo: str
    next_try: float
    waiting: int
    oldest: float
    claimed: int
    taken: int
    duplicates: int
    returned: int
    refused: dict[str, int]
    unread: int
    calls: tuple[str, ...]


class SourcesView(msgspec.Struct, frozen=True):
    """The answer of ``/v1/sources``, and of pausing and resuming one."""

    sources: tuple[SourceView, ...]


class ProblemView(msgspec.Struct, frozen=True):
    """See ``model.source.Problem``."""

    step: str
    who: str
    problem: str
    todo: str
    fatal: bool


class CheckView(msgspec.Struct, frozen=True):
    """Everything that is wrong with a source, in the order in which it must be mended."""

    source: str
    problems: tuple[ProblemView, ...]


class LagView(msgspec.Struct, frozen=True):
    """How far a source is behind. ``clock_difference``: the database's clock less ours. ``waiting``: -1 where it cannot
    be known, in mode ``procedures``."""

    source: str
    waiting: int
    oldest: float
    clock_difference: float


class RewoundView(msgspec.Struct, frozen=True):
    """Rows that are, or would be, claimed again, and those that have a final result. ``warning``: what to think of."""

    source: str
    since: float
    dry_run: bool
    again: int
    final: int
    warning: str


class UnreadRowView(msgspec.Struct, frozen=True):
    """A row whose number could not be read. ``shape``: how it was written, its digits masked."""

    key: str
    version: str
    reason: str
    shape: str
    at: float


class UnreadView(msgspec.Struct, frozen=True):
    """How many since the daemon started, by reason, and the last of them, the newest first."""

    source: str
    counts: dict[str, int]
    rows: tuple[UnreadRowView, ...]


class CalledView(msgspec.Struct, frozen=True):
    """The rows that a call to the core gave."""

    source: str
    call: str
    rows: tuple[dict[str, object], ...]


class RewindWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``:rewind``."""

    since: float
    dry_run: bool = False


class CallWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``:call``."""

    call: str
    arguments: dict[str, str | int | float | bool | None] = {}
