"""[guards] and [guards.CLASS]: what may not leave, or not now; [texts]: in which letters texts of a class leave."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec

from mgate.config.countries import COUNTRIES
from mgate.config.kinds import ListOf, NotAllowed, OneOf, PlaceOrNone, Plain, Span, Text, Whole, read_span
from mgate.config.sources import TimeZone
from mgate.policy.guards.counting import MOST, Limit
from mgate.policy.guards.quiet import WEEK, read_hours
from mgate.policy.transliteration import TABLES

_DAY: Final = 86_400.0
_COUNTRY: Final = Text(r"[A-Z]{2}|\*", 'the two letters of a country in ISO 3166, or "*" for any')
_HOST: Final = r"\*|(\*\.)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
_HOST_MEANING: Final = (
    'a host such as "bank.example" (small letters, in the form of IDNA), "*.bank.example" for all below it, "*" for any'
)
_LIMIT: Final = re.compile(r"([1-9][0-9]?)/([0-9]+[mhd])", re.ASCII)


class Hours:
    """The hours of a day in which something is allowed; empty for all of them."""

    @property
    def allowed(self) -> str:
        return 'hours of a day such as "09:00-20:00", within one day, or "" for any'

    def read(self, value: object, home: Path) -> str:
        if not isinstance(value, str) or (value and read_hours(value) is None):
            raise NotAllowed
        return value

    def show(self, value: object, home: Path) -> Plain:
        return str(value)


class ListOrNone:
    """A list of texts that match a pattern; it may be empty. The tree holds a tuple."""

    def __init__(self, pattern: str, meaning: str) -> None:
        self._item = Text(pattern, meaning)

    @property
    def allowed(self) -> str:
        return f"a list, [] for none, of: {self._item.allowed}"

    def read(self, value: object, home: Path) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise NotAllowed
        return tuple(self._item.read(item, home) for item in value)

    def show(self, value: object, home: Path) -> Plain:
        return list(value) if isinstance(value, tuple) else str(value)


class Limits:
    """How often in which periods, such as ``2/1d``: at most two in any day. The tree holds `Limit`s."""

    @property
    def allowed(self) -> str:
        return f'a list, [] for none, of limits such as "2/1d": 1 to {MOST} messages in 1h to 31d'

    def read(self, value: object, home: Path) -> tuple[Limit, ...]:
        if not isinstance(value, list) or len(value) > 4:
            raise NotAllowed
        return tuple(map(_limit, value))

    def show(self, value: object, home: Path) -> Plain:
        return [f"{most}/{_show_period(period)}" for most, period in value] if isinstance(value, tuple) else str(value)


def _limit(text: object) -> Limit:
    found = _LIMIT.fullmatch(text) if isinstance(text, str) else None
    period = read_span(found[2]) if found is not None else None
    if found is None or period is None or not 3_600.0 <= period <= 31 * _DAY or int(found[1]) > MOST:
        raise NotAllowed
    return Limit(int(found[1]), period)


def _show_period(period: float) -> str:
    unit, size = next((pair for pair in (("d", 86_400), ("h", 3_600)) if period % pair[1] == 0), ("m", 60))
    return f"{int(period) // size}{unit}"


class OwnGuards(msgspec.Struct, frozen=True, kw_only=True):
    """[guards.fraud] and [guards.transaction]: the guards of a class that never waits.

    Attributes:
        frequency: at most so many messages to one number in any such period.
        different, identical: at most so many different texts, and so many times one text, to one number in an hour; 0:
            no limit.
        links: hosts that a text may link to: names, ``*.name`` for all below a name, ``*`` for any.
    """

    frequency: Annotated[tuple[Limit, ...], Limits()] = ()
    different: Annotated[int, Whole(0, MOST, "texts an hour, 0 for no limit")] = 20
    identical: Annotated[int, Whole(0, MOST, "times an hour, 0 for no limit")] = 6
    links: Annotated[tuple[str, ...], ListOrNone(_HOST, _HOST_MEANING)] = ()


class OtpGuards(OwnGuards, frozen=True, kw_only=True):
    """[guards.otp]: nobody needs twenty codes an hour."""

    different: Annotated[int, Whole(0, MOST, "texts an hour, 0 for no limit")] = 10


class ServiceGuards(OwnGuards, frozen=True, kw_only=True):
    """[guards.service]: the guards of a class that can wait.

    Attributes:
        hours: of the recipient's day in which it may leave; empty: all of them. ``days``: of the week. Where hours or
            days are left out, nothing leaves on a holiday either.
    """

    hours: Annotated[str, Hours()] = ""
    days: Annotated[tuple[str, ...], ListOf(OneOf(WEEK))] = WEEK


class MarketingGuards(ServiceGuards, frozen=True, kw_only=True):
    """[guards.marketing]: the strictest of what the laws of our countries ask for."""

    hours: Annotated[str, Hours()] = "09:00-20:00"
    days: Annotated[tuple[str, ...], ListOf(OneOf(WEEK))] = WEEK[:6]
    frequency: Annotated[tuple[Limit, ...], Limits()] = (Limit(2, _DAY), Limit(4, 7 * _DAY))


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """[texts]: for each class the table by which a text is transliterated when that saves parts; empty: never."""

    otp: Annotated[str, OneOf(("", *TABLES))] = ""
    fraud: Annotated[str, OneOf(("", *TABLES))] = ""
    transaction: Annotated[str, OneOf(("", *TABLES))] = ""
    service: Annotated[str, OneOf(("", *TABLES))] = ""
    marketing: Annotated[str, OneOf(("", *TABLES))] = ""


class Guards(msgspec.Struct, frozen=True, kw_only=True):
    """[guards]: what holds for every class.

    Attributes:
        cards: whether a text with the number of a card is refused. ``tricks``: the same of characters that deceive.
        countries: of the numbers that may be written to, ISO 3166; ``*`` for any.
        time_zone: the bank's, for recipients whose own is not known.
        zones: the zone of a country that has several, ``RU=Europe/Moscow``; else what is open in all of them is open.
        holidays: a file of dates, one a line, on which nothing leaves that has hours or days of its own.
        numbers: at least so many numbers are remembered for each limit.
        pumping: what follows when a range of numbers gets too many codes; ``pumping_floor`` and ``pumping_factor``: how
            many are too many (`policy.guards.pumping`); ``pumping_block``: for how many seconds it is blocked.
        duty_numbers: whom ``mgatectl send`` may write to.
        otp, fraud, transaction, service, marketing: the guards of each class, sections of their own.
    """

    cards: Annotated[str, OneOf(("refuse", "allow"))] = "refuse"
    tricks: Annotated[str, OneOf(("refuse", "allow"))] = "refuse"
    countries: Annotated[tuple[str, ...], ListOf(_COUNTRY)] = ("*",)
    time_zone: Annotated[str, TimeZone()] = "UTC"
    zones: Annotated[tuple[str, ...], ListOrNone("[A-Z]{2}=[A-Za-z0-9/_+-]+", 'pairs such as "RU=Europe/Moscow"')] = ()
    holidays: Annotated[Path | None, PlaceOrNone()] = None
    numbers: Annotated[int, Whole(1_000, 100_000_000)] = 1_000_000
    pumping: Annotated[str, OneOf(("block", "alarm", "off"))] = "block"
    pumping_floor: Annotated[int, Whole(1, 1_000_000, "codes an hour")] = 100
    pumping_factor: Annotated[int, Whole(1, 1_000)] = 5
    pumping_block: Annotated[float, Span("1m", "7d")] = 3_600.0
    duty_numbers: Annotated[
        tuple[str, ...], ListOrNone(r"\+[1-9][0-9]{6,14}", "numbers in E.164, a plus sign and 7 to 15 digits")
    ] = ()
    otp: OtpGuards = OtpGuards()
    fraud: OwnGuards = OwnGuards()
    transaction: OwnGuards = OwnGuards()
    service: ServiceGuards = ServiceGuards()
    marketing: MarketingGuards = MarketingGuards()


GUARDS_OF_CLASS: Final[dict[str, type[OwnGuards]]] = {
    "otp": OtpGuards, "fraud": OwnGuards, "transaction": OwnGuards, "service": ServiceGuards,
    "marketing": MarketingGuards,
}  # fmt: skip
"""The sections of the classes."""


class Wrong(NamedTuple):
    """A mistake: section, key and sentence."""

    section: str
    key: str
    problem: str


def mistakes_of(guards: Guards) -> Iterator[Wrong]:
    """What no setting of the guards shows by itself."""
    unknown = [each for each in guards.countries if each != "*" and each not in COUNTRIES]
    if unknown:
        yield Wrong("guards", "countries", f"there is no country {', '.join(unknown)} in ISO 3166")
    for pair in guards.zones:
        country, _, zone = pair.partition("=")
        if country not in COUNTRIES:
            yield Wrong("guards", "zones", f"there is no country {country} in ISO 3166")
        try:
            TimeZone().read(zone, Path())
        except NotAllowed:
            yield Wrong("guards", "zones", f"{zone} is no time zone; allowed: {TimeZone().allowed}")
    try:
        holidays_of(guards)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        yield Wrong("guards", "holidays", f"{guards.holidays}: {why}")


def holidays_of(guards: Guards) -> frozenset[date]:
    """The dates of the holiday file, one a line, ``2027-01-01``; what follows ``#`` is for people.

    Errors: `OSError`; `ValueError` with the line, when it is no date.
    """
    if guards.holidays is None:
        return frozenset()
    found = set()
    for number, line in enumerate(guards.holidays.read_text("utf-8").splitlines(), 1):
        word = line.partition("#")[0].strip()
        if not word:
            continue
        try:
            found.add(date.fromisoformat(word))
        except ValueError as error:
            raise ValueError(f'line {number} is no date; write "2027-01-01"') from error
    return frozenset(found)
