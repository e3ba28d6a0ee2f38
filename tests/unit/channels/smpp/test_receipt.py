"""Receipts as operators write them; the numbers in brackets are rows of the collected operator behaviours."""

import itertools
import uuid
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgate.channels.smpp import pdu
from mgate.channels.smpp.pdu import Address, DeliverSm
from mgate.channels.smpp.receipt import (
    NotAReceipt,
    Pairing,
    ReceiptRead,
    Unreadable,
    UsualReceipt,
    canonical_id,
    id_forms,
    pairing_of,
    read_receipt,
    usual_receipt,
)
from mgate.model.entry import Told
from mgate.peers.smsc.receipts import ReceiptWriter
from mgate.peers.smsc.script import State

CUSTOMER, BANK = Address(1, 1, "375291110001"), Address(5, 0, "ExampleBank")
FIELDS = {
    "id": "7F3A91", "sub": "001", "dlvrd": "001", "submit date": "2611220500", "done date": "2611220501",
    "stat": "DELIVRD", "err": "000", "text": "Code 482913",
}  # fmt: skip


def text_of(**changes: str | None) -> bytes:
    fields = FIELDS | {name.replace("_", " "): value for name, value in changes.items()}
    return " ".join(f"{name}:{value}" for name, value in fields.items() if value is not None).encode()


def delivered(text: bytes = b"", esm_class: int = 4, data_coding: int = 0, tlvs: bytes = b"") -> DeliverSm:
    octets = pdu.pack_deliver_sm(
        1, CUSTOMER, BANK, esm_class=esm_class, data_coding=data_coding, short_message=text, tlvs=tlvs
    )
    return pdu.parse_deliver_sm(octets[16:])


def read(text: bytes = b"", esm_class: int = 4, data_coding: int = 0, tlvs: bytes = b"") -> ReceiptRead:
    found = read_receipt(delivered(text, esm_class, data_coding, tlvs))
    assert isinstance(found, ReceiptRead), found
    return found


def tlv_id(given: str, end: bytes = b"\0") -> bytes:
    return pdu.pack_tlv(pdu.TLV_RECEIPTED_MESSAGE_ID, given.encode() + end)


def tlv_state(code: int) -> bytes:
    return pdu.pack_tlv(pdu.TLV_MESSAGE_STATE, bytes((code,)))


def test_the_example_of_the_specification_is_read_whole() -> None:
    assert read(text_of()) == ReceiptRead(
        operator_id="7F3A91", told=Told.DELIVERED, state="DELIVRD", error="000", text_id="7F3A91", tlv_id="",
        user_message_reference=-1, submit_date="2611220500", done_date="2611220501",
        numbers=("375291110001", "ExampleBank"), truncated=False,
    )  # fmt: skip


def test_every_field_but_id_and_stat_may_be_missing_or_empty_in_any_order() -> None:  # [10]
    spare = [name for name in FIELDS if name not in {"id", "stat", "text"}]
    for missing in itertools.product(["as it is", "empty", "missing"], repeat=len(spare)):
        changes = {
            name.replace(" ", "_"): {"as it is": FIELDS[name], "empty": "", "missing": None}[how]
            for name, how in zip(spare, missing, strict=True)
        }
        found = read(text_of(**changes))
        assert (found.operator_id, found.told) == ("7F3A91", Told.DELIVERED), changes
    for order in itertools.permutations([name for name in FIELDS if name != "text"], 7):
        text = " ".join(f"{name}:{FIELDS[name]}" for name in order)
        assert read(f"{text} text:".encode())[:4] == ("7F3A91", Told.DELIVERED, "DELIVRD", "000")


@pytest.mark.parametrize(
    "text",
    [
        b"id: 7F3A91 sub: 001 done date: 2611220501 stat: DELIVRD err: 000 text: x",
        b"ID:7F3A91 SUB:001 STAT:delivrd ERR:000 TEXT:x",
        b"id:7F3A91 stat:DELIVRD",
        b"id:7F3A91,stat:DELIVRD,err:000",
        b"id:7F3A91\r\nstat:DELIVRD\r\n",
        b"id:7F3A91 submit_date:2611220500 done_date: stat:DELIVRD err: text:id:666 stat:UNDELIV",
        b"id:7F3A91 done date: submit date:2611220500 stat:DELIVRD",
        b"id:7F3A91 err: done date:2611220501 stat:DELIVRD",
    ],
)
def test_loose_writing_is_understood(text: bytes) -> None:
    assert read(text)[:3] == ("7F3A91", Told.DELIVERED, "DELIVRD")


