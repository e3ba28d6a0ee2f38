"""The runs of the journal that are open in memory: read and opened once, whoever asks for them. Pure.

They are the ones that were used last, within a bound of octets. The run in which somebody stands is found by its first
sequence; a run that cannot be opened has its place too, so that nobody passes it unknowingly.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

from mgate.feeds.lines import render
from mgate.seal.errors import NoKey, SealError
from mgate.spool.engine import StoredEvents
from mgate.spool.journal import Box, BrokenChain, FeedEvent, open_runs

MOST: Final = 8 << 20
"""Octets, about, that open runs may take."""

_GROWTH: Final = 4
"""An open run takes about so many times its sealed octets."""

_Damaged = Callable[[int, Exception], None]


class Run:
    """One run.

    Attributes:
        first, last: sequences of its events.
        readable: False when it could not be opened: its key is gone, or it is damaged.
        octets: what it takes in memory, about.
        by_client: the events of each; ``lines``: as the client reads them, once somebody has.
    """

    __slots__ = ("by_client", "first", "last", "lines", "octets", "readable")

    def __init__(self, first: int, last: int, octets: int, events: Sequence[FeedEvent] | None) -> None:
        self.first = first
        self.last = last
        self.octets = octets
        self.readable = events is not None
        self.by_client: dict[str, list[FeedEvent]] = {}
        self.lines: dict[str, bytes] = {}
        for event in events or ():
            mine = self.by_client.get(event.client)
            if mine is None:
                self.by_client[event.client] = [event]
            else:
                mine.append(event)


class Runs:
    """The open runs of one journal.

    Args:
        prefix: with which the cursors of this journal begin.
        on_damaged: told of a run that should open and does not, or does not follow the one before it.
    """

    def __init__(self, box: Box, prefix: str, on_damaged: _Damaged, most: int = MOST) -> None:
        self._box = box
        self.prefix = prefix
        self._on_damaged = on_damaged
        self._most = most
        self._runs: OrderedDict[int, Run] = OrderedDict()
        self._firsts: list[int] = []
        self.octets = 0

    def __len__(self) -> int:
        return len(self._runs)

    def at(self, sequence: int) -> Run | None:
        """The run that holds this sequence, if it is open."""
        place = bisect_right(self._firsts, sequence)
        if not place:
            return None
        run = self._runs[self._firsts[place - 1]]
        if run.last < sequence:
            return None
        self._runs.move_to_end(run.first)
        return run

    def take(self, stored: Sequence[StoredEvents]) -> list[Run]:
        """Open consecutive runs that were read, but for those that are open already."""
        # Group by group: a run is held to the one before it, and to no other.
        for held, group in groupby(stored, lambda one: one.first in self._runs):
            if not held:
                for run in self._open(list(group)):
                    self._runs[run.first] = run
                    insort(self._firsts, run.first)
                    self.octets += run.octets
        opened = [self._runs[one.first] for one in stored]
        for run in opened:
            self._runs.move_to_end(run.first)
        self._make_room(len(stored))
        return opened

    def lines(self, run: Run, client: str) -> bytes:
        """Every event of this client in a run, as it reads them: written once for all its feeds."""
        lines = run.lines.get(client)
        if lines is None:
            lines = run.lines[client] = render(run.by_client[client], self.prefix)
            if self._runs.get(run.first) is run:
                run.octets += len(lines)
                self.octets += len(lines)
                self._make_room(1)
        return lines

    def _make_room(self, keep: int) -> None:
        while self.octets > self._most and len(self._runs) > keep:
            first, run = self._runs.popitem(last=False)
            del self._firsts[bisect_right(self._firsts, first) - 1]
            self.octets -= run.octets

    def _open(self, stored: Sequence[StoredEvents]) -> list[Run]:
        try:
            events = open_runs(self._box, stored)
        except BrokenChain as error:
            self._on_damaged(stored[0].first, error)
            return [self._one(one) for one in stored]
        except SealError:
            return [self._one(one) for one in stored]
        runs, begin = [], 0
        for one in stored:
            runs.append(_run(one, events[begin : begin + one.events]))
            begin += one.events
        return runs

    def _one(self, stored: StoredEvents) -> Run:
        try:
            return _run(stored, open_runs(self._box, [stored]))
        except SealError as error:
            if not (isinstance(error, NoKey) and error.shredded):
                self._on_damaged(stored.first, error)
            return _run(stored, None)


def _run(stored: StoredEvents, events: Sequence[FeedEvent] | None) -> Run:
    return Run(stored.first, stored.first + stored.events - 1, len(stored.sealed) * _GROWTH, events)
