"""The kinds of value that a setting may have: how each is read from TOML, shown again, and described when it is wrong.

A kind stands in the annotation of a setting (`tree`), so that type, limits and error text are said in one place.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec

from mgate.config.countries import COUNTRIES

Plain = str | int | list[str]
"""A value as TOML has it."""

_SPAN: Final = re.compile(r"([1-9][0-9]{0,8}|0)(s|m|h|d)", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SIZE: Final = re.compile(r"([1-9][0-9]{0,8})(B|KiB|MiB|GiB|TiB)", re.ASCII)
_OCTETS: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


class UnixSocket(msgspec.Struct, frozen=True, tag=True):
    """Listen on a UNIX socket at ``path``."""

    path: Path


class Loopback(msgspec.Struct, frozen=True, tag=True):
    """Listen on a TCP port of this machine's loopback: ``host`` is an address, ``port`` 1 to 65535."""

    host: str
    port: int


class NotAllowed(ValueError):
    """A value that its kind refuses."""


class Kind(Protocol):
    """How one setting is read and shown."""

    @property
    def allowed(self) -> str:
        """What may stand there, to follow the word *allowed*."""

    def read(self, value: object, home: Path) -> object:
        """The value of the tree. ``home`` is the folder of the file, for relative paths. Raises `NotAllowed`."""

    def show(self, value: object, home: Path) -> Plain:
        """The value as it would be written in the file."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within limits."""

    low: int
    high: int
    unit: str = ""

    @property
    def allowed(self) -> str:
        return f"a whole number from {self.low} to {self.high}" + (f" ({self.unit})" if self.unit else "")

    def read(self, value: object, home: Path) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            raise NotAllowed
        return value

    def show(self, value: object, home: Path) -> Plain:
        return value if isinstance(value, int) else str(value)


@dataclass(frozen=True, slots=True)
class WholeOrAuto:
    """A whole number within limits, or ``auto``, which the tree holds as None."""

    high: int

    @property
    def allowed(self) -> str:
        return f'"auto" or a whole number from 0 to {self.high}'

    def read(self, value: object, home: Path) -> int | None:
        if value == "auto":
            return None
        return Whole(0, self.high).read(value, home)

    def show(self, value: object, home: Path) -> Plain:
        return value if isinstance(value, int) else "auto"


@dataclass(frozen=True, slots=True)
class Text:
    """A text that matches a pattern as a whole; ``meaning`` says the pattern in words."""

    pattern: str
    meaning: str

    @property
    def allowed(self) -> str:
        return self.meaning

    def read(self, value: object, home: Path) -> str:
        if not isinstance(value, str) or re.fullmatch(self.pattern, value, re.ASCII) is None:
            raise NotAllowed
        return value

    def show(self, value: object, home: Path) -> Plain:
        return str(value)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One word of a closed list."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return "one of " + ", ".join(f'"{word}"' for word in self.words)

    def read(self, value: object, home: Path) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise NotAllowed
        return value

    def show(self, value: object, home: Path) -> Plain:
        return str(value)


@dataclass(frozen=True, slots=True)
class Country:
    """A country, or none, by the letters of ISO 3166."""

    @property
    def allowed(self) -> str:
        return 'the two capital letters of a country in ISO 3166, such as "BY" or "GB", or "" for none'

    def read(self, value: object, home: Path) -> str:
        if not isinstance(value, str) or value not in COUNTRIES | {""}:
            raise NotAllowed
        return value

    def show(self, value: object, home: Path) -> Plain:
        return str(value)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list, not empty, of texts of one kind; the tree holds a tuple."""

    item: Text | OneOf

    @property
    def allowed(self) -> str:
        return f"a list, not empty, of: {self.item.allowed}"

    def read(self, value: object, home: Path) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            raise NotAllowed
        return tuple(self.item.read(item, home) for item in value)

    def show(self, value: object, home: Path) -> Plain:
        return list(value) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time such as ``"30s"``, ``"15m"``, ``"72h"``, ``"30d"``; the tree holds seconds."""

    low: str
    high: str

    @property
    def allowed(self) -> str:
        return f'a length of time from "{self.low}" to "{self.high}", written with its unit: s, m, h or d'

    def read(self, value: object, home: Path) -> float:
        seconds = read_span(value)
        if seconds is None or not (read_span(self.low) or 0.0) <= seconds <= (read_span(self.high) or 0.0):
            raise NotAllowed
        return seconds

    def show(self, value: object, home: Path) -> Plain:
        return show_span(value) if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Size:
    """A size such as ``"512MiB"``; the tree holds bytes."""

    low: str
    high: str

    @property
    def allowed(self) -> str:
        return f'a size from "{self.low}" to "{self.high}", written with its unit: B, KiB, MiB, GiB or TiB'

    def read(self, value: object, home: Path) -> int:
        octets = read_size(value)
        if octets is None or not (read_size(self.low) or 0) <= octets <= (read_size(self.high) or 0):
            raise NotAllowed
        return octets

    def show(self, value: object, home: Path) -> Plain:
        return show_size(value) if isinstance(value, int) else str(value)


