"""[routes.NAME]: by which accounts which messages leave; [routing]: what holds for all routes; [quality]: when one is
worse than bearable.

docs/routing.md tells the operator which rule has the word; `policy.routing_table` finds it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, NamedTuple, Protocol

import msgspec

from mgate.config.countries import COUNTRIES
from mgate.config.kinds import ListOf, NotAllowed, OneOf, Plain, Span, Text, Whole
from mgate.config.operator_kinds import Flag, Several
from mgate.config.operators import Profile
from mgate.config.sources import TimeZone
from mgate.model.message import CLASS_BY_WORD, TrafficClass
from mgate.policy.cost import Price
from mgate.policy.quality import Marks
from mgate.policy.routing_shadows import shadows
from mgate.policy.routing_table import USUAL, WEEK, Choose, Patience, Rule, Table, Target

_CLASS_WORDS: Final = tuple(traffic.word for traffic in TrafficClass)
_NAME: Final = "[a-z0-9][a-z0-9-]{0,31}"
_ACCOUNT: Final = re.compile(
    rf"(?P<name>{_NAME})(?: (?P<share>100|[1-9][0-9]?)%)?(?: at (?P<price>[0-9]{{1,6}}(?:\.[0-9]{{1,6}})?))?", re.ASCII
)
_ACCOUNT_TEXT: Final = Text(
    _ACCOUNT.pattern,
    'the NAME of [sms.NAME], with its share and its price where needed: "op-a", "op-a 70%", "op-a at 0.02"',
)
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY: Final = "(?:" + "|".join(_DAYS) + ")"
_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIMES: Final = re.compile(
    rf"(?P<days>{_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?)*)(?: (?P<first>{_CLOCK})-(?P<last>{_CLOCK}|24:00))?", re.ASCII
)


class Times:
    """Times of the week, such as ``mon-fri 09:00-18:00``; the tree holds a tuple of texts."""

    @property
    def allowed(self) -> str:
        return (
            'a list, [] for any time, of days with or without hours, such as "mon-fri 09:00-18:00", "sat,sun" or'
            ' "fri 22:00-06:00", which ends on Saturday'
        )

    def read(self, value: object, home: Path) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise NotAllowed
        for text in value:
            read_times(text)
        return tuple(value)

    def show(self, value: object, home: Path) -> Plain:
        return list(value) if isinstance(value, tuple) else str(value)


def read_times(text: object) -> tuple[tuple[int, int], ...]:
    """Times of the week as spans of its minutes, from Monday 00:00; none goes beyond its end. Raises `NotAllowed`."""
    found = _TIMES.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise NotAllowed
    first, last = _minutes(found["first"] or "00:00"), _minutes(found["last"] or "24:00")
    if first == last:
        raise NotAllowed
    long = last - first if first < last else last - first + 1440
    spans: list[tuple[int, int]] = []
    for day in _days(found["days"]):
        begin = day * 1440 + first
        end = begin + long
        spans.append((begin, min(end, WEEK)))
        if end > WEEK:
            spans.append((0, end - WEEK))
    return tuple(spans)


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


def _days(text: str) -> Iterator[int]:
    for piece in text.split(","):
        first, _, last = piece.partition("-")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        yield from (day % 7 for day in range(begin, end + 1 if begin <= end else end + 8))


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """[routes.NAME]: which messages it is for, and by which accounts they leave.

    Attributes:
        name: NAME.
        accounts: the best first, with shares or prices (`read_account`).
        choose: by the ``order`` of the list, by the ``cost`` of a part, or each its ``share`` of the numbers.
        priority: 1 is asked first.
        classes, senders, clients, tags, prefixes, countries, networks, times: whom it is for; empty: any.
    """

    name: str
    accounts: Annotated[tuple[str, ...], ListOf(_ACCOUNT_TEXT)]
    choose: Annotated[str, OneOf(tuple(each.value for each in Choose))] = Choose.ORDER.value
    priority: Annotated[int, Whole(1, 1000, "1 is asked first")] = USUAL
    classes: Annotated[tuple[str, ...], Several(OneOf(_CLASS_WORDS))] = ()
    senders: Annotated[tuple[str, ...], Several(Text(r"[\x20-\x7e]{1,21}", "a sender as messages name it"))] = ()
    clients: Annotated[tuple[str, ...], Several(Text(_NAME, "the NAME of a client, a source or a drop"))] = ()
    tags: Annotated[tuple[str, ...], Several(Text(r"[^\x00-\x1f]{1,64}", "a tag as messages bear it"))] = ()
    prefixes: Annotated[
        tuple[str, ...], Several(Text(r"\+[1-9][0-9]{0,14}", 'the beginning of a number in E.164, such as "+37529"'))
    ] = ()
    countries: Annotated[tuple[str, ...], Several(Text("[A-Z]{2}", "the two letters of a country in ISO 3166"))] = ()
    networks: Annotated[
        tuple[str, ...], Several(Text("[0-9]{5,6}", 'the MCC and MNC of a network, such as "25702"'))
    ] = ()
    times: Annotated[tuple[str, ...], Times()] = ()


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """[routing]: what holds for all routes.

    Attributes:
        time_zone: the one that the ``times`` of routes are said in.
        no_bind_urgent, no_bind: so long an account may be without a bind before codes and fraud notices, and all other
            messages, take another one.
        foreign_network: so long it is remembered that a number is not of an account's network.
    """

    time_zone: Annotated[str, TimeZone()] = "UTC"
    no_bind_urgent: Annotated[float, Span("0s", "1h")] = 10.0
    no_bind: Annotated[float, Span("0s", "1d")] = 60.0
    foreign_network: Annotated[float, Span("1m", "30d")] = 86_400.0

    @property
    def patience(self) -> Patience:
        """The same for decisions."""
        return Patience(self.no_bind_urgent, self.no_bind)


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """[quality]: when an account is put behind others because its messages do not arrive, or late (`policy.quality`).

    Attributes:
        judge: whether that is done at all.
        window: what was sent in the last so many seconds counts, once it has had ``in_time`` to be delivered.
        slow_after: what takes longer was late. ``rest``: after so long a poor account is tried.
        poor_below, well_above: percent of the parts that are delivered in time.
        least: parts that a judgement needs, and that a trial costs.
    """

    judge: Annotated[bool, Flag()] = True
    window: Annotated[float, Span("1m", "1d")] = 900.0
    in_time: Annotated[float, Span("5s", "1h")] = 180.0
    slow_after: Annotated[float, Span("1s", "1h")] = 60.0
    rest: Annotated[float, Span("1m", "1d")] = 600.0
    poor_below: Annotated[int, Whole(1, 99, "percent")] = 60
    well_above: Annotated[int, Whole(2, 100, "percent")] = 80
    least: Annotated[int, Whole(10, 100_000, "parts")] = 50

    @property
    def marks(self) -> Marks:
        """The same for judgements."""
        return Marks(
            self.window,
            self.in_time,
            self.slow_after,
            self.rest,
            self.poor_below / 100,
            self.well_above / 100,
            self.least,
        )


class Account(Protocol):
    """What of [sms.NAME] matters here."""

    @property
    def name(self) -> str:
        """NAME."""

    @property
    def route(self) -> str:
        """The route's name, such as ``sms:op-a``."""

    @property
    def price(self) -> str:
        """Of one part; empty: not known."""

    @property
    def currency(self) -> str:
        """Of the price."""

    @property
    def profile(self) -> Profile:
        """Of its operator."""


