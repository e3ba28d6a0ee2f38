"""What a text becomes on the air: its alphabet, its octets and its parts.

The GSM 7-bit default alphabet with its extension table is taken whenever it holds every character, UCS-2 otherwise;
no national shift tables, which many operators do not forward. GSM text is given unpacked, one septet in an octet, as
SMPP wants it; a character of the extension table is two septets, a character beyond the basic plane two UTF-16 units.
Neither pair is ever cut, because a handset shows rubbish on both sides of the cut.

Sources: 3GPP TS 23.038 sections 6.2.1 and 6.2.3 (alphabets), TS 23.040 sections 9.2.3.24.1 and 9.2.3.24.8
(concatenation, 16-bit reference).
"""

import codecs
import re
from enum import Enum
from struct import Struct
from typing import Final, NamedTuple

_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = {"\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E,
                     "|": 0x40, "€": 0x65}  # fmt: skip
_ESCAPE: Final = 0x1B

# A text is encoded in one step to one octet a character: its code, or 0x80 and its code in the extension table. So
# `isascii`, which looks at eight octets at once, says whether anything is left to do.
_EXTENDED: Final = 0x80
_CODE: Final = {c: n for n, c in enumerate(_BASIC) if n != _ESCAPE} | {c: _EXTENDED | n for c, n in _EXTENSION.items()}
_FOREIGN: Final = 0xFF  # in neither table
_FROM_ASCII: Final = bytes(_CODE.get(chr(n), _FOREIGN) for n in range(256))
# Python's quick encoder wants U+0000 to be code 0, which is the commercial at: that goes by way of 0x80.
_AT: Final = _EXTENDED
_MARKED_AT: Final = bytes((_AT,))
_LETTERS: Final = {code or _AT: c for c, code in _CODE.items()} | {0: "\0"}
_FROM_LETTER: Final = codecs.charmap_build("".join(_LETTERS.get(n, "\ufffe") for n in range(256)))
_GSM_TEXT: Final = re.compile("[" + "".join(map(re.escape, _CODE)) + "]*")
_PAIRS: Final = tuple((bytes((_EXTENDED | n,)), bytes((_ESCAPE, n))) for n in _EXTENSION.values())
_AFTER_ESCAPE: Final = {_BASIC[n]: c for c, n in _EXTENSION.items()} | {"\x1b": " "}
_ESCAPED: Final = re.compile("\x1b(.?)", re.DOTALL)

_USER_DATA: Final = 140  # octets of TP-User-Data
_HEADER: Final = Struct(">BBBHBB")
_UDH: Final = _HEADER.size
_SEPTETS, _SEPTETS_OF_A_PART = _USER_DATA * 8 // 7, (_USER_DATA - _UDH) * 8 // 7
_UCS2_OCTETS, _UCS2_OCTETS_OF_A_PART = _USER_DATA, (_USER_DATA - _UDH) // 2 * 2
MOST_PARTS: Final = 255  # the header counts parts in one octet


