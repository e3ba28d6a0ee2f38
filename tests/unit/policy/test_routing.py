import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from types import FrameType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.model.message import Secret, TrafficClass
from mgate.policy.cost import Price
from mgate.policy.routing import Barred, Standing, decide, plan
from mgate.policy.routing_table import WEEK, Choose, Patience, Rule, Table, Target, Wanted, WeekClock, Why, ranked

A, B, C = Target("sms:op-a"), Target("sms:op-b"), Target("sms:op-c")
REST = Rule("rest", (C,))
NUMBER = "+375291110001"


def wanted(**but: Any) -> Wanted:
    usual = Wanted(TrafficClass.TRANSACTION, "EXAMPLEBANK", "core", (), NUMBER, "BY", "", 600)
    return usual._replace(**but)


def rule_for(rules: list[Rule], message: Wanted) -> str:
    return decide(Table(rules), message, {}, 0.0).rule


def routes(table: Table, message: Wanted, standing: dict[str, Standing] | None = None, now: float = 0.0) -> list[str]:
    return [choice.route for choice in plan(table, message, standing or {}, now)]


@dataclass
class Registered:
    """A register of one sender."""

    sender: str

    def allows(self, sender: str, traffic: TrafficClass, text: str, day: date) -> str:
        if sender != self.sender:
            return "sender_not_registered"
        return "" if text.startswith("Code") else "text_not_approved"


# ---- which rule has the word ----


@pytest.mark.parametrize(
    ("condition", "met", "missed"),
    [
        ({"classes": frozenset({TrafficClass.OTP})}, {"traffic": TrafficClass.OTP}, {}),
        ({"senders": frozenset({"BANK"})}, {"sender": "BANK"}, {"sender": "BANKS"}),
        ({"clients": frozenset({"crm"})}, {"client": "crm"}, {}),
        ({"tags": frozenset({"loans", "cards"})}, {"tags": ("x", "cards")}, {"tags": ("x",)}),
        ({"prefixes": frozenset({"+37529", "+37533"})}, {}, {"to": "+375251110001"}),
        ({"countries": frozenset({"BY"})}, {}, {"country": "PL"}),
        ({"countries": frozenset({"BY"})}, {}, {"country": ""}),
        ({"networks": frozenset({"25702"})}, {"network": "25702"}, {"network": ""}),
        ({"times": ((540, 1080),)}, {"minute": 540}, {"minute": 1080}),
    ],
)
def test_a_rule_is_for_the_messages_that_meet_its_condition(
    condition: dict[str, Any], met: dict[str, Any], missed: dict[str, Any]
) -> None:
    rules = [REST, Rule("special", (A,), **condition)]
    assert rule_for(rules, wanted(**met)) == "special"
    assert rule_for(rules, wanted(**missed)) == "rest"


def test_every_condition_of_a_rule_must_be_met() -> None:
    rules = [REST, Rule("both", (A,), clients=frozenset({"core"}), countries=frozenset({"PL"}))]
    assert rule_for(rules, wanted()) == "rest"
    assert rule_for(rules, wanted(country="PL")) == "both"


def test_priority_goes_before_what_is_more_specific() -> None:
    rules = [Rule("narrow", (A,), clients=frozenset({"core"})), Rule("wide", (B,), priority=10)]
    assert rule_for(rules, wanted()) == "wide"


def test_more_conditions_go_before_a_longer_prefix() -> None:
    rules = [
        Rule("prefix", (A,), prefixes=frozenset({"+375291"})),
        Rule("two", (B,), classes=frozenset({TrafficClass.TRANSACTION}), countries=frozenset({"BY"})),
    ]
    assert rule_for(rules, wanted()) == "two"


