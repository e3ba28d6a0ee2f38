"""The way in from a bank's database: from INSERT to the operator, with a real PostgreSQL, and its faults.

The tables are made by what ``mgatectl source request-form`` gives the DBA, so that it is tried as well.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from mgate.config import read
from mgate.control.forms import ddl
from tests.integration.instance import House, ask, until
from tests.integration.postgres import Cluster

INSERT = """
INSERT INTO mgate.outbox (recipient, body, traffic, customer)
SELECT '+37529111' || to_char(n %% 10000, 'FM0000'), 'Hello, ' || n, '{traffic}', 'c' || n %% {customers}
FROM generate_series(1, {count}) n;
""".replace("%%", "%")


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    made = Cluster()
    try:
        yield made.make()
    finally:
        made.remove()


class Bank:
    """A database of its own in the cluster, and a house that takes messages from it."""

    def __init__(self, house: House, server: Cluster, number: int) -> None:
        self.house = house
        self.server = server
        self.database = f"core{number}"
        server.psql(f"CREATE DATABASE {self.database}")

    def section(self, more: str = "") -> str:
        files = self.server.client()
        return f"""
[tls.bank]
authority = "{self.server.authority_file}"
certificate = "{files.certificate}"
key_file = "{files.key}"
[sources.core]
hosts = ["127.0.0.1:{self.server.port}"]
database = "{self.database}"
user = "mgate"
tls = "bank"
time_zone = "UTC"
default_class = "service"
default_sender = "ExampleBank"
default_country = "BY"
lease = "10s"
{more}
"""

    def begin(self, more: str = "", **made: Any) -> None:
        self.house.operator.start()
        self.house.make(more=self.section(more), **made)
        self.dba()
        self.house.start()
        self.house.wait_bound()

    def dba(self) -> None:
        """What the DBA does with the form. The role is the whole cluster's, and other tests have made it."""
        lines = ddl(read(self.house.config).sources[0])
        known = self.psql("SELECT count(*) FROM pg_roles WHERE rolname = 'mgate'") == "1"
        self.psql(lines.partition(";")[2] if known else lines)

    def psql(self, sql: str) -> str:
        return self.server.psql(sql, self.database)

    def insert(self, count: int, traffic: str = "", customers: int = 7) -> None:
        self.psql(INSERT.format(count=count, traffic=traffic, customers=customers))

    def statuses(self) -> Counter[str]:
        rows = self.psql("SELECT status, count(*) FROM mgate.outbox GROUP BY status")
        return Counter({word: int(count) for word, count in (row.split("|") for row in rows.splitlines())})

    def control(self, *words: str, status: int = 0) -> dict[str, Any]:
        done = self.house.mgatectl("source", *words, "--json")
        assert done.returncode == status, (done.stdout, done.stderr)
        answer = json.loads(done.stdout or done.stderr)
        assert isinstance(answer, dict)
        return answer

    def sent(self) -> Counter[str]:
        """The texts that the operator took, and how often each."""
        return Counter(str(submitted.text) for submitted in self.house.operator.submits())


_NUMBER = iter(range(1, 1000))


@pytest.fixture
def bank(house: House, server: Cluster) -> Bank:
    return Bank(house, server, next(_NUMBER))


def test_a_row_goes_from_insert_to_the_operator_and_is_marked(bank: Bank) -> None:
    bank.begin()
    bank.insert(1)
    until(lambda: bank.statuses() == {"taken": 1}, "the row is taken")
    until(lambda: len(bank.house.operator.submits()) == 1, "the operator has it")
    assert bank.house.find("1/") == []
    answer = ask(bank.house.admin_socket, "GET", "/v1/messages?ref=1%2F&client=core")
    assert [found["client"] for found in answer.body["messages"]] == ["core"]
    bank.house.stop()


def test_every_kind_of_row_is_answered_and_none_holds_up_another(bank: Bank) -> None:
    bank.begin()
    bank.psql("""
        INSERT INTO mgate.outbox (recipient, body, expires, cancel, meta) VALUES
            ('8029 111-00-01', 'Hello, trunk', NULL, false, NULL),
            ('8017 211-10-01', 'Hello, landline', NULL, false, NULL),
            ('no number', 'Hello, nobody', NULL, false, NULL),
            ('+375291110002', '', NULL, false, NULL),
            ('+375291110003', 'Hello, too late', now() - interval '1 minute', false, NULL),
            ('+375291110004', 'Hello, never mind', NULL, true, NULL),
            ('8017 211-10-01; 8 (029) 111 00 05', 'Hello, second number', NULL, false, '{"a": [1, 2]}')
    """)
    until(lambda: bank.statuses().total() == bank.statuses()["taken"] + bank.statuses()["refused"], "all are marked")
    found = bank.psql("SELECT key, reason FROM mgate.results WHERE state = 'refused' ORDER BY key::int")
    assert found.splitlines() == [
        "2|landline", "3|not_a_number", "4|empty", "5|out_of_range", "6|cancelled",
    ]  # fmt: skip
    until(lambda: len(bank.house.operator.submits()) == 2, "the operator has the good ones")
    unread = bank.control("unread", "core")
    assert unread["counts"] == {"landline": 1, "not_a_number": 1}
    assert [row["shape"] for row in unread["rows"]] == ["xx xxxxxx", "8017 ***-**-01"]
    assert "211" not in json.dumps(unread)
    bank.house.stop()