@dataclass(frozen=True, slots=True)
class Mode:
    """The mode of a socket in octal, such as ``"0660"``; the tree holds the number."""

    @property
    def allowed(self) -> str:
        return 'an octal mode in quotes that others have no part in, such as "0660"'

    def read(self, value: object, home: Path) -> int:
        if not isinstance(value, str) or re.fullmatch(r"0?[0-7]{2}0", value, re.ASCII) is None:
            raise NotAllowed
        return int(value, 8)

    def show(self, value: object, home: Path) -> Plain:
        return f"{value:04o}" if isinstance(value, int) else str(value)


@dataclass(frozen=True, slots=True)
class Place:
    """The path of a file or folder; a relative one begins at the folder of the configuration file."""

    @property
    def allowed(self) -> str:
        return "a path; a relative one begins at the folder of this file"

    def read(self, value: object, home: Path) -> Path:
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise NotAllowed
        return home / value

    def show(self, value: object, home: Path) -> Plain:
        if isinstance(value, Path) and value.is_relative_to(home):
            return str(value.relative_to(home))
        return str(value)


@dataclass(frozen=True, slots=True)
class PlaceOrNone:
    """The path of a file, or ``""`` for none, which the tree holds as None."""

    @property
    def allowed(self) -> str:
        return f'{Place().allowed}, or "" for none'

    def read(self, value: object, home: Path) -> Path | None:
        return None if value in ("", None) else Place().read(value, home)

    def show(self, value: object, home: Path) -> Plain:
        return "" if value is None else Place().show(value, home)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: the path of a UNIX socket, or a loopback address with its port."""

    @property
    def allowed(self) -> str:
        return 'the path of a UNIX socket, or a port of the loopback such as "127.0.0.1:9464" or "[::1]:9464"'

    def read(self, value: object, home: Path) -> UnixSocket | Loopback:
        if isinstance(value, str) and ":" in value and "/" not in value:
            return _loopback(value)
        return UnixSocket(Place().read(value, home))

    def show(self, value: object, home: Path) -> Plain:
        match value:
            case UnixSocket(path):
                return Place().show(path, home)
            case Loopback(host, port):
                return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            case _:
                return str(value)


def read_span(value: object) -> float | None:
    """Seconds of a length of time such as ``15m``; None when it is not one."""
    found = _SPAN.fullmatch(value) if isinstance(value, str) else None
    return float(int(found[1]) * _SECONDS[found[2]]) if found else None


def show_span(seconds: float) -> str:
    """A length of time in the greatest unit that says it exactly."""
    whole = int(seconds)
    unit = next((unit for unit, size in reversed(_SECONDS.items()) if whole and whole % size == 0), "s")
    return f"{whole // _SECONDS[unit]}{unit}"


def read_size(value: object) -> int | None:
    """Bytes of a size such as ``512MiB``; None when it is not one."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) * _OCTETS[found[2]] if found else None


def show_size(octets: int) -> str:
    """A size in the greatest unit that says it exactly."""
    unit = next((unit for unit, size in reversed(_OCTETS.items()) if octets and octets % size == 0), "B")
    return f"{octets // _OCTETS[unit]}{unit}"


def _loopback(value: str) -> Loopback:
    host, _, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError as error:
        raise NotAllowed from error
    if not local or re.fullmatch(r"[1-9][0-9]{0,4}", port, re.ASCII) is None or int(port) > 65_535:
        raise NotAllowed
    return Loopback(host, int(port))
