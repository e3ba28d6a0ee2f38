"""The route table: rules, and which of them has the word.

A rule says whom it is for and names its targets. A condition that it leaves out is met by every message, and of several
values of one condition any will do. Which rule has the word: that of the best priority (1 is the best); of those, the
most specific; of those, the first of the file. A rule is the more specific the more conditions it has; where it is as
many, a current network tells more than a prefix, a longer prefix more than a shorter one, and any prefix more than a
country.

Its targets come in the order of its list, or by cost, or by shares. Targets of equal cost, and all that have shares,
are drawn by the recipient's number: the same number gets the same route, today, after a restart and on another machine,
and a route that is gone gives only its own numbers to the others (weighted rendezvous hashing).

A table is made for speed: every value of every condition has a whole number whose bits are the rules that it suits, in
order. The rule is the lowest bit that all of a message's values have, so that a thousand rules cost hardly more than
one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import date, datetime, tzinfo
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from itertools import groupby
from math import log
from operator import itemgetter
from typing import Final, NamedTuple, Protocol, TypeVar, assert_never

from mgate.model.message import Secret, TrafficClass
from mgate.policy.cost import Price

_V = TypeVar("_V", bound=Hashable)

WEEK: Final = 7 * 24 * 60
"""Minutes of a week. They are counted from Monday 00:00 in the bank's zone."""

USUAL: Final = 100
"""The priority of a rule that says none."""

NO_TEXT: Final = Secret("")


class Wanted(NamedTuple):
    """What a decision may look at.

    Attributes:
        to: the number in E.164.
        country: of the number, ISO 3166; empty when it is not known. ``network``: the one that serves it now, MCC and
            MNC (ITU-T E.212), digits only; empty when it is not known.
        minute: of the week, 0 to 10,079.
        foreign: routes that said lately that this number is not theirs.
        text, day: what a register may look at: the message's text, and today.
    """

    traffic: TrafficClass
    sender: str
    client: str
    tags: tuple[str, ...]
    to: str
    country: str = ""
    network: str = ""
    minute: int = 0
    foreign: frozenset[str] = frozenset()
    text: Secret = NO_TEXT
    day: date = date.min


class Choose(Enum):
    """How the targets of a rule are put in order."""

    ORDER = "order"
    COST = "cost"
    SHARE = "share"


class Target(NamedTuple):
    """One route that a rule allows.

    Attributes:
        weight: of its share among its equals, 1 at least.
        price: of one part; None when it is not known, which counts as dearer than any.
    """

    route: str
    weight: int = 1
    price: Price | None = None


class Rule(NamedTuple):
    """A line of the table. An empty condition is met by every message.

    Attributes:
        tags: the message bears one of them.
        prefixes: beginnings of the number in E.164, with its plus sign.
        times: spans of minutes of the week, the first in and the last out; none goes beyond the week's end.
        priority: 1 is asked first.
    """

    name: str
    targets: tuple[Target, ...]
    choose: Choose = Choose.ORDER
    priority: int = USUAL
    classes: frozenset[TrafficClass] = frozenset()
    senders: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    prefixes: frozenset[str] = frozenset()
    countries: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    times: tuple[tuple[int, int], ...] = ()

    @property
    def conditions(self) -> int:
        """How many it has."""
        where = (self.prefixes, self.countries, self.networks, self.times)
        return sum(map(bool, (self.classes, self.senders, self.clients, self.tags, *where)))


class Why(Enum):
    """Why a route has its place. The first three: by its rule. The others: it was put behind, worse ones later."""

    LISTED = "listed"
    COST = "cost"
    SHARE = "share"
    POOR = "bad_quality"
    DOWN = "no_bind"
    QUOTA = "quota"
    HELD = "maintenance"
    FOREIGN = "foreign_network"


class Choice(NamedTuple):
    """A route that the message may leave by. ``ready``: it can take it now, or is believed to in a moment."""

    route: str
    why: Why
    ready: bool
    price: Price | None


