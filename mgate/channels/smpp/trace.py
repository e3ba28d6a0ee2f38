"""What went over an account's lines, PDU by PDU, for a dispute with its operator. Pure.

Under TLS nothing else can show it. A row has the header's fields, the operator's id, the numbers masked and the names
of the TLVs; never a text, a password or a whole number. Rows stand in a ring: who looks too late loses the oldest, and
sees that by their numbers. While nobody traces, a line pays one comparison a read and one a write.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from mgate.channels.smpp import pdu
from mgate.channels.smpp.framing import Framer, PduError
from mgate.channels.smpp.pdu import Frame
from mgate.channels.smpp.receipt import ReceiptRead, read_receipt
from mgate.model.address import mask

MOST_ROWS: Final = 5000
_MOST_REMEMBERED: Final = 10_000
_SHORT_CODE: Final = 8
_Key = TypeVar("_Key")

_TLV_NAMES: Final = {
    0x0005: "dest_addr_subunit", 0x001D: "additional_status_info_text", 0x001E: "receipted_message_id",
    0x0201: "privacy_indicator", 0x0202: "source_subaddress", 0x0203: "dest_subaddress",
    0x0204: "user_message_reference", 0x020A: "source_port", 0x020B: "destination_port", 0x020C: "sar_msg_ref_num",
    0x020D: "language_indicator", 0x020E: "sar_total_segments", 0x020F: "sar_segment_seqnum",
    0x0210: "sc_interface_version", 0x0381: "callback_num", 0x0420: "dpf_result", 0x0421: "set_dpf",
    0x0422: "ms_availability_status", 0x0423: "network_error_code", 0x0424: "message_payload",
    0x0425: "delivery_failure_reason", 0x0426: "more_messages_to_send", 0x0427: "message_state",
    0x0501: "ussd_service_op", 0x130C: "alert_on_message_delivery",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Traced:
    """One PDU.

    Attributes:
        n: counted from 1 since the trace began.
        at: seconds since 1970; ``bind``: its index, and ``receiver`` where it is one.
        out: whether we said it.
        octets: of the whole PDU; ``length``: of its message, -1 where it has none.
        id: the operator's id of a message; empty where the PDU bears none.
        source, destination: masked.
        tlvs: the names of its TLVs, in order; of one that nobody knows its tag.
        note: what is wrong with it.
    """

    n: int
    at: float
    bind: str
    out: bool
    command: str
    sequence: int
    status: str
    octets: int
    length: int = -1
    id: str = ""
    source: str = ""
    destination: str = ""
    tlvs: tuple[str, ...] = ()
    note: str = ""


class Trace:
    """One look at an account. ``to``: only what concerns this number (digits, with or without a plus sign)."""

    def __init__(self, wall: Callable[[], float], to: str = "", most: int = MOST_ROWS) -> None:
        self.to = to.removeprefix("+")
        self._wall = wall
        self._rows: deque[Traced] = deque(maxlen=most)
        self._n = 0

    def tap(self, bind: str, begun: bytes = b"") -> Tap:
        """The ear on one connection; ``begun``: what has come of a PDU that is not whole."""
        return Tap(self, bind, begun)

    def after(self, n: int) -> Sequence[Traced]:
        """The rows that are here and younger than this one."""
        return [row for row in self._rows if row.n > n]

    def add(self, bind: str, out: bool, frame: Frame, said: _Said) -> None:
        """Keep one PDU."""
        self._n += 1
        status = pdu.status_name(frame.status) if frame.command & pdu.RESPONSE else ""
        self._rows.append(
            Traced(
                self._n, self._wall(), bind, out, pdu.command_name(frame.command), frame.sequence, status,
                pdu.HEADER.size + len(frame.body), said.length, said.id, _hidden(said.source),
                _hidden(said.destination), said.tlvs, said.note,
            )
        )  # fmt: skip


@dataclass(slots=True)
class _Said:
    """What a PDU's body says, its numbers still whole."""

    length: int = -1
    id: str = ""
    source: str = ""
    destination: str = ""
    tlvs: tuple[str, ...] = ()
    note: str = ""


class Tap:
    """Hears one connection, each direction by itself."""

    def __init__(self, trace: Trace, bind: str, begun: bytes) -> None:
        self._trace = trace
        self._bind = bind
        self._in, self._out = Framer(), Framer()
        self._in.feed(begun)
        self._asked: dict[tuple[bool, int], None] = {}
        self._ids: dict[str, None] = {}

    def heard(self, data: bytes) -> None:
        """Octets came."""
        self._take(self._in, False, data)

    def said(self, data: bytes) -> None:
        """Octets are written."""
        self._take(self._out, True, data)

    def _take(self, framer: Framer, out: bool, data: bytes) -> None:
        try:
            frames = framer.feed(data)
        except PduError:
            return  # the session says it, and the connection ends
        for frame in frames:
            said = _read(frame)
            if not self._trace.to or self._concerns(frame, out, said):
                self._trace.add(self._bind, out, frame, said)

    def _concerns(self, frame: Frame, out: bool, said: _Said) -> bool:
        """Whether it is about the number: by its addresses, by the id of a message to it, or as the answer to such."""
        wanted = self._trace.to
        if frame.command & pdu.RESPONSE or frame.command == pdu.GENERIC_NACK:
            ours = (not out, frame.sequence) in self._asked
            if ours and said.id:
                _remember(self._ids, said.id)
            return ours
        numbers = {said.source.removeprefix("+"), said.destination.removeprefix("+")}
        ours = wanted in numbers or (bool(said.id) and said.id in self._ids)
        if ours:
            _remember(self._asked, (out, frame.sequence))
        return ours


def _hidden(address: str) -> str:
    """A number masked; a name or a short code is nobody's."""
    return mask(address) if len(address.removeprefix("+")) > _SHORT_CODE and not address.isalpha() else address


def _remember(known: dict[_Key, None], key: _Key) -> None:
    known[key] = None
    if len(known) > _MOST_REMEMBERED:
        del known[next(iter(known))]


def _read(frame: Frame) -> _Said:
    try:
        match frame.command:
            case pdu.SUBMIT_SM | pdu.DELIVER_SM:
                read = pdu.parse_submit_sm if frame.command == pdu.SUBMIT_SM else pdu.parse_deliver_sm
                return _message(read(frame.body))
            case pdu.DATA_SM:
                return _message(pdu.parse_data_sm(frame.body))
            case pdu.SUBMIT_SM_RESP if frame.body:
                return _Said(id=pdu.parse_message_id(frame.body))
            case _:
                return _Said()
    except PduError as error:
        return _Said(note=str(error))


def _message(message: pdu.SubmitSm | pdu.DeliverSm) -> _Said:
    text = message.short_message or message.tlvs.get(pdu.TLV_MESSAGE_PAYLOAD, b"")
    said = _Said(
        len(text), "", message.source.digits, message.destination.digits,
        tuple(_TLV_NAMES.get(tag, f"{tag:#06x}") for tag in message.tlvs),
        "a TLV is cut off" if message.tlvs.truncated else "",
    )  # fmt: skip
    if isinstance(message, pdu.DeliverSm):
        receipt = read_receipt(message)
        said.id = receipt.operator_id if isinstance(receipt, ReceiptRead) else ""
    return said
