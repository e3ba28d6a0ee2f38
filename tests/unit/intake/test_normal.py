"""The normaliser: what forty years of clerks have typed, and what nobody may guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.intake.normal import USUAL, Form, Normaliser, Unread, is_landline, shape
from mgate.model.address import Msisdn

MOBILE = "+375291110001"
HERE = Normaliser("BY")


def said(found: Msisdn | Unread) -> str:
    return found.e164 if isinstance(found, Msisdn) else found.word


@pytest.mark.parametrize(
    "field",
    [
        "+375291110001",
        " +375 (29) 111-00-01 ",
        "8029 111-00-01",
        "80291110001",
        "8 (029) 111 00 01",
        "0(29)1110001",
        "00375291110001",
        "375291110001",
        "291110001",
        "\u06f0\u06f2\u06f9\u06f1\u06f1\u06f1\u06f0\u06f0\u06f0\u06f1",
        "\u0660\u0660\u0663\u0667\u0665\u0662\u0669\u0661\u0661\u0661\u0660\u0660\u0660\u0661",
    ],
)
def test_every_form_of_one_mobile_number_is_that_number(field: str) -> None:
    assert said(HERE.read(field)) == MOBILE


@pytest.mark.parametrize(
    ("country", "field", "number"),
    [
        ("UA", "0(67)1110001", "+380671110001"),
        ("UA", "80671110001", "+380671110001"),
        ("UA", "8(067)111-00-01", "+380671110001"),
        ("RU", "8 916 111-00-01", "+79161110001"),
        ("BY", "810380671110001", "+380671110001"),
        ("BY", "380671110001", "+380671110001"),
        (None, "0038 067 111 00 01", "+380671110001"),
    ],
)
def test_trunk_and_international_prefixes_are_those_of_the_country(country: str, field: str, number: str) -> None:
    assert said(Normaliser(country).read(field)) == number


@pytest.mark.parametrize(
    "field",
    [
        "+375291110001; +375291110002",
        "+375291110001, +375291110002",
        "+375291110001/+375291110002",
        "+375291110001 +375291110002",
        "8029 111 00 01 8029 111 00 02",
        "80291110001 80291110002",
        "8017 211-10-01; 8029 111-00-01",
        "8017 211-10-01 8029 111-00-01",
        "rubbish; 8029 111-00-01",
        "8029 111-00-01/02",
    ],
)
def test_of_two_numbers_in_a_field_the_first_mobile_one_is_taken(field: str) -> None:
    assert said(HERE.read(field)) == MOBILE


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("no phone", "not_a_number"),
        ("+375 29 111", "number_not_possible"),
        ("1" * 200, "not_a_number"),
        ("8017 211-10-01", "landline"),
        ("+375172111001", "landline"),
        ("8017 211-10-01, 8017 211-10-02", "landline"),
        ("12; 34", "not_a_number"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(field: str, reason: str) -> None:
    assert said(HERE.read(field)) == reason


def test_a_national_number_needs_a_country() -> None:
    assert Normaliser(None).read("8029 111-00-01") is Unread.COUNTRY_UNKNOWN


@pytest.mark.parametrize(
    ("form", "field"),
    [
        (Form.DIGITS, "\u06f0\u06f2\u06f9\u06f1\u06f1\u06f1\u06f0\u06f0\u06f0\u06f1"),
        (Form.PUNCTUATION, "8029 111-00-01"),
        (Form.DOUBLE_ZERO, "00375291110001"),
        (Form.NO_PLUS, "375291110001"),
        (Form.ZERO, "0291110001"),
        (Form.EIGHT, "80291110001"),
        (Form.BARE, "291110001"),
        (Form.SEVERAL, "+375291110001;+375291110002"),
    ],
)
def test_a_form_that_the_source_was_not_told_to_read_is_not_read(form: Form, field: str) -> None:
    assert said(HERE.read(field)) == MOBILE
    refused = Normaliser("BY", USUAL - {form}).read(field)
    assert refused in {Unread.FORM_NOT_READ, Unread.NOT_A_NUMBER}
    assert said(Normaliser("BY", USUAL - {form}).read(MOBILE)) == MOBILE


def test_landlines_are_taken_where_that_is_wanted() -> None:
    assert said(Normaliser("BY", frozenset(Form)).read("8017 211-10-01")) == "+375172111001"


def test_a_number_of_a_range_that_nobody_knows_yet_is_no_landline() -> None:
    assert not is_landline(Msisdn("+375991110001"))
    assert said(HERE.read("+375991110001")) == "+375991110001"


def test_the_eight_is_no_prefix_where_it_never_was() -> None:
    assert isinstance(Normaliser("GB").read("87911123456"), Unread)


@given(st.integers(0, 9_999_999), st.lists(st.sampled_from(["", " ", "-", ".", "(", ")"]), min_size=9, max_size=9))
def test_punctuation_never_changes_which_number_it_is(rest: int, between: list[str]) -> None:
    digits = f"29{rest:07d}"
    field = "80" + "".join(digit + mark for digit, mark in zip(digits, between, strict=True))
    assert said(HERE.read(field)) == said(HERE.read("80" + digits))


@given(st.text(max_size=140))
def test_anything_at_all_is_read_or_refused(field: str) -> None:
    assert isinstance(HERE.read(field), Msisdn | Unread)


@given(st.text(alphabet="0123456789 +-();\u06f1x", max_size=60))
def test_what_is_shown_of_a_field_never_has_its_digits(field: str) -> None:
    shown = sum(map(str.isdecimal, shape(field)))
    assert shown <= (6 if sum(map(str.isdecimal, field)) >= 9 else 0)


def test_the_shape_of_a_field_says_how_it_was_written() -> None:
    assert shape("8029 111-00-01") == "8029 ***-**-01"
    assert shape("Jane 12345") == "xxxx *****"
