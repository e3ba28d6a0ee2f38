"""The readers, and what each may do with octets: everything that it may not is raised as `Broken`, or as it came.

The readers are called through their modules, so that a broken one can be put in their place.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mgate.channels.smpp import events, framing, pdu, receipt, reception, session
from mgate.intake import lines, quick, request
from mgate.intake.client import PushClient
from mgate.model.entry import Submission
from mgate.model.message import Secret, TrafficClass
from mgate.model.ports import Refusal
from mgate.net import http
from mgate.net.exchange import Request, Stream
from mgate.net.routing import Route, Routes, StreamRoute
from mgate.peers.fuzz import seeds
from mgate.peers.smsc import content

NOW: Final = 1_800_000_000.0
_OCTETS_OF_A_UNIT: Final = 4096
_TOKENS: Final = (2, 3, 4, 5)
_GONE: Final = Failure(ConnectionDone())
_HEADER: Final = 16


class Broken(Exception):
    """A reader did what it may not; the text says what."""


class Target(NamedTuple):
    """A reader.

    Attributes:
        seeds: what it reads on a good day; words: pieces of its language; joints: octets after which they stand.
        huge: too long to be spoilt, read once.
        run: read one case; for how many units (PDUs; of requests, each 4 KiB) it may take a millisecond each.
    """

    name: str
    seeds: Sequence[bytes]
    words: Sequence[bytes]
    run: Callable[[bytes], int]
    huge: Sequence[bytes] = ()
    joints: bytes = b""


def _halves(case: bytes) -> tuple[bytes, bytes]:
    """The case in two, at a place that follows from it: as the network might bring it."""
    at = case[len(case) // 2] * 7919 % (len(case) + 1) if case else 0
    return case[:at], case[at:]


# ---- SMPP ----------------------------------------------------------------------------------------------------------


def _frames(pieces: Sequence[bytes]) -> tuple[list[framing.Frame], str]:
    """All frames, and the fault that ended the stream."""
    framer = framing.Framer()
    frames: list[framing.Frame] = []
    try:
        for piece in pieces:
            frames += framer.feed(piece)
    except pdu.PduError as fault:
        return frames, str(fault)
    return frames, str(framer.fault or "")


def run_framer(case: bytes) -> int:
    """The stream may come in any pieces: the same PDUs, the same fault, and no octet lost or made up."""
    whole = _frames((case,))
    if whole != _frames(_halves(case)):
        raise Broken("the stream in two pieces is not what it is in one")
    frames, fault = whole
    told = b"".join(framing.HEADER.pack(16 + len(body), *head) + body for *head, body in frames)
    if not case.startswith(told) or (not fault and len(case) - len(told) > framing.LONGEST_PDU):
        raise Broken("the frames are not what the stream was made of")
    return len(frames) + 1


def run_pdu(case: bytes) -> int:
    """Each parser takes the body of a PDU, whatever its command: a value of its type, or PduError."""
    body = case[_HEADER:]
    for parse in (pdu.parse_deliver_sm, pdu.parse_submit_sm, pdu.parse_data_sm, pdu.parse_bind, pdu.parse_message_id):
        try:
            repr(parse(body))
        except pdu.PduError:
            pass
    pdu.parse_bind_resp(body)
    pdu.parse_tlvs(body, 0)
    try:
        content.read_submit(body)
    except pdu.PduError:
        pass
    return 1


def run_receipt(case: bytes) -> int:
    """Nothing raises; the short cut for usual receipts says what the careful reading says; ids keep to their bounds."""
    body = case[_HEADER:]
    usual = receipt.usual_receipt(body)
    try:
        message = pdu.parse_deliver_sm(body)
    except pdu.PduError as fault:
        if usual is not None:
            raise Broken("the short cut reads what cannot be read") from fault
        return 1
    read = receipt.read_receipt(message)
    if isinstance(read, receipt.ReceiptRead):
        careful = read.ids(), read.told, read.reason, read.user_message_reference, read.numbers
        if usual is not None and tuple(usual) != careful:
            raise Broken("the short cut reads another receipt")
        if len(read.state) > 32 or len(read.error) > 32 or len(read.operator_id) > 255 or len(read.ids()) > 6:
            raise Broken("a field is longer than it may be")
    elif usual is not None:
        raise Broken("the short cut reads a receipt where none is")
    entry = reception.Reception("op-a").entry(events.Arrival(pdu.DELIVER_SM, 1, message, body))
    if usual is not None and entry != reception.Reception("op-a").entry(events.Arrival(pdu.DELIVER_SM, 1, usual, body)):
        raise Broken("the short cut leads to another entry")
    return 2  # it was read twice


def run_udh(case: bytes) -> int:
    """User data under any header: the operator's reading gives a text and a place among the parts, and raises nothing;
    nor does the receipt's, which looks behind headers too."""
    esm_class, coding = (case + b"\0\0")[:2]
    octets = case[2:]
    body = content.read_body(esm_class, coding, octets)
    if not 0 <= body.part <= 255 or not 0 <= body.parts <= 255 or not 0 <= body.reference <= 0xFFFF:
        raise Broken("a place that no header can say")
    tlvs = pdu.Tlvs()
    tlvs[pdu.TLV_MESSAGE_PAYLOAD] = octets
    nobody = pdu.Address(0, 0, "")
    for short, long in ((octets[:255], pdu.Tlvs()), (b"", tlvs)):
        receipt.read_receipt(
            pdu.DeliverSm("", nobody, nobody, esm_class | 0x04, 0, 0, "", "", 0, 0, coding, 0, short, long)
        )
    return 2


