"""Identities against the twelve misuses, as who calls, as who listens, and as who probes a database."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import pytest
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from mgate.net.tls import POSTGRESQL, Identity, Peer, Prelude, TlsRefused, Word
from tests.conformance.tls import HEARD, Bank, Call, CallerClaims, Listen, Listener, ListenerClaims, bank

__all__ = ["bank"]


class Speaker(Protocol):
    """Speaks as soon as it may."""

    def __init__(self) -> None:
        self.over: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"a secret")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.over.callback(None)


class TestCalling(CallerClaims):
    @pytest.fixture
    def call(self, bank: Bank) -> Call:
        identity = Identity(bank.tls(), reactor, time.time, lambda seen: None)

        async def call(port: int) -> Word | None:
            endpoint = HostnameEndpoint(reactor, "127.0.0.1", port)
            try:
                speaker = await identity.client(endpoint, "localhost").connect(Factory.forProtocol(Speaker))
            except TlsRefused as refusal:
                return refusal.word
            assert isinstance(speaker, Speaker)
            await speaker.over
            return None

        return call


class TestProbing(CallerClaims):
    """As before each connection of a driver to PostgreSQL. A probe never says anything itself."""

    @pytest.fixture
    def prelude(self) -> Prelude | None:
        return POSTGRESQL

    @pytest.fixture
    def call(self, bank: Bank) -> Call:
        identity = Identity(bank.tls(), reactor, time.time, lambda seen: None)

        async def call(port: int) -> Word | None:
            try:
                await identity.probe(reactor, "localhost", port, POSTGRESQL)
            except TlsRefused as refusal:
                return refusal.word
            return None

        return call

    test_a_right_server_is_spoken_to = None


class Answerer(Protocol):
    """Answers whatever it hears."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(HEARD)


class TestListening(ListenerClaims):
    @pytest.fixture
    def ports(self) -> Iterator[list[IListeningPort]]:
        opened: list[IListeningPort] = []
        yield opened
        for port in opened:
            port.stopListening()

    @pytest.fixture
    def listen(self, bank: Bank, ports: list[IListeningPort]) -> Listen:
        words: list[Word] = []
        made: list[Answerer] = []
        identity = Identity(bank.tls(), reactor, time.time, lambda seen: words.append(seen.refusal.word))

        def build() -> Answerer:
            made.append(Answerer())
            return made[-1]

        async def listen(names: Sequence[str]) -> Listener:
            def factory_for(peer: Peer) -> Factory | None:
                return Factory.forProtocol(build) if set(names) & set(peer.names) else None

            port = reactor.listenTCP(0, identity.listen(factory_for), interface="127.0.0.1")
            ports.append(port)
            at = port.getHost()
            assert isinstance(at, IPv4Address)
            return Listener(at.port, words, lambda: bool(made), b"hello", HEARD)

        return listen
