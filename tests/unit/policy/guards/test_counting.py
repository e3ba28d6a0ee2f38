"""Sliding counts in cells, and the flood guard, against counting one by one."""

from __future__ import annotations

import random
from array import array
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mgate.policy.guards.counting import MOST, QUARTERS, admit, count, quarter, take_back
from mgate.policy.guards.flood import Flooded, Memory, flood, forget

KEY = 0x1234_5678_9ABC_DEF0


def cells(number: int = 64) -> array[int]:
    return array("Q", bytes(8 * number))


def memory() -> Memory:
    return Memory(cells(), cells(), array("L", bytes(8 * 64)))


def test_a_limit_lets_pass_as_many_as_it_says() -> None:
    kept = cells()
    assert [admit(kept, KEY, 7, 3) for _ in range(5)] == [1, 2, 3, 0, 0]


@given(st.lists(st.integers(0, 900), min_size=1, max_size=80), st.integers(1, MOST))
def test_no_period_holds_more_than_the_limit_and_what_is_old_is_forgotten(steps: list[int], most: int) -> None:
    kept, now = cells(), 1_000_000.0
    let: list[float] = []
    for step in steps:
        now += step
        older = [moment for moment in let if now - moment < 3_600 * (QUARTERS + 1) / QUARTERS]
        if admit(kept, KEY, quarter(now, 3_600.0), most):
            let.append(now)
            assert len([moment for moment in let if now - moment < 3_600]) <= most
        else:
            assert len(older) >= most


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 2)), max_size=60))
def test_what_is_taken_back_counts_no_more(steps: list[tuple[int, bool, int]]) -> None:
    """Of a quarter in which it was not counted nothing older is taken: the newest goes."""
    kept, moment = cells(), 100
    model: list[int] = []
    for forward, back, which in steps:
        moment += forward
        key = KEY + (which << 44)
        if which:
            admit(kept, key, moment, MOST)  # others in the same place do not change ours, or drop it whole
            kept = kept if count(kept, KEY, moment) else cells()
            model = model if count(kept, KEY, moment) else []
            continue
        model = [each for each in model if moment - each <= QUARTERS]
        if back and model:
            take_back(kept, key, moment)
            model.remove(max(model))
        elif not back and len(model) < 5:
            admit(kept, key, moment, MOST)
            model.append(moment)
        assert count(kept, key, moment) == len([each for each in model if moment - each <= QUARTERS])


def test_a_cell_of_long_ago_counts_nothing() -> None:
    kept = cells()
    admit(kept, KEY, 3, 5)
    assert count(kept, KEY, 3 + QUARTERS) == 1
    assert count(kept, KEY, 4 + QUARTERS) == 0
    assert admit(kept, KEY, 4 + QUARTERS, 1) == 1


def test_a_number_that_is_written_to_often_is_not_forgotten_for_one_that_is_not() -> None:
    kept = cells(2)
    for _ in range(9):
        admit(kept, KEY, 7, 20)
    for other in range(1, 200):
        admit(kept, KEY + (other << 44), 7, 20)
    assert count(kept, KEY, 7) == 9


def test_keys_share_a_count_so_rarely_that_it_does_not_matter() -> None:
    chance = random.Random(5)
    kept = cells(1 << 16)
    found = Counter(admit(kept, chance.getrandbits(64), 7, 20) for _ in range(100_000))
    assert found[2] <= 5


def test_twenty_different_texts_pass_and_the_next_does_not() -> None:
    kept = memory()
    assert [flood(kept, KEY, text, 7, 20, 6) for text in range(1, 21)] == [None] * 20
    assert flood(kept, KEY, 99, 7, 20, 6) is Flooded.DIFFERENT
    assert flood(kept, KEY, 3, 7, 20, 6) is None  # it is one of the twenty
    assert flood(kept, KEY ^ 1 << 50, 99, 7, 20, 6) is None  # another number


def test_six_times_the_same_passes_and_the_next_does_not() -> None:
    kept = memory()
    assert [flood(kept, KEY, 5, 7, 20, 6) for _ in range(6)] == [None] * 6
    assert flood(kept, KEY, 5, 7, 20, 6) is Flooded.IDENTICAL
    assert flood(kept, KEY, 6, 7, 20, 6) is None


def test_the_first_text_is_counted_though_it_was_only_noted() -> None:
    kept = memory()
    for text in (1, 2, 1, 2, 1):
        assert flood(kept, KEY, text, 7, 20, 3) is None
    assert flood(kept, KEY, 1, 7, 20, 3) is Flooded.IDENTICAL


def test_without_a_limit_everything_passes() -> None:
    kept = memory()
    assert not any(flood(kept, KEY, n % 7, 7, 0, 0) for n in range(500))


@given(st.lists(st.tuples(st.integers(1, 7), st.integers(0, 1)), max_size=80))
def test_the_flood_guard_agrees_with_counting_texts(messages: list[tuple[int, int]]) -> None:
    kept, moment = memory(), 50
    let: list[tuple[int, int]] = []
    begun: list[int] = []
    for text, forward in messages:
        moment += forward
        near = [each for each, when in let if moment - when <= QUARTERS]
        verdict = flood(kept, KEY, text, moment, 4, 3)
        if verdict is None:
            assert near.count(text) <= 3  # one may pass uncounted when the number itself was forgotten
            if text not in near:
                begun.append(moment)
            assert len([each for each in begun if moment - each <= QUARTERS]) <= 4
            let.append((text, moment))
        elif moment - 50 <= QUARTERS:
            different = text not in near and len(set(near)) >= 4
            assert verdict is (Flooded.DIFFERENT if different else Flooded.IDENTICAL)
            assert different or near.count(text) >= 3


def test_what_came_to_nothing_is_not_counted() -> None:
    kept = memory()
    for _ in range(100):
        assert flood(kept, KEY, 5, 7, 2, 2) is None
        forget(kept, KEY, 5, 7)
    assert [flood(kept, KEY, text, 7, 2, 2) for text in (1, 2, 3)] == [None, None, Flooded.DIFFERENT]
    forget(kept, KEY, 2, 7)
    assert flood(kept, KEY, 3, 7, 2, 2) is None
