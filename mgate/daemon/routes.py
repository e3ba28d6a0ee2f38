"""The choice of routes in a running daemon: its settings, the countries of numbers, and where messages would go: by the
same reading of numbers, the same rules and the same router as for those that are sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import msgspec
from twisted.internet.interfaces import IReactorTime

from mgate.config import Config, CoreSource, PushClient
from mgate.config.drops import Drop
from mgate.config.routes import table_of
from mgate.control.route_views import RouteAnswer, RouteAsked, RouteBarred, RouteChoice
from mgate.daemon.quality import Deliveries, QualityWatch
from mgate.dispatch.foreign import Foreign
from mgate.dispatch.router import Network, Router
from mgate.intake.codes import Code
from mgate.intake.numbers import read_number
from mgate.model.address import mask
from mgate.model.message import CLASS_BY_WORD, Secret
from mgate.policy.routing import Decision
from mgate.policy.routing_table import WeekClock
from mgate.policy.segments import count
from mgate.telemetry import Log, Telemetry

_HEAD: Final = 9
"""What of a mobile number, with its plus sign, tells the country: no two countries share more."""

_MOST: Final = 1 << 16


class Networked(Protocol):
    """Who chooses by a network: the dispatcher."""

    def apply(self, network: Network) -> None:
        """Go on by another one."""


class Countries:
    """The countries of numbers, by their beginnings: each beginning is looked up once in the library."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, number: str) -> str:
        """The country of a number in E.164, ISO 3166; empty when nobody knows."""
        head = number[:_HEAD]
        known = self._known.get(head)
        if known is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            known = self._known[head] = _country_of(number)
        return known


def _country_of(number: str) -> str:
    """Of a number in a range that is not known yet, the country that most numbers of its code are of."""
    # Imported where it is used: it takes 30 ms and 13 MiB, and few banks route by country.
    import phonenumbers  # noqa: PLC0415

    try:
        read = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ""
    region = phonenumbers.region_code_for_number(read) or phonenumbers.region_code_for_country_code(
        read.country_code or 0
    )
    return region if region.isalpha() and region != "ZZ" else ""


def for_repeats(config: Config) -> tuple[str, ...]:
    """By which routes a code that a crash left in doubt may be repeated: none where a table or an operator's register
    would have to be asked of each message, which is sealed then."""
    free = not config.routes and not any(sms.profile.senders for sms in config.sms)
    return tuple(sms.route for sms in config.sms) if free else ()


def network_of(config: Config) -> Network:
    """What routing goes by."""
    table = table_of(config.routing, config.routes, config.sms)
    return Network(table, tuple(sms.route for sms in config.sms), WeekClock(ZoneInfo(config.routing.time_zone)))


class RouteRoom:
    """The choice of routes while the daemon runs: its settings, who judges the accounts, and who asks where messages
    would go (see ``control.routes.RouteBoard``).

    Args:
        network: takes up another table and other accounts.
        wall: seconds since 1970.
    """

    def __init__(
        self, config: Config, network: Networked, router: Router, foreign: Foreign, countries: Countries,
        deliveries: Deliveries, clock: IReactorTime, wall: Callable[[], float], telemetry: Telemetry, log: Log,
    ) -> None:  # fmt: skip
        self._config = config
        self._network = network
        self._router = router
        self._foreign = foreign
        self._countries = countries
        self._wall = wall
        self._quality = QualityWatch(config.quality, deliveries, router, clock, telemetry, log)

    def start(self) -> None:
        """Judge the accounts from now on."""
        self._quality.start()

    def stop(self) -> None:
        """Judge them no more."""
        self._quality.stop()

    def apply(self, config: Config) -> None:
        """Choose by another configuration; accounts that are new were added before."""
        self._config = config
        self._foreign.keep = config.routing.foreign_network
        self._network.apply(network_of(config))
        self._quality.apply(config.quality)

    def clients(self) -> Sequence[str]:
        """Every client."""
        return [name for name, _, _ in _clients(self._config)]

    def explain(self, client: str, asked: Sequence[RouteAsked]) -> Sequence[RouteAnswer]:
        """An answer for each."""
        rules = next((sender, country) for name, sender, country in _clients(self._config) if name == client)
        zone = ZoneInfo(self._config.routing.time_zone)
        return [self._answer(client, *rules, each, zone) for each in asked]

    def _answer(self, client: str, default_sender: str, country: str, asked: RouteAsked, zone: ZoneInfo) -> RouteAnswer:
        number, at = read_number(asked.to, country or None), self._moment(asked.at, zone)
        sender, traffic = asked.sender or default_sender, CLASS_BY_WORD.get(asked.traffic)
        wrong = (
            f"the number cannot be read: {number.value.sentence}" if isinstance(number, Code)
            else "there is no such class" if traffic is None
            else 'the moment cannot be read; write "2026-11-23 22:30"' if at is None
            else "there is no sender, and the client has no default one" if not sender
            else ""
        )  # fmt: skip
        if wrong or isinstance(number, Code) or traffic is None or at is None:
            return RouteAnswer(mask(asked.to), sender, wrong=wrong)
        decision = self._router.explain(traffic, sender, client, asked.tags, number.e164, Secret(asked.text), at)
        return _told(
            RouteAnswer(
                to=number.mask(),
                sender=sender,
                country=self._countries.of(number.e164),
                rule=decision.rule,
                at=datetime.fromtimestamp(at, zone).strftime("%a %Y-%m-%d %H:%M %Z"),
                parts=count(asked.text) if asked.text else 1,
            ),
            decision,
        )

    def _moment(self, text: str, zone: ZoneInfo) -> float | None:
        if not text:
            return self._wall()
        try:
            read = datetime.fromisoformat(text)
        except ValueError:
            return None
        return (read if read.tzinfo is not None else read.replace(tzinfo=zone)).timestamp()


def _clients(config: Config) -> list[tuple[str, str, str]]:
    """Name, default sender and default country of everybody whose messages there may be."""
    clients: list[PushClient | CoreSource | Drop] = [*config.push.clients, *config.sources, *config.drops]
    return [(each.name, each.default_sender, each.default_country) for each in clients]


def _told(answer: RouteAnswer, decision: Decision) -> RouteAnswer:
    """The answer with what was decided."""
    choices = tuple(
        RouteChoice(route, why.value, ready, *(price or ("", ""))) for route, why, ready, price in decision.choices
    )
    price = choices[0].price if choices else ""
    return msgspec.structs.replace(
        answer,
        choices=choices,
        barred=tuple(RouteBarred(route, why.value) for route, why in decision.barred),
        cost=f"{Decimal(price) * answer.parts:f}" if price else "",
    )
