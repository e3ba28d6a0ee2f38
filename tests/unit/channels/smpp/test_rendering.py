import pytest

from mgate.channels.smpp import pdu
from mgate.channels.smpp.events import Arrival
from mgate.channels.smpp.pdu import Address, PduError, SubmitSm
from mgate.channels.smpp.reception import Reception
from mgate.channels.smpp.rendering import Rendering, relative_validity, source_address
from mgate.model.entry import Inbound, Receipt, Told
from mgate.model.message import Outgoing, Secret, TrafficClass
from mgate.model.outcome import Rejected
from mgate.policy.segments import Alphabet, decode, split

NOW = 1_700_000_000.0
HEAD = 0x123456 << 20


def part(text: str, n: int = 1, parts: int = 1, sender: str = "Example", life: float = 180.0) -> Outgoing:
    return Outgoing(
        HEAD + n - 1, 1, 0, 0xBEEF, n, parts, "+375291110001", sender, Secret(text), NOW + life, TrafficClass.OTP
    )  # fmt: skip


def rendered(outgoing: Outgoing, rendering: Rendering | None = None) -> SubmitSm:
    body = (rendering or Rendering()).body(outgoing, NOW)
    assert isinstance(body, bytes)
    return pdu.parse_submit_sm(body)


@pytest.mark.parametrize(
    ("sender", "address"),
    [
        ("Example", Address(5, 0, "Example")),
        ("Ex 1", Address(5, 0, "Ex 1")),
        ("+375291110001", Address(1, 1, "375291110001")),
        ("375291110001", Address(1, 1, "375291110001")),
        ("+7711", Address(1, 1, "7711")),
        ("7711", Address(3, 0, "7711")),
        ("12345678", Address(3, 0, "12345678")),
        ("123456789", Address(1, 1, "123456789")),
    ],
)
def test_a_senders_type_follows_from_its_look(sender: str, address: Address) -> None:
    assert source_address(sender) == address


@pytest.mark.parametrize("profile", [Rendering(), Rendering(ton=0, npi=1)], ids=["by its look", "by the profile"])
def test_a_senders_plus_sign_says_its_type_and_never_leaves(profile: Rendering) -> None:
    source = rendered(part("x", sender="+12345678"), profile).source
    assert source.digits == "12345678"
    assert (source.ton, source.npi) in {(1, 1), (0, 1)}
    assert rendered(part("x", sender="12345678")).source == Address(3, 0, "12345678")
    assert rendered(part("x", sender="+12345678")).source == Address(1, 1, "12345678")


def test_the_profile_overrules_the_look_of_a_sender() -> None:
    assert source_address("7711", ton=0, npi=1) == Address(0, 1, "7711")


@pytest.mark.parametrize(
    ("seconds", "wire"),
    [
        (180, b"000000000300000R"),
        (86_399, b"000000235959000R"),
        (86_400, b"000001000000000R"),
        (0, b"000000000001000R"),
        (-5, b"000000000001000R"),
        (400 * 86_400, b"000030000000000R"),
    ],
)
def test_what_is_left_of_a_life_goes_out_in_the_relative_form(seconds: int, wire: bytes) -> None:
    assert relative_validity(seconds) == wire
    assert len(wire) == 16


def test_a_short_text_asks_for_a_receipt_and_bears_its_reference() -> None:
    sm = rendered(part("Code 482913"))
    assert sm.short_message == b"Code 482913"
    assert sm.destination == Address(1, 1, "375291110001")
    assert sm.source == Address(5, 0, "Example")
    assert (sm.esm_class, sm.data_coding, sm.registered_delivery) == (0, 0, 1)
    assert sm.validity == "000000000300000R"
    assert sm.tlvs == {pdu.TLV_USER_MESSAGE_REFERENCE: b"\xbe\xef"}


@pytest.mark.parametrize("text", ["€[" * 200, "Код 482913 " * 20, "a" * 160 + "b"])
def test_the_parts_of_a_long_text_join_to_the_text_under_one_reference(text: str) -> None:
    rendering = Rendering()
    count = len(split(text).parts)  # type: ignore[arg-type]  # none of these is too long
    sms = [rendered(part(text, n, count), rendering) for n in range(1, count + 1)]
    headers = [sm.short_message[:7] for sm in sms]
    assert len({header[:5] for header in headers}) == 1
    assert [tuple(header[5:]) for header in headers] == [(count, n) for n in range(1, count + 1)]
    assert {sm.esm_class for sm in sms} == {0x40}
    assert {sm.validity for sm in sms} == {"000000000300000R"}
    alphabet = Alphabet.UCS2 if sms[0].data_coding == 8 else Alphabet.GSM7
    assert decode(alphabet, b"".join(sm.short_message[7:] for sm in sms)) == text


def test_a_repeat_of_one_part_later_bears_the_same_concatenation_reference() -> None:
    text = "x" * 300
    first, again = rendered(part(text, 2, 2)), rendered(part(text, 2, 2, life=99))
    assert first.short_message == again.short_message


def test_a_text_that_does_not_fit_its_parts_is_refused_not_cut() -> None:
    assert Rendering().body(part("x" * 300, 1, 1), NOW) == Rejected("parts_do_not_fit_text")
    assert Rendering().body(part("x" * 300, 3, 3), NOW) == Rejected("parts_do_not_fit_text")


def test_a_sender_that_fits_no_field_is_refused_by_name() -> None:
    assert Rendering().body(part("x", sender="Пример"), NOW) == Rejected("ESME_RINVSRCADR")


def arrival(esm_class: int, text: bytes) -> Arrival:
    whole = pdu.pack_deliver_sm(
        7, Address(1, 1, "375291110001"), Address(5, 0, "Example"), esm_class=esm_class, short_message=text
    )  # fmt: skip
    return Arrival(pdu.DELIVER_SM, 7, pdu.parse_deliver_sm(whole[16:]), whole[16:])


def test_a_receipt_becomes_an_entry_of_its_account() -> None:
    text = b"id:00Ab sub:001 dlvrd:001 submit date:2611220510 done date:2611220511 stat:UNDELIV err:011 text:"
    entry = Reception("sms:op-a").entry(arrival(0x04, text))
    assert isinstance(entry, Receipt)
    assert (entry.account, entry.told, entry.reason) == ("sms:op-a", Told.UNDELIVERED, "UNDELIV err:011")
    assert entry.ids[0] == "ab"
    assert entry.reference == -1


def test_a_customers_words_are_kept_as_they_came() -> None:
    came = arrival(0, b"STOP")
    assert Reception("sms:op-a").entry(came) == Inbound("sms:op-a", "375291110001", came.body)


def test_a_receipt_that_names_no_message_and_a_broken_pdu_are_kept_raw() -> None:
    nameless = arrival(0x04, b"stat:DELIVRD")
    assert isinstance(Reception("sms:op-a").entry(nameless), Inbound)
    broken = Arrival(pdu.DELIVER_SM, 8, PduError(2, "cut"), b"\0")
    assert Reception("sms:op-a").entry(broken) == Inbound("sms:op-a", "", b"\0")
