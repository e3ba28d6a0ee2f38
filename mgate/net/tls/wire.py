"""The coat of TLS around one TCP connection: who is inside hears and says nothing before the peer is known and right.

Twisted's own coat makes its protocol at the first octet and needs pyOpenSSL; this one stands between two memory buffers
of Python's ``ssl``. What the protocol inside says is one record a write and goes to the transport at once, so the
transport's own buffer is the only one, and its pauses are the protocol's.
"""

from __future__ import annotations

import ssl
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from typing import Protocol as Seam

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IProtocol,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mgate.net.local import Direct
from mgate.net.tls.refusal import TlsRefused, Word

HANDSHAKE_LIMIT: Final = 10.0
"""Seconds from the connection to the end of the handshake."""

_READ: Final = 65_536


@dataclass(frozen=True, slots=True)
class Prelude:
    """What is said before TLS begins, and what must be heard, to the octet."""

    say: bytes
    hear: bytes


POSTGRESQL: Final = Prelude(struct.pack("!II", 8, 80_877_103), b"S")
"""SSLRequest and its answer (PostgreSQL, Frontend/Backend Protocol, SSL Session Encryption)."""


class Handshake(Seam):
    """One handshake's engine and judge."""

    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO

    def failed(self, error: ssl.SSLError) -> TlsRefused:
        """What an error of OpenSSL means."""

    def admit(self, address: IAddress) -> IProtocol:
        """OpenSSL is content: look at the rest, and make the protocol that may speak.

        Raises:
            TlsRefused: nobody may.
        """

    def refused(self, refusal: TlsRefused, address: IAddress) -> None:
        """It came to nothing."""


