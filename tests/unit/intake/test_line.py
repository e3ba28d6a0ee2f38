"""The line to a source, against drivers that hang, break off, and swallow their cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from mgate.intake.line import CLAIM_LIMIT, SLACK, Line
from mgate.model.source import Result, Row, SourceError
from tests.conformance.memory_source import MemorySource
from tests.unit.intake.virtual import play


class BadDriver(MemorySource):
    """Does in ``claim`` what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.hang = 0.0
        self.deaf = 0.0
        self.error: Exception | None = None
        self.claims = 0

    async def claim(self, most: int) -> Sequence[Row]:
        self.claims += 1
        if self.error is not None:
            raise self.error
        try:
            await asyncio.sleep(self.hang)
        except asyncio.CancelledError:
            await asyncio.sleep(self.deaf)
            raise
        return await super().claim(most)


def reason(error: pytest.ExceptionInfo[SourceError]) -> str:
    return error.value.reason


def test_a_verb_that_hangs_is_given_up_after_its_limit() -> None:
    async def act() -> None:
        driver = BadDriver()
        driver.hang = 3600.0
        with pytest.raises(SourceError) as error:
            await Line(driver).claim(1)
        assert reason(error) == "busy"
        assert asyncio.get_running_loop().time() == CLAIM_LIMIT

    play(act())


def test_a_driver_that_is_deaf_to_its_cancellation_is_left_and_nothing_overlaps_it() -> None:
    async def act() -> None:
        driver = BadDriver()
        driver.hang, driver.deaf = 3600.0, 60.0
        line, loop = Line(driver), asyncio.get_running_loop()
        with pytest.raises(SourceError):
            await line.claim(1)
        assert loop.time() == CLAIM_LIMIT + SLACK
        with pytest.raises(SourceError) as error:
            await line.ack([Result(key="1", version="", sequence=0, state="taken")])
        assert reason(error) == "busy"
        await asyncio.sleep(60.0)
        driver.hang = 0.0
        assert await line.claim(1) == []

    play(act())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SourceError("refused", "no", "ask"), "refused"),
        (ConnectionResetError("gone"), "unreachable"),
        (KeyError("Code 482913"), "mismatch"),
        (asyncio.CancelledError(), "unreachable"),
    ],
)
def test_whatever_a_driver_raises_is_a_source_error_without_the_rows_words(error: Exception, told: str) -> None:
    async def act() -> None:
        driver = BadDriver()
        driver.error = error
        with pytest.raises(SourceError) as raised:
            await Line(driver).claim(1)
        assert reason(raised) == told
        assert "482913" not in str(raised.value)

    play(act())


def test_verbs_take_turns_and_waiting_does_not() -> None:
    async def act() -> None:
        driver = BadDriver()
        driver.hang = 5.0
        line, loop = Line(driver), asyncio.get_running_loop()
        waiting = asyncio.ensure_future(line.wait(1.0))
        await asyncio.gather(line.claim(1), line.claim(1), line.ack([]))
        assert loop.time() == 10.0
        assert await waiting is False

    play(act())


def test_a_verb_that_is_cancelled_leaves_the_line_free() -> None:
    async def act() -> None:
        driver = BadDriver()
        driver.hang = 5.0
        line = Line(driver)
        first, second = (asyncio.ensure_future(line.claim(1)) for _ in range(2))
        await asyncio.sleep(1.0)
        first.cancel()
        second.cancel()
        await asyncio.wait({first, second})
        driver.hang = 0.0
        await asyncio.sleep(0)
        assert await line.claim(1) == []
        assert driver.claims == 2

    play(act())
