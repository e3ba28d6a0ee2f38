"""The bridge: what a task ends with, and that none outlives the house."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as LateError

from mgate.net.bridge import Bridge

REACTOR = cast("AsyncioSelectorReactor", reactor)


@pytest.fixture
def bridge() -> Bridge:
    return Bridge(REACTOR)


async def forever(said: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        said.append("let go")


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_a_task_s_result_is_its_deferred_s(bridge: Bridge) -> None:
    async def add() -> int:
        async with asyncio.timeout(5):  # asyncio's own timeouts work, because it is a task
            await asyncio.sleep(0)
        return 3

    assert await bridge.run(add()) == 3
    assert bridge.running == 0


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_a_task_s_error_is_its_deferred_s(bridge: Bridge) -> None:
    async def fails() -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        await bridge.run(fails())


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_a_cancelled_task_ends_with_the_error_that_twisted_knows(bridge: Bridge) -> None:
    async def gives_up() -> None:
        raise asyncio.CancelledError

    with pytest.raises(CancelledError):
        await bridge.run(gives_up())


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_a_timeout_of_twisted_ends_the_task(bridge: Bridge) -> None:
    said: list[str] = []
    with pytest.raises(LateError):
        await bridge.run(forever(said)).addTimeout(0.01, REACTOR)
    assert await bridge.stop() == 0
    assert said == ["let go"]


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_stopping_ends_every_task_and_waits_for_its_last_words(bridge: Bridge) -> None:
    said: list[str] = []
    ends = [bridge.run(forever(said)) for _ in range(3)]
    await bridge.run(asyncio.sleep(0))
    assert await bridge.stop() == 0
    assert said == ["let go"] * 3
    assert bridge.running == 0
    for end in ends:
        with pytest.raises(CancelledError):
            await end


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_a_task_that_will_not_end_is_counted_and_not_waited_for(bridge: Bridge) -> None:
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    end = bridge.run(stubborn())
    await bridge.run(asyncio.sleep(0))
    assert await bridge.stop(0.01) == 1
    release.set()
    await end


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_nothing_is_run_after_the_stop(bridge: Bridge) -> None:
    await bridge.stop()
    said: list[str] = []
    with pytest.raises(CancelledError):
        await bridge.run(forever(said))
    assert not said


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_a_task_waits_for_a_deferred(bridge: Bridge) -> None:
    fired: Deferred[int] = Deferred()

    async def waits() -> int:
        return await bridge.wait(fired) + 1

    answer = bridge.run(waits())
    fired.callback(4)
    assert await answer == 5


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_a_task_that_is_cancelled_cancels_the_deferred_it_waits_for(bridge: Bridge) -> None:
    said: list[str] = []
    never: Deferred[int] = Deferred(lambda _: said.append("cancelled"))

    async def waits() -> None:
        await bridge.wait(never)

    answer = bridge.run(waits())
    await bridge.run(asyncio.sleep(0))
    answer.cancel()
    with pytest.raises(CancelledError):
        await answer
    await bridge.stop()
    assert said == ["cancelled"]


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_the_end_of_a_branch_is_told_when_its_tasks_have_let_go_and_no_others_are_touched(bridge: Bridge) -> None:
    said: list[str] = []
    branch = bridge.branch()
    ended = branch.run(forever(said)).addErrback(lambda failure: failure.trap(CancelledError) and None)
    other = bridge.run(forever([])).addErrback(lambda failure: failure.trap(CancelledError) and None)
    await bridge.run(asyncio.sleep(0))
    assert (branch.running, bridge.running) == (1, 2)
    assert await branch.stop() == 0
    await ended
    assert (said, branch.running, bridge.running) == (["let go"], 0, 1)
    assert await bridge.stop() == 0
    await other


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_with_the_bridge_its_branches_end(bridge: Bridge) -> None:
    said: list[str] = []
    branch = bridge.branch()
    ended = branch.run(forever(said)).addErrback(lambda failure: failure.trap(CancelledError) and None)
    await bridge.run(asyncio.sleep(0))
    assert await bridge.stop() == 0
    await ended
    assert said == ["let go"]
    with pytest.raises(CancelledError):
        await branch.run(forever([]))
