"""What a profile changes in a submit_sm: golden bodies, octet for octet, and the alphabets behind them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.channels.smpp import pdu
from mgate.channels.smpp.alphabets import packed, text_of, unpacked, write
from mgate.channels.smpp.pdu import Address, SubmitSm
from mgate.channels.smpp.rendering import Rendering, absolute_validity
from mgate.config.operators import GENERIC, Profile
from mgate.model.message import concatenation_reference
from mgate.model.outcome import Rejected
from mgate.policy.segments import Alphabet, Segments, decode, split
from tests.unit.channels.smpp.test_rendering import HEAD, NOW, part, rendered

GSM7 = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmno"
)
GSM7_ALL = GSM7 + "pqrstuvwxyzäöñüà" + "\f^{}\\[~]|€"
REFERENCE = concatenation_reference(HEAD)


def profile(**sections: dict[str, object]) -> Profile:
    """The generic profile with some settings otherwise."""
    changed = {name: msgspec.structs.replace(getattr(GENERIC, name), **keys) for name, keys in sections.items()}
    return msgspec.structs.replace(GENERIC, **changed)


def body(
    told: Profile, text: str = "Hi", n: int = 1, parts: int = 1, *, sender: str = "Ex", flash: bool = False
) -> str:
    made = Rendering(told, flash=flash).body(part(text, n, parts, sender), NOW)
    assert isinstance(made, bytes)
    return made.hex(" ")


# service_type; source ton, npi, "Ex"; destination 1, 1, number; esm_class, protocol_id, priority, schedule
HEAD_OF_ALL = "00 05 00 45 78 00 01 01 33 37 35 32 39 31 31 31 30 30 30 31 00 00 00 00 00 "
RELATIVE = "30 30 30 30 30 30 30 30 30 33 30 30 30 30 30 52 00 "
REST = "01 00 00 00 02 48 69 "  # registered_delivery, replace, data_coding, default message; length and text
UMR = "02 04 00 02 be ef"


@pytest.mark.parametrize(
    ("sections", "golden"),
    [
        ({}, HEAD_OF_ALL + RELATIVE + REST + UMR),
        ({"submit": {"reference": False}}, (HEAD_OF_ALL + RELATIVE + REST).strip()),
        ({"submit": {"validity": "none"}}, HEAD_OF_ALL + "00 " + REST + UMR),
        (  # 1,700,000,180 s are 2023-11-14 22:16:20 UTC
            {"submit": {"validity": "absolute"}},
            HEAD_OF_ALL + b"231114221620000+".hex(" ") + " 00 " + REST + UMR,
        ),
        (
            {"submit": {"validity": "absolute", "validity_zone": "-05:45"}},
            HEAD_OF_ALL + b"231114163120023-".hex(" ") + " 00 " + REST + UMR,
        ),
        (
            {"submit": {"longest_validity": 120.0}},
            HEAD_OF_ALL + b"000000000200000R".hex(" ") + " 00 " + REST + UMR,
        ),
        (
            {"submit": {"service_type": "OTP", "protocol_id": 65, "priority": 2, "registered_delivery": 17}},
            HEAD_OF_ALL.replace("00 05", "4f 54 50 00 05").replace("31 00 00 00 00 00", "31 00 00 41 02 00")
            + RELATIVE + REST.replace("01", "11", 1) + UMR,
        ),
        (
            {"text": {"field": "message_payload"}},
            HEAD_OF_ALL + RELATIVE + "01 00 00 00 00 " + UMR + " 04 24 00 02 48 69",
        ),
        ({"text": {"coding": 241}}, HEAD_OF_ALL + RELATIVE + REST.replace("00 00 00", "00 f1 00") + UMR),
        (
            {"text": {"alphabet": "gsm7_packed"}},
            HEAD_OF_ALL + RELATIVE + "01 00 00 00 02 c8 34 " + UMR,
        ),
        (
            {"numbers": {"to_prefix": "+", "to_ton": 0, "to_npi": 0, "name_ton": 0, "name_npi": 1}},
            HEAD_OF_ALL.replace("05 00 45 78 00 01 01", "00 01 45 78 00 00 00 2b") + RELATIVE + REST + UMR,
        ),
    ],
)  # fmt: skip
def test_a_profile_changes_these_octets_and_no_others(sections: dict[str, dict[str, object]], golden: str) -> None:
    assert body(profile(**sections)) == golden


# ---- numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "sender", "address"),
    [
        ({}, "+375291110001", Address(1, 1, "375291110001")),
        ({"sender_prefix": "+"}, "+375291110001", Address(1, 1, "+375291110001")),
        ({"sender_prefix": "00", "number_ton": 0}, "375291110001", Address(0, 1, "00375291110001")),
        ({"sender_prefix": "+"}, "7711", Address(3, 0, "7711")),
        ({"short_ton": 6, "short_npi": 1}, "7711", Address(6, 1, "7711")),
        ({"short_digits": 3}, "7711", Address(1, 1, "7711")),
    ],
)
def test_a_sender_is_written_as_the_profile_says(keys: dict[str, object], sender: str, address: Address) -> None:
    assert rendered(part("x", sender=sender), Rendering(profile(numbers=keys))).source == address


def test_the_account_overrules_the_profile() -> None:
    told = profile(numbers={"name_ton": 1, "name_npi": 1})
    assert rendered(part("x", sender="Ex"), Rendering(told, ton=5, npi=0)).source == Address(5, 0, "Ex")


@pytest.mark.parametrize(
    ("keys", "wire"),
    [
        ({}, "375291110001"),
        ({"to_prefix": "+"}, "+375291110001"),
        ({"to_prefix": "00"}, "00375291110001"),
        ({"to_shortest": 10, "to_longest": 12}, "375291110001"),
        ({"to_longest": 11}, "ESME_RINVDSTADR"),
        ({"to_shortest": 13}, "ESME_RINVDSTADR"),
        ({"to_prefix": "+", "to_longest": 12}, "ESME_RINVDSTADR"),
    ],
)
def test_a_destination_is_written_as_the_profile_says_or_refused_by_name(keys: dict[str, object], wire: str) -> None:
    made = Rendering(profile(numbers=keys)).body(part("x"), NOW)
    assert (made.reason if isinstance(made, Rejected) else pdu.parse_submit_sm(made).destination.digits) == wire


def test_a_name_longer_than_the_operator_takes_is_refused_not_cut() -> None:
    longer = part("x", sender="ExampleBank1")
    assert Rendering(GENERIC).body(longer, NOW) == Rejected("ESME_RINVSRCADR")
    assert rendered(longer, Rendering(profile(numbers={"longest_name": 12}))).source.digits == "ExampleBank1"


def test_the_schedule_is_always_empty() -> None:
    assert rendered(part("x")).schedule == ""


# ---- the parts of a long text --------------------------------------------------------------------------------------


def parts_of(told: Profile, text: str) -> list[SubmitSm]:
    segments = split(text)
    assert isinstance(segments, Segments)
    rendering, count = Rendering(told), len(segments.parts)
    return [rendered(part(text, n, count), rendering) for n in range(1, count + 1)]


def test_eight_bit_references_stand_in_a_header_of_six_octets() -> None:
    first, second = parts_of(profile(text={"concatenation": "udh8"}), "x" * 200)
    assert [sm.short_message[:6] for sm in (first, second)] == [
        bytes((5, 0, 3, REFERENCE & 0xFF, 2, n)) for n in (1, 2)
    ]  # fmt: skip
    assert (first.esm_class, first.short_message[6:] + second.short_message[6:]) == (0x40, b"x" * 200)


def test_sar_ties_parts_by_tlvs_and_leaves_the_text_alone() -> None:
    first, second = parts_of(profile(text={"concatenation": "sar"}), "x" * 200)
    assert (first.esm_class, first.short_message + second.short_message) == (0, b"x" * 200)
    assert [(sm.tlvs[0x020C], sm.tlvs[0x020E], sm.tlvs[0x020F]) for sm in (first, second)] == [
        (REFERENCE.to_bytes(2, "big"), b"\x02", bytes((n,))) for n in (1, 2)
    ]  # fmt: skip


def test_a_part_in_message_payload_keeps_its_header() -> None:
    first, _ = parts_of(profile(text={"field": "message_payload"}), "x" * 200)
    assert first.short_message == b""
    assert first.octets[:7] == bytes((6, 8, 4, *REFERENCE.to_bytes(2, "big"), 2, 1))


@pytest.mark.parametrize("keys", [{"concatenation": "udh8"}, {"concatenation": "sar"}, {"validity": "absolute"}])
def test_every_part_bears_the_same_validity(keys: dict[str, object]) -> None:
    told = profile(submit=keys) if "validity" in keys else profile(text=keys)
    assert len({sm.validity for sm in parts_of(told, "Код 482913 " * 20)}) == 1


@pytest.mark.parametrize("concatenation", ["udh16", "udh8", "sar"])
@pytest.mark.parametrize("alphabet", ["gsm7", "gsm7_packed", "utf8"])
@pytest.mark.parametrize("text", ["€[" * 100, "Code 482913 " * 30, "Код 482913 " * 20, "@" * 305])
def test_the_parts_join_to_the_text_in_every_form(concatenation: str, alphabet: str, text: str) -> None:
    told = profile(text={"concatenation": concatenation, "alphabet": alphabet})
    meanings = {0: alphabet}
    sms = parts_of(told, text)
    assert "".join(text_of(sm, meanings) for sm in sms) == text
    assert all(len(sm.short_message) <= 140 for sm in sms if alphabet == "gsm7_packed")


# ---- alphabets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", GSM7_ALL)
@pytest.mark.parametrize("alphabet", ["gsm7", "gsm7_packed", "ascii", "latin1", "utf8"])
def test_every_letter_of_the_gsm_alphabet_is_read_as_it_was_written(alphabet: str, letter: str) -> None:
    sm = rendered(part(f"a{letter}b"), Rendering(profile(text={"alphabet": alphabet})))
    assert text_of(sm, {0: alphabet}) == f"a{letter}b"
    carried = alphabet not in ("ascii", "latin1") or ord(letter) < (128 if alphabet == "ascii" else 256)
    assert sm.data_coding == (0 if carried else 8)


def test_a_text_that_would_need_more_parts_in_another_alphabet_is_refused_not_cut() -> None:
    long = "Δ" + "x" * 100
    assert Rendering(profile(text={"alphabet": "latin1"})).body(part(long), NOW) == Rejected("operator_lacks_a_letter")
    assert Rendering(profile(text={"alphabet": "latin1"})).body(part("x" * 161), NOW) == Rejected(
        "parts_do_not_fit_text"
    )


@pytest.mark.parametrize(
    ("septets", "octets"),
    [
        (b"hellohello", "e8 32 9b fd 46 97 d9 ec 37"),  # the example that everybody knows
        (b"1234567", "31 d9 8c 56 b3 dd 1a"),  # seven spare bits hold a carriage return
        (b"12345678", "31 d9 8c 56 b3 dd 70"),
        (b"", ""),
    ],
)
def test_septets_are_packed_as_the_standard_shows(septets: bytes, octets: str) -> None:
    assert packed(septets).hex(" ") == octets
    assert unpacked(packed(septets)) == septets


@given(st.binary(max_size=160).map(lambda octets: bytes(octet & 0x7F for octet in octets)), st.integers(0, 6))
def test_what_is_packed_is_read_back(septets: bytes, fill: int) -> None:
    back = unpacked(packed(septets, fill), fill)
    assert back == septets or (septets.endswith(b"\r") and back in {septets + b"\r", septets[:-1]})
    assert len(packed(septets, fill)) <= (fill + 7 * len(septets)) // 8 + 1


@given(st.text(alphabet=GSM7_ALL, max_size=60), st.sampled_from(["gsm7_packed", "utf8"]))
def test_any_gsm_text_survives_the_wire(text: str, alphabet: str) -> None:
    sm = rendered(part(text or "x"), Rendering(profile(text={"alphabet": alphabet})))
    assert text_of(sm, {0: alphabet}).rstrip("\r") == (text or "x").rstrip("\r")


def test_a_part_is_written_for_itself() -> None:
    assert write("utf8", b"\x1be", 7) == "€".encode()
    assert write("ascii", b"\x00", 0) == b"@"


@pytest.mark.parametrize(
    ("coding", "octets", "meanings", "text"),
    [
        (0, b"\x00 at", {}, "@ at"),  # a commercial at is no end of a string
        (0, b"Caf\xe9", {0: "latin1"}, "Café"),
        (0, "Код".encode("utf-16-be"), {0: "ucs2"}, "Код"),  # UCS-2 labelled as the default alphabet
        (8, "Код".encode(), {8: "utf8"}, "Код"),  # UTF-8 labelled as UCS-2
        (8, "Код".encode("utf-16-be"), {}, "Код"),
        (3, b"Caf\xe9", {}, "Café"),
        (1, b"Caf\xe9", {}, "Caf\ufffd"),
        (8, b"\x04", {}, "\ufffd"),
        (0x18, "Код".encode("utf-16-be"), {}, "Код"),
        (4, b"\xff", {}, "ÿ"),
    ],
)
def test_a_text_of_theirs_is_read_as_the_profile_says(
    coding: int, octets: bytes, meanings: dict[int, str], text: str
) -> None:
    whole = pdu.pack_deliver_sm(
        1, Address(1, 1, "375291110001"), Address(5, 0, "Ex"), data_coding=coding, short_message=octets
    )
    assert text_of(pdu.parse_deliver_sm(whole[16:]), meanings) == text
    assert Alphabet.GSM7.value == "gsm7"


def test_the_header_of_a_text_of_theirs_is_not_read_as_text() -> None:
    header = bytes((8, 0x24, 1, 0, 0, 3, 7, 2, 1))  # an element before the concatenation
    whole = pdu.pack_deliver_sm(
        1, Address(1, 1, "375291110001"), Address(5, 0, "Ex"), esm_class=0x40, short_message=header + b"Hi"
    )  # fmt: skip
    assert text_of(pdu.parse_deliver_sm(whole[16:]), {}) == "Hi"


# ---- flash ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "text", "coding", "subunit"),
    [
        ("class", "Hi", 0x10, None),
        ("class", "Код", 0x18, None),
        ("coding_f0", "Hi", 0xF0, None),
        ("coding_f0", "Код", 0x18, None),
        ("subunit", "Hi", 0, b"\x01"),
        ("subunit", "Код", 8, b"\x01"),
    ],
)
def test_a_text_that_shows_itself_is_marked_as_the_profile_says(
    form: str, text: str, coding: int, subunit: bytes | None
) -> None:
    sm = rendered(part(text), Rendering(profile(text={"flash": form}), flash=True))
    assert (sm.data_coding, sm.tlvs.get(0x0005)) == (coding, subunit)
    assert rendered(part(text), Rendering(profile(text={"flash": form}))).data_coding in (0, 8)


def test_the_golden_flash_is_this() -> None:
    marked = body(profile(text={"flash": "subunit"}), flash=True)
    assert marked == HEAD_OF_ALL + RELATIVE + REST + UMR + " 00 05 00 01 01"


@pytest.mark.parametrize(
    ("moment", "quarters", "wire"),
    [
        (0.0, 0, b"700101000000000+"),
        (1_700_000_000.9, 0, b"231114221320000+"),  # whole seconds: tenths are 0
        (1_700_000_000.0, 23, b"231115035820023+"),
        (1_700_000_000.0, -1, b"231114215820001-"),
    ],
)
def test_absolute_times_have_whole_seconds_and_a_zone_of_quarter_hours(
    moment: float, quarters: int, wire: bytes
) -> None:
    assert absolute_validity(moment, quarters) == wire


def test_the_alphabet_is_the_one_of_the_standard() -> None:
    assert decode(Alphabet.GSM7, bytes(n for n in range(128) if n != 0x1B)) == GSM7_ALL[:-10]
