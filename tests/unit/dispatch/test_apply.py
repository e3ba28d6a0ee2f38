"""Other windows and another rate for a route that is running."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.dispatch.slots import Slots
from mgate.model.message import TrafficClass
from mgate.model.outcome import Accepted
from mgate.model.ports import Slot
from mgate.policy.pacing import bulk_slots
from tests.unit.dispatch.world import ROUTE, World


def test_a_window_that_shrank_lends_nothing_until_enough_came_free() -> None:
    slots = Slots("sms:op-a", (10,))
    held = list(slots.reserve(8, (0,), urgent=True))
    slots.apply((5,))
    assert (slots.used_on(0), slots.window_of(0), slots.total) == (8, 5, 5)
    assert slots.room((0,), urgent=True) == 0
    assert slots.reserve(1, (0,), urgent=True) == ()
    for _ in range(4):
        slots.free(held.pop().reference)
    assert len(slots.reserve(9, (0,), urgent=True)) == 1


def test_a_bind_that_is_configured_no_more_keeps_what_it_lent() -> None:
    slots = Slots("sms:op-a", (3, 3))
    (held,) = slots.reserve(1, (1,), urgent=True)
    slots.apply((3,))
    assert (slots.used_on(1), slots.window_of(1), slots.total) == (1, 0, 3)
    assert slots.room((0, 1), urgent=True) == 3
    slots.free(held.reference)
    assert slots.used_on(1) == 0
    slots.apply((3, 4))
    assert slots.room((1,), urgent=True) == 4


@pytest.mark.parametrize("windows", [(), (0,), (5, -1), (40000, 30000)])
def test_windows_that_references_cannot_cover_are_refused(windows: tuple[int, ...]) -> None:
    slots = Slots("sms:op-a", (5,))
    with pytest.raises(ValueError, match="windows"):
        slots.apply(windows)
    assert slots.total == 5


@given(
    st.lists(
        st.one_of(
            st.tuples(st.booleans(), st.integers(1, 6), st.booleans()),
            st.tuples(st.integers(1, 9), st.integers(0, 9)),
        )
    )
)
def test_counts_stay_true_whatever_changes(steps: list[tuple[bool, int, bool] | tuple[int, int]]) -> None:
    windows = (5, 2)
    slots = Slots("sms:op-a", windows)
    held: list[Slot] = []
    for step in steps:
        if len(step) == 2:
            windows = step
            slots.apply(windows)
        elif step[0]:
            room = slots.room((0, 1), step[2])
            new = slots.reserve(step[1], (0, 1), step[2])
            assert len(new) == min(step[1], room)
            held.extend(new)
            for bind, window in enumerate(windows):
                lent = [slot for slot in new if slot.bind == bind]
                assert not lent or slots.used_on(bind) <= window
                bulk = sum(not slot.urgent for slot in held if slot.bind == bind)
                assert step[2] or not lent or bulk <= bulk_slots(window)
        elif held:
            slots.free(held.pop(step[1] % len(held)).reference)
        for bind in (0, 1):
            assert slots.used_on(bind) == sum(slot.bind == bind for slot in held)


def test_another_rate_holds_from_the_next_token_on() -> None:
    world = World((50,), 10)
    for _ in range(200):
        world.stored(TrafficClass.OTP)
    world.dispatcher.binds_changed(ROUTE)
    world.run(1.0, 0.01)
    slow = len(world.written)
    world.way.apply((50,), 100.0)
    world.run(1.0, 0.01)
    assert slow <= 12
    assert 95 <= len(world.written) - slow <= 112


def test_a_larger_window_is_filled_at_once() -> None:
    world = World((2,))
    for _ in range(10):
        world.stored(TrafficClass.OTP)
    world.dispatcher.binds_changed(ROUTE)
    world.settle()
    assert len(world.written) == 2
    world.way.apply((6,), 0.0)
    world.clock.advance(0)
    assert len(world.spool.leases) == 1
    assert len(world.spool.leases[0][0]) == 4
    world.channel.answer(Accepted("1"))
