"""The codec by itself: framing, leniency, refusals. What it says is held against other codecs in test_pdu_oracles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.channels.smpp import pdu
from mgate.channels.smpp.pdu import Address, Frame, Framer, PduError

BANK = Address(5, 0, "ExampleBank")
CUSTOMER = Address(1, 1, "375291110001")
RECEIPT_TEXT = b"id:7 sub:001 dlvrd:001 submit date:2611220500 done date:2611220501 stat:DELIVRD err:000 text:"


def a_deliver_sm(**changes: object) -> bytes:
    fields: dict[str, object] = {"esm_class": 4, "short_message": RECEIPT_TEXT} | changes
    return pdu.pack_deliver_sm(9, CUSTOMER, BANK, **fields)  # type: ignore[arg-type]  # a test's shorthand


frames = st.builds(
    Frame,
    command=st.integers(0, 0xFFFFFFFF),
    status=st.integers(0, 0xFFFFFFFF),
    sequence=st.integers(0, 0xFFFFFFFF),
    body=st.binary(max_size=60),
)


def octets_of(frame: Frame) -> bytes:
    return pdu.HEADER.pack(16 + len(frame.body), *frame[:3]) + frame.body


@given(st.lists(frames, max_size=12), st.lists(st.integers(1, 50), max_size=20))
def test_a_stream_cut_anywhere_gives_the_same_pdus(sent: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(map(octets_of, sent))
    framer, got, position = Framer(), [], 0
    for size in [*cuts, len(stream)]:
        got += framer.feed(stream[position : position + size])
        position += size
    assert got == sent


def test_one_pdu_in_single_bytes_comes_out_whole_at_its_last_byte() -> None:
    framer, sent = Framer(), pdu.pack_submit_sm_resp(7, 0, "abc")
    assert [framer.feed(sent[n : n + 1]) for n in range(len(sent) - 1)] == [[]] * (len(sent) - 1)
    assert framer.feed(sent[-1:]) == [Frame(pdu.SUBMIT_SM_RESP, 0, 7, b"abc\0")]


def test_the_longest_pdu_in_single_bytes_costs_linear_time() -> None:
    """Quadratic copying of 64 KiB in single bytes would be 2 GiB moved; 20 such PDUs would take tens of seconds."""
    framer = Framer()
    sent = pdu.HEADER.pack(65536, 5, 0, 1) + bytes(65520)
    assert sum(len(framer.feed(sent[n : n + 1])) for _ in range(20) for n in range(65536)) == 20


@pytest.mark.parametrize("length", [0, 4, 15, 65537, 0xFFFFFFFF])
def test_a_length_out_of_bounds_is_refused_at_its_fourth_byte(length: int) -> None:
    framer = Framer()
    start = length.to_bytes(4, "big")
    assert framer.feed(start[:3]) == []
    with pytest.raises(PduError, match=f"says that it has {length} octets"):
        framer.feed(start[3:])


@pytest.mark.parametrize(
    ("first", "stranger"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "TLS"),
        (b"\x16\x03\x01\x02\x00\x01", "TLS"),
        (b"AMQP\0\0\x09\x01", "AMQP"),
        (b"SSH-2.0-Example\r\n", "SSH"),
        (b"220 relay.example ESMTP\r\n", "SMTP or FTP"),
    ],
)
def test_a_peer_that_speaks_something_else_is_named(first: bytes, stranger: str) -> None:
    with pytest.raises(PduError, match=f"seems to speak {stranger}") as caught:
        Framer().feed(first)
    assert caught.value.status == pdu.ESME_RINVCMDLEN


def test_pdus_before_a_bad_length_are_kept_and_the_error_comes_with_the_next_feed() -> None:
    framer = Framer()
    good = pdu.pack_simple(pdu.ENQUIRE_LINK, 3)
    assert framer.feed(good + b"HTTP/1.1 200 OK\r\n\r\n") == [Frame(pdu.ENQUIRE_LINK, 0, 3, b"")]
    assert framer.fault is not None
    with pytest.raises(PduError):
        framer.feed(b"")


def test_a_template_gives_the_octets_of_the_long_way() -> None:
    template = pdu.SubmitTemplate(BANK, esm_class=0x40, data_coding=8)
    reference = pdu.pack_message_reference(513)
    body = template.body(b"375291110001", b"000000000300000R", "Код 482913".encode("utf-16-be"), reference)
    assert pdu.HEADER.pack(16 + len(body), pdu.SUBMIT_SM, 0, 77) + body == pdu.pack_submit_sm(
        77,
        BANK,
        CUSTOMER,
        esm_class=0x40,
        data_coding=8,
        validity="000000000300000R",
        short_message="Код 482913".encode("utf-16-be"),
        tlvs=pdu.pack_tlv(0x0204, b"\x02\x01"),
    )


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"source": Address(5, 0, "x" * 21)}, pdu.ESME_RINVSRCADR),
        ({"source": Address(5, 0, "Bänk")}, pdu.ESME_RINVSRCADR),
        ({"source": Address(5, 0, "a\0b")}, pdu.ESME_RINVSRCADR),
        ({"destination": Address(1, 1, "")}, pdu.ESME_RINVDSTADR),
        ({"destination": Address(1, 1, "3" * 21)}, pdu.ESME_RINVDSTADR),
        ({"destination": Address(256, 1, "37529")}, pdu.ESME_RSYSERR),
        ({"validity": "0" * 17}, pdu.ESME_RINVEXPIRY),
        ({"schedule": "0" * 17}, pdu.ESME_RINVSCHED),
        ({"service_type": "123456"}, pdu.ESME_RINVSERTYP),
        ({"short_message": bytes(255)}, pdu.ESME_RINVMSGLEN),
        ({"esm_class": -1}, pdu.ESME_RSYSERR),
        ({"tlvs": bytes(65600)}, pdu.ESME_RINVCMDLEN),
        ({"sequence": 1 << 32}, pdu.ESME_RINVCMDLEN),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_never_cut(changes: dict[str, object], status: int) -> None:
    fields: dict[str, object] = {"sequence": 1, "source": BANK, "destination": CUSTOMER, "short_message": b"x"}
    with pytest.raises(PduError) as caught:
        pdu.pack_submit_sm(**(fields | changes))  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.status == status


@pytest.mark.parametrize("cut", [*range(1, 41), 60])
def test_a_deliver_sm_that_ends_early_is_refused(cut: int) -> None:
    body = a_deliver_sm()[16:]
    with pytest.raises(PduError) as caught:
        pdu.parse_deliver_sm(body[:cut])
    assert caught.value.status in {pdu.ESME_RINVCMDLEN, pdu.ESME_RINVMSGLEN}


def test_a_body_may_hold_any_octet_even_nul() -> None:
    text = b"\0@\0\0$\x1b\x65\0"
    assert pdu.parse_deliver_sm(a_deliver_sm(short_message=text)[16:]).short_message == text


def test_the_payload_is_read_from_the_tlv_when_the_short_message_is_empty() -> None:
    sent = a_deliver_sm(short_message=b"", tlvs=pdu.pack_tlv(pdu.TLV_MESSAGE_PAYLOAD, RECEIPT_TEXT))
    assert pdu.parse_deliver_sm(sent[16:]).octets == RECEIPT_TEXT


def test_a_cut_tlv_is_dropped_and_the_message_kept() -> None:
    whole = pdu.pack_tlv(0x1E, b"ABC\0") + pdu.pack_tlv(0x1401, b"vendor") + pdu.pack_tlv(0x427, b"\x02")
    for lost in range(1, 5):
        read = pdu.parse_deliver_sm(a_deliver_sm(tlvs=whole[:-lost])[16:])
        assert (read.short_message, dict(read.tlvs)) == (RECEIPT_TEXT, {0x1E: b"ABC\0", 0x1401: b"vendor"})
        assert read.tlvs.truncated
    read = pdu.parse_deliver_sm(a_deliver_sm(tlvs=whole)[16:])
    assert (read.tlvs[0x427], read.tlvs.truncated) == (b"\x02", False)


def test_of_a_repeated_tlv_the_first_counts() -> None:
    read = pdu.parse_tlvs(pdu.pack_tlv(0x1E, b"first\0") + pdu.pack_tlv(0x1E, b"second\0"), 0)
    assert dict(read) == {0x1E: b"first\0"}


@pytest.mark.parametrize(
    ("body", "message_id"),
    [
        (b"", ""),
        (b"\0", ""),
        (b"7F3A\0", "7F3A"),
        (b"7F3A", "7F3A"),
        (b"7F3A\0surplus\0\x00\x1e", "7F3A"),
        (b"9" * 64 + b"\0", "9" * 64),
    ],
)
def test_the_body_of_a_submit_response_is_read_leniently(body: bytes, message_id: str) -> None:
    assert pdu.parse_message_id(body) == message_id


def test_an_id_that_no_operator_gives_is_refused() -> None:
    with pytest.raises(PduError, match="256 octets"):
        pdu.parse_message_id(b"9" * 256)


def test_a_refused_submit_carries_no_body() -> None:
    assert pdu.pack_submit_sm_resp(5, pdu.ESME_RTHROTTLED, "") == pdu.HEADER.pack(16, pdu.SUBMIT_SM_RESP, 0x58, 5)


def test_a_bind_response_is_read_with_and_without_a_body() -> None:
    answer = pdu.pack_bind_resp(pdu.BIND_TRANSCEIVER, 1, 0, "SMSC")
    assert pdu.parse_bind_resp(answer[16:])[:2] == ("SMSC", 0x34)
    assert pdu.parse_bind_resp(b"")[:2] == ("", None)
    assert pdu.parse_bind_resp(b"SMSC")[:2] == ("SMSC", None)
    assert pdu.pack_bind_resp(pdu.BIND_TRANSCEIVER, 1, 13, "SMSC") == pdu.HEADER.pack(16, 0x80000009, 13, 1)


def test_a_bind_does_not_print_its_password() -> None:
    read = pdu.parse_bind(pdu.pack_bind(pdu.BIND_TRANSCEIVER, 1, "example", "not-a-real-secret")[16:])
    assert read.password == "not-a-real-secret"
    assert "not-a-real-secret" not in f"{read} {read!r}"


def test_long_names_pass_in_a_bind_up_to_64_characters() -> None:
    sent = pdu.pack_bind(pdu.BIND_TRANSCEIVER, 1, "s" * 64, "p" * 64, "t" * 64)
    assert pdu.parse_bind(sent[16:]).system_type == "t" * 64
    with pytest.raises(PduError, match="password: 65 characters"):
        pdu.pack_bind(pdu.BIND_TRANSCEIVER, 1, "s", "p" * 65)


def test_numbers_have_names_known_or_not() -> None:
    assert pdu.status_name(0x58) == "ESME_RTHROTTLED"
    assert pdu.status_name(0x400) == "status 0x00000400"
    assert pdu.status_text(0x14) == "Message Queue is full"
    assert pdu.command_name(0x80000004) == "submit_sm_resp"
    assert pdu.command_name(0x80000000) == "generic_nack"
    assert pdu.command_name(0x99) == "command 0x00000099"


whole_pdus = st.sampled_from(
    [
        a_deliver_sm(tlvs=pdu.pack_tlv(0x1E, b"ABC\0") + pdu.pack_tlv(0x427, b"\x02")),
        pdu.pack_submit_sm(1, BANK, CUSTOMER, short_message=b"Code 482913"),
        pdu.pack_submit_sm_resp(2, 0, "7F3A"),
        pdu.pack_bind(pdu.BIND_TRANSCEIVER, 1, "example", "secret", "type"),
        pdu.pack_bind_resp(pdu.BIND_TRANSCEIVER, 1, 0, "SMSC"),
    ]
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    octets = bytearray(draw(whole_pdus)[16:])
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, len(octets)))
        match draw(st.integers(0, 2)):
            case 0:
                del octets[position : position + draw(st.integers(1, 8))]
            case 1:
                octets[position:position] = draw(st.binary(max_size=4))
            case _:
                octets[position : position + 1] = draw(st.binary(min_size=1, max_size=1))
    return bytes(octets)


@given(st.one_of(st.binary(max_size=120), damaged()))
def test_no_body_raises_anything_but_a_pdu_error(body: bytes) -> None:
    refusals: list[PduError] = []
    readers = (
        pdu.parse_submit_sm, pdu.parse_deliver_sm, pdu.parse_data_sm, pdu.parse_bind, pdu.parse_bind_resp,
        pdu.parse_message_id, Framer().feed,
    )  # fmt: skip
    for read in readers:
        try:
            read(body)
        except PduError as error:
            refusals.append(error)
    assert all(error.status and str(error) for error in refusals)
    assert pdu.parse_tlvs(body, 0) is not None


def test_of_tlvs_without_end_the_first_256_are_read() -> None:
    # Found by fuzzing: 16,000 of them took 5 ms.
    tlvs = pdu.parse_tlvs(b"".join(pdu.pack_tlv(tag, b"") for tag in range(16_000)), 0)
    assert (len(tlvs), tlvs.truncated) == (256, True)
    whole = pdu.parse_tlvs(b"".join(pdu.pack_tlv(tag, b"") for tag in range(256)), 0)
    assert (len(whole), whole.truncated) == (256, False)
