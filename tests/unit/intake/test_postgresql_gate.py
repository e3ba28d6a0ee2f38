"""The handshake that goes before libpq's: when there is one, and when not."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ConnectionRefusedError as Refused

from mgate.intake.sources.postgresql.gate import IdentityGate
from mgate.model.source import SourceError
from tests.unit.intake.virtual import play


class Identity:
    """Counts the handshakes."""

    def __init__(self) -> None:
        self.readings = 1
        self.hands: list[tuple[str, int]] = []
        self.away = False

    async def probe(self, reactor: object, host: str, port: int, prelude: object) -> None:
        if self.away:
            raise Refused
        self.hands.append((host, port))


class Bench:
    def __init__(self) -> None:
        self.identity = Identity()
        self.now = 0.0
        ours: Any = self.identity
        self.gate = IdentityGate(ours, object(), lambda: self.now)

    async def probe(self, recent: float, host: str = "db1") -> int:
        """How many handshakes that made."""
        before = len(self.identity.hands)
        await self.gate.probe(host, 5432, recent)
        return len(self.identity.hands) - before


def test_who_does_not_want_what_was_found_before_shakes_hands_each_time() -> None:
    async def act() -> None:
        bench = Bench()
        assert [await bench.probe(0.0) for _ in range(3)] == [1, 1, 1]

    play(act())


def test_a_server_that_was_right_a_moment_ago_is_not_asked_again() -> None:
    async def act() -> None:
        bench = Bench()
        assert await bench.probe(0.0) == 1
        bench.now = 59.0
        assert await bench.probe(60.0) == 0
        # It is the handshake that counts, not that it was asked for.
        bench.now = 61.0
        assert await bench.probe(60.0) == 1

    play(act())


def test_another_server_and_other_files_of_ours_are_looked_at() -> None:
    async def act() -> None:
        bench = Bench()
        assert await bench.probe(60.0) == 1
        assert await bench.probe(60.0, "db2") == 1
        bench.identity.readings += 1
        assert await bench.probe(60.0) == 1

    play(act())


def test_after_a_failure_nothing_is_remembered() -> None:
    async def act() -> None:
        bench = Bench()
        await bench.probe(0.0)
        bench.identity.away = True
        with pytest.raises(SourceError):
            await bench.probe(0.0)
        bench.identity.away = False
        assert await bench.probe(60.0) == 1

    play(act())