class Named(NamedTuple):
    """An item of ``accounts``: a share in percent, 0 for none; a price, empty for that of the account."""

    account: str
    share: int
    price: str


def read_account(text: str) -> Named:
    """An item of ``accounts``, which the reading has let pass."""
    found = _ACCOUNT.fullmatch(text)
    if found is None:
        raise NotAllowed
    return Named(found["name"], int(found["share"] or 0), found["price"] or "")


# ---- the table -----------------------------------------------------------------------------------------------------


def table_of(routing: Routing, routes: Sequence[Route], accounts: Sequence[Account]) -> Table:
    """The table of a sound configuration. Without any [routes.NAME]: all accounts in the order of the file.

    A rule that has none of these accounts, because they wait for a restart, is as if it were not there.
    """
    by_name = {account.name: account for account in accounts}
    rules = [rule for route in routes if (rule := rule_of(route, by_name)).targets] or [
        Rule("", tuple(_target(Named(account.name, 0, ""), account) for account in accounts))
    ]
    registers = {account.route: account.profile for account in accounts if account.profile.senders}
    return Table(rules, registers, routing.patience)


def rule_of(route: Route, accounts: Mapping[str, Account]) -> Rule:
    """The rule of a section. ``accounts`` by name; unknown ones are left out."""
    named = [item for item in map(read_account, route.accounts) if item.account in accounts]
    return Rule(
        name=route.name,
        targets=tuple(_target(item, accounts[item.account]) for item in named),
        choose=Choose(route.choose),
        priority=route.priority,
        classes=frozenset(CLASS_BY_WORD[word] for word in route.classes),
        senders=frozenset(route.senders),
        clients=frozenset(route.clients),
        tags=frozenset(route.tags),
        prefixes=frozenset(route.prefixes),
        countries=frozenset(route.countries),
        networks=frozenset(route.networks),
        times=tuple(sorted({span for text in route.times for span in read_times(text)})),
    )


