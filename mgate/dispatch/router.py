"""By which route a message leaves: the coat around ``policy.routing``, which knows how the routes stand just now.

It is asked three times of a message at most: when it is accepted, when its route sent it away or left a code in doubt,
and when its route has had no bind for so long that what waits there moves. What is urgent waits for no bind at all: a
code that is accepted while a route is down is planned around it at once, any other message when the patience is over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple, assert_never

from msgspec.structs import replace

from mgate.dispatch.foreign import Foreign
from mgate.model.entry import Submission
from mgate.model.message import Outgoing, Secret, TrafficClass
from mgate.model.outcome import Accepted, Deferred, Elsewhere, NotWritten, Outcome, Rejected, Uncertain
from mgate.model.ready import Stranded
from mgate.policy.classes import URGENT
from mgate.policy.routing import WELL, Decision, Standing, decide
from mgate.policy.routing_table import Choice, Table, Wanted, WeekClock
from mgate.policy.step import repeats_elsewhere, throttles

QUOTA_HOLD: Final = 900.0
"""Seconds for which a route gets nothing new that said that its quota is used up, unless there is no other."""

CountryOf = Callable[[str], str]
"""The country of a number in E.164 by ISO 3166, empty when it is not known."""


class Network(NamedTuple):
    """What routing goes by, as the configuration has it.

    Attributes:
        routes: the configured ones, in their order; one at least.
        week: the bank's time of the week.
    """

    table: Table
    routes: tuple[str, ...]
    week: WeekClock


class Router:
    """Chooses routes. ``seconds``: a monotonic clock; ``wall``: seconds since 1970, for the time of the week."""

    def __init__(
        self, network: Network, foreign: Foreign, seconds: Callable[[], float], wall: Callable[[], float],
        country_of: CountryOf = lambda _number: "",
    ) -> None:  # fmt: skip
        self._foreign = foreign
        self._seconds = seconds
        self._wall = wall
        self._country_of = country_of
        self._down: dict[str, float] = {}
        self._suspect: set[str] = set()
        self._standing: dict[str, Standing] = {}
        self._at_once: dict[str, Standing] = {}
        self.apply(network)

    def apply(self, network: Network) -> None:
        """Go on by another table or other accounts."""
        self._network = network
        only = len(network.routes) == 1 and not network.table.registers
        self._only = network.routes[0] if only else ""
        now = self._seconds()
        known = set(network.routes)
        for route in known - self._down.keys() - self._standing.keys():
            self._down[route] = now
            self._standing[route] = WELL
        for route in self._standing.keys() - known:
            del self._standing[route]
            self._down.pop(route, None)
            self._suspect.discard(route)
        for route in known:
            self._settle(route)

    # ---- how the routes stand --------------------------------------------------------------------------------------

    def stands(self, route: str, is_open: bool, suspect: bool = False) -> None:
        """A bind of the route is open, or none is any more; ``suspect``: they take submits and answer none."""
        if route not in self._standing:
            return  # it is configured no more
        (self._suspect.add if suspect else self._suspect.discard)(route)
        if is_open:
            self._down.pop(route, None)
        else:
            self._down.setdefault(route, self._seconds())
        self._settle(route)

    def judge(self, route: str, poor: bool) -> None:
        """It delivers worse than is bearable, or well again."""
        self._standing[route] = self._standing[route]._replace(poor=poor)
        self._settle(route)

    def hold(self, route: str, held: bool) -> None:
        """A person closes it for a while, or opens it again."""
        self._standing[route] = self._standing[route]._replace(held=held)
        self._settle(route)

    def _settle(self, route: str) -> None:
        """Moments of the clock may be 0.0, which a standing has for none; and the urgent wait for no bind."""
        since = self._down.get(route)
        standing = self._standing[route]
        down = 0.0 if since is None else since or -1e-9
        standing = self._standing[route] = standing._replace(down_since=down)
        if since is None and route in self._suspect:
            since = self._seconds()
        if since is not None:
            standing = standing._replace(down_since=since - self._network.table.patience.urgent - 1e-6)
        self._at_once[route] = standing

    @property
    def alone(self) -> bool:
        """Whether there is one route only, so that nothing can go elsewhere."""
        return len(self._network.routes) == 1

    @property
    def routes(self) -> tuple[str, ...]:
        """The configured routes."""
        return self._network.routes

    def is_open(self, route: str) -> bool:
        """Whether it is configured and takes parts now."""
        return route in self._standing and route not in self._down

    def any_open_but(self, route: str) -> bool:
        """Whether there is another route that takes parts now."""
        return any(other != route and self.is_open(other) for other in self._network.routes)

    def is_lost(self, route: str, urgent: bool) -> bool:
        """Whether what waits there must leave it: it has had no bind for too long, or its binds take codes and answer
        nothing."""
        if urgent and route in self._suspect:
            return True
        since, patience = self._down.get(route), self._network.table.patience
        return since is not None and self._seconds() - since > (patience.urgent if urgent else patience.others)

    # ---- choosing --------------------------------------------------------------------------------------------------

    def first(self, asked: Submission) -> str:
        """Where a new message goes; empty when no route may have it."""
        if self._only:
            return self._only
        choices = self._plan(asked.traffic, asked.sender, asked.client, asked.tags, asked.to.e164, asked.text)
        return choices[0].route if choices else ""

    def rerouted(self, out: Outgoing, outcome: Outcome) -> Outcome:
        """The outcome with where else the message may go, as far as that is asked; and what it teaches is learnt."""
        match outcome:
            case Elsewhere():
                self._learn(out, outcome)
                return replace(outcome, routes=self._others(out))
            case Deferred(reason) if throttles(reason) and out.traffic in URGENT:
                routes = self._open_others(out)
                return Elsewhere(reason, "throttled", routes) if routes else outcome
            case Uncertain() if repeats_elsewhere(out.traffic, out.parts):
                return replace(outcome, routes=self._open_others(out))
            case Accepted() | Deferred() | Rejected() | Uncertain() | NotWritten():
                return outcome
            case _:
                assert_never(outcome)

    def for_stranded(self, one: Stranded, route: str) -> tuple[str, ...]:
        """Which routes can take now what waits on one that cannot serve it, best first."""
        choices = self._plan(one.traffic, one.sender, one.mark.client, one.tags, one.to, one.text)
        return self._able(choices, route)

    def _learn(self, out: Outgoing, outcome: Elsewhere) -> None:
        if outcome.why == "foreign_network":
            self._foreign.learn(out.to, out.route, self._seconds())
        elif outcome.why == "quota" and out.route in self._standing:
            until = self._seconds() + QUOTA_HOLD
            self._standing[out.route] = self._standing[out.route]._replace(quota_until=until)
            self._settle(out.route)

    def _others(self, out: Outgoing) -> tuple[str, ...]:
        choices = self._plan(out.traffic, out.sender, out.client, out.tags, out.to, out.text)
        return tuple(choice.route for choice in choices if choice.route != out.route)

    def _open_others(self, out: Outgoing) -> tuple[str, ...]:
        choices = self._plan(out.traffic, out.sender, out.client, out.tags, out.to, out.text)
        return self._able(choices, out.route)

    def _able(self, choices: Sequence[Choice], but: str) -> tuple[str, ...]:
        """Those that are believed to take it now and have a bind."""
        down: Collection[str] = self._down
        return tuple(
            choice.route for choice in choices if choice.ready and choice.route != but and choice.route not in down
        )

    def _plan(
        self, traffic: TrafficClass, sender: str, client: str, tags: tuple[str, ...], to: str, text: Secret
    ) -> tuple[Choice, ...]:  # fmt: skip
        return self.explain(traffic, sender, client, tags, to, text, self._wall()).choices

    def explain(
        self, traffic: TrafficClass, sender: str, client: str, tags: tuple[str, ...], to: str, text: Secret, at: float
    ) -> Decision:  # fmt: skip
        """The whole decision, as things stand now, for a message that leaves at a moment of the week (seconds since
        1970)."""
        table, _routes, week = self._network
        now = self._seconds()
        minute, day = week.at(at)
        foreign = self._foreign.of(to, now)
        country = self._country_of(to) if table.asks_country else ""
        wanted = Wanted(traffic, sender, client, tags, to, country, "", minute, foreign, text, day)
        return decide(table, wanted, self._at_once if traffic in URGENT else self._standing, now)
