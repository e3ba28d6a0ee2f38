"""The journal and the desk as a folder of files asks them: see ``intake.drops.finals.Journal``."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from mgate.feeds.api import Feeds
from mgate.feeds.stream import Journal
from mgate.feeds.tap import Lost, Tap, Unread
from mgate.intake.drops.book import Change
from mgate.intake.drops.finals import News
from mgate.model.message import MessageId, read_id
from mgate.model.ports import Desk, NoAnswer
from mgate.model.view import MessageView

FEED: Final = "final"


class DropJournal:
    """One folder's."""

    def __init__(self, client: str, feeds: Feeds, journal: Journal, desk: Desk, clock: IReactorTime) -> None:
        self._client = client
        self._journal = journal
        self._desk = desk
        self._tap = Tap(client, FEED, feeds.stream, feeds.bookmarks, clock)

    async def end(self) -> int | None:
        """See ``Journal``."""
        found: Deferred[int | None] = Deferred()
        self._journal.ask(lambda reader: reader.last_event(), found.callback, None)
        return await found

    async def after(self, place: int, most: int) -> News | None:
        """See ``Journal``."""
        try:
            found = await self._tap.next(place, most, 0.0)
        except Unread:
            return None
        if isinstance(found, Lost):
            return News((), found.place, lost=True)
        changes = [
            Change(event.message, event.event, event.reason, event.may_have_been_sent, event.at)
            for event in found.events
            # That it was accepted the book knows by itself.
            if event.event != "accepted"
        ]
        return News(changes, found.place)

    async def ask(self, message: int) -> Change | None:
        """See ``Journal``."""
        told: Deferred[MessageView | NoAnswer | None] = Deferred()
        self._desk.show(self._client, MessageId(message), told.callback)
        view = await told
        if view is None or isinstance(view, NoAnswer):
            return None
        found = read_id(view.id)
        at = int(datetime.fromisoformat(view.ended_at).timestamp() * 1000) if view.ended_at else 0
        return None if found is None else Change(found, view.state, view.reason, view.may_have_been_sent, at)

    def acknowledge(self, place: int) -> None:
        """See ``Journal``."""
        self._tap.acknowledge(place)
