"""The gate: clients on other machines come to their doors over TLS, known by their certificates.

Whoever comes shows a certificate of the bank's authority; the names in it, or its fingerprint, lead to one client's
door, which is the one behind its socket. Until then, and for everybody else, there is no HTTP: not an octet is read or
said. A connection stands for as long as its certificate does, and no longer than the configuration and the revocation
list allow it to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort, IProtocolFactory
from twisted.internet.protocol import Factory

from mgate.config import Push
from mgate.config.mtls import Address
from mgate.daemon.sockets import BACKLOG, SocketError
from mgate.net.guests import Guests
from mgate.net.http import Connection, Listener
from mgate.net.local import listen_tcp
from mgate.net.peers import Peer as Known
from mgate.net.tls import Identity, Peer, TlsRefused, Word
from mgate.net.tls.identity import Listening
from mgate.net.tls.wire import TlsWire
from mgate.telemetry import Event, Log, TlsNumbers

LOOK: Final = 30.0
"""Seconds between two looks at the connections that stand."""

_MOST_NOTED: Final = 4096


class Gate:
    """Opens and closes the ports, and leads each peer to its client's listener.

    Args:
        listeners: every client's, at this moment.
        identity_of: the identity of a section [tls.NAME]; None for one that there is not.

    Attributes:
        entrance: what its ports give their connections to.
    """

    def __init__(
        self,
        push: Push,
        listeners: Callable[[], Mapping[str, Listener]],
        identity_of: Callable[[str], Identity | None],
        reactor: AsyncioSelectorReactor,
        numbers: TlsNumbers,
        log: Log,
    ) -> None:
        self._listeners = listeners
        self._identity_of = identity_of
        self._reactor = reactor
        self._log = log
        self._ports: dict[Address, IListeningPort] = {}
        self.entrance = Entrance(numbers)
        self._peers: dict[str, Peer] = {}
        self._noted: dict[tuple[str, str], None] = {}
        self._leaving: set[Connection] = set()
        self._next_look: IDelayedCall | None = None
        self._take(push)

    # ---- the day ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open every port.

        Raises:
            SocketError: said for the operator.
        """
        for address in self._mtls.listen:
            self._open(address)
        self._next_look = self._reactor.callLater(LOOK, self._look_again)

    def apply(self, push: Push) -> None:
        """Go on by these settings, and by what the files of the identity are now. What may stand, stands.

        Raises:
            SocketError: of every port that could not be opened; all else was done.
        """
        self._take(push)
        for address in self._ports.keys() - set(self._mtls.listen):
            self._close(address)
        wrong: list[str] = []
        for address in self._mtls.listen:
            try:
                if address not in self._ports:
                    self._open(address)
            except SocketError as error:
                wrong.append(str(error))
        self.look()
        if wrong:
            raise SocketError("\n".join(wrong))

    def stop_listening(self) -> list[Deferred[object]]:
        """Close every port, and drop who has not shown who he is; connections stay."""
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        self.entrance.close()
        return [maybeDeferred(port.stopListening) for port in self._ports.values()]

    def look(self) -> None:
        """End what may stand no longer: at once what is revoked, the rest when it has had time to end by itself."""
        standing: set[str] = set()
        leaving: set[Connection] = set()
        for client, connection in list(self._guests()):
            peer = self._peers[connection.peer.certificate]
            standing.add(peer.fingerprint)
            refusal = self._refusal(client, peer)
            if refusal is None:
                continue
            if connection not in self._leaving:
                self._log(
                    Event.CLIENT_DISMISSED, client=client, certificate=peer.fingerprint, reason=refusal.word.value
                )
            if connection in self._leaving or refusal.word is Word.REVOKED:
                connection.abort()
            else:
                leaving.add(connection)
                connection.drain()
        self._leaving = leaving
        self._peers = {fingerprint: peer for fingerprint, peer in self._peers.items() if fingerprint in standing}

    # ---- what is shown ---------------------------------------------------------------------------------------------

    @property
    def addresses(self) -> Sequence[Address]:
        """Where it listens."""
        return list(self._ports)

    @property
    def identity(self) -> str:
        """NAME of the section [tls.NAME] that it shows itself by; empty for none."""
        return self._mtls.tls

    @property
    def handshakes(self) -> int:
        """How many have not shown who they are."""
        return self.entrance.underway

    # ---- who comes -------------------------------------------------------------------------------------------------

    def _admit(self, peer: Peer) -> IProtocolFactory | None:
        """The factory of its client's connections.

        Raises:
            TlsRefused: it names two clients.
        """
        client = self._client_of(peer)
        listener = self._listeners().get(client)
        if listener is None:
            return None
        self._peers[peer.fingerprint] = peer
        self._note(client, peer)
        return Guests(listener, Known(-1, -1, -1, peer.fingerprint))

    def _client_of(self, peer: Peer) -> str:
        """The client that it names; empty for none.

        Raises:
            TlsRefused: it names two.
        """
        names = (*peer.names, peer.fingerprint)
        found = sorted({self._clients[name] for name in names if name in self._clients})
        if len(found) > 1:
            detail = (
                f'"{peer.subject}" names the clients {" and ".join(found)}; take its names from all but one of them'
            )
            raise TlsRefused(Word.UNKNOWN_PEER, detail)
        return found[0] if found else ""

    def _refusal(self, client: str, peer: Peer) -> TlsRefused | None:
        """Why it may not go on as this client; None when it may."""
        try:
            if self._client_of(peer) != client:
                return TlsRefused(Word.UNKNOWN_PEER, "its certificate does not lead to this client any more")
        except TlsRefused as refusal:
            return refusal
        return self._identity.refuses(peer) if self._identity is not None else None

    def _note(self, client: str, peer: Peer) -> None:
        """Say once in a while by which certificate a client comes, and not once a connection."""
        if (client, peer.fingerprint) not in self._noted:
            if len(self._noted) >= _MOST_NOTED:
                self._noted.clear()
            self._noted[client, peer.fingerprint] = None
            self._log(Event.CLIENT_CAME, client=client, peer=peer.subject, certificate=peer.fingerprint)

    def _guests(self) -> Iterator[tuple[str, Connection]]:
        for client, listener in self._listeners().items():
            for connection in listener.connections:
                if connection.peer.certificate:
                    yield client, connection

    # ---- ports -----------------------------------------------------------------------------------------------------

    def _take(self, push: Push) -> None:
        self._mtls = push.mtls
        self._clients = {name: client.name for client in push.clients for name in client.certificates}
        self._identity = self._identity_of(push.mtls.tls) if push.mtls.tls else None
        self.entrance.apply(self._identity, self._admit, push.mtls.handshakes)

    def _open(self, address: Address) -> None:
        try:
            port = listen_tcp(self._reactor, address.host, address.port, self.entrance, BACKLOG)
        except CannotListenError as error:
            why = error.socketError
            raise SocketError(
                f"{address}: {getattr(why, 'strerror', None) or why}; is the port free, and the address this machine's?"
            ) from error
        self._ports[address] = port
        self._log(Event.SOCKET_OPENED, path=str(address))

    def _close(self, address: Address) -> None:
        maybeDeferred(self._ports.pop(address).stopListening)
        self._log(Event.SOCKET_CLOSED, path=str(address))

    def _look_again(self) -> None:
        self._next_look = self._reactor.callLater(LOOK, self._look_again)
        self.look()