def test_the_words_of_the_message_are_never_taken_for_fields() -> None:
    found = read(text_of(id="55", stat="UNDELIV", text="id:66 stat:DELIVRD err:9"))
    assert found[:4] == ("55", Told.UNDELIVERED, "UNDELIV", "000")
    assert read(b"uid:1 msg-id:2 id:3 stat:DELIVRD").text_id == "3"
    assert read(b"id:55 text: your stat:DELIVRD").told is Told.UNKNOWN
    assert read(b"id:55 stat: submit date:2611220500").state == ""


@given(
    st.lists(
        st.sampled_from(["", "0", "abc", "2611220501", "DELIVRD", "a,b", "a;b", "x:y", " "]), min_size=7, max_size=7
    )
)
def test_the_short_way_for_the_usual_form_reads_what_the_long_way_reads(values: list[str]) -> None:
    names = [name for name in FIELDS if name != "text"]
    text = " ".join(f"{name}:{value}" for name, value in zip(names, values, strict=True)) + " text:Code 482913"
    assert read_receipt(delivered(text.encode())) == read_receipt(delivered(b" " + text.encode()))


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("DELIVRD", Told.DELIVERED), ("delivrd", Told.DELIVERED), ("DELIVERED", Told.DELIVERED),
        ("DELIV", Told.DELIVERED), ("UNDELIV", Told.UNDELIVERED), ("UNDEL", Told.UNDELIVERED),
        ("EXPIRED", Told.UNDELIVERED), ("DELETED", Told.UNDELIVERED), ("DELE", Told.UNDELIVERED),
        ("REJECTD", Told.UNDELIVERED), ("FAILED", Told.UNDELIVERED), ("ENROUTE", Told.ENROUTE),
        ("ACCEPTD", Told.ENROUTE), ("ACKED", Told.ENROUTE), ("BUFFRED", Told.ENROUTE), ("BUFFERD", Told.ENROUTE),
        ("UNKNOWN", Told.UNKNOWN), ("DEL", Told.UNKNOWN), ("HANDSET_OFF", Told.UNKNOWN), ("", Told.UNKNOWN),
    ],
)  # fmt: skip
def test_a_state_word_is_known_or_leaves_the_message_open(word: str, told: Told) -> None:  # [11]
    assert read(text_of(stat=word)).told is told


@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=",;:"), min_size=1, max_size=12)
)
def test_only_words_that_begin_like_known_ones_close_a_message(word: str) -> None:
    if read(text_of(stat=word)).told in {Told.DELIVERED, Told.UNDELIVERED}:
        assert word.upper()[:4] in {"DELI", "DELE", "UNDE", "EXPI", "REJE", "FAIL", "SKIP"}


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (0, Told.ENROUTE), (1, Told.ENROUTE), (2, Told.DELIVERED), (3, Told.UNDELIVERED), (4, Told.UNDELIVERED),
        (5, Told.UNDELIVERED), (6, Told.ENROUTE), (7, Told.UNKNOWN), (8, Told.UNDELIVERED), (9, Told.UNDELIVERED),
    ],
)  # fmt: skip
def test_the_state_tlv_wins_over_the_word(code: int, told: Told) -> None:  # [11]
    word = "UNDELIV" if told is Told.DELIVERED else "DELIVRD"
    assert read(text_of(stat=word), tlvs=tlv_state(code)).told is told


def test_a_state_tlv_that_says_nothing_leaves_the_word() -> None:
    for value in (b"", b"\x63", b"DELIVRD"):
        assert read(text_of(), tlvs=pdu.pack_tlv(pdu.TLV_MESSAGE_STATE, value)).told is Told.DELIVERED


def test_the_tlv_id_comes_first_and_both_are_kept() -> None:  # [5]
    found = read(text_of(id="1234"), tlvs=tlv_id("ABCD"))
    assert (found.operator_id, found.tlv_id, found.text_id) == ("ABCD", "ABCD", "1234")
    assert found.ids() == ("abcd", "43981", "1234", "4660", "4d2")


