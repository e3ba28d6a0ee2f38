"""Tables as banks have them: other names, other types, no column for this or that; statements of the bank's own; and
what is particular to a view."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.conformance.source import BEGAN, Bank, row, rows
from tests.conformance.source import in_a_task as claim_in_a_task
from tests.integration.outbox import Databases, OutboxBank, ViewBank
from tests.integration.postgres import Cluster
from tests.integration.test_source_faults import in_a_task, refused

OLD_TABLE = """
DROP SCHEMA IF EXISTS "Bank" CASCADE; CREATE SCHEMA "Bank"; GRANT USAGE ON SCHEMA "Bank" TO mgate;
CREATE TYPE "Bank".progress AS ENUM ('new', 'claimed', 'taken', 'refused', 'cancelling', 'cancelled');
CREATE TABLE "Bank"."SMS OUT" (
    "OP_ID" varchar(20) PRIMARY KEY, "PHONE" char(20), "MSG" varchar(500), "WRITTEN" timestamp, "TILL" timestamp,
    "CANCEL_YN" char(1) DEFAULT 'N', "PROGRESS" "Bank".progress DEFAULT 'new', "LEASE" timestamp, "SEQ" serial);
CREATE INDEX ON "Bank"."SMS OUT" ("SEQ") WHERE "PROGRESS" IN ('new', 'claimed', 'cancelling')
    OR ("PROGRESS" = 'taken' AND coalesce("CANCEL_YN"::text::boolean, false));
GRANT SELECT, UPDATE ON "Bank"."SMS OUT" TO mgate;
INSERT INTO "Bank"."SMS OUT" ("OP_ID", "PHONE", "MSG", "WRITTEN", "TILL") VALUES
    ('A/1', '375291110001', 'Code 482913', '2026-11-22 12:00:00', NULL),
    ('A/2', '375291110002', 'Code 482914', '2026-11-22 12:00:01', '2026-11-22 13:00:00.5');
