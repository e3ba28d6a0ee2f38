"""An operator's profile: what is read, what is refused and how it is said, and what a sender may do."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.channels.smpp import pdu
from mgate.config import ConfigError, differences, read
from mgate.config.operator_kinds import FormField, WrongForm, read_form
from mgate.config.operator_reading import SECTIONS, account_settings, read_profile
from mgate.config.operators import GENERIC, Connection, Profile, Registered, fits
from mgate.config.sections import default_of, kinds_of
from mgate.config.statuses import STATUSES, show_status
from mgate.config.tree import Sms
from mgate.model.message import TrafficClass

SHIPPED = Path(__file__).parents[3] / "etc" / "operators"
DAY = dt.date(2026, 11, 22)
ACCOUNT = """
[sms.op-a]
system_id = "examplebank"
password_file = "keys/op-a.password"
plain_tcp = "the line to the operator is an IPsec tunnel"
profile = "operators/op.toml"
"""


def profile(folder: Path, text: str) -> Profile:
    file = folder / "op.toml"
    file.write_text(text)
    return read_profile(file)


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        profile(folder, text)
    return [str(mistake).removeprefix(f"{folder}/") for mistake in caught.value.mistakes]


def instance(folder: Path, text: str, account: str = ACCOUNT) -> Path:
    (folder / "operators").mkdir(exist_ok=True)
    (folder / "operators" / "op.toml").write_text(text)
    (folder / "mgate.toml").write_text(account)
    return folder / "mgate.toml"


# ---- the file ------------------------------------------------------------------------------------------------------


def test_an_empty_file_is_the_generic_profile(tmp_path: Path) -> None:
    assert msgspec.structs.replace(profile(tmp_path, ""), file=None) == GENERIC
    assert (profile(tmp_path, "").name, GENERIC.name) == ("op", "generic")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[conection]\n", "op.toml: [conection]: is not a section; did you mean connection?"),
        ("[text]\nalphabt = 'x'\n", "op.toml: [text] alphabt: is not a setting; did you mean alphabet?"),
        (
            "[text]\nalphabet = 'koi8'\n",
            '[text] alphabet: "koi8" is not allowed; allowed: one of "gsm7", "gsm7_packed"',
        ),
        ("[text.inbound]\n256 = 'gsm7'\n", "[text.inbound] 256: is not allowed; allowed: a data_coding from 0 to 255"),
        ("[text.inbound]\n0 = 'x'\n", '[text.inbound] 0: "x" is not allowed; allowed: one of "gsm7"'),
        ("[numbers]\nname_ton = 8\n", "[numbers] name_ton: 8 is not allowed; allowed: a whole number from 0 to 7"),
        ("[numbers]\nto_shortest = 9\nto_longest = 8\n", "[numbers] to_longest: is below to_shortest, which is 9"),
        ("[submit]\nvalidity_zone = '+05:20'\n", '[submit] validity_zone: "+05:20" is not allowed; allowed: an offset'),
        ("[submit]\nreference = 1\n", "[submit] reference: 1 is not allowed; allowed: true or false"),
        ("[errors]\nESME_RTROTTLED = 'later'\n", "[errors] ESME_RTROTTLED: is not allowed; allowed: a status by its"),
        ("[errors]\n0 = 'later'\n", "[errors] 0: is not allowed"),
        (
            "[errors]\nESME_RTHROTTLED = 'slow'\n",
            '[errors] ESME_RTHROTTLED: "slow" is not allowed; allowed: one of "fi',
        ),
        ("[errors]\nunlisted = 'x'\n", '[errors] unlisted: "x" is not allowed; allowed: one of'),
        ("[receipts]\ndialect = 'own'\n", "[receipts] forms: belong to dialect"),
        ("[receipts]\nforms = ['{id:hex 1-8}']\n", "[receipts] forms: belong to dialect"),
        ("[receipts]\ndialect = 'own'\nforms = ['id']\n", "[receipts] forms: "),
        ("[receipts.states]\nDONE = 'sent'\n", '[receipts.states] DONE: "sent" is not allowed; allowed: one of "deliv'),
        ("[[senders]]\nclasses = ['otp']\n", "[senders.1] sender: is missing; allowed: a sender of 1 to 21"),
        ("[[senders]]\nsender = 'A'\nuntil = '2027-02-30'\n", "[senders.1] until: "),
        ("[senders]\nsender = 'A'\n", "op.toml: [senders]: is not a list: write [[senders]]"),
        ("[connection]\nhosts = ['smsc.example']\n", "[connection] hosts: "),
        ("[connection]\nhosts = ['smsc.example:0']\n", "[connection] hosts: "),
        ("text = 3\n", "op.toml: [text]: is not a section"),
        ("[text\n", "op.toml: is not TOML"),
    ],
)
def test_a_mistake_names_file_and_key_and_what_is_allowed(tmp_path: Path, text: str, said: str) -> None:
    assert said in "\n".join(mistakes(tmp_path, text))


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "[numbers]\nname_ton = 9\n[errors]\nX = 'final'\n[quirks]\nodd = true\n")
    assert len(found) == 3


def test_statuses_are_named_as_the_standard_names_them_or_by_number(tmp_path: Path) -> None:
    told = profile(
        tmp_path, "[errors]\nunlisted = 'final'\nESME_RSUBMITFAIL = 'throttled'\n0x0400 = 'quota'\n1025 = 'later'"
    )
    assert [told.meaning(status) for status in (0x45, 0x58, 0x400, 1025, 0x0B, 0x402)] == [
        "throttled", "throttled", "quota", "later", "final", "final",
    ]  # fmt: skip
    assert [GENERIC.meaning(status) for status in (0x58, 0x14, 0x08, 0x64, 0x45, 0x22, 0x400, 0xFFFFFFFF)] == [
        "throttled", "throttled", "throttled", "later", "final", "later", "later", "later",
    ]  # fmt: skip


def test_every_status_has_the_number_that_the_codec_knows() -> None:
    assert {number: name for name, number in STATUSES.items()} | {0: "ESME_ROK"} == pdu._STATUS_NAMES
    assert [show_status(status) for status in (0x58, 0x400)] == ["ESME_RTHROTTLED", "0x0400"]


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.toml")), ids=lambda file: file.stem)
def test_a_shipped_profile_can_be_read_and_does_not_claim_to_be_tried(file: Path) -> None:
    shipped = read_profile(file)
    assert not shipped.operator.tried_live
    assert shipped.operator.title
    assert shipped.operator.sources or file.stem == "generic"


def test_the_generic_file_shows_every_setting_with_its_default(tmp_path: Path) -> None:
    assert (
        msgspec.structs.replace(read_profile(SHIPPED / "generic.toml"), file=None, operator=GENERIC.operator) == GENERIC
    )
    everything = re.sub(r"^#([\w\"]+ = |\[)", r"\1", (SHIPPED / "generic.toml").read_text(), flags=re.MULTILINE)
    shown = tomllib.loads(everything)
    assert tuple(shown) == SECTIONS
    told = profile(tmp_path, everything)
    for name in ("operator", "connection", "numbers", "text", "submit", "receipts", "quirks"):
        section = getattr(told, name)
        for key, kind in kinds_of(type(section)).items():
            assert key in shown[name], f"[{name}] {key}"
            if key != "title":
                assert kind.show(getattr(section, key), tmp_path) == default_of(type(section), key, kind), key
    assert set(shown["senders"][0]) == set(kinds_of(Registered))


# ---- the account that names it -------------------------------------------------------------------------------------


def test_an_account_takes_from_its_profile_what_it_does_not_say(tmp_path: Path) -> None:
    text = "[connection]\nhosts = ['smsc.example:2776', 'b.example:1']\nwindow = 7\nbinds = 2\nenquire_link = '15s'\n"
    (account,) = read(instance(tmp_path, text, ACCOUNT + "window = 9\n")).sms
    assert (account.host, account.port, account.binds, account.window) == ("smsc.example", 2776, 2, 9)
    assert account.enquire_link == 15.0
    assert account.profile.connection.hosts == ("smsc.example:2776", "b.example:1")


def test_an_account_over_tls_takes_the_hosts_that_speak_it(tmp_path: Path) -> None:
    told = profile(tmp_path, "[connection]\nhosts = ['a.example:1']\ntls_hosts = ['b.example:2']\n")
    assert account_settings(told, over_tls=True)["host"] == "b.example"
    assert account_settings(told, over_tls=False)["host"] == "a.example"


def test_the_generic_profile_says_what_an_account_says_without_one() -> None:
    kinds = kinds_of(Sms)
    assert account_settings(GENERIC, over_tls=False) == {
        key: default_of(Sms, key, kinds[key]) for key in account_settings(GENERIC, over_tls=False)
    }
    assert set(kinds_of(Connection)) >= set(account_settings(GENERIC, over_tls=False))


def test_a_mistake_in_a_profile_is_told_of_its_file_and_not_again_of_the_account(tmp_path: Path) -> None:
    file = instance(tmp_path, "[connection]\nwindow = 0\n")
    with pytest.raises(ConfigError) as caught:
        read(file)
    (mistake,) = caught.value.mistakes
    assert (mistake.file, mistake.section, mistake.key) == (tmp_path / "operators/op.toml", "connection", "window")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("profile = 'operators/none.toml'", "none.toml: cannot be read: No such file or directory"),
        ("profile = 3", "[sms.op-a] profile: 3 is not allowed; allowed: the path of an operator's profile"),
    ],
)
def test_a_profile_that_is_not_there_is_told(tmp_path: Path, line: str, said: str) -> None:
    account = re.sub("profile = .*", line, ACCOUNT) + 'host = "smsc.example"\nport = 2775\n'
    with pytest.raises(ConfigError) as caught:
        read(instance(tmp_path, "", account))
    (mistake,) = caught.value.mistakes
    assert said in str(mistake)


def test_names_longer_than_the_operator_takes_are_refused(tmp_path: Path) -> None:
    text = "[connection]\nhosts = ['a.example:1']\nlongest_system_id = 8\n"
    with pytest.raises(ConfigError, match="system_id: has 11 characters; the profile op allows 8"):
        read(instance(tmp_path, text))


def test_another_content_of_the_same_profile_is_a_difference(tmp_path: Path) -> None:
    text = "[connection]\nhosts = ['a.example:1']\n"
    before = read(instance(tmp_path, text))
    assert differences(before, read(instance(tmp_path, text))) == []
    (change,) = differences(before, read(instance(tmp_path, text + "[text]\nconcatenation = 'udh8'\n")))
    assert (change.section, change.key, change.was) == ("sms.op-a", "profile", "operators/op.toml")


# ---- forms of receipts ---------------------------------------------------------------------------------------------


def test_a_form_is_literals_and_fields() -> None:
    assert read_form("<{{{state:digits 2}{id:hex 1-16}}}>").pieces == (
        "<{", FormField("state", "digits", 2, 2), FormField("id", "hex", 1, 16), "}>",
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["", "id", "{id}", "{id:hex}", "{id:hex 0}", "{id:hex 9-8}", "{id:hex 1-513}", "{id:(a+)+ 1-8}", "{who:hex 1-8}",
     "{id:hex 1-8}{state:word 2}", "{id:hex 8}{id:hex 8}", "{id:hex 8", "}", "{id:hex 8}{state:word 1-2}{state:word 2}",
     "{skip:text 1-9}"],
)  # fmt: skip
def test_what_is_no_form_is_refused(text: str) -> None:
    with pytest.raises(WrongForm):
        read_form(text)


@given(st.text(alphabet="{}id:hexstagword 0123456789-,", max_size=60))
def test_no_text_does_anything_to_the_reading_of_forms_but_a_refusal(text: str) -> None:
    try:
        assert read_form(text).text == text
    except WrongForm:
        pass


# ---- the register of senders ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "text", "fit"),
    [
        ("Code *", "Code 482913", True),
        ("Code *", "code 482913", False),
        ("Code *. Example Bank", "Code 482913. Example Bank", True),
        ("Code *. Example Bank", "Code 482913. Example Bank!", False),
        ("*", "", True),
        ("a*a", "a", False),
        ("a*b*a", "aba", True),
        ("a*bb*a", "abba", True),
        ("a*ab*ba", "abba", False),
        ("Code", "Code", True),
        ("(a+)+$*", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", False),
    ],
)
def test_a_star_stands_for_any_characters_and_nothing_else_is_special(pattern: str, text: str, fit: bool) -> None:
    assert fits(pattern, text) is fit


@given(st.lists(st.text("ab*", max_size=4), max_size=5).map("*".join), st.text("ab", max_size=12))
def test_patterns_fit_as_the_regular_expression_says_that_they_mean(pattern: str, text: str) -> None:
    meant = ".*".join(re.escape(piece) for piece in pattern.split("*"))
    assert fits(pattern, text) is (re.fullmatch(meant, text) is not None)


REGISTER = """
[[senders]]
sender = "ExampleBank"
classes = ["otp", "transaction"]
texts = ["Code *. Example Bank", "*spent*"]
until = "2026-12-01"
[[senders]]
sender = "ExampleShop"
classes = ["marketing"]
until = 2026-11-21
"""


@pytest.mark.parametrize(
    ("sender", "traffic", "text", "word"),
    [
        ("ExampleBank", TrafficClass.OTP, "Code 482913. Example Bank", ""),
        ("ExampleBank", TrafficClass.TRANSACTION, "You spent 5", ""),
        ("ExampleBank", TrafficClass.OTP, "Your code is 482913", "text_not_approved"),
        ("ExampleBank", TrafficClass.MARKETING, "Code 1. Example Bank", "class_not_registered"),
        ("EXAMPLEBANK", TrafficClass.OTP, "Code 482913. Example Bank", "sender_not_registered"),
        ("ExampleShop", TrafficClass.MARKETING, "Buy", "registration_ended"),
    ],
)
def test_only_what_is_registered_is_allowed_and_a_word_says_why_not(
    tmp_path: Path, sender: str, traffic: TrafficClass, text: str, word: str
) -> None:
    assert profile(tmp_path, REGISTER).allows(sender, traffic, text, DAY) == word


def test_without_a_register_every_sender_is_allowed() -> None:
    assert GENERIC.allows("Anybody", TrafficClass.MARKETING, "x", DAY) == ""


def test_a_registration_holds_on_its_last_day_and_is_told_thirty_days_before(tmp_path: Path) -> None:
    told = profile(tmp_path, REGISTER)
    last = dt.date(2026, 12, 1)
    assert told.allows("ExampleBank", TrafficClass.OTP, "Code 1. Example Bank", last) == ""
    assert told.allows("ExampleBank", TrafficClass.OTP, "Code 1. Example Bank", last + dt.timedelta(1)) != ""
    assert [each.sender for each in told.ending(last - dt.timedelta(30))] == ["ExampleBank", "ExampleShop"]
    assert [each.sender for each in told.ending(last - dt.timedelta(31))] == ["ExampleShop"]
