"""The census: every message of one client that was accepted within a span, from the live spool and the history alike.

It goes by small steps, so that whoever drives it may rest between two of them: a few hundred live messages, or one
block of history. First the live ones, then the history: in between a message may move that way and is seen twice, the
later look being the truer; never the other way.

No tag is asked: the ids hold the moment of acceptance, so the blocks of a span are known without opening any other.
A thread of its own drives it, with connections of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from mgate.model.message import COUNT_BITS, Fate
from mgate.policy.reckoning import Kept
from mgate.seal.errors import SealError
from mgate.seal.keyring import Keyring
from mgate.spool.engine import Reader
from mgate.spool.history import HistoryReader
from mgate.spool.lifecycle import fold_parts
from mgate.spool.rows import Row
from mgate.spool.sealing import Sealing

LIVE_STEP: Final = 200
"""Live messages that one step reads."""

_SLACK: Final = 3_600_000
"""Milliseconds that an id may run ahead of its moment: ids only grow, clocks do not."""

_TAKEN: Final = frozenset({Fate.ACCEPTED, Fate.DELIVERED, Fate.UNDELIVERED})


class Counted(NamedTuple):
    """A message, by its reference."""

    ref: str
    kept: Kept


class Step(NamedTuple):
    """What one step found, how many messages were looked at until now, and how many there are; 0 while not known."""

    found: list[Counted]
    looked_at: int
    of: int


class Census:
    """Of one spool.

    Args:
        history: its own; what it cannot read, its ``on_damaged`` tells.
        on_damaged: told of a message whose envelope cannot be opened; it is left out.
    """

    def __init__(
        self,
        reader: Reader,
        history: HistoryReader,
        sealing: Sealing,
        keyring: Keyring,
        on_damaged: Callable[[int, SealError], None],
    ) -> None:
        self._reader = reader
        self._history = history
        self._sealing = sealing
        self._keyring = keyring
        self._on_damaged = on_damaged

    def walk(self, client: str, begin: int, end: int) -> Iterator[Step]:
        """The messages of a client accepted from ``begin`` until before ``end``, in milliseconds, step by step."""
        looked_at = 0
        first, last = begin << COUNT_BITS, (end + _SLACK) << COUNT_BITS
        after = first - 1
        while heads := self._reader.accepted(client, after, last, LIVE_STEP):
            after = heads[-1]
            looked_at += len(heads)
            stories = [(record.rows, record.envelope) for record in self._reader.records(heads)]
            yield Step(self._counted(client, begin, end, stories), looked_at, 0)
        blocks = [
            (period, number, stories)
            for period in self._periods(begin, end)
            for number, stories in self._history.blocks(period, first, last)
        ]
        total = looked_at + sum(stories for _, _, stories in blocks)
        for period, number, held in blocks:
            looked_at += held
            ended = [(story.rows, story.envelope) for story in self._history.stories(period, number)]
            yield Step(self._counted(client, begin, end, ended), looked_at, total)

    def close(self) -> None:
        """Let go of the spool."""
        self._reader.close()

    def _periods(self, begin: int, end: int) -> list[int]:
        low, high = (begin - _SLACK) / 1000, (end + _SLACK) / 1000
        return [period.number for period in self._keyring.periods if period.begins < high and period.ends > low]

    def _counted(
        self, client: str, begin: int, end: int, stories: Sequence[tuple[Sequence[Row], bytes]]
    ) -> list[Counted]:
        found = []
        for rows, sealed in stories:
            head = rows[0]
            if head.client == client and begin <= head.created < end:
                try:
                    envelope = self._sealing.envelope(head, sealed)
                except SealError as error:
                    self._on_damaged(head.id, error)
                    continue
                found.append(Counted(envelope.ref, kept_of(rows, int(envelope.not_before * 1000))))
        return found


def kept_of(rows: Sequence[Row], not_before: int) -> Kept:
    """What the reckoning must know of a message."""
    head = rows[0]
    state = head.state if len(rows) == 1 else fold_parts([row.state for row in rows])
    left = [min((one.leased for one in row.tries if one.fate in _TAKEN), default=0) for row in rows]
    taken = all(left)
    reason = next((row.reason for row in rows if row.state is state), "")
    return Kept(head.id, head.created, state, taken, max(left) if taken else 0, not_before, reason)
