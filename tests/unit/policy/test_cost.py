"""What a message costs: exact, whatever binary fractions would make of it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.policy.cost import Price, cost_of


@pytest.mark.parametrize(
    ("parts", "amount", "cost"),
    [(1, "0.014", "0.014"), (3, "0.014", "0.042"), (3, "0.1", "0.3"), (255, "12", "3060"), (10, "0.0100", "0.1000")],
)
def test_a_message_costs_its_parts_times_the_price(parts: int, amount: str, cost: str) -> None:
    assert cost_of(parts, Price(amount, "BYN"), may_have_been_sent=True) == cost


def test_what_surely_never_left_costs_nothing() -> None:
    assert cost_of(3, Price("0.014", "BYN"), may_have_been_sent=False) == "0.000"


@given(st.integers(1, 255), st.integers(0, 999_999), st.text("0123456789", min_size=1, max_size=6))
def test_the_cost_is_exact_and_written_without_an_exponent(parts: int, whole: int, decimals: str) -> None:
    amount = f"{whole}.{decimals}"
    cost = cost_of(parts, Price(amount, "EUR"), may_have_been_sent=True)
    assert Fraction(cost) == parts * Fraction(amount)
    assert set(cost) <= set("0123456789.")
    assert len(cost.partition(".")[2]) == len(decimals)
