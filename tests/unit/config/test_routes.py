from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mgate.config import Config, ConfigError, read
from mgate.config.kinds import NotAllowed
from mgate.config.routes import Named, read_account, read_times, table_of
from mgate.model.message import TrafficClass
from mgate.policy.cost import Price
from mgate.policy.quality import Marks
from mgate.policy.routing import Barred, decide
from mgate.policy.routing_table import WEEK, Patience, Wanted

ACCOUNTS = """
[sms.op-a]
host = "a.example"
port = 2775
system_id = "examplebank"
password_file = "a.password"
plain_tcp = "a test"
price = "0.014"
currency = "BYN"
[sms.op-b]
host = "b.example"
port = 2775
system_id = "examplebank"
password_file = "b.password"
plain_tcp = "a test"
"""

Reads = Callable[..., Config]


@pytest.fixture
def reads(tmp_path: Path) -> Reads:
    def read_it(text: str, accounts: str = ACCOUNTS) -> Config:
        file = tmp_path / "mgate.toml"
        file.write_text(accounts + text)
        return read(file)

    return read_it


def rule_and_routes(config: Config, message: Wanted) -> tuple[str, list[str]]:
    table = table_of(config.routing, config.routes, config.sms)
    found = decide(table, message, {}, 0.0)
    return found.rule, [choice.route for choice in found.choices]


OTP = Wanted(TrafficClass.OTP, "ExampleBank", "local", (), "+375291110001", "BY")


def test_without_routes_every_message_may_use_every_account_in_the_order_of_the_file(reads: Reads) -> None:
    assert rule_and_routes(reads(""), OTP) == ("", ["sms:op-a", "sms:op-b"])


def test_routes_become_rules(reads: Reads) -> None:
    config = reads("""
[routes.rest]
accounts = ["op-a"]
[routes.codes]
classes = ["otp", "fraud"]
senders = ["ExampleBank"]
clients = ["local"]
tags = ["loans"]
prefixes = ["+37529"]
countries = ["BY"]
networks = ["25702"]
times = ["mon-fri 09:00-18:00"]
accounts = ["op-b", "op-a"]
""")
    all_met = OTP._replace(tags=("loans",), network="25702", minute=540)
    assert rule_and_routes(config, all_met) == ("codes", ["sms:op-b", "sms:op-a"])
    misses: list[dict[str, Any]] = [
        {"traffic": TrafficClass.SERVICE}, {"sender": "Other"}, {"client": "crm"}, {"tags": ()}, {"country": "PL"},
        {"to": "+375331110001"}, {"network": ""}, {"minute": 539},
    ]  # fmt: skip
    for miss in misses:
        assert rule_and_routes(config, all_met._replace(**miss))[0] == "rest"


def test_a_price_of_the_rule_goes_before_that_of_the_account(reads: Reads) -> None:
    config = reads('[routes.rest]\naccounts = ["op-a at 0.09"]\n')
    choices = decide(table_of(config.routing, config.routes, config.sms), OTP, {}, 0.0).choices
    assert choices[0].price == Price("0.09", "BYN")


def test_the_register_of_a_profile_bars_its_account(tmp_path: Path, reads: Reads) -> None:
    (tmp_path / "x.toml").write_text('[[senders]]\nsender = "ExampleBank"\nclasses = ["service"]\n')
    config = reads("", ACCOUNTS + 'profile = "x.toml"\n')
    found = decide(table_of(config.routing, config.routes, config.sms), OTP, {}, 0.0)
    assert [choice.route for choice in found.choices] == ["sms:op-a"]
    assert found.barred == (("sms:op-b", Barred.CLASS),)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ('sender = "Other"', Barred.SENDER),
        ('sender = "ExampleBank"\nclasses = ["service"]', Barred.CLASS),
        ('sender = "ExampleBank"\nuntil = 2026-01-01', Barred.ENDED),
        ('sender = "ExampleBank"\ntexts = ["Code *"]', Barred.TEXT),
    ],
)
def test_every_word_of_a_register_is_one_of_routing(tmp_path: Path, reads: Reads, entry: str, why: Barred) -> None:
    (tmp_path / "x.toml").write_text(f"[[senders]]\n{entry}\n")
    config = reads("", ACCOUNTS + 'profile = "x.toml"\n')
    found = decide(table_of(config.routing, config.routes, config.sms), OTP._replace(day=date(2026, 11, 23)), {}, 0.0)
    assert found.barred == (("sms:op-b", why),)


def test_a_rule_whose_accounts_wait_for_a_restart_is_as_if_it_were_not_there(reads: Reads) -> None:
    config = reads('[routes.rest]\naccounts = ["op-a"]\n[routes.codes]\nclasses = ["otp"]\naccounts = ["op-b"]\n')
    table = table_of(config.routing, config.routes, config.sms[:1])
    assert decide(table, OTP, {}, 0.0).rule == "rest"


