"""What every link with TLS must refuse: the twelve misuses, told of whoever calls and of whoever listens.

A link's test module inherits `CallerClaims` or `ListenerClaims` and gives one fixture, which says how that link is
tried against a false peer. The false peer is plain ``ssl`` in a thread, with every safeguard off, and writes down each
octet of application data that reached it. ``Case.NONE`` is the control: a right peer does get to hear something.
"""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from mgate.config.tls import Tls
from mgate.net.tls import Prelude, Word
from tests import pki

LIMIT: Final = 10.0
OURS: Final = ("dns:gateway.bank.example", "dns:localhost", "ip:127.0.0.1")
HEARD: Final = b"heard, and answered"


class Case(Enum):
    """A false peer: what is wrong with it."""

    NONE = "none"
    WRONG_AUTHORITY = "wrong authority"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    REVOKED = "revoked"
    WRONG_NAME = "wrong name"
    NO_SAN = "no subjectAltName, the right CN"
    WRONG_USAGE = "made for the other side only"
    SELF_SIGNED = "self-signed"
    WEAK_KEY = "RSA of 1024 bits"
    OLD_PROTOCOL = "TLS 1.1 at most"
    MISSING_CHAIN = "its intermediate left out"
    KEY_MISMATCH = "a certificate that is another's"


MISUSES: Final[list[Case]] = [case for case in Case if case is not Case.NONE]
CALLED: Final[dict[Case, Word]] = {case: Word(case.name.lower()) for case in MISUSES}
"""What a caller says of each."""

LISTENED: Final[dict[Case, Word]] = CALLED | {Case.WRONG_NAME: Word.UNKNOWN_PEER, Case.NO_SAN: Word.UNKNOWN_PEER}
"""What a listener says: a name is not wrong there, it is nobody's."""


class Shown(NamedTuple):
    """What the false peer shows."""

    issued: pki.Issued
    chain: bool = True
    oldest: bool = False


