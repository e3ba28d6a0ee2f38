# ruff: noqa: N802  # names that Twisted calls
"""A line to an operator that the test plays: string transports, a clock, and the other end's words by the codec."""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint, ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from mgate.channels.smpp import pdu
from mgate.channels.smpp.channel import SmppChannel
from mgate.channels.smpp.pdu import Address, Frame, Framer
from mgate.config.tree import Sms
from mgate.model.entry import Entry
from mgate.model.message import Outgoing, Secret, TrafficClass
from mgate.model.outcome import Outcome
from mgate.telemetry import Level, Log

START = 1_700_000_000.0
Results = Sequence[tuple[Outgoing, Outcome]]


class Handle:
    """A socket as far as options go."""

    def __init__(self) -> None:
        self.options: dict[tuple[int, int], int] = {}

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.options[level, option] = value


@implementer(ITCPTransport)
class Transport(StringTransport):
    """A string transport that can be aborted and has a socket; the test says when the connection is gone."""

    def __init__(self) -> None:
        self.handle = Handle()
        self.no_delay = self.keep_alive = False
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's own
        self.aborted = False

    def getHandle(self) -> Handle:
        return self.handle

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def getTcpNoDelay(self) -> bool:
        return self.no_delay

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.keep_alive = enabled

    def getTcpKeepAlive(self) -> bool:
        return self.keep_alive

    def loseWriteConnection(self) -> None:
        raise AssertionError("nobody half-closes here")

    def abortConnection(self) -> None:
        self.aborted = self.disconnecting = True


def _failure(error: Exception) -> Failure:
    return Failure(error)


class Call:
    """One connection, or one that was asked for and never came."""

    def __init__(self, factory: IProtocolFactory, connecting: "Deferred[IProtocol]") -> None:
        self._factory = factory
        self._connecting = connecting
        self._framer = Framer()
        self.transport = Transport()
        self.protocol: IProtocol | None = None

    @property
    def asked(self) -> bool:
        """Whether the connect waits for what becomes of it."""
        return not self._connecting.called

    def refuse(self) -> None:
        self._connecting.errback(_failure(ConnectionLost("nobody there")))

    def connect(self) -> "Call":
        protocol = self._factory.buildProtocol(None)  # type: ignore[arg-type]  # nobody looks at the address
        assert protocol is not None
        self.protocol = protocol
        protocol.makeConnection(self.transport)
        self._connecting.callback(protocol)
        return self

    def heard(self) -> list[Frame]:
        """What was written since the last time."""
        octets: bytes = self.transport.value()  # type: ignore[no-untyped-call]  # Twisted's own
        self.transport.clear()  # type: ignore[no-untyped-call]  # Twisted's own
        return self._framer.feed(octets)

    def say(self, octets: bytes) -> None:
        assert self.protocol is not None
        self.protocol.dataReceived(octets)

    def bind(self, status: int = 0) -> "Call":
        (asked,) = self.heard()
        assert asked.command == pdu.BIND_TRANSCEIVER
        self.say(pdu.pack_bind_resp(pdu.BIND_TRANSCEIVER, asked.sequence, status, "smsc"))
        return self

    def answer(self, status: int = 0, operator_id: str = "a1") -> int:
        """Answer every submit_sm that was written; how many."""
        submits = [frame for frame in self.heard() if frame.command == pdu.SUBMIT_SM]
        self.say(b"".join(pdu.pack_submit_sm_resp(frame.sequence, status, operator_id) for frame in submits))
        return len(submits)

    def lose(self, clean: bool = False) -> None:
        assert self.protocol is not None
        self.protocol.connectionLost(_failure(ConnectionDone() if clean else ConnectionLost()))


@implementer(IStreamClientEndpoint)
class Endpoint:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.calls: list[Call] = []
        self.moments: list[float] = []

    def connect(self, protocolFactory: IProtocolFactory) -> "Deferred[IProtocol]":  # noqa: N803  # Twisted's name
        connecting: Deferred[IProtocol] = Deferred()
        self.calls.append(Call(protocolFactory, connecting))
        self.moments.append(self._clock.seconds())
        return connecting


class Ear:
    """Outcomes and Receiver of the house, as the test hears them."""

    def __init__(self) -> None:
        self.results: list[tuple[Outgoing, Outcome]] = []
        self.lates: list[tuple[Outgoing, Outcome]] = []
        self.batches = 0
        self.changes = 0
        self.told: list[str] = []
        self.entries: list[Entry] = []
        self.kept: list[Callable[[bool], None]] = []

    def ended(self, route: str, results: Results) -> None:
        self.batches += 1
        self.told.append("answers")
        self.results.extend(results)

    def late(self, route: str, results: Results) -> None:
        self.lates.extend(results)

    def binds_changed(self, route: str) -> None:
        self.changes += 1

    def receive(self, entries: Sequence[Entry], done: Callable[[bool], None]) -> None:
        self.entries.extend(entries)
        self.told.append("receipts")
        self.kept.append(done)


class Line:
    """A channel, its binds not started."""

    def __init__(self, **settings: object) -> None:
        self.clock = Clock()
        self.endpoint = Endpoint(self.clock)
        self.ear = Ear()
        self.logged: list[bytes] = []
        given = {
            "name": "op-a", "host": "smsc.example", "port": 2775, "system_id": "example", "plain_tcp": "a test",
            "password_file": "unused", **settings,
        }  # fmt: skip
        self.sms = Sms(**given)  # type: ignore[arg-type]  # a test's settings
        self.channel = SmppChannel(
            self.sms, Secret("hush"), self.ear, self.ear, self.endpoint, self.clock,
            lambda: START + self.clock.seconds(), Log(self.logged.append, Level.DEBUG), lambda: 0.5,
        )  # fmt: skip
        self._next = 1 << 20

    def parts(self, count: int, bind: int = 0, text: str = "Code 482913") -> list[Outgoing]:
        """Leased parts for one bind."""
        first, self._next = self._next, self._next + count
        expires, otp, secret = START + self.clock.seconds() + 180, TrafficClass.OTP, Secret(text)
        return [
            Outgoing(part, 1, bind, part & 0xFFFF, 1, 1, "+375291110001", "Example", secret, expires, otp)
            for part in range(first, first + count)
        ]  # fmt: skip

    def pump(self, seconds: float) -> None:
        """Time passes in small steps."""
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)


def started(**settings: object) -> tuple[Line, Call]:
    """A line with its first bind bound."""
    line = Line(**settings)
    line.channel.start()
    line.clock.advance(0)
    return line, line.endpoint.calls[0].connect().bind()


def receipt(sequence: int, operator_id: str) -> bytes:
    text = f"id:{operator_id} sub:001 dlvrd:001 submit date:2611220510 done date:2611220511 stat:DELIVRD err:000 text:"
    return pdu.pack_deliver_sm(
        sequence, Address(1, 1, "375291110001"), Address(5, 0, "Example"), esm_class=4, short_message=text.encode()
    )