def test_no_row_is_lost_or_accepted_twice_though_mgated_is_killed_while_it_takes_them(bank: Bank) -> None:
    window = 100
    bank.begin("batch = 100", window=window)
    bank.insert(2000)
    until(lambda: bank.statuses()["taken"] > 100, "some are taken")
    bank.house.daemon.kill()
    assert bank.statuses()["taken"] < 2000, "it was killed too late to show anything"
    bank.house.start()
    until(lambda: bank.statuses() == {"taken": 2000}, "all are taken", 60)
    until(lambda: len(bank.sent()) == 2000, "the operator has them all", 60)
    # What was under way when it died may have been sent, and a class of this kind is then sent again.
    assert bank.sent().total() - 2000 <= window
    bank.house.stop()


def test_the_house_serves_while_the_database_is_away_and_takes_its_rows_when_it_is_back(bank: Bank) -> None:
    bank.house.operator.start()
    bank.house.make(more=bank.section())
    bank.dba()
    bank.insert(10)
    bank.server.stop()
    try:
        bank.house.start()
        bank.house.wait_bound()
        for number in range(20):
            began = time.monotonic()
            name = bank.house.pushed(f"r{number}", "otp")
            bank.house.wait_state(name, "sent", "delivered")
            assert time.monotonic() - began < 2.0
        until(lambda: bank.house.events("source_failed"), "the failure is told")
        assert bank.control("list")["sources"][0]["state"] == "failing"
        problems = bank.control("check", "core", status=1)["problems"]
        assert {problem["who"] for problem in problems if problem["fatal"]} == {"network"}
        assert all(problem["todo"] for problem in problems)
    finally:
        bank.server.start()
    until(lambda: bank.statuses() == {"taken": 10}, "the rows are taken", 60)
    assert len(bank.house.events("source_failed")) == 1
    until(lambda: bank.house.events("source_well"), "it is told that it is well")
    assert bank.control("check", "core")["problems"] == []
    bank.house.stop()


def test_a_person_pauses_looks_rewinds_and_goes_on(bank: Bank) -> None:
    bank.begin('[sources.core.calls.balance]\nsql = "SELECT %(account)s::text AS account, 10.5 AS amount"')
    assert bank.control("pause", "core")["sources"][0]["state"] == "paused"
    bank.insert(5)
    assert bank.control("lag", "core")["waiting"] == 5
    assert bank.control("call", "core", "balance", "account=17")["rows"] == [{"account": "17", "amount": "10.5"}]
    assert bank.control("call", "core", "balance", status=1)["error"] == "missing_parameter"
    bank.control("resume", "core")
    until(lambda: bank.statuses() == {"taken": 5}, "the rows are taken")
    dry = bank.control("rewind", "core", "--since", "1h", "--dry-run")
    done = bank.control("rewind", "core", "--since", "1h", "--yes")
    assert dry["again"] + dry["final"] == done["again"] + done["final"] == 5
    until(lambda: bank.statuses() == {"taken": 5}, "they are taken again")
    until(lambda: len(bank.house.operator.submits()) == 5, "the operator has each once")
    bank.house.stop()


def test_another_source_comes_and_goes_by_a_reload(bank: Bank) -> None:
    bank.house.operator.start()
    bank.house.make(more=bank.section())
    whole = bank.house.config.read_text()
    bank.house.config.write_text(whole.partition("[tls.bank]")[0])
    bank.house.start()
    assert bank.control("list")["sources"] == []
    bank.house.config.write_text(whole)
    bank.dba()
    bank.insert(3)
    assert bank.house.mgatectl("reload").returncode == 0
    until(lambda: bank.statuses() == {"taken": 3}, "the rows are taken")
    bank.house.config.write_text(whole.partition("[tls.bank]")[0])
    assert bank.house.mgatectl("reload").returncode == 0
    assert bank.control("list")["sources"] == []
    bank.house.stop()