class Bank:
    """A bank's authority with one intermediate, our identity, and false peers.

    Attributes:
        revoked: the certificate that stands in the revocation lists.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = pki.Authority()
        self.issuing = self.root.below()
        self.authority = self.root.write(folder)
        self.revoked: dict[str, pki.Issued] = {
            side: self.issuing.issue("peer.bank.example", usage=(side,)) for side in pki.BOTH
        }
        self.crl = pki.put(folder / "crl.pem", self.root.crl() + self.issuing.crl(self.revoked.values()))
        self.files = self.issuing.issue("gateway.bank.example", names=OURS).write(folder, "ours")

    def tls(self, name: str = "bank") -> Tls:
        """Our settings."""
        return Tls(
            name=name,
            authority=self.authority,
            certificate=self.files.certificate,
            key_file=self.files.key,
            crl=self.crl,
        )

    def shown(self, case: Case, side: str) -> Shown:
        """What a false peer of this case shows; ``side``: ``server`` or ``client``."""
        issue, now = partial(self.issuing.issue, "localhost"), pki.now()
        usage, other = (side,), tuple(each for each in pki.BOTH if each != side)
        match case:
            case Case.WRONG_AUTHORITY:
                somebody = pki.Authority("Somebody's Root").below("Somebody's Issuing")
                return Shown(somebody.issue("localhost", usage=usage))
            case Case.REVOKED:
                return Shown(self.revoked[side])
            case Case.SELF_SIGNED:
                return Shown(pki.self_signed("localhost"))
            case Case.KEY_MISMATCH:
                return Shown(pki.stolen(issue(usage=usage)))
            case Case.OLD_PROTOCOL | Case.MISSING_CHAIN | Case.NONE:
                return Shown(issue(usage=usage), case is not Case.MISSING_CHAIN, case is Case.OLD_PROTOCOL)
        defects: dict[Case, Callable[[], pki.Issued]] = {
            Case.EXPIRED: lambda: issue(usage=usage, starts=now - 9 * pki.DAY, ends=now - pki.DAY),
            Case.NOT_YET_VALID: lambda: issue(usage=usage, starts=now + pki.DAY),
            Case.WRONG_NAME: lambda: issue(usage=usage, names=("dns:other.bank.example",)),
            Case.NO_SAN: lambda: issue(usage=usage, names=()),
            Case.WRONG_USAGE: lambda: issue(usage=other),
            Case.WEAK_KEY: lambda: issue(usage=usage, key=pki.weak_key()),
        }
        return Shown(defects[case]())

    def context(self, case: Case, side: str) -> ssl.SSLContext:
        """A context without any safeguard, which shows this."""
        shown = self.shown(case, side)
        server = side == "server"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1 if shown.oldest else ssl.TLSVersion.MAXIMUM_SUPPORTED
        files = shown.issued.write(self.folder, f"false-{side}", shown.chain)
        context.load_cert_chain(files.certificate, files.key)
        return context


@dataclass
class FalsePeer:
    """One end in a thread. ``heard``: the application data that reached it; ``connections``: how many came to it."""

    heard: bytes = b""
    connections: int = 0
    handshakes: int = 0
    errors: list[str] = field(default_factory=list)


class FalseServer(FalsePeer):
    """Listens on loopback while it is entered, and answers whatever it hears once."""

    def __init__(self, context: ssl.SSLContext, prelude: Prelude | None = None, answer: bytes = HEARD) -> None:
        super().__init__()
        self._context = context
        self._prelude = prelude
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:  # fmt: skip
        # Shut down, because closing alone does not wake the thread out of accept.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    async def over(self) -> None:
        """Wait until what was begun has ended, while the reactor turns."""
        await deferToThread(self._thread.join, LIMIT)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                self._meet(self._socket.accept()[0])

    def _meet(self, plain: socket.socket) -> None:
        plain.settimeout(LIMIT)
        self.connections += 1
        with plain:
            try:
                if self._prelude is not None:
                    assert plain.recv(len(self._prelude.say), socket.MSG_WAITALL) == self._prelude.say
                    plain.sendall(self._prelude.hear)
                with self._context.wrap_socket(plain, server_side=True) as wrapped:
                    self.handshakes += 1
                    self._listen(wrapped)
            except (OSError, AssertionError) as error:
                self.errors.append(repr(error))

    def _listen(self, wrapped: ssl.SSLSocket) -> None:
        while octets := wrapped.recv(65_536):
            self.heard += octets
            if self._answer:
                wrapped.sendall(self._answer)
                return


def call_falsely(port: int, context: ssl.SSLContext, say: bytes) -> FalsePeer:
    """Call a listener, say this, and write down what comes back until it ends."""
    told = FalsePeer(connections=1)
    with socket.create_connection(("127.0.0.1", port), LIMIT) as plain:
        try:
            with context.wrap_socket(plain) as wrapped:
                told.handshakes = 1
                wrapped.sendall(say)
                while octets := wrapped.recv(65_536):
                    told.heard += octets
                    if HEARD in told.heard:
                        break
        except OSError as error:
            told.errors.append(repr(error))
    return told


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    """A bank of its own."""
    return Bank(tmp_path / "pki")


Call = Callable[[int], Awaitable[Word | None]]
"""Try the link against a server on this port of localhost: why it was refused, or None when it spoke."""


class CallerClaims:
    """Of a link that calls. Its module gives ``call`` and, where something is said before TLS, ``prelude``."""

    @pytest.fixture
    def prelude(self) -> Prelude | None:
        """What this link says before TLS."""
        return None

    @pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
    @pytest.mark.parametrize("case", MISUSES, ids=lambda case: case.value)
    async def test_a_false_server_is_refused_before_one_octet(
        self, bank: Bank, call: Call, prelude: Prelude | None, case: Case
    ) -> None:
        with FalseServer(bank.context(case, "server"), prelude) as server:
            assert await call(server.port) is CALLED[case]
        await server.over()
        assert server.connections >= 1
        assert server.heard == b""

    @pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
    async def test_a_right_server_is_spoken_to(self, bank: Bank, call: Call, prelude: Prelude | None) -> None:
        with FalseServer(bank.context(Case.NONE, "server"), prelude) as server:
            assert await call(server.port) is None
        await server.over()
        assert server.heard != b""


Listen = Callable[[Sequence[str]], Awaitable["Listener"]]
"""Open the link's listener for a client with these names in its certificate."""


@dataclass
class Listener:
    """A listener that is tried. ``words``: why it refused; ``spoken``: whether what is within was made."""

    port: int
    words: list[Word]
    spoken: Callable[[], bool]
    say: bytes
    answer: bytes


class ListenerClaims:
    """Of a link that listens. Its module gives ``listen``."""

    @pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
    @pytest.mark.parametrize("case", MISUSES, ids=lambda case: case.value)
    async def test_a_false_client_is_refused_before_one_octet(self, bank: Bank, listen: Listen, case: Case) -> None:
        listener = await listen(("dns:localhost",))
        told = await deferToThread(call_falsely, listener.port, bank.context(case, "client"), listener.say)
        assert told.heard == b""
        assert listener.words == [LISTENED[case]]
        assert not listener.spoken()

    @pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
    async def test_a_client_without_a_certificate_is_refused(self, bank: Bank, listen: Listen) -> None:
        listener = await listen(("dns:localhost",))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        told = await deferToThread(call_falsely, listener.port, context, listener.say)
        assert (told.heard, listener.words, listener.spoken()) == (b"", [Word.NO_CERTIFICATE], False)

    @pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
    async def test_a_right_client_is_heard(self, bank: Bank, listen: Listen) -> None:
        listener = await listen(("dns:localhost",))
        told = await deferToThread(call_falsely, listener.port, bank.context(Case.NONE, "client"), listener.say)
        assert listener.answer in told.heard
        assert listener.spoken()
