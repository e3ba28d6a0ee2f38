"""A text in letters that the GSM 7-bit alphabet has: 160 of them in a part instead of 70.

The tables are those of the states, or of passports, so that a customer finds her name as in her documents:

* ``uk``: resolution of the Cabinet of Ministers of Ukraine No. 55 of 27 January 2010.
* ``ru``, ``be``: ICAO Doc 9303, part 3, section 6, table B (Cyrillic); for Russian that is GOST R 52535.1-2006 too.
* ``el``: ELOT 743 (ISO 843:1997, table 2, transcription), without its accents.
* ``tr``: the letters of Turkish that the alphabet lacks, as ICAO Doc 9303, part 3, section 6, table A; the others stay.
* ``digits``: Persian and Arabic digits as 0 to 9.
* ``marks``: quotation marks, dashes, spaces and the like in the plain form that GSM has; every table does this too.

Alphabet: 3GPP TS 23.038, section 6.2.1. What a table does not know stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

_MARKS: Final = {
    **dict.fromkeys("«»“”„‟″", '"'), **dict.fromkeys("‘’‚‛′ʼ`´", "'"), **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("\u00a0\u2007\u2009\u200a\u202f", " "), "…": "...", "№": "No", "•": "*", "·": ".", "₽": "RUB",
    "₴": "UAH", "₸": "KZT", "₺": "TRY", "©": "(c)", "®": "(R)", "™": "(TM)", "×": "x", "ˈ": "'",
}  # fmt: skip
_DIGITS: Final = {zero + n: str(n) for zero in (0x0660, 0x06F0) for n in range(10)}

_LATIN: Final = "a b v g d e z i k l m n o p r s t u f ts ch sh y"
_CYRILLIC: Final = dict(zip("абвгдезиклмнопрстуфцчшы", _LATIN.split(), strict=True))
_RU: Final = _CYRILLIC | {
    "ё": "e", "ж": "zh", "й": "i", "х": "kh", "щ": "shch", "ъ": "ie", "ь": "", "э": "e", "ю": "iu", "я": "ia",
}  # fmt: skip
_BE: Final = _CYRILLIC | {
    "г": "h", "ґ": "g", "ё": "io", "ж": "zh", "і": "i", "й": "i", "ў": "u", "х": "kh", "ь": "", "э": "e", "ю": "iu",
    "я": "ia", "’": "", "'": "", "ʼ": "",
}  # fmt: skip
_UK: Final = _CYRILLIC | {
    "г": "h", "ґ": "g", "є": "ie", "ж": "zh", "и": "y", "і": "i", "ї": "i", "й": "i", "х": "kh", "щ": "shch",
    "ь": "", "ю": "iu", "я": "ia", "’": "", "'": "", "ʼ": "", "зг": "zgh",
}  # fmt: skip
_UK_FIRST: Final = {"є": "ye", "ї": "yi", "й": "y", "ю": "yu", "я": "ya"}
_TR: Final = dict(zip(map(ord, "çğĞıİşŞâîûÂÎÛ"), "cgGiIsSaiuAIU", strict=True))

_LATIN_OF_GREEK: Final = "a v g d e z i th i k l m n x o p r s s t y f ch ps o"
_GREEK: Final = dict(zip("αβγδεζηθικλμνξοπρσςτυφχψω", _LATIN_OF_GREEK.split(), strict=True))
_BARE: Final = dict(zip("άέήίόύώϊϋΐΰ", "αεηιουωιυιυ", strict=True))
_VOICELESS: Final = "θκξπσςτφχψ"
_PAIRS: Final = {"γγ": "ng", "γξ": "nx", "γχ": "nch", "ου": "ou", "ού": "ou"}

_LETTER: Final = r"[^\W\d_]"


def transliterate(text: str, table: str) -> str:
    """The text by one of `TABLES`."""
    return _MARKED.sub(_mark, _BY_TABLE[table](text))


def _mark(found: re.Match[str]) -> str:
    return _MARKS[found[0]]


_MARKED: Final = re.compile("[" + "".join(map(re.escape, _MARKS)) + "]")


def _digits(text: str) -> str:
    return text.translate(_DIGITS)


def _turkish(text: str) -> str:
    return text.translate(_TR)


def _cyrillic(letters: Mapping[str, str], first: Mapping[str, str]) -> Callable[[str], str]:
    """Letter by letter; ``first`` at the beginning of a word. An apostrophe goes only between two letters."""
    keys = sorted((key for key in letters if key.isalpha()), key=len, reverse=True)
    apostrophes = "".join(key for key in letters if not key.isalpha() or key == "ʼ")
    between = f"|(?<=[а-яёєіїґў])[{apostrophes}](?=[а-яёєіїґў])" if apostrophes else ""
    pattern = re.compile("|".join(keys) + between, re.IGNORECASE)

    def change(found: re.Match[str]) -> str:
        given, text = found[0], found.string
        low = given.lower()
        begins = found.start() == 0 or not _in_word(text, found.start() - 1)
        return _as_written(first.get(low, letters[low]) if begins else letters[low], found)

    return lambda text: pattern.sub(change, text)


def _in_word(text: str, place: int) -> bool:
    """Whether the word goes on at this place: an apostrophe between two letters is part of it."""
    if text[place].isalpha():
        return True
    return text[place] in "'’ʼ" and place > 0 and text[place - 1].isalpha()


def _as_written(latin: str, found: re.Match[str]) -> str:
    """Capitals as they were: of ``Щ`` in a word of capitals all four letters, otherwise the first."""
    given, text = found[0], found.string
    if not given[:1].isupper():
        return latin
    after, before = text[found.end() : found.end() + 1], text[: found.start()][-1:]
    capitals = len(given) > 1 and given.isupper()
    near = after if after.isalpha() else before
    return latin.upper() if capitals or near.isupper() else latin[:1].upper() + latin[1:]


_GREEK_UNIT: Final = re.compile(
    "(?P<v>[αεη][υύ])|(?P<b>μπ)|(?P<pair>γγ|γξ|γχ|ο[υύ])|(?P<one>[α-ωά-ώϊϋΐΰ])", re.IGNORECASE
)


_ACCENTS: Final = re.compile("(?<=[α-ωά-ώϊϋ])[\u0300\u0301\u0308]+", re.IGNORECASE)


def _greek(text: str) -> str:
    return _GREEK_UNIT.sub(_greek_unit, _ACCENTS.sub("", text))


def _greek_unit(found: re.Match[str]) -> str:
    low = found[0].lower()
    text, start, end = found.string, found.start(), found.end()
    if found["v"]:
        after = text[end : end + 1].lower()
        latin = _greek_letter(low[0]) + ("f" if not after.isalpha() or after in _VOICELESS else "v")
    elif found["b"]:
        inside = start > 0 and text[start - 1].isalpha() and text[end : end + 1].isalpha()
        latin = "mp" if inside else "b"
    elif found["pair"]:
        latin = _PAIRS[low]
    else:
        latin = _greek_letter(low)
    return _as_written(latin, found)


def _greek_letter(low: str) -> str:
    """One letter. A sign that is a letter in another dress, such as the micro sign, was found by its case, too."""
    return _GREEK.get(_BARE.get(low, low)) or _GREEK.get(low.casefold()[:1], low)


_BY_TABLE: Final[dict[str, Callable[[str], str]]] = {
    "uk": _cyrillic(_UK, _UK_FIRST),
    "ru": _cyrillic(_RU, {}),
    "be": _cyrillic(_BE, {}),
    "el": _greek,
    "tr": _turkish,
    "digits": _digits,
    "marks": lambda text: text,
}
TABLES: Final = tuple(_BY_TABLE)
"""The names of the tables."""
