"""The kinds of value that only an operator's profile has; among them the small grammar of its receipts.

A form is a text of literal pieces and fields. A field is ``{NAME:ALPHABET LENGTH}``, where LENGTH is ``8`` or ``1-20``;
``{{`` and ``}}`` are braces. A field ends where the literal behind it stands for the first time, or by its length when
that is one number, or at the end. So there is one way to read a text by a form, in time linear in the text, and nothing
in a profile is ever run.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from mgate.config.kinds import NotAllowed, OneOf, Plain, Text
from mgate.config.statuses import STATUSES, show_status

FORM_FIELDS: Final = ("id", "state", "error", "submitted", "done", "skip")
FORM_ALPHABETS: Final = ("digits", "hex", "letters", "word", "text")
LONGEST_FIELD: Final = 512

_FIELD: Final = re.compile(r"\{([a-z]+):([a-z]+) ([0-9]{1,3})(?:-([0-9]{1,3}))?\}", re.ASCII)
_LITERAL: Final = re.compile(r"(?:[^{}]|\{\{|\}\})+")
_NUMBER: Final = re.compile(r"0x[0-9a-fA-F]{1,8}|[0-9]{1,10}", re.ASCII)


class FormField(msgspec.Struct, frozen=True):
    """A field of a form: ``low`` to ``high`` characters of an alphabet of ``FORM_ALPHABETS``."""

    name: str
    alphabet: str
    low: int
    high: int

    @property
    def fixed(self) -> bool:
        """Whether its length alone says where it ends."""
        return self.low == self.high


class Form(msgspec.Struct, frozen=True):
    """A form: its ``text`` as the profile has it, and its pieces; a piece that is a plain text stands for itself."""

    text: str
    pieces: tuple[str | FormField, ...]


class WrongForm(ValueError):
    """A text that is no form; the message says why."""


def read_form(text: str) -> Form:
    """A form from its text. Raises `WrongForm`."""
    pieces: list[str | FormField] = []
    at = 0
    while at < len(text):
        literal = _LITERAL.match(text, at)
        found = literal or _FIELD.match(text, at)
        if found is None:
            raise WrongForm(f"there is no {{NAME:ALPHABET LENGTH}} at its character {at + 1}")
        pieces.append(literal[0].replace("{{", "{").replace("}}", "}") if literal else _field(found))
        at = found.end()
    fields = [piece for piece in pieces if isinstance(piece, FormField)]
    names = [field.name for field in fields if field.name != "skip"]
    if names.count("id") != 1 or len(set(names)) != len(names):
        raise WrongForm("{id:...} stands in it once, and no other field but skip twice")
    for before, after in itertools.pairwise(pieces):
        if isinstance(before, FormField) and isinstance(after, FormField) and not before.fixed:
            raise WrongForm(f"nothing says where {{{before.name}:...}} ends: a literal behind it, or one length")
    return Form(text, tuple(pieces))


def _field(found: re.Match[str]) -> FormField:
    name, alphabet, low = found[1], found[2], int(found[3])
    high = int(found[4]) if found[4] else low
    if name not in FORM_FIELDS:
        raise WrongForm(f"{name} is no field; fields: {', '.join(FORM_FIELDS)}")
    if alphabet not in FORM_ALPHABETS:
        raise WrongForm(f"{alphabet} is no alphabet; alphabets: {', '.join(FORM_ALPHABETS)}")
    if not low <= high <= LONGEST_FIELD or not high:
        raise WrongForm(f"{{{name}:...}} has a length of 0, or over {LONGEST_FIELD}, or the greater one first")
    return FormField(name, alphabet, low, high)


@dataclass(frozen=True, slots=True)
class Forms:
    """The forms of an operator's receipts, the first that fits wins."""

    @property
    def allowed(self) -> str:
        return (
            'a list of forms such as "{id:hex 1-16},{state:digits 2},{skip:text 0-200}": literal pieces, and fields'
            f" {{NAME:ALPHABET LENGTH}} with NAME {', '.join(FORM_FIELDS)} and ALPHABET {', '.join(FORM_ALPHABETS)};"
            " {id:...} once; a field whose length may differ has a literal behind it, or stands last"
        )

    def read(self, value: object, home: Path) -> tuple[Form, ...]:
        if not isinstance(value, list):
            raise NotAllowed
        try:
            return tuple(read_form(text) for text in value if isinstance(text, str) or _refuse())
        except WrongForm as error:
            raise NotAllowed(str(error)) from error

    def show(self, value: object, home: Path) -> Plain:
        return [form.text for form in value] if isinstance(value, tuple) else str(value)


def _refuse() -> bool:
    raise NotAllowed


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    @property
    def allowed(self) -> str:
        return "true or false"

    def read(self, value: object, home: Path) -> bool:
        if not isinstance(value, bool):
            raise NotAllowed
        return value

    def show(self, value: object, home: Path) -> Plain:
        return bool(value)


@dataclass(frozen=True, slots=True)
class Several:
    """A list of texts of one kind, which may be empty; the tree holds a tuple."""

    item: Text | OneOf

    @property
    def allowed(self) -> str:
        return f"a list of: {self.item.allowed}"

    def read(self, value: object, home: Path) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise NotAllowed
        return tuple(self.item.read(item, home) for item in value)

    def show(self, value: object, home: Path) -> Plain:
        return list(value) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, slots=True)
class Day:
    """A day, such as ``2027-01-31``, or ``""`` for none, which the tree holds as None."""

    @property
    def allowed(self) -> str:
        return 'a day such as "2027-01-31", or "" for no end'

    def read(self, value: object, home: Path) -> dt.date | None:
        if value == "":
            return None
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return value
        if not isinstance(value, str) or re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII) is None:
            raise NotAllowed
        try:
            return dt.date.fromisoformat(value)
        except ValueError as error:
            raise NotAllowed from error

    def show(self, value: object, home: Path) -> Plain:
        return value.isoformat() if isinstance(value, dt.date) else ""


@dataclass(frozen=True, slots=True)
class Status:
    """A status of SMPP: its name in the standard, or its number for an operator's own."""

    @property
    def allowed(self) -> str:
        return (
            'a status by its name in SMPP 3.4, such as ESME_RSUBMITFAIL, or by its number, such as "0x0400" or "1024"'
        )

    def read(self, value: object, home: Path) -> int:
        number = STATUSES.get(value) if isinstance(value, str) else None
        if number is not None:
            return number
        if not isinstance(value, str) or _NUMBER.fullmatch(value) is None:
            raise NotAllowed
        found = int(value, 16 if value.startswith("0x") else 10)
        if not 0 < found <= 0xFFFFFFFF:
            raise NotAllowed
        return found

    def show(self, value: object, home: Path) -> Plain:
        return show_status(value) if isinstance(value, int) else str(value)
