"""Octets in, requests out: HTTP/1.1 as httptools parses it, with the limits and refusals that it leaves to us.

The parser calls back in the middle of a read. Nothing of the house runs there: the callbacks only note what came, and
``Reader.feed`` hands it over when the read is done. A fault ends the reading for good, because after it nobody knows
where the next request begins (RFC 9112, 6.3: framing that two readers understand differently is an attack).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final

import httptools

from mgate.net.exchange import Fault, Head, Line, Request, Responder, Stream, header
from mgate.net.heads import END, Heads, KnownHead
from mgate.net.peers import Peer
from mgate.net.routing import LARGEST_BODY, Found, NotAllowed, Route, Routes, StreamRoute

LONGEST_HEADER: Final = 16 * 1024
LONGEST_URL: Final = 8 * 1024

_NO_PATH: Final = Fault(404, "unknown_path", "nothing is served at this path")
_TOO_LARGE: Final = Fault(413, "body_too_large", "the body is larger than this path takes")
_LONG_HEADER: Final = Fault(431, "header_too_large", "the header is longer than 16 KiB")
_LONG_URL: Final = Fault(414, "url_too_long", "the path and query are longer than 8 KiB")
_NO_HOST: Final = Fault(400, "bad_request", "HTTP/1.1 wants one Host header; any name will do")
_VERSION: Final = Fault(505, "http_version", "speak HTTP/1.1")
_UPGRADE: Final = Fault(400, "bad_request", "no other protocol is spoken here; leave out Upgrade, and CONNECT")
_EXPECTATION: Final = Fault(417, "expectation", "no expectation but 100-continue can be met")


class Phase(Enum):
    """What the reader waits for: a request's first octet, the rest of its header, the rest of its body, or nothing."""

    IDLE = "idle"
    HEADER = "header"
    BODY = "body"
    DEAF = "deaf"


Event = Request | Stream | Fault
"""A whole request; a stream that was opened, went on or was completed; or the end of all reading."""


@dataclass(frozen=True, slots=True)
class _Discard:
    """A request that is refused already; its body is swallowed, so that the next request can be read."""

    fault: Fault


class _Stop(Exception):
    """Raised in a callback to make the parser stop; the reader holds the fault."""


