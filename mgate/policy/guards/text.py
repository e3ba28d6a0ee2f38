"""What a text may not hold: the number of a card, a link that nobody allowed, and characters that deceive the reader.

Every text passes here, so the way of a text that is in order is short: it is made into a row of kinds, one octet a
character (a digit, a letter of either alphabet, a dot), in which anything suspicious can be found by searching octets.
Only what is found there, or cannot be, is looked at with care.

A card's number is 13 to 19 digits that pass the check of ISO/IEC 7812-1, annex B (Luhn), and do not begin with 0; in
one piece or in groups of three and more, or in groups of one size, with a blank or a dash between two. Digits count in
every script. Longer runs, as in account numbers, are none; of the others one in ten passes the check by chance.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from enum import Enum
from typing import Final, NamedTuple


class Trick(Enum):
    """What is wrong with a text."""

    PAN = "pan_in_text"
    LINK = "link_not_allowed"
    CONTROL = "control_character"
    INVISIBLE = "invisible_character"
    DIRECTION = "direction_character"
    MIXED = "mixed_scripts"


class Fault(NamedTuple):
    """What is wrong, where (the first character is 1), and a word that tells no secret: a host, or a code point."""

    trick: Trick
    place: int
    word: str = ""


class Wishes(NamedTuple):
    """What is looked for. ``hosts`` may be linked to: names, ``*.name`` for all below it, ``*`` for any."""

    cards: bool = True
    tricks: bool = True
    hosts: frozenset[str] = frozenset()


def fault_of(text: str, wishes: Wishes) -> Fault | None:
    """The first thing that is wrong with a text; None when nothing is. UnicodeEncodeError for a lone surrogate."""
    cards, tricks, hosts = wishes
    ascii_only = text.isascii()
    row = text.encode().translate(_KINDS) if ascii_only else text.encode().translate(_KINDS, _CONTINUED)
    # A text again, because Python searches texts three times as fast as octets.
    kinds = row.decode("ascii")
    if tricks and "!" in kinds and (found := _odd_character(text)) is not None:
        return found
    if not ascii_only and (found := _beyond_ascii(text, kinds, wishes)) is not None:
        return found
    if cards and kinds.count("0") >= _SHORTEST and _RUN in row.translate(None, _BETWEEN).decode("ascii"):
        found = _card(text)
        if found is not None:
            return found
    if ".L" in kinds or "://" in kinds or (not ascii_only and (".C" in kinds or ".?" in kinds)):
        return _foreign_link(text, hosts)
    return None


def _beyond_ascii(text: str, kinds: str, wishes: Wishes) -> Fault | None:
    """What only other characters than those of ASCII can do."""
    if wishes.tricks:
        if _may_mix(kinds) and (found := _mixed_word(text)) is not None:
            return found
        # Alphabets of two octets hold no character that cannot be seen.
        if ("~" in kinds or "?" in kinds) and not text.isprintable() and (found := _odd_character(text)) is not None:
            return found
    return _card(text) if wishes.cards and "?" in kinds and _OTHER_DIGIT.search(text) is not None else None


# ---- the row of kinds ----------------------------------------------------------------------------------------------

# L: a Latin letter, C: a Cyrillic one, G: a Greek one, 0: a digit, !: a control character, and some as they are. Of a
# character that is not ASCII the first octet tells the script (RFC 3629: two octets for these scripts); ~ and ? ask for
# a closer look, ? also for digits.
_CONTINUED: Final = bytes(range(0x80, 0xC0))
_KEPT: Final = b" -./:\n\r"


def _kind(octet: int) -> int:
    letter = chr(octet)
    if octet < 0x80:
        sign = letter if octet in _KEPT else "," if letter.isprintable() else "!"
        return ord("L" if letter.isalpha() else "0" if letter.isdigit() else sign)
    if 0xC3 <= octet <= 0xC9:
        return ord("L")
    if octet == 0xCE or octet == 0xCF:
        return ord("G")
    if 0xD0 <= octet <= 0xD4:
        return ord("C")
    return ord("~" if octet in {0xC2, 0xE2} else "?")


_KINDS: Final = bytes(map(_kind, range(256)))
_BETWEEN: Final = b" -~?\r\n"
_OTHER_DIGIT: Final = re.compile(r"[^\D0-9]")
_SHORTEST, _LONGEST = 13, 19
_RUN: Final = "0" * _SHORTEST
_ANY: Final = "*"


def _may_mix(kinds: str) -> bool:
    """Whether letters of two scripts stand side by side. Searching for each pair is quicker than a pattern."""
    if "C" in kinds and "L" in kinds and ("CL" in kinds or "LC" in kinds):
        return True
    return "G" in kinds and any(pair in kinds for pair in ("GL", "LG", "GC", "CG"))


# ---- cards ---------------------------------------------------------------------------------------------------------

# White space of any kind and dashes; a point or a slash would make cards of dates and amounts.
_GROUPS: Final = re.compile(r"\d+(?:[^\S\n]{0,2}[\s\-\u2010-\u2015\u2212\u00ad\u200b-\u200d\u2060]\s{0,2}\d+)*")
_GROUP: Final = re.compile(r"\d+")


def _card(text: str) -> Fault | None:
    for found in _GROUPS.finditer(text):
        groups = [(group.start(), _ascii(group[0])) for group in _GROUP.finditer(found[0])]
        for begin in range(len(groups)):
            for digits in _candidates([group for _, group in groups[begin:]]):
                if digits[0] != "0" and is_luhn(digits):
                    return Fault(Trick.PAN, found.start() + groups[begin][0] + 1)
    return None


def _candidates(groups: list[str]) -> Iterator[str]:
    """What a card's number may be made of, from the first group on."""
    digits, size = "", len(groups[0])
    whole, even = True, True
    for number, group in enumerate(groups):
        even = even and (number == 0 or len(groups[number - 1]) == size) and len(group) <= size
        whole = whole and len(group) >= 3
        digits += group
        if len(digits) > _LONGEST or not (whole or even):
            return
        if len(digits) >= _SHORTEST:
            yield digits


