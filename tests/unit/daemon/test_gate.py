"""The gate: whose certificate leads to which door, what everybody else hears, and how long a connection may stand.

Both ends of TLS stand in memory here, the client's by Python's ssl; the clock is moved by hand.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives import hashes
from msgspec.structs import replace
from twisted.internet.address import IPv4Address
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from mgate.config import Push, PushClient
from mgate.config.mtls import PushMtls
from mgate.config.tls import Tls
from mgate.daemon.gate import LOOK, Gate
from mgate.net.bounds import Limits
from mgate.net.exchange import Request
from mgate.net.http import Listener
from mgate.net.routing import Route, Routes
from mgate.net.tls import Identity, Seen, Word
from mgate.net.tls.wire import TlsWire
from mgate.telemetry import Log, Telemetry
from tests.pki import Authority, Issued, now, put

ASK = b"GET /who HTTP/1.1\r\nHost: mgate\r\n\r\n"
CORE = ("dns:core.bank.example",)


class Client:
    """A program of the bank on another machine, over wires of memory."""

    def __init__(self, bench: Bench, context: ssl.SSLContext) -> None:
        self._bench = bench
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")
        self.heard = b""
        wire = bench.gate.entrance.buildProtocol(IPv4Address("TCP", "10.0.0.9", 50_000))
        assert wire is not None
        self.wire: TlsWire = wire
        self.tcp = _Tcp(bench.clock, wire)
        wire.makeConnection(self.tcp)  # type: ignore[no-untyped-call]  # Twisted's

    def shake(self) -> None:
        """The client's part of the handshake, and the server's."""
        for _ in range(4):
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.pump()
        self.pump()

    def ask(self) -> None:
        """Ask who the server takes us for."""
        self.tls.write(ASK)
        self.pump()

    def pump(self) -> None:
        """Carry what was said, both ways; what came decrypted is in `heard`."""
        if (said := self._out.read()) and self.stands():
            self.wire.dataReceived(said)
        self._in.write(self.tcp.value())  # type: ignore[no-untyped-call]  # Twisted's
        self.tcp.clear()  # type: ignore[no-untyped-call]  # Twisted's
        try:
            while piece := self.tls.read(65_536):
                self.heard += piece
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        except ssl.SSLError:
            pass  # the alert: whoever looks sees that nothing was heard
        self._bench.clock.advance(0)

    def stands(self) -> bool:
        return self.tcp.stands

    @property
    def body(self) -> bytes:
        return self.heard.partition(b"\r\n\r\n")[2]


class _Tcp(StringTransport):
    """As much of a TCP transport as the coat uses; as with TCP, the end of a connection is told a turn later."""

    def __init__(self, clock: Clock, wire: TlsWire) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's
        self.stands = True
        self._clock = clock
        self._wire = wire

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802  # Twisted's name
        """Nothing here is slow."""

    def getHandle(self) -> None:  # noqa: N802  # Twisted's name
        """No socket."""

    def loseConnection(self) -> None:  # Twisted's name
        if self.stands:
            self.stands = False
            self._clock.callLater(0, self._wire.connectionLost, Failure(ConnectionDone()))

    def loseWriteConnection(self) -> None:  # noqa: N802  # Twisted's name
        self.loseConnection()

    def abortConnection(self) -> None:  # Twisted's name
        self.loseConnection()


class Bench:
    """An authority, an identity, two clients with a listener each, and the gate before them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority()
        self.clock = Clock()
        self.began = now().timestamp()
        self.refused: list[Seen] = []
        self.said: list[bytes] = []
        self.numbers = Telemetry("0", {}, ()).tls
        self.authority.write(folder)
        self.authority.issue("mgate.bank.example").write(folder, "mgate")
        put(folder / "crl.pem", self.authority.crl())
        self.identity = self.identity_named("api")
        self.push = Push(
            mtls=PushMtls(tls="api", handshakes=3),
            clients=(self.client("core", *CORE), self.client("cards", "uri:spiffe://bank.example/cards")),
        )
        self.listeners = {name: self.listener(name) for name in ("core", "cards")}
        reactor = cast("AsyncioSelectorReactor", self.clock)
        self.gate = Gate(
            self.push, lambda: self.listeners, {"api": self.identity}.get, reactor, self.numbers, Log(self.said.append)
        )
        self.gate.open()

    def identity_named(self, name: str) -> Identity:
        place = self.folder
        tls = Tls(
            name=name, authority=place / "authority.pem", certificate=place / "mgate.pem", key_file=place / "mgate.key"
        )
        return Identity(replace(tls, crl=place / "crl.pem"), self.clock, self.wall, self.tell)

    def tell(self, seen: Seen) -> None:
        self.refused.append(seen)

    def wall(self) -> float:
        return self.began + self.clock.seconds()

    def client(self, name: str, *certificates: str) -> PushClient:
        return PushClient(name=name, socket=self.folder / f"{name}.sock", certificates=certificates)

    def listener(self, name: str) -> Listener:
        def answer(request: Request) -> None:
            assert request.peer.certificate.startswith("sha256:")
            request.reply(200, f"{name} {request.peer.uid}".encode())

        listener = Listener(Routes([Route("GET", "/who", answer)]), self.clock, Limits(connections=2))
        listener.doStart()  # type: ignore[no-untyped-call]  # Twisted's
        return listener

    def certificate(self, *names: str, **defects: object) -> Issued:
        return self.authority.issue("core.bank.example", names=names, **defects)  # type: ignore[arg-type]  # as given

    def call(self, issued: Issued | None, *protocols: str) -> Client:
        """Connect with this certificate, offer these protocols, and ask."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        context.load_verify_locations(self.folder / "authority.pem")
        if issued is not None:
            files = issued.write(self.folder, "client")
            context.load_cert_chain(files.certificate, files.key)
        client = Client(self, context)
        client.shake()
        client.ask()
        return client

    def wait(self, seconds: float, *clients: Client) -> None:
        for _ in range(int(seconds)):
            self.clock.advance(1.0)
        for client in clients:
            client.pump()

    def words(self) -> list[Word]:
        return [seen.refusal.word for seen in self.refused]

    def apply(self, *clients: PushClient) -> None:
        self.push = replace(self.push, clients=clients)
        self.gate.apply(self.push)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.gate.stop_listening()


@pytest.mark.parametrize(
    ("names", "client"),
    [
        (("dns:core.bank.example",), b"core"),
        (("dns:other.example", "dns:CORE.bank.example"), b"core"),
        (("uri:spiffe://bank.example/cards", "ip:10.0.0.9"), b"cards"),
    ],
)
def test_a_name_in_the_certificate_leads_to_its_client(bench: Bench, names: tuple[str, ...], client: bytes) -> None:
    assert bench.call(bench.certificate(*names)).body == client + b" -1"
    assert bench.words() == []


def test_a_fingerprint_leads_to_its_client(bench: Bench) -> None:
    issued = bench.certificate("dns:nobody.bank.example")
    assert bench.call(issued).heard == b""
    fingerprint = f"sha256:{issued.certificate.fingerprint(hashes.SHA256()).hex()}"
    (seen,) = bench.refused
    assert fingerprint in seen.refusal.detail
    bench.apply(bench.client("cards", fingerprint))
    assert bench.call(issued).body == b"cards -1"


@pytest.mark.parametrize(
    "names",
    [("dns:nobody.bank.example",), ("dns:core.bank.example.evil.example",), ("uri:dns:core.bank.example",),
     ("dns:*.bank.example",), ("dns:bank.example",), ()],
)  # fmt: skip
def test_a_stranger_hears_no_octet_of_http_and_is_told_of(bench: Bench, names: tuple[str, ...]) -> None:
    stranger = bench.call(bench.certificate(*names))
    assert (stranger.heard, stranger.stands()) == (b"", False)
    assert bench.words() == [Word.UNKNOWN_PEER]
    assert all(not listener.connections for listener in bench.listeners.values())


def test_a_certificate_that_names_two_clients_leads_to_none_and_both_are_named(bench: Bench) -> None:
    both = bench.call(bench.certificate("dns:core.bank.example", "uri:spiffe://bank.example/cards"))
    assert (both.heard, both.stands()) == (b"", False)
    (seen,) = bench.refused
    assert "names the clients cards and core" in seen.refusal.detail


def test_the_name_of_a_client_in_the_subject_alone_is_nothing(bench: Bench) -> None:
    assert bench.call(bench.authority.issue("core.bank.example", names=())).heard == b""


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda bench: None, Word.NO_CERTIFICATE),
        (lambda bench: Authority().issue(names=CORE), Word.WRONG_AUTHORITY),
        (lambda bench: bench.certificate(*CORE, usage=("server",)), Word.WRONG_USAGE),
        (lambda bench: bench.certificate(*CORE, ends=now() - timedelta(hours=1)), Word.EXPIRED),
    ],
)
def test_whoever_is_not_of_the_authority_hears_nothing(
    bench: Bench, make: Callable[[Bench], Issued | None], word: Word
) -> None:
    try:
        client = bench.call(make(bench))
    except ssl.SSLError:
        pass  # the alert came before it had asked
    else:
        assert client.heard == b""
    assert bench.words() == [word]


def test_a_client_comes_once_in_the_log_and_its_fingerprint_is_whole(bench: Bench) -> None:
    issued = bench.certificate(*CORE)
    bench.call(issued)
    bench.call(issued)
    came = [line for line in bench.said if b"client_came" in line]
    assert len(came) == 1
    assert b'"client":"core"' in came[0]
    (peer,) = {connection.peer.certificate for connection in bench.listeners["core"].connections}
    assert peer.encode() in came[0]


def test_one_client_has_so_many_connections_and_the_next_is_answered_503(bench: Bench) -> None:
    issued = bench.certificate(*CORE)
    calls = [bench.call(issued) for _ in range(3)]
    assert [call.heard.split()[1] for call in calls] == [b"200", b"200", b"503"]
    assert bench.call(bench.certificate("uri:spiffe://bank.example/cards")).heard.split()[1] == b"200"


def test_a_client_that_asks_is_told_that_this_is_http_1_1(bench: Bench) -> None:
    assert bench.call(bench.certificate(*CORE), "h2", "http/1.1").tls.selected_alpn_protocol() == "http/1.1"
    assert bench.call(bench.certificate(*CORE), "h2").body == b"core -1"


def test_no_session_is_taken_up_again(bench: Bench) -> None:
    client = bench.call(bench.certificate(*CORE))
    assert not client.tls.session_reused
    assert client.tls.session is None or not client.tls.session.has_ticket


# ---- how long a connection stands ----------------------------------------------------------------------------------


def test_a_connection_goes_on_while_everything_stays_as_it_is(bench: Bench) -> None:
    client = bench.call(bench.certificate(*CORE))
    bench.gate.apply(bench.push)
    bench.wait(LOOK * 3)
    client.heard = b""
    client.ask()
    assert client.body == b"core -1"


def test_it_ends_with_its_certificate(bench: Bench) -> None:
    client = bench.call(bench.certificate(*CORE, ends=now() + timedelta(seconds=40)))
    bench.wait(LOOK, client)
    assert client.stands()
    bench.wait(LOOK, client)
    assert not client.stands()
    assert any(b'"reason":"expired"' in line for line in bench.said)


def test_a_revoked_one_ends_at_once_when_the_list_is_read(bench: Bench) -> None:
    issued, other = bench.certificate(*CORE), bench.certificate(*CORE)
    client, good = bench.call(issued), bench.call(other)
    put(bench.folder / "crl.pem", bench.authority.crl([issued]))
    assert bench.identity.reload() == []
    bench.gate.apply(bench.push)
    assert (client.stands(), good.stands()) == (False, True)
    assert any(b'"reason":"revoked"' in line for line in bench.said)
    assert bench.call(issued).heard == b""


def test_a_name_taken_from_a_client_ends_its_connections_and_no_others(bench: Bench) -> None:
    core, cards = bench.call(bench.certificate(*CORE)), bench.call(bench.certificate("uri:spiffe://bank.example/cards"))
    bench.apply(bench.client("core"), bench.push.clients[1])
    assert (core.stands(), cards.stands()) == (False, True)


def test_a_name_given_to_another_client_leads_there_from_then_on(bench: Bench) -> None:
    issued = bench.certificate(*CORE)
    before = bench.call(issued)
    bench.apply(bench.client("core"), bench.client("cards", *CORE))
    assert not before.stands()
    assert bench.call(issued).body == b"cards -1"


def test_another_identity_drops_nobody_and_serves_who_comes_then(bench: Bench) -> None:
    issued = bench.certificate(*CORE)
    before = bench.call(issued)
    bench.authority.issue("mgate2.bank.example").write(bench.folder, "mgate")
    assert bench.identity.reload() == []
    bench.gate.apply(bench.push)
    before.heard = b""
    before.ask()
    after = bench.call(issued)
    assert (before.body, after.body) == (b"core -1", b"core -1")
    subjects = [dict(part[0] for part in call.tls.getpeercert()["subject"]) for call in (before, after)]  # type: ignore[index,misc]  # a peer was verified
    assert [subject["commonName"] for subject in subjects] == ["mgate.bank.example", "mgate2.bank.example"]


# ---- who says nothing ----------------------------------------------------------------------------------------------


def test_whoever_says_nothing_is_dropped_after_ten_seconds(bench: Bench) -> None:
    silent = Client(bench, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    bench.wait(9)
    assert silent.stands()
    bench.wait(2)
    assert not silent.stands()


def test_of_too_many_who_say_nothing_the_oldest_goes_and_a_client_comes_in(bench: Bench) -> None:
    silent = [Client(bench, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) for _ in range(3)]
    assert all(each.stands() for each in silent)
    assert bench.call(bench.certificate(*CORE)).body == b"core -1"
    assert [each.stands() for each in silent] == [False, True, True]
    assert bench.gate.handshakes == 2
