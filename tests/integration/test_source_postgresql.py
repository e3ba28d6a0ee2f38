"""PostgreSQL keeps the claims of a source, by each of its ways to take rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.source import Bank, SourceClaims
from tests.integration.outbox import Databases, OutboxBank, ViewBank
from tests.integration.postgres import Cluster


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    cluster = Cluster()
    try:
        yield Databases(cluster.make())
    finally:
        cluster.remove()


class ProcedureBank(OutboxBank):
    """Procedures offer no more than they must."""

    rewinds = False
    counts = False


class TestTable(SourceClaims):
    @pytest.fixture
    def bank(self, databases: Databases) -> Iterator[Bank]:
        bank = OutboxBank(databases.cluster, databases.empty("2-outbox.sql", "3-results.sql"))
        yield bank
        bank.end()


class TestProcedures(SourceClaims):
    @pytest.fixture
    def bank(self, databases: Databases) -> Iterator[Bank]:
        database = databases.empty("2-outbox.sql", "3-results.sql", "5-procedures.sql")
        bank = ProcedureBank(databases.cluster, database, mode="procedures")
        yield bank
        bank.end()


class TestView(SourceClaims):
    @pytest.fixture
    def bank(self, databases: Databases) -> Iterator[Bank]:
        database = databases.empty("2-outbox.sql", "3-results.sql", "6-view.sql")
        bank = ViewBank(databases.cluster, database, mode="view", outbox="mgate.messages")
        yield bank
        bank.end()