"""
OLD_COLUMNS = (
    ("key", "OP_ID"), ("to", "PHONE"), ("text", "MSG"), ("created", "WRITTEN"), ("expires", "TILL"),
    ("cancel", "CANCEL_YN"), ("status", "PROGRESS"), ("lease", "LEASE"), ("order", "SEQ"), ("version", ""),
    ("traffic", ""), ("sender", ""), ("not_before", ""), ("customer", ""), ("group", ""), ("meta", ""),
    ("claimed_by", ""),
)  # fmt: skip


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    cluster = Cluster()
    try:
        yield Databases(cluster.make())
    finally:
        cluster.remove()


@pytest.fixture
def bank(databases: Databases) -> Iterator[OutboxBank]:
    bank = OutboxBank(databases.cluster, databases.empty("2-outbox.sql", "3-results.sql"))
    yield bank
    bank.end()


# ---- other names and types -----------------------------------------------------------------------------------------


def sql(bank: Bank, statement: str) -> str:
    assert isinstance(bank, OutboxBank)
    return bank.sql(statement)


class TestOldTable:
    @pytest.fixture
    def bank(self, databases: Databases) -> Iterator[Bank]:
        database = databases.empty("2-outbox.sql", "3-results.sql")
        databases.cluster.psql(OLD_TABLE, database)
        bank = OutboxBank(
            databases.cluster, database, outbox="Bank.SMS OUT", columns=OLD_COLUMNS, time_zone="Asia/Tashkent"
        )  # fmt: skip
        yield bank
        bank.end()

    def progress(self, bank: Bank) -> str:
        return sql(bank, """SELECT string_agg("PROGRESS"::text, ' ' ORDER BY "SEQ") FROM "Bank"."SMS OUT" """)

    @claim_in_a_task
    async def test_it_is_read_by_its_own_names_types_and_time_zone(self, bank: Bank) -> None:
        first, second = await bank.claim()
        assert (first.key, first.to, first.text.reveal(), first.cancel) == ("A/1", "375291110001", "Code 482913", False)
        assert first.created == 1795330800.0  # noon in Tashkent is seven in UTC
        assert (first.expires, second.expires) == (0.0, 1795330800.0 + 3600.5)
        await bank.ack("taken", "A/1")
        await bank.ack("refused", "A/2", reason="landline")
        assert self.progress(bank) == "taken refused"
        sql(bank, """UPDATE "Bank"."SMS OUT" SET "CANCEL_YN" = 'Y'""")
        assert [(each.key, each.cancel) for each in await bank.claim()] == [("A/1", True)]
        await bank.ack("taken", "A/1")
        assert self.progress(bank) == "cancelled refused"
        assert await bank.source.rewind(first.created, dry_run=False) == (1, 1)
        assert await bank.keys() == ["A/1"]
        assert [each.key for each in await bank.source.written(first.created, first.created + 9, "", 9)] == [
            "A/1",
            "A/2",
        ]

    @claim_in_a_task
    async def test_times_without_a_zone_are_warned_of_and_nothing_else_is_wrong(self, bank: Bank) -> None:
        problems = await bank.source.survey()
        assert {(each.step, each.fatal) for each in problems} == {("mapping", False)}
        assert all("it is read in Asia/Tashkent" in each.problem for each in problems)


@in_a_task
async def test_without_a_result_table_the_outbox_alone_is_told(bank: OutboxBank) -> None:
    alone = OutboxBank(bank.cluster, bank.database, results="")
    try:
        bank.put(*rows(2))
        assert await alone.keys() == ["1", "2"]
        await alone.ack("taken", "1")
        await alone.ack("delivered", "1", sequence=4)
        alone.lapse()
        assert await alone.keys() == ["2"]
        assert bank.results() == {}
    finally:
        await alone.source.close()


@in_a_task
async def test_statements_of_the_bank_s_own_take_the_place_of_ours(bank: OutboxBank) -> None:
    bank.sql(
        "DROP TABLE IF EXISTS queue; CREATE TABLE queue (n int, phone text, words text, at timestamptz, mark text);"
        "GRANT ALL ON queue TO mgate; INSERT INTO queue VALUES (1, '+375291110001', 'Code 482913', now(), ''),"
        " (2, '+375291110002', 'Code 482914', now(), '');"
        "DROP TABLE IF EXISTS said; CREATE TABLE said (n int, state text, seq bigint); GRANT ALL ON said TO mgate"
    )
    theirs = OutboxBank(
        bank.cluster, bank.database,
        claim_query="UPDATE queue SET mark = %(holder)s WHERE n IN (SELECT n FROM queue WHERE mark = '' ORDER BY n"
        " LIMIT %(most)s FOR UPDATE SKIP LOCKED) RETURNING n AS key, phone AS \"to\", words AS text, at AS created",
        mark_query="UPDATE queue SET mark = %(state)s WHERE n = %(key)s::int",
        result_query="INSERT INTO said VALUES (%(key)s::int, %(state)s, %(sequence)s)",
    )  # fmt: skip
    try:
        found = await theirs.claim()
        assert [(each.key, each.text.reveal()) for each in found] == [("1", "Code 482913"), ("2", "Code 482914")]
        assert abs(found[0].created - time.time()) < 60
        await theirs.ack("taken", "1", "2")
        await theirs.ack("delivered", "2", sequence=9)
        assert theirs.sql("SELECT string_agg(mark, ' ' ORDER BY n) FROM queue") == "taken taken"
        assert theirs.sql("SELECT string_agg(n || state || seq, ' ' ORDER BY seq, n) FROM said") == (
            "1taken0 2taken0 2delivered9"
        )
    finally:
        await theirs.source.close()


@in_a_task
async def test_a_statement_that_answers_with_too_little_is_told_as_a_mismatch(bank: OutboxBank) -> None:
    theirs = OutboxBank(bank.cluster, bank.database, claim_query="SELECT 1 AS key, %(most)s AS n")
    error = await refused(theirs.claim())
    assert (error.reason, "columns named key, to and text" in error.todo) == ("mismatch", True)
    await theirs.source.close()


@in_a_task
async def test_a_row_that_is_written_anew_is_another_message(bank: OutboxBank) -> None:
    bank.put(row(1, version="1"))
    await bank.keys()
    bank.sql("UPDATE mgate.outbox SET version = '2', status = 'new', leased_until = NULL")
    await bank.ack("taken", "1", version="1")  # what the old one is told does not touch the new one
    (again,) = await bank.claim()
    assert (again.key, again.version) == ("1", "2")
    await bank.ack("taken", "1", version="2")
    bank.lapse()
    assert await bank.keys() == []
    assert bank.sql("SELECT count(*) FROM mgate.results") == "2"


# ---- views ---------------------------------------------------------------------------------------------------------


class TestView:
    @pytest.fixture
    def bank(self, databases: Databases) -> Iterator[Bank]:
        database = databases.empty("2-outbox.sql", "3-results.sql", "6-view.sql")
        bank = ViewBank(databases.cluster, database, mode="view", outbox="mgate.messages")
        yield bank
        bank.end()

    @claim_in_a_task
    async def test_a_row_that_is_committed_late_is_found(self, bank: Bank) -> None:
        assert isinstance(bank, ViewBank)
        with bank.holding(
            "INSERT INTO mgate.outbox (id, recipient, body, created)"
            f" VALUES (5, '+375291110001', 'Code 482913', to_timestamp({BEGAN + 5}))"
        ):
            bank.put(row(1), row(9))
            assert await bank.keys() == ["1", "9"]
            await bank.ack("taken", "1", "9")
            assert await bank.keys() == []
        bank.moved += 40
        assert await bank.keys() == ["5"]
        await bank.ack("taken", "5")
        bank.moved += 40
        assert await bank.keys() == []

    @claim_in_a_task
    async def test_a_sweep_over_much_that_was_taken_is_never_in_the_way_of_a_new_row(self, bank: Bank) -> None:
        assert isinstance(bank, ViewBank)
        bank.put(*rows(30))
        assert len(await bank.keys()) == 30
        await bank.ack("taken", *map(str, range(1, 31)))
        bank.sql("DELETE FROM mgate.results WHERE key = '27'")  # as if it had not been there when the cursor passed
        bank.moved += 40
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mgate.intake.sources.postgresql.view.PAGE", 4)
            bank.put(row(31))
            claims = [await bank.keys(2) for _ in range(9)]
        assert claims[0] == ["31"]
        assert [key for keys in claims for key in keys] == ["31", "27"]
        assert claims.index(["27"]) == 6

    @claim_in_a_task
    async def test_a_source_that_stood_still_goes_on_where_it_had_come(self, bank: Bank) -> None:
        assert isinstance(bank, ViewBank)
        day = 86_400
        bank.put(row(1, created=BEGAN - 2 * day), row(2, created=BEGAN - 2 * day + 1), row(3, created=BEGAN - day))
        assert await bank.keys() == []  # what was written before the first start is not for us
        await bank.source.rewind(BEGAN - 3 * day, dry_run=False)
        assert await bank.keys(2) == ["1", "2"]
        await bank.ack("taken", "1")
        bank.source = bank.open()  # it stood still for two days, and had come as far as the first
        assert await bank.keys() == ["2", "3"]

    @claim_in_a_task
    async def test_without_a_result_table_its_memory_keeps_rows_apart(self, bank: Bank) -> None:
        assert isinstance(bank, ViewBank)
        alone = ViewBank(bank.cluster, bank.database, mode="view", outbox="mgate.messages", results="")
        try:
            alone.put(*rows(4))
            assert await alone.keys(3) == ["1", "2", "3"]
            await alone.ack("taken", "1", "3")
            await alone.ack("refused", "2")
            for _ in range(3):
                alone.moved += 40
                found = await alone.keys()
                assert found in (["4"], [])
                await alone.ack("taken", *found)
            alone.cancel("3")
            assert [(each.key, each.cancel) for each in await alone.claim()] == [("3", True)]
            await alone.ack("taken", "3")
            assert await alone.keys() == []
            assert bank.results() == {}
        finally:
            await alone.source.close()

    @claim_in_a_task
    async def test_nothing_can_be_changed_and_nothing_read_beside_the_view(self, bank: Bank) -> None:
        assert isinstance(bank, ViewBank)
        bank.put(row(1))
        for statement in ("SELECT * FROM mgate.outbox", "UPDATE mgate.messages SET body = ''"):
            name = bank.answering(statement)
            assert (await refused(bank.source.call(name, {}, 1.0))).reason == "refused"
        assert await bank.keys() == ["1"]
