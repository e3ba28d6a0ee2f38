"""Numbers as people and systems write them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.intake.codes import Code
from mgate.intake.countries import MOBILE_LENGTHS
from mgate.intake.numbers import read_number
from mgate.model.address import Msisdn

ONE = Msisdn("+375291110001")


@pytest.mark.parametrize(
    "text",
    [
        "+375291110001",
        "00375291110001",
        "00375 (29) 111-00-01",
        "+375 29 111 00 01",
        "+375\u00a029\u202f111\u201100\u201301",
        "\u202a+375291110001\u202c",
        "\u200e+375.29.111/00/01 ",
        "+375 (0) 29 111-00-01",
        "+۳۷۵۲۹۱۱۱۰۰۰۱",
        "٠٠٣٧٥٢٩١١١٠٠٠١",
        "＋３７５２９１１１０００１",
    ],
)
@pytest.mark.parametrize("country", [None, "BY", "US"])
def test_an_international_number_is_read_whatever_stands_between_its_digits(text: str, country: str | None) -> None:
    assert read_number(text, country) == ONE


@pytest.mark.parametrize(
    "text",
    ["80291110001", "8 029 111-00-01", "8(029)1110001", "291110001", "029 111 00 01", "375291110001",
     "810375291110001"],
)  # fmt: skip
def test_a_national_number_is_read_by_the_default_country(text: str) -> None:
    assert read_number(text, "BY") == ONE
    assert read_number(text, None) is Code.COUNTRY_UNKNOWN


def test_the_same_digits_mean_another_number_in_another_country() -> None:
    assert read_number("07911 123456", "GB") == Msisdn("+447911123456")
    assert read_number("۰۹۱۲ ۱۱۱ ۰۰۰۱", "IR") == Msisdn("+989121110001")
    assert read_number("07911 123456", "BY") is Code.NUMBER_NOT_POSSIBLE


def test_a_national_number_must_lie_in_a_known_range_and_an_international_one_need_not() -> None:
    assert read_number("601234567", "BY") is Code.NUMBER_NOT_POSSIBLE
    assert read_number("+375601234567", "BY") == Msisdn("+375601234567")


@pytest.mark.parametrize(
    "text",
    ["", " ", "+", "++375291110001", "none", "0800-FLOWERS", "+375291110001 ext 5", "tel:+375291110001", "²²²²²²²²²",
     "+37529111０00x", "1" * 65, "+375291110001,+375291110002", "12"],
)  # fmt: skip
def test_what_is_no_number_is_told_so(text: str) -> None:
    assert read_number(text, "BY") is Code.NOT_A_NUMBER


@pytest.mark.parametrize("text", ["+37529111000", "+3752911100011", "+999123456789", "+0375291110001", "+1234567"])
def test_a_number_that_no_country_has_is_told_so(text: str) -> None:
    assert read_number(text, "BY") is Code.NUMBER_NOT_POSSIBLE


@given(st.text(max_size=20), st.sampled_from([None, "BY", "GB", "XX"]))
def test_any_text_is_a_number_or_a_code(text: str, country: str | None) -> None:
    found = read_number(text, country)
    assert isinstance(found, Msisdn | Code)


@given(st.text(alphabet="+0123456789 -()", max_size=18))
def test_a_number_that_was_read_reads_as_itself(text: str) -> None:
    found = read_number(text, "BY")
    if isinstance(found, Msisdn):
        assert read_number(found.e164, None) == found


def test_the_table_is_what_its_generator_makes() -> None:
    made = subprocess.run(
        [sys.executable, "tools/number_lengths.py"], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    with open("mgate/intake/countries.py") as file:  # noqa: PTH123  # relative to the checkout, where tests run
        assert file.read() == made
    assert len(MOBILE_LENGTHS) > 200
