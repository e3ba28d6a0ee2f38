"""Which encoding a file is in: right or undecided, never wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.intake.drops.encodings import BadOctets, Sniffer

TEXTS = [
    "Уважаемый клиент, на Вашу карту зачислено 100 рублей",
    "Код подтверждения 482913, никому его не сообщайте",
    "ПЕРЕВОД ВЫПОЛНЕН",
    "Паважаны кліент, ваш пераказ атрыманы",
    "Шановний клієнте, ваш переказ отримано",
    "яблоко",
    "да",
    "Я",
]


def found(octets: bytes, declared: str = "auto") -> str | None:
    sniffer = Sniffer(declared)
    for start in range(0, len(octets), 7):
        sniffer.feed(octets[start : start + 7])
    sniffer.feed(b"", final=True)
    return sniffer.encoding()


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1251", "cp866", "koi8-r"])
def test_a_text_is_read_as_it_was_written_or_not_at_all(text: str, encoding: str) -> None:
    try:
        octets = text.encode(encoding)
    except UnicodeEncodeError:
        return
    assert found(octets) in ({"utf-8"} if encoding == "utf-8" else {encoding, None} - {"koi8-r"})


@pytest.mark.parametrize("encoding", ["cp1251", "cp866"])
def test_a_sentence_is_enough(encoding: str) -> None:
    assert found(TEXTS[0].encode(encoding)) == encoding


@pytest.mark.parametrize(("text", "encoding"), [("Müller, Straße, größer", "cp1252"), ("Łódź, żółć", "cp1250")])
def test_western_letters_are_not_taken_for_cyrillic(text: str, encoding: str) -> None:
    assert found(text.encode(encoding)) is None


@given(st.lists(st.sampled_from(" ".join(TEXTS[:2]).split()), min_size=1, max_size=40), st.booleans())
def test_words_in_any_order_are_never_read_wrongly(words: list[str], capitals: bool) -> None:
    text = " ".join(words).upper() if capitals else " ".join(words)
    for encoding in ("cp1251", "cp866"):
        assert text.isascii() or found(text.encode(encoding)) in {encoding, None}


def test_ascii_is_utf_8() -> None:
    assert found(b"ref,to,text\n") == "utf-8"


def test_what_is_declared_is_held_to_it_and_the_line_is_told() -> None:
    assert found("Код".encode("cp1251"), "cp866") == "cp866"
    with pytest.raises(BadOctets) as caught:
        found(b"a\nb\n" + "Код".encode("cp1251"), "utf-8")
    assert caught.value.line == 3
    with pytest.raises(BadOctets):
        found("abc".encode("utf-16"))


def test_a_letter_cut_between_two_blocks_is_still_utf_8() -> None:
    assert found("Привет, мир: ё".encode()) == "utf-8"
