"""What ``/v1/preview`` answers, as mgatectl reads it; the push API says what it means."""

from __future__ import annotations

import msgspec


class ForcedView(msgspec.Struct, frozen=True):
    """A character that asks for UCS-2, and where it stands first, from 1."""

    character: str
    place: int
    name: str


class OtherView(msgspec.Struct, frozen=True):
    """The text in other letters. ``leaves_so``: the class sends it in this form."""

    alphabet: str
    parts: int
    characters: int
    units: int
    left: int
    table: str
    text: str
    leaves_so: bool


class PreviewView(msgspec.Struct, frozen=True):
    """A text on the air; ``refused_as``: the code by which a guard would refuse it."""

    alphabet: str
    parts: int
    characters: int
    units: int
    left: int
    forced: tuple[ForcedView, ...] = ()
    other: OtherView | None = None
    refused_as: str = ""
    why: str = ""
