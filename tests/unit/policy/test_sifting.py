"""Results that a database refuses together: what is written, what is left out, and when nothing is."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.model.source import Result, SourceError
from mgate.policy.sifting import FEW, sift

UNFIT = SourceError("mismatch", "a value does not fit", "ALTER the column")


class Database:
    """Refuses every batch that holds one of these, whole."""

    def __init__(self, *unfit: int) -> None:
        self.unfit = unfit
        self.written: list[str] = []
        self.left_out: list[str] = []
        self.asked = 0

    async def write(self, results: Sequence[Result]) -> None:
        self.asked += 1
        if any(int(result.key) in self.unfit for result in results):
            raise UNFIT
        self.written += [result.key for result in results]

    def leave_out(self, result: Result, error: SourceError) -> None:
        assert error is UNFIT
        self.left_out.append(result.key)

    def sift(self, count: int) -> int:
        return run(sift([result(n) for n in range(count)], self.write, self.leave_out))


def run(work: Coroutine[object, None, int]) -> int:
    """Nothing here waits for anything."""
    try:
        work.send(None)
    except StopIteration as done:
        return int(done.value)
    raise AssertionError("it waits")


def result(n: int) -> Result:
    return Result(key=str(n), version="", sequence=n, state="sent")


@given(
    st.integers(2, 60).flatmap(lambda count: st.tuples(st.just(count), st.sets(st.integers(0, count - 1), min_size=1)))
)
def test_whatever_can_be_written_is_in_its_order_and_the_rest_is_named(given: tuple[int, set[int]]) -> None:
    count, unfit = given
    bank = Database(*unfit)
    taken = bank.sift(count)
    fit = [str(n) for n in range(count) if n not in unfit]
    if bank.left_out or not unfit.issuperset(range(min(count, FEW))):
        assert (taken, bank.written) == (len(fit), fit)
        assert bank.left_out == [str(n) for n in sorted(unfit)]


def test_one_that_does_not_fit_among_a_thousand_is_found_in_few_tries() -> None:
    bank = Database(617)
    assert bank.sift(1000) == 999
    assert bank.left_out == ["617"]
    assert bank.asked <= 20


def test_when_none_is_taken_nothing_is_left_out_and_not_everything_is_tried() -> None:
    bank = Database(*range(1000))
    assert bank.sift(1000) == 0
    assert (bank.written, bank.left_out) == ([], [])
    assert bank.asked <= 3 * FEW


@pytest.mark.parametrize("count", [0, 1])
def test_one_alone_is_not_tried_again(count: int) -> None:
    bank = Database(0)
    assert (bank.sift(count), bank.asked) == (0, 0)


def test_two_of_which_none_fits_are_the_mapping() -> None:
    bank = Database(0, 1)
    assert (bank.sift(2), bank.left_out) == (0, [])


def test_a_database_that_goes_away_meanwhile_is_told_as_such() -> None:
    away = SourceError("unreachable", "it is gone", "")

    async def write(results: Sequence[Result]) -> None:
        raise UNFIT if len(results) > 1 else away

    with pytest.raises(SourceError) as told:
        run(sift([result(n) for n in range(8)], write, lambda one, error: None))
    assert told.value is away
