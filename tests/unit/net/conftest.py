"""A transport of strings, and a listener on it whose time only a test moves."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mgate.net.bounds import Limits, Room
from mgate.net.http import Connection, Listener
from mgate.net.routing import AnyRoute, Routes

GONE = Failure(ConnectionDone())


class Pipe:
    """The client's end: what was written to it, and whether it is still there."""

    def __init__(self) -> None:
        self.written = b""
        self.writes = 0
        self._paused = False
        self.half_closed = False
        self.closed = False
        self.aborted = False
        self.producer: IPushProducer | None = None

    def write(self, data: bytes) -> None:
        assert not self.over, "written after the end"
        self.written += data
        self.writes += 1

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def loseConnection(self) -> None:
        assert self.producer is None, "a registered producer keeps a connection open"
        self.closed = True

    def loseWriteConnection(self) -> None:  # noqa: N802
        self.half_closed = True

    def abortConnection(self) -> None:
        self.aborted = self.closed = True

    def getHandle(self) -> object:  # noqa: N802
        return None

    def paused(self) -> bool:
        return self._paused

    @property
    def over(self) -> bool:
        return self.closed or self.half_closed

    def take(self) -> bytes:
        data, self.written = self.written, b""
        return data


@dataclass
class Client:
    """A connection and both its ends."""

    connection: Connection
    pipe: Pipe

    def send(self, data: bytes) -> None:
        self.connection.dataReceived(data)

    def leave(self) -> None:
        self.connection.connectionLost(GONE)

    def answers(self) -> list[tuple[int, bytes]]:
        return split(self.pipe.take())


class House:
    """A listener with its clock."""

    def __init__(
        self,
        routes: Sequence[AnyRoute],
        limits: Limits,
        requests: Room | None,
        answers: Room | None,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.listener = Listener(Routes(routes), self.clock, limits, requests, answers)
        self.listener.doStart()  # type: ignore[no-untyped-call]  # Twisted's

    def connect(self) -> Client:
        connection = self.listener.buildProtocol(None)
        pipe = Pipe()
        connection.makeConnection(pipe)  # type: ignore[no-untyped-call]  # Twisted's
        return Client(connection, pipe)

    def wait(self, seconds: int) -> None:
        self.clock.pump([1.0] * seconds)


MakeHouse = Callable[..., House]


@pytest.fixture
def build() -> MakeHouse:
    def build(
        *routes: AnyRoute, limits: Limits | None = None, requests: Room | None = None, answers: Room | None = None
    ) -> House:
        return House(routes, limits or Limits(), requests, answers)

    return build


def get(path: str = "/", extra: bytes = b"", method: str = "GET") -> bytes:
    return b"%b %b HTTP/1.1\r\nHost: mgate\r\n%b\r\n" % (method.encode(), path.encode(), extra)


def post(path: str = "/", body: bytes = b"{}", extra: bytes = b"", method: str = "POST") -> bytes:
    return get(path, b"Content-Length: %d\r\n%b" % (len(body), extra), method) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def open_stream(path: str = "/stream", extra: bytes = b"") -> bytes:
    return get(path, b"Transfer-Encoding: chunked\r\n" + extra, "POST")


def split(data: bytes) -> list[tuple[int, bytes]]:
    """Every answer in ``data`` as (status, body), but for 100; a chunked one, ended or not, as far as it goes."""
    found = []
    while data:
        head, mark, rest = data.partition(b"\r\n\r\n")
        assert mark, f"no end of header in {head!r}"
        status = int(head.split(b" ")[1])
        length = re.search(rb"Content-Length: (\d+)", head)
        if length is not None:
            size = int(length[1])
            assert len(rest) >= size, "a body that is shorter than it says"
            found.append((status, rest[:size]))
            data = rest[size:]
        elif b"chunked" in head:
            body, data = unchunk(rest)
            found.append((status, body))
        else:
            assert status in {100, 204}, "an answer without a length"
            data = rest
    return found


def unchunk(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        octets = int(size, 16)
        body += rest[:octets]
        data = rest[octets + 2 :]
        if octets == 0:
            break
    return body, data