def test_of_as_many_conditions_network_then_longer_prefix_then_country_go_before() -> None:
    client = Rule("client", (A,), clients=frozenset({"core"}))
    country = Rule("country", (A,), countries=frozenset({"BY"}))
    short = Rule("short", (A,), prefixes=frozenset({"+375"}))
    long = Rule("long", (A,), prefixes=frozenset({"+37529", "+7"}))
    network = Rule("network", (A,), networks=frozenset({"25702"}))
    rules = [client, country, short, long, network]
    for winner in reversed(rules):
        assert rule_for(rules, wanted(network="25702")) == winner.name
        rules.remove(winner)


def test_a_rule_with_prefixes_of_two_lengths_has_a_place_for_each() -> None:
    rules = [
        Rule("mixed", (A,), prefixes=frozenset({"+3752", "+48601"})),
        Rule("middle", (B,), prefixes=frozenset({"+37529"})),
        Rule("poland", (B,), prefixes=frozenset({"+486"})),
    ]
    assert rule_for(rules, wanted()) == "middle"
    assert rule_for(rules, wanted(to="+48601110001")) == "mixed"


def test_of_equal_rules_the_first_of_the_file_has_the_word() -> None:
    rules = [Rule("first", (A,), clients=frozenset({"core"})), Rule("second", (B,), senders=frozenset({"EXAMPLEBANK"}))]
    assert rule_for(rules, wanted()) == "first"
    assert rule_for(rules[::-1], wanted()) == "second"


def test_without_any_rule_for_it_a_message_has_no_route() -> None:
    table = Table([Rule("codes", (A,), classes=frozenset({TrafficClass.OTP}))])
    assert decide(table, wanted(), {}, 0.0) == ("", (), ())


def test_who_wrote_no_rules_gets_all_accounts_in_their_order() -> None:
    assert routes(Table.of_accounts([B, A]), wanted()) == ["sms:op-b", "sms:op-a"]


VALUES = {
    "classes": st.frozensets(st.sampled_from(TrafficClass), max_size=2),
    "senders": st.frozensets(st.sampled_from("ST"), max_size=1),
    "clients": st.frozensets(st.sampled_from("kl"), max_size=1),
    "tags": st.frozensets(st.sampled_from("xyz"), max_size=2),
    "prefixes": st.frozensets(st.sampled_from(["+3", "+37", "+3752", "+48"]), max_size=3),
    "countries": st.frozensets(st.sampled_from(["BY", "PL"]), max_size=1),
    "networks": st.frozensets(st.sampled_from(["25701", "25702"]), max_size=1),
    "times": st.lists(
        st.tuples(st.integers(0, WEEK - 1), st.integers(1, WEEK)).filter(lambda span: span[0] < span[1]), max_size=3
    ).map(tuple),
    "priority": st.sampled_from([1, 100]),
}
MESSAGES = st.builds(
    Wanted,
    traffic=st.sampled_from(TrafficClass), sender=st.sampled_from("STU"), client=st.sampled_from("klm"),
    tags=st.lists(st.sampled_from("xyz"), max_size=2).map(tuple),
    to=st.sampled_from(["+375291110001", "+48601110001", "+3612110001"]),
    country=st.sampled_from(["BY", "PL", ""]), network=st.sampled_from(["25701", "25702", ""]),
    minute=st.integers(0, WEEK - 1),
)  # fmt: skip


def plainly(rules: list[Rule], message: Wanted) -> str:
    """The rule for a message, found without any table: the order of the documentation, word by word."""
    for strip in ranked(rules):
        rule = strip.rule
        met = [
            not rule.classes or message.traffic in rule.classes,
            not rule.senders or message.sender in rule.senders,
            not rule.clients or message.client in rule.clients,
            not rule.tags or bool(rule.tags & set(message.tags)),
            not strip.prefixes or any(message.to.startswith(prefix) for prefix in strip.prefixes),
            not rule.countries or message.country in rule.countries,
            not rule.networks or message.network in rule.networks,
            not rule.times or any(first <= message.minute < last for first, last in rule.times),
        ]
        if all(met):
            return rule.name
    return ""


