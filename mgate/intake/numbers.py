"""Phone numbers at the door: every way that a bank's systems write them, to E.164.

Most are in E.164 already: one look into a table and one at the digits (0.3 microseconds). The others are cleaned
of what people put between digits, and read by the library ``phonenumbers`` in the client's default country.

An E.164 number is taken when its country code exists and its mobile numbers may have that many digits: number ranges
are opened faster than any table learns of them. A national number must also lie in a known range, because there a
wrong guess would reach a stranger.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from mgate.intake.codes import Code
from mgate.intake.countries import MOBILE_LENGTHS
from mgate.model.address import Msisdn

LONGEST: Final = 64
"""Characters that a number may be written with."""

_DIGITS: Final = re.compile(r"\+?[0-9]{3,20}", re.ASCII)
# What stands between digits: white space of any alphabet, dashes, dots, brackets, slashes, and the invisible marks that
# come along when a number is copied from a page (directions, joiners, soft hyphens).
_BETWEEN: Final = re.compile(
    "[\\s\\-\u2010-\u2015\u2212\uff0d.\uff0e\u00b7()\uff08\uff09\\[\\]/\u00ad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]+"
)
_TRUNK: Final = re.compile(r"^(\+|00)(.*?)\(0\)", re.DOTALL)


def _by_prefix() -> dict[str, int]:
    """For every three digits that a number can begin with: the possible lengths of the whole number, as bits."""
    table = {}
    for code, lengths in MOBILE_LENGTHS.items():
        free = 3 - len(code)
        for rest in range(10**free):
            table[f"{code}{rest:0{free}}" if free else code] = lengths << len(code)
    return table


_LENGTHS: Final = _by_prefix()
# The same for a number that is written out: the plus sign before the prefix and in the length, E.164's own bounds kept.
_WRITTEN: Final = {f"+{prefix}": lengths << 1 & 0b1_1111_1111_0000_0000 for prefix, lengths in _LENGTHS.items()}


def read_e164(text: str) -> Msisdn | None:
    """The number when ``text`` is one in E.164 as it stands; None says nothing but that it must be read with care."""
    if _WRITTEN.get(text[:4], 0) >> len(text) & 1 and text[4:].isdecimal():
        return Msisdn(text) if text.isascii() else None
    return None


def read_number(text: str, country: str | None) -> Msisdn | Code:
    """The number that ``text`` means, or the code of what is wrong with it.

    Args:
        text: as the client wrote it.
        country: ISO 3166 code by which national numbers are read; None when there is none.
    """
    return read_e164(text) or _read_slowly(text, country)


def _read_slowly(text: str, country: str | None) -> Msisdn | Code:
    if len(text) > LONGEST:
        return Code.NOT_A_NUMBER
    plain = _BETWEEN.sub("", _TRUNK.sub(r"\1\2", _ascii_digits(text.strip())))
    if _DIGITS.fullmatch(plain) is None:
        return Code.NOT_A_NUMBER
    if plain.startswith("+"):
        return read_e164(plain) or Code.NUMBER_NOT_POSSIBLE
    # In some countries 00 leads elsewhere; what is no number of the world may still be one of the country.
    found = read_e164("+" + plain[2:]) if plain.startswith("00") else None
    if found is not None:
        return found
    return Code.COUNTRY_UNKNOWN if country is None else _national(plain, country)


def _national(plain: str, country: str) -> Msisdn | Code:
    # Imported where it is used: it takes 30 ms and 13 MiB, and many a bank sends E.164 only.
    import phonenumbers  # noqa: PLC0415

    try:
        number = phonenumbers.parse(plain, country)
    except phonenumbers.NumberParseException:
        return Code.NOT_A_NUMBER
    if not phonenumbers.is_valid_number(number):
        return Code.NUMBER_NOT_POSSIBLE
    return read_e164(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)) or (
        Code.NUMBER_NOT_POSSIBLE
    )


def _ascii_digits(text: str) -> str:
    """Digits of any alphabet (Arabic, Persian, full-width) as 0 to 9, and the full-width plus as a plus."""
    if text.isascii():
        return text
    return "".join(
        "+" if letter == "\uff0b" else str(unicodedata.decimal(letter)) if letter.isdecimal() else letter
        for letter in text
    )
