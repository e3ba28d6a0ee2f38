import pytest
from gsm0338 import Codec
from hypothesis import given
from hypothesis import strategies as st

from mgate.channels.smpp.pdu import (
    Address,
    PduError,
    pack_message_reference,
    pack_submit_sm,
    pack_tlv,
    parse_submit_sm,
)
from mgate.peers.smsc.content import read_body, read_submit

GSM = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCabcÄÖÑÜ§¿äöñüà^{}\\[~]|€"


def submit(message: bytes, esm_class: int = 0, data_coding: int = 0) -> bytes:
    pdu = pack_submit_sm(
        7, Address(5, 0, "Example"), Address(1, 1, "375291110001"), short_message=message,
        validity="000000000300000R", tlvs=pack_message_reference(77), esm_class=esm_class, data_coding=data_coding,
    )  # fmt: skip
    return pdu[16:]


def test_the_fields_are_those_that_the_codec_reads() -> None:
    body = submit(b"Code 482913", esm_class=0x40, data_coding=8)
    mine, codecs = read_submit(body), parse_submit_sm(body)
    assert mine.digits.decode() == codecs.destination.digits
    assert mine.source == b"\x05\x00Example\0"
    assert mine.destination == b"\x01\x01375291110001\0"
    assert (mine.esm_class, mine.coding, mine.registered) == (
        codecs.esm_class, codecs.data_coding, codecs.registered_delivery
    )  # fmt: skip
    assert (mine.validity, mine.octets, mine.reference) == ("000000000300000R", b"Code 482913", 77)


def test_a_text_in_message_payload_is_found_beside_other_tlvs() -> None:
    body = submit(b"") + pack_tlv(0x1501, b"x") + pack_tlv(0x0424, b"a long text")
    assert read_submit(body).octets == b"a long text"
    assert read_submit(body).reference == 77


@given(st.integers(0, 60))
def test_a_cut_body_is_refused_and_nothing_else_happens(length: int) -> None:
    with pytest.raises(PduError):
        read_submit(submit(b"Code 482913")[:length])


@given(st.binary(max_size=80))
def test_no_octets_do_worse_than_a_refusal(octets: bytes) -> None:
    try:
        read_submit(octets)
    except PduError:
        return


@given(st.text(GSM, max_size=100))
def test_the_alphabet_is_that_of_an_independent_codec(text: str) -> None:
    octets, _ = Codec().encode(text)
    assert read_body(0, 0, octets).text == text


@given(st.text(max_size=60))
def test_ucs2_is_read_whole(text: str) -> None:
    assert read_body(0, 8, text.encode("utf-16-be", "surrogatepass")).text == text


def test_the_place_of_a_part_is_read_from_either_form() -> None:
    assert read_body(0x40, 0, b"\x06\x08\x04\x12\x34\x03\x02ab") == ("ab", 0x1234, 2, 3)
    assert read_body(0x40, 0, b"\x05\x00\x03\x12\x03\x02ab") == ("ab", 0x12, 2, 3)
    assert read_body(0x40, 0, b"\x08\x24\x01\x01\x00\x03\x12\x03\x02ab") == ("ab", 0x12, 2, 3)


def test_octets_that_are_no_text_do_not_stop_the_ledger() -> None:
    assert read_body(0, 0, b"\x80\x1b").text == "\x80\x1b"
    assert read_body(0, 8, b"\x00").text == "\x00"
    assert read_body(0x40, 0, b"\xff").text == ""
