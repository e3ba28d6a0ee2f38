"""Alphabets and parts, held against gsm0338 and the npm package smpp, and against a counting of units of our own."""

import gsm0338
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgate.policy.segments import Alphabet, Segments, TooLong, count, decode, split, udh
from tests.peers.node import NodeOracle

GSM = gsm0338.Codec()
EXTENDED = "\f^{}\\[~]|€"
BASIC = "".join(GSM.decode(bytes((n,)))[0] for n in range(128) if n != 0x1B)

gsm_texts = st.text(st.sampled_from(BASIC + EXTENDED * 4), max_size=700)
wide_texts = st.text(
    st.one_of(
        st.sampled_from("абвгдеёЖЯў 0123456789"), st.sampled_from("😀🏦𝒳"), st.characters(exclude_categories=["Cs"])
    ),
    max_size=400,
)
texts = st.one_of(gsm_texts, wide_texts, st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
few = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def parts_of(text: str) -> Segments:
    made = split(text)
    assert isinstance(made, Segments)
    return made


def fewest_parts(sizes: list[int], alone: int, each: int) -> int:
    """The least number of parts for characters of these sizes in order; taking as many as fit is best."""
    if sum(sizes) <= alone:
        return 1
    parts, room = 1, each
    for size in sizes:
        if size > room:
            parts, room = parts + 1, each
        room -= size
    return parts


@given(texts)
def test_parts_fit_join_to_the_original_and_are_as_few_as_can_be(text: str) -> None:
    alphabet, parts = parts_of(text)
    gsm = alphabet is Alphabet.GSM7
    assert gsm == all(c in BASIC + EXTENDED for c in text)
    limit = (160 if gsm else 140) if len(parts) == 1 else (152 if gsm else 132)
    assert max(map(len, parts)) <= limit
    assert "".join(decode(alphabet, part) for part in parts) == text  # so no pair was cut, either
    sizes = [2 if (c in EXTENDED if gsm else ord(c) > 0xFFFF) else 1 for c in text]
    assert len(parts) == fewest_parts(sizes, *((160, 152) if gsm else (70, 66))) == count(text)


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("", [0]),
        ("x" * 160, [160]),
        ("x" * 161, [152, 9]),
        ("x" * 151 + "€" + "x" * 20, [151, 22]),
        ("x" * 150 + "€" + "x" * 20, [152, 20]),
        ("€" * 80, [160]),
        ("x" + "€" * 80, [151, 10]),
        ("я" * 70, [140]),
        ("я" * 71, [132, 10]),
        ("я" * 65 + "😀" + "я" * 10, [130, 24]),
        ("я" * 64 + "😀" + "я" * 10, [132, 20]),
    ],
)
def test_the_limits_to_the_octet(text: str, sizes: list[int]) -> None:
    assert [len(part) for part in parts_of(text).parts] == sizes


@pytest.mark.parametrize("text", ["\0", "é\0", "\x1b", "é\x1b", "`", "é`", "\x7f", "@`", "@ё", "ÿ", "é\ufffe", "\x80"])
def test_one_letter_that_gsm_lacks_makes_it_ucs2(text: str) -> None:
    assert parts_of(text) == Segments(Alphabet.UCS2, (text.encode("utf-16-be"),))


@pytest.mark.parametrize("unit", ["x", "я", "€", "😀"])
def test_more_than_255_parts_are_refused_by_name(unit: str) -> None:
    each = {"x": 152, "я": 66, "€": 76, "😀": 33}[unit]
    assert len(parts_of(unit * each * 255).parts) == 255
    assert split(unit * (each * 255 + 1)) == TooLong(256)
    assert count(unit * (each * 255 + 1)) == 256


@given(gsm_texts)
def test_gsm_octets_are_those_of_gsm0338(text: str) -> None:
    assert b"".join(parts_of(text).parts) == GSM.encode(text)[0]


@few
@given(gsm_texts, wide_texts)
def test_gsm_octets_and_the_choice_of_alphabet_are_nodes(node: NodeOracle, text: str, other: str) -> None:
    assert b"".join(parts_of(text).parts) == node.gsm(text)
    for each in (text, other):
        assert (parts_of(each).alphabet is Alphabet.GSM7) == node.fits_gsm(each)


@pytest.mark.parametrize("code", [n for n in range(128) if n != 0x1B])
def test_every_code_of_both_tables_decodes_as_gsm0338_decodes_it(code: int) -> None:
    assert decode(Alphabet.GSM7, bytes((code,))) == GSM.decode(bytes((code,)))[0]


@pytest.mark.parametrize("letter", EXTENDED)
def test_every_letter_of_the_extension_table_decodes_as_gsm0338_decodes_it(letter: str) -> None:
    octets = GSM.encode(letter)[0]
    assert (octets[0], decode(Alphabet.GSM7, octets)) == (0x1B, letter)


def test_an_escape_that_leads_nowhere_shows_the_basic_character() -> None:
    assert decode(Alphabet.GSM7, b"\x1bA\x1b\x1bB\x1b") == "A B"


@given(st.sampled_from(Alphabet), st.binary(max_size=200))
def test_decoding_raises_nothing(alphabet: Alphabet, octets: bytes) -> None:
    assert isinstance(decode(alphabet, octets), str)


def test_the_header_is_that_of_ts_23_040() -> None:
    assert udh(0x1234, 3, 2) == bytes.fromhex("06 08 04 12 34 03 02")


def test_a_lone_surrogate_is_a_bug_of_the_caller() -> None:
    with pytest.raises(UnicodeEncodeError):
        split("Code \ud800")
