"""The durable cursors of all feeds: on the disk, and in memory as they are there. Every change goes through here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from mgate.feeds.stream import Journal
from mgate.spool.verbs import Ack, Acked, NotKept


class Ackable(Protocol):
    """Where a cursor becomes durable: the spool."""

    def acknowledge(self, ack: Ack, done: Callable[[Acked | NotKept], None]) -> None:
        """A feed has what the journal holds up to a cursor; answered after the commit."""


class Bookmarks:
    """The cursors. They are read when somebody first asks."""

    def __init__(self, journal: Journal, spool: Ackable) -> None:
        self._journal = journal
        self._spool = spool
        self._known: dict[str, dict[str, int]] = {}
        self._loaded = False

    def look_up(self, client: str, answer: Callable[[dict[str, int] | None], None]) -> None:
        """The cursors of a client's feeds; None when they cannot be read now."""

        def loaded(rows: Sequence[tuple[str, str, int]] | None) -> None:
            if rows is not None:
                for owner, feed, cursor in rows:
                    self._learn(owner, feed, cursor)
                self._loaded = True
            answer(self._known.get(client, {}) if self._loaded else None)

        if self._loaded:
            answer(self._known.get(client, {}))
        else:
            self._journal.ask(lambda reader: reader.feeds(), loaded, None)

    def acknowledge(self, client: str, feed: str, cursor: int, answer: Callable[[Acked | NotKept], None]) -> None:
        """Make a cursor durable."""

        def done(acked: Acked | NotKept) -> None:
            if isinstance(acked, Acked) and acked.word == "acked":
                self._learn(client, feed, acked.cursor)
            answer(acked)

        self._spool.acknowledge(Ack(client, feed, cursor), done)

    def all(self) -> list[tuple[str, str, int]]:
        """Those that are known: all of them, once somebody has asked."""
        return [(client, feed, cursor) for client, feeds in self._known.items() for feed, cursor in feeds.items()]

    def _learn(self, client: str, feed: str, cursor: int) -> None:
        feeds = self._known.setdefault(client, {})
        # What was read may be older than what was acknowledged since it was asked for.
        feeds[feed] = max(feeds.get(feed, 0), cursor)
