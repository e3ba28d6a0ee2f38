"""The dispatcher: every route's way out, behind the two sockets that acceptance and the channels plug into."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from mgate.dispatch.seam import Spool
from mgate.dispatch.slots import Slots
from mgate.dispatch.way import Way
from mgate.model.message import Outgoing, TrafficClass
from mgate.model.outcome import Outcome
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
        self, plans: Sequence[RoutePlan], spool: Spool, clock: IReactorTime, wall: Callable[[], float]
    ) -> None:  # fmt: skip
        """``wall`` gives seconds since 1970, for the life of messages alone. ``plans`` must not be empty."""
        self._spool = spool
        self._only = plans[0].name
        self._channels = {plan.name: plan.channel(self) for plan in plans}
        self._ways = {
            plan.name: Way(_slots(plan), plan.rate, self._channels[plan.name], spool, clock, wall) for plan in plans
        }

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The channels that the plans built, by route."""
        return self._channels

    @property
    def ways(self) -> Mapping[str, Way]:
        """Slots and counters of each route, for metrics and the operations view."""
        return self._ways

    # ---- Admission ----

    def route_for(self, traffic: TrafficClass, sender: str, to: str) -> str:
        """The planned route of a message: there is one account now."""
        return self._only

    def offer(self, route: str, traffic: TrafficClass, client: str, parts: int) -> tuple[Slot, ...]:
        """A slot for each part if it may leave in the accepting commit, else none. Ask only for what is due now."""
        return self._ways[route].offer(traffic, parts)

    def settle(self, results: Sequence[tuple[Slot, Outgoing | None]]) -> None:
        """What became of offered slots, after the commit."""
        for route, way in self._ways.items():
            own = results if len(self._ways) == 1 else [result for result in results if result[0].route == route]
            if own:
                way.settle(own)

    def waits(
        self, route: str, traffic: TrafficClass, refused: int, headers: Sequence[Header], later: float
    ) -> None:  # fmt: skip
        """What a commit made of messages without slots."""
        self._ways[route].waits(traffic, refused, headers, later)

    # ---- Outcomes ----

    def ended(self, route: str, results: Sequence[tuple[Outgoing, Outcome]]) -> None:
        """These attempts ended."""
        self._ways[route].ended(results)

    def late(self, route: str, results: Sequence[tuple[Outgoing, Outcome]]) -> None:
        """Answers after their time-out: written down, and no slot is touched."""
        self._spool.end(results, lambda _answer: None)

    def binds_changed(self, route: str) -> None:
        """A bind opened, closed, was paused or resumed."""
        self._ways[route].soon()

    # ---- a disk that cannot take more ----

    def hold(self) -> None:
        """Lease nothing more until ``go_on``; outcomes are written down."""
        for way in self._ways.values():
            way.hold()

    def go_on(self) -> None:
        """Lease again."""
        for way in self._ways.values():
            way.go_on()

    # ---- the end of the day ----

    def drain(self, done: Callable[[bool], None], within: float = 10.0) -> None:
        """Lease nothing more and wait until every slot is free.

        ``done(True)`` when all are; ``done(False)`` after ``within`` seconds: then unbind, and what is still out comes
        back as Uncertain or NotWritten.
        """
        answers: list[bool] = []

        def one_done(empty: bool) -> None:
            answers.append(empty)
            if len(answers) == len(self._ways):
                done(all(answers))

        for way in self._ways.values():
            way.drain(one_done, within)


def _slots(plan: RoutePlan) -> Slots:
    """References begin anywhere: those that the last run left in doubt are not lent again at once."""
    return Slots(plan.name, plan.windows, random.randrange(1, 0x10000))  # noqa: S311  # nothing secret