def _target(item: Named, account: Account) -> Target:
    amount = item.price or account.price
    return Target(account.route, item.share or 1, Price(amount, account.currency) if amount else None)


# ---- what is wrong -------------------------------------------------------------------------------------------------


class Wrong(NamedTuple):
    """A mistake: section, key and sentence."""

    section: str
    key: str
    problem: str


def mistakes_of(
    routes: Sequence[Route], quality: Quality, accounts: Sequence[Account], clients: Collection[str]
) -> Iterator[Wrong]:
    """What no setting shows by itself. ``clients``: every name that a message can come from."""
    by_name = {account.name: account for account in accounts}
    for route in routes:
        yield from _of_accounts(route, by_name)
        yield from _of_names(route, clients)
    rules = [rule_of(route, by_name) for route in routes]
    if rules and all(rule.conditions for rule in rules):
        yield Wrong(
            "routes",
            "",
            "has no rule for the rest: one without conditions, such as [routes.rest] with its accounts only",
        )
    for rule, by in shadows(rules):
        yield Wrong(
            f"routes.{rule}", "", f"is never reached: [routes.{by}] goes before it, and is for all that it is for;"
            " give it a better priority, or take it out",
        )  # fmt: skip
    yield from _of_quality(quality)


def _of_accounts(route: Route, accounts: Mapping[str, Account]) -> Iterator[Wrong]:
    section, items = f"routes.{route.name}", [read_account(text) for text in route.accounts]
    names = [item.account for item in items]
    for name in dict.fromkeys(names):
        if name not in accounts:
            known = ", ".join(f'"{account}"' for account in accounts)
            yield Wrong(section, "accounts", f'"{name}" is no account; there are: {known}')
        elif names.count(name) > 1:
            yield Wrong(section, "accounts", f'has "{name}" twice')
    shares = [item.share for item in items]
    if any(shares) and route.choose == Choose.ORDER.value:
        yield Wrong(section, "accounts", 'has shares, which need choose = "share"')
    elif any(shares) and (not all(shares) or sum(shares) != 100):
        yield Wrong(section, "accounts", "has shares that are not 100 % together; give each account one, or none")
    yield from _of_prices(section, route, [item for item in items if item.account in accounts], accounts)


def _of_prices(section: str, route: Route, items: Sequence[Named], accounts: Mapping[str, Account]) -> Iterator[Wrong]:
    for item in items:
        if item.price and not accounts[item.account].currency:
            yield Wrong(
                section, "accounts", f'has a price for "{item.account}", whose section has no price and currency'
            )
    if route.choose != Choose.COST.value:
        return
    for item in items:
        if not item.price and not accounts[item.account].price:
            yield Wrong(section, "choose", f'"cost" needs a price of every account, and "{item.account}" has none')
    currencies = sorted({currency for item in items if (currency := accounts[item.account].currency)})
    if len(currencies) > 1:
        yield Wrong(section, "choose", f'"cost" cannot compare {" and ".join(currencies)}')


def _of_names(route: Route, clients: Collection[str]) -> Iterator[Wrong]:
    section = f"routes.{route.name}"
    for client in route.clients:
        if client not in clients:
            known = ", ".join(f'"{each}"' for each in clients)
            yield Wrong(section, "clients", f'"{client}" is no client; there are: {known}')
    for country in route.countries:
        if country not in COUNTRIES:
            yield Wrong(section, "countries", f'"{country}" is no country in ISO 3166')


def _of_quality(quality: Quality) -> Iterator[Wrong]:
    if quality.well_above <= quality.poor_below:
        yield Wrong("quality", "well_above", f"is not above poor_below, which is {quality.poor_below}")
    if quality.in_time >= quality.window:
        yield Wrong("quality", "in_time", "is not below window")
    if quality.slow_after >= quality.in_time:
        yield Wrong("quality", "slow_after", "is not below in_time")
