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
    assert '"PHONE" text NOT NULL' in sql
    assert "sms_text text NOT NULL" in sql
    assert 'GRANT UPDATE (status, leased_until, claimed_by) ON core."MESSAGES" TO "MGATE";' in sql
    assert "recipient" not in sql
    assert "    meta" not in sql
    assert "CREATE TABLE core.answers (" in sql


def test_ours_and_the_shipped_statements_have_the_same_columns() -> None:
    shipped = (DDL / "2-outbox.sql").read_text()
    made = ddl(CORE)
    assert set(OURS.values()) <= set(re.findall(r"^    (\w+) ", shipped, re.MULTILINE))
    assert set(OURS.values()) <= set(re.findall(r"^    (\w+) ", made, re.MULTILINE))
    results = (DDL / "3-results.sql").read_text()
    columns = re.findall(r"^    ([a-z_]+) +(\w+)", results[results.index("CREATE TABLE") :], re.MULTILINE)
    for name, kind in columns:
        assert re.search(rf"^    {name} {kind}", made, re.MULTILINE), name
    statuses = re.search(r"CHECK \(status IN \((.*)\)\)", shipped)
    assert statuses is not None
    assert statuses[1] in made


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mode": "procedures"}, "GRANT EXECUTE ON FUNCTION mgate.get_batch(integer, interval, text) TO mgate;"),
        ({"mode": "view", "outbox": "mgate.messages"}, "GRANT SELECT ON mgate.messages TO mgate;"),
        ({"notify": "mgate_outbox"}, "PERFORM pg_notify('mgate_outbox', '')"),
        ({"claim_query": "SELECT * FROM own(%(most)s)"}, "--   SELECT * FROM own(%(most)s)"),
        ({"calls": (SourceCall(name="balance", sql="SELECT b(%(a)s)", at_once=3),)}, "CONNECTION LIMIT 8;"),
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