class Entrance(Factory):
    """What the ports give their connections to: the identity of the moment, and a bound on those who say nothing.

    Of more than `limit` handshakes the one that has waited longest is dropped: a real one takes some milliseconds.
    """

    noisy = False

    def __init__(self, numbers: TlsNumbers) -> None:
        self._numbers = numbers
        self._listening: Listening | None = None
        self._identity: Identity | None = None
        self._limit = 1
        self._waiting: dict[TlsWire, None] = {}

    @property
    def underway(self) -> int:
        """How many handshakes are under way."""
        return len(self._listening.handshakes) if self._listening is not None else 0

    def apply(self, identity: Identity | None, admit: Callable[[Peer], IProtocolFactory | None], limit: int) -> None:
        """Go on by this identity; None: nobody comes in."""
        self._limit = limit
        if identity is not self._identity:
            self._identity = identity
            self._listening = identity.listen(admit, self._count) if identity is not None else None

    def _count(self, handshakes: int) -> None:
        self._numbers.handshakes.n = handshakes

    def close(self) -> None:
        """Drop who has not shown who he is."""
        if self._listening is not None:
            self._listening.abort()

    def buildProtocol(self, addr: IAddress | None) -> TlsWire | None:
        if self._listening is None:
            return None
        wire = self._listening.buildProtocol(addr)
        if wire is None:
            return None
        underway = self._listening.handshakes
        self._waiting = {each: None for each in (*self._waiting, wire) if each in underway}
        if len(underway) > self._limit:
            next(iter(self._waiting)).opened.cancel()
        return wire
