"""mgatectl operator: profiles checked, shown in words, and the form that asks an operator for what mgate needs."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from mgate.config.operator_kinds import read_form
from mgate.config.operators import ERROR_WORDS, GENERIC, Profile, Registered
from mgate.config.tls import Tls
from mgate.config.tree import Sms
from mgate.control import talk
from mgate.control.operator_forms import operator_form
from mgate.control.operator_views import OperatorRow, OperatorsView
from mgate.control.operator_words import in_words
from tests.unit.control.conftest import Shell

DAY = dt.date(2026, 11, 22)
SHIPPED = Path(__file__).parents[3] / "etc" / "operators"


def profile(**sections: dict[str, object]) -> Profile:
    changed = {name: msgspec.structs.replace(getattr(GENERIC, name), **keys) for name, keys in sections.items()}
    return msgspec.structs.replace(GENERIC, **changed)


def words(told: Profile) -> str:
    return "\n".join(sentence for _, sentence in in_words(told, DAY))


# ---- check ---------------------------------------------------------------------------------------------------------


def test_a_profile_is_checked_without_a_configuration_and_all_its_mistakes_are_told(shell: Shell) -> None:
    wrong = shell.run("operator", "check", shell.write("op.toml", "[text]\nalphabt = 1\n[numbers]\nname_ton = 9\n"))
    assert wrong.exit_code == 1
    assert "op.toml: [text] alphabt: is not a setting; did you mean alphabet?" in wrong.stderr
    assert "op.toml: [numbers] name_ton: 9 is not allowed" in wrong.stderr


def test_a_profile_that_can_be_used_says_whether_it_was_tried_live(shell: Shell) -> None:
    right = shell.run("operator", "check", str(SHIPPED / "generic.toml"))
    assert (right.exit_code, right.stderr) == (0, "generic: can be used; not tried live\n")
    tried = shell.run("operator", "check", shell.write("op.toml", '[operator]\ntried_live = "2026-11-20, by us"\n'))
    assert tried.stderr == "op: can be used\n"


def test_a_file_that_is_not_there_is_named(shell: Shell) -> None:
    assert "none.toml: cannot be read" in shell.run("operator", "check", "none.toml").stderr


def test_programs_get_an_object(shell: Shell) -> None:
    file = shell.write("op.toml", '[[senders]]\nsender = "ExampleBank"\nuntil = "2020-01-31"\n')
    assert shell.json("operator", "check", file) == {"profile": "op", "ending": ["ExampleBank"]}
    assert "the registration of ExampleBank (otp," in shell.run("operator", "check", file).stderr


# ---- show ----------------------------------------------------------------------------------------------------------


def test_a_profile_is_told_in_words() -> None:
    told = words(
        profile(
            operator={"title": "Example Operator", "sources": ("its page of 2026",)},
            connection={"hosts": ("smsc.example:2775",), "session_cap": 2, "rate": 30},
            numbers={"to_prefix": "+", "to_shortest": 10},
            text={"alphabet": "latin1", "concatenation": "sar", "inbound": ((0, "utf8"),)},
            submit={"validity": "absolute", "validity_zone": "+05:00", "reference": False, "registered_delivery": 17},
            receipts={"dialect": "own", "forms": (read_form("{id:hex 8}"),), "ids": "same", "unflagged": True,
                      "states": (("00", "delivered"),)},
        )
    )  # fmt: skip
    for sentence in (
        "generic: Example Operator", "Not tried live.", "From: its page of 2026",
        "Hosts without TLS, the first preferred: smsc.example:2775.", "1 bind (transceiver), of which one account may",
        "At most 30 PDUs a second.", 'Destinations: as 1/1 with "+" before it, 10 to 20 characters.',
        "Texts go out in Latin-1 (data_coding 0)", "Parts are tied by the sar TLVs.", "data_coding 0 is read as UTF-8",
        "is absolute (+05:00), at most 30d", "Submits bear no user_message_reference", "registered_delivery is 17.",
        "  {id:hex 8}", "A receipt has the id of its response.", "A message without any mark", "00 is delivered.",
    ):  # fmt: skip
        assert sentence in told, sentence


@pytest.mark.parametrize("word", ERROR_WORDS)
def test_every_meaning_of_a_status_has_its_words(word: str) -> None:
    told = words(msgspec.structs.replace(GENERIC, errors=((0x45, word), (0x400, word)), unlisted_error=word))
    assert "ESME_RSUBMITFAIL " in told
    assert "0x0400 " in told


def test_registered_senders_are_told_with_their_days() -> None:
    entries = (
        Registered(sender="ExampleBank", classes=("otp",), texts=("Code *",), until=dt.date(2026, 12, 1)),
        Registered(sender="ExampleShop", classes=("marketing",)),
    )
    told = words(msgspec.structs.replace(GENERIC, senders=entries))
    assert "ExampleBank: otp, 1 approved text, until 2026-12-01 (9 days left)." in told
    assert "ExampleShop: marketing, any text, without an end." in told


def test_show_tells_what_the_daemon_found_out(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shell.init().exit_code == 0
    row = OperatorRow("op-a", "generic", "learnt", "hex then decimal", 20, 3)
    monkeypatch.setattr(talk.Daemon, "get", lambda _self, _path, _kind, **_query: OperatorsView((row,)))
    shown = shell.run("operator", "show", "op-a")
    assert shown.exit_code == 0
    assert "Learnt: ids pair as hex then decimal (by 20 matches)." in shown.stdout
    assert "3 receipts since the start could not be read" in shown.stdout
    found_out = shell.json("operator", "show", "op-a")["found_out"]
    assert isinstance(found_out, dict)
    assert found_out["pairing"] == "hex then decimal"


def test_show_works_without_a_daemon_and_says_so(shell: Shell) -> None:
    assert shell.init().exit_code == 0
    shown = shell.run("operator", "show", "op-a")
    assert shown.exit_code == 0
    assert "mgated is not running" in shown.stderr
    assert "learnt from matches" in shown.stdout


def test_a_registration_that_ends_soon_fails_show_and_is_named(shell: Shell) -> None:
    assert shell.init().exit_code == 0
    soon = dt.datetime.now().astimezone().date() + dt.timedelta(20)
    (shell.folder / "i" / "op.toml").write_text(f'[[senders]]\nsender = "ExampleBank"\nuntil = "{soon}"\n')
    shell.config.write_text(shell.config.read_text().replace("[sms.op-a]", '[sms.op-a]\nprofile = "op.toml"'))
    shown = shell.run("operator", "show", "op-a")
    assert shown.exit_code == 1
    assert f"ends on {soon}" in shown.stderr


def test_an_account_that_is_not_there_is_named_with_those_that_are(shell: Shell) -> None:
    assert shell.init().exit_code == 0
    asked = shell.run("operator", "show", "op-z")
    assert asked.exit_code == 2
    assert "known: op-a" in asked.stderr


def test_a_password_longer_than_the_operator_takes_is_told_by_config_check_and_never_shown(shell: Shell) -> None:
    assert shell.init().exit_code == 0
    (shell.folder / "i" / "op.toml").write_text("[connection]\nlongest_password = 6\n")
    shell.config.write_text(shell.config.read_text().replace("[sms.op-a]", '[sms.op-a]\nprofile = "op.toml"'))
    checked = shell.run("config", "check")
    assert checked.exit_code == 1
    assert "[sms.op-a] password_file: its password has 7 characters; the profile op allows 6" in checked.output
    assert "secret1" not in checked.output


# ---- request-form --------------------------------------------------------------------------------------------------


def account(**settings: object) -> Sms:
    given = {
        "name": "op-a", "host": "smsc.example", "port": 2775, "system_id": "examplebank", "plain_tcp": "a tunnel",
        "password_file": Path("keys/op-a"), **settings,
    }  # fmt: skip
    return Sms(**given)  # type: ignore[arg-type]  # a test's settings


def test_the_operator_reads_what_to_allow_and_what_to_answer() -> None:
    told = profile(connection={"bind": "pair", "hosts": ("b.example:2776",), "longest_password": 8})
    form = operator_form(account(profile=told, binds=2, window=50, rate=100), None, "mgate1.bank.example")
    for sentence in (
        "mgate1.bank.example (add its public addresses)", "smsc.example:2775, b.example:2776",
        "system_id examplebank", "a password of up to 8 characters", "4 (2 x pair), and 2 more", "50 submits without",
        "100 submit_sm a second", "none on this line (a tunnel)", "smsc.example, TCP port 2775", "not encrypted",
    ):  # fmt: skip
        assert sentence in form, sentence


def test_over_tls_the_operator_reads_which_names_and_certificates() -> None:
    tls = Tls(name="op", authority=Path("tls/op.pem"), certificate=Path("tls/us.pem"), key_file=Path("tls/us.key"))
    form = operator_form(account(tls="op", plain_tcp=""), tls, "mgate1.bank.example")
    assert "DNS:smsc.example" in form
    assert "our client certificate: tls/us.pem" in form
    assert "within TLS 1.2 or later" in form


def test_the_form_is_written_from_the_configuration_alone(shell: Shell) -> None:
    assert shell.init().exit_code == 0
    form = shell.run("operator", "request-form", "op-a", "--from", "mgate1.bank.example").stdout
    assert "TO THE OPERATOR: an SMPP account for op-a" in form
    assert shell.json("operator", "request-form", "op-a", "--from", "mgate1.bank.example")["form"] == form
