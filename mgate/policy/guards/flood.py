"""The flood guard: so many different texts, and so many times the same text, to one number in an hour.

Most numbers get one message in an hour. So the first text is only noted, by its print, and what is the same is counted
from the second message on, the noted one with it. A text that goes on for hours counts as a different one when it
begins, and once in a while one of its messages is not counted: what is not sure passes.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from mgate.policy.guards.counting import MOST, Cells, admit, count, take_back

PERIOD: Final = 3_600.0
_SPREAD: Final = 0x9E37_79B9_7F4A_7C15
_WHOLE: Final = (1 << 64) - 1


class Memory(NamedTuple):
    """What is remembered; everything is written to.

    Attributes:
        numbers, texts: cells (``counting``) by the number, and by the number and a text.
        first: the print of a first text that is not counted yet, 32 bits, or 0; as many as there are cells.
    """

    numbers: Cells
    texts: Cells
    first: Cells


class Flooded(Enum):
    """Which of the two limits was met."""

    DIFFERENT = "different"
    IDENTICAL = "identical"


def flood(memory: Memory, key: int, text: int, quarter: int, different: int, identical: int) -> Flooded | None:
    """Count a message, or say which limit it would pass; then nothing is counted.

    Args:
        key: of the number and what is counted apart, 64 bits that are as good as random.
        text: the print of the text, 32 bits; a print of 0, one of four thousand million, is not noted.
        quarter: of an hour (``counting.quarter``).
        different, identical: the limits, up to `counting.MOST`; 0 for none.
    """
    found = admit(memory.numbers, key, quarter, different or MOST)
    if found == 1:
        memory.first[key & len(memory.first) - 1] = text
        return None
    return again(memory, found, key, text, quarter, different, identical)


def again(
    memory: Memory, found: int, key: int, text: int, quarter: int, different: int, identical: int
) -> Flooded | None:  # fmt: skip
    """The rest of `flood`, of a number that had a message in this hour: ``found`` is what `admit` said of it."""
    numbers, texts, first = memory
    place = key & len(first) - 1
    if found == 2 and first[place]:
        noted, first[place] = _of_text(key, first[place]), 0
        if not count(texts, noted, quarter):
            admit(texts, noted, quarter, MOST)
    same = _of_text(key, text)
    if not found:
        if not count(texts, same, quarter):
            return Flooded.DIFFERENT if different else None
    elif count(texts, same, quarter):
        take_back(numbers, key, quarter)  # it counts the different ones
        found = 0
    if admit(texts, same, quarter, identical or MOST) or not identical:
        return None
    return Flooded.IDENTICAL


def forget(memory: Memory, key: int, text: int, quarter: int) -> None:
    """Take back what `flood` counted of a message that came to nothing."""
    numbers, texts, _ = memory
    same = _of_text(key, text)
    if count(texts, same, quarter) > 1:
        take_back(texts, same, quarter)
    else:
        take_back(texts, same, quarter)
        take_back(numbers, key, quarter)


def _of_text(key: int, text: int) -> int:
    return (key ^ (text + 1) * _SPREAD) & _WHOLE