@given(st.lists(st.fixed_dictionaries(VALUES), max_size=8), MESSAGES)
def test_the_table_finds_what_a_walk_through_the_rules_finds(drawn: list[dict[str, Any]], message: Wanted) -> None:
    rules = [Rule(f"r{place}", (A,), **values) for place, values in enumerate(drawn)]
    assert rule_for(rules, message) == plainly(rules, message)


# ---- in which order its targets come ----


def test_by_cost_the_cheapest_comes_first_and_who_has_no_price_last() -> None:
    targets = (A, Target("sms:op-b", price=Price("0.02", "BYN")), Target("sms:op-c", price=Price("0.014", "BYN")))
    found = plan(Table([Rule("cheap", targets, Choose.COST)]), wanted(), {}, 0.0)
    assert [choice.route for choice in found] == ["sms:op-c", "sms:op-b", "sms:op-a"]
    assert found[0].why is Why.COST
    assert found[0].price == Price("0.014", "BYN")


def numbers(count: int) -> Iterator[str]:
    return (f"+37529{at:07}" for at in range(1_000_000, 1_000_000 + count))


def test_shares_are_what_the_weights_say() -> None:
    table = Table(
        [Rule("shared", (Target("sms:op-a", 70), Target("sms:op-b", 20), Target("sms:op-c", 10)), Choose.SHARE)]
    )
    firsts = Counter(routes(table, wanted(to=number))[0] for number in numbers(10_000))
    assert firsts["sms:op-a"] == pytest.approx(7000, abs=200)
    assert firsts["sms:op-b"] == pytest.approx(2000, abs=200)


def test_equals_by_cost_share() -> None:
    price = Price("0.01", "BYN")
    targets = (Target("sms:op-a", 1, price), Target("sms:op-b", 1, price), Target("sms:op-c", 1, Price("0.02", "BYN")))
    table = Table([Rule("cheap", targets, Choose.COST)])
    found = [routes(table, wanted(to=number)) for number in numbers(1000)]
    assert {order[2] for order in found} == {"sms:op-c"}
    assert Counter(order[0] for order in found)["sms:op-a"] == pytest.approx(500, abs=80)


def test_a_number_keeps_its_route_and_one_that_goes_gives_only_its_own_away() -> None:
    three = Table([Rule("shared", (A, B, C), Choose.SHARE)])
    two = Table([Rule("shared", (C, B), Choose.SHARE)])
    moved = Counter[str]()
    for number in numbers(2000):
        before, after = routes(three, wanted(to=number)), routes(two, wanted(to=number))
        assert after == [route for route in before if route != "sms:op-a"]
        moved[after[0]] += before[0] == "sms:op-a"
    assert abs(moved["sms:op-b"] - moved["sms:op-c"]) < 120


def test_a_numbers_route_is_the_same_in_every_process() -> None:
    table = Table([Rule("shared", (A, B, C), Choose.SHARE)])
    assert [routes(table, wanted(to=number))[0][-1] for number in numbers(12)] == list("cbabacacaabc")


# ---- who must not have it, and who can take it now ----


def test_a_sender_that_is_not_registered_at_a_route_is_not_routed_there() -> None:
    table = Table([Rule("rest", (A, B))], {"sms:op-a": Registered("OTHER")})
    found = decide(table, wanted(), {}, 0.0)
    assert [choice.route for choice in found.choices] == ["sms:op-b"]
    assert found.barred == (("sms:op-a", Barred.SENDER),)
    assert routes(table, wanted(sender="OTHER", text=Secret("Code 482913"))) == ["sms:op-a", "sms:op-b"]
    assert decide(table, wanted(sender="OTHER"), {}, 0.0).barred == (("sms:op-a", Barred.TEXT),)


def test_a_decision_does_not_print_the_text() -> None:
    assert "482913" not in repr(wanted(text=Secret("Code 482913")))


def test_who_is_registered_nowhere_has_no_route() -> None:
    table = Table.of_accounts([A], {"sms:op-a": Registered("OTHER")})
    assert decide(table, wanted(), {}, 0.0).choices == ()


