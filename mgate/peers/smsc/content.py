"""What a submit_sm says: only the fields that the operator and its ledger need, and the text behind them.

Decoding is this room's own, not the product's: an auditor that used the encoder's table would share its errors.
Sources: SMPP 3.4 section 4.4.1; 3GPP TS 23.038 section 6.2.1 (alphabet), TS 23.040 section 9.2.3.24 (user data header).
"""

import codecs
from struct import Struct
from typing import Final, NamedTuple

from mgate.channels.smpp.pdu import (
    ESME_RINVCMDLEN,
    ESME_RINVMSGLEN,
    TLV_MESSAGE_PAYLOAD,
    TLV_USER_MESSAGE_REFERENCE,
    PduError,
    parse_tlvs,
)

UDHI: Final = 0x40

_REFERENCE_ONLY: Final = Struct(">HHH")
_REFERENCE_HEAD: Final = TLV_USER_MESSAGE_REFERENCE << 16 | 2

_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\ufffeÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = {
    0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€",
}  # fmt: skip


class Submit(NamedTuple):
    """A submit_sm. `source` and `destination` are the wire's fields whole (ton, npi, digits, NUL), ready to be put into
    a receipt; `reference` is user_message_reference, -1 when there is none."""

    source: bytes
    destination: bytes
    digits: bytes
    esm_class: int
    validity: str
    registered: int
    coding: int
    octets: bytes
    reference: int


class Body(NamedTuple):
    """The text of a submit_sm. `reference`, `part`, `parts` are 0 when it is not one of several."""

    text: str
    reference: int
    part: int
    parts: int


def read_submit(body: bytes) -> Submit:
    """Reads a submit_sm's body. PduError when a field has no end or the message is longer than the body."""
    find = body.find
    # Each field ends where the next begins; one that has no end gives 0, and then so does some later one.
    source = find(0) + 1
    destination = find(0, source + 2) + 1
    flags = find(0, destination + 2) + 1
    validity = find(0, flags + 3) + 1
    rest = find(0, validity) + 1
    start = rest + 5
    if not (source and destination and flags and validity and rest) or start > len(body):
        raise PduError(ESME_RINVCMDLEN, f"submit_sm: the body of {len(body)} octets ends before its fields do")
    size = body[rest + 4]
    end = start + size
    octets = body[start:end]
    if len(octets) != size:
        raise PduError(ESME_RINVMSGLEN, f"submit_sm: sm_length says {size} octets, the body has {len(octets)} left")
    reference = -1
    if len(body) - end == _REFERENCE_ONLY.size and int.from_bytes(body[end : end + 4], "big") == _REFERENCE_HEAD:
        reference = int.from_bytes(body[end + 4 :], "big")
    elif end < len(body):
        tlvs = parse_tlvs(body, end)
        reference = int.from_bytes(tlvs.get(TLV_USER_MESSAGE_REFERENCE, b"\xff") or b"\xff", "big")
        reference = reference if TLV_USER_MESSAGE_REFERENCE in tlvs else -1
        octets = octets or tlvs.get(TLV_MESSAGE_PAYLOAD, b"")
    fields = (
        body[source:destination], body[destination:flags], body[destination + 2 : flags - 1], body[flags],
        body[validity : rest - 1].decode("latin-1"), body[rest], body[rest + 2], octets, reference,
    )  # fmt: skip
    return tuple.__new__(Submit, fields)  # a third of what the constructor takes


def read_body(esm_class: int, coding: int, octets: bytes) -> Body:
    """The text and its place among the parts. What cannot be decoded is given as Latin-1: the ledger must go on."""
    if not (esm_class & UDHI and octets):
        return tuple.__new__(Body, (_decode(coding, octets), 0, 0, 0))
    header = octets[1 : octets[0] + 1]
    octets = octets[octets[0] + 1 :]
    reference, part, parts = _concatenation(header)
    return Body(_decode(coding, octets), reference, part, parts)


def _concatenation(header: bytes) -> tuple[int, int, int]:
    """Reference, part and parts from the information elements 0x00 (8-bit) and 0x08 (16-bit); zeros without one."""
    at = 0
    while at + 2 <= len(header):
        kind, size = header[at], header[at + 1]
        value = header[at + 2 : at + 2 + size]
        if kind == 0x00 and len(value) == 3:
            return value[0], value[2], value[1]
        if kind == 0x08 and len(value) == 4:
            return value[0] << 8 | value[1], value[3], value[2]
        at += 2 + size
    return 0, 0, 0


def _decode(coding: int, octets: bytes) -> str:
    try:
        if coding == 0:
            return _gsm(octets)
        if coding == 8:
            return octets.decode("utf-16-be", "surrogatepass")
    except UnicodeDecodeError:
        pass
    return octets.decode("latin-1")


def _gsm(octets: bytes) -> str:
    """GSM 7-bit, an octet a septet. UnicodeDecodeError for an octet over 0x7F or an escape that leads nowhere."""
    if 0x1B not in octets:
        return codecs.charmap_decode(octets, "strict", _BASIC)[0]
    first, *rest = octets.split(b"\x1b")
    text = [codecs.charmap_decode(first, "strict", _BASIC)[0]]
    for piece in rest:
        letter = _EXTENSION.get(piece[0]) if piece else None
        if letter is None:
            raise UnicodeDecodeError("gsm-03.38", octets, 0, len(octets), "an escape without a letter")
        text.append(letter + codecs.charmap_decode(piece[1:], "strict", _BASIC)[0])
    return "".join(text)
