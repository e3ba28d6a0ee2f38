"""A feed that mgate reads itself, for who hands the events on: into a database, or to a webhook.

It walks through the journal as the poll of a client does, in the same stream, so that a run is opened once for all who
stand in it; but it is given the events as they are. Its cursor is as durable as that of any feed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from mgate.feeds.bookmarks import Bookmarks
from mgate.feeds.stream import Stream
from mgate.spool.journal import FeedEvent
from mgate.spool.verbs import Acked, NotKept


class Found(NamedTuple):
    """The next events, in order, none where nothing is new; all up to ``place`` has been looked through."""

    events: list[FeedEvent]
    place: int


class Lost(NamedTuple):
    """Events behind the place where it stood are kept no more, or cannot be read; from ``place`` on they can."""

    place: int


class Unread(Exception):
    """The journal cannot be read now."""


class Tap:
    """One feed.

    Args:
        client: whose events; ``feed``: the name of the feed.
        clock: the reactor, or a ``Clock``.
    """

    def __init__(self, client: str, feed: str, stream: Stream, bookmarks: Bookmarks, clock: IReactorTime) -> None:
        self.client = client
        self.feed = feed
        self._stream = stream
        self._bookmarks = bookmarks
        self._clock = clock

    def cursor(self) -> Deferred[int | None]:
        """Where it stands; None when it never acknowledged anything. Fails with `Unread`."""
        answer: Deferred[int | None] = Deferred(_forget)

        def known(cursors: dict[str, int] | None) -> None:
            if answer.called:
                return
            if cursors is None:
                answer.errback(Unread("the cursors of the feeds"))
            else:
                answer.callback(cursors.get(self.feed))

        self._bookmarks.look_up(self.client, known)
        return answer

    def next(self, at: int | None, limit: int, wait: float) -> Deferred[Found | Lost]:
        """What comes behind this place (None: where the journal begins), after so many seconds at the latest.

        Fails with `Unread`. When it is cancelled, nobody waits any more.
        """
        poll = _Poll(self.client, limit, self._clock.seconds() + wait)
        self._stream.put(poll, at, poll.events)
        return poll.done

    def look_up(self) -> None:
        """Have it looked up how far the journal reaches now."""
        self._stream.look_up()

    def acknowledge(self, place: int) -> Deferred[bool]:
        """Make a cursor durable; whether it is now."""
        answer: Deferred[bool] = Deferred(_forget)

        def done(acked: Acked | NotKept) -> None:
            if not answer.called:
                answer.callback(isinstance(acked, Acked) and acked.word == "acked")

        self._bookmarks.acknowledge(self.client, self.feed, place, done)
        return answer


def _forget(_: Deferred[object]) -> None:
    """What is on its way cannot be called back; its answer concerns nobody any more."""


class _Poll:
    """See ``stream.Poll``."""

    def __init__(self, client: str, limit: int, deadline: float) -> None:
        self.client = client
        self.limit = limit
        self.deadline = deadline
        self.gone = False
        self.events: list[FeedEvent] = []
        self.done: Deferred[Found | Lost] = Deferred(self._leave)

    def answer(self, lines: Sequence[bytes], events: int, place: int) -> None:
        self._say(Found(self.events, place))

    def lost(self, place: int) -> None:
        self._say(Lost(place))

    def beyond(self) -> None:
        self._fail("the cursor is beyond the journal's end")

    def failed(self) -> None:
        self._fail("the journal's runs")

    def _leave(self, _: Deferred[Found | Lost]) -> None:
        self.gone = True

    def _say(self, found: Found | Lost) -> None:
        if not self.gone:
            self.done.callback(found)

    def _fail(self, what: str) -> None:
        if not self.gone:
            self.done.errback(Unread(what))