class Register(Protocol):
    """What a route's operator has approved of."""

    def allows(self, sender: str, traffic: TrafficClass, text: str, day: date) -> str:
        """Why a text of the class may not leave there under this sender today, a word of ``Barred``; empty: it may."""


class Patience(NamedTuple):
    """Seconds without a bind after which a route is put behind those that have one."""

    urgent: float = 10.0
    others: float = 60.0


USUAL_PATIENCE: Final = Patience()


class Table:
    """Rules, made ready for decisions.

    Attributes:
        registers: of routes whose senders are registered; any other route takes every sender.
        asks_country: whether any rule looks at the country.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        registers: Mapping[str, Register] | None = None,
        patience: Patience = USUAL_PATIENCE,
    ) -> None:
        self.registers = registers or {}
        self.patience = patience
        strips = ranked(rules)
        lines = {id(rule): Line(rule) for rule in rules}
        self._lines = [lines[id(strip.rule)] for strip in strips]
        self._classes = Field([strip.rule.classes for strip in strips])
        self._senders = Field([strip.rule.senders for strip in strips])
        self._clients = Field([strip.rule.clients for strip in strips])
        self._tags = Field([strip.rule.tags for strip in strips])
        self._prefixes = Field([strip.prefixes for strip in strips])
        self._countries = Field([strip.rule.countries for strip in strips])
        self.asks_country = bool(self._countries)
        self._networks = Field([strip.rule.networks for strip in strips])
        self._lengths = sorted({len(prefix) for strip in strips for prefix in strip.prefixes})
        self._edges, self._week = _week([strip.rule.times for strip in strips])

    @classmethod
    def of_accounts(cls, targets: Iterable[Target], registers: Mapping[str, Register] | None = None) -> Table:
        """The table of who wrote none: all routes, in the order given."""
        return cls([Rule("", tuple(targets))], registers)

    def line_for(self, wanted: Wanted) -> Line | None:
        """The rule that decides, ready for use; None when none is for this message."""
        traffic, sender, client, tags, to, country, network, minute, _foreign, _text, _day = wanted
        bits = self._classes[traffic] & self._senders[sender] & self._clients[client]
        bits &= self._countries[country] & self._networks[network]
        prefixes = self._prefixes
        near = prefixes.others
        for length in self._lengths:
            near |= prefixes[to[:length]]
        borne = self._tags.others
        for tag in tags:
            borne |= self._tags[tag]
        bits &= near & borne & self._week[bisect_right(self._edges, minute)]
        return self._lines[(bits & -bits).bit_length() - 1] if bits else None


class WeekClock:
    """Minutes of the week, and days, in one zone; the zone is asked once in a quarter of an hour, for its clock changes
    at no other time."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._quarter = -1
        self._minute = 0
        self._day = date.min

    def at(self, wall: float) -> tuple[int, date]:
        """The minute of the week and the day at a moment, seconds since 1970."""
        quarter, rest = divmod(int(wall), 900)
        if quarter != self._quarter:
            there = datetime.fromtimestamp(quarter * 900, self._zone)
            self._quarter, self._day = quarter, there.date()
            self._minute = (there.weekday() * 24 + there.hour) * 60 + there.minute
        return self._minute + rest // 60, self._day


class Strip(NamedTuple):
    """A rule as far as its prefixes of one length go: so it has one place among the others. None: it has no prefix."""

    rule: Rule
    prefixes: frozenset[str]


def ranked(rules: Sequence[Rule]) -> list[Strip]:
    """The rules in the order in which they have the word."""
    found: list[tuple[_Rank, Strip]] = []
    for place, rule in enumerate(rules):
        for length in sorted({len(prefix) for prefix in rule.prefixes}) or [0]:
            same = frozenset(prefix for prefix in rule.prefixes if len(prefix) == length)
            found.append(
                (
                    _Rank(rule.priority, -rule.conditions, not rule.networks, -length, not rule.countries, place),
                    Strip(rule, same),
                )
            )
    return [strip for _, strip in sorted(found, key=itemgetter(0))]


class _Rank(NamedTuple):
    """The place of a rule; the least is the first."""

    priority: int
    conditions: int
    network: bool
    prefix: int
    country: bool
    place: int


