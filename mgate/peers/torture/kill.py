"""SIGKILL: at random moments, and at every named point between a socket, the disk and the wire.

Every other round the daemon is told to kill itself at a point (`MGATE_CRASH_AT`), the others die when chance says so.
"""

import asyncio
import signal
import time
from collections.abc import Mapping
from typing import Final

from mgate.peers.house import Running
from mgate.peers.torture.stage import Discipline, Evidence, Stage

AT_START: Final = ("start.before_sweep", "start.after_sweep", "start.before_bind", "start.after_connect")
ONCE: Final = ("keyring.before_copy", "keyring.after_copy")
"""Passed only by the first start of an instance, which makes the keys of its periods."""

ONCE_AT: Final = ("keyring.before_copy:1", "keyring.before_copy:2", "keyring.after_copy:1")
"""In this order: the first dies before any copy, the second between the two, the third when the second is mended."""

AT_WORK: Final = (
    "accept.before_commit", "accept.after_commit", "answer.before_write", "answer.after_write",
    "lease.before_commit", "lease.after_commit", "submit.before_render", "submit.before_write", "submit.after_write",
    "response.before_read", "response.after_read", "end.before_commit", "end.after_commit",
    "receipt.before_commit", "receipt.after_commit", "receipt.before_answer", "receipt.after_answer",
    "wake.before_commit", "wake.after_commit", "history.before_put", "history.after_put",
    "forget.before_commit", "forget.after_commit", "checkpoint.before", "checkpoint.after",
)  # fmt: skip
AT_STOP: Final = ("stop.begun", "stop.drained", "stop.unbound", "stop.closed")
POINTS: Final = (*ONCE, *AT_START, *AT_WORK, *AT_STOP)
RARE: Final = ("lease.", "wake.", "history.", "forget.", "checkpoint.", "start.", "stop.", "keyring.")
"""Points that a short life passes a few times at most."""

_PASSED: Final = 3.0
"""Seconds that a daemon has to pass its point."""


class Kill(Discipline):
    """See the module. ``every``: the shortest and the longest life between two random deaths, seconds."""

    name = "kill"

    def __init__(self, every: tuple[float, float] = (0.02, 1.0), points: tuple[str, ...] = POINTS) -> None:
        self._every = every
        self._points = points
        self._line: list[str] = []
        self._first: list[str] = []

    async def begin(self, stage: Stage) -> None:
        """Nothing runs between two rounds; the points of a new instance come first."""
        self._first = [wish for wish in ONCE_AT if wish.partition(":")[0] in self._points]

    async def round(self, stage: Stage, number: int) -> None:
        """One life, and its end."""
        if self._first:
            await self._at_point(stage, self._first.pop(0))
        elif self._points and number % 2:
            await self._at_point(stage, self._next(stage))
        else:
            await stage.start()
            await stage.spend(stage.random.uniform(*self._every))
            stage.must_live().kill()
            stage.deeds["killed at a random moment"] += 1
        await stage.spend(stage.random.uniform(0.0, 0.05))

    async def finish(self, stage: Stage) -> None:
        """A last start, that nobody ends."""
        await stage.start()

    def judge(self, evidence: Evidence, counts: Mapping[str, int]) -> list[str]:
        """A point that was tried three times and never passed is a mistake of the tool's or the product's."""
        never = [
            deed.removesuffix(" not passed")
            for deed, tries in evidence.deeds.items()
            if deed.endswith(" not passed") and tries >= 3 and not evidence.deeds.get(deed.removesuffix(" not passed"))
        ]
        return [f"void: {point} was tried and never passed" for point in never]

    def _next(self, stage: Stage) -> str:
        if not self._line:
            self._line = [point for point in self._points if point not in ONCE]
            stage.random.shuffle(self._line)
        point = self._line.pop(0)
        most = 1 if point in (*AT_START, *AT_STOP) else 3 if point.startswith(RARE) else 10
        return f"{point}:{stage.random.randint(1, most)}"

    async def _at_point(self, stage: Stage, wish: str) -> None:
        point = wish.partition(":")[0]
        daemon = stage.launch({"MGATE_CRASH_AT": wish})
        began = time.monotonic()
        if await ready_or_dead(stage, daemon):
            stage.restarts.append(time.monotonic() - began)
        if point in AT_STOP and daemon.alive:
            await stage.spend(stage.random.uniform(0.05, 0.3))
            daemon.signal(signal.SIGTERM)
        dead = await stage.until_dead(daemon, 12.0 if point in AT_STOP else _PASSED)
        if not dead:
            daemon.kill()
            stage.deeds[f"{point} not passed"] += 1
        elif daemon.status == -signal.SIGKILL:
            stage.deeds[point] += 1
        elif point in AT_STOP and daemon.status == 0:
            stage.deeds[f"{point} not passed"] += 1
        else:
            raise daemon.fault(f"ended with status {daemon.status} where {wish} was due")


async def ready_or_dead(stage: Stage, daemon: Running) -> bool:
    """Wait until it takes pushes or is dead; whether it does."""
    deadline = time.monotonic() + 20.0
    while daemon.alive:
        if stage.instance.ready():
            return True
        if time.monotonic() > deadline:
            raise daemon.fault("is not ready after 20 s")
        await asyncio.sleep(0.02)
    return False
