"""What the bench reckons from what it measured."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mgate.peers.bench.figures import (
    Asked,
    Figure,
    Result,
    binds_for,
    bound,
    bound_figure,
    figure,
    latencies,
    number,
    percentile,
    table,
    within,
)


def test_a_percentile_is_one_of_the_values_by_its_rank() -> None:
    hundred = [float(n) for n in range(1, 101)]
    assert [percentile(hundred, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50.0, 95.0, 99.0, 100.0]
    assert percentile([7.0], 0.5) == percentile([7.0], 0.99) == 7.0
    assert percentile([1.0, 2.0], 0.5) == 1.0


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1.0))
def test_at_least_the_share_of_the_values_is_within_the_percentile(values: list[float], share: float) -> None:
    found = percentile(sorted(values), share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9


def test_latencies_are_told_in_milliseconds_and_the_slowest_is_held_against_what_is_asked() -> None:
    told = latencies("push to answer", [n / 1000 for n in range(100, 0, -1)], most=98.0)
    assert told.values == pytest.approx((50.0, 95.0, 99.0))
    assert told.kept is False
    assert latencies("push to answer", [0.25], most=250.0).kept is True


def test_a_promise_about_nothing_measured_is_not_kept() -> None:
    assert latencies("push to submit_sm", [], most=25.0).kept is False
    assert latencies("push to submit_sm", []).kept is None


@pytest.mark.parametrize(
    ("asked", "values", "kept"),
    [
        (Asked(">=", 15_000.0), (15_000.0,), True), (Asked(">=", 15_000.0), (14_999.0,), False),
        (Asked("<", 1.0), (1.0,), False), (Asked("<=", 50.0, 0), (50.0, 99.0), True), (Asked("=", 0.0), (1.0,), False),
    ],
)  # fmt: skip
def test_a_figure_says_whether_what_was_asked_is_so(asked: Asked, values: tuple[float, ...], kept: bool) -> None:
    assert figure("one", *values, asked=asked).kept is kept


def test_an_account_needs_binds_for_its_rate_times_latency_and_three_commits() -> None:
    assert binds_for(200, 0.5, 0.001, 10) == 11
    assert binds_for(200, 0.05, 0.0, 10) == 1
    assert binds_for(1, 0.0, 0.0, 10) == 1


def test_on_a_slow_disk_the_bound_of_the_windows_is_told_and_on_a_quiet_one_not() -> None:
    assert bound(100, 0.0, 0.005) == pytest.approx(6_667, abs=1)
    (told,) = bound_figure(100, 0.0, 0.2, 5.0)
    assert told.values[0] == pytest.approx(6_667, abs=1)
    assert bound_figure(100, 0.0, 0.2, 0.49) == bound_figure(0, 0.0, 9.0, 9.0) == ()


def test_moments_are_counted_from_the_begin_up_to_but_not_at_the_end() -> None:
    assert within([1.0, 2.0, 2.0, 3.0], 2.0, 3.0) == 2


def test_numbers_have_as_few_digits_as_a_reader_needs() -> None:
    assert [number(value) for value in (15_021.4, 49.32, 0.1749, 0.0)] == ["15,021", "49.3", "0.175", "0"]


def test_the_table_has_every_figure_and_says_which_promise_was_not_kept() -> None:
    asked = Asked(">=", 15_000.0)
    result = Result(
        "batch",
        "one",
        (figure("rate", 14_000.0, unit="a second", asked=asked), Figure("messages", (5.0,))),
        (),
        0.2,
        0.3,
    )
    out = io.StringIO()
    Console(file=out, width=120).print(table([result]))
    text = out.getvalue()
    for word in ("batch", "14,000 a second", "≥ 15,000", "NOT KEPT", "messages", "0.20 / 0.30 ms"):
        assert word in text


def test_a_result_gives_a_figure_by_its_name() -> None:
    result = Result("batch", "one", (Figure("rate", (14_000.0,)),))
    assert result.value("rate") == 14_000.0
    with pytest.raises(KeyError):
        result.value("speed")
