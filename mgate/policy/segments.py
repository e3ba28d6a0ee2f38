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
from typing import Final, NamedTuple

_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = {"\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E,
                     "|": 0x40, "€": 0x65}  # fmt: skip
_ESCAPE: Final = 0x1B

_TO_OCTETS: Final[dict[int, bytes]] = {ord(c): bytes((n,)) for n, c in enumerate(_BASIC) if n != _ESCAPE} | {
    ord(c): bytes((_ESCAPE, n)) for c, n in _EXTENSION.items()
}
_GSM_TEXT: Final = re.compile("[" + "".join(re.escape(chr(code)) for code in _TO_OCTETS) + "]*")
# Most texts of a bank use only what ASCII and GSM have in common: these need no translation at all.
_COMMON: Final = re.compile(rb"[\n\r !\"#%&'()*+,\-./0-9:;<=>?A-Za-z]*")
_AFTER_ESCAPE: Final = {_BASIC[n]: c for c, n in _EXTENSION.items()} | {"\x1b": " "}
_ESCAPED: Final = re.compile("\x1b(.?)", re.DOTALL)

_USER_DATA: Final = 140  # octets of TP-User-Data
_UDH: Final = 7  # octets of `udh()`
_SEPTETS, _SEPTETS_OF_A_PART = _USER_DATA * 8 // 7, (_USER_DATA - _UDH) * 8 // 7
_UCS2_OCTETS, _UCS2_OCTETS_OF_A_PART = _USER_DATA, (_USER_DATA - _UDH) // 2 * 2
MOST_PARTS: Final = 255  # the header counts parts in one octet


class Alphabet(Enum):
    """How the octets of a part are to be read."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


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
    if len(octets) <= (_SEPTETS if alphabet is Alphabet.GSM7 else _UCS2_OCTETS):
        return Segments(alphabet, (octets,))
    parts = _gsm7_parts(octets) if alphabet is Alphabet.GSM7 else _ucs2_parts(octets)
    return Segments(alphabet, tuple(parts)) if len(parts) <= MOST_PARTS else TooLong(len(parts))


def count(text: str) -> int:
    """How many parts the text needs; `split` refuses more than 255."""
    alphabet, octets = _encoded(text)
    if len(octets) <= (_SEPTETS if alphabet is Alphabet.GSM7 else _UCS2_OCTETS):
        return 1
    return len(_gsm7_parts(octets) if alphabet is Alphabet.GSM7 else _ucs2_parts(octets))


def udh(reference: int, total: int, number: int) -> bytes:
    """The header of part `number` (from 1) of `total`, under a reference of 16 bits: 7 octets with their length."""
    return b"\x06\x08\x04" + reference.to_bytes(2, "big") + bytes((total, number))


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
        octets = text.encode()
        if _COMMON.fullmatch(octets):
            return Alphabet.GSM7, octets
    if not _GSM_TEXT.fullmatch(text):  # stops at the first foreign letter, which a try would pay for with an exception
        return Alphabet.UCS2, text.encode("utf-16-be")
    return Alphabet.GSM7, codecs.charmap_encode(text, "strict", _TO_OCTETS)[0]


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
