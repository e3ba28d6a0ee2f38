"""What a responder sees of HTTP: a request that it answers once, or a stream that it reads and writes at the same time.

A responder may keep its request and answer it later, from any callback on the reactor's thread; answers go out in the
order in which the requests came, whatever the order in which they are given. An answer after the client has gone is
dropped; a second answer is a bug, and raises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol
from urllib.parse import parse_qsl, unquote

import msgspec

from mgate.net.peers import Peer

JSON: Final = b"Content-Type: application/json\r\n"
NDJSON: Final = b"Content-Type: application/x-ndjson\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    for status in HTTPStatus
    if status.value >= 200
}
_CLOSE: Final = b"Connection: close\r\n"
_BODILESS: Final = frozenset({204, 304})


def header(name: str, value: str | int) -> bytes:
    """One header line, to be added to ``JSON`` or another; for names and values that the program itself chose."""
    return f"{name}: {value}\r\n".encode("ascii")


@dataclass(frozen=True, slots=True)
class Fault:
    """What this room answers by itself: no route, or HTTP that cannot be followed.

    Attributes:
        code: a word for programs; ``detail``: a sentence for people. Neither repeats what the peer sent.
        headers: more header lines.
    """

    status: int
    code: str
    detail: str
    headers: bytes = b""

    @property
    def body(self) -> bytes:
        """The fault as JSON, in the form of every error of the house."""
        return msgspec.json.encode({"error": self.code, "field": "", "detail": self.detail})


@lru_cache(maxsize=256)
def _until_length(status: int, headers: bytes) -> bytes:
    """The head of an answer as far as the number of its octets: there are few, and each is sent often."""
    return b"%b%bContent-Length: " % (_STATUS_LINES[status], headers)


class Line(Protocol):
    """The connection as its exchanges see it: they stand in line on it, first come, first answered."""

    def answered(self) -> None:
        """An exchange somewhere in the line has its answer."""

    def written(self, octets: int) -> None:
        """A stream has so many octets more to be sent."""

    def regulate(self) -> None:
        """A stream's reader wants its body to stop coming, or to come again."""


class Head(NamedTuple):
    """What stands before a request's body. Requests with the same octets may share it.

    Attributes:
        responder: who answers.
        method: such as ``POST``; HEAD is shown as GET, and its body is left out of the answer by ``Request``.
        path: as it was sent, without the query.
        params: what stood at the ``{}`` of the route's path, decoded.
        headers: as they were sent.
    """

    responder: Responder
    method: str
    path: bytes
    query: bytes = b""
    params: tuple[str, ...] = ()
    headers: tuple[tuple[bytes, bytes], ...] = ()
    head_only: bool = False


class Request:
    """One request with its whole body, to be answered once by ``reply``.

    Attributes:
        head: what stood before the body.
        body: the whole body.
        peer: who sent it.
        keep: whether the connection goes on after it.
        answer: what is written for it, once it is answered.
    """

    __slots__ = ("_line", "answer", "body", "head", "keep", "peer")

    def __init__(self, line: Line, head: Head, peer: Peer, body: bytes = b"") -> None:
        self._line: Line | None = line
        self.head = head
        self.peer = peer
        self.body = body
        self.keep = True
        self.answer: bytes | None = None

    @property
    def params(self) -> tuple[str, ...]:
        """What stood at the ``{}`` of the route's path, decoded."""
        return self.head.params

    @property
    def gone(self) -> bool:
        """Whether the client has gone: no answer will arrive."""
        return self._line is None

    def header(self, name: bytes) -> bytes:
        """The value of the first header of that name (lower case); empty when there is none."""
        for key, value in self.head.headers:
            if len(key) == len(name) and key.lower() == name:
                return value
        return b""

    def query(self, name: str) -> str | None:
        """The first value of that name in the query; None when there is none, or when it is not UTF-8."""
        try:
            pairs = parse_qsl(
                self.head.query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=64
            )
        except ValueError:
            return None
        return next((value for key, value in pairs if key == name), None)

    def reply(self, status: int, body: bytes = b"", headers: bytes = JSON) -> None:
        """Answer; ``headers`` is whole header lines, such as ``JSON + header("Retry-After", 5)``."""
        if self.answer is not None:
            raise RuntimeError("a request is answered once, and this one has been")
        if status in _BODILESS:
            self.answer = b"%b%b%b\r\n" % (_STATUS_LINES[status], headers, b"" if self.keep else _CLOSE)
        else:
            self.answer = b"%b%d\r\n%b\r\n%b" % (
                _until_length(status, headers),
                len(body),
                b"" if self.keep else _CLOSE,
                b"" if self.head.head_only else body,
            )
        if self._line is not None:
            self._line.answered()

    def refuse(self, fault: Fault) -> None:
        """Answer with a fault."""
        self.reply(fault.status, fault.body, JSON + fault.headers)

    def abandon(self) -> None:
        """The client has gone: its answer will be dropped."""
        self._line = None


