"""The request form: everything that three teams must do, by the names of the configuration."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from mgate.config import CoreSource
from mgate.config.sources import OURS, SourceCall
from mgate.config.tls import Tls
from mgate.control.cli import main
from mgate.control.ddl.fitted import fitted
from mgate.control.forms import ddl, request_form
from tests.unit.control.conftest import Shell

DDL = Path(__file__).parents[3] / "etc" / "sql" / "postgresql"
CORE = CoreSource(
    name="core",
    hosts=("db1.bank.example:5432", "10.1.2.4:5433"),
    database="core",
    user="mgate",
    tls="bank",
    time_zone="Asia/Tashkent",
)
BANK = Tls(
    name="bank",
    authority=Path("/etc/mgate/tls/authority.pem"),
    certificate=Path("/etc/mgate/tls/core.pem"),
    key_file=Path("/etc/mgate/tls/core.key"),
)


def form(tls: Tls | None = BANK, **changes: object) -> str:
    return request_form(msgspec.structs.replace(CORE, **changes), tls, "mgate1.bank.example")


def test_the_network_team_reads_from_where_to_where() -> None:
    network = form().partition("TO THE DBA")[0]
    assert "mgate1.bank.example" in network
    assert "db1.bank.example, TCP port 5432" in network
    assert "10.1.2.4, TCP port 5433" in network


def test_the_security_team_reads_which_certificates() -> None:
    security = form().partition("TO THE SECURITY TEAM")[2]
    assert "CN=mgate" in security
    assert "DNS:db1.bank.example, IP:10.1.2.4" in security
    assert "/etc/mgate/tls/core.pem" in security
    assert "(crl of the section is not set)" in security
    assert "(certificate of the section is not set)" in form(tls=None)


def test_the_dba_reads_statements_by_the_names_of_the_mapping() -> None:
    sql = ddl(msgspec.structs.replace(
        CORE, outbox="core.MESSAGES", results="core.answers", user="MGATE",
        columns=(("to", "PHONE"), ("text", "sms_text"), ("version", ""), ("meta", ""), ("group", "")),
    ))  # fmt: skip
    assert 'CREATE TABLE core."MESSAGES" (' in sql
    assert re.search('"PHONE" +text NOT NULL', sql)
    assert re.search("sms_text +text NOT NULL", sql)
    assert 'GRANT UPDATE (status, leased_until, claimed_by) ON core."MESSAGES" TO "MGATE";' in sql
    assert "recipient" not in sql
    assert "    meta" not in sql
    assert 'CREATE INDEX "MESSAGES_open" ON core."MESSAGES" (id)' in sql
    assert "CREATE INDEX answers_at ON core.answers (at);" in sql
    assert 'GRANT USAGE ON SCHEMA core TO "MGATE";' in sql
    assert not re.search(r"\bmgate\b", sql)
    assert "CREATE TABLE core.answers (" in sql


def statements(text: str) -> str:
    """SQL without comments and empty lines."""
    return "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("--"))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, "1-role 2-outbox 3-results"),
        ({"notify": "mgate_outbox"}, "1-role 2-outbox 3-results 4-notify"),
        ({"results": ""}, "1-role 2-outbox"),
        ({"mode": "procedures"}, "1-role 2-outbox 3-results 5-procedures"),
        ({"mode": "view", "outbox": "mgate.messages"}, "1-role 2-outbox 3-results 6-view"),
    ],
)
def test_by_our_own_names_the_form_says_what_the_files_say(changes: dict[str, object], names: str) -> None:
    shipped = "\n".join((DDL / f"{name}.sql").read_text() for name in names.split())
    assert statements(ddl(msgspec.structs.replace(CORE, **changes))) == statements(shipped)


def test_the_files_are_where_the_documents_say_and_have_every_column() -> None:
    outbox = fitted(CORE, "2-outbox.sql")
    assert set(OURS.values()) <= set(re.findall(r"^    (\w+) ", outbox, re.MULTILINE))
    assert min(path.name for path in DDL.iterdir()) == "1-role.sql"


def test_a_table_that_orders_its_rows_by_another_column_has_both() -> None:
    sql = ddl(msgspec.structs.replace(CORE, columns=(("key", "ref"), ("order", "seq"), ("cancel", ""))))
    assert "    ref text PRIMARY KEY,\n    seq " in sql
    assert "ON mgate.outbox (seq)\n    WHERE status IN ('new', 'claimed', 'cancelling');" in sql


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"mode": "procedures"},
            "FUNCTION mgate.get_batch(integer, interval, text), mgate.set_state(jsonb, text) TO mgate;",
        ),
        ({"mode": "view", "outbox": "mgate.messages"}, "GRANT SELECT ON mgate.messages TO mgate;"),
        ({"notify": "mgate_outbox"}, "PERFORM pg_notify('mgate_outbox', '')"),
        ({"claim_query": "SELECT * FROM own(%(most)s)"}, "--   SELECT * FROM own(%(most)s)"),
        ({"calls": (SourceCall(name="balance", sql="SELECT b(%(a)s)", at_once=4),)}, "CONNECTION LIMIT 9;"),
    ],
)
def test_every_way_to_take_rows_has_its_statements(changes: dict[str, object], said: str) -> None:
    assert said in request_form(msgspec.structs.replace(CORE, **changes), BANK, "mgate1")


def test_the_form_needs_no_daemon(shell: Shell) -> None:
    assert shell.init().exit_code == 0
    with shell.config.open("a") as file:
        file.write(
            '[tls.bank]\nauthority = "tls/a.pem"\ncertificate = "tls/c.pem"\nkey_file = "tls/c.key"\n'
            '[sources.core]\nhosts = ["db1.bank.example:5432"]\ndatabase = "core"\nuser = "mgate"\ntls = "bank"\n'
            'time_zone = "UTC"\n'
        )
    shown = shell.run("source", "request-form", "core", "--from", "mgate1.bank.example")
    assert shown.exit_code == 0, shown.output
    assert "mgate1.bank.example" in shown.stdout
    assert "tls/c.pem" in shown.stdout
    assert "known: core" in shell.run("source", "request-form", "cards").stderr
    assert isinstance(shell.json("source", "request-form", "core")["form"], str)


def test_there_is_help_for_every_command() -> None:
    shown = CliRunner().invoke(main, ["source", "--help"]).stdout
    for word in ("list", "check", "pause", "resume", "lag", "rewind", "unread", "call", "request-form"):
        assert f"\n  {word} " in shown
