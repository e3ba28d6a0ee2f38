"""The feeds of one client, as its push socket serves them: ``GET /v1/events`` and ``POST /v1/events/ack``.

Faults are told in the form and with the words of the push API; ``intake.codes`` lists them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace
from twisted.internet.interfaces import IReactorTime

from mgate.feeds.bookmarks import Bookmarks
from mgate.feeds.cursor import Cursors, Wrong
from mgate.feeds.stream import Stream
from mgate.model.ports import Refusal
from mgate.net.exchange import JSON, NDJSON, Request, header
from mgate.net.routing import AnyRoute, Route
from mgate.spool.verbs import Acked, NotKept
from mgate.spool.wishes import MOST_FEEDS, is_one_too_many
from mgate.telemetry import FeedNumbers

LONGEST_WAIT: Final = 60
LARGEST_LIMIT: Final = 5_000
USUAL_LIMIT: Final = 1_000
USUAL_FEED: Final = "default"
FEED: Final = "[a-z0-9_-]{1,32}"
PLACE: Final = "Mgate-Cursor"
"""The header with the place up to which the journal has been looked through for the client."""

_FEED: Final = re.compile(FEED, re.ASCII)
_WHOLE: Final = re.compile("[0-9]{1,9}", re.ASCII)
_ACK_FIELDS: Final = frozenset({"feed", "cursor"})

_TEXT: Final = Refusal(400, "bad_cursor", "after", "this is no cursor: give back one that an event bore, as it was")
_FOREIGN: Final = Refusal(409, "foreign_cursor", "after", "the cursor is of another database: begin without one")
_BEYOND: Final = Refusal(409, "cursor_beyond", "after", "the cursor is beyond the journal's end: was it restored?")
_TOO_MANY: Final = Refusal(409, "too_many_feeds", "feed", f"a client has {MOST_FEEDS} feeds at most")
_BUSY: Final = Refusal(503, "busy", "", "the journal cannot be read now; try again", 1)
_NOT_KEPT: Final = Refusal(503, "not_kept", "", "it could not be written to the disk; nothing was taken", 1)
_NO_OBJECT: Final = Refusal(
    422, "bad_json", "", 'this is not a JSON object such as {"feed": "default", "cursor": "..."}'
)
_BAD_FEED: Final = Refusal(422, "bad_value", "feed", "1 to 32 of a-z, 0-9, _ and -")
_BAD_QUERY: Final = Refusal(422, "bad_value", "", "the query is not percent-encoded UTF-8")


@dataclass(frozen=True, slots=True)
class Feeds:
    """What the feeds of all clients share."""

    stream: Stream
    bookmarks: Bookmarks
    cursors: Cursors


class FeedApi:
    """Answers one client.

    Args:
        client: whose socket it is.
        clock: the reactor, or a ``Clock``.
        numbers: what is counted.
    """

    def __init__(self, client: str, feeds: Feeds, clock: IReactorTime, numbers: FeedNumbers) -> None:
        self._client = client
        self._feeds = feeds
        self._clock = clock
        self._numbers = numbers
        self._closed = False

    def routes(self) -> list[AnyRoute]:
        """What the socket serves."""
        return [Route("GET", "/v1/events", self._events), Route("POST", "/v1/events/ack", self._ack)]

    def close(self) -> None:
        """Wait no more: polls are answered with what there is."""
        self._closed = True
        self._feeds.stream.let_go(self._client)

    # ---- reading ---------------------------------------------------------------------------------------------------

    def _events(self, request: Request) -> None:
        asked = _read(request, self._feeds.cursors)
        if isinstance(asked, Refusal):
            _refuse(request, asked)
        else:
            self._feeds.bookmarks.look_up(self._client, partial(self._poll, request, asked))

    def _poll(self, request: Request, asked: _Asked, known: dict[str, int] | None) -> None:
        if known is None:
            _refuse(request, _BUSY)
        elif is_one_too_many(asked.feed, known):
            _refuse(request, _TOO_MANY)
        else:
            wait = 0 if self._closed else asked.wait
            poll = _Poll(self, request, asked.limit, self._clock.seconds() + wait)
            self._feeds.stream.put(poll, known.get(asked.feed) if asked.after is None else asked.after)

    @property
    def name(self) -> str:
        """The client's."""
        return self._client

    def place(self, sequence: int) -> bytes:
        """The header line with a place in the journal."""
        return header(PLACE, self._feeds.cursors.show(sequence))

    def lost(self, request: Request, sequence: int) -> None:
        """Events behind its cursor are no longer kept."""
        detail = "events behind this cursor are no longer kept, or cannot be read; go on from `cursor` without them"
        gone = {"error": "events_gone", "field": "after", "detail": detail}
        body = msgspec.json.encode({**gone, "cursor": self._feeds.cursors.show(sequence)})
        request.reply(410, body, JSON + self.place(sequence))

    def delivered(self, events: int) -> None:
        """So many events were answered."""
        self._numbers.delivered.n += events

    # ---- acknowledging ---------------------------------------------------------------------------------------------

    def _ack(self, request: Request) -> None:
        read = _read_ack(request.body, self._feeds.cursors)
        if isinstance(read, Refusal):
            _refuse(request, read)
            return
        feed, sequence = read

        def done(acked: Acked | NotKept) -> None:
            if isinstance(acked, NotKept):
                _refuse(request, _NOT_KEPT)
            elif acked.word == "acked":
                self._numbers.acks.n += 1
                cursor = self._feeds.cursors.show(acked.cursor)
                request.reply(200, msgspec.json.encode({"feed": feed, "cursor": cursor}))
            else:
                _refuse(request, replace(_BEYOND, field="cursor") if acked.word == "beyond" else _TOO_MANY)

        self._feeds.bookmarks.acknowledge(self._client, feed, sequence, done)


