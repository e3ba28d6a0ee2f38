"""The running write-backs, over databases in memory and a clock that leaps."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec

from mgate.config import CoreSource, read
from mgate.daemon.writebacks import Around, WriteBacks
from mgate.net.bridge import Bridge
from mgate.telemetry import Log, Telemetry
from tests.conformance.memory_source import MemorySource
from tests.unit.daemon.test_sources import CORE, SHIPPED, LoopClock, ended, other
from tests.unit.intake.virtual import play

TOLD = other(CORE, results="mgate.results")


class Slow(MemorySource):
    """Needs a second to let go."""

    async def close(self) -> None:
        await asyncio.sleep(1.0)
        await super().close()


class Office:
    """Write-backs under a configuration. ``begun``: how often one has looked up where it stands."""

    def __init__(self, *sources: CoreSource) -> None:
        clock: Any = LoopClock()
        self.begun = 0
        self.opened: list[Slow] = []
        self.bridge = Bridge(clock)
        feeds: Any = SimpleNamespace(stream=None, bookmarks=self)
        around = Around(self._open, feeds, self.bridge, lambda: 0.0, clock, Telemetry("0", {}, ()), Log(lambda _: None))
        self.config = msgspec.structs.replace(read(SHIPPED), sources=sources)
        self.all = WriteBacks(self.config, around)

    def _open(self, _: CoreSource) -> Slow:
        self.opened.append(Slow())
        return self.opened[-1]

    def look_up(self, client: str, answer: object) -> None:
        self.begun += 1

    def apply(self, *sources: CoreSource) -> None:
        self.all.apply(msgspec.structs.replace(self.config, sources=sources))

    async def stop(self) -> None:
        await ended(self.all.stop())
        await ended(self.bridge.stop())


def test_reloads_in_quick_succession_never_have_two_write_backs_of_one_source() -> None:
    async def act() -> None:
        office = Office(TOLD)
        office.all.start()
        assert office.begun == 1
        for host in ("db2", "db3"):
            office.apply(other(TOLD, hosts=(f"{host}.bank.example:5432",)))
        while not all(source.closed for source in office.opened[:-1]):
            assert office.begun == 1
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert office.begun == 2
        assert not office.opened[-1].closed
        await office.stop()
        assert all(source.closed for source in office.opened)

    play(act())


def test_a_source_that_has_not_changed_keeps_its_write_back() -> None:
    async def act() -> None:
        office = Office(TOLD)
        office.all.start()
        office.apply(TOLD)
        await asyncio.sleep(2.0)
        assert (office.begun, len(office.opened)) == (1, 1)
        await office.stop()

    play(act())
