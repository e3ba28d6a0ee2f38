"""The operator's side breaks: dropped, reset, half-open, silent, deaf, slow, refused; one bind, or all of them.

A fault is lifted after a while, and what was held back flows on; or it ends as such things do, by a reset; or, one time
in seven, a line that is silent one way or both is left until the daemon itself gives it up, which must not take long.
"""

import time
from collections.abc import Sequence
from typing import Final

from mgate.peers.torture.proxy import Fault, Proxy
from mgate.peers.torture.stage import Course, Discipline, Stage

SETTINGS: Final = 'response_limit = "2s"\nenquire_link = "2s"\nreconnect_min = "1s"\nreconnect_max = "2s"\n'
FOUND: Final = 20.0
"""Seconds in which a dead line must be found: the promise with the settings as delivered; here they are shorter."""

REBOUND: Final = 5.0
"""Seconds after the end of a fault in which every bind must stand again."""

TRICKLES: Final = 2.0
"""Seconds that a slow line may take besides for what it has read."""

_LEFT_ALONE: Final = frozenset((Fault.HALF_OPEN, Fault.SILENT, Fault.DEAF))


class Link(Discipline):
    """See the module.

    Args:
        longest: of a fault that is lifted, seconds.
        faults: to choose from; alone: the share of those that can be left alone which is.
    """

    name = "link"

    def __init__(self, longest: float = 3.0, faults: Sequence[Fault] = tuple(Fault), alone: float = 0.15) -> None:
        self._longest = longest
        self._faults = faults
        self._alone = alone
        self._proxy: Proxy | None = None
        self._slowest = self._latest = 0.0

    def course(self, course: Course) -> Course:
        """Limits of two seconds, so that a thousand faults take less than an hour."""
        return course._replace(settings=SETTINGS, delay=self._longest + TRICKLES)

    async def prepare(self, stage: Stage) -> None:
        """Put the proxy between."""
        self._slowest = self._latest = 0.0
        self._proxy = Proxy(stage.port, stage.random)
        stage.port = await self._proxy.open()

    async def round(self, stage: Stage, number: int) -> None:
        """One fault, from bound to bound."""
        proxy, chance = self._the_proxy, stage.random
        await self._bound(stage)
        await stage.spend(chance.uniform(0.05, 0.6))
        fault = chance.choice(self._faults)
        some = chance.random() < 0.5
        before = proxy.standing
        struck = proxy.strike(fault, lambda pipes: pipes[: 1 if some else len(pipes)])
        stage.deeds[f"{fault.value}, {'one bind' if struck < before else 'all binds'}"] += 1
        if fault in _LEFT_ALONE and chance.random() < self._alone:
            await self._left_alone(stage, struck)
        else:
            await stage.spend(chance.expovariate(1.5) % self._longest)
            if fault in _LEFT_ALONE and chance.random() < 0.5:
                proxy.strike(Fault.RESET)
        proxy.heal()
        stage.must_live()

    async def finish(self, stage: Stage) -> None:
        """The line stands."""
        self._the_proxy.heal()
        await self._bound(stage)

    async def tidy(self, stage: Stage) -> None:
        """Take the proxy away."""
        if self._proxy is not None:
            await self._proxy.close()

    @property
    def _the_proxy(self) -> Proxy:
        if self._proxy is None:
            raise AssertionError("prepare comes first")
        return self._proxy

    async def _bound(self, stage: Stage) -> None:
        """Wait until every bind stands, which must not take long."""
        began = time.monotonic()
        while self._the_proxy.standing < stage.course.binds:
            if time.monotonic() - began > REBOUND * 2:
                stage.besides.append(f"{self._the_proxy.standing} binds stand {REBOUND * 2:g} s after a fault")
                return
            await stage.spend(0.02)
        took = time.monotonic() - began
        if took > self._slowest:
            stage.deeds["slowest rebound, ms"] = round(took * 1000)
            self._slowest = took
        if took > REBOUND:
            stage.besides.append(f"it took {took:.1f} s until every bind stood again, more than {REBOUND:g} s")

    async def _left_alone(self, stage: Stage, struck: int) -> None:
        """Until the daemon gives up what is dead."""
        proxy, began = self._the_proxy, time.monotonic()
        # New connections would be struck too: those that are given up come again whole.
        dead = proxy.struck()
        proxy.spare()
        if not dead:
            return  # every connection was between two lives
        while dead & proxy.struck():
            if time.monotonic() - began > FOUND:
                stage.besides.append(f"a dead line of {struck} was not found within {FOUND:g} s")
                return
            await stage.spend(0.02)
        took = time.monotonic() - began
        if took > self._latest:
            stage.deeds["slowest to find a dead line, ms"] = round(took * 1000)
            self._latest = took
        stage.deeds["left until found"] += 1
