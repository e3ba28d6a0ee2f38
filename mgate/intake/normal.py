"""Numbers as somebody once typed them into a core system: what one source's field means. Pure.

Forty years of clerks have their forms: with the trunk eight (``8029 111-00-01``), with a zero in brackets, without the
plus, in Persian digits, two numbers in one field. Each form has a word, and a source reads those that it was told to
read; what is left over is refused with its reason, because a wrong guess reaches a stranger.

Of two numbers in a field the first mobile one is taken. A landline is refused: no message would reach it, and the
operator would be paid for the try. Whether a number is one says the metadata of ``phonenumbers``; a number in a range
that it does not know yet is taken, as on every other way in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache
from typing import Final

from mgate.intake.codes import Code
from mgate.intake.numbers import read_e164, read_number
from mgate.model.address import Msisdn

LONGEST_FIELD: Final = 128
"""Characters that a field with numbers may have."""


class Form(Enum):
    """A way of writing numbers that a source may be told to read; each widens what is read."""

    DIGITS = "digits", "digits of other alphabets: Persian, Arabic, full-width"
    PUNCTUATION = "punctuation", "blanks, dashes, dots, brackets and slashes between the digits"
    DOUBLE_ZERO = "double_zero", "00 for the plus sign"
    NO_PLUS = "no_plus", "country code and number, the plus sign left out"
    ZERO = "zero", "national, with the trunk 0, also in brackets: 0(29) 111-00-01"
    EIGHT = "eight", "national, with the trunk 8, also before a zero: 8029 111-00-01"
    BARE = "bare", "national, without any trunk prefix: 29 111-00-01"
    SEVERAL = "several", "more than one number, parted by ; , / | or a blank; the first mobile one is taken"
    LANDLINES = "landlines", "numbers of landlines, for operators that deliver to them"

    def __init__(self, word: str, meaning: str) -> None:
        self.word = word
        self.meaning = meaning


FORM_BY_WORD: Final = {form.word: form for form in Form}
USUAL: Final = frozenset(Form) - {Form.LANDLINES}
"""What a source reads that was told nothing."""


class Unread(Enum):
    """Why a field was not read: the word of the reason, and a sentence that repeats nothing of the field."""

    EMPTY = "empty", "there is no number in the field"
    NOT_A_NUMBER = Code.NOT_A_NUMBER.word, "this cannot be read as a phone number"
    FORM_NOT_READ = "form_not_read", "this source was not told to read numbers that are written so ([sources] numbers)"
    NUMBER_NOT_POSSIBLE = Code.NUMBER_NOT_POSSIBLE.word, "no mobile number of that country is so"
    COUNTRY_UNKNOWN = Code.COUNTRY_UNKNOWN.word, "a national number, and this source has no default country"
    LANDLINE = "landline", "this is the number of a landline"

    def __init__(self, word: str, sentence: str) -> None:
        self.word = word
        self.sentence = sentence


_BY_CODE: Final = {
    Code.NOT_A_NUMBER: Unread.NOT_A_NUMBER,
    Code.NUMBER_NOT_POSSIBLE: Unread.NUMBER_NOT_POSSIBLE,
    Code.COUNTRY_UNKNOWN: Unread.COUNTRY_UNKNOWN,
}
_HARD: Final = re.compile(r"[;,/|\r\n]+")
_EIGHT_ONCE: Final = frozenset(
    ("AM", "AZ", "BY", "EE", "GE", "KG", "KZ", "LT", "LV", "MD", "RU", "TJ", "TM", "UA", "UZ"),
)
"""Countries whose trunk prefix is or once was 8: old forms of it are still in their tables, and nowhere else."""
_PLAIN: Final = re.compile(r"\+?[0-9]+", re.ASCII)
_NOT_DIGITS: Final = re.compile(r"\D+")


class Normaliser:
    """Reads the numbers of one source.

    Args:
        country: ISO 3166 code by which national forms are read; None: E.164 and its likes only.
        forms: what is read besides E.164 as it stands.
    """

    def __init__(self, country: str | None, forms: frozenset[Form] = USUAL) -> None:
        self._country = country
        self._forms = forms
        self._landlines = Form.LANDLINES in forms

    def read(self, field: str) -> Msisdn | Unread:
        """The number that is meant, or why there is none."""
        plain = read_e164(field)
        if plain is not None:
            return self._wanted(plain)
        field = field.strip()
        if not field:
            return Unread.EMPTY
        if len(field) > LONGEST_FIELD:
            return Unread.NOT_A_NUMBER
        whole = self._one(field)
        if not isinstance(whole, Unread) or whole is Unread.LANDLINE or not self._reads(Form.SEVERAL):
            return whole
        return self._first_mobile(field, whole)

    def _reads(self, form: Form) -> bool:
        return form in self._forms

    def _wanted(self, number: Msisdn) -> Msisdn | Unread:
        return Unread.LANDLINE if not self._landlines and is_landline(number) else number

    # ---- several ---------------------------------------------------------------------------------------------------

    def _first_mobile(self, field: str, whole: Unread) -> Msisdn | Unread:
        """The first that can be used of the numbers in the field; ``whole`` is why it is not one number."""
        pieces = [piece for piece in _HARD.split(field) if piece.strip()]
        found: list[Msisdn | Unread] = []
        for piece in pieces:
            one = self._one(piece)
            found += [one] if isinstance(one, Msisdn) or one is Unread.LANDLINE else self._by_blanks(piece)
        number = next((one for one in found if isinstance(one, Msisdn)), None)
        if number is not None:
            return number
        return Unread.LANDLINE if Unread.LANDLINE in found else whole

    def _by_blanks(self, piece: str) -> list[Msisdn | Unread]:
        """Two numbers with only a blank between them. Blanks stand between the digits of one too, so they are taken
        for two only where exactly one way of parting leaves two numbers."""
        words = piece.split()
        ways: list[list[Msisdn | Unread]] = []
        for place in range(1, len(words)):
            pair = [self._one(" ".join(words[:place])), self._one(" ".join(words[place:]))]
            if all(isinstance(one, Msisdn) or one is Unread.LANDLINE for one in pair):
                ways.append(pair)
        return ways[0] if len(ways) == 1 else []

    # ---- one -------------------------------------------------------------------------------------------------------

    def _one(self, text: str) -> Msisdn | Unread:
        """One number in whatever form it is, or why it is none."""
        found = self._by_door(text)
        if isinstance(found, Code):
            return next((self._wanted(number) for number in self._by_habit(text)), _BY_CODE[found])
        if not self._is_read(text, found):
            return Unread.FORM_NOT_READ
        return self._wanted(found)

    def _by_door(self, text: str) -> Msisdn | Code:
        """As it is read on every way in."""
        return read_number(text, self._country)

    def _by_habit(self, text: str) -> Iterator[Msisdn]:
        """What only a source writes: a country code without its plus, and the eight where the country has none."""
        digits = _bare(text)
        if digits is None or (not self._reads(Form.PUNCTUATION) and not text.isdecimal()):
            return
        if self._reads(Form.NO_PLUS) and digits[:1] not in ("", "0"):
            number = read_e164("+" + digits)
            if number is not None and is_known(number):
                yield number
        if self._reads(Form.EIGHT) and digits.startswith("8") and self._country in _EIGHT_ONCE:
            national = read_number(digits[1:], self._country)
            if isinstance(national, Msisdn):
                yield national

    def _is_read(self, text: str, found: Msisdn) -> bool:
        """Whether the source was told to read numbers that are written like this one."""
        if not text.isascii() and not self._reads(Form.DIGITS) and any(map(_is_foreign_digit, text)):
            return False
        plain = _bare(text) or ""
        if _PLAIN.fullmatch(_ascii(text)) is None and not self._reads(Form.PUNCTUATION):
            return False
        return text.lstrip().startswith(("+", "\uff0b")) or self._reads(_form_of(plain, found))


def is_landline(number: Msisdn) -> bool:
    """Whether it surely is the number of a landline."""
    known = _ranges(number.e164)
    return known is not None and not known.mobile(number.e164) and bool(known.fixed(number.e164))


def is_known(number: Msisdn) -> bool:
    """Whether it lies in a range that is known, of mobile numbers or landlines."""
    known = _ranges(number.e164)
    return known is not None and bool(known.mobile(number.e164) or known.fixed(number.e164))


def shape(field: str) -> str:
    """The field as it may be shown: what it is made of, and no more than four and two of its digits.

    ``8029 111-00-01`` is ``8029 ***-**-01``; letters stand as ``x``.
    """
    digits = sum(map(str.isdecimal, field))
    shown, seen = [], 0
    for letter in field[:LONGEST_FIELD]:
        if letter.isdecimal():
            seen += 1
            shown.append(letter if digits >= 9 and (seen <= 4 or seen > digits - 2) else "*")
        else:
            shown.append("x" if letter.isalpha() else letter if letter.isprintable() else "?")
    return "".join(shown)


def _form_of(plain: str, found: Msisdn) -> Form:
    """How a number without a plus sign was written, once it is known which one it is."""
    if found.digits == plain:
        return Form.NO_PLUS
    if plain.startswith("00"):
        return Form.DOUBLE_ZERO
    if plain.startswith("0"):
        return Form.ZERO
    # A national number may begin with an eight; then all of it stands at the end of the whole one.
    return Form.EIGHT if plain.startswith("8") and not found.digits.endswith(plain) else Form.BARE


def _is_foreign_digit(letter: str) -> bool:
    return letter.isdecimal() and not letter.isascii()


def _ascii(text: str) -> str:
    return "".join(str(int(letter)) if letter.isdecimal() else letter for letter in text)


def _bare(text: str) -> str | None:
    """The digits alone; None when there is a plus or a letter among them."""
    if "+" in text or any(map(str.isalpha, text)):
        return None
    return _NOT_DIGITS.sub("", _ascii(text))


class _Ranges:
    """The known ranges of one country code: whether a whole number, with its plus, lies in them."""

    __slots__ = ("fixed", "mobile")

    def __init__(self, mobile: Callable[[str], object], fixed: Callable[[str], object]) -> None:
        self.mobile = mobile
        self.fixed = fixed


def _ranges(e164: str) -> _Ranges | None:
    for length in (3, 2, 1):
        found = _ranges_of(e164[1 : 1 + length])
        if found is not None:
            return found
    return None


@cache
def _ranges_of(code: str) -> _Ranges | None:
    """By the metadata; None for what is no country code. Looked at once for a code: the library takes 20 us a number,
    and a pattern 1."""
    from phonenumbers import PhoneMetadata, region_codes_for_country_code  # noqa: PLC0415  # 30 ms, 13 MiB

    mobile, fixed = [], []
    for region in region_codes_for_country_code(int(code)):
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(int(code), region)
        mobile += _patterns(getattr(metadata, "mobile", None))
        fixed += _patterns(getattr(metadata, "fixed_line", None))
    return _Ranges(_matcher(code, mobile), _matcher(code, fixed)) if mobile or fixed else None


def _patterns(kind: object) -> list[str]:
    pattern = getattr(kind, "national_number_pattern", None)
    return [pattern] if isinstance(pattern, str) else []


def _matcher(code: str, patterns: list[str]) -> Callable[[str], object]:
    """Says something true of a number in these ranges."""
    if not patterns:
        return lambda _: None
    return re.compile(rf"\+{code}(?:{'|'.join(patterns)})", re.ASCII).fullmatch
