"""What befalls a bank's database, and what its source says and does then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import wraps
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import msgspec
import psycopg
import pytest
from twisted.internet.defer import Deferred

from mgate.intake.line import Line
from mgate.intake.sources.postgresql import PostgreSQL
from mgate.intake.sources.postgresql.errors import source_error
from mgate.intake.sources.postgresql.gate import IdentityGate
from mgate.model.source import SourceError
from mgate.net.tls import Copies, Identity
from tests.conformance.source import BEGAN, row, rows
from tests.integration.instance import until
from tests.integration.outbox import REACTOR, Databases, OutboxBank
from tests.integration.postgres import ROLE, Cluster
from tests.pki import Authority, put

FILES = ("2-outbox.sql", "3-results.sql")
Test = Callable[[OutboxBank], Coroutine[object, object, None]]


def in_a_task(test: Test) -> Callable[[OutboxBank], Deferred[None]]:
    @wraps(test)
    def run(bank: OutboxBank) -> Deferred[None]:
        return bank.run(test(bank))

    return run


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    cluster = Cluster()
    try:
        yield Databases(cluster.make())
    finally:
        cluster.remove()


@pytest.fixture
def bank(databases: Databases) -> Iterator[OutboxBank]:
    bank = OutboxBank(databases.cluster, databases.empty(*FILES))
    yield bank
    bank.end()


async def refused(verb: Coroutine[object, object, object]) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await verb
    assert caught.value.todo
    return caught.value


# ---- the line ----------------------------------------------------------------------------------------------------


@in_a_task
async def test_a_server_that_hangs_is_given_up_within_its_limit_and_taken_again(bank: OutboxBank) -> None:
    bank.put(*rows(3))
    assert await bank.keys(1) == ["1"]
    bank.cluster.freeze()
    try:
        began = time.monotonic()
        error = await refused(bank.claim())
        assert time.monotonic() - began < 5
    finally:
        bank.cluster.thaw()
    assert error.reason == "unreachable"
    assert "no answer within 3 s" in str(error)
    await bank.ack("taken", "1")
    # The server may have read the claim before it hung, and gone on with it afterwards: then there is the lease.
    bank.lapse()
    assert await bank.keys() == ["2", "3"]


@in_a_task
async def test_a_server_that_hangs_holds_up_no_new_connection_for_long(bank: OutboxBank) -> None:
    bank.cluster.freeze()
    try:
        began = time.monotonic()
        error = await refused(bank.claim())
        assert time.monotonic() - began < 8
    finally:
        bank.cluster.thaw()
    assert error.reason == "unreachable"


@in_a_task
async def test_a_killed_server_is_taken_again_when_it_is_back(bank: OutboxBank) -> None:
    bank.put(*rows(3))
    assert await bank.keys(2) == ["1", "2"]
    await bank.ack("taken", "1")
    bank.cluster.kill()
    for _ in range(2):
        assert (await refused(bank.ack("taken", "2"))).reason == "unreachable"
    bank.cluster.start()
    await bank.ack("taken", "2")
    bank.lapse()
    assert await bank.keys() == ["3"]


@in_a_task
async def test_a_connection_that_an_admin_ends_is_made_anew(bank: OutboxBank) -> None:
    bank.put(row(1))
    await bank.source.lag()
    bank.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mgate'")
    assert (await refused(bank.claim())).reason == "unreachable"
    assert await bank.keys() == ["1"]


@in_a_task
async def test_a_task_that_is_cancelled_leaves_the_source_fit(bank: OutboxBank) -> None:
    bank.put(*rows(2))
    assert await bank.keys(1) == ["1"]
    bank.cluster.freeze()
    try:
        claiming = asyncio.ensure_future(bank.claim())
        await asyncio.sleep(0.1)
        claiming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claiming
    finally:
        bank.cluster.thaw()
    bank.lapse()
    assert await bank.keys() == ["1", "2"]


@in_a_task
async def test_no_transaction_of_ours_stays_open(bank: OutboxBank) -> None:
    bank.put(*rows(5))
    await bank.keys(3)
    await bank.ack("taken", "1", "2")
    await bank.source.lag()
    await bank.source.survey()
    assert bank.sql("SELECT DISTINCT state FROM pg_stat_activity WHERE usename = 'mgate'") == "idle"
    assert bank.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'mgate'") == "1"


@in_a_task
async def test_what_the_server_cannot_do_in_its_time_is_given_up_by_the_server(bank: OutboxBank) -> None:
    bank.put(row(1))
    await bank.source.lag()
    name = bank.answering("SELECT pg_sleep(30)")
    began = time.monotonic()
    error = await refused(bank.source.call(name, {}, 1.0))
    assert time.monotonic() - began < 3
    assert (error.reason, "57014" in str(error)) == ("busy", True)
    assert await bank.keys() == ["1"]


@in_a_task
async def test_two_mgates_never_claim_the_same_row(bank: OutboxBank) -> None:
    bank.put(*rows(400))
    other = bank.open("mgate-2")
    lines = Line(bank.source), Line(other)
    try:
        found = await asyncio.gather(*(line.claim(20) for _ in range(10) for line in lines))
        found += [await bank.source.claim(500)]
    finally:
        await other.close()
    keys = [each.key for batch in found for each in batch]
    assert sorted(keys, key=int) == [str(key) for key in range(1, 401)]


@in_a_task
async def test_what_another_mgate_has_claimed_is_not_given_back_by_us(bank: OutboxBank) -> None:
    bank.put(row(1))
    other = bank.open("mgate-2")
    try:
        await bank.keys()
        bank.lapse()
        assert [each.key for each in await other.claim(10)] == ["1"]
        await bank.ack("returned", "1")
        assert await bank.keys() == []
    finally:
        await other.close()


# ---- what the bank does to its tables ------------------------------------------------------------------------------


@in_a_task
async def test_a_locked_outbox_is_left_alone_after_a_second(bank: OutboxBank) -> None:
    bank.put(row(1))
    await bank.source.lag()
    with bank.holding("LOCK TABLE mgate.outbox"):
        began = time.monotonic()
        error = await refused(bank.claim())
        assert time.monotonic() - began < 2.5
    assert error.reason == "busy"
    assert "55P03" in str(error)
    assert await bank.keys() == ["1"]


@in_a_task
async def test_a_column_that_goes_is_named_and_one_that_comes_back_is_found(bank: OutboxBank) -> None:
    bank.put(row(1))
    await bank.source.lag()
    bank.sql("ALTER TABLE mgate.outbox RENAME body TO message_text")
    try:
        for _ in range(2):
            error = await refused(bank.claim())
            assert error.reason == "mismatch"
            assert "body" in str(error)
        (problem,) = await bank.source.survey()
        assert (problem.step, problem.who) == ("mapping", "mgate")
        assert "no column body for text" in problem.problem
    finally:
        bank.sql("ALTER TABLE mgate.outbox RENAME message_text TO body")
    assert await bank.keys() == ["1"]


@in_a_task
async def test_a_key_whose_type_changes_under_us_is_looked_at_anew(bank: OutboxBank) -> None:
    bank.put(*rows(2))
    assert await bank.keys(1) == ["1"]
    bank.sql("ALTER TABLE mgate.outbox ALTER id DROP IDENTITY; ALTER TABLE mgate.outbox ALTER id TYPE text")
    try:
        assert (await refused(bank.ack("taken", "1"))).reason == "mismatch"
        await bank.ack("taken", "1")
        assert await bank.keys() == ["2"]
    finally:
        bank.sql("ALTER TABLE mgate.outbox ALTER id TYPE bigint USING id::bigint")
        bank.sql("ALTER TABLE mgate.outbox ALTER id ADD GENERATED BY DEFAULT AS IDENTITY")


@in_a_task
async def test_rights_that_are_missing_are_told_as_statements_that_mend_them(bank: OutboxBank) -> None:
    bank.put(row(1))
    bank.sql("REVOKE ALL ON mgate.outbox, mgate.results FROM mgate; REVOKE ALL ON SCHEMA mgate FROM mgate")
    assert (await refused(bank.claim())).reason == "refused"
    for _ in range(2):
        problems = [each for each in await bank.source.survey() if each.step == "rights"]
        for problem in problems:
            bank.sql(problem.todo)
    assert list(await bank.source.survey()) == []
    assert await bank.keys() == ["1"]
    await bank.ack("taken", "1")


@in_a_task
async def test_every_problem_is_found_at_once(bank: OutboxBank) -> None:
    bank.put(row(1))
    bank.sql(
        "REVOKE UPDATE ON mgate.results FROM mgate; REVOKE UPDATE (status) ON mgate.outbox FROM mgate;"
        "ALTER TABLE mgate.outbox RENAME sender TO comes_from; ALTER TABLE mgate.results DROP operator;"
        "ALTER TABLE mgate.outbox ALTER expires TYPE text"
    )
    try:
        problems = await bank.source.survey()
    finally:
        bank.sql(
            "GRANT UPDATE ON mgate.results TO mgate; GRANT UPDATE (status) ON mgate.outbox TO mgate;"
            "ALTER TABLE mgate.outbox RENAME comes_from TO sender;"
            "ALTER TABLE mgate.results ADD operator text NOT NULL DEFAULT '';"
            "ALTER TABLE mgate.outbox ALTER expires TYPE timestamptz USING expires::timestamptz"
        )
    said = " | ".join(each.problem + " -> " + each.todo for each in problems)
    for words in (
        'GRANT UPDATE ("status") ON "mgate"."outbox"', 'GRANT UPDATE ON "mgate"."results"', "no column sender",
        "no column operator", "expires for expires is text",
    ):  # fmt: skip
        assert words in said
    assert len(problems) == 5
    assert 'ALTER COLUMN "expires" TYPE timestamptz USING "expires"::timestamptz' in said
    who = {each.who for each in problems if "no column sender" in each.problem}
    assert who == {"mgate"}
    assert not any("source check" in each.todo for each in problems)


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize(
    ("broken", "mended", "said"),
    [
        ("DROP CONSTRAINT results_pkey", "ADD PRIMARY KEY (key, version)", "42P10"),
        ("ALTER reason TYPE varchar(5)", "ALTER reason TYPE text", "reason is character varying(5), and needs 40"),
        ("ALTER sequence TYPE integer", "ALTER sequence TYPE bigint", "22003"),
        ("ADD CHECK (state <> 'undelivered')", "DROP CONSTRAINT results_state_check", "results_state_check"),
    ],
)
def test_results_that_could_not_be_written_are_found_before_there_is_one(
    bank: OutboxBank, waits: bool, broken: str, mended: str, said: str
) -> Deferred[None]:
    async def look() -> None:
        if waits:
            bank.put(row(1))
        bank.sql(f"ALTER TABLE mgate.results {broken}")
        try:
            (problem,) = await bank.source.survey()
        finally:
            bank.sql(f"ALTER TABLE mgate.results {mended}")
        assert (said in problem.problem, problem.who, problem.fatal) == (True, "dba", True)
        assert list(await bank.source.survey()) == []
        assert bank.results() == {}
        assert await bank.keys() == (["1"] if waits else [])

    return bank.run(look())


@in_a_task
async def test_missing_indexes_and_announcements_are_warned_of_and_the_statements_mend_them(bank: OutboxBank) -> None:
    bank.settings = msgspec.structs.replace(bank.settings, notify="mgate_outbox")
    bank.source = bank.open()
    bank.sql("DROP INDEX mgate.outbox_open, mgate.outbox_customer")
    problems = await bank.source.survey()
    assert [(each.who, each.fatal) for each in problems] == [("dba", False)] * 3
    for problem in problems[:2]:
        bank.sql(problem.todo)
    (silent,) = await bank.source.survey()
    assert "no trigger on INSERT announces rows on mgate_outbox" in silent.problem
    bank.cluster.apply("4-notify.sql", database=bank.database)
    try:
        assert list(await bank.source.survey()) == []
    finally:
        bank.sql("DROP FUNCTION mgate.announce CASCADE")


@in_a_task
async def test_the_role_can_do_nothing_but_its_work(bank: OutboxBank) -> None:
    for statement in (
        "DELETE FROM mgate.outbox",
        "UPDATE mgate.outbox SET recipient = ''",
        "INSERT INTO mgate.outbox (recipient, body) VALUES ('', '')",
        "DELETE FROM mgate.results",
        "CREATE TABLE mgate.mine (n int)",
    ):
        name = bank.answering(statement)
        error = await refused(bank.source.call(name, {}, 1.0))
        assert (error.reason, "42501" in str(error)) == ("refused", True)


# ---- who is there --------------------------------------------------------------------------------------------------


@in_a_task
async def test_nobody_there_is_the_network_s_affair(bank: OutboxBank) -> None:
    lost = OutboxBank(bank.cluster, bank.database, hosts=("127.0.0.1:1", "nowhere.invalid:5432"))
    assert (await refused(lost.claim())).reason == "unreachable"
    assert {(each.step, each.who) for each in await lost.source.survey()} == {("network", "network")}


@in_a_task
async def test_a_server_with_another_name_is_refused_before_a_word(bank: OutboxBank) -> None:
    elsewhere = OutboxBank(bank.cluster, bank.database, hosts=(f"127.0.0.2:{bank.cluster.port}",))
    assert (await refused(elsewhere.claim())).reason in {"refused", "unreachable"}
    named = OutboxBank(bank.cluster, bank.database, hosts=(f"ip6-localhost:{bank.cluster.port}",))
    assert await named.source.survey()


@in_a_task
async def test_our_own_files_at_fault_are_our_own_affair_and_named(bank: OutboxBank) -> None:
    tls = msgspec.structs.replace(bank.identity.tls, certificate=Path("/nowhere/mgate.pem"))
    gate = IdentityGate(Identity(tls, REACTOR, time.time, lambda seen: None, bank.copies), REACTOR)
    (problem,) = await PostgreSQL(bank.settings, gate, "mgate-1", time.time).survey()
    assert (problem.step, problem.who) == ("certificate", "mgate")
    assert "/nowhere/mgate.pem" in problem.todo
    assert "source check" not in problem.todo


@in_a_task
async def test_an_authority_that_the_server_does_not_know_is_for_its_ssl_ca_file(bank: OutboxBank) -> None:
    folder = Path(mkdtemp(prefix="x"))
    try:
        files = Authority("Elsewhere").issue(ROLE, names=("dns:mgate.bank.example",), usage=("client",))
        shown = files.write(folder, ROLE)
        tls = msgspec.structs.replace(bank.identity.tls, certificate=shown.certificate, key_file=shown.key)
        gate = IdentityGate(Identity(tls, REACTOR, time.time, lambda seen: None, bank.copies), REACTOR)
        (problem,) = await PostgreSQL(bank.settings, gate, "mgate-1", time.time).survey()
    finally:
        rmtree(folder)
    assert (problem.step, problem.who) == ("certificate", "dba")
    assert "ssl_ca_file" in problem.todo


@in_a_task
async def test_a_connection_between_the_two_files_of_a_renewal_goes_by_the_old_pair(bank: OutboxBank) -> None:
    folder = Path(mkdtemp(prefix="x"))
    try:
        before = bank.identity.tls
        tls = msgspec.structs.replace(before, certificate=folder / "mgate.pem", key_file=folder / "mgate.key")
        for file, old in ((tls.certificate, before.certificate), (tls.key_file, before.key_file)):
            assert file is not None
            assert old is not None
            put(file, old.read_bytes(), 0o400)
        identity = Identity(tls, REACTOR, time.time, lambda seen: None, bank.copies)
        another = bank.cluster.authority.issue(ROLE, names=("dns:mgate.bank.example",), usage=("client",))
        assert tls.certificate is not None
        put(tls.certificate, another.pem())
        source = PostgreSQL(bank.settings, IdentityGate(identity, REACTOR), "mgate-1", time.time)
        assert await source.claim(1) == []
        assert identity.reload() != []
        await source.close()
        again = PostgreSQL(bank.settings, IdentityGate(identity, REACTOR), "mgate-1", time.time)
        assert await again.claim(1) == []
        await again.close()
    finally:
        rmtree(folder)


@in_a_task
async def test_copies_that_cannot_be_written_are_our_own_affair(bank: OutboxBank) -> None:
    folder = Path(mkdtemp(prefix="x"))
    try:
        (folder / "file").write_text("no folder")
        identity = Identity(bank.identity.tls, REACTOR, time.time, lambda seen: None, Copies(folder / "file"))
        gate = IdentityGate(identity, REACTOR)
        (problem,) = await PostgreSQL(bank.settings, gate, "mgate-1", time.time).survey()
    finally:
        rmtree(folder)
    assert (problem.step, problem.who) == ("certificate", "mgate")
    assert "make room" in problem.todo


@pytest.mark.parametrize("way", ["Ident", "Peer", "LDAP", "GSSAPI", "password"])
def test_another_way_in_is_named_as_a_line_of_pg_hba(way: str) -> None:
    error = source_error(psycopg.OperationalError(f'FATAL:  {way} authentication failed for user "mgate"'), "connect")
    assert (error.reason, "pg_hba.conf" in error.todo) == ("refused", True)


@in_a_task
async def test_a_role_or_database_that_is_not_there_is_said(bank: OutboxBank) -> None:
    stranger = OutboxBank(bank.cluster, bank.database, user="stranger")
    error = await refused(stranger.claim())
    assert (error.reason, "pg_hba.conf" in error.todo) == ("refused", True)
    (problem,) = await stranger.source.survey()
    assert (problem.step, problem.who) == ("login", "dba")
    nowhere = OutboxBank(bank.cluster, "nowhere")
    error = await refused(nowhere.claim())
    assert (error.reason, "database" in error.todo) == ("mismatch", True)
    assert [each.who for each in await nowhere.source.survey()] == ["mgate"]


@in_a_task
async def test_the_primary_is_found_behind_a_standby_and_after_a_switch(bank: OutboxBank) -> None:
    bank.put(*rows(3))
    standby = bank.cluster.replica()
    try:
        both = OutboxBank(bank.cluster, bank.database, hosts=(standby.host, bank.cluster.host))
        assert await both.keys(1) == ["1"]
        assert list(await both.source.survey()) == []
        await both.ack("taken", "1")
        taken = "SELECT status FROM mgate.outbox WHERE id = 1"
        until(lambda: standby.psql(taken, bank.database) == "taken", "the standby")
        bank.cluster.stop()
        try:
            standby.promote()
            assert (await refused(both.claim())).reason == "unreachable"
            assert await both.keys() == ["2", "3"]
            await both.source.close()
        finally:
            bank.cluster.start()
    finally:
        standby.remove()


# ---- announcements -------------------------------------------------------------------------------------------------


@in_a_task
async def test_rows_are_announced_where_the_bank_wants_it(bank: OutboxBank) -> None:
    bank.cluster.apply("4-notify.sql", database=bank.database)
    told = OutboxBank(bank.cluster, bank.database, notify="mgate_outbox")
    try:
        await told.source.wait(0.1)  # it listens from here on
        assert await told.source.wait(0.05) is False
        waiting = asyncio.ensure_future(told.source.wait(10))
        await asyncio.sleep(0)
        began = time.monotonic()
        told.put(row(1))
        assert await waiting is True
        assert time.monotonic() - began < 2
        told.cancel("1")
        assert await told.source.wait(5) is True
        bank.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mgate'")
        assert await told.source.wait(0.05) is False  # the line is gone, and rows are polled for
        await told.source.wait(1)
        told.put(row(2))
        assert await told.source.wait(5) is True
    finally:
        await told.source.close()
        bank.sql("DROP TRIGGER outbox_announce ON mgate.outbox; DROP TRIGGER outbox_announce_cancel ON mgate.outbox")


# ---- housekeeping --------------------------------------------------------------------------------------------------


@in_a_task
async def test_housekeeping_deletes_what_has_ended_and_is_old_and_nothing_else(bank: OutboxBank) -> None:
    bank.cluster.apply("7-housekeeping.sql", database=bank.database)
    old = BEGAN - 40 * 86_400
    bank.put(row(1, created=old), row(2, created=old), row(3), row(4, created=old))
    await bank.keys()
    await bank.ack("taken", "1", "2", "3")
    await bank.ack("delivered", "1", "3", sequence=5)
    assert bank.sql("SELECT mgate.housekeeping()") == "1"
    assert bank.sql("SELECT mgate.housekeeping()") == "0"
    assert bank.sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM mgate.outbox") == "2 3 4"
    assert set(bank.results()) == {"2", "3"}
