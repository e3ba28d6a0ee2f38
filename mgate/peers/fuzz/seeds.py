"""What each reader hears on a good day, and on the odd days that operators and banks are known for: the corpus.

Findings are added to it from `tests/vectors/fuzz`, so that what was once wrong is where every campaign begins.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mgate.channels.smpp import pdu

_BANK: Final = pdu.Address(5, 0, "ExampleBank")
_PHONE: Final = pdu.Address(1, 1, "375291110001")
_USUAL: Final = (
    b"id:1795334806295390 sub:001 dlvrd:001 submit date:2611220549 done date:2611220550 stat:DELIVRD err:000 text:"
)
RECEIPTS: Final[Sequence[bytes]] = (
    _USUAL,
    _USUAL + b"Code 482913",
    b"id:9f00001a sub:001 dlvrd:000 submit date:261122054911 done date:261122055011 stat:UNDELIV err:011 Text:Code",
    b"id:5b70652b-2e46-413c-ba20-0a5933e49662 submit date:2611220549 done date: stat:EXPIRED err:",
    b"stat:REJECTD err:0x45 id: 00001795334806295390",
    b"ID:1 STAT:delivrd, ERR:000; text:id:2",
    _USUAL.decode().encode("utf-16-be"),
    b"id:" + b"9" * 250,
    b"id:id:id: sub: dlvrd: submit date: done date: stat: err: text:",
    b"",
)
_TLVS: Final[Sequence[bytes]] = (
    b"",
    pdu.pack_tlv(pdu.TLV_RECEIPTED_MESSAGE_ID, b"1795334806295390\0") + pdu.pack_tlv(pdu.TLV_MESSAGE_STATE, b"\x02"),
    pdu.pack_tlv(pdu.TLV_RECEIPTED_MESSAGE_ID, b"9F00001A\0")
    + pdu.pack_tlv(pdu.TLV_MESSAGE_STATE, b"\x05")
    + pdu.pack_tlv(pdu.TLV_NETWORK_ERROR_CODE, b"\x03\x00\x0b")
    + pdu.pack_message_reference(4711),
    pdu.pack_tlv(pdu.TLV_MESSAGE_PAYLOAD, _USUAL) + b"\x14\x00\x00\x03abc" + b"\x00\x1e\x00\xffcut",
)


_TAGS: Final = (
    pdu.TLV_RECEIPTED_MESSAGE_ID, pdu.TLV_USER_MESSAGE_REFERENCE, pdu.TLV_NETWORK_ERROR_CODE, pdu.TLV_MESSAGE_PAYLOAD,
    pdu.TLV_MESSAGE_STATE, pdu.TLV_SC_INTERFACE_VERSION,
)  # fmt: skip
PDU_WORDS: Final[Sequence[bytes]] = (
    *(pdu.pack_tlv(tag, bytes(size)) for tag in _TAGS for size in (0, 1, 2, 3, 70)),
    *(pdu.pack_simple(command, 2) for command in (pdu.SUBMIT_SM_RESP, pdu.GENERIC_NACK, pdu.UNBIND, pdu.DATA_SM)),
    b"id:", b" stat:", b" err:", b"done date:", b"text:", b"\0",
)  # fmt: skip


def delivered() -> list[bytes]:
    """deliver_sm PDUs: receipts in every dialect with every kind of TLV, and messages from customers."""
    found = []
    for n, text in enumerate(RECEIPTS):
        for m, tlvs in enumerate(_TLVS):
            esm_class = (0x04, 0x20, 0x00, 0x44, 0x08)[(n + m) % 5]
            coding = 8 if text.startswith(b"\0") else 0
            found.append(
                pdu.pack_deliver_sm(
                    n + 1, _PHONE, _BANK, esm_class=esm_class, data_coding=coding, short_message=text[:255], tlvs=tlvs
                )
            )
    headed = b"\x05\x00\x03\x2a\x02\x01" + "Спасибо".encode("utf-16-be")
    found.append(pdu.pack_deliver_sm(77, _PHONE, _BANK, esm_class=0x40, data_coding=8, short_message=headed))
    found.append(pdu.pack_deliver_sm(78, _PHONE, pdu.Address(0, 0, ""), short_message=b"STOP"))
    return found


def spoken() -> list[bytes]:
    """Everything an operator says: whole PDUs, one or several."""
    bound = pdu.pack_bind_resp(pdu.BIND_TRANSCEIVER, 1, pdu.ESME_ROK, "operator")
    answers = b"".join(pdu.pack_submit_sm_resp(n, pdu.ESME_ROK, f"{n:016x}") for n in range(2, 6))
    refusals = b"".join(
        pdu.pack_submit_sm_resp(n, status, "")
        for n, status in enumerate((pdu.ESME_RTHROTTLED, pdu.ESME_RINVDSTADR, pdu.ESME_RMSGQFUL, 0x400), 2)
    )
    rest = [
        bound,
        pdu.pack_bind_resp(pdu.BIND_TRANSCEIVER, 1, pdu.ESME_RINVPASWD, ""),
        answers,
        refusals,
        pdu.pack_simple(pdu.ENQUIRE_LINK, 9) + pdu.pack_simple(pdu.ENQUIRE_LINK_RESP, 3),
        pdu.pack_simple(pdu.UNBIND, 10),
        pdu.pack_simple(pdu.UNBIND_RESP, 7),
        pdu.pack_simple(pdu.GENERIC_NACK, 2, pdu.ESME_RINVCMDID) + pdu.pack_simple(pdu.GENERIC_NACK, 0, 3),
        pdu.pack_simple(pdu.ALERT_NOTIFICATION, 11),
        pdu.pack_simple(0x00000777, 12),
        pdu.pack_bind(pdu.BIND_TRANSCEIVER, 13, "mgate", "secret"),
        pdu.pack_submit_sm(14, _BANK, _PHONE, esm_class=0x40, short_message=b"\x06\x08\x04\x12\x34\x02\x01Code 482913"),
        b"HTTP/1.1 400 Bad Request\r\nServer: stranger\r\n\r\n",
    ]
    return [*rest, bound + answers + b"".join(delivered()[:6]), *delivered()]


def endless() -> list[bytes]:
    """deliver_sm PDUs as long as a PDU may be, of what would keep a careless reader busy."""
    payloads = (b"id: ", b"id:    ", b"stat:x ", b"done date:", b" ", b"a", b"\0s\0t\0a\0t\0:")
    tlvs = [pdu.pack_tlv(pdu.TLV_MESSAGE_PAYLOAD, (text * 65000)[:65000]) for text in payloads]
    tlvs.append(b"".join(pdu.pack_tlv(tag, b"") for tag in range(0x1400, 0x1400 + 16000)))
    return [
        pdu.pack_deliver_sm(n, _PHONE, _BANK, esm_class=esm_class, short_message=b"", tlvs=long)
        for n, long in enumerate(tlvs, 1)
        for esm_class in (0x04, 0x44)
    ]


def texts() -> list[bytes]:
    """User data with its header: esm_class, data_coding, then the octets."""
    headers = (
        b"\x05\x00\x03\x2a\x02\x01",
        b"\x06\x08\x04\x12\x34\x03\x03",
        b"\x0b\x05\x04\x0b\x84\x23\xf0\x00\x03\x01\x02\x02",
    )
    bodies = (
        (0, b"Code 482913 \x1be\x1b\x28x\x1b\x29"),
        (8, "Код 482913 🎂".encode("utf-16-be")),
        (4, bytes(range(256))),
    )
    headed = [bytes((0x40, coding)) + header + body for header in headers for coding, body in bodies]
    return (
        headed
        + [bytes((0, coding)) + body for coding, body in bodies]
        + [b"\x40\x00\xff", b"\x40\x08\x00", b"\x44\x00"]
    )


MESSAGES: Final[Sequence[bytes]] = (
    b'{"ref":"r1","to":"+375291110001","class":"otp","text":"Code 482913","sender":"ExampleBank"}',
    '{"ref":"r2","to":"8 (029) 111-00-01","class":"marketing","text":"Банк Пример: скидка 10 €"}'.encode(),
    b'{"ref":"a:b","to":"+375291110001","class":"fraud","text":"x:y","group":"lo:gin","tags":["web","a-1"],"meta":{"a":[1,2.5,null,{"b":":"}]}}',
    b'{"ref":"r4","to":"+375291110001","class":"service","text":"\\ud83d\\ude00 \\u003a \\n","valid_for":600}',
    b'{"ref":"r5","to":"+375291110001","class":"transaction","text":"t","not_before":"2027-01-31T09:00:00+03:00","not_after":"2027-02-01T09:00:00Z"}',
    b'{"ref":"r6","ref":"r6","to":"+1","class":"otp","text":"\\u0000","meta":1e400}',
    b'{"ref":"r7","to":"+375291110001","class":"otp","text":"' + b"long " * 400 + b'"}',
    b"[" * 40 + b"]" * 40,
    b"",
)  # fmt: skip
MESSAGE_WORDS: Final[Sequence[bytes]] = (
    b'"', b"\\", b"{", b"}", b"[", b"]", b":", b",", b"null", b"true", b"-1", b"1e999", b"NaN", b'"ref"', b'"to"',
    b'"meta":null,', b'"meta":{},', b'"tags":[],', b'"tags":["A"],', b'"valid_for":0,',
    b'"not_after":"2027-02-30T25:00:00Z",',
    b'"ref":"r0",', b'"text":"",', b'"class":"otp",', b'"to":"+375291110001",', b'"sender":"+1",', b'"group":"g",',
    b'"not_before":"9999-12-31T23:59:59-12:00",', b'"more":1,', b"\\ud800", b"\\u0000",
    b"\\u003a", b"\xed\xa0\x80", "\u202e٣".encode(), b"99999999999999999999", b"0.1", b" ", b"\n",
)  # fmt: skip

_HEAD: Final = b" HTTP/1.1\r\nHost: mgate\r\n"
REQUESTS: Final[Sequence[bytes]] = (
    b"POST /v1/messages" + _HEAD + b"Content-Length: 3\r\n\r\nabc",
    b"POST /v1/messages:batch" + _HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}\n{}\r\n0\r\nTrailer: x\r\n\r\n",
    b"GET /v1/messages?ref=r1&ref=%C3%A9" + _HEAD + b"\r\nHEAD /v1/messages/m0" + _HEAD + b"\r\n",
    b"DELETE /v1/messages/m1m814kjcp0000" + _HEAD + b"Connection: close\r\n\r\n",
    b"POST /v1/messages" + _HEAD + b"Expect: 100-continue\r\nContent-Length: 70000\r\n\r\n",
    b"GET http://mgate/v1/openapi.json HTTP/1.0\r\n\r\n",
    b"GET /" + b"a" * 4000 + _HEAD + b"X: " + b"b" * 4000 + b"\r\n\r\n",
    b"GET /v1/messages/%C3%A9" + _HEAD + b"\r\n",
    b"OPTIONS *" + _HEAD + b"Upgrade: h2c\r\nConnection: upgrade\r\n\r\n",
)
REQUEST_WORDS: Final[Sequence[bytes]] = (
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b": ", b"HTTP/1.1", b"HTTP/2.0", b"Host: mgate\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 99999999999999999999\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"3\r\nabc\r\n", b"%zz", b"%ff",
    b"?", b"\x00", b"\xff", b"CONNECT ", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"a" * 8192, b"{}\n",
)  # fmt: skip
LINES: Final[Sequence[bytes]] = (b"{}\n{}\n\n  \r\n{}", b"a" * 3000 + b"\n" + b"b" * 3000, b"\n" * 50, b"")


def endless_messages() -> list[bytes]:
    """JSON of the most octets that a request or a line may have."""
    parts = (b"[", b'{"a":', b'"a",', b"\\u0000", b"\\ud800", b":", b" ", b"1", b'"a":1,')
    wrapped = [
        b'{"ref":"r","to":"+375291110001","class":"otp","text":"' + part * (60_000 // len(part)) for part in parts
    ]
    return [part * (64_000 // len(part)) for part in parts] + [text + b'"}' for text in wrapped]


def endless_requests() -> list[bytes]:
    """Headers, targets and chunks without end."""
    head = b"POST /v1/messages:batch" + _HEAD
    return [
        b"GET /" + b"a" * 100_000 + _HEAD + b"\r\n",
        b"GET /?" + b"a&" * 4000 + _HEAD + b"\r\n",
        head + b"X" * 100_000,
        head + b"X: y\r\n" * 20_000,
        head + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 20_000,
        head + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;" + b"x" * 100_000,
        head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: x\r\n" * 20_000,
        b"POST /v1/messages" + _HEAD + b"Content-Length: 60000\r\n\r\n" + b"x" * 60_000,
        (b"GET /v1/messages?ref=a" + _HEAD + b"\r\n") * 1000,
        b"\r\n" * 50_000,
    ]


def kept(folder: Path, target: str) -> list[bytes]:
    """Findings of former campaigns: `<target>.hex` in the folder, a case a line in hexadecimal; `#` begins a remark."""
    file = folder / f"{target}.hex"
    lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
    return [bytes.fromhex(line.partition("#")[0]) for line in lines]