def test_a_tlv_id_without_its_nul_keeps_its_last_character() -> None:
    assert read(tlvs=tlv_id("ABC123", end=b"")).operator_id == "ABC123"


@pytest.mark.parametrize("date", ["", "0000000000", "2611220501", "261122050159", "20261122050159", "261122050159004+",
                                  "2611220501590", "2026-11-22T05:01:59", "x" * 40])  # fmt: skip
def test_dates_of_any_length_are_kept_and_never_refuse(date: str) -> None:  # [12]
    found = read(text_of(done_date=date))
    assert (found.done_date, found.told) == (date[:32], Told.DELIVERED)


@pytest.mark.parametrize("error", ["000", "0x1A", "ABSENT_SUBSCRIBER", "-1", "99999", "e" * 32])
def test_an_error_is_text_of_any_kind(error: str) -> None:  # [13]
    assert read(text_of(stat="UNDELIV", err=error)).error == error


def test_the_reason_says_state_and_error() -> None:
    assert read(text_of(stat="UNDELIV", err="011")).reason == "UNDELIV err:011"
    assert read(text_of()).reason == "DELIVRD"
    network = pdu.pack_tlv(pdu.TLV_NETWORK_ERROR_CODE, b"\x03\x01\x02")
    assert read(tlvs=tlv_id("1") + tlv_state(5) + network).reason == "UNDELIV err:258"


def test_a_receipt_in_message_payload_or_in_data_sm_is_read() -> None:  # [14]
    payload = pdu.pack_tlv(pdu.TLV_MESSAGE_PAYLOAD, text_of())
    assert read(tlvs=payload).operator_id == "7F3A91"
    body = b"\0\1\1375291110001\0\5\0ExampleBank\0" + b"\x04\0\0" + payload
    found = read_receipt(pdu.parse_data_sm(body))
    assert isinstance(found, ReceiptRead)
    assert found[:3] == ("7F3A91", Told.DELIVERED, "DELIVRD")


@pytest.mark.parametrize("esm_class", range(256))
def test_the_type_bits_alone_say_whether_it_is_a_receipt(esm_class: int) -> None:  # [15] [16]
    """A customer's message with a perfect receipt text stays a message; so do acknowledgements by people."""
    kind = esm_class >> 2 & 0x0F
    marked = kind in {1, 2, 3, 5, 7} or kind >= 8
    if kind == 3:  # receipt and acknowledgement at once: the receipt bit decides
        assert marked
    found = read_receipt(delivered(text_of(), esm_class))
    assert isinstance(found, ReceiptRead if marked else NotAReceipt)


def test_a_tlv_marks_a_receipt_without_any_flag() -> None:  # [15]
    assert read(text_of(), esm_class=0, tlvs=tlv_id("7F3A91")).told is Told.DELIVERED
    assert read(text_of(), esm_class=0, tlvs=tlv_state(2)).operator_id == "7F3A91"


def test_a_receipt_behind_a_header_is_read_and_so_is_one_that_only_claims_a_header() -> None:  # [15]
    header = bytes.fromhex("05 00 03 07 01 01")
    for octets in (header + text_of(), text_of(), text_of(text="x" * 90)):
        assert read(octets, esm_class=0x44).operator_id == "7F3A91"


@pytest.mark.parametrize("data_coding", [0, 1, 3, 8, 0x18, 0xF1])
def test_the_label_of_the_alphabet_may_lie(data_coding: int) -> None:  # [17]
    for octets in (text_of(), text_of(submit_date=None, text=None).decode().encode("utf-16-be")):
        assert read(octets, data_coding=data_coding)[:3] == ("7F3A91", Told.DELIVERED, "DELIVRD")


def test_a_reference_alone_is_enough_to_tell_which_message() -> None:
    found = read(b"stat:DELIVRD", tlvs=pdu.pack_message_reference(513))
    assert (found.operator_id, found.user_message_reference, found.told) == ("", 513, Told.DELIVERED)
    assert found.ids() == ()


@pytest.mark.parametrize("text", [b"", b"delivered", b"stat:DELIVRD", b"id: stat:DELIVRD", b"id:" + b"9" * 245])
def test_a_marked_receipt_without_an_id_is_unreadable_not_a_message(text: bytes) -> None:
    payload = pdu.pack_tlv(pdu.TLV_MESSAGE_PAYLOAD, b"id:" + b"9" * 256) if len(text) > 200 else b""
    found = read_receipt(delivered(b"" if payload else text, tlvs=payload))
    assert isinstance(found, Unreadable)


