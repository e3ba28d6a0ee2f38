"""What feeds have given up: a durable list of sequences in the spool. The events themselves stay in the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred

from mgate.feeds.stream import Journal
from mgate.feeds.tap import Unread
from mgate.spool.verbs import Bury, DeadRun, NotKept


class Burying(Protocol):
    """Where the list becomes durable: the spool."""

    def bury(self, bury: Bury, done: Callable[[int | NotKept], None]) -> None:
        """A feed gives events up, or takes them up again; answered after the commit."""


class DeadList:
    """The list of one feed."""

    def __init__(self, client: str, feed: str, journal: Journal, spool: Burying) -> None:
        self.client = client
        self.feed = feed
        self._journal = journal
        self._spool = spool

    def runs(self) -> Deferred[list[DeadRun]]:
        """What is on it, oldest first. Fails with `Unread`."""
        answer: Deferred[list[DeadRun]] = Deferred(_forget)

        def found(dead: Sequence[DeadRun] | None) -> None:
            if answer.called:
                return
            if dead is None:
                answer.errback(Unread("the list of what was given up"))
            else:
                answer.callback([run for run in dead if (run.client, run.feed) == (self.client, self.feed)])

        self._journal.ask(lambda reader: reader.dead(), found, None)
        return answer

    def add(self, first: int, last: int, events: int, reason: str, at: int) -> Deferred[bool]:
        """Put events on it; whether that is durable now. ``at`` in milliseconds."""
        run = DeadRun(self.client, self.feed, first, last, events, reason, at)
        return self._write(Bury(self.client, self.feed, (run,)))

    def drop(self, first: int) -> Deferred[bool]:
        """Take a run off it; whether that is durable now."""
        return self._write(Bury(self.client, self.feed, raised=(first,)))

    def _write(self, bury: Bury) -> Deferred[bool]:
        answer: Deferred[bool] = Deferred(_forget)

        def done(result: int | NotKept) -> None:
            if not answer.called:
                answer.callback(not isinstance(result, NotKept))

        self._spool.bury(bury, done)
        return answer


def _forget(_: Deferred[object]) -> None:
    """What is on its way cannot be called back; its answer concerns nobody any more."""
