"""What a text will be on the air, against the cutting itself and against trying it out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.policy.preview import MOST_FORCED, Forced, in_fewer_parts, preview
from mgate.policy.segments import Alphabet, count

ANY = st.text("aé{€Щ😀", min_size=1, max_size=400)


def test_a_text_in_gsm_says_what_is_left() -> None:
    assert preview("Code 482913") == (Alphabet.GSM7, 1, 11, 11, 149, ())
    assert preview("{€}") == (Alphabet.GSM7, 1, 3, 6, 154, ())
    assert preview("a" * 161) == (Alphabet.GSM7, 2, 161, 161, 143, ())


def test_the_characters_that_ask_for_ucs2_are_named_with_their_places() -> None:
    told = preview("Код: Щ😀")
    assert told[:5] == (Alphabet.UCS2, 1, 7, 8, 62)
    assert told.forced[0] == Forced("К", 1, "CYRILLIC CAPITAL LETTER KA")
    assert told.forced[-1] == Forced("😀", 7, "GRINNING FACE")


def test_of_many_such_characters_the_first_are_named() -> None:
    assert len(preview("".join(map(chr, range(0x400, 0x500)))).forced) == MOST_FORCED


def test_a_text_that_is_too_long_says_how_many_parts_it_would_need() -> None:
    assert preview("Щ" * 20_000).parts == 304
    assert preview("a" * 40_000)[:2] == (Alphabet.GSM7, 264)


@given(ANY)
def test_as_many_units_as_are_left_can_be_added_and_no_more(text: str) -> None:
    told = preview(text)
    assert told.parts == count(text)
    assert count(text + "a" * told.left) == told.parts
    assert count(text + "a" * (told.left + 1)) == told.parts + 1


@pytest.mark.parametrize(("table", "text"), [("ru", "Привет " * 15), ("uk", "Їжак " * 20), ("marks", "a" * 80 + "…")])
def test_a_text_is_changed_when_that_saves_parts(table: str, text: str) -> None:
    changed = in_fewer_parts(text, table)
    assert changed is not None
    assert count(changed) < count(text)


@pytest.mark.parametrize(("table", "text"), [("ru", "Привет"), ("ru", "щ" * 70), ("ru", "a" * 200), ("tr", "Щ" * 90)])
def test_a_text_stays_when_nothing_is_saved(table: str, text: str) -> None:
    assert in_fewer_parts(text, table) is None


@given(st.text("щшьЩ Aя", min_size=1, max_size=300), st.sampled_from(["ru", "uk", "be"]))
def test_no_text_needs_more_parts_for_being_changed(text: str, table: str) -> None:
    changed = in_fewer_parts(text, table)
    assert changed is None or count(changed) < count(text)
