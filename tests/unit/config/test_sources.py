"""[sources.NAME]: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgate.config import Change, ConfigError, When, differences, read, taken_up
from mgate.config.sources import NUMBER_FORMS, OURS, CoreSource, mistakes_of
from mgate.intake.normal import FORM_BY_WORD, USUAL

ACCOUNT = """
[sms.op-a]
host = "127.0.0.1"
port = 2775
system_id = "examplebank"
password_file = "keys/op-a.password"
plain_tcp = "the line to the operator is an IPsec tunnel"
"""
LEAST = """
[sources.core]
hosts = ["db1.bank.example:5432", "[fd00::5]:5432"]
database = "core"
user = "mgate"
tls = "core"
time_zone = "Asia/Tashkent"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mgate.toml"
    path.write_text(text + ACCOUNT)
    return path


def source(folder: Path, more: str = "") -> CoreSource:
    sources = read(written(folder, TLS + LEAST + more)).sources
    assert len(sources) == 1
    return sources[0]


TLS = """
[tls.core]
authority = "tls/authority.pem"
certificate = "tls/mgate.pem"
key_file = "tls/mgate.key"
"""


def told(folder: Path, more: str, start: str = LEAST) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(written(folder, TLS + start + more))
    return [str(mistake) for mistake in caught.value.mistakes]


def test_a_source_needs_little(tmp_path: Path) -> None:
    found = source(tmp_path)
    assert (found.name, found.mode, found.outbox, found.results) == ("core", "table", "mgate.outbox", "mgate.results")
    assert found.mapped == OURS
    assert (found.poll, found.lease, found.batch, found.statement_limit) == (1.0, 60.0, 500, 2.0)


def test_columns_are_renamed_and_left_out_by_field(tmp_path: Path) -> None:
    found = source(tmp_path, 'columns = ["to=PHONE NO", "meta=", "key=op_id"]')
    assert (found.mapped["to"], found.mapped["key"], found.mapped["text"]) == ("PHONE NO", "op_id", "body")
    assert "meta" not in found.mapped


def test_calls_have_names_and_limits_of_their_own(tmp_path: Path) -> None:
    found = source(tmp_path, '[sources.core.calls.balance]\nsql = "SELECT %(account)s"\nlimit = "5s"\n')
    (call,) = found.calls
    assert (call.name, call.sql, call.limit, call.at_once) == ("balance", "SELECT %(account)s", 5.0, 1)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('columns = ["phone=x"]', "[sources.core] columns: "),
        ('columns = ["to=a", "to=b"]', "[sources.core] columns: "),
        ('columns = ["to="]', "columns: to: a column is needed for it in mode table"),
        ('columns = ["created="]\nmode = "view"', "columns: created: a column is needed for it in mode view"),
        ('outbox = "outbox"', "[sources.core] outbox: "),
        ("outbox = 'a\"b.c'", "[sources.core] outbox: "),
        ('outbox = ""', "outbox: is empty: where are the rows?"),
        ('mode = "procedures"\nget_batch = ""', "get_batch: is empty, and rows are to be taken by procedures"),
        ('notify = "a; DROP"', "[sources.core] notify: "),
        ('default_class = "otp"\nclasses = ["fraud"]', 'default_class: "otp" is not among its classes'),
        ('default_sender = "B"\nsenders = ["A"]', 'default_sender: "B" is not among its senders'),
        ('statement_limit = "10s"', "[sources.core] statement_limit: "),
        ('numbers = ["guess"]', "[sources.core] numbers: "),
        ('[sources.core.calls.balance]\nlimit = "5s"\n', "[sources.core.calls.balance] sql: is missing"),
        ("[push.clients.core]\n", "[sources.core]: is a client's name already, of [push.clients.core]"),
    ],
)
def test_what_cannot_be_is_refused_where_it_stands(tmp_path: Path, more: str, said: str) -> None:
    (only,) = told(tmp_path, more)
    assert said in only


def test_every_mistake_of_a_source_is_told_at_once(tmp_path: Path) -> None:
    assert len(told(tmp_path, "", "[sources.core]\nhost = 1\n")) == 6


def test_a_source_without_a_certificate_to_show_is_a_mistake(tmp_path: Path) -> None:
    (wrong,) = mistakes_of([source(tmp_path)], {}, ["other"])
    assert wrong == ("sources.core", "tls", "there is no [tls.core] with a certificate to show; those are: other")


def test_a_time_zone_must_be_said_and_known(tmp_path: Path) -> None:
    assert "time_zone: is missing" in told(tmp_path, "", LEAST.replace("time_zone", "#"))[0]
    assert "time_zone: " in told(tmp_path, "", LEAST.replace("Tashkent", "Nowhere"))[0]


def test_a_source_comes_goes_and_changes_without_a_restart(tmp_path: Path) -> None:
    without = read(written(tmp_path, TLS))
    first = read(written(tmp_path, TLS + LEAST))
    slower = read(written(tmp_path, TLS + LEAST + 'poll = "5s"\n'))
    assert [change.when for change in differences(without, first)] == [When.AT_ONCE]
    assert differences(first, slower) == [Change("sources.core", "poll", "1s", "5s", When.AT_ONCE)]
    assert taken_up(without, first).sources == first.sources
    assert taken_up(first, slower).sources == slower.sources
    assert taken_up(slower, without).sources == ()


def test_the_words_of_numbers_are_those_that_the_normaliser_knows() -> None:
    assert list(NUMBER_FORMS) == list(FORM_BY_WORD)
    assert {FORM_BY_WORD[word] for word in NUMBER_FORMS[:-1]} == USUAL


def test_a_source_has_a_rate_that_a_running_daemon_takes_up(tmp_path: Path) -> None:
    running = read(written(tmp_path, TLS + LEAST))
    assert running.sources[0].rate == 0
    wanted = read(written(tmp_path, TLS + LEAST + "rate = 50"))
    assert differences(running, wanted) == [Change("sources.core", "rate", 0, 50, When.AT_ONCE)]
    assert taken_up(running, wanted) == wanted
    with pytest.raises(ConfigError, match=r"rows a second, 0 for no limit"):
        read(written(tmp_path, TLS + LEAST + "rate = -1"))
