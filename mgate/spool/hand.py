"""The rows at hand: those that the last commits touched, as they left them. Pure.

The newest rows are asked for again within seconds: by their lease, their answer, their receipt, their move to history.
One writer writes, so what is at hand is what is on the disk. When a transaction fails, what it touched is not: then all
of it is let go.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from mgate.model.message import Fate
from mgate.spool.rows import Head, Hit, Row

HELD: Final = 20_000
"""Rows that stay at hand: about 30 MiB, and more than what is under way at most banks."""


class Hand:
    """What the writer need not read.

    Attributes:
        rows: by part, those touched last at the end; ``heads``: what never changes of their messages.
    """

    def __init__(self, held: int = HELD) -> None:
        self.rows: dict[int, Row] = {}
        self.heads: dict[int, Head] = {}
        self._held = held
        self._by_tag: dict[tuple[str, bytes], Row] = {}
        self._not_held: list[int] = []
        self._twice: set[tuple[str, bytes]] = set()

    def operator_id(self, account: str, tag: bytes) -> Hit | None:
        """See ``rows.Shelf.at_hand``. Ids that an operator gave twice are all looked at on the disk."""
        key = (account, tag)
        row = self._by_tag.get(key)
        if row is None or key in self._twice:
            return None
        attempt = row.tries[-1]
        if attempt.operator_tag != tag or attempt.fate is not Fate.ACCEPTED:
            return None
        return row, attempt

    def keep(self, row: Row) -> None:
        """Hold a row as a commit leaves it.

        What merely waits may fill half the hand: a backlog that comes in fast must not push out what is under way.
        """
        if not row.tries and len(self.rows) >= self._held // 2 and row.id not in self.rows:
            self._not_held.append(row.id)
            return
        self.rows.pop(row.id, None)
        self.rows[row.id] = row
        if row.tries:
            attempt = row.tries[-1]
            if attempt.operator_tag is not None:
                key = (attempt.route, attempt.operator_tag)
                if self._by_tag.setdefault(key, row) is not row:
                    self._twice.add(key)

    def trim(self) -> None:
        """Let go of the oldest beyond what may be held."""
        for part in self._not_held:
            self.heads.pop(part, None)
        self._not_held.clear()
        beyond = len(self.rows) - self._held
        if beyond > 0:
            for part in list(islice(self.rows, beyond)):
                self.let_go(part)
        if len(self.heads) > 2 * self._held:
            for head in [head for head in self.heads if head not in self.rows]:
                del self.heads[head]
        if len(self._by_tag) + len(self._twice) > 2 * self._held:
            self._index_anew()

    def _index_anew(self) -> None:
        """What an earlier attempt was named, or was named twice, is known no more when its rows are gone."""
        self._by_tag.clear()
        self._twice.clear()
        for row in list(self.rows.values()):
            self.keep(row)

    def let_go(self, part: int) -> None:
        """Forget a row: it is gone, or too much is held."""
        self.heads.pop(part, None)
        row = self.rows.pop(part, None)
        if row is None:
            return
        if row.tries:
            attempt = row.tries[-1]
            if attempt.operator_tag is not None:
                key = (attempt.route, attempt.operator_tag)
                if self._by_tag.get(key) is row:
                    del self._by_tag[key]

    def clear(self) -> None:
        """Forget everything."""
        self.rows.clear()
        self.heads.clear()
        self._by_tag.clear()
        self._twice.clear()
