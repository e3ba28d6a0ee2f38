import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.policy.adaptive import Throttle


def test_nobody_asked_and_nothing_is_slowed() -> None:
    assert Throttle(100.0).recovered(1e9).limit == 100.0
    assert not Throttle(100.0).slowed


def test_the_rate_is_halved_and_comes_back_little_by_little() -> None:
    slow = Throttle(100.0).throttled(measured=100.0, now=10.0)
    assert slow.limit == 50.0
    assert slow.recovered(12.0).limit == 50.0  # calm is waited for
    assert slow.recovered(13.0).limit == pytest.approx(55.0)
    assert slow.recovered(13.0).recovered(14.0).limit == pytest.approx(60.0)
    over = slow.recovered(22.0)
    assert (over.limit, over.slowed) == (100.0, False)


def test_many_answers_of_one_moment_halve_it_once() -> None:
    slow = Throttle(100.0)
    for answer in range(100):
        slow = slow.throttled(measured=100.0, now=10.0 + answer / 200)
    assert slow.limit == 50.0
    assert slow.throttled(measured=50.0, now=11.0).limit == 25.0


def test_what_really_left_is_halved_when_that_was_less_than_the_rate() -> None:
    assert Throttle(1000.0).throttled(measured=40.0, now=1.0).limit == 50.0  # a twentieth of the full at least
    assert Throttle(100.0).throttled(measured=40.0, now=1.0).limit == 20.0


def test_without_a_configured_rate_what_was_measured_is_the_full_one_until_it_is_reached_again() -> None:
    slow = Throttle(0.0).throttled(measured=80.0, now=1.0)
    assert slow.limit == 40.0
    assert slow.recovered(13.0).limit == 0.0
    assert not slow.recovered(13.0).slowed


def test_another_configured_rate_is_taken_up_while_slowed() -> None:
    slow = Throttle(100.0).throttled(measured=100.0, now=1.0)
    assert slow.configured(200.0).limit == 50.0
    assert slow.configured(200.0).recovered(11.0).limit == pytest.approx(130.0)
    assert slow.configured(20.0).limit == 20.0
    assert slow.configured(0.0).recovered(100.0).limit == 0.0
    assert Throttle(100.0).configured(30.0).limit == 30.0


@given(
    st.sampled_from([0.0, 1.0, 7.0, 500.0]),
    st.lists(st.tuples(st.floats(0, 50), st.one_of(st.none(), st.floats(0, 1000))), max_size=30),
)
def test_whatever_comes_it_is_never_faster_than_configured_nor_stopped(
    full: float, steps: list[tuple[float, float | None]]
) -> None:
    pace, now = Throttle(full), 0.0
    for gone, measured in steps:
        now += gone
        pace = pace.recovered(now) if measured is None else pace.throttled(measured, now)
        assert pace.limit >= min(1.0, full or 1.0) or not pace.slowed
        assert not full or pace.limit <= full
    assert pace.recovered(now + 1000.0) == Throttle(full)
