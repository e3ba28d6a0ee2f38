"""Reading one message: what is taken, what is refused, and which fault is told first."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgate.intake.codes import BY_WORD, Code
from mgate.intake.request import FIELDS, read_ref, read_submission
from mgate.intake.shape import read_object
from mgate.model.entry import Submission
from mgate.model.message import TrafficClass
from mgate.model.ports import Answer, Refusal
from tests.unit.intake.conftest import LOCAL, NOW, message, refused


def read(raw: bytes, **rules: object) -> Submission | Refusal:
    return read_submission(raw, replace(LOCAL, **rules), 1000, NOW)  # type: ignore[arg-type]  # fields of PushClient


def taken(raw: bytes, **rules: object) -> Submission:
    found = read(raw, **rules)
    assert isinstance(found, Submission), found
    return found


def test_a_message_is_read_into_one_form() -> None:
    found = taken(
        message(
            to="8 (029) 111-00-01", sender="+375291119999", valid_for=60, group="login", tags=["web", "a-1"],
            meta={"branch": 7},
        )
    )  # fmt: skip
    assert (found.client, found.ref, found.to.e164, found.traffic) == ("local", "r1", "+375291110001", TrafficClass.OTP)
    assert (found.text.reveal(), found.sender, found.group, found.tags) == (
        "Code 482913", "+375291119999", "login", ("web", "a-1"),
    )  # fmt: skip
    assert (found.expires, found.not_before, found.meta, found.peer_uid) == (NOW + 60, 0.0, b'{"branch":7}', 1000)


def test_what_is_not_said_is_filled_from_class_and_client() -> None:
    found = taken(message(**{"class": "service"}))
    assert (found.sender, found.expires, found.group, found.tags, found.meta) == ("EXBANK", NOW + 86_400, "", (), b"")


def test_the_canonical_form_holds_the_values_as_they_were_given() -> None:
    raw = b' { "valid_for" : 60, "to":"8029 1110001",\n"ref":"r1","class":"otp","text":"\\u0043ode: 1" } '
    found = taken(raw)
    assert found.canonical == b'{"class":"otp","ref":"r1","text":"Code: 1","to":"8029 1110001","valid_for":60}'
    assert read_submission(raw, LOCAL, 1000, NOW + 50).canonical == found.canonical  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "bad_json"),
        (b"[]", "bad_json"),
        (b"null", "bad_json"),
        (b'{"ref":"a"} x', "bad_json"),
        (b"{'ref':'a'}", "bad_json"),
        (b'{"ref":NaN}', "bad_json"),
        (b'{"ref":"a\nb"}', "bad_json"),
        (b'\xef\xbb\xbf{"ref":"a"}', "bad_json"),
        (b'{"ref":"\\x41"}', "bad_json"),
        (b'{"ref":"\xff"}', "bad_utf8"),
        (b'{"ref":"\xed\xa0\x80"}', "bad_utf8"),
        (b'{"ref":"\xc0\xaf"}', "bad_utf8"),
        (b'{"ref":"\\ud83d"}', "lone_surrogate"),
        (b'{"ref":"\\uD83Dx"}', "lone_surrogate"),
        (b'{"ref":"\\ude00\\ud83d"}', "lone_surrogate"),
        (b'{"\\udfff":1}', "lone_surrogate"),
        (b'{"ref":"a\\u0000b"}', "nul"),
        (b'{"meta":{"\\u0000":1}}', "nul"),
        (b'{"ref":"a","ref":"a"}', "duplicate_key"),
        (b'{"ref":"a","r\\u0065f":"b"}', "duplicate_key"),
        (b'{"meta":[{"a":{"b":1,"b":2}}]}', "duplicate_key"),
        (b'{"text":"a:b","text":"c:d:e"}', "duplicate_key"),
        (b'{"text":"\\u003a","text":"\\u003A"}', "duplicate_key"),
        (b'{"text":"\\u003a\\u003a\\u003a","meta":{"a":1,"a":2}}', "duplicate_key"),
        (b'{"meta":' + b"[" * 8 + b"]" * 8 + b"}", "too_deep"),
        (b'{"meta":' + b'{"a":' * 8 + b"1" + b"}" * 8 + b"}", "too_deep"),
        (b'{"meta":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "too_deep"),
    ],
)
def test_json_that_is_broken_or_may_mean_two_things_is_refused(raw: bytes, code: str) -> None:
    assert refused(read(raw)) == (code, "")


@pytest.mark.parametrize(
    "raw",
    [
        message(text="a:b::c"),
        message(text="\\u0000 is no NUL, \\ud800 no surrogate, \\u003a no colon"),
        message(text="[[[[[[[[[[{{{{{{{{{{"),
        message(text="😀 é Ж"),
        message().replace(b"Code", b"\\ud83d\\ude00\\u003a\\u003A"),
        message(meta=[[[[[[[1]]]]]]]),
        message(meta={"a:b": {"a:b": ":"}, "x": [":", {"a:b": 1}]}),
    ],
)
def test_what_only_looks_like_a_fault_is_taken(raw: bytes) -> None:
    assert taken(raw).ref == "r1"


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"ref": None}, "missing", "ref"),
        ({"ref": 1}, "wrong_type", "ref"),
        ({"ref": ""}, "empty", "ref"),
        ({"ref": "x" * 129}, "too_long", "ref"),
        ({"ref": "a\tb"}, "bad_value", "ref"),
        ({"to": None}, "missing", "to"),
        ({"to": 375291110001}, "wrong_type", "to"),
        ({"to": "soon"}, "not_a_number", "to"),
        ({"to": "+37529111"}, "number_not_possible", "to"),
        ({"class": "sms"}, "bad_value", "class"),
        ({"class": "OTP"}, "bad_value", "class"),
        ({"text": ""}, "empty", "text"),
        ({"text": ["a"]}, "wrong_type", "text"),
        ({"text": "Ж" * (255 * 66 + 1)}, "too_long", "text"),
        ({"sender": "EXAMPLE BANK"}, "bad_value", "sender"),
        ({"sender": " BANK"}, "bad_value", "sender"),
        ({"sender": "БАНК"}, "bad_value", "sender"),
        ({"sender": "1234567890123456"}, "bad_value", "sender"),
        ({"valid_for": 0}, "out_of_range", "valid_for"),
        ({"valid_for": 60.0}, "wrong_type", "valid_for"),
        ({"valid_for": True}, "wrong_type", "valid_for"),
        ({"valid_for": 2_592_001}, "out_of_range", "valid_for"),
        ({"valid_for": 60, "not_after": "2027-01-15T09:00:00Z"}, "contradiction", "not_after"),
        ({"not_after": "2027-01-15T09:00:00"}, "bad_value", "not_after"),
        ({"not_after": "2027-01-15"}, "bad_value", "not_after"),
        ({"not_after": "2027-02-30T09:00:00Z"}, "bad_value", "not_after"),
        ({"not_after": "0001-01-01T00:00:00+23:59"}, "out_of_range", "not_after"),
        ({"not_after": "2027-01-15T07:00:00Z"}, "out_of_range", "not_after"),
        ({"not_after": "2027-03-15T08:00:00Z"}, "out_of_range", "not_after"),
        ({"not_before": "2027-07-15T08:00:00Z"}, "out_of_range", "not_before"),
        ({"not_before": "2027-01-15T09:00:00Z", "not_after": "2027-01-15T09:00:00Z"}, "contradiction", "not_before"),
        ({"group": ""}, "empty", "group"),
        ({"group": "x" * 65}, "too_long", "group"),
        ({"tags": "web"}, "wrong_type", "tags"),
        ({"tags": [1]}, "wrong_type", "tags"),
        ({"tags": ["Web"]}, "bad_value", "tags"),
        ({"tags": ["x" * 33]}, "bad_value", "tags"),
        ({"tags": ["x"] * 17}, "too_many", "tags"),
        ({"meta": "x" * 1023}, "too_long", "meta"),
        ({"colour": 1}, "unknown_field", "colour"),
        ({"+375291110001": 1}, "unknown_field", ""),
    ],
)
def test_a_bad_field_is_named_with_its_code(fields: dict[str, object], code: str, field: str) -> None:
    assert refused(read(message(**fields))) == (code, field)


def test_null_is_not_a_way_to_leave_a_field_out() -> None:
    for field in FIELDS:
        given = {**json.loads(message()), field: None}
        assert refused(read(json.dumps(given).encode())) == ("wrong_type", field)


@pytest.mark.parametrize(
    "fields",
    [
        {"ref": "x" * 128},
        {"group": "x" * 64},
        {"meta": "x" * 1022},
        {"tags": ["x" * 32] * 16},
        {"text": "Ж" * (255 * 66)},
        {"sender": "1" * 15},
        {"valid_for": 2_592_000},
    ],
)
def test_the_longest_of_everything_is_taken(fields: dict[str, object]) -> None:
    assert isinstance(read(message(**fields)), Submission)


def test_the_first_fault_in_the_order_of_fields_is_the_one_that_is_told() -> None:
    good = {**json.loads(message()), "sender": "A", "valid_for": 1, "group": "g", "tags": [], "meta": 1}
    given: dict[str, object] = dict.fromkeys(reversed(FIELDS))
    assert refused(read(json.dumps({**given, "colour": 1}).encode())) == ("unknown_field", "colour")
    for field in FIELDS:
        assert refused(read(json.dumps(given).encode())) == ("wrong_type", field)
        given.pop(field)
        if field in good:
            given = {field: good[field], **given}


def test_what_a_client_may_not_use_is_403() -> None:
    answer = read(message(sender="OTHER"), senders=frozenset({"EXBANK"}))
    assert isinstance(answer, Refusal)
    assert (answer.status, answer.code, answer.field) == (403, "sender_not_allowed", "sender")
    assert refused(read(message(), classes=frozenset({TrafficClass.FRAUD}))) == ("class_not_allowed", "class")
    assert refused(read(message(), default_sender=None)) == ("missing", "sender")


@pytest.mark.parametrize("sender", ["+12345678", "12345678", "+375291119999"])
def test_a_senders_plus_sign_stays_since_it_tells_a_number_from_a_short_code(sender: str) -> None:
    assert taken(message(sender=sender), senders=frozenset({sender})).sender == sender
    assert taken(message(), default_sender=sender).sender == sender
    other = sender[1:] if sender.startswith("+") else f"+{sender}"
    assert refused(read(message(sender=other), senders=frozenset({sender}))) == ("sender_not_allowed", "sender")


def test_life_is_counted_from_the_moment_when_a_message_may_leave() -> None:
    start = NOW + 3600
    later = "2027-01-15T12:00:00+03:00"
    assert (taken(message(not_before=later)).not_before, taken(message(not_before=later)).expires) == (
        start,
        start + 180,
    )
    assert taken(message(not_before=later, valid_for=60)).expires == start + 60
    assert taken(message(not_before=later, not_after="2027-01-15t09:00:00.5z")).expires == start + 0.5
    assert taken(message(not_before="2027-01-15T07:59:59Z")).not_before == 0.0


def test_a_refused_line_is_known_by_its_ref_when_it_has_one() -> None:
    assert read_ref(message("r7", to="x")) == "r7"
    assert [read_ref(raw) for raw in (b"{", b'{"ref":1}', b'{"ref":"a\\nb"}', message("x" * 129))] == [""] * 4


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
field_values = st.fixed_dictionaries({}, optional=dict.fromkeys((*FIELDS, "colour"), anything))


@settings(max_examples=300, deadline=None)
@given(field_values | st.binary(max_size=60))
def test_whatever_comes_the_answer_is_a_submission_or_a_listed_refusal(given: dict[str, object] | bytes) -> None:
    raw = given if isinstance(given, bytes) else json.dumps({**json.loads(message()), **given}).encode()
    answer: Submission | Answer = read(raw)
    if isinstance(answer, Refusal):
        assert BY_WORD[answer.code].status == answer.status
    else:
        assert isinstance(answer, Submission)


letters = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.just(":"), max_size=4)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | letters,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(letters, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(letters, plain, min_size=1, max_size=4), st.booleans(), st.data())
def test_a_key_is_found_twice_exactly_when_it_is_there_twice(
    value: dict[str, object], escape: bool, data: st.DataObject
) -> None:
    text = json.dumps(value, ensure_ascii=escape)
    assert read_object(text.encode()) == value
    key = json.dumps(data.draw(st.sampled_from(list(value))), ensure_ascii=escape)
    twice = read_object(f"{text[:-1]},{key}:1}}".encode())
    assert isinstance(twice, Refusal)
    assert twice.code == "duplicate_key"


def test_every_code_has_one_word_and_a_sentence() -> None:
    assert len(BY_WORD) == len(Code)
    assert all(code.sentence and 400 <= code.status < 600 for code in Code)
