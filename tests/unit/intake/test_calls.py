"""Calls to the core system: by name, within limits, and a breaker that spares it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.intake.calls import FAILURES, LONGEST, SHORTEST, Breaker, CallRefused, CallRules, Calls
from mgate.intake.line import Line
from mgate.model.source import SourceError
from tests.conformance.memory_source import MemorySource
from tests.unit.intake.virtual import play

RULES = {"balance": CallRules(frozenset({"account"}), 2.0, 1)}
DOWN = SourceError("unreachable", "no route", "ask")


class Core(MemorySource):
    """Takes so long for a call."""

    lasts = 0.0

    async def call(self, name: str, arguments: Mapping[str, object], limit: float) -> Sequence[Mapping[str, object]]:
        await asyncio.sleep(self.lasts)
        return await super().call(name, arguments, limit)


def made() -> tuple[Core, Calls]:
    core = Core()
    core.answers["balance"] = [{"amount": "10.00"}]
    return core, Calls(Line(core), RULES, asyncio.get_running_loop().time)


async def refused(calls: Calls, name: str = "balance", **arguments: object) -> str:
    with pytest.raises(CallRefused) as error:
        await calls.call(name, arguments)
    return error.value.reason


async def failed(calls: Calls) -> str:
    with pytest.raises(SourceError) as error:
        await calls.call("balance", {"account": 1})
    return error.value.reason


def test_a_call_that_is_configured_is_made_with_its_parameters() -> None:
    async def act() -> None:
        _, calls = made()
        assert await calls.call("balance", {"account": "17"}) == [{"amount": "10.00"}]
        assert calls.names == ("balance",)

    play(act())


def test_what_is_not_configured_is_never_asked_of_the_database() -> None:
    async def act() -> None:
        core, calls = made()
        assert await refused(calls, "drop_everything") == "unknown_call"
        assert await refused(calls, account=1, extra=2) == "unknown_parameter"
        assert await refused(calls) == "missing_parameter"
        assert not core.calls["call"]
        calls.apply({})
        assert await refused(calls, account=1) == "unknown_call"

    play(act())


def test_no_more_than_its_number_run_at_once() -> None:
    async def act() -> None:
        core, calls = made()
        core.lasts = 1.0
        first = asyncio.ensure_future(calls.call("balance", {"account": 1}))
        await asyncio.sleep(0.5)
        assert await refused(calls, account=2) == "busy"
        assert await first
        core.lasts = 0.0
        assert await calls.call("balance", {"account": 2})

    play(act())


def test_a_call_that_takes_too_long_is_given_up() -> None:
    async def act() -> None:
        core, calls = made()
        core.lasts = 60.0
        assert await failed(calls) == "busy"
        assert asyncio.get_running_loop().time() == 2.0

    play(act())


def test_after_five_failures_it_is_refused_without_asking_and_tried_again_ever_later() -> None:
    async def act() -> None:
        core, calls = made()
        core.fail("call", DOWN, 1000)
        for _ in range(FAILURES):
            assert await failed(calls) == "unreachable"
        waits = [SHORTEST]
        for _ in range(7):
            assert await refused(calls, account=1) == "open"
            await asyncio.sleep(waits[-1] - 0.1)
            assert await refused(calls, account=1) == "open"
            await asyncio.sleep(0.2)
            assert await failed(calls) == "unreachable"
            waits.append(min(waits[-1] * 2, LONGEST))
        assert core.calls["call"] == FAILURES + 7
        core._failing.clear()
        await asyncio.sleep(LONGEST)
        assert await calls.call("balance", {"account": 1})
        core.fail("call", DOWN, 1)
        assert await failed(calls) == "unreachable"
        assert await calls.call("balance", {"account": 1})

    play(act())


def test_while_one_try_is_let_through_no_other_is() -> None:
    async def act() -> None:
        core, calls = made()
        calls.apply({"balance": CallRules(frozenset({"account"}), 5.0, 8)})
        core.fail("call", DOWN, FAILURES)
        for _ in range(FAILURES):
            await failed(calls)
        await asyncio.sleep(SHORTEST)
        core.lasts = 1.0
        trial = asyncio.ensure_future(calls.call("balance", {"account": 1}))
        await asyncio.sleep(0.5)
        assert await refused(calls, account=1) == "open"
        assert await trial

    play(act())


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 400)), max_size=60))
def test_a_breaker_never_waits_longer_than_its_longest(ends: list[tuple[bool, float]]) -> None:
    breaker, now = Breaker(), 0.0
    for well, later in ends:
        now += later
        if breaker.wait(now) == 0.0:
            breaker.begins()
            breaker.ended(well, now)
        assert breaker.wait(now) <= LONGEST
