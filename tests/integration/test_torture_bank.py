"""The bank of `tools/torture db` breaks as it is told to, and sees what must not be in its tables."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from mgate.peers.house import HouseError
from mgate.peers.torture.bank import Bank
from mgate.peers.torture.outbox import Row

RESULT = "INSERT INTO mgate.results (key, sequence, state, at) VALUES ('{}', {}, '{}', now())"


def with_bank(act: Callable[[Bank], Awaitable[None]]) -> None:
    async def run() -> None:
        bank = Bank(Random(1))
        try:
            await bank.open()
            await act(bank)
        finally:
            await bank.close()

    # pytest-twisted's reactor runs in this thread.
    with ThreadPoolExecutor(1) as other:
        other.submit(lambda: asyncio.run(run())).result()


def test_rows_come_with_their_results_and_a_result_that_goes_back_is_seen() -> None:
    async def act(bank: Bank) -> None:
        await bank.ask("INSERT INTO mgate.outbox (id, recipient, body) VALUES (1, 'x', 'y'), (2, 'x', 'y')")
        await bank.ask(RESULT.format(1, 5, "delivered"))
        assert await bank.rows() == [Row("1", "new", "delivered"), Row("2", "new")]
        assert await bank.oddities() == []
        await bank.ask("UPDATE mgate.results SET sequence = 4")
        await bank.ask("UPDATE mgate.results SET sequence = 6, state = 'sent'")
        await bank.ask(RESULT.format(9, 1, "taken"))
        assert await bank.oddities() == [
            "2 results went back to an older word",
            "1 results of rows that nobody wrote",
        ]

    with_bank(act)


def test_a_replica_has_all_that_was_committed_and_takes_the_place_of_the_first() -> None:
    async def act(bank: Bank) -> None:
        first = bank.primary
        for key in (1, 2):
            await bank.follow()
            await bank.ask(f"INSERT INTO mgate.outbox (id, recipient, body) VALUES ({key}, 'x', 'y')")
            await bank.promote()
        assert bank.primary is not first
        assert bank.primary.port == first.port
        assert [row.key for row in await bank.rows()] == ["1", "2"]

    with_bank(act)


def test_who_holds_a_lock_keeps_others_out_until_he_ends() -> None:
    async def act(bank: Bank) -> None:
        held = await bank.hold("LOCK TABLE mgate.outbox")
        with pytest.raises(HouseError, match="lock timeout"):
            await bank.ask("SET lock_timeout = '50ms'; SELECT count(*) FROM mgate.outbox")
        held.end()
        await bank.until("SELECT count(*) FROM mgate.outbox", "0")
        with pytest.raises(HouseError, match="psql does not take"):
            await bank.hold("LOCK TABLE mgate.nothing")

    with_bank(act)
