"""UNIX sockets on the real reactor: what is said at once arrives at once, in order, and ends are heard."""

from __future__ import annotations

import array
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, cast

import pytest
import pytest_twisted
from twisted.internet import protocol
from twisted.internet import reactor as installed
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from mgate.net.bounds import Wire
from mgate.net.local import listen
from tests.integration.test_push_socket import on_the_reactor


class SoonWire(Wire, Protocol):
    """A ``local.Server`` as typed as it can be."""

    def write_at_once(self, data: bytes) -> None: ...


@implementer(IHalfCloseableProtocol)
class Noting(protocol.Protocol):
    """Notes what it hears, and does with it what the test says."""

    def __init__(self, hear: Callable[[Noting, bytes], None]) -> None:
        self.notes: list[bytes] = []
        self._hear = hear

    @property
    def wire(self) -> SoonWire:
        return cast("SoonWire", self.transport)

    def dataReceived(self, data: bytes) -> None:
        self.notes.append(data)
        self._hear(self, data)

    def readConnectionLost(self) -> None:  # Twisted's name
        self.notes.append(b"<half>")
        self.wire.loseConnection()

    def writeConnectionLost(self) -> None:  # Twisted's name
        pass

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.notes.append(b"<lost>")


class Making(Factory):
    """Makes what it is told to."""

    noisy = False

    def __init__(self, make: Callable[[], Noting]) -> None:
        self._make = make

    def buildProtocol(self, addr: IAddress | None) -> Noting:
        return self._make()


class Loop:
    """A port on the real reactor and a socket to it."""

    def __init__(self, path: Path) -> None:
        self.reactor = cast("AsyncioSelectorReactor", installed)
        self.made: list[Noting] = []
        self.hear: Callable[[Noting, bytes], None] = lambda _protocol, _data: None
        self.port = listen(self.reactor, path, Making(self._make), 5, 0o600)
        self.client = socket.socket(socket.AF_UNIX)
        self.client.connect(str(path))
        self.client.setblocking(False)

    def _make(self) -> Noting:
        self.made.append(Noting(lambda protocol, data: self.hear(protocol, data)))
        return self.made[-1]

    @property
    def server(self) -> Noting:
        return self.made[0]

    @property
    def waits_to_write(self) -> bool:
        return self.server.wire in self.reactor.getWriters()

    async def turn(self, times: int = 3) -> None:
        """So many rounds of the reactor pass."""
        for _ in range(times):
            await deferLater(self.reactor, 0)

    async def close(self) -> None:
        self.client.close()
        stopped = self.port.stopListening()
        if stopped is not None:
            await stopped
        await self.turn()


@pytest.fixture
def loop() -> Iterator[Loop]:
    with TemporaryDirectory(prefix="mg") as folder:
        running = Loop(Path(folder) / "s")
        pytest_twisted.blockon(Deferred.fromCoroutine(running.turn()))
        yield running
        pytest_twisted.blockon(Deferred.fromCoroutine(running.close()))


@on_the_reactor
async def test_an_answer_has_been_sent_when_the_reading_ends(loop: Loop) -> None:
    loop.hear = lambda protocol, data: protocol.wire.write_at_once(data.upper())
    loop.client.send(b"ask")
    await loop.turn(1)
    assert loop.client.recv(100) == b"ASK"
    assert not loop.waits_to_write


@on_the_reactor
async def test_what_the_socket_does_not_take_follows_in_order(loop: Loop) -> None:
    pieces = [bytes([letter]) * 100_000 for letter in b"abcdefghij"]
    await loop.turn()
    for number, piece in enumerate(pieces):
        (loop.server.wire.write if number == 7 else loop.server.wire.write_at_once)(piece)
    received = b""
    for _ in range(100):
        await loop.turn(1)
        try:
            received += loop.client.recv(1_000_000)
        except BlockingIOError:
            break
    assert received == b"".join(pieces)
    loop.server.wire.write_at_once(b"on")
    assert loop.client.recv(100) == b"on", "the buffer is empty again, and nobody waits for it"


@on_the_reactor
async def test_what_is_said_behind_a_buffered_answer_waits_for_it(loop: Loop) -> None:
    loop.server.wire.write(b"first ")
    loop.server.wire.write_at_once(b"second")
    with pytest.raises(BlockingIOError):
        loop.client.recv(100)
    await loop.turn(1)
    assert loop.client.recv(100) == b"first second"


@on_the_reactor
async def test_an_answer_at_once_is_heard_before_the_end(loop: Loop) -> None:
    loop.server.wire.write_at_once(b"good")
    loop.server.wire.loseConnection()
    loop.server.wire.write_at_once(b"bye")
    await loop.turn()
    assert loop.client.recv(100) == b"goodbye"
    assert loop.client.recv(100) == b""
    assert loop.server.notes == [b"<lost>"]


@on_the_reactor
async def test_the_ends_of_a_client_are_heard(loop: Loop) -> None:
    loop.client.send(b"last")
    loop.client.shutdown(socket.SHUT_WR)
    await loop.turn()
    assert loop.server.notes == [b"last", b"<half>", b"<lost>"]


@on_the_reactor
async def test_writing_to_a_client_that_has_gone_is_an_end_and_no_error(loop: Loop) -> None:
    loop.client.close()
    loop.server.wire.write_at_once(b"x")
    await loop.turn()
    assert loop.server.notes[-1] == b"<lost>"
    loop.server.wire.write_at_once(b"y")
    assert not loop.waits_to_write


@on_the_reactor
async def test_a_paused_connection_is_not_read_until_it_is_resumed(loop: Loop) -> None:
    loop.server.wire.pauseProducing()
    loop.client.send(b"one")
    await loop.turn()
    assert loop.server.notes == []
    loop.server.wire.resumeProducing()
    await loop.turn()
    loop.client.send(b"two")
    await loop.turn()
    assert loop.server.notes == [b"one", b"two"]


@on_the_reactor
async def test_a_fault_of_ours_ends_the_connection_and_not_the_loop(loop: Loop) -> None:
    def fail(_protocol: Noting, _data: bytes) -> None:
        raise ZeroDivisionError

    loop.hear = fail
    loop.client.send(b"x")
    await loop.turn()
    assert loop.server.notes == [b"x", b"<lost>"]


def descriptors_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@on_the_reactor
async def test_a_descriptor_that_comes_along_is_dropped(loop: Loop) -> None:
    before = descriptors_open()
    loop.client.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [loop.client.fileno()]))])
    await loop.turn()
    assert loop.server.notes == [b"x"]
    assert descriptors_open() == before


@on_the_reactor
async def test_a_read_goes_by_no_log_context(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("the detour is back: see the callback that the reactor sets")

    monkeypatch.setattr("twisted.internet.asyncioreactor.callWithLogger", refuse)
    loop.server.wire.pauseProducing()
    loop.server.wire.resumeProducing()
    loop.client.send(b"x")
    await loop.turn()
    assert loop.server.notes == [b"x"]
