"""One identity: the files of a section [tls.NAME], and every way to speak TLS by them."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, ServerFactory
from zope.interface import implementer

from mgate.config.tls import REFUSE, Tls
from mgate.net.tls.contexts import Contexts, check_dates, make_contexts, ours_refused, partial_chain, verified_chain
from mgate.net.tls.copies import Copies, Copy
from mgate.net.tls.files import Material, Problem, Stamp, read_material, stamps
from mgate.net.tls.refusal import Seen, TlsRefused, Told, Word, refusal_of
from mgate.net.tls.survey import CertificateView, Peers, views_of
from mgate.net.tls.wire import HANDSHAKE_LIMIT, Prelude, TlsWire
from mgate.net.tls.words import common_name, fingerprint, names_of

__all__ = ["Identity", "Peer", "Problem"]


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, by the certificate that was verified.

    Attributes:
        names: its subjectAltName: ``dns:core.bank.example``, ``uri:spiffe://...``, ``ip:10.0.0.5``.
        fingerprint: ``sha256:`` and 64 hexadecimal digits.
        subject: its common name, for people; nothing is decided by it.
        chain: as it was verified, its own certificate first, the root last.
    """

    names: tuple[str, ...]
    fingerprint: str
    subject: str
    chain: tuple[x509.Certificate, ...] = field(default=(), repr=False)


FactoryFor = Callable[[Peer], IProtocolFactory | None]


