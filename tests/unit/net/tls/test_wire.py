"""The coat of TLS, both ends of it in memory: what passes, what waits, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mgate.net.tls import Identity, Prelude, TlsRefused, Word
from mgate.net.tls.wire import HANDSHAKE_LIMIT, TlsWire
from tests.conformance.tls import Bank, bank

__all__ = ["bank"]


class Tcp:
    """One end of a TCP connection."""

    disconnecting = False

    def __init__(self) -> None:
        self.written = b""
        self.aborted = self.half_closed = self.paused = False

    def value(self) -> bytes:
        """What was written since the last time."""
        octets, self.written = self.written, b""
        return octets

    def write(self, data: bytes) -> None:
        self.written += data

    def getPeer(self) -> IPv4Address:  # Twisted's names, all of these
        return IPv4Address("TCP", "192.0.2.7", 40000)

    def setTcpNoDelay(self, enabled: bool) -> None: ...  # noqa: N802

    def loseConnection(self) -> None:
        self.disconnecting = True

    def loseWriteConnection(self) -> None:  # noqa: N802
        self.half_closed = True

    def abortConnection(self) -> None:
        self.aborted = True

    def registerProducer(self, producer: object, streaming: bool) -> None: ...

    def unregisterProducer(self) -> None: ...

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False


class Talk(Protocol):
    """What is within: it keeps what it hears, and why it ended."""

    def __init__(self) -> None:
        self.made = 0
        self.heard: list[bytes] = []
        self.ended: Failure | None = None

    def connectionMade(self) -> None:
        self.made += 1

    def dataReceived(self, data: bytes) -> None:
        self.heard.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended = reason


class Line:
    """A client and a server of one bank, and what is between them."""

    def __init__(self, bank: Bank, prelude: Prelude | None = None) -> None:
        self.clock = Clock()
        self.refused: list[Word] = []
        identity = Identity(bank.tls(), self.clock, time.time, lambda seen: self.refused.append(seen.refusal.word))
        self.client, self.server = Talk(), Talk()
        self.outer, self.inner = Tcp(), Tcp()
        asks = identity.handshake("localhost", "localhost:1", lambda peer: _factory(lambda: self.client))
        self.calling = identity.wire(asks, prelude)
        listening = identity.listen(lambda peer: _factory(lambda: self.server))
        called = listening.buildProtocol(None)
        assert called is not None
        self.called: TlsWire = called
        self.listening = listening
        self.results: list[object] = []
        self.calling.opened.addBoth(self.results.append)

    def connect(self) -> None:
        begin(self.calling, self.outer)
        begin(self.called, self.inner)
        self.carry()

    def carry(self, piece: int = 1 << 30) -> None:
        """Carry what was written across, in pieces of this size, until nothing is left."""
        while self.outer.written or self.inner.written:
            for source, target in ((self.outer, self.called), (self.inner, self.calling)):
                octets = source.value()
                for start in range(0, len(octets), piece):
                    target.dataReceived(octets[start : start + piece])


def begin(wire: TlsWire, tcp: Tcp) -> None:
    wire.makeConnection(tcp)  # type: ignore[no-untyped-call]  # Twisted's


def _factory(make: Callable[[], Protocol]) -> Factory:
    return Factory.forProtocol(make)


@pytest.fixture
def line(bank: Bank) -> Line:
    return Line(bank)


def test_what_is_said_arrives_whole_however_it_is_cut(bank: Bank) -> None:
    line = Line(bank)
    begin(line.calling, line.outer)
    begin(line.called, line.inner)
    line.carry(piece=1)
    line.calling.write(b"a" * 100_000)
    line.carry(piece=777)
    line.called.writeSequence([b"b", b"", b"c"])
    line.carry(piece=1)
    assert b"".join(line.server.heard) == b"a" * 100_000
    assert b"".join(line.client.heard) == b"bc"


def test_nobody_is_made_before_the_handshake_is_done(line: Line) -> None:
    begin(line.calling, line.outer)
    assert (line.client.made, line.results) == (0, [])
    begin(line.called, line.inner)
    line.carry()
    assert (line.client.made, line.results) == (1, [line.client])
    assert line.listening.handshakes == set()


def test_what_came_with_the_last_word_of_the_handshake_is_heard(line: Line) -> None:
    line.client.connectionMade = lambda: line.calling.write(b"at once")  # type: ignore[method-assign]  # a test's
    line.connect()
    assert line.server.heard == [b"at once"]


def test_several_records_of_one_read_are_heard_as_one(line: Line) -> None:
    line.connect()
    for word in (b"one ", b"two ", b"three"):
        line.calling.write(word)
    line.carry()
    assert line.server.heard == [b"one two three"]


def test_an_end_in_order_is_told_to_both_as_such(line: Line) -> None:
    line.connect()
    line.calling.loseConnection()
    line.carry()
    assert line.outer.disconnecting
    assert line.inner.disconnecting
    for wire, talk in ((line.calling, line.client), (line.called, line.server)):
        wire.connectionLost(Failure(ConnectionDone()))
        assert talk.ended is not None
        assert talk.ended.check(ConnectionDone)


def test_an_end_without_farewell_is_told_as_a_loss(line: Line) -> None:
    line.connect()
    line.called.connectionLost(Failure(ConnectionDone()))
    assert line.server.ended is not None
    assert line.server.ended.check(ConnectionLost)


def test_farewell_waits_for_who_still_produces(line: Line) -> None:
    line.connect()
    line.calling.registerProducer(object(), True)
    line.calling.loseConnection()
    assert not line.outer.disconnecting
    line.calling.write(b"the rest")
    line.calling.unregisterProducer()
    line.carry()
    assert line.server.heard == [b"the rest"]
    assert line.outer.disconnecting


def test_half_of_it_can_be_closed_and_the_other_half_heard(line: Line) -> None:
    line.connect()
    line.called.loseWriteConnection()
    octets = line.inner.value()
    assert line.inner.half_closed
    line.calling.write(b"still here")
    line.carry()
    assert line.server.heard == [b"still here"]
    line.calling.dataReceived(octets)
    assert line.outer.disconnecting


def test_pauses_are_those_of_tcp(line: Line) -> None:
    line.connect()
    line.called.pauseProducing()
    assert line.inner.paused
    line.called.resumeProducing()
    assert not line.inner.paused


def test_a_handshake_that_takes_too_long_is_dropped(line: Line) -> None:
    begin(line.calling, line.outer)
    line.clock.advance(HANDSHAKE_LIMIT + 0.1)
    assert line.outer.aborted
    [failure] = line.results
    assert isinstance(failure, Failure)
    assert failure.check(TlsRefused)
    assert line.refused == [Word.OTHER]


def test_a_handshake_that_ended_leaves_no_timer(line: Line) -> None:
    line.connect()
    assert line.clock.getDelayedCalls() == []


def test_who_waits_may_give_up(line: Line) -> None:
    begin(line.calling, line.outer)
    line.calling.opened.cancel()
    assert line.outer.aborted
    line.calling.connectionLost(Failure(ConnectionLost()))
    assert line.refused == []


def test_a_listener_that_closes_drops_who_has_not_shown_who_he_is(line: Line) -> None:
    begin(line.called, line.inner)
    line.listening.abort()
    assert line.inner.aborted
    assert line.listening.handshakes == set()


def test_garbage_is_refused_and_named(line: Line) -> None:
    begin(line.called, line.inner)
    line.called.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert line.refused == [Word.OTHER]
    assert line.server.made == 0
    assert line.inner.disconnecting


def test_garbage_after_the_handshake_ends_it(line: Line) -> None:
    line.connect()
    line.called.dataReceived(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    assert line.inner.aborted
    line.called.connectionLost(Failure(ConnectionLost()))
    assert line.server.ended is not None
    assert line.server.ended.check(TlsRefused)
    assert line.server.heard == []


def test_nothing_is_said_after_the_end(line: Line) -> None:
    line.connect()
    line.calling.loseConnection()
    line.carry()
    line.calling.write(b"too late")
    assert line.outer.value() == b""
