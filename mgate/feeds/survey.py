"""How far each feed has come, for the administrator and the numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mgate.feeds.bookmarks import Bookmarks
from mgate.feeds.cursor import Cursors
from mgate.feeds.lines import moment
from mgate.feeds.runs import Runs
from mgate.feeds.stream import Journal, Stream
from mgate.spool.engine import Reader, StoredEvents

_Place = tuple[str, str, int]
_Seen = tuple[int, list[tuple[_Place, list[StoredEvents]]]]


class FeedState(NamedTuple):
    """One feed that was acknowledged once.

    Attributes:
        behind: events of the journal behind its cursor, whoever's they are.
        oldest: when the first of them happened (RFC 3339); empty for none, or when it cannot be read.
    """

    client: str
    feed: str
    cursor: str
    behind: int
    oldest: str


class Survey:
    """Looks at all feeds."""

    def __init__(self, journal: Journal, stream: Stream, bookmarks: Bookmarks, runs: Runs, cursors: Cursors) -> None:
        self._journal = journal
        self._stream = stream
        self._bookmarks = bookmarks
        self._runs = runs
        self._cursors = cursors

    def feeds(self, answer: Callable[[Sequence[FeedState]], None]) -> None:
        """Every feed, by client and name; none when the journal cannot be read now."""

        unknown: _Seen = (0, [])

        def question(reader: Reader) -> _Seen:
            return reader.last_event(), [(place, reader.events(place[2], 1)) for place in sorted(reader.feeds())]

        def found(seen: _Seen) -> None:
            tail, places = seen
            answer([self._state(place, tail, stored) for place, stored in places])

        self._journal.ask(question, found, unknown)

    def behind(self, client: str) -> int:
        """Events of the journal behind the cursor of a client's slowest feed, as far as is known by now.

        It has what is not known yet looked up, for the next time.
        """
        self._stream.look_up()
        self._bookmarks.look_up(client, lambda _cursors: None)
        cursors = [cursor for of, _, cursor in self._bookmarks.all() if of == client]
        return max(0, self._stream.tail - min(cursors)) if cursors else 0

    def _state(self, place: _Place, tail: int, stored: Sequence[StoredEvents]) -> FeedState:
        client, feed, cursor = place
        moments = [
            event.at
            for run in self._runs.take(stored)
            for events in run.by_client.values()
            for event in events
            if event.sequence > cursor
        ]
        oldest = moment(min(moments)) if moments else ""
        return FeedState(client, feed, self._cursors.show(cursor), max(0, tail - cursor), oldest)