class Reader:
    """Reads the requests of one connection.

    Attributes:
        phase: what it waits for.
        waited: seconds spent waiting in this phase; the connection counts them, every step forward sets them to 0.
        stream: the stream whose body is coming.
        expects: the client waits for ``100 Continue`` before it sends the body.
        last: the request that comes next, or is coming, is the last of this connection.
    """

    def __init__(self, routes: Routes, heads: Heads, line: Line, peer: Peer) -> None:
        self.phase = Phase.IDLE
        self.waited = 0
        self.stream: Stream | None = None
        self.expects = False
        self.last = False
        self._routes = routes
        self._heads = heads
        self._line = line
        self._peer = peer
        self._parser = httptools.HttpRequestParser(self)
        self._events: list[Event] = []
        self._fault: Fault | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_size = 0
        self._header_fed = -1
        self._hosts = 0
        self._length = 0
        self._expectation = b""
        self._head: Head | None = None
        self._largest = 0
        self._body: bytes | bytearray = b""

    @property
    def deaf(self) -> bool:
        """Whether it has stopped reading for good."""
        return self.phase is Phase.DEAF

    def feed(self, data: bytes) -> list[Event]:
        """Take one read; what it brought, in order. A ``Fault`` is always the last thing that a reader says."""
        events: list[Event] = []
        if self.deaf:
            return events
        between = self.phase is Phase.IDLE
        if between:
            data = self._read_known(data, events)
            if not data:
                return events
        known = len(events)
        self._parse(data, events)
        if between and len(events) == known + 1:
            self._learn(data, events[known])
        return events

    def _parse(self, data: bytes, events: list[Event]) -> None:
        self._events = events
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            if self._fault is None and not self.deaf:
                raise
        except httptools.HttpParserError as error:
            # After a request that said "Connection: close" nothing is expected, and whatever comes is not read.
            if not self.deaf:
                self._fault = Fault(400, "bad_request", f"this is not HTTP/1.1: {error}")
        if self.phase is Phase.HEADER and self._fault is None:
            self._count_header(len(data))
        if self._fault is not None:
            events.append(self._fault)
            self.phase = Phase.DEAF

    def _read_known(self, data: bytes, events: list[Event]) -> bytes:
        """Read the whole requests at the beginning whose heads are known; what is left is for the parser."""
        start, size = 0, len(data)
        while True:
            begin = data.find(END, start) + len(END)
            known = self._heads.find(data[start:begin])
            if known is None or begin + known.length > size:
                return data[start:] if start else data
            start = begin + known.length
            events.append(Request(self._line, known.head, self._peer, data[begin:start]))
            self.waited = 0
            if start == size:
                return b""

    def _learn(self, data: bytes, event: Event) -> None:
        """Know the head of this request again, if the read held it with its body, and nothing else."""
        # A path with parameters, or a query, seldom comes again.
        if isinstance(event, Request) and self.phase is Phase.IDLE and not (event.head.params or event.head.query):
            self._heads.learn(data[: len(data) - self._length], KnownHead(event.head, self._length))

    def stop(self) -> None:
        """Read no more; forget what is half read."""
        self.phase = Phase.DEAF
        self.stream = None
        self._head = None
        self._body = b""
        self._events = []

    def _count_header(self, octets: int) -> None:
        # httptools keeps an unfinished header line to itself, so whole reads are counted while one is unfinished.
        if self._header_fed < 0:
            self._header_fed = 0
        else:
            self._header_fed += octets
            if self._header_fed > LONGEST_HEADER:
                self._fault = _LONG_HEADER

    def _stop(self, fault: Fault) -> None:
        self._fault = fault
        raise _Stop

    # ---- what httptools calls ----

    def on_message_begin(self) -> None:
        if self.deaf:
            raise _Stop  # one more behind the last that we would take: it is not read
        self.phase = Phase.HEADER
        self.waited = 0
        self._url = b""
        self._headers = []
        self._header_size = 0
        self._header_fed = -1
        self._hosts = 0
        self._length = 0
        self._expectation = b""

    def on_url(self, url: bytes) -> None:
        self._url = self._url + url if self._url else url
        if len(self._url) > LONGEST_URL:
            self._stop(_LONG_URL)

    def on_header(self, name: bytes, value: bytes) -> None:
        size = len(name)
        self._header_size += size + len(value) + 4
        if self._header_size > LONGEST_HEADER:
            self._stop(_LONG_HEADER)
        if self.phase is Phase.BODY:
            return  # a trailer after the last chunk
        self._headers.append((name, value))
        if size == 4 and name.lower() == b"host":
            self._hosts += 1
        elif size == 6 and name.lower() == b"expect":
            self._expectation = value
        elif size == 14 and name.lower() == b"content-length":
            self._length = int(value)

    def on_headers_complete(self) -> None:
        parser = self._parser
        version = parser.get_http_version()
        if version == "1.1":
            if self._hosts != 1:
                self._stop(_NO_HOST)
        elif version != "1.0":
            self._stop(_VERSION)
        if parser.should_upgrade():
            self._stop(_UPGRADE)
        self.phase = Phase.BODY
        self.waited = 0
        path, _, query = _origin_form(self._url).partition(b"?")
        method: bytes = parser.get_method()
        found = self._routes.find(method, path)
        route = found.route if isinstance(found, Found) else _discard(found)
        if self._expectation and version == "1.1":
            self._expect(route)
        params = found.params if isinstance(found, Found) else ()
        if isinstance(route, StreamRoute):
            if version == "1.0":
                self._stop(_VERSION)
            self.stream = Stream(self._line, route.open, params, tuple(self._headers), self._peer)
            self._events.append(self.stream)
            return
        responder: Responder = partial(_refuse, route.fault) if isinstance(route, _Discard) else route.answer
        self._largest = LARGEST_BODY if isinstance(route, _Discard) else route.largest
        if self._length > self._largest:
            self._stop(_TOO_LARGE)
        head_only = method == b"HEAD"
        name = "GET" if head_only else method.decode("ascii")
        self._head = Head(responder, name, path, query, params, tuple(self._headers), head_only)

    def on_body(self, data: bytes) -> None:
        stream = self.stream
        if stream is not None:
            self.waited = 0
            stream.arrived.append(data)
            if not self._events or self._events[-1] is not stream:
                self._events.append(stream)
            return
        if not self._body:
            self._body = data
        else:
            if not isinstance(self._body, bytearray):
                self._body = bytearray(self._body)
            self._body += data
        if len(self._body) > self._largest:
            self._stop(_TOO_LARGE)

    def on_message_complete(self) -> None:
        keep = not self.last and self._parser.should_keep_alive()
        self.phase = Phase.IDLE if keep else Phase.DEAF
        self.waited = 0
        self.expects = False
        stream, head = self.stream, self._head
        if stream is not None:
            stream.complete = True
            stream.keep = keep
            if not self._events or self._events[-1] is not stream:
                self._events.append(stream)
            self.stream = None
        elif head is not None:
            request = Request(self._line, head, self._peer, bytes(self._body))
            request.keep = keep
            self._body = b""
            self._head = None
            self._events.append(request)

    def _expect(self, route: Route | StreamRoute | _Discard) -> None:
        if self._expectation.lower() != b"100-continue":
            self._stop(_EXPECTATION)
        if isinstance(route, _Discard):
            self._stop(route.fault)
        self.expects = True


def _discard(found: NotAllowed | None) -> _Discard:
    if found is None:
        return _Discard(_NO_PATH)
    detail = f"this path takes {found.allow}"
    return _Discard(Fault(405, "wrong_method", detail, header("Allow", found.allow)))


def _refuse(fault: Fault, request: Request) -> None:
    request.refuse(fault)


def _origin_form(url: bytes) -> bytes:
    """The path and query, whether the request says them alone or after ``http://host`` (RFC 9112, 3.2.2)."""
    if url.startswith(b"/"):
        return url
    _, mark, rest = url.partition(b"://")
    return rest[rest.find(b"/") :] if mark and b"/" in rest else url