class Identity:
    """One section [tls.NAME], read, checked, and read again when its files change.

    An identity whose files cannot be used is still an identity: every connection by it is refused, and ``problems``
    says why, until the files are mended. So one bad certificate stops one link, and nothing else.

    Args:
        wall: seconds since 1970; ``told`` hears of every refusal.
        copies: where copies of the files may stand; None where no driver asks for any.

    Attributes:
        problems: what is wrong with the files as they are now; connections may still go by those of before.
        readings: how often files have been taken up: as long as it stays, connections go by the very same.
    """

    def __init__(
        self, tls: Tls, reactor: IReactorTime, wall: Callable[[], float], told: Told, copies: Copies | None = None
    ) -> None:  # fmt: skip
        self.tls = tls
        self.problems: tuple[Problem, ...] = ()
        self.readings = 0
        self._reactor = reactor
        self._wall = wall
        self._told = told
        self._contexts: Contexts | None = None
        self._copies = copies
        self._copy: Copy | None = None
        self._stamps: dict[Path, Stamp | None] = {}
        self._peers = Peers(tls.name)
        self.reload()

    # ---- the files ----

    @property
    def name(self) -> str:
        """NAME of the section."""
        return self.tls.name

    @property
    def usable(self) -> bool:
        """Whether connections can be made at all."""
        return self._contexts is not None

    def changed(self) -> bool:
        """Whether a file is another than at the last reading, or there was something wrong with one."""
        return stamps(self.tls) != self._stamps

    def reload(self, tls: Tls | None = None) -> list[str]:
        """Read the files, by other settings if there are any. New connections go by them from now on; those that stand
        are not touched. With any problem the old contexts stay in use, and the problems are the answer."""
        self.tls = tls or self.tls
        before = stamps(self.tls)
        material = read_material(self.tls, self._wall())
        contexts, problems = self._make(material)
        if stamps(self.tls) != before:
            # The next look reads them again.
            before = {}
            problems = (*problems, self._problem(Word.OTHER, "the files changed while they were read"))
        self._stamps = before
        self.problems = problems
        if contexts is not None and (not problems or self._contexts is None):
            self._contexts = contexts
            self.readings += 1
            self.close()
        return [str(problem) for problem in problems]

    def close(self) -> None:
        """The copies that stand are no longer in use."""
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.retire()

    def _make(self, material: Material) -> tuple[Contexts | None, tuple[Problem, ...]]:
        if not material.usable:
            return None, material.problems
        try:
            return make_contexts(self.tls, material), material.problems
        except (ssl.SSLError, OSError) as error:
            return None, (*material.problems, self._problem(*ours_refused(error)))

    def _problem(self, word: Word, text: str) -> Problem:
        return Problem(word, f"[tls.{self.name}]: {text}")

    def survey(self) -> Sequence[CertificateView]:
        """Everything that ends one day: of the files in use, and of the peers as they were last seen."""
        own = views_of(self.tls, self._contexts.material) if self._contexts is not None else ()
        return (*own, *self._peers.views())

    # ---- links ----

    def client(self, endpoint: IStreamClientEndpoint, host: str, prelude: Prelude | None = None) -> Client:
        """The same way with TLS around it. ``host``, a name or an address, must stand in the peer's certificate.

        Connecting fails with `TlsRefused`; the protocol is made when all is checked.
        """
        return Client(self, endpoint, host, prelude)

    def listen(self, factory_for: FactoryFor, underway: Callable[[int], None] | None = None) -> Listening:
        """A factory to listen with: asks for each verified peer which factory makes its protocol; None drops it.

        Whoever gives the factories starts and stops them (``doStart``), for no port does.

        Args:
            underway: told how many handshakes are under way, whenever that changes.
        """
        return Listening(self, factory_for, underway or _nobody)

    @contextmanager
    def libpq(self) -> Iterator[dict[str, str]]:
        """Connection parameters for libpq 16 or later (PostgreSQL documentation, "Parameter Key Words"), with files
        that stay until this is left: those that were found right, whatever lies in the folders of [tls.NAME] now.

        What it lets through is for `probe`: a CN where there is no subjectAltName, stale lists within the grace.

        Raises:
            TlsRefused: our own files are not fit.
            OSError: the copies cannot be written.
        """
        with self._copied().lend() as places:
            found = {
                "sslmode": "verify-full",
                "sslrootcert": str(places["authority"]),
                "ssl_min_protocol_version": "TLSv1.2",
                # GSS encryption would be tried first, and go past all of this.
                "gssencmode": "disable",
                "sslcertmode": "require" if "certificate" in places else "disable",
            }
            if "certificate" in places:
                found |= {"sslcert": str(places["certificate"]), "sslkey": str(places["key_file"])}
            if "crl" in places and self.tls.stale_crl == REFUSE:
                found["sslcrl"] = str(places["crl"])
            yield found

    def _copied(self) -> Copy:
        contexts = self._in_use()
        if self._copies is None:
            raise LookupError(f"[tls.{self.name}]: nobody said where copies may stand")
        if self._copy is None or not self._copy.whole:
            self.close()
            self._copy = self._copies.make(self.name, contexts.material.files)
        return self._copy

    def _in_use(self) -> Contexts:
        if self._contexts is None:
            raise TlsRefused(Word.OTHER, "our own files are at fault: " + "; ".join(map(str, self.problems)))
        return self._contexts

    async def probe(self, reactor: object, host: str, port: int, starttls: Prelude | None = None) -> Peer:
        """Connect, shake hands, check everything, and close, without a word of any protocol within.

        Raises:
            TlsRefused: the peer is not right.
            twisted.internet.error.ConnectError: there is nobody.
        """
        endpoint = HostnameEndpoint(reactor, host, port, timeout=HANDSHAKE_LIMIT)
        met: list[Peer] = []
        client = Client(self, endpoint, host, starttls, met.append)
        await client.connect(Factory.forProtocol(_Farewell))
        return met[0]

    # ---- for handshakes ----

    def handshake(self, host: str, place: str, factory_for: FactoryFor) -> Handshake:
        """Begin one: with ``host`` as a client, without as a server.

        Raises:
            TlsRefused: the files are not fit for it.
        """
        contexts = self._in_use()
        context = contexts.client if host else contexts.server
        if context is None:
            raise TlsRefused(Word.NO_CERTIFICATE, f"[tls.{self.name}] has no certificate to listen with")
        return Handshake(self, contexts, context, host, place, factory_for)

    def judge(self, handshake: Handshake) -> Peer:
        """Look at what OpenSSL does not look at.

        Raises:
            TlsRefused: it is not right.
        """
        now = self._wall()
        chain = verified_chain(handshake.contexts, handshake.tls, now)
        handshake.contexts.material.revocation.check(chain, now)
        self._peers.saw(handshake.place, chain, now)
        leaf = chain[0]
        return Peer(names_of(leaf), fingerprint(leaf), common_name(leaf.subject).strip('"'), chain)

    def refuses(self, peer: Peer) -> TlsRefused | None:
        """Why a peer that was let in would not be now, by its dates and the lists of today; None when it would be."""
        now, contexts = self._wall(), self._contexts
        try:
            check_dates(peer.chain, now)
            if contexts is not None:
                contexts.material.revocation.check(peer.chain, now)
        except TlsRefused as refusal:
            return refusal
        return None

    def tell(self, peer: str, refusal: TlsRefused) -> None:
        """A handshake was refused."""
        self._told(Seen(self.name, peer, refusal))

    def wire(self, handshake: Handshake, prelude: Prelude | None = None) -> TlsWire:
        """The coat of one connection."""
        return TlsWire(handshake, self._reactor, prelude)


