"""What waits on a route that cannot serve it leaves by another one.

A route that has had no bind for as long as the class has patience is emptied, the most urgent lane first; one that is
configured no more at once, and so are the codes of one that only seems to be there. Rows go in batches with a rest
between them, and each batch is planned anew: when the route is back, what is still there stays. What is tied to its
account stays too, and is looked at again later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mgate.dispatch.lanes import URGENT_LANES
from mgate.dispatch.router import Router
from mgate.dispatch.seam import Spool
from mgate.model.message import TrafficClass
from mgate.model.ready import Mark, Stranded
from mgate.policy.classes import LANES
from mgate.spool.verbs import Move, NotKept, Shift

BATCH: Final = 200
"""Parts that move in one commit: opening and planning them holds the loop for 2 ms, and so does writing them."""

REST: Final = 0.02
"""Seconds between two batches."""

EVERY: Final = 0.25
"""Seconds between two looks at the routes."""

_LATER: Final = 5.0
"""Seconds until a lane is looked at again of which nothing could move."""

_LOOK_FOR_GONE: Final = 10.0
"""Seconds between two looks for rows of routes that are configured no more."""

_AFTER_FAILURE: Final = 1.0

Moved = Callable[[str, str, int], None]
"""Told when a lane has been gone through: from which route, why, and how many parts moved."""


class Mover:
    """Empties routes.

    Args:
        told: of a lane that was gone through and gave up something.
        came: rows of a class came to a route.
        left: what was read ahead of a route is no longer true.
    """

    def __init__(
        self, router: Router, spool: Spool, clock: IReactorTime, told: Moved,
        came: Callable[[str, TrafficClass], None], left: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._router = router
        self._spool = spool
        self._clock = clock
        self._told = told
        self._came = came
        self._left = left
        self._gone: set[str] = set()
        self._looked_for_gone = -_LOOK_FOR_GONE
        self._later: dict[tuple[str, int], float] = {}
        self._passes: deque[tuple[str, int]] = deque()
        self._moved = 0
        self._found = False
        self._busy = False
        self._timer: IDelayedCall | None = None
        self._rest: IDelayedCall | None = None

    def start(self) -> None:
        """Look at the routes from now on."""
        self._timer = self._clock.callLater(EVERY, self._tick)

    def stop(self) -> None:
        """Move nothing more."""
        for call in (self._timer, self._rest):
            if call is not None and call.active():
                call.cancel()
        self._timer = self._rest = None
        self._busy = True  # for good

    def look_for_gone(self) -> None:
        """The configured routes are others now: what waits on one that went moves at once."""
        self._looked_for_gone = self._clock.seconds() - _LOOK_FOR_GONE

    # ---- which lanes ----

    def _tick(self) -> None:
        self._timer = self._clock.callLater(EVERY, self._tick)
        now = self._clock.seconds()
        if now - self._looked_for_gone >= _LOOK_FOR_GONE:
            self._looked_for_gone = now
            self._spool.routes(self._routes_found)
        if not self._busy:
            self._passes.extend(self._due(now))
            self._next_pass()

    def _routes_found(self, routes: Sequence[str]) -> None:
        self._gone = set(routes) - set(self._router.routes)

    def _due(self, now: float) -> list[tuple[str, int]]:
        """The lanes that are to be emptied, the most urgent first."""
        router = self._router
        found: list[tuple[int, str]] = []
        for route in (*router.routes, *sorted(self._gone)):
            if not router.any_open_but(route):
                continue
            found += [(lane, route) for lane in LANES if self._is_dead(route, lane)]
        return [(route, lane) for lane, route in sorted(found) if self._later.get((route, lane), 0.0) <= now]

    def _is_dead(self, route: str, lane: int) -> bool:
        if route not in self._router.routes:
            return True
        return self._router.is_lost(route, urgent=lane in URGENT_LANES)

    def _why(self, route: str) -> str:
        if route not in self._router.routes:
            return "account_gone"
        return "no_answers" if self._router.is_open(route) else "no_bind"

    # ---- one lane, batch by batch ----

    def _next_pass(self) -> None:
        self._busy = bool(self._passes)
        if self._passes:
            self._moved, self._found = 0, False
            self._read(*self._passes.popleft(), Mark())

    def _read(self, route: str, lane: int, after: Mark) -> None:
        self._rest = None
        if not self._is_dead(route, lane):
            self._end_pass(route, lane)
            return
        self._spool.stranded(route, lane, after, BATCH, lambda found: self._plan(route, lane, found))

    def _plan(self, route: str, lane: int, found: Sequence[Stranded]) -> None:
        if not found or self._timer is None:
            self._end_pass(route, lane)
            return
        self._found = True
        planned = [(one, self._router.for_stranded(one, route)) for one in found]
        shifts = tuple(Shift(one.mark.part, route, routes) for one, routes in planned if routes)
        on = found[-1].mark
        if not shifts:
            self._go_on(route, lane, on, REST)
            return
        arrivals = {(routes[0], one.traffic) for one, routes in planned if routes}
        self._spool.move(
            Move(shifts, self._why(route)), lambda moved: self._written(route, lane, on, arrivals, moved)
        )  # fmt: skip

    def _written(
        self, route: str, lane: int, on: Mark, arrivals: set[tuple[str, TrafficClass]], moved: int | NotKept
    ) -> None:  # fmt: skip
        if isinstance(moved, NotKept):
            self._go_on(route, lane, on, _AFTER_FAILURE)
            return
        if moved:
            self._moved += moved
            for to, traffic in arrivals:
                self._came(to, traffic)
        self._go_on(route, lane, on, REST)

    def _go_on(self, route: str, lane: int, after: Mark, rest: float) -> None:
        if self._timer is not None:
            self._rest = self._clock.callLater(rest, self._read, route, lane, after)

    def _end_pass(self, route: str, lane: int) -> None:
        if self._timer is None:
            return
        if self._moved:
            self._left(route)
            self._told(route, self._why(route), self._moved)
        elif self._found:
            self._later[route, lane] = self._clock.seconds() + _LATER
        self._next_pass()