def test_a_cut_tlv_costs_itself_only_and_is_said() -> None:  # [48]
    found = read(text_of(), tlvs=tlv_id("7F3A91") + tlv_state(2)[:-1])
    assert (found.operator_id, found.told, found.truncated) == ("7F3A91", Told.DELIVERED, True)


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=150), st.binary(max_size=40))
def test_no_octets_raise_anything(esm_class: int, data_coding: int, text: bytes, tail: bytes) -> None:
    found = read_receipt(delivered(text, esm_class, data_coding, tail))
    if isinstance(found, ReceiptRead):
        assert found.operator_id or found.user_message_reference >= 0
        assert max(map(len, (found.error, found.state, found.done_date))) <= 32


# ---- the usual form, at once


def long_way(body: bytes) -> UsualReceipt | None:
    """What the general reader says of a body; None when it does not take it for a receipt that can be read."""
    try:
        found = read_receipt(pdu.parse_deliver_sm(body))
    except pdu.PduError:
        return None
    if not isinstance(found, ReceiptRead):
        return None
    return UsualReceipt(found.ids(), found.told, found.reason, found.user_message_reference, found.numbers)


plain = "".join(chr(n) for n in range(0x21, 0x7F) if chr(n) not in ",;")
ids = st.one_of(st.sampled_from(["7F3A91", "007", "7", "0", "op-1"]), st.text(plain, min_size=1, max_size=40))
states = st.one_of(st.sampled_from(["DELIVRD", "UNDELIV", "deliv", "EXPIRED"]), st.text(plain, min_size=1, max_size=40))
errors = st.one_of(st.sampled_from(["", "000", "011", "0"]), st.text(plain, max_size=40))
dates = st.one_of(st.just("2611220500"), st.text(plain, max_size=20))
parties = st.sampled_from([b"\1\1375291110001", b"\5\0ExampleBank", b"\0\0", b"\0\0\xe9", b"\1\1+375291110001"])


@st.composite
def usual_bodies(draw: st.DrawFn) -> bytes:
    """Bodies that the quick way must take: the usual text or none, and the usual TLVs."""
    told = draw(ids)
    text = ""
    if draw(st.integers(0, 4)):
        given_dates = f"submit date:{draw(dates)} done date:{draw(dates)}"
        text = f"id:{told} sub:001 dlvrd:{draw(errors)} {given_dates} stat:{draw(states)} err:{draw(errors)} text:"
        text += draw(st.sampled_from(["", "Code 482913", "id:66 stat:UNDELIV err:9"]))
    tlvs = b""
    if not text or draw(st.booleans()):
        tlvs += tlv_id(draw(st.one_of(st.just(told), ids)))
    if draw(st.booleans()):
        tlvs += tlv_state(draw(st.integers(0, 255)))
    if draw(st.booleans()):
        tlvs += pdu.pack_tlv(pdu.TLV_NETWORK_ERROR_CODE, draw(st.binary(min_size=3, max_size=3)))
    if draw(st.booleans()):
        tlvs += pdu.pack_message_reference(draw(st.integers(0, 0xFFFF)))
    flags = bytes((draw(st.sampled_from([4, 0x20])), 0, 0, 0, 0, 0, 0, draw(st.integers(0, 255)), 0, len(text)))
    service = draw(st.sampled_from([b"", b"CMT"]))
    return service + b"\0" + draw(parties) + b"\0" + draw(parties) + b"\0" + flags + text.encode() + tlvs


@given(usual_bodies())
def test_a_receipt_in_the_usual_form_is_read_at_once_as_the_long_way_reads_it(body: bytes) -> None:
    assert usual_receipt(body) == long_way(body) != None  # noqa: E711  # both at once, and neither is None