@implementer(ITCPTransport)
class TlsWire(Protocol):
    """One connection: the TCP transport's protocol, and the transport of the protocol inside.

    Attributes:
        opened: fires with the protocol inside when it may speak; fails with `TlsRefused` or what ended the connection.
    """

    disconnecting = False

    def __init__(self, handshake: Handshake, clock: IReactorTime, prelude: Prelude | None = None) -> None:
        self.opened: Deferred[IProtocol] = Deferred(self._give_up)
        self._handshake = handshake
        self._tls = handshake.tls
        self._clock = clock
        self._prelude = prelude
        self._heard = b""
        self._inner: IProtocol | None = None
        self._timer: IDelayedCall | None = None
        self._refusal: TlsRefused | None = None
        self._settled = self._over = self._finished = self._produced = self._taken_leave = False

    # ---- what TCP tells ----

    def connectionMade(self) -> None:
        self._tcp.setTcpNoDelay(True)
        self._timer = self._clock.callLater(HANDSHAKE_LIMIT, self._late)
        if self._prelude is not None:
            self._tcp.write(self._prelude.say)
        else:
            self._shake()

    def dataReceived(self, data: bytes) -> None:
        if self._over or self._finished:
            return
        if self._prelude is not None:
            self._listen(self._prelude, data)
            return
        self._handshake.incoming.write(data)
        if self._inner is None:
            self._shake()
        if self._inner is not None:
            self._read(self._inner)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._inner is not None:
            self._over = True
            self._inner.connectionLost(self._end(reason))
        else:
            self._conclude(TlsRefused(Word.OTHER, f"the connection ended within the handshake: {reason.value}"))

    # ---- the handshake ----

    def _listen(self, prelude: Prelude, data: bytes) -> None:
        self._heard += data
        if self._heard == prelude.hear:
            self._prelude = None
            self._shake()
        elif not prelude.hear.startswith(self._heard):
            # What came behind a right answer was said by somebody in between, before there was TLS (CVE-2021-23222).
            self._refuse(TlsRefused(Word.OTHER, "the server does no TLS here: it must be turned on over there"))

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            # The alert tells the peer what is wrong with it.
            self._flush()
            self._refuse(self._handshake.failed(error))
        else:
            self._open()

    def _open(self) -> None:
        """The handshake is done. The last words of ours leave only when the peer is right."""
        try:
            inner = self._handshake.admit(self._tcp.getPeer())
        except TlsRefused as refusal:
            self._refuse(refusal)
            return
        self._rest()
        self._flush()
        self._inner = inner
        inner.makeConnection(self)
        self._settle(inner)

    def _refuse(self, refusal: TlsRefused) -> None:
        # Not dropped: an alert shall arrive.
        self._tcp.loseConnection()
        self._conclude(refusal)

    def _late(self) -> None:
        self._timer = None
        self._tcp.abortConnection()
        self._conclude(TlsRefused(Word.OTHER, f"no handshake within {HANDSHAKE_LIMIT:g} s"))

    def _conclude(self, refusal: TlsRefused) -> None:
        if not self._over:
            self._over, self._refusal = True, refusal
            self._rest()
            self._handshake.refused(refusal, self._tcp.getPeer())
            self._settle(refusal)

    def _settle(self, result: IProtocol | TlsRefused) -> None:
        if not self._settled:
            self._settled = True
            if isinstance(result, TlsRefused):
                self.opened.errback(Failure(result))
            else:
                self.opened.callback(result)

    def _give_up(self, _: Deferred[IProtocol]) -> None:
        """Who waits has cancelled."""
        self._settled = self._over = True
        self._rest()
        self._tcp.abortConnection()

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---- while it is open ----

    def _read(self, inner: IProtocol) -> None:
        pieces: list[bytes] = []
        tls, incoming = self._tls, self._handshake.incoming
        try:
            while piece := tls.read(_READ):
                pieces.append(piece)
                if not (incoming.pending or tls.pending()):
                    break
            else:
                self._finished = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._finished = True
        except ssl.SSLError as error:
            self._refusal = self._handshake.failed(error)
        self._flush()
        if pieces:
            inner.dataReceived(b"".join(pieces))
        if self._refusal is not None:
            self._handshake.refused(self._refusal, self._tcp.getPeer())
            self._tcp.abortConnection()
        elif self._finished and IHalfCloseableProtocol.providedBy(inner):
            inner.readConnectionLost()
        elif self._finished:
            self.loseConnection()

    def _end(self, reason: Failure) -> Failure:
        """Why it ended: our refusal, or an end without TLS's own farewell, which anybody could have forged."""
        if self._refusal is not None:
            return Failure(self._refusal)
        if reason.check(ConnectionDone) and not (self._finished or self.disconnecting):
            return Failure(ConnectionLost("ended without the farewell of TLS (close_notify)"))
        return reason

    def _flush(self) -> None:
        if self._handshake.outgoing.pending:
            self._tcp.write(self._handshake.outgoing.read())

    @property
    def _tcp(self) -> ITCPTransport:
        return self.transport  # type: ignore[return-value]  # only TCP is coated

    # ---- the transport of the protocol inside ----

    def write(self, data: bytes) -> None:
        """Say this, as one record or more."""
        if self._encrypt(data):
            self._tcp.write(self._handshake.outgoing.read())

    def write_at_once(self, data: bytes) -> None:
        """See `local.Direct`."""
        if self._encrypt(data):
            tcp, records = self._tcp, self._handshake.outgoing.read()
            if isinstance(tcp, Direct):
                tcp.write_at_once(records)
            else:
                tcp.write(records)

    def _encrypt(self, data: bytes) -> bool:
        """Whether it became records, which stand in the buffer now."""
        if not data or self._over or self._taken_leave:
            return False
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            self._refusal = self._handshake.failed(error)
            self._tcp.abortConnection()
            return False
        return True

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Say these."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Say farewell when all is said, and close."""
        self.disconnecting = True
        if not self._produced:
            self._farewell()

    def loseWriteConnection(self) -> None:  # noqa: N802
        """Say farewell, and hear what the peer still says."""
        self._take_leave()
        self._tcp.loseWriteConnection()

    def abortConnection(self) -> None:
        """End it now."""
        self.disconnecting = True
        self._tcp.abortConnection()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Whoever produces is paused when the TCP transport is full."""
        self._produced = True
        self._tcp.registerProducer(producer, streaming)  # type: ignore[attr-defined]  # a TCP transport has it

    def unregisterProducer(self) -> None:
        """No more is produced."""
        self._produced = False
        self._tcp.unregisterProducer()  # type: ignore[attr-defined]  # the same
        if self.disconnecting and not self._over:
            self._farewell()

    def pauseProducing(self) -> None:
        """Read no more."""
        self._tcp.pauseProducing()  # type: ignore[attr-defined]  # a TCP transport is a push producer too

    def resumeProducing(self) -> None:
        """Read on."""
        self._tcp.resumeProducing()  # type: ignore[attr-defined]  # the same

    def stopProducing(self) -> None:
        """Read never again."""
        self.loseConnection()

    def getPeer(self) -> IPv4Address | IPv6Address:
        """Where the peer is."""
        return self._tcp.getPeer()

    def getHost(self) -> IPv4Address | IPv6Address:
        """Where we are."""
        return self._tcp.getHost()

    def getHandle(self) -> object:  # noqa: N802
        """The TCP socket."""
        return self._tcp.getHandle()  # type: ignore[attr-defined]  # a TCP transport has it

    def getTcpNoDelay(self) -> bool:  # noqa: N802
        """See `ITCPTransport`."""
        return bool(self._tcp.getTcpNoDelay())

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        """See `ITCPTransport`."""
        self._tcp.setTcpNoDelay(enabled)

    def getTcpKeepAlive(self) -> bool:  # noqa: N802
        """See `ITCPTransport`."""
        return bool(self._tcp.getTcpKeepAlive())

    def setTcpKeepAlive(self, enabled: bool) -> None:  # noqa: N802
        """See `ITCPTransport`."""
        self._tcp.setTcpKeepAlive(enabled)

    def _farewell(self) -> None:
        self._take_leave()
        self._tcp.loseConnection()

    def _take_leave(self) -> None:
        if self._taken_leave or self._refusal is not None:
            return
        self._taken_leave = True
        with suppress(ssl.SSLError):
            # It would wait for the peer's farewell, which need not come.
            self._tls.unwrap()
        self._flush()
