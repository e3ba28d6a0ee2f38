"""The way back into a bank's database: from the operator's word to the result table, with a real PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.integration.instance import House, ask, until
from tests.integration.postgres import Cluster
from tests.integration.test_source import Bank

_NUMBER = iter(range(5001, 6000))
PRICE = 'price = "0.014"\ncurrency = "BYN"\n'


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    made = Cluster()
    try:
        yield made.make()
    finally:
        made.remove()


@pytest.fixture
def bank(house: House, server: Cluster) -> Bank:
    return Bank(house, server, next(_NUMBER))


def states(bank: Bank) -> Counter[str]:
    rows = bank.psql("SELECT state, count(*) FROM mgate.results GROUP BY state")
    return Counter({word: int(count) for word, count in (row.split("|") for row in rows.splitlines())})


def test_what_became_of_a_row_stands_in_the_result_table(bank: Bank) -> None:
    bank.begin(sms=PRICE)
    bank.insert(20)
    until(lambda: states(bank) == {"delivered": 20}, "all results are there")
    told = bank.psql(
        "SELECT DISTINCT may_have_been_sent, channel, operator, parts, cost, currency, reason FROM mgate.results"
    )
    assert told == "t|sms|op-a|1|0.014|BYN|"
    names = bank.psql("SELECT min(message), max(sequence) >= 60 FROM mgate.results").split("|")
    assert bank.house.state(names[0]) == "delivered"
    assert names[1] == "t"
    ages = bank.psql("SELECT bool_and(abs(extract(epoch FROM now() - at)) < 60) FROM mgate.results")
    assert ages == "t"
    bank.house.stop()


def test_a_database_that_was_away_is_told_all_of_it_when_it_is_back(bank: Bank, server: Cluster) -> None:
    bank.begin()
    bank.house.pause()
    bank.insert(300)
    until(lambda: bank.statuses() == {"taken": 300}, "all are taken")
    server.kill()
    try:
        bank.house.resume()
        until(lambda: len(bank.house.operator.acknowledged()) == 300, "all are delivered without the database")
        until(lambda: bank.house.events("writeback_failed"), "the trouble is said")
    finally:
        server.start()
    until(lambda: states(bank) == {"delivered": 300}, "all results are there", 90.0)
    until(lambda: bank.house.events("writeback_well"), "its end is said")
    bank.house.stop()


def test_results_come_once_more_after_a_crash_and_change_nothing(bank: Bank) -> None:
    bank.begin()
    bank.insert(200)
    until(lambda: states(bank)["delivered"] >= 20, "some results are there")
    bank.house.daemon.kill()
    bank.house.start()
    # What was in the window when it died may be uncertain for long: then that is what the bank is told.
    until(lambda: states(bank).keys() <= {"delivered", "uncertain"}, "all results are there", 60.0)
    assert sum(states(bank).values()) == 200
    assert states(bank)["uncertain"] <= 10
    for row in bank.psql("SELECT message, state FROM mgate.results WHERE state <> 'delivered'").splitlines():
        message, state = row.split("|")
        assert bank.house.state(message) == state
    bank.house.stop()


def test_a_result_that_the_table_cannot_hold_is_left_out_and_said(bank: Bank) -> None:
    bank.begin()
    bank.psql("ALTER TABLE mgate.results ADD CONSTRAINT odd CHECK (key <> '7' OR state = 'taken')")
    bank.insert(20)
    until(lambda: states(bank)["delivered"] == 19, "the others are there", 60.0)
    until(lambda: bank.house.events("writeback_refused"), "it is said")
    metrics = ask(bank.house.metrics_socket, "GET", "/metrics").body["text"]
    assert [line for line in metrics.splitlines() if line.startswith("mgate_outward_refused") and "core" in line]
    bank.house.stop()
