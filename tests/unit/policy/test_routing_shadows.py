from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgate.model.message import TrafficClass
from mgate.policy.routing import decide
from mgate.policy.routing_shadows import Shadow, shadows
from mgate.policy.routing_table import Rule, Table, Target, Wanted

A = (Target("sms:op-a"),)


def test_of_two_rules_for_the_same_the_later_is_shadowed() -> None:
    rules = [Rule("one", A, clients=frozenset({"crm"})), Rule("two", A, clients=frozenset({"crm"}))]
    assert shadows(rules) == [Shadow("two", "one")]


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ({}, {"clients": frozenset({"crm"})}, True),
        ({"clients": frozenset({"crm", "core"})}, {"clients": frozenset({"crm"})}, True),
        ({"clients": frozenset({"crm"})}, {"clients": frozenset({"crm", "core"})}, False),
        ({"clients": frozenset({"crm"})}, {}, False),
        ({"prefixes": frozenset({"+37529", "+3753"})}, {"prefixes": frozenset({"+375291", "+37533"})}, True),
        ({"prefixes": frozenset({"+37529"})}, {"prefixes": frozenset({"+375291", "+37533"})}, False),
        ({"times": ((0, 100), (100, 200))}, {"times": ((50, 150),)}, True),
        ({"times": ((0, 100), (101, 200))}, {"times": ((50, 150),)}, False),
    ],
)
def test_a_rule_of_better_priority_shadows_what_is_all_within_it(
    wide: dict[str, Any], narrow: dict[str, Any], covered: bool
) -> None:
    rules = [Rule("narrow", A, **narrow), Rule("wide", A, priority=1, **wide)]
    assert shadows(rules) == ([Shadow("narrow", "wide")] if covered else [])


def test_a_rule_of_the_same_priority_that_is_wider_shadows_nothing() -> None:
    assert shadows([Rule("rest", A), Rule("codes", A, classes=frozenset({TrafficClass.OTP}))]) == []


def test_a_rule_of_which_some_prefixes_are_left_is_not_shadowed() -> None:
    rules = [
        Rule("first", A, priority=1, prefixes=frozenset({"+37529"})),
        Rule("both", A, prefixes=frozenset({"+375291", "+48"})),
    ]
    assert shadows(rules) == []


SMALL = {
    "classes": st.frozensets(st.sampled_from([TrafficClass.OTP, TrafficClass.SERVICE]), max_size=1),
    "clients": st.frozensets(st.sampled_from("kl"), max_size=2),
    "tags": st.frozensets(st.sampled_from("xy"), max_size=2),
    "prefixes": st.frozensets(st.sampled_from(["+3", "+37", "+48"]), max_size=2),
    "times": st.sampled_from([(), ((0, 10),), ((0, 5), (5, 10)), ((3, 4),)]),
    "priority": st.sampled_from([1, 100]),
}
MESSAGES = [
    Wanted(traffic, "", client, tags, to, minute=minute)
    for traffic, client, tags, to, minute in product(
        [TrafficClass.OTP, TrafficClass.SERVICE, TrafficClass.FRAUD], "klm", [(), ("x",), ("y",), ("x", "y")],
        ["+375291110001", "+361110001", "+48601110001", "+11110001"], [0, 3, 7, 20],
    )
]  # fmt: skip


@settings(max_examples=60)
@given(st.lists(st.fixed_dictionaries(SMALL), min_size=1, max_size=5))
def test_no_message_ever_meets_a_rule_that_is_called_shadowed(drawn: list[dict[str, Any]]) -> None:
    rules = [Rule(f"r{place}", A, **values) for place, values in enumerate(drawn)]
    table = Table(rules)
    used = {decide(table, message, {}, 0.0).rule for message in MESSAGES}
    assert not used & {shadow.rule for shadow in shadows(rules)}