def test_a_route_without_a_bind_keeps_its_place_for_as_long_as_the_class_can_wait() -> None:
    table = Table([Rule("rest", (A, B))], patience=Patience(urgent=10.0, others=60.0))
    down = {"sms:op-a": Standing(down_since=100.0)}
    for traffic, moment, first in [
        (TrafficClass.OTP, 109.9, "sms:op-a"),
        (TrafficClass.OTP, 110.0, "sms:op-b"),
        (TrafficClass.SERVICE, 159.9, "sms:op-a"),
        (TrafficClass.SERVICE, 160.0, "sms:op-b"),
    ]:
        assert routes(table, wanted(traffic=traffic), down, moment)[0] == first


def test_who_can_take_it_comes_before_who_cannot_and_the_rest_in_the_order_of_harm() -> None:
    letters = "abcdef"
    targets = tuple(Target(f"sms:op-{letter}") for letter in letters)
    standing = {
        "sms:op-a": Standing(held=True, poor=True),
        "sms:op-b": Standing(quota_until=101.0, down_since=1.0),
        "sms:op-c": Standing(down_since=1.0, poor=True),
        "sms:op-d": Standing(poor=True),
    }
    message = wanted(foreign=frozenset({"sms:op-e"}))
    found = plan(Table([Rule("rest", targets)]), message, standing, 100.0)
    assert [(choice.route[-1], choice.why, choice.ready) for choice in found] == [
        ("f", Why.LISTED, True),
        ("d", Why.POOR, True),
        ("c", Why.DOWN, False),
        ("b", Why.QUOTA, False),
        ("a", Why.HELD, False),
        ("e", Why.FOREIGN, False),
    ]


def test_a_quota_that_is_over_holds_nobody_back() -> None:
    table = Table([Rule("rest", (A, B))])
    assert routes(table, wanted(), {"sms:op-a": Standing(quota_until=100.0)}, 100.0) == ["sms:op-a", "sms:op-b"]


# ---- the week ----


@pytest.mark.parametrize(
    ("moment", "minute"),
    [
        ("2026-11-23T00:00:00+03:00", 0),
        ("2026-11-23T09:14:59+03:00", 554),
        ("2026-11-29T23:59:59+03:00", WEEK - 1),
    ],
)
def test_a_week_begins_on_monday_in_the_banks_zone(moment: str, minute: int) -> None:
    at = datetime.fromisoformat(moment)
    assert WeekClock(ZoneInfo("Europe/Minsk")).at(at.timestamp()) == (minute, at.date())


@given(st.lists(st.integers(1_700_000_000, 1_900_000_000), max_size=20))
def test_the_clock_says_what_the_zone_says_on_days_of_change_too(moments: list[int]) -> None:
    zone = ZoneInfo("Europe/Warsaw")
    clock = WeekClock(zone)
    for moment in [*moments, 1_792_889_999, 1_792_890_000]:  # the end of summer time of 2026
        there = datetime.fromtimestamp(moment, zone)
        assert clock.at(moment) == ((there.weekday() * 24 + there.hour) * 60 + there.minute, there.date())


# ---- what a decision costs ----


def lines_run(table: Table, message: Wanted) -> int:
    """How many lines of Python a decision runs."""
    count = 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        plan(table, message, {}, 0.0)
    finally:
        sys.settrace(before)
    return count


def test_a_decision_among_a_thousand_rules_takes_no_more_steps_than_among_ten() -> None:
    def table(size: int) -> Table:
        return Table([REST, *(
            Rule(f"r{at}", (A, B), prefixes=frozenset({f"+375{at:03}"}), times=((at, at + 600),)) for at in range(size)
        )])  # fmt: skip

    message = wanted(to="+375003110001", minute=5)
    assert 0 < lines_run(table(1000), message) == lines_run(table(10), message) < 60
