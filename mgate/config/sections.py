"""Sections of a TOML file read by the kinds of their settings; every mistake goes into one list."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar, get_args, get_type_hints

import msgspec

from mgate.config.kinds import Kind, NotAllowed, Plain
from mgate.config.mistakes import Mistake

_S = TypeVar("_S", bound=msgspec.Struct)


def kinds_of(struct: type[msgspec.Struct]) -> dict[str, Kind]:
    """The settings of a section: key and kind, in order."""
    hints = get_type_hints(struct, include_extras=True)
    return {
        field.name: get_args(hints[field.name])[1]
        for field in msgspec.structs.fields(struct)
        if hasattr(hints[field.name], "__metadata__")
    }


def default_of(struct: type[msgspec.Struct], key: str, kind: Kind) -> Plain | None:
    """What stands there when the file says nothing, as the file would write it; None where the file must say it."""
    field = next(field for field in msgspec.structs.fields(struct) if field.name == key)
    return None if field.default is msgspec.NODEFAULT else kind.show(field.default, Path())


class Sections:
    """One reading of one file; mistakes gather here."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.home = file.parent
        self.mistakes: list[Mistake] = []

    def tables(self, remedy: str) -> dict[str, object] | None:
        """The file as TOML, or None and a mistake. ``remedy``: what to do when it cannot be read."""
        try:
            return tomllib.loads(self.file.read_bytes().decode())
        except OSError as error:
            self._wrong("", "", f"cannot be read: {error.strerror}; {remedy}")
        except UnicodeDecodeError:
            self._wrong("", "", "is not UTF-8 text")
        except tomllib.TOMLDecodeError as error:
            self._wrong("", "", f"is not TOML: {error}")
        return None

    def _section(
        self, struct: type[_S], section: str, table: object, skip: tuple[str, ...] = (), **known: object
    ) -> _S | None:
        """One section, or None when anything in it is wrong."""
        before = len(self.mistakes)
        given = self._table(section, table)
        kinds = kinds_of(struct)
        for key in (key for key in given if key not in kinds):
            self._unknown(section, key, (*kinds, *skip))
        values = {key: self._value(struct, section, key, kind, given) for key, kind in kinds.items()}
        return struct(**known, **values) if len(self.mistakes) == before else None

    def _value(
        self, struct: type[msgspec.Struct], section: str, key: str, kind: Kind, given: Mapping[str, object]
    ) -> object:
        default = default_of(struct, key, kind)
        value = given.get(key, default)
        if value is None:
            self._wrong(section, key, f"is missing; allowed: {kind.allowed}")
            return None
        try:
            return kind.read(value, self.home)
        except NotAllowed:
            # Somebody may have put the password itself where its file's name belongs.
            shown = "what stands there" if "password" in key else _quote(value)
            self._wrong(section, key, f"{shown} is not allowed; allowed: {kind.allowed}")
            return None

    def _table(self, section: str, value: object) -> dict[str, object]:
        if isinstance(value, dict):
            return dict(value)
        self._wrong(section, "", f"is not a section: write [{section}] on a line of its own")
        return {}

    def _unknown(self, section: str, key: str, known: tuple[str, ...]) -> None:
        near = get_close_matches(key, known, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        if section:
            self._wrong(section, key, f"is not a setting; {hint}")
        else:
            self._wrong(key, "", f"is not a section; {hint}")

    def _wrong(self, section: str, key: str, problem: str) -> None:
        self.mistakes.append(Mistake(self.file, section, key, problem))


def _quote(value: object) -> str:
    """A refused value as TOML would write it, cut short."""
    shown = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