class Sink(Protocol):
    """Reads a streamed body. ``end`` or ``cut`` is the last of the reading; ``gone`` may come at any time, once."""

    def receive(self, data: bytes) -> None:
        """Some octets of the body; they may still come after ``Stream.pause``, at most one read of them."""

    def end(self) -> None:
        """The body is complete; what is still to be said may be said, and then ``Stream.finish``."""

    def cut(self, code: str, detail: str) -> None:
        """No more will come, and the body is not complete: broken framing, or silence. Say so and ``finish``."""

    def gone(self) -> None:
        """The client has gone: nothing that is written will arrive."""


class Stream:
    """A request whose body comes piece by piece, while its answer goes out piece by piece.

    ``start`` before the first ``write``; ``finish`` once. All three are ignored when the client has gone.

    Attributes:
        backlog: octets written and not yet handed to the socket.
        held: the reader wants no more of the body for now.
        complete: the whole body has come; ``finished``: the whole answer has been written.
        arrived, sink, opener: for the connection.
    """

    __slots__ = (
        "_chunks",
        "_line",
        "arrived",
        "backlog",
        "complete",
        "finished",
        "headers",
        "held",
        "keep",
        "opener",
        "params",
        "peer",
        "sink",
    )

    def __init__(
        self,
        line: Line,
        opener: Opener,
        params: tuple[str, ...],
        headers: tuple[tuple[bytes, bytes], ...],
        peer: Peer,
    ) -> None:
        self._line: Line | None = line
        self._chunks: deque[bytes] = deque()
        self.opener = opener
        self.params = params
        self.headers = headers
        self.peer = peer
        self.sink: Sink | None = None
        self.arrived: list[bytes] = []
        self.backlog = 0
        self.held = False
        self.complete = False
        self.keep = True
        self.finished = False

    def start(self, status: int, headers: bytes = NDJSON) -> None:
        """Send the head of the answer; its body will be chunked (RFC 9112, 7.1)."""
        self._add(b"%b%bTransfer-Encoding: chunked\r\n\r\n" % (_STATUS_LINES[status], headers))

    def write(self, data: bytes) -> None:
        """Send some of the answer's body."""
        if data:
            self._add(b"%x\r\n%b\r\n" % (len(data), data))

    def finish(self) -> None:
        """The answer is complete."""
        if self.finished:
            raise RuntimeError("a stream is finished once, and this one has been")
        self.finished = True
        self._add(b"0\r\n\r\n")

    def pause(self) -> None:
        """Let no more of the body come for now; the client feels it, because we stop reading."""
        self._hold(True)

    def resume(self) -> None:
        """Let the body come again."""
        self._hold(False)

    def take(self, most: int) -> bytes:
        """What is to be sent now, in one piece of about ``most`` octets: for the connection."""
        pieces = []
        size = 0
        while self._chunks and size < most:
            pieces.append(self._chunks.popleft())
            size += len(pieces[-1])
        self.backlog -= size
        return b"".join(pieces)

    def abandon(self) -> None:
        """The client has gone: whatever is written from now on is dropped."""
        self._line = None
        self._chunks.clear()

    def _hold(self, held: bool) -> None:
        if held != self.held:
            self.held = held
            if self._line is not None:
                self._line.regulate()

    def _add(self, data: bytes) -> None:
        if self._line is not None:
            self._chunks.append(data)
            self.backlog += len(data)
            self._line.written(len(data))


Responder = Callable[[Request], None]
Opener = Callable[[Stream], Sink]


def decoded(segment: bytes) -> str | None:
    """One segment of a path, percent-decoded; None when it is not UTF-8."""
    try:
        return unquote(segment.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        return None
