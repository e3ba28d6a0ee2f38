"""The rows of a source whose numbers could not be read: how many, why, and the last of them, for who mends the data."""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

import msgspec

from mgate.intake.normal import Unread, shape
from mgate.intake.rows import Refused
from mgate.model.source import Row

KEPT: Final = 100
REASONS: Final = tuple(reason.word for reason in Unread)


class UnreadRow(msgspec.Struct, frozen=True):
    """One of them. ``shape``: how the number was written, with its digits masked; ``at``: seconds since 1970."""

    key: str
    version: str
    reason: str
    shape: str
    at: float


class UnreadRows:
    """Of one source, since the daemon started. In memory: the rows themselves are in the bank's result table."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._rows: deque[UnreadRow] = deque(maxlen=KEPT)

    @property
    def rows(self) -> tuple[UnreadRow, ...]:
        """The last of them, the newest first."""
        return tuple(reversed(self._rows))

    def add(self, row: Row, refused: Refused, now: float) -> None:
        """This row was refused; it counts here when it was for its number."""
        if refused.reason in REASONS and refused.sentence.startswith("to:"):
            self.counts[refused.reason] += 1
            self._rows.append(UnreadRow(row.key, row.version, refused.reason, shape(row.to), now))
