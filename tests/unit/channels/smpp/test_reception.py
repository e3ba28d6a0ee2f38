"""Receipts in an operator's own dialect, and how the writing of its ids is learnt. Numbers in brackets are rows of the
collected operator behaviours."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.channels.smpp import pdu
from mgate.channels.smpp.events import Arrival
from mgate.channels.smpp.learning import ENOUGH, IdForms, narrowed
from mgate.channels.smpp.pdu import Address
from mgate.channels.smpp.receipt import Pairing, canonical_id, id_forms, usual_receipt
from mgate.channels.smpp.reception import Reception, matched
from mgate.config.operator_kinds import read_form
from mgate.config.operators import GENERIC, Profile
from mgate.model.entry import Entry, Inbound, Receipt, Told

CUSTOMER, BANK = Address(1, 1, "375291110001"), Address(5, 0, "Example")
USUAL = b"id:0A7F sub:001 dlvrd:001 submit date:2611220510 done date:2611220511 stat:DELIVRD err:000 text:"


def profile(states: dict[str, str] | None = None, forms: list[str] | None = None, **receipts: object) -> Profile:
    told = msgspec.structs.replace(
        GENERIC.receipts,
        states=tuple((states or {}).items()),
        forms=tuple(read_form(form) for form in forms or ()),
        **({"dialect": "own"} if forms else {}) | receipts,
    )
    return msgspec.structs.replace(GENERIC, receipts=told)


def arrival(text: bytes, esm_class: int = 4, coding: int = 0, tlvs: bytes = b"") -> Arrival:
    whole = pdu.pack_deliver_sm(
        7, CUSTOMER, BANK, esm_class=esm_class, data_coding=coding, short_message=text, tlvs=tlvs
    )  # fmt: skip
    return Arrival(pdu.DELIVER_SM, 7, pdu.parse_deliver_sm(whole[16:]), whole[16:])


def read(told: Profile, text: bytes, esm_class: int = 4, coding: int = 0, tlvs: bytes = b"") -> Entry:
    return Reception("sms:op-a", told).entry(arrival(text, esm_class, coding, tlvs))


def receipt(told: Profile, text: bytes, esm_class: int = 4, coding: int = 0, tlvs: bytes = b"") -> Receipt:
    entry = read(told, text, esm_class, coding, tlvs)
    assert isinstance(entry, Receipt)
    return entry


# ---- dialects ------------------------------------------------------------------------------------------------------

COMMAS = "{skip:digits 5-15},{done:digits 10-14},{state:digits 2},{error:digits 0-5},{id:hex 1-16}"


def test_a_form_of_the_operators_own_is_read() -> None:  # [66]
    told = profile({"00": "delivered", "05": "undelivered"}, [COMMAS])
    done = receipt(told, b"375291110001,20261122051100,00,,0A7F")
    assert (done.told, done.ids[0], done.reason) == (Told.DELIVERED, "a7f", "00")
    failed = receipt(told, b" 375291110001,20261122051100,05,117,0A7F\r\n")
    assert (failed.told, failed.reason) == (Told.UNDELIVERED, "05 err:117")
    assert receipt(told, b"375291110001,20261122051100,77,,0A7F").told is Told.UNKNOWN


def test_what_fits_no_form_is_kept_whole_and_counted() -> None:  # [66]
    reception = Reception("sms:op-a", profile(forms=[COMMAS]))
    for text in (b"375291110001,2026,00,,0A7F", b"", USUAL):
        came = arrival(text)
        assert reception.entry(came) == Inbound("sms:op-a", "375291110001", came.body)
    assert reception.unread == 3
    assert isinstance(reception.entry(arrival(b"Hello", esm_class=0)), Inbound)
    assert reception.unread == 3  # a customer's message was never marked


def test_the_first_form_that_fits_wins() -> None:
    told = profile(forms=["{id:digits 4} {state:letters 1-9}", "{id:hex 4} {state:word 1-9}"])
    assert receipt(told, b"1234 DELIVRD").ids[0] == "1234"
    assert receipt(told, b"12ab DELIVRD").told is Told.DELIVERED


def test_tlvs_say_more_than_a_text_that_nobody_can_read() -> None:
    tlvs = pdu.pack_tlv(pdu.TLV_RECEIPTED_MESSAGE_ID, b"77AB\0") + pdu.pack_tlv(pdu.TLV_MESSAGE_STATE, b"\x05")
    for told in (profile(forms=[COMMAS]), profile(dialect="tlv")):
        entry = receipt(told, b"id:99 stat:DELIVRD", tlvs=tlvs)
        assert (entry.ids[0], entry.told) == ("77ab", Told.UNDELIVERED)


def test_an_operator_of_tlvs_only_is_not_believed_by_its_text() -> None:
    assert isinstance(read(profile(dialect="tlv"), USUAL), Inbound)


def test_a_form_reads_what_the_operators_alphabet_says() -> None:  # [54] [55]
    told = msgspec.structs.replace(
        profile({"00": "delivered"}, [COMMAS]), text=msgspec.structs.replace(GENERIC.text, inbound=((0, "ucs2"),))
    )
    text = "375291110001,20261122051100,00,,0A7F".encode("utf-16-be")
    assert receipt(told, text).told is Told.DELIVERED


@given(st.text(max_size=80))
def test_no_text_breaks_a_form(text: str) -> None:
    for form in (COMMAS, "{id:text 0-512}", "a{skip:word 0-3}b{id:hex 1-2}"):
        found = matched(read_form(form), text)
        assert found is None or found["id"] in text


@given(st.from_regex(r"[0-9]{5,15},[0-9]{10,14},[0-9]{2},[0-9]{0,5},[0-9a-f]{1,16}", fullmatch=True))
def test_whatever_keeps_to_the_form_is_read_to_the_letter(text: str) -> None:
    found = matched(read_form(COMMAS), text)
    assert found is not None
    assert ",".join((found["skip"], found["done"], found["state"], found["error"], found["id"])) == text


@pytest.mark.parametrize(
    "text",
    ["375291110001,20261122051100,00,,", "375291110001,20261122051100,0,,7", "3752911100O1,20261122051100,00,,7",
     "375291110001,20261122051100,00,,7,", "375291110001,20261122051100,00,123456,7", "375291110001"],
)  # fmt: skip
def test_what_is_nearly_in_the_form_is_not(text: str) -> None:
    assert matched(read_form(COMMAS), text) is None


# ---- states and marks ----------------------------------------------------------------------------------------------


def test_words_of_the_operator_mean_what_its_profile_says_on_both_ways() -> None:  # [11]
    told = profile({"ABSENT": "undelivered", "DELIVRD": "enroute"})
    assert receipt(told, b"id:7 stat:Absent err:001").told is Told.UNDELIVERED
    body = arrival(USUAL).body
    usual = usual_receipt(body)
    assert usual is not None
    entry = Reception("sms:op-a", told).entry(Arrival(pdu.DELIVER_SM, 7, usual, body))
    assert isinstance(entry, Receipt)
    assert entry.told is receipt(told, USUAL).told is Told.ENROUTE
    assert receipt(GENERIC, b"id:7 stat:ABSENT").told is Told.UNKNOWN


def test_a_receipt_without_any_mark_is_believed_only_where_the_profile_says_so() -> None:  # [15] [16]
    assert isinstance(read(GENERIC, USUAL, esm_class=0), Inbound)
    unmarked = profile(unflagged=True)
    assert receipt(unmarked, USUAL, esm_class=0).told is Told.DELIVERED
    for text in (b"Hello", b"id:7", b"stat:DELIVRD", b"my id: 7"):
        assert isinstance(read(unmarked, text, esm_class=0), Inbound)
    assert isinstance(read(profile(forms=[COMMAS], unflagged=True), b"Hello", esm_class=0), Inbound)


@pytest.mark.parametrize(
    "date", ["", "0", "2611220511", "261122051159", "20261122051159", "2026-11-22T05:11", "0" * 16]
)
def test_dates_of_any_form_cost_no_receipt(date: str) -> None:  # [12]
    text = f"id:7 sub:001 dlvrd:001 submit date:{date} done date:{date} stat:DELIVRD err:000 text:".encode()
    assert receipt(GENERIC, text).told is Told.DELIVERED


# ---- ids -----------------------------------------------------------------------------------------------------------

WRITINGS: dict[Pairing, tuple[Callable[[int], str], Callable[[int], str]]] = {
    Pairing.SAME: (lambda n: str(n), lambda n: str(n).zfill(12)),
    Pairing.HEX_THEN_DECIMAL: (lambda n: f"{n:X}", lambda n: str(n).zfill(10)),
    Pairing.DECIMAL_THEN_HEX: (lambda n: str(n), lambda n: f"{n:08x}"),
}


@pytest.mark.parametrize("pairing", list(Pairing))
@pytest.mark.parametrize("first", [1000, 3_000_000_000, 2**63 - 10, 2**64])
def test_the_writing_of_ids_is_learnt_and_then_pinned(pairing: Pairing, first: int) -> None:  # [1] [2] [4]
    response, told = WRITINGS[pairing]
    ids = IdForms("learn")
    for number in range(first, first + 3 * ENOUGH):
        ids.sent([response(number)])
        forms = ids.heard(id_forms(told(number)))
        assert canonical_id(response(number)) in forms
    assert (ids.pairing, ids.learning) == (pairing, False)
    assert ids.heard(id_forms(told(first))) == (canonical_id(response(first)),)


def test_a_pinned_writing_meets_no_other_message_whose_forms_collide() -> None:  # [1]
    ids = IdForms("hex_then_decimal")
    assert ids.pinned
    assert ids.heard(id_forms("16")) == ("10",)  # and not the message whose response was "16"
    assert ids.heard(id_forms("10")) == ("a",)


def test_one_match_that_several_writings_explain_proves_nothing() -> None:
    ids = IdForms("learn")
    for number in range(10):
        ids.sent([str(number)])
        ids.heard(id_forms(str(number)))
    assert not ids.votes


def test_a_receipt_that_comes_again_proves_nothing_more() -> None:
    ids = IdForms("learn")
    ids.sent(["1a2b"])
    for _ in range(2 * ENOUGH):
        ids.heard(id_forms("6699"))
    assert ids.votes == {Pairing.HEX_THEN_DECIMAL: 1}
    assert ids.learning


def test_two_centres_behind_one_account_that_differ_are_never_pinned() -> None:
    ids = IdForms("learn")
    for number in range(70_000, 70_000 + 2 * ENOUGH):
        ids.sent([str(number) if number % 2 else f"{number:x}"])
        ids.heard(id_forms(str(number)))
    assert (ids.pairing, ids.idle) == (None, True)
    assert len(ids.heard(id_forms("70001"))) == 3


def test_ids_that_are_no_numbers_teach_nothing_and_are_not_watched_for_ever() -> None:  # [3]
    ids = IdForms("learn")
    for number in range(5000):
        uuid = f"6f1c-{number}"
        ids.sent([uuid.upper()])
        assert ids.heard(id_forms(uuid)) == (uuid,)
    assert (ids.pairing, ids.idle) == (None, True)


@given(st.integers(0, 1 << 70), st.sampled_from(list(Pairing)), st.booleans())
def test_narrowing_leaves_what_the_pairing_alone_would_give(number: int, pairing: Pairing, hexadecimal: bool) -> None:
    given_id = f"{number:x}" if hexadecimal else str(number)
    assert narrowed(id_forms(given_id), pairing) == id_forms(given_id, pairing) or len(given_id) == 1


@pytest.mark.parametrize("forms", [(), ("abc", "2748", "99"), ("6f1c-1", "6f1c-2"), ("7", "99", "153", "63")])
def test_the_forms_of_two_ids_are_all_kept(forms: tuple[str, ...]) -> None:  # [5]
    assert narrowed(forms, Pairing.SAME) == forms
