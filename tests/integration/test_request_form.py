"""What the request form asks the DBA to run, run on a fresh server: everything is fit then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from mgate.config.sources import SourceCall
from mgate.control.forms import request_form
from tests.integration.outbox import OutboxBank
from tests.integration.postgres import ROLE, Cluster
from tests.integration.test_source_faults import in_a_task

DATABASE = "asked"
MAPPED = (
    ("key", "REF"), ("order", "SEQ NO"), ("to", "PHONE"), ("text", "sms_text"), ("version", ""), ("meta", ""),
    ("group", ""), ("cancel", ""), ("status", "progress"), ("claimed_by", ""),
)  # fmt: skip


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    built = Cluster()
    try:
        yield built.make()
    finally:
        built.remove()


SETTINGS: tuple[Mapping[str, object], ...] = (
    {},
    {"notify": "mgate_outbox"},
    {"outbox": "bank.SMS OUT", "results": "core.answers", "columns": MAPPED, "notify": "sms_out"},
    {"columns": (("customer", ""), ("created", ""))},
    {"calls": (SourceCall(name="balance", sql="SELECT 1", at_once=8),)},
    {"results": ""},
    {"mode": "procedures", "get_batch": "pkg.get", "set_state": "pkg.put", "columns": (("to", "PHONE"),)},
    {"mode": "view", "columns": (("text", "SMS"), ("customer", ""))},
    {"mode": "view", "outbox": "sms.messages", "results": "sms.results"},
)


@pytest.fixture(params=SETTINGS, ids=str)
def bank(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[OutboxBank]:
    """A database in which the superuser has run what the form asks for, and nothing else."""
    cluster.psql(f"CREATE DATABASE {DATABASE}")
    bank = OutboxBank(cluster, DATABASE, **request.param)
    try:
        bank.sql(asked_of_the_dba(bank))
        yield bank
    finally:
        bank.end()
        cluster.psql(f"DROP DATABASE {DATABASE} WITH (FORCE)")
        cluster.psql(f"DROP ROLE IF EXISTS {ROLE}")


def asked_of_the_dba(bank: OutboxBank) -> str:
    form = request_form(bank.settings, None, "mgate1.bank.example")
    statements = form.partition("8. Please run")[2].partition("\n\n")[2].partition("TO THE SECURITY TEAM")[0]
    return "\n".join(line.removeprefix("     ") for line in statements.splitlines())


@in_a_task
async def test_what_the_form_prints_run_on_a_fresh_server_passes_the_check(bank: OutboxBank) -> None:
    assert [each for each in await bank.source.survey() if each.fatal or "created" in bank.settings.mapped] == []