@settings(max_examples=400)
@given(usual_bodies(), st.data())
def test_a_receipt_that_differs_in_anything_is_never_read_otherwise_than_the_long_way(
    body: bytes, data: st.DataObject
) -> None:
    """Octets changed, put in, taken out and cut off, with a liking for those that mean something."""
    telling = [0, 1, 4, 9, 10, 0x1C, 0x1E, 0x20, 0x24, 0x27, 0x2C, 0x3A, 0x3B, 0x44, 0x85, 0xA0, 0xFF]
    octet = st.one_of(st.sampled_from(telling), st.integers(0, 255))
    changed = bytearray(body)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(changed)))
        cut = data.draw(st.integers(0, 2))
        changed[place : place + cut] = bytes(data.draw(st.lists(octet, max_size=2)))
    if data.draw(st.booleans()):
        del changed[data.draw(st.integers(0, len(changed))) :]
    quick = usual_receipt(bytes(changed))
    assert quick is None or quick == long_way(bytes(changed))


@pytest.mark.parametrize("field", ["id", "sub", "dlvrd", "submit date", "done date", "stat", "err"])
@pytest.mark.parametrize("octet", [b",", b";", b" ", b"\t", b"\x1c", b"\x7f", b"\x85", b"\xa0", b"\xe9"])
def test_a_value_that_the_usual_form_does_not_allow_goes_the_long_way(field: str, octet: bytes) -> None:
    if field in {"sub", "dlvrd"} and octet in {b",", b";"}:
        return  # nobody reads these two
    text = text_of().replace(f"{field}:".encode(), f"{field}:7".encode() + octet, 1)
    assert usual_receipt(pdu.pack_deliver_sm(1, CUSTOMER, BANK, esm_class=4, short_message=text)[16:]) is None


def test_words_that_are_too_long_are_cut_as_the_long_way_cuts_them() -> None:
    for text in (text_of(stat="x" * 40), text_of(err="e" * 40, stat="UNDELIV")):
        body = pdu.pack_deliver_sm(1, CUSTOMER, BANK, esm_class=4, short_message=text)[16:]
        assert usual_receipt(body) == long_way(body) != None  # noqa: E711  # both at once, and neither is None


@pytest.mark.parametrize("esm_class", range(256))
def test_no_message_of_another_type_is_read_at_once_as_a_receipt(esm_class: int) -> None:
    body = pdu.pack_deliver_sm(1, CUSTOMER, BANK, esm_class=esm_class, short_message=text_of())[16:]
    assert (usual_receipt(body) is not None) == (esm_class in {4, 0x20})


@pytest.mark.parametrize("tail", [
    tlv_state(2) + tlv_state(5), tlv_state(5) + tlv_id("66"), tlv_id("66") + tlv_state(5)[:-1],
    pdu.pack_tlv(pdu.TLV_MESSAGE_STATE, b""), pdu.pack_tlv(pdu.TLV_MESSAGE_PAYLOAD, b"id:66"), tlv_id("66", b""),
    pdu.pack_tlv(pdu.TLV_RECEIPTED_MESSAGE_ID, b"66\0surplus"), b"\0\x1e\0\x02" + b"666\0", b"\0",
])  # fmt: skip
def test_optional_parameters_in_an_unusual_order_or_form_go_the_long_way(tail: bytes) -> None:
    body = pdu.pack_deliver_sm(1, CUSTOMER, BANK, esm_class=4, short_message=text_of(), tlvs=tail)[16:]
    assert usual_receipt(body) is None
    assert long_way(body) is not None


@pytest.mark.parametrize("size", [-90, -20, -5, -1, 1, 20, 255])
def test_a_length_that_does_not_fit_its_text_goes_the_long_way(size: int) -> None:
    text = text_of(text="")
    head = b"\0\1\1375291110001\0\5\0ExampleBank\0\x04\0\0\0\0\0\0\0\0"
    assert usual_receipt(head + bytes((len(text),)) + text) is not None
    said = len(text) + size if size < 255 else 255
    body = head + bytes((said,)) + text
    assert usual_receipt(body) is None


@pytest.mark.parametrize("dialect", ["text", "tlv", "both"])
@pytest.mark.parametrize("state", ["DELIVRD", "UNDELIV", "EXPIRED", "ENROUTE"])
def test_the_dialects_of_the_scripted_operator_are_all_read_at_once(
    dialect: Literal["text", "tlv", "both"], state: State
) -> None:
    writer = ReceiptWriter(dialect, reference=True)
    body = writer.body("7F3A91", state, b"\5\0ExampleBank\0", b"\1\1375291110001\0", 1.7e9, 1.7e9, 513)
    assert usual_receipt(body) == long_way(body) != None  # noqa: E711  # both at once, and neither is None