class Field(dict[_V, int]):
    """One condition. For each value: the rules that it suits, bit n for rule n; any other value suits ``others``."""

    def __init__(self, allowed: Sequence[frozenset[_V]]) -> None:
        super().__init__()
        self.others = sum(1 << bit for bit, values in enumerate(allowed) if not values)
        for bit, values in enumerate(allowed):
            for value in values:
                self[value] = self.get(value, self.others) | 1 << bit

    def __missing__(self, value: _V) -> int:
        return self.others


def _week(times: Sequence[Sequence[tuple[int, int]]]) -> tuple[list[int], list[int]]:
    """The moments at which the rules that suit change, and the rules from each on; one more for the week's begin."""
    steps = Counter[tuple[int, int]]()
    for bit, spans in enumerate(times):
        for first, last in spans:
            steps[first, bit] += 1
            steps[last, bit] -= 1
    edges = sorted({edge for edge, _ in steps} - {0})
    by_edge: dict[int, list[tuple[int, int]]] = {edge: [] for edge in (0, *edges)}
    for (edge, bit), step in steps.items():
        by_edge[edge].append((bit, step))
    suits = sum(1 << bit for bit, spans in enumerate(times) if not spans)
    week, open_spans = [], Counter[int]()
    for edge in (0, *edges):
        for bit, step in by_edge[edge]:
            was, open_spans[bit] = open_spans[bit], open_spans[bit] + step
            suits ^= (bool(was) != bool(open_spans[bit])) << bit
        week.append(suits)
    return edges, week


class Line:
    """A rule's targets, made ready: groups in order, and whoever is in one group with others is drawn by the number."""

    __slots__ = ("_fixed", "_groups", "name")

    def __init__(self, rule: Rule) -> None:
        self.name = rule.name
        why = _BY[rule.choose]
        self._groups = [
            [_Drawn(_salt(route), weight, Choice(route, why, True, price)) for route, weight, price in group]
            for group in _groups(rule)
        ]
        fixed = all(len(group) == 1 for group in self._groups)
        self._fixed = tuple(group[0].choice for group in self._groups) if fixed else None

    def in_order(self, to: str) -> tuple[Choice, ...]:
        """The targets for this number, best first, as if all were well."""
        if self._fixed is not None:
            return self._fixed
        number = _stirred(int(to[1:]))
        found: list[Choice] = []
        for group in self._groups:
            found += [choice for _, _, choice in sorted(_scored(number, drawn) for drawn in group)]
        return tuple(found)


class _Drawn(NamedTuple):
    salt: int
    weight: int
    choice: Choice


_BY: Final = {Choose.ORDER: Why.LISTED, Choose.COST: Why.COST, Choose.SHARE: Why.SHARE}
_64_BITS: Final = (1 << 64) - 1


def _groups(rule: Rule) -> list[list[Target]]:
    match rule.choose:
        case Choose.ORDER:
            return [[target] for target in rule.targets]
        case Choose.SHARE:
            return [list(rule.targets)]
        case Choose.COST:
            return [list(group) for _, group in groupby(sorted(rule.targets, key=_cost), key=_cost)]
        case _:
            assert_never(rule.choose)


def _cost(target: Target) -> tuple[bool, Decimal]:
    return target.price is None, Decimal(target.price.amount) if target.price is not None else Decimal(0)


def _salt(route: str) -> int:
    return int.from_bytes(blake2b(route.encode(), digest_size=8).digest())


def _scored(number: int, drawn: _Drawn) -> tuple[float, int, Choice]:
    """The lowest of a group wins: so each wins as often as its weight says (weighted rendezvous hashing)."""
    salt, weight, choice = drawn
    return -log((_stirred(number ^ salt) + 0.5) / (_64_BITS + 1)) / weight, salt, choice


def _stirred(number: int) -> int:
    """64 bits that have nothing in common with those of the next number of a range (the last steps of SplitMix64)."""
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & _64_BITS
    number = (number ^ number >> 27) * 0x94D049BB133111EB & _64_BITS
    return number ^ number >> 31