class Handshake:
    """See `wire.Handshake`."""

    def __init__(
        self, identity: Identity, contexts: Contexts, context: ssl.SSLContext, host: str, place: str,
        factory_for: FactoryFor,
    ) -> None:  # fmt: skip
        self.contexts = contexts
        self.place = place
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=not host, server_hostname=host or None)
        self._identity = identity
        self._host = host
        self._factory_for = factory_for

    def failed(self, error: ssl.SSLError) -> TlsRefused:
        """What an error of OpenSSL means."""
        return refusal_of(error, partial_chain(self.tls), self.contexts.intermediates, self._host)

    def admit(self, address: IAddress) -> IProtocol:
        """See `wire.Handshake`."""
        peer = self._identity.judge(self)
        factory = self._factory_for(peer)
        protocol = factory.buildProtocol(address) if factory is not None else None
        if protocol is None:
            known_by = ", ".join((*peer.names, peer.fingerprint))
            raise TlsRefused(Word.UNKNOWN_PEER, f'"{peer.subject}" is nobody whom we let in; it is known by {known_by}')
        return protocol

    def refused(self, refusal: TlsRefused, address: IAddress) -> None:
        """It came to nothing."""
        self._identity.tell(self.place or f"{getattr(address, 'host', '?')}", refusal)


@implementer(IStreamClientEndpoint)
class Client:
    """A way to a peer, with TLS around it. ``met`` hears of whom a handshake found."""

    def __init__(
        self, identity: Identity, endpoint: IStreamClientEndpoint, host: str, prelude: Prelude | None = None,
        met: Callable[[Peer], None] | None = None,
    ) -> None:  # fmt: skip
        self._identity = identity
        self._endpoint = endpoint
        self._host = host
        self._prelude = prelude
        self._met = met

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803  # Twisted's name
        """Connect, shake hands, check; fires with the protocol, made by then."""

        def factory_for(peer: Peer) -> IProtocolFactory:
            if self._met is not None:
                self._met(peer)
            return protocolFactory

        try:
            handshake = self._identity.handshake(self._host, self._place(), factory_for)
        except TlsRefused as refusal:
            return fail(refusal)
        wires = _One(self._identity.wire(handshake, self._prelude))
        return self._endpoint.connect(wires).addCallback(lambda _: wires.wire.opened)

    def _place(self) -> str:
        """Where it is, for people: one host may have several services."""
        port = getattr(self._endpoint, "_port", "")
        return f"{self._host}:{port}" if port else self._host


class _Farewell(Protocol):
    """Has nothing to say."""

    def connectionMade(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


class _One(Factory):
    """Gives the one connection its coat."""

    noisy = False

    def __init__(self, wire: TlsWire) -> None:
        self.wire = wire

    def buildProtocol(self, addr: IAddress | None) -> TlsWire:
        return self.wire


class Listening(ServerFactory):
    """Gives each connection that comes in its coat.

    Attributes:
        handshakes: the connections that have not shown who they are.
    """

    noisy = False

    def __init__(self, identity: Identity, factory_for: FactoryFor, underway: Callable[[int], None]) -> None:
        self.handshakes: set[TlsWire] = set()
        self._identity = identity
        self._factory_for = factory_for
        self._underway = underway

    def buildProtocol(self, addr: IAddress | None) -> TlsWire | None:
        """A connection came. None drops it: our own files are at fault."""
        try:
            handshake = self._identity.handshake("", "", self._factory_for)
        except TlsRefused as refusal:
            self._identity.tell(f"{getattr(addr, 'host', '?')}", refusal)
            return None
        wire = self._identity.wire(handshake)
        self.handshakes.add(wire)
        wire.opened.addBoth(self._settled, wire)
        self._underway(len(self.handshakes))
        return wire

    def abort(self) -> None:
        """Drop who has not shown who he is."""
        for wire in tuple(self.handshakes):
            wire.opened.cancel()

    def _settled(self, _: object, wire: TlsWire) -> None:
        self.handshakes.discard(wire)
        self._underway(len(self.handshakes))


def _nobody(count: int) -> None:
    """Nobody wants to know."""