def run_session(case: bytes) -> int:
    """A bound session with four open submits hears the case: it raises nothing, and every submit ends exactly once."""
    link: session.Session[int] = session.Session(session.Credentials("mgate", Secret("pw")))
    link.open(0.0)
    link.take()
    heard = link.receive(pdu.pack_bind_resp(pdu.BIND_TRANSCEIVER, 1, pdu.ESME_ROK, "operator"), 0.0)
    link.submit(_TOKENS, (b"body",) * len(_TOKENS), 0.0)
    link.take()
    first, second = _halves(case)
    for now, piece in ((1.0, first), (2.0, second)):
        new = link.receive(piece, now)
        for event in new:
            if isinstance(event, events.Arrived):
                link.answer(event.arrivals)
        link.take()
        heard += new
    heard += [*link.expire(20.0), *link.closed(21.0)]
    ended = sorted(token for event in heard if isinstance(event, events.Ended) for token, _ in event.results)
    if ended != sorted(_TOKENS):
        raise Broken(f"of the submits {_TOKENS} these ended: {ended}")
    return 2 + len(case) // _HEADER


# ---- HTTP ----------------------------------------------------------------------------------------------------------

_ANYBODY: Final = PushClient("local", frozenset(TrafficClass), default_sender="EXBANK", default_country="BY")
_CLIENTS: Final = (
    _ANYBODY,
    replace(_ANYBODY, senders=frozenset({"ExampleBank"}), classes=frozenset({TrafficClass.OTP}), default_country=None),
)
_READINGS: Final = tuple(quick.Reading(client) for client in _CLIENTS)