class _Poll:
    """One ``GET /v1/events``: see ``stream.Poll``."""

    __slots__ = ("_api", "_request", "client", "deadline", "limit")

    def __init__(self, api: FeedApi, request: Request, limit: int, deadline: float) -> None:
        self._api = api
        self._request = request
        self.client = api.name
        self.limit = limit
        self.deadline = deadline

    @property
    def gone(self) -> bool:
        return self._request.gone

    def answer(self, lines: Sequence[bytes], events: int, place: int) -> None:
        at = self._api.place(place)
        if events:
            self._api.delivered(events)
            self._request.reply(200, b"".join(lines), NDJSON + at)
        else:
            self._request.reply(204, b"", at)

    def beyond(self) -> None:
        _refuse(self._request, _BEYOND)

    def lost(self, place: int) -> None:
        self._api.lost(self._request, place)

    def failed(self) -> None:
        _refuse(self._request, _BUSY)


# ---- what was asked --------------------------------------------------------------------------------------------------


class _Asked(NamedTuple):
    feed: str
    after: int | None
    wait: int
    limit: int


def _read(request: Request, cursors: Cursors) -> _Asked | Refusal:
    given = {name: request.query(name) for name in ("feed", "after", "wait", "limit")}
    if b"after=" in request.head.query and given["after"] is None:
        # Whoever meant a cursor must not be answered from another place.
        return _BAD_QUERY
    feed = USUAL_FEED if given["feed"] is None else given["feed"]
    if not _FEED.fullmatch(feed):
        return _BAD_FEED
    after = None if given["after"] is None else _place(given["after"], "after", cursors)
    if isinstance(after, Refusal):
        return after
    wait = _whole(given["wait"], 0, 0, LONGEST_WAIT)
    if wait is None:
        return Refusal(422, "out_of_range", "wait", f"0 to {LONGEST_WAIT} seconds, a whole number")
    limit = _whole(given["limit"], USUAL_LIMIT, 1, LARGEST_LIMIT)
    if limit is None:
        return Refusal(422, "out_of_range", "limit", f"1 to {LARGEST_LIMIT} events, a whole number")
    return _Asked(feed, after, wait, limit)


def _read_ack(body: bytes, cursors: Cursors) -> tuple[str, int] | Refusal:
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _NO_OBJECT
    if not isinstance(given, dict):
        return _NO_OBJECT
    if not given.keys() <= _ACK_FIELDS:
        return Refusal(422, "unknown_field", "", "the fields are feed and cursor")
    feed, cursor = given.get("feed", USUAL_FEED), given.get("cursor")
    if cursor is None:
        return Refusal(422, "missing", "cursor", "say up to where")
    if not isinstance(feed, str) or not isinstance(cursor, str):
        return Refusal(422, "wrong_type", "cursor" if isinstance(feed, str) else "feed", "this is a string")
    if not _FEED.fullmatch(feed):
        return _BAD_FEED
    place = _place(cursor, "cursor", cursors)
    return place if isinstance(place, Refusal) else (feed, place)


def _place(text: str, field: str, cursors: Cursors) -> int | Refusal:
    found = cursors.read(text)
    match found:
        case Wrong.TEXT:
            return replace(_TEXT, field=field)
        case Wrong.DATABASE:
            return replace(_FOREIGN, field=field)
        case _:
            return found


def _whole(text: str | None, unsaid: int, least: int, most: int) -> int | None:
    if text is None:
        return unsaid
    return int(text) if _WHOLE.fullmatch(text) and least <= int(text) <= most else None


def _refuse(request: Request, refused: Refusal) -> None:
    body = msgspec.json.encode({"error": refused.code, "field": refused.field, "detail": refused.detail})
    later = header("Retry-After", refused.retry_after) if refused.retry_after else b""
    request.reply(refused.status, body, JSON + later)
