"""Rows of an outbox, read by the rules of a push."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.intake.client import PushClient
from mgate.intake.normal import USUAL, Form, Normaliser
from mgate.intake.rows import Reading, Refused, RowRules, read_row, reference
from mgate.model.entry import Submission
from mgate.model.message import Secret, TrafficClass
from mgate.model.source import Row, identity_of, reference_of

NOW = 1_800_000_000.0
CLIENT = PushClient("core", frozenset(TrafficClass) - {TrafficClass.MARKETING}, default_sender="EXBANK")
RULES = RowRules(CLIENT, TrafficClass.SERVICE, Normaliser("BY"))


def row(key: str = "17", **fields: object) -> Row:
    whole: dict[str, object] = {"to": "8029 111-00-01", "text": Secret("Code 482913"), **fields}
    return Row(key=key, **whole)  # type: ignore[arg-type]  # the fields of Row


def read(rules: RowRules = RULES, **fields: object) -> Submission:
    found = read_row(row(**fields), rules, NOW)  # type: ignore[arg-type]  # the fields of Row
    assert isinstance(found, Submission), found
    return found


def refused(rules: RowRules = RULES, **fields: object) -> tuple[str, str]:
    found = read_row(row(**fields), rules, NOW)  # type: ignore[arg-type]  # the fields of Row
    assert isinstance(found, Refused), found
    return found.reason, found.sentence.partition(":")[0]


def test_a_row_is_a_message_of_its_source() -> None:
    message = read(customer="c1", created=NOW - 5)
    assert (message.client, message.ref, message.to.e164) == ("core", "17", "+375291110001")
    assert (message.traffic, message.sender, message.peer_uid) == (TrafficClass.SERVICE, "EXBANK", -1)
    assert (message.expires, message.not_before) == (NOW + 86_400, 0.0)


def test_what_the_row_says_goes_before_what_the_source_says() -> None:
    message = read(
        traffic="otp", sender="ALFA", expires=NOW + 60, not_before=NOW + 5, group="g", meta=b'{"a": 1}', version="3"
    )
    assert (message.traffic, message.sender, message.group) == (TrafficClass.OTP, "ALFA", "g")
    assert (message.expires, message.not_before, message.meta) == (NOW + 60, NOW + 5, b'{"a":1}')


def test_the_version_is_part_of_the_reference_where_rows_have_versions() -> None:
    assert reference(row(version="2"), RULES) == "17"
    assert reference(row(version="2"), replace(RULES, versioned=True)) == "17/2"
    assert reference(row(), replace(RULES, versioned=True)) == "17/"


@given(st.lists(st.tuples(st.text("a/", max_size=4), st.text("a/", max_size=4)), min_size=2, max_size=2, unique=True))
def test_no_two_rows_share_a_reference(identities: list[tuple[str, str]]) -> None:
    rules = replace(RULES, versioned=True)
    names = [reference(row(key, version=version), rules) for key, version in identities]
    assert names[0] != names[1] or any(isinstance(name, Refused) for name in names)


@given(st.text("a/", max_size=4), st.text("ab", max_size=4), st.booleans())
def test_a_reference_leads_back_to_its_row(key: str, version: str, versioned: bool) -> None:
    name = reference_of(key, version, versioned=versioned)
    assert name is not None
    assert identity_of(name, versioned=versioned) == (key, version if versioned else "")


@pytest.mark.parametrize(
    ("fields", "reason", "column"),
    [
        ({"key": ""}, "empty", "key"),
        ({"key": "a\nb"}, "bad_value", "key"),
        ({"key": "x" * 129}, "too_long", "key"),
        ({"to": "8017 211-10-01"}, "landline", "to"),
        ({"to": "rubbish"}, "not_a_number", "to"),
        ({"to": ""}, "empty", "to"),
        ({"to": "\ud800"}, "not_a_number", "to"),
        ({"text": Secret("")}, "empty", "text"),
        ({"text": Secret("x" * 50_000)}, "too_long", "text"),
        ({"text": Secret("a\0b")}, "nul", "text"),
        ({"text": Secret("a\ud800b")}, "lone_surrogate", "text"),
        ({"traffic": "urgent"}, "bad_value", "traffic"),
        ({"traffic": "marketing"}, "class_not_allowed", "traffic"),
        ({"sender": "a sender too long"}, "bad_value", "sender"),
        ({"expires": NOW - 1}, "out_of_range", "expires"),
        ({"expires": NOW + 31 * 86_400}, "out_of_range", "expires"),
        ({"expires": float("nan")}, "out_of_range", "expires"),
        ({"expires": 1e300}, "out_of_range", "expires"),
        ({"expires": NOW + 5, "not_before": NOW + 6}, "contradiction", "not_before"),
        ({"meta": b"{"}, "bad_json", "meta"),
        ({"meta": b'1,"ref":"2"'}, "bad_json", "meta"),
        ({"meta": b"[" * 20 + b"]" * 20}, "too_deep", "meta"),
        ({"meta": b'"' + b"x" * 2000 + b'"'}, "too_long", "meta"),
        ({"group": "g" * 65}, "too_long", "group"),
    ],
)
def test_a_row_that_cannot_be_sent_is_refused_with_its_reason(
    fields: dict[str, object], reason: str, column: str
) -> None:
    assert refused(**fields) == (reason, column)  # type: ignore[arg-type]  # the fields of Row


def test_a_row_must_say_its_class_where_the_source_says_none() -> None:
    assert refused(replace(RULES, traffic=None)) == ("missing", "traffic")


def test_a_row_that_comes_again_is_the_same_whatever_was_configured_meanwhile() -> None:
    other = RowRules(replace(CLIENT, default_sender="OTHER"), TrafficClass.OTP, Normaliser("BY", frozenset(Form)))
    assert read().canonical == read(other).canonical
    assert read().canonical == read(created=1.0, customer="c").canonical


@pytest.mark.parametrize(
    "other",
    [
        {"text": Secret("Code 482914")},
        {"to": "8029 111-00-02"},
        {"traffic": "otp"},
        {"expires": NOW + 9},
        {"meta": b"1"},
    ],
)
def test_a_row_with_other_content_is_not_the_same(other: dict[str, object]) -> None:
    assert read().canonical != read(**other).canonical  # type: ignore[arg-type]  # the fields of Row


def test_a_refusal_repeats_neither_text_nor_number() -> None:
    found = read_row(row(to="8017 211-10-01", text=Secret("Code 482913")), RULES, NOW)
    assert isinstance(found, Refused)
    assert "211" not in found.sentence
    assert "482913" not in repr(row()) + found.sentence


def test_forms_are_the_sources_own() -> None:
    strict = replace(RULES, numbers=Normaliser("BY", USUAL - {Form.PUNCTUATION}))
    assert refused(strict) == ("form_not_read", "to")


ROWS = st.builds(
    Row,
    key=st.text(),
    to=st.text(),
    text=st.builds(Secret, st.text()),
    traffic=st.text(max_size=3),
    expires=st.floats(),
    not_before=st.floats(),
    group=st.text(),
    meta=st.binary(),
    version=st.text(),
)


@given(ROWS)
def test_no_row_can_break_the_reading(any_row: Row) -> None:
    assert isinstance(read_row(any_row, RULES, NOW), Submission | Refused)


# ---- the short cut --------------------------------------------------------------------------------------------------

OF_SOURCES = (
    RULES,
    replace(RULES, versioned=True, traffic=None),
    replace(RULES, client=replace(CLIENT, senders=frozenset({"EXBANK", " BAD "}), default_sender=None)),
    replace(RULES, traffic=TrafficClass.MARKETING, numbers=Normaliser(None, frozenset())),
)
DAY = 86_400.0
MOSTLY = st.builds(
    Row,
    key=st.sampled_from(["17", "", "a b", "a/b", "x" * 128, "x" * 129, "\n", "Ж"]),
    version=st.sampled_from(["", "2", "a/b", "\0"]),
    to=st.sampled_from(["+375291110001", "8029 111-00-01", "+375172111001", "none", "", "+375291110001\ud800"]),
    text=st.builds(Secret, st.sampled_from(["Code 482913", "Ваш код", "a\0b", "\ud800", "", "x" * 8_001, '"\\\n'])),
    traffic=st.sampled_from(["", "otp", "service", "marketing", "urgent"]),
    sender=st.sampled_from(["", "EXBANK", "ALFA", " BAD ", "+375291110009", "a sender too long"]),
    expires=st.sampled_from([0.0, NOW + 60.123456789, NOW + 1e-7, NOW, NOW - 1, NOW + 30 * DAY, float("nan"), 1e300]),
    not_before=st.sampled_from([0.0, 0.0, 0.0, NOW + 5]),
    group=st.sampled_from(["", "g", "g" * 64, "g" * 65, "\n"]),
    meta=st.sampled_from([b"", b"", b"", b"{}"]),
    customer=st.sampled_from(["", "c1"]),
)


def same(any_row: Row, rules: RowRules) -> bool:
    """Whether the short cut took it; it must then be what care makes of it, field by field."""
    careful, short = read_row(any_row, rules, NOW), Reading(rules)._read_common(any_row, NOW)
    assert Reading(rules).read(any_row, NOW) == careful
    if short is None:
        return False
    assert isinstance(careful, Submission), careful
    for field in Submission.__struct_fields__:
        one, other = getattr(short, field), getattr(careful, field)
        assert (type(one), one) == (type(other), other), field
    return True


@given(MOSTLY | ROWS, st.sampled_from(OF_SOURCES))
def test_the_short_cut_makes_of_a_row_what_care_makes_of_it(any_row: Row, rules: RowRules) -> None:
    same(any_row, rules)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"to": "+375291110001", "traffic": "otp", "sender": "ALFA", "group": "g"},
        {"text": Secret("Ваш код: 482913"), "expires": NOW + 60.5},
        {"expires": NOW + 60.123456789, "customer": "c1", "created": NOW},
    ],
)
def test_what_is_usual_is_taken_by_the_short_cut(fields: dict[str, object]) -> None:
    assert same(row(**fields), RULES)  # type: ignore[arg-type]  # the fields of Row


def test_a_submission_is_whole() -> None:
    assert msgspec.structs.asdict(read())["tags"] == ()
