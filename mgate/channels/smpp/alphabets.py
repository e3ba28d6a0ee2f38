"""Octets and letters as an operator's profile has them: what a text is written as, and what a customer's is read as.

SMPP 3.4 leaves data_coding 0 to the operator (section 5.2.19): the GSM alphabet with a septet in an octet, the same
packed, ASCII, Latin-1, even UTF-8. Parts are counted when a message is taken in, before its operator is known, by the
septets of the GSM alphabet; so each part is written anew for itself, and stays one part.

Source of the packing: 3GPP TS 23.038 section 6.1.2; of the fill bits behind a header: TS 23.040 section 9.2.3.24.
"""

from typing import Final

from mgate.channels.smpp.pdu import SubmitSm
from mgate.policy.segments import Alphabet, decode

UDHI: Final = 0x40
_CODECS: Final = {"ascii": "ascii", "latin1": "latin-1", "utf8": "utf-8"}
_RETURN: Final = 0x0D
_STANDARD: Final = {
    0x00: "gsm7", 0x01: "ascii", 0x03: "latin1", 0x08: "ucs2", 0x10: "gsm7", 0x18: "ucs2", 0xF0: "gsm7", 0xF1: "gsm7",
    0xF2: "gsm7", 0xF3: "gsm7",
}  # fmt: skip
"""What a data_coding says, by SMPP 3.4 section 5.2.19 and TS 23.038 section 4."""


def write(alphabet: str, septets: bytes, header: int) -> bytes | None:
    """A part of the GSM alphabet, unpacked, as the operator wants it; None when its alphabet lacks a letter of it.

    Args:
        alphabet: ``gsm7``, ``gsm7_packed``, ``ascii``, ``latin1`` or ``utf8``.
        header: octets of the header that stands before the part, on which the fill bits depend.
    """
    if alphabet == "gsm7":
        return septets
    if alphabet == "gsm7_packed":
        return packed(septets, -header * 8 % 7)
    try:
        return decode(Alphabet.GSM7, septets).encode(_CODECS[alphabet])
    except UnicodeEncodeError:
        return None


def packed(septets: bytes, fill: int = 0) -> bytes:
    """Septets packed into octets behind ``fill`` zero bits. Where seven bits are left over a carriage return fills
    them, because seven zero bits would be read as a commercial at."""
    bits = fill + 7 * len(septets)
    if bits % 8 == 1 or (septets.endswith(b"\r") and not bits % 8):
        septets += bytes((_RETURN,))
        bits += 7
    number = 0
    for septet in reversed(septets):
        number = number << 7 | septet
    return (number << fill).to_bytes((bits + 7) // 8, "little")


def unpacked(octets: bytes, fill: int = 0) -> bytes:
    """The septets of packed octets; a carriage return that only fills seven spare bits is left out."""
    number = int.from_bytes(octets, "little") >> fill
    count = (len(octets) * 8 - fill) // 7
    septets = bytes(number >> 7 * index & 0x7F for index in range(count))
    spare_filled = (fill + 7 * count) % 8 == 0 and septets.endswith(b"\r")
    return septets[:-1] if spare_filled else septets


def text_of(message: SubmitSm, meanings: dict[int, str]) -> str:
    """What a customer or an operator wrote, without its header; nothing raises, and what cannot be read is U+FFFD.

    ``meanings``: what a data_coding means here, where it is not the standard's.
    """
    octets, header = message.octets, b""
    if message.esm_class & UDHI and octets and octets[0] < len(octets):
        header, octets = octets[: octets[0] + 1], octets[octets[0] + 1 :]
    alphabet = meanings.get(message.data_coding) or _STANDARD.get(message.data_coding, "latin1")
    match alphabet:
        case "ucs2":
            return octets.decode("utf-16-be", "replace")
        case "gsm7":
            return decode(Alphabet.GSM7, octets)
        case "gsm7_packed":
            return decode(Alphabet.GSM7, unpacked(octets, -len(header) * 8 % 7))
        case _:
            return octets.decode(_CODECS[alphabet], "replace")
