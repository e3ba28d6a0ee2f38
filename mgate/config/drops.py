"""[drops.NAME]: folders into which a batch job of the bank puts files, and what the rows of those files may be.

NAME is the client that the messages count as; it is no name of a push client or a source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from mgate.config.kinds import Country, ListOf, NotAllowed, OneOf, Place, Plain, Size, Span, Text, Whole
from mgate.config.sources import NUMBER_FORMS
from mgate.model.message import TrafficClass

FIELDS: Final = (
    "ref", "to", "class", "text", "sender", "valid_for", "not_after", "not_before", "group", "tags", "meta",
)  # fmt: skip
"""The fields of a message that a column may hold: those of the push API."""

FORMATS: Final = ("auto", "csv", "ndjson")
ENCODINGS: Final = ("auto", "utf-8", "cp1251", "cp866")
DELIMITERS: Final = ("auto", "comma", "semicolon", "tab", "bar")

_CLASSES: Final = tuple(traffic.word for traffic in TrafficClass)
_GROUP: Final = Text(
    r"([a-z_][a-zA-Z0-9_.-]{0,31}\$?)?", 'the name of a group of this machine, or "" for the daemon\'s'
)
_SENDER: Final = Text(
    r"\*|[A-Za-z0-9 ._&-]{1,11}|\+?[0-9]{1,15}",
    "\"*\" for any, a name of 1 to 11 letters, digits and ' ._&-', or a number of up to 15 digits",
)
_SENDER_OR_NONE: Final = Text(
    r"([A-Za-z0-9 ._&-]{1,11}|\+?[0-9]{1,15})?",
    "a name of 1 to 11 letters, digits and ' ._&-', a number of up to 15 digits, or \"\" for none",
)


@dataclass(frozen=True, slots=True)
class Columns:
    """A list of ``field=column``, empty where columns are named as the fields; the tree holds a tuple of pairs."""

    @property
    def allowed(self) -> str:
        return f'a list of "field=column" such as "to=PHONE", each field once, of: {", ".join(FIELDS)}; [] for none'

    def read(self, value: object, home: Path) -> tuple[tuple[str, str], ...]:
        if not isinstance(value, list):
            raise NotAllowed
        pairs = tuple(_pair(item) for item in value)
        if len({field for field, _ in pairs}) != len(pairs) or len({column for _, column in pairs}) != len(pairs):
            raise NotAllowed
        return pairs

    def show(self, value: object, home: Path) -> Plain:
        return [f"{field}={column}" for field, column in value] if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone by its name in the IANA database, or ``""`` for none."""

    @property
    def allowed(self) -> str:
        return 'a time zone such as "Europe/Minsk", or "" for none'

    def read(self, value: object, home: Path) -> str:
        if not isinstance(value, str):
            raise NotAllowed
        try:
            return ZoneInfo(value).key if value else ""
        except (ValueError, OSError, KeyError) as error:
            raise NotAllowed from error

    def show(self, value: object, home: Path) -> Plain:
        return str(value)


class Drop(msgspec.Struct, frozen=True, kw_only=True):
    """[drops.NAME]: one folder.

    Attributes:
        name: NAME.
        folder: with ``in``, ``work``, ``done`` and ``refused`` in it, which mgated makes.
        group: whose members may put files into ``in`` and read the answers; empty: the daemon's own.
        format, encoding, delimiter: of the files; ``auto``: by the file's name, its content, its header.
        columns: the column of each field that is not named as the field.
        on_error: ``file``: a file with a wrong row is refused whole; ``row``: only the row is.
        most_rows, most_bytes: a larger file is refused; bytes are counted unpacked.
        most_ratio: a file that unpacks to more than so many times its size is refused.
        classes, senders: what its messages may be and come from; ``*`` stands for any sender.
        default_class, default_sender: for rows that name none; empty for none.
        default_country: the ISO 3166 country whose national formats are read; empty: E.164 only.
        numbers: how numbers may be written.
        rate: rows a second that are handed in; 0 for no limit.
        time_zone: of moments without one; empty: they are refused.
        keep: how long results stay; ``keep_data``: how long the files themselves stay, with numbers and texts.
    """

    name: str
    folder: Annotated[Path, Place()]
    group: Annotated[str, _GROUP] = ""
    format: Annotated[str, OneOf(FORMATS)] = "auto"
    encoding: Annotated[str, OneOf(ENCODINGS)] = "auto"
    delimiter: Annotated[str, OneOf(DELIMITERS)] = "auto"
    columns: Annotated[tuple[tuple[str, str], ...], Columns()] = ()
    on_error: Annotated[str, OneOf(("file", "row"))] = "file"
    most_rows: Annotated[int, Whole(1, 5_000_000, "rows")] = 1_000_000
    most_bytes: Annotated[int, Size("1KiB", "16GiB")] = 1 << 30
    most_ratio: Annotated[int, Whole(2, 1000, "times")] = 100
    classes: Annotated[tuple[str, ...], ListOf(OneOf(_CLASSES))] = _CLASSES
    default_class: Annotated[str, OneOf(("", *_CLASSES))] = ""
    senders: Annotated[tuple[str, ...], ListOf(_SENDER)] = ("*",)
    default_sender: Annotated[str, _SENDER_OR_NONE] = ""
    default_country: Annotated[str, Country()] = ""
    numbers: Annotated[tuple[str, ...], ListOf(OneOf(NUMBER_FORMS))] = NUMBER_FORMS[:-1]
    rate: Annotated[int, Whole(0, 100_000, "rows a second, 0 for no limit")] = 0
    time_zone: Annotated[str, Zone()] = ""
    keep: Annotated[float, Span("1h", "3650d")] = 30 * 86_400.0
    keep_data: Annotated[float, Span("0s", "3650d")] = 86_400.0


class Wrong(NamedTuple):
    """A mistake: its section, its key, and what is wrong."""

    section: str
    key: str
    problem: str


def mistakes_of(drops: Sequence[Drop], taken: Mapping[str, str]) -> Iterator[Wrong]:
    """What no setting of these shows by itself. ``taken``: the names of other clients, and the section of each."""
    folders: dict[Path, str] = {}
    for drop in drops:
        section = f"drops.{drop.name}"
        if drop.name in taken:
            yield Wrong(section, "", f"is a client's name already, of [{taken[drop.name]}]; give the folder another")
        for other, name in folders.items():
            if drop.folder == other or drop.folder in other.parents or other in drop.folder.parents:
                yield Wrong(section, "folder", f"{drop.folder} and the folder of [drops.{name}] are one in the other")
        folders[drop.folder] = drop.name
        if drop.default_class and drop.default_class not in drop.classes:
            yield Wrong(section, "default_class", f'"{drop.default_class}" is not among its classes')
        if drop.default_sender and "*" not in drop.senders and drop.default_sender not in drop.senders:
            yield Wrong(section, "default_sender", f'"{drop.default_sender}" is not among its senders')


def _pair(item: object) -> tuple[str, str]:
    field, mark, column = item.partition("=") if isinstance(item, str) else ("", "", "")
    if field not in FIELDS or not mark or not column.strip() or not column.isprintable() or len(column) > 64:
        raise NotAllowed
    return field, column.strip()