def run_request(case: bytes) -> int:
    """A message or a refusal, and the quick reading says what the careful one says."""
    for client, reading in zip(_CLIENTS, _READINGS, strict=True):
        careful = request.read_submission(case, client, 1000, NOW)
        if not isinstance(careful, Submission | Refusal):
            raise Broken("neither a message nor a refusal")
        if reading.read(case, 1000, NOW) != careful:
            raise Broken("the quick reading gives another answer")
    if len(request.read_ref(case)) > request.LONGEST_REF:
        raise Broken("a ref longer than it may be")
    return 4 * (1 + len(case) // _OCTETS_OF_A_UNIT)  # each client, twice


def run_lines(case: bytes) -> int:
    """The lines of a body in two pieces are those of the whole, numbered as an editor numbers them."""
    found = []
    cutter = lines.Lines()
    for piece in _halves(case):
        found += cutter.feed(piece)
    found += cutter.end()
    wanted = [(n, line) for n, line in enumerate(case.split(b"\n"), 1) if line.strip()]
    if [tuple(line) for line in found] != [(n, None if len(line) > lines.LONGEST_LINE else line) for n, line in wanted]:
        raise Broken("other lines than the body has")
    return 1 + len(case) // _OCTETS_OF_A_UNIT


class _Pipe:
    """The client's end of a connection: counts answers, keeps their first octets."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def pauseProducing(self) -> None:
        """It reads at once."""

    def resumeProducing(self) -> None:
        """It reads at once."""

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """It never asks to wait."""

    def unregisterProducer(self) -> None:
        """It never asked."""

    def loseConnection(self) -> None:
        """The case ends anyway."""

    def loseWriteConnection(self) -> None:  # noqa: N802  # Twisted's
        """The case ends anyway."""

    def abortConnection(self) -> None:
        """The case ends anyway."""

    def getHandle(self) -> object:  # noqa: N802  # Twisted's
        return None


class _Echo:
    """A batch that says what it heard."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        stream.start(200)

    def receive(self, data: bytes) -> None:
        self._stream.write(data)

    def end(self) -> None:
        self._stream.finish()

    def cut(self, code: str, detail: str) -> None:
        self._stream.write(f"{code} {detail}\n".encode())
        self._stream.finish()

    def gone(self) -> None:
        """Nobody hears."""


def _echo(asked: Request) -> None:
    asked.query("ref")
    asked.header(b"content-type")
    asked.reply(200, asked.body)


_LISTENER: Final = http.Listener(
    Routes(
        [
            Route("POST", "/v1/messages", _echo, largest=1000),
            Route("GET", "/v1/messages", _echo),
            Route("GET", "/v1/messages/{}", _echo),
            Route("DELETE", "/v1/messages/{}", _echo),
            StreamRoute("POST", "/v1/messages:batch", _Echo),
        ]
    ),
    Clock(),
)


def run_http(case: bytes) -> int:
    """A connection hears the case in two reads: only answers go out, and when it is gone nothing of it is kept."""
    pipe = _Pipe()
    connection = _LISTENER.buildProtocol(None)
    connection.makeConnection(pipe)  # type: ignore[no-untyped-call]  # Twisted's
    try:
        for piece in _halves(case):
            connection.dataReceived(piece)
    finally:
        connection.connectionLost(_GONE)
    said = b"".join(pipe.written)
    if said and not said.startswith(b"HTTP/1.1 "):
        raise Broken("an answer that does not begin as one")
    if _LISTENER.connections or _LISTENER.requests.used or _LISTENER.answers.used or _LISTENER.places.used:
        raise Broken("something is kept of a connection that is gone")
    return 2 + said.count(b"HTTP/1.1 ") + len(case) // _OCTETS_OF_A_UNIT


TARGETS: Final[Sequence[Target]] = (
    Target("framer", seeds.spoken(), seeds.PDU_WORDS, run_framer, seeds.endless()),
    Target("pdu", seeds.spoken(), seeds.PDU_WORDS, run_pdu, seeds.endless()),
    Target("receipt", seeds.delivered(), seeds.PDU_WORDS, run_receipt, seeds.endless()),
    Target("udh", seeds.texts(), (b"\x05\x00\x03", b"\x06\x08\x04", b"\x1b", b"\0"), run_udh),
    Target("session", seeds.spoken(), seeds.PDU_WORDS, run_session, seeds.endless()),
    Target("request", seeds.MESSAGES, seeds.MESSAGE_WORDS, run_request, seeds.endless_messages(), b"{,:"),
    Target("lines", seeds.LINES, (b"\n", b"\r\n", b"{}\n"), run_lines, seeds.endless_messages()),
    Target("http", seeds.REQUESTS, seeds.REQUEST_WORDS, run_http, seeds.endless_requests(), b"\n/=? "),
)
