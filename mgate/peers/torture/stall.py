"""SIGSTOP: the daemon, or its operator, stands still for a while and goes on as if nothing had been.

A daemon that wakes finds answers waiting in its sockets and time-outs that have passed: the answers count first.
"""

import signal

from mgate.peers.house import Running
from mgate.peers.torture.stage import Course, Discipline, Stage


class Stall(Discipline):
    """See the module. ``longest``: seconds; one in four is as long as that, the others are short."""

    name = "stall"

    def __init__(self, longest: float = 30.0) -> None:
        self._longest = longest

    def course(self, course: Course) -> Course:
        """Limits that some stalls reach and others do not. What a stall holds up is written or read so much later."""
        limits = 'response_limit = "5s"\nenquire_link = "5s"\nreconnect_max = "2s"\n'
        return course._replace(settings=limits, delay=self._longest)

    async def round(self, stage: Stage, number: int) -> None:
        """One of them stands still."""
        chance = stage.random
        seconds = chance.uniform(1.0, self._longest if chance.random() < 0.25 else min(6.0, self._longest))
        daemon = stage.must_live()
        one, name = (daemon, "daemon") if number % 2 else (stage.smsc, "operator")
        await _still(stage, one, seconds)
        stage.deeds[f"{name} stood still"] += 1
        stage.deeds["seconds stood still"] += round(seconds)
        await stage.spend(chance.uniform(0.2, 1.5))
        stage.must_live()

    async def finish(self, stage: Stage) -> None:
        """Nothing stands still any more."""
        stage.must_live()


async def _still(stage: Stage, one: Running, seconds: float) -> None:
    one.signal(signal.SIGSTOP)
    try:
        await stage.spend(seconds)
    finally:
        one.signal(signal.SIGCONT)