class Alphabet(Enum):
    """How the octets of a part are to be read."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


_GSM7, _UCS2 = Alphabet.GSM7, Alphabet.UCS2  # a class of constants is slow to ask
_new: Final = tuple.__new__  # half the price of calling a NamedTuple


class Segments(NamedTuple):
    """A text as its parts will leave: bodies in order, without their headers. One part needs no header."""

    alphabet: Alphabet
    parts: tuple[bytes, ...]


class TooLong(NamedTuple):
    """The text would need more than 255 parts; `parts` says how many."""

    parts: int


def split(text: str) -> Segments | TooLong:
    """The parts of a text, as few as can be. UnicodeEncodeError for a lone surrogate: acceptance refuses those."""
    alphabet, octets = _encoded(text)
    if len(octets) <= (_SEPTETS if alphabet is _GSM7 else _UCS2_OCTETS):
        return _new(Segments, (alphabet, (octets,)))
    parts = _parts(text, alphabet, octets)
    return Segments(alphabet, tuple(parts)) if len(parts) <= MOST_PARTS else TooLong(len(parts))


def split_ucs2(text: str) -> Segments | TooLong:
    """The parts of a text that is to leave as UCS-2 whatever its letters: for an operator whose alphabet lacks one."""
    octets = text.encode("utf-16-be")
    parts = [octets] if len(octets) <= _UCS2_OCTETS else _parts(text, _UCS2, octets)
    return Segments(_UCS2, tuple(parts)) if len(parts) <= MOST_PARTS else TooLong(len(parts))


def count(text: str) -> int:
    """How many parts the text needs; `split` refuses more than 255."""
    alphabet, octets = _encoded(text)
    if len(octets) <= (_SEPTETS if alphabet is _GSM7 else _UCS2_OCTETS):
        return 1
    return len(_parts(text, alphabet, octets))


def is_gsm7(text: str) -> bool:
    """Whether GSM 7-bit holds every character of the text."""
    return _encoded(text)[0] is _GSM7


def room(alphabet: Alphabet, parts: int) -> int:
    """How many octets, as `split` gives them, fit into each of so many parts."""
    if alphabet is _GSM7:
        return _SEPTETS if parts == 1 else _SEPTETS_OF_A_PART
    return _UCS2_OCTETS if parts == 1 else _UCS2_OCTETS_OF_A_PART


def udh(reference: int, total: int, number: int) -> bytes:
    """The header of part `number` (from 1) of `total`, under a reference of 16 bits: 7 octets with their length."""
    return _HEADER.pack(6, 8, 4, reference, total, number)


def decode(alphabet: Alphabet, octets: bytes) -> str:
    """The text of unpacked octets without a header, for people: what cannot be read becomes U+FFFD, nothing raises.

    An escape before a code that the extension table lacks shows that code's basic character, as TS 23.038 asks.
    """
    if alphabet is Alphabet.UCS2:
        return octets.decode("utf-16-be", "replace")
    text = codecs.charmap_decode(octets, "replace", _BASIC)[0]
    return _ESCAPED.sub(lambda found: _AFTER_ESCAPE.get(found[1], found[1]), text) if "\x1b" in text else text


def _encoded(text: str) -> tuple[Alphabet, bytes]:
    if text.isascii():
        octets = text.encode().translate(_FROM_ASCII)
        if octets.isascii():
            return _GSM7, octets
        if _FOREIGN in octets:
            return _UCS2, text.encode("utf-16-be")
    elif not _GSM_TEXT.fullmatch(text):  # it stops at the first foreign letter; a try would pay with an exception
        return _UCS2, text.encode("utf-16-be")
    else:
        octets = codecs.charmap_encode(text, "strict", _FROM_LETTER)[0]
        if octets.isascii():
            return _GSM7, octets
    octets = octets.replace(_MARKED_AT, b"\0")
    for marked, pair in _PAIRS:
        octets = octets.replace(marked, pair)
    return _GSM7, octets


def _parts(text: str, alphabet: Alphabet, octets: bytes) -> list[bytes]:
    """The parts of a text that needs several. Most have no pair that a cut could part."""
    if alphabet is _GSM7:
        each, plain = _SEPTETS_OF_A_PART, _ESCAPE not in octets
    else:
        each, plain = _UCS2_OCTETS_OF_A_PART, len(octets) == 2 * len(text)
    if plain:
        return [octets[start : start + each] for start in range(0, len(octets), each)]
    return _gsm7_parts(octets) if alphabet is _GSM7 else _ucs2_parts(octets)


def _gsm7_parts(octets: bytes) -> list[bytes]:
    parts, start, size = [], 0, len(octets)
    while start < size:
        end = start + _SEPTETS_OF_A_PART
        if end < size and octets[end - 1] == _ESCAPE:
            end -= 1
        parts.append(octets[start:end])
        start = end
    return parts


def _ucs2_parts(octets: bytes) -> list[bytes]:
    parts, start, size = [], 0, len(octets)
    while start < size:
        end = start + _UCS2_OCTETS_OF_A_PART
        if end < size and 0xD8 <= octets[end - 2] <= 0xDB:
            end -= 2
        parts.append(octets[start:end])
        start = end
    return parts