def test_the_defaults_of_the_sections_are_those_of_the_policy(reads: Reads) -> None:
    config = reads("")
    assert config.routing.patience == Patience()
    assert config.quality.marks == Marks()


# ---- what an item says ----


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("op-a", Named("op-a", 0, "")),
        ("op-a 70%", Named("op-a", 70, "")),
        ("op-a at 0.02", Named("op-a", 0, "0.02")),
        ("op-a 100% at 3", Named("op-a", 100, "3")),
    ],
)
def test_an_account_may_have_a_share_and_a_price(text: str, item: Named) -> None:
    assert read_account(text) == item


@pytest.mark.parametrize("text", ["", "op-a 0%", "op-a 101%", "op-a 70", "op-a at 0,02", "Op-a", "op-a  70%"])
def test_what_is_no_account_is_refused(text: str) -> None:
    with pytest.raises(NotAllowed):
        read_account(text)


DAY = 1440


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("mon", ((0, DAY),)),
        ("sat,sun", ((5 * DAY, 6 * DAY), (6 * DAY, WEEK))),
        ("mon-tue 09:00-18:30", ((540, 1110), (DAY + 540, DAY + 1110))),
        ("sun-mon 00:00-01:00", ((6 * DAY, 6 * DAY + 60), (0, 60))),
        ("fri 22:00-06:00", ((4 * DAY + 1320, 5 * DAY + 360),)),
        ("sun 22:00-06:00", ((6 * DAY + 1320, WEEK), (0, 360))),
        ("wed 23:00-24:00", ((2 * DAY + 1380, 3 * DAY),)),
    ],
)
def test_times_are_spans_of_the_weeks_minutes(text: str, spans: tuple[tuple[int, int], ...]) -> None:
    assert read_times(text) == spans


@pytest.mark.parametrize(
    "text", ["", "09:00-18:00", "mon 9:00-18:00", "mon 09:00-09:00", "mon-", "monday", "mon 24:00-25:00", 7]
)
def test_what_is_no_time_of_the_week_is_refused(text: object) -> None:
    with pytest.raises(NotAllowed):
        read_times(text)


# ---- mistakes ----

REST = '[routes.rest]\naccounts = ["op-a"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[routes.rest]\naccounts = ["op-c"]\n',
            '[routes.rest] accounts: "op-c" is no account; there are: "op-a", "op-b"',
        ),
        ('[routes.rest]\naccounts = ["op-a", "op-a"]\n', '[routes.rest] accounts: has "op-a" twice'),
        ('[routes.rest]\naccounts = ["op-a 50%", "op-b 50%"]\n', "has shares, which need choose"),
        ('[routes.rest]\nchoose = "share"\naccounts = ["op-a 50%", "op-b 40%"]\n', "are not 100 % together"),
        ('[routes.rest]\nchoose = "share"\naccounts = ["op-a 100%", "op-b"]\n', "are not 100 % together"),
        ('[routes.rest]\nchoose = "cost"\naccounts = ["op-a", "op-b"]\n', '"op-b" has none'),
        ('[routes.rest]\naccounts = ["op-b at 0.02"]\n', "has no price and currency"),
        ('[routes.x]\nclasses = ["otp"]\naccounts = ["op-a"]\n', "[routes]: has no rule for the rest"),
        (REST + '[routes.x]\nclients = ["crm"]\naccounts = ["op-a"]\n', '"crm" is no client; there are: "local"'),
        (REST + '[routes.x]\ncountries = ["XX"]\naccounts = ["op-a"]\n', '"XX" is no country in ISO 3166'),
        (REST + '[routes.x]\naccounts = ["op-b"]\n', "[routes.x]: is never reached: [routes.rest] goes before it"),
        (REST + '[routes.x]\ntimes = ["mon 9-18"]\naccounts = ["op-b"]\n', "[routes.x] times: "),
        ("[quality]\nwell_above = 60\n", "[quality] well_above: is not above poor_below, which is 60"),
        ('[quality]\nin_time = "15m"\n', "[quality] in_time: is not below window"),
        ('[quality]\nslow_after = "3m"\n', "[quality] slow_after: is not below in_time"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_place(reads: Reads, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        reads(text)
    assert said in str(told.value)


def test_prices_in_two_currencies_are_not_compared(reads: Reads) -> None:
    accounts = ACCOUNTS + 'price = "0.01"\ncurrency = "EUR"\n'
    with pytest.raises(ConfigError, match='"cost" cannot compare BYN and EUR'):
        reads('[routes.rest]\nchoose = "cost"\naccounts = ["op-a", "op-b"]\n', accounts)