# ---- ids

numbers = st.one_of(st.integers(0, 1 << 20), st.integers(1 << 62, 1 << 65), st.integers(0, 16**63))
writings = st.sampled_from(["d", "x", "X"])


def written(number: int, how: str, zeros: int) -> str:
    return "0" * zeros + format(number, how)


@given(numbers, writings, writings, st.integers(0, 6), st.integers(0, 6))
def test_an_id_is_found_however_its_number_is_written(
    number: int, response: str, receipt: str, zeros: int, more: int
) -> None:  # [1] [2] [4]
    given_id, receipted = written(number, response, zeros), written(number, receipt, more)
    if len(given_id) <= 64 and len(receipted) <= 64:
        assert canonical_id(given_id) in id_forms(receipted)
        pairing = {"dd": Pairing.SAME, "dx": Pairing.DECIMAL_THEN_HEX, "xd": Pairing.HEX_THEN_DECIMAL}.get(
            (response + receipt).lower(), Pairing.SAME
        )
        assert id_forms(receipted, pairing) == (canonical_id(given_id),)
        assert pairing_of(given_id, receipted) in {pairing, None}


@given(st.one_of(st.text("0123456789", min_size=1, max_size=70), st.text("0123456789abcdefABCDEF-x_ ", max_size=70)))
def test_the_forms_of_an_id_are_what_their_rule_says_and_each_once(given_id: str) -> None:
    same = canonical_id(given_id)
    try:
        forms = (same, str(int(same, 16)), *([format(int(same), "x")] if same.isdecimal() else []))
    except ValueError:
        forms = (same,)
    if not set(same) <= set("0123456789abcdef"):  # such as 0x1f and 1_000, which Python would read
        forms = (same,)
    assert id_forms(given_id) == tuple(dict.fromkeys(forms))


@given(st.uuids())
def test_a_uuid_matches_in_either_case_and_is_never_converted(given_id: uuid.UUID) -> None:  # [3]
    assert id_forms(str(given_id).upper()) == (canonical_id(str(given_id)),) == (str(given_id),)


@pytest.mark.parametrize("given_id", ["op-a/0017", "GW_42", "0:17", "a b"])
def test_an_id_with_other_characters_is_only_folded(given_id: str) -> None:
    assert id_forms(given_id) == (given_id.lower(),)


@pytest.mark.parametrize("number", [1 << 63, (1 << 64) - 1, 10**19, 10**64 - 1])
def test_wide_ids_keep_every_digit(number: int) -> None:  # [4]
    assert id_forms(str(number))[0] == str(number)
    assert format(number, "x") in id_forms(str(number))


def test_forms_that_collide_are_settled_by_the_exact_one_and_by_a_known_pairing() -> None:  # [1]
    stored = {"10": "message A, given as hexadecimal", "16": "message B"}
    assert next(stored[form] for form in id_forms("16") if form in stored) == "message B"
    hits = [stored[form] for form in id_forms("16", Pairing.HEX_THEN_DECIMAL) if form in stored]
    assert hits == ["message A, given as hexadecimal"]


def test_a_match_proves_a_pairing_only_when_no_other_explains_it() -> None:
    assert pairing_of("0007F3A", "32570") is Pairing.HEX_THEN_DECIMAL
    assert pairing_of("32570", "7f3a") is Pairing.DECIMAL_THEN_HEX
    assert pairing_of("32570", "032570") is Pairing.SAME
    assert pairing_of("7", "7") is None
    assert pairing_of("7", "8") is None


def test_an_id_of_zeros_is_zero() -> None:
    assert canonical_id("0000") == "0"
    assert id_forms("00") == ("0",)


def test_fields_are_looked_for_in_the_first_512_octets_whatever_the_length() -> None:
    payload = b"stat:x " * 9000 + b"id:7F3A91"  # found by fuzzing: it took 10 ms
    found = read_receipt(delivered(tlvs=pdu.pack_tlv(pdu.TLV_MESSAGE_PAYLOAD, payload)))
    assert isinstance(found, Unreadable)
    near = read(tlvs=pdu.pack_tlv(pdu.TLV_MESSAGE_PAYLOAD, b"id:7F3A91 " + b"stat:x " * 9000))
    assert near.operator_id == "7F3A91"
