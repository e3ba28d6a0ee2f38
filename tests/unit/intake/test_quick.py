"""The quick reading is the careful one, sooner: same answer, same canonical octets, whatever comes."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mgate.intake import quick
from mgate.intake.client import PushClient
from mgate.intake.countries import MOBILE_LENGTHS
from mgate.intake.numbers import read_e164
from mgate.intake.quick import Reading
from mgate.intake.request import FIELDS, LONGEST_LIFE, SURELY_FITS, read_submission
from mgate.model.address import AddressError, Msisdn
from mgate.model.entry import Submission
from mgate.model.message import TrafficClass
from mgate.model.ports import Refusal
from tests.unit.intake.conftest import LOCAL, NOW, message

CLIENTS = (
    LOCAL,
    replace(LOCAL, senders=frozenset({"EXBANK", "EXPAY", " BAD "}), classes=frozenset({TrafficClass.OTP})),
    replace(LOCAL, default_sender=None, default_country=None),
)


def both(raw: bytes, client: PushClient = LOCAL) -> tuple[Submission | None, Submission | Refusal]:
    """What the short cut takes it for, None when it leaves it to care; and what care takes it for."""
    return Reading(client)._read_common(raw, 1000, NOW), read_submission(raw, client, 1000, NOW)


def check(raw: bytes, client: PushClient) -> bool:
    """Whether the short cut took it; it must then be equal, field by field."""
    short, careful = both(raw, client)
    assert Reading(client).read(raw, 1000, NOW) == careful
    if short is None:
        return False
    assert isinstance(careful, Submission), careful
    for field in Submission.__struct_fields__:
        one, other = getattr(short, field), getattr(careful, field)
        assert (type(one), one) == (type(other), other), field
    return True


USUAL = [
    message(),
    message(text="Ваш код 482913: не говорите его никому"),
    message(text="a:b::c", ref="x:y"),
    message(text='line\n"two" \\ \t'),
    message().replace(b"Code", b"\\ud83d\\ude00"),
    message(sender="EXBANK", valid_for=600),
    message(sender="EXPAY", group="lo:gin", tags=["web", "a-1"], meta={"b": {"y:": ":", "x": [1, 2.5]}, "a": None}),
    message(tags=[], meta=False),
    message(meta="x" * 1_022),
    message(valid_for=LONGEST_LIFE, text="Ж" * SURELY_FITS, ref="Ж" * 128),
    b' { "valid_for" : 60, "to":"+375291110001",\r\n"ref":"r1","class":"otp","text":"1"} ',
]


@pytest.mark.parametrize("raw", USUAL)
def test_what_is_usual_is_taken_by_the_short_cut_and_is_the_same(raw: bytes) -> None:
    assert check(raw, LOCAL)
    assert check(raw, CLIENTS[1])


@pytest.mark.parametrize(
    "raw",
    [
        message(to="8 029 111-00-01"),
        message(not_before="2027-01-15T12:00:00+03:00"),
        message(text="Ж" * (SURELY_FITS + 1)),
        message().replace(b"Code", b"\\u003a"),
        message(meta=[[[1]], [], [], [], [], [], []]),
        message(text="[[[[[[[[[", meta=1),
    ],
)
def test_what_is_unusual_is_left_to_care_and_is_taken_none_the_less(raw: bytes) -> None:
    assert not check(raw, LOCAL)
    assert isinstance(Reading(LOCAL).read(raw, 1000, NOW), Submission)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"ref":"r1","to":"+375291110001","class":"otp","text":"a","text":"b"}',
        b'{"ref":"r1","to":"+375291110001","class":"otp","text":"a","te\\u0078t":"b"}',
        b'{"ref":"r1","to":"+375291110001","class":"otp","text":"b:","text":"\\u003a"}',
        b'{"ref":"r1","to":"+375291110001","class":"otp","text":"a","meta":{"a":1,"a":2}}',
        b'{"ref":"r1","to":"+375291110001","class":"otp","text":"a","meta":{"a":{"\\u003a":1},"a":"\\u003a"}}',
        b'{"ref":"r1","to":"+375291110001","class":"otp","text":"a\\u0000"}',
        b'{"ref":"r1","to":"+375291110001","class":"otp","text":"\\ud800"}',
        b'{"ref":"r1","to":"+375291110001","class":"otp","text":"\xed\xa0\x80"}',
        b'{"ref":"r1","to":"+375291110001","class":"otp","text":"a"} {}',
        b'["otp","r1","a","+375291110001"]',
        message(ref="a\tb"),
        message(to="+0375291110001"),
        message(to="+3752911100011"),
        message(to="+37529111000x"),
        message(sender=""),
        message(sender=" BAD "),
        message(sender="EXBANK\n"),
        message(group="a\u00a0b"),
        message(tags=["a\n"]),
        message(tags=["x"] * 17),
        message(meta="x" * 1_023),
        message(valid_for=60.0),
        message(valid_for=True),
        message(valid_for=10**30),
    ],
)
@pytest.mark.parametrize("client", CLIENTS[:2])
def test_the_short_cut_takes_nothing_that_care_refuses(raw: bytes, client: PushClient) -> None:
    short, careful = both(raw, client)
    assert short is None
    assert isinstance(careful, Refusal)


letters = st.text(alphabet=st.sampled_from('aZ9Ж😀:"\\\n{[\u0000\u00a0 '), min_size=0, max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | letters,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(letters, inner, max_size=3),
    max_leaves=6,
)
good = {
    "ref": st.text(alphabet="ab:Ж-1", min_size=1, max_size=6),
    "to": st.sampled_from(["+375291110001", "+447911123456", "80291110001", "+12025550123"]),
    "class": st.sampled_from([traffic.word for traffic in TrafficClass]),
    "text": letters.filter(bool),
    "sender": st.sampled_from(["EXBANK", "EXPAY", "+375291119999", "12345"]),
    "valid_for": st.integers(1, LONGEST_LIFE),
    "group": st.text(alphabet="g:Ж", min_size=1, max_size=3),
    "tags": st.lists(st.sampled_from(["web", "a-1", "x_2"]), max_size=3),
    "meta": values.filter(lambda value: value is not None),
    "not_after": st.just("2027-01-15T09:00:00Z"),
    "not_before": st.just("2027-01-15T08:30:00Z"),
}
required = ("ref", "to", "class", "text")
right = st.fixed_dictionaries(
    {field: good[field] for field in required},
    optional={field: good[field] for field in FIELDS if field not in required},
)
odd = st.fixed_dictionaries({}, optional={field: good[field] | values for field in (*FIELDS[:-1], "meta")})


@settings(max_examples=600, deadline=None)
@given(right, odd | st.just({}), st.booleans(), st.sampled_from(CLIENTS), st.randoms(use_true_random=False))
def test_whatever_comes_the_short_cut_is_equal_or_leaves_it(
    fields: dict[str, object], worse: dict[str, object], escape: bool, client: PushClient, chance: Random
) -> None:
    members = list({**fields, **worse}.items())
    chance.shuffle(members)
    check(json.dumps(dict(members), ensure_ascii=escape).encode(), client)


@settings(max_examples=400, deadline=None)
@given(right, st.sampled_from(FIELDS), values, st.booleans())
def test_a_second_key_of_a_field_is_never_taken(
    fields: dict[str, object], again: str, value: object, escape: bool
) -> None:
    text = json.dumps(fields, ensure_ascii=escape)
    raw = f"{text[:-1]},{json.dumps(again)}:{json.dumps(fields.get(again, value))}}}".encode()
    if again in fields:
        assert both(raw)[0] is None
    check(raw, LOCAL)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(USUAL), st.data())
def test_a_message_with_octets_changed_is_read_the_same(raw: bytes, data: st.DataObject) -> None:
    raw = raw[:600]
    at = data.draw(st.integers(0, len(raw)))
    until = data.draw(st.integers(at, min(at + 3, len(raw))))
    put = data.draw(st.binary(max_size=2) | st.sampled_from([b'"', b":", b",", b"\\", b"\\u003a", b"{", b"}", b"0"]))
    check(raw[:at] + put + raw[until:], LOCAL)


def test_the_short_cut_has_its_fields_in_the_order_of_the_canonical_form() -> None:
    names = [field.encode_name for field in msgspec.structs.fields(quick._Form)]
    assert names == sorted(set(FIELDS) - {"not_after", "not_before"})


@given(st.text(alphabet="+0123456789٣１ ", max_size=18) | st.from_regex(r"\+[1-9][0-9]{5,15}", fullmatch=True))
@example("+375291110001")
@example("+3752911100٣1")
def test_a_number_is_e164_as_it_stands_exactly_when_its_country_has_such_lengths(text: str) -> None:
    try:
        number: Msisdn | None = Msisdn.parse(text)
    except AddressError:
        number = None
    codes = [code for code in MOBILE_LENGTHS if text[1:].startswith(code)]
    fits = any(MOBILE_LENGTHS[code] >> (len(text) - 1 - len(code)) & 1 for code in codes)
    assert read_e164(text) == (number if fits else None)
