"""The dispatcher: every route's way out, behind the two sockets that acceptance and the channels plug into."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from mgate.dispatch.mover import Moved, Mover
from mgate.dispatch.router import Network, Router
from mgate.dispatch.seam import Spool
from mgate.dispatch.slots import Slots
from mgate.dispatch.way import Way
from mgate.model.entry import Submission
from mgate.model.message import Outgoing, TrafficClass
from mgate.model.outcome import Accepted, Outcome
from mgate.model.ports import Admission, Channel, Outcomes, Slot
from mgate.model.ready import Header


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """What the dispatcher must know of one route.

    Attributes:
        name: such as ``sms:op-a``.
        windows: of each configured bind.
        rate: PDUs a second over all its binds; 0 for no limit.
        channel: builds the channel, given where its outcomes go. So both are made in one direction, without setters;
            the channel must not call before it is started.
    """

    name: str
    windows: tuple[int, ...]
    rate: float
    channel: Callable[[Outcomes], Channel]


class Dispatcher(Admission, Outcomes):
    """Joins acceptance, the spool and the channels. All calls and callbacks are on the reactor's thread."""

    def __init__(
        self, plans: Sequence[RoutePlan], router: Router, spool: Spool, clock: IReactorTime,
        wall: Callable[[], float], moved: Moved = lambda _route, _why, _parts: None,
    ) -> None:  # fmt: skip
        """``wall`` gives seconds since 1970, for the life of messages alone. ``plans``: of the routes that ``router``
        knows, one at least. ``moved``: told when what waited on a route went to others."""
        self._spool = spool
        self._router = router
        self._clock = clock
        self._wall = wall
        self._channels: dict[str, Channel] = {}
        self._ways: dict[str, Way] = {}
        self._held = False
        self._mover = Mover(router, spool, clock, moved, self._came, self._left)
        for plan in plans:
            self.add(plan)

    # ---- other accounts ----

    def add(self, plan: RoutePlan) -> None:
        """One more route; its channel is not started."""
        channel = self._channels[plan.name] = plan.channel(self)
        way = Way(_slots(plan), plan.rate, channel, self._spool, self._clock, self._wall, self._sent_away)
        self._ways[plan.name] = way
        if self._held:
            way.hold()

    def remove(self, route: str) -> None:
        """Forget a route whose binds are gone and whose slots are free; what waits there goes elsewhere or waits on."""
        self._ways.pop(route).end()
        del self._channels[route]

    def apply(self, network: Network) -> None:
        """Go on by another table, or other accounts: those that are new were added before."""
        self._router.apply(network)
        self._mover.look_for_gone()
        for route in self._channels:
            self._look_at(route)

    def start(self) -> None:
        """Look after routes that are down from now on."""
        self._mover.start()

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The channels that the plans built, by route."""
        return self._channels

    @property
    def ways(self) -> Mapping[str, Way]:
        """Slots and counters of each route, for metrics and the operations view."""
        return self._ways

    # ---- Admission ----

    def route_for(self, asked: Submission) -> str:
        """The planned route of a message; empty when none may have it."""
        return self._router.first(asked)

    def offer(self, route: str, traffic: TrafficClass, client: str, parts: int) -> tuple[Slot, ...]:
        """A slot for each part if it may leave in the accepting commit, else none. Ask only for what is due now."""
        return self._ways[route].offer(traffic, parts)

    def settle(self, results: Sequence[tuple[Slot, Outgoing | None]]) -> None:
        """What became of offered slots, after the commit."""
        if len(self._ways) == 1:
            for way in self._ways.values():
                way.settle(results)
            return
        of_route: dict[str, list[tuple[Slot, Outgoing | None]]] = {}
        for result in results:
            of_route.setdefault(result[0].route, []).append(result)
        for route, own in of_route.items():
            self._ways[route].settle(own)

    def waits(
        self, route: str, traffic: TrafficClass, refused: int, headers: Sequence[Header], later: float
    ) -> None:  # fmt: skip
        """What a commit made of messages without slots."""
        if route in self._ways:  # else it went while the commit was under way, and its rows move
            self._ways[route].waits(traffic, refused, headers, later)

    # ---- Outcomes ----

    def ended(self, route: str, results: Sequence[tuple[Outgoing, Outcome]]) -> None:
        """These attempts ended."""
        self._ways[route].ended(self._rerouted(results))

    def late(self, route: str, results: Sequence[tuple[Outgoing, Outcome]]) -> None:
        """Answers after their time-out: written down, and no slot is touched."""
        self._spool.end(self._rerouted(results), lambda _answer: None)

    def binds_changed(self, route: str) -> None:
        """A bind opened, closed, was paused or resumed."""
        if route in self._ways:  # while it is built, and when it is gone, it changes too
            self._look_at(route)
            self._ways[route].soon()

    def _look_at(self, route: str) -> None:
        channel = self._channels[route]
        self._router.stands(route, bool(channel.open_binds()), channel.suspect)

    def _rerouted(self, results: Sequence[tuple[Outgoing, Outcome]]) -> Sequence[tuple[Outgoing, Outcome]]:
        """The same, with where else a message may go that its route sent away or left in doubt."""
        if self._router.alone or all(outcome.__class__ is Accepted for _, outcome in results):
            return results
        rerouted = self._router.rerouted
        return [(outgoing, rerouted(outgoing, outcome)) for outgoing, outcome in results]

    def _sent_away(self, traffic: TrafficClass, routes: Sequence[str]) -> None:
        for route in routes:
            self._came(route, traffic)

    def _came(self, route: str, traffic: TrafficClass) -> None:
        if route in self._ways:
            self._ways[route].told_of_arrival(traffic)

    def _left(self, route: str) -> None:
        if route in self._ways:
            self._ways[route].forget()

    # ---- a disk that cannot take more ----

    def hold(self) -> None:
        """Lease nothing more until ``go_on``; outcomes are written down."""
        self._held = True
        for way in self._ways.values():
            way.hold()

    def go_on(self) -> None:
        """Lease again."""
        self._held = False
        for way in self._ways.values():
            way.go_on()

    # ---- the end of the day ----

    def drain(self, done: Callable[[bool], None], within: float = 10.0) -> None:
        """Lease nothing more and wait until every slot is free.

        ``done(True)`` when all are; ``done(False)`` after ``within`` seconds: then unbind, and what is still out comes
        back as Uncertain or NotWritten.
        """
        answers: list[bool] = []
        ways = list(self._ways.values())
        self._mover.stop()

        def one_done(empty: bool) -> None:
            answers.append(empty)
            if len(answers) == len(ways):
                done(all(answers))

        for way in ways:
            way.drain(one_done, within)


def _slots(plan: RoutePlan) -> Slots:
    """References begin anywhere: those that the last run left in doubt are not lent again at once."""
    return Slots(plan.name, plan.windows, random.randrange(1, 0x10000))  # noqa: S311  # nothing secret
