"""What a text will be on the air, for the people who write it: alphabet, parts, the room that is left, the characters
that made it dear, and how it would stand in cheaper letters.

Room is counted as the alphabet counts: septets of GSM 7-bit, where a character of the extension table is two; units of
UTF-16 in UCS-2 (3GPP TS 23.038, section 6.2). A pair is never cut, so a part may end with one unit free.
"""

from __future__ import annotations

import unicodedata
from typing import Final, NamedTuple

from mgate.policy.segments import Alphabet, TooLong, count, is_gsm7, room, split
from mgate.policy.transliteration import transliterate

MOST_FORCED: Final = 20
"""Of the characters that GSM 7-bit lacks so many are named."""


class Forced(NamedTuple):
    """A character that GSM 7-bit lacks, and where it stands first (the first character of a text is 1).

    Attributes:
        name: as Unicode calls it; empty for what has no name.
    """

    character: str
    place: int
    name: str


class Preview(NamedTuple):
    """What a text will be.

    Attributes:
        parts: how many; more than 255 cannot be sent.
        characters: of the text, as people count them; ``units``: as the alphabet does.
        left: units that could be added before another part begins.
        forced: the characters that ask for UCS-2, each once, in their order; the first `MOST_FORCED`.
    """

    alphabet: Alphabet
    parts: int
    characters: int
    units: int
    left: int
    forced: tuple[Forced, ...]


def preview(text: str) -> Preview:
    """What this text will be; it is not empty and has no lone surrogate."""
    cut = split(text)
    if isinstance(cut, TooLong):
        alphabet = Alphabet.GSM7 if is_gsm7(text) else Alphabet.UCS2
        return Preview(alphabet, cut.parts, len(text), 0, 0, _forced(text))
    size = 2 if cut.alphabet is Alphabet.UCS2 else 1
    units = sum(map(len, cut.parts)) // size
    left = (room(cut.alphabet, len(cut.parts)) - len(cut.parts[-1])) // size
    return Preview(cut.alphabet, len(cut.parts), len(text), units, left, _forced(text))


def _forced(text: str) -> tuple[Forced, ...]:
    found: dict[str, int] = {}
    for place, character in enumerate(text, 1):
        if character not in found and not is_gsm7(character):
            found[character] = place
            if len(found) == MOST_FORCED:
                break
    return tuple(Forced(each, place, unicodedata.name(each, "")) for each, place in found.items())


def in_fewer_parts(text: str, table: str) -> str | None:
    """The text by a table of `transliteration`, when it then needs fewer parts; None when that saves none."""
    if is_gsm7(text):
        return None
    changed = transliterate(text, table)
    return changed if changed and count(changed) < count(text) else None