def is_luhn(digits: str) -> bool:
    """Whether ASCII digits pass the check of ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = ord(digit) - 48
        total += value if place % 2 == 0 else value * 2 - 9 * (value > 4)
    return total % 10 == 0


def _ascii(digits: str) -> str:
    return digits if digits.isascii() else "".join(str(unicodedata.decimal(digit)) for digit in digits)


# ---- links ---------------------------------------------------------------------------------------------------------

_ADDRESS: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)?(?P<rest>[^\s<>\"'«»“”(),;]*\w[^\s<>\"'«»“”(),;]*)"
)
_HOST: Final = re.compile(r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+(?P<top>[^\W\d_]{2,}|xn--[a-z0-9-]+)\.?")
# What a phone makes a link of without a scheme ends in a name of the root zone. Names of countries have two letters;
# of the others these are used in earnest, or in fraud. A phone that knows more is better served by the scheme.
_TOP_WORDS: Final = """
com net org info biz name pro app dev mobi online site website store shop top xyz club live link click page cloud
digital bank finance money cash loan loans credit creditcard card cards vip win bid icu fun space tech host press
support help services service center agency group team work world today zone email chat news blog sale promo gift
рф бел укр срб бг мкд мон қаз ею ελ ευ гел орг ком онлайн сайт дети москва рус
"""
_TOPS: Final = frozenset(_TOP_WORDS.split())


def _foreign_link(text: str, hosts: Collection[str]) -> Fault | None:
    if _ANY in hosts:
        return None
    for found in _ADDRESS.finditer(text):
        host = _host(found["rest"], bool(found["scheme"]))
        if host and not _is_allowed(host, hosts):
            return Fault(Trick.LINK, found.start() + 1, host)
    return None


def _host(rest: str, with_scheme: bool) -> str:
    """The host that a phone would call; empty when it would see no link."""
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    before, at, last = authority.rpartition("@")
    name = re.sub(r":[0-9]*$", "", last).rstrip(".:!").lower()
    if with_scheme:
        return name or "?"
    found = _HOST.fullmatch(name)
    if found is None or (at and "/" not in rest and ":" not in before):  # an address of e-mail
        return ""
    top = found["top"]
    known = top in _TOPS or (len(top) == 2 and top.isascii()) or top.startswith("xn--")
    return name if known or name.startswith("www.") else ""


def _is_allowed(host: str, hosts: Collection[str]) -> bool:
    labels = host.split(".")
    return host in hosts or any("*." + ".".join(labels[place:]) in hosts for place in range(1, len(labels)))


# ---- characters ----------------------------------------------------------------------------------------------------

# Unicode 15, UAX 9: embeddings, overrides and isolates turn the order of what stands around them.
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MARKS: Final = frozenset("\u200e\u200f\u061c")
_JOINERS: Final = frozenset("\u200c\u200d")
_WORD: Final = re.compile(r"[^\W\d_]+")


def _odd_character(text: str) -> Fault | None:
    """The first character that cannot be seen and is not needed."""
    for place, letter in enumerate(text):
        if letter.isprintable() or letter in "\n\r":
            continue
        trick = _trick(text, place)
        if trick is not None:
            return Fault(trick, place + 1, f"U+{ord(letter):04X}")
    return None


def _trick(text: str, place: int) -> Trick | None:
    letter = text[place]
    category = unicodedata.category(letter)
    if letter in _TURNING:
        return Trick.DIRECTION
    if letter in _MARKS:  # the marks of direction are needed where Arabic and Latin meet
        needed = any(unicodedata.bidirectional(each) in {"R", "AL"} for each in text if each not in _MARKS)
        return None if needed else Trick.DIRECTION
    if letter in _JOINERS:
        return None if _joins(text, place) else Trick.INVISIBLE
    if category in {"Cf", "Zl", "Zp"}:
        return Trick.INVISIBLE
    return Trick.CONTROL if category in {"Cc", "Cs"} else None


def _joins(text: str, place: int) -> bool:
    """Whether a joiner stands where scripts that need it have it: after a letter or picture that is none of ours."""
    before = text[place - 1] if place else " "
    if unicodedata.category(before) in {"So", "Sk", "Mn", "Mc"}:
        return True
    return before.isalpha() and _script(before) == ""


def _mixed_word(text: str) -> Fault | None:
    """The first word with letters of two scripts that look alike."""
    for word in _WORD.finditer(text):
        scripts = {_script(letter) for letter in word[0]} - {""}
        if len(scripts) > 1:
            return Fault(Trick.MIXED, word.start() + 1, " and ".join(sorted(scripts)))
    return None


def _script(letter: str) -> str:
    name = unicodedata.name(letter, "")
    return next((script for script in ("Latin", "Cyrillic", "Greek") if name.startswith(script.upper())), "")
