"""``POST /v1/preview``: what a text will be on the air, before anybody sends it. Nothing is kept."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from mgate.intake.codes import Code, refusal
from mgate.intake.shape import read_object
from mgate.model.message import CLASS_BY_WORD, TrafficClass
from mgate.model.ports import Refusal
from mgate.policy import preview as air
from mgate.policy.transliteration import TABLES, transliterate

LONGEST: Final = 40_000
"""Characters of a text: more than any message may have, so that one that is too long is told how much."""


class TextRules(Protocol):
    """What is done to texts of a class, and what they may not hold."""

    def table(self, traffic: TrafficClass) -> str:
        """The table of transliteration; empty for none."""

    def text_refusal(self, traffic: TrafficClass, text: str) -> Refusal | None:
        """Why this text would be refused; None when it would not."""


class ForcedView(msgspec.Struct, frozen=True):
    """A character that GSM 7-bit lacks; ``place``: where it stands first, from 1."""

    character: str
    place: int
    name: str


class AirView(msgspec.Struct, frozen=True):
    """A text on the air.

    Attributes:
        alphabet: ``gsm7`` or ``ucs2``; ``units`` and ``left`` are septets of the one, or UTF-16 units of the other.
        left: units that could be added before another part begins.
    """

    alphabet: str
    parts: int
    characters: int
    units: int
    left: int


class OtherView(AirView, frozen=True):
    """The text by a table of transliteration. ``leaves_so``: the class sends it in this form."""

    table: str = ""
    text: str = ""
    leaves_so: bool = False


class PreviewView(AirView, frozen=True):
    """The answer.

    Attributes:
        forced: the characters that ask for UCS-2, each once; the first twenty.
        other: by the table that was asked for, or that of the class; absent where there is none, or nothing changes.
        refused_as, why: the code by which a guard of the class would refuse it; empty where none would.
    """

    forced: tuple[ForcedView, ...] = ()
    other: OtherView | None = None
    refused_as: str = ""
    why: str = ""


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str
    word: str = msgspec.field(name="class", default="service")
    table: str = ""


def look(body: bytes, rules: TextRules) -> PreviewView | Refusal:
    """What is asked by ``{"text", "class", "table"}``, answered."""
    given = read_object(body)
    if isinstance(given, Refusal):
        return given
    asked = _asked(given)
    if isinstance(asked, Refusal):
        return asked
    traffic, text = CLASS_BY_WORD[asked.word], asked.text
    refused = rules.text_refusal(traffic, text)
    told = air.preview(text)
    return PreviewView(
        *_air(told),
        forced=tuple(ForcedView(*each) for each in told.forced),
        other=_other(asked, rules.table(traffic)),
        refused_as=refused.code if refused else "",
        why=refused.detail if refused else "",
    )


def _asked(given: dict[str, object]) -> _Asked | Refusal:
    for field in given:
        if field not in {"text", "class", "table"}:
            return refusal(Code.UNKNOWN_FIELD, "", f"the fields are text, class and table, not {field[:32]!r}")
    if "text" not in given:
        return refusal(Code.MISSING, "text")
    for field, value in given.items():
        if not isinstance(value, str):
            return refusal(Code.WRONG_TYPE, field)
    asked = msgspec.convert(given, _Asked)
    if not asked.text:
        return refusal(Code.EMPTY, "text")
    if len(asked.text) > LONGEST:
        return refusal(Code.TOO_LONG, "text", f"at most {LONGEST} characters")
    if asked.word not in CLASS_BY_WORD:
        return refusal(Code.BAD_VALUE, "class", f"one of {', '.join(CLASS_BY_WORD)}")
    if asked.table not in ("", *TABLES):
        return refusal(Code.BAD_VALUE, "table", f"one of {', '.join(TABLES)}")
    return asked


def _other(asked: _Asked, of_class: str) -> OtherView | None:
    table = asked.table or of_class
    text = transliterate(asked.text, table) if table else asked.text
    if not text or text == asked.text:
        return None
    leaves_so = table == of_class and air.in_fewer_parts(asked.text, table) is not None
    return OtherView(*_air(air.preview(text)), table, text, leaves_so)


def _air(told: air.Preview) -> tuple[str, int, int, int, int]:
    return told.alphabet.value, told.parts, told.characters, told.units, told.left
