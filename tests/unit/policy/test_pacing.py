import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.policy.pacing import Purse, bulk_slots


def test_a_new_purse_holds_a_tenth_of_a_second() -> None:
    purse = Purse.full(100, now=5.0)
    assert (purse.whole, purse.bulk, purse.own) == (10.0, 8.0, 2.0)
    assert Purse.full(3, now=0).whole == 1.0


def test_no_rate_is_no_limit() -> None:
    purse = Purse.full(0, now=0.0).pay(urgent=False, tokens=1_000_000)
    assert purse.pays(urgent=False)
    assert purse.wait(urgent=False) == 0.0


def test_a_long_message_leaves_a_debt_that_time_pays() -> None:
    purse = Purse.full(10, now=0.0).pay(urgent=False, tokens=5)
    assert not purse.pays(urgent=False)
    assert purse.wait(urgent=False) == pytest.approx(0.625)
    assert not purse.refill(0.624).pays(urgent=False)
    assert purse.refill(0.625).pays(urgent=False)


def test_the_urgent_does_not_wait_for_the_debt_of_bulk() -> None:
    purse = Purse.full(30, now=0.0).pay(urgent=False, tokens=6)
    assert purse.pays(urgent=True)
    purse = purse.pay(urgent=True, tokens=1)
    assert not purse.pays(urgent=True)
    assert purse.wait(urgent=True) == pytest.approx(1 / 6)  # what bulk may not use: a fifth of 30 a second
    assert purse.wait(urgent=False) == pytest.approx(4.6 / 24)


def test_a_flood_of_the_urgent_gets_the_rate_and_no_more() -> None:
    purse, paid, rate = Purse.full(30, now=0.0), 0, 30
    for tick in range(10_000):
        purse = purse.refill(tick / 1000)
        while purse.pays(urgent=True):
            purse, paid = purse.pay(urgent=True, tokens=1), paid + 1
    assert paid <= rate * 10 + 3 + 1


def test_bulk_spends_its_part_and_leaves_the_rest_to_the_urgent() -> None:
    purse = Purse.full(100, now=0.0)
    for _ in range(8):
        assert purse.pays(urgent=False)
        purse = purse.pay(urgent=False, tokens=1)
    assert not purse.pays(urgent=False)
    assert purse.pays(urgent=True)
    assert purse.wait(urgent=False) == pytest.approx(1 / 80)


def test_the_urgent_may_spend_everything() -> None:
    purse = Purse.full(100, now=0.0).pay(urgent=True, tokens=10)
    assert not purse.pays(urgent=False)
    purse = purse.pay(urgent=True, tokens=2)
    assert not purse.pays(urgent=True)


def test_a_refund_never_makes_a_purse_fuller_than_full() -> None:
    full = Purse.full(100, now=0.0)
    assert full.pay(urgent=False, tokens=3).refund(urgent=False, tokens=3) == full
    assert full.refund(urgent=False, tokens=3) == full


def test_a_clock_that_stands_or_steps_back_adds_nothing() -> None:
    purse = Purse.full(100, now=5.0).pay(urgent=True, tokens=5)
    assert purse.refill(5.0) == purse
    assert purse.refill(4.0) == purse


@given(
    st.sampled_from([1.0, 7.0, 10.0, 333.0, 10_000.0]),
    st.lists(st.tuples(st.floats(0, 2), st.booleans(), st.integers(1, 5)), max_size=60),
)
def test_nobody_ever_gets_more_than_the_rate_two_bursts_and_two_messages(
    rate: float, wishes: list[tuple[float, bool, int]]
) -> None:
    now, paid, bulk_paid = 0.0, 0, 0
    purse = Purse.full(rate, now)
    for gap, urgent, parts in wishes:
        now += gap
        purse = purse.refill(now)
        if purse.pays(urgent):
            purse = purse.pay(urgent, parts)
            paid += parts
            bulk_paid += 0 if urgent else parts
        assert paid <= rate * now + max(1.0, rate * 0.1) + max(1.0, rate * 0.02) + 8.001
        assert bulk_paid <= 0.8 * rate * now + max(1.0, rate * 0.08) + 4.001


@given(st.sampled_from([1.0, 7.0, 333.0]), st.booleans(), st.integers(1, 9))
def test_a_timer_set_for_the_wait_finds_its_token(rate: float, urgent: bool, tokens: int) -> None:
    purse = Purse.full(rate, now=1e6).pay(urgent, tokens)
    assert purse.refill(1e6 + purse.wait(urgent)).pays(urgent)


def test_at_least_one_slot_is_kept_free_of_bulk_where_there_are_two() -> None:
    assert bulk_slots(1) == 1
    for window in range(2, 1001):
        assert window - bulk_slots(window) >= max(1, window * 0.2 - 1e-9)
        assert window - bulk_slots(window) < window * 0.2 + 1


@given(st.sampled_from([0.0, 7.0, 333.0]), st.booleans(), st.integers(0, 40))
def test_what_a_purse_affords_is_what_it_pays_one_by_one(rate: float, urgent: bool, tokens: int) -> None:
    purse = Purse.full(rate, now=0.0).pay(urgent, tokens).refill(0.05)
    most = min(purse.affords(urgent), 100)
    for _ in range(most):
        assert purse.pays(urgent)
        purse = purse.pay(urgent, 1)
    assert purse.pays(urgent) is (rate == 0.0)


def test_another_rate_is_no_right_to_a_burst() -> None:
    poor = Purse.full(100, now=0.0).pay(urgent=False, tokens=8)
    slower = poor.at_rate(10, now=0.0)
    assert (slower.rate, slower.whole, slower.bulk) == (10, 1.0, 0.0)
    assert not slower.pays(urgent=False)
    assert slower.at_rate(100, now=0.0) == slower._replace(rate=100)


def test_a_first_rate_begins_with_a_full_purse_and_none_is_no_limit() -> None:
    assert Purse.full(0, now=0.0).at_rate(10, now=5.0) == Purse.full(10, now=5.0)
    assert Purse.full(10, now=0.0).at_rate(0, now=5.0).pays(urgent=False)
