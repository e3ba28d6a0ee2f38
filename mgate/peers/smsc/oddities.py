"""PDUs that no operator should send and some do: well framed, and wrong inside. None of them may close a link."""

from typing import Final

from mgate.channels.smpp.pdu import (
    ALERT_NOTIFICATION,
    DELIVER_SM,
    ESME_ROK,
    ESME_RSYSERR,
    GENERIC_NACK,
    HEADER,
    SUBMIT_SM_RESP,
    pack_simple,
    pack_tlv,
)
from mgate.peers.smsc.receipts import RECEIPT, deliver_body
from mgate.peers.smsc.script import Oddity

STRANGER: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
_SEQUENCE: Final = 0x7FFFFF00  # far from those that the session uses
_NUMBER: Final = b"\x01\x01375291110009\0"
_TEXT: Final = b"id:no-such-id sub:001 dlvrd:001 stat:DELIVRD err:000 text:"


def _request(command: int, body: bytes) -> bytes:
    return HEADER.pack(16 + len(body), command, ESME_ROK, _SEQUENCE) + body


def _receipt(tlvs: bytes) -> bytes:
    return _request(DELIVER_SM, deliver_body(_NUMBER, b"\0\0\0", RECEIPT, 0, _TEXT, tlvs))


def pdu(kind: Oddity) -> bytes:
    """One whole PDU of this kind."""
    match kind:
        case "unknown-command":
            return _request(0x00010203, b"vendor")
        case "nack-zero":
            return pack_simple(GENERIC_NACK, 0, ESME_RSYSERR)
        case "stray-response":
            return HEADER.pack(22, SUBMIT_SM_RESP, ESME_ROK, _SEQUENCE) + b"stray\0"
        case "alert":
            return _request(ALERT_NOTIFICATION, _NUMBER + b"\x01\x011234\0")
        case "vendor-tlv":
            return _receipt(pack_tlv(0x1501, b"\x01\x02\x03") + pack_tlv(0x3FFF, b""))
        case "cut-tlv":
            return _receipt(pack_tlv(0x0427, b"\x02")[:-1])
        case "bad-length":
            return _request(DELIVER_SM, deliver_body(_NUMBER, b"\0\0\0", 0, 0, b"STOP")[:-3])
