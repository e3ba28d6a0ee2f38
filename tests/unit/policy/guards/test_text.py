"""What a text may not hold, however it is written, and what it may."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.policy.guards.text import Trick, Wishes, fault_of, is_luhn

WISHES = Wishes(hosts=frozenset({"bank.example", "*.help.example"}))
CARD = "4111111111111111"  # the test number of every scheme's manual


@pytest.mark.parametrize(
    "text",
    [
        f"Card {CARD}",
        f"x{CARD}x",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111 – 1111 – 1111 – 1111",
        "4111\u00a01111\u00a01111\u00a01111",
        "4111\n1111\n1111\n1111",
        "4111\u200b1111 1111 1111",
        "411111 1111111111",
        "41 11 11 11 11 11 11 11",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "3782 822463 10005",
        "Card 9860 1234 5678 9015, 12.50",
        "\u0664" + "\u0661" * 15,
        "\u06f4" + "\u06f1" * 15,
        "\uff14\uff11\uff11\uff11 \uff11\uff11\uff11\uff11 \uff11\uff11\uff11\uff11 \uff11\uff11\uff11\uff11",
        "ref 12345678, 4111 1111 1111 1111",
        "4222222222222",  # 13 digits
    ],
)
def test_the_number_of_a_card_is_found(text: str) -> None:
    found = fault_of(text, Wishes(tricks=False, hosts=WISHES.hosts))
    assert found is not None
    assert found.trick is Trick.PAN
    assert not any(map(str.isdigit, found.word))


@pytest.mark.parametrize(
    "text",
    [
        "Card *1234: 12.50 BYN at SHOP 22, 22.11.26 14:05. Balance 1234.56 BYN. Example Bank",
        "Card 411111******1111",
        "4111111111111112",  # fails the check
        "12345678901234567890",  # 20 digits
        "BY20OLMP31350000001000000933",
        "22-11-2026 14 05 1234 22-11 14-05",
        "+375 29 111 00 01",
        "Call 8 029 111 00 01 or 8 029 111 00 02",
        "0000 0000 0000 0000",
        "",
    ],
)
def test_what_is_no_card_passes(text: str) -> None:
    assert fault_of(text, WISHES) is None


def test_dates_and_amounts_are_not_made_into_cards() -> None:
    chance = random.Random(7)
    for _ in range(2_000):
        day = f"{chance.randrange(1, 29):02}-{chance.randrange(1, 13):02}-2026"
        text = f"*{chance.randrange(10**4):04} {day} {chance.randrange(24):02}:05 {chance.randrange(10**6)} BYN"
        assert fault_of(text, WISHES) is None, text


@given(st.integers(12, 18).flatmap(lambda n: st.text("0123456789", min_size=n, max_size=n)), st.text(" -", max_size=1))
def test_every_number_that_passes_the_check_is_found(digits: str, between: str) -> None:
    digits = "4" + digits[1:]
    last = next(str(n) for n in range(10) if is_luhn(digits + str(n)))
    whole = digits + last
    text = between.join(whole[place : place + 4] for place in range(0, len(whole), 4))
    found = fault_of(f"Your card {text}.", WISHES)
    assert found is not None
    assert found.trick is Trick.PAN


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("see https://evil.example/x", "evil.example"),
        ("see evil.by", "evil.by"),
        ("see evil.by/x.", "evil.by"),
        ("WWW.Evil.Bar", "www.evil.bar"),
        ("https://bank.example@evil.com/", "evil.com"),
        ("https://bank.example.evil.com/", "bank.example.evil.com"),
        ("http://1.2.3.4/", "1.2.3.4"),
        ("http://bank.example:80@1.2.3.4", "1.2.3.4"),
        ("банк.бел", "банк.бел"),
        ("t.me/bank", "t.me"),
        ("(evil.com)", "evil.com"),
        ("ok https://bank.example and evil.com", "evil.com"),
        ("market://evil", "evil"),
    ],
)
def test_a_link_that_nobody_allowed_is_found(text: str, host: str) -> None:
    found = fault_of(text, WISHES)
    assert found is not None
    assert (found.trick, found.word) == (Trick.LINK, host)


@pytest.mark.parametrize(
    "text",
    [
        "https://bank.example/x?y=evil.com",
        "BANK.example",
        "go to bank.example, or a.help.example",
        "12.50 BYN.Balance 5",
        "г.Минск, ул.Ленина, т.е. там",
        "22.11.26",
        "mail me@bank.com",
        "v1.2.3",
    ],
)
def test_links_that_are_allowed_and_what_is_no_link_pass(text: str) -> None:
    assert fault_of(text, WISHES) is None


def test_without_a_list_no_link_passes_and_with_a_star_every_link_does() -> None:
    assert fault_of("https://bank.example", Wishes()) is not None
    assert fault_of("https://evil.example", Wishes(hosts=frozenset({"*"}))) is None


@pytest.mark.parametrize(
    ("text", "trick"),
    [
        ("a\tb", Trick.CONTROL),
        ("a\x1bb", Trick.CONTROL),
        ("a\x7fb", Trick.CONTROL),
        ("a\x85b", Trick.CONTROL),
        ("a\u200bb", Trick.INVISIBLE),
        ("a\u00adb", Trick.INVISIBLE),
        ("a\u200db", Trick.INVISIBLE),
        ("a\ufeffb", Trick.INVISIBLE),
        ("a\u2060b", Trick.INVISIBLE),
        ("a\u202eb", Trick.DIRECTION),
        ("a\u2066b", Trick.DIRECTION),
        ("a\u200fb", Trick.DIRECTION),
        ("P\u0430ypal", Trick.MIXED),
        ("Банк Прим\u0065р", Trick.MIXED),
        ("\u039fplati", Trick.MIXED),
        ("\u0391\u0411\u0432", Trick.MIXED),
    ],
)
def test_characters_that_deceive_are_found_at_their_place(text: str, trick: Trick) -> None:
    found = fault_of(text, WISHES)
    assert found is not None
    assert found.trick is trick
    assert found.place in {1, 2, 6}
    assert fault_of(text, Wishes(tricks=False)) is None


@pytest.mark.parametrize(
    "text",
    [
        "two\nlines\r\n",
        "VISA-карта, SMS-код, QR-код, 5G, №5",
        "«Банк» — 12,50 €",
        "می\u200cخواهم",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "❤\ufe0f",
        "שלום\u200f (ABC)",
        "12\u00a0500",
        "Größe, ağız, Łódź",
        "Ευρώ 5",
    ],
)
def test_what_languages_need_passes(text: str) -> None:
    assert fault_of(text, WISHES) is None


@given(st.text(max_size=60))
def test_no_text_breaks_the_guard_and_the_short_way_finds_what_the_careful_one_does(text: str) -> None:
    found = fault_of(text, WISHES)
    odd = [each for each in text if each in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff\t\x00"]
    assert found is not None or not odd
