import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.dispatch.slots import Slots
from mgate.model.ports import Slot


def test_parts_of_one_message_share_a_bind_that_has_room_for_all() -> None:
    slots = Slots("sms:op-a", (5, 9))
    slots.reserve(3, (0, 1), urgent=True)
    assert {slot.bind for slot in slots.reserve(4, (0, 1), urgent=True)} == {1}


def test_where_no_bind_has_room_for_all_the_emptiest_fills_first() -> None:
    slots = Slots("sms:op-a", (3, 4))
    assert [slot.bind for slot in slots.reserve(6, (0, 1), urgent=True)] == [1, 1, 1, 1, 0, 0]


def test_the_rest_of_a_message_goes_where_it_was_begun_while_there_is_room() -> None:
    slots = Slots("sms:op-a", (3, 9))
    assert [slot.bind for slot in slots.reserve(2, (0, 1), urgent=True, begun_on=0)] == [0, 0]
    assert [slot.bind for slot in slots.reserve(3, (0, 1), urgent=True, begun_on=0)] == [0, 1, 1]
    assert [slot.bind for slot in slots.reserve(1, (1,), urgent=True, begun_on=0)] == [1]


def test_a_closed_bind_lends_nothing() -> None:
    slots = Slots("sms:op-a", (3, 4))
    assert len(slots.reserve(9, (0,), urgent=True)) == 3
    assert slots.reserve(1, (), urgent=True) == ()


def test_bulk_leaves_a_slot_for_the_next_code_when_codes_fill_the_reserve() -> None:
    slots = Slots("sms:op-a", (10,))
    assert len(slots.reserve(2, (0,), urgent=True)) == 2
    bulk = slots.reserve(9, (0,), urgent=False)
    assert (len(bulk), slots.room((0,), urgent=False), slots.room((0,), urgent=True)) == (7, 0, 1)
    slots.reserve(1, (0,), urgent=True)
    slots.free(bulk[0].reference)
    assert (slots.room((0,), urgent=False), slots.room((0,), urgent=True)) == (0, 1)


def test_one_slot_is_spared_over_all_binds_and_none_where_the_reserve_has_but_one() -> None:
    two = Slots("sms:op-a", (10, 10))
    two.reserve_each(4, (0, 1), urgent=True)
    assert two.room((0, 1), urgent=False) == 15
    small = Slots("sms:op-a", (5,))
    small.reserve(1, (0,), urgent=True)
    assert small.room((0,), urgent=False) == 4


def test_references_wrap_and_skip_those_in_use() -> None:
    slots = Slots("sms:op-a", (10,), 0xFFFE)
    held = [slot.reference for slot in slots.reserve(4, (0,), urgent=True)]
    assert held == [0xFFFE, 0xFFFF, 1, 2]
    slots.free(1)
    again = Slots("sms:op-a", (10,), 1)
    first = again.reserve(1, (0,), urgent=True)[0].reference
    for _ in range(0xFFFE):
        again.free(again.reserve(1, (0,), urgent=True)[0].reference)
    assert again.reserve(1, (0,), urgent=True)[0].reference != first


def test_a_slot_freed_twice_is_a_bug_that_shows() -> None:
    slots = Slots("sms:op-a", (1,))
    (slot,) = slots.reserve(1, (0,), urgent=False)
    slots.free(slot.reference)
    with pytest.raises(KeyError):
        slots.free(slot.reference)


@pytest.mark.parametrize("windows", [(), (0,), (5, -1), (40000, 30000)])
def test_windows_that_references_cannot_cover_are_refused(windows: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="windows"):
        Slots("sms:op-a", windows)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 6), st.booleans())))
def test_counts_stay_true(steps: list[tuple[bool, int, bool]]) -> None:
    slots = Slots("sms:op-a", (5, 2))
    held: list[Slot] = []
    for takes, parts, urgent in steps:
        if takes:
            room = slots.room((0, 1), urgent)
            new = slots.reserve(parts, (0, 1), urgent)
            assert len(new) == min(parts, room)
            held.extend(new)
        elif held:
            slots.free(held.pop(parts % len(held)).reference)
        for bind, window, bulk in ((0, 5, 4), (1, 2, 1)):
            mine = [slot for slot in held if slot.bind == bind]
            assert len(mine) == slots.used_on(bind) <= window
            assert sum(not slot.urgent for slot in mine) <= bulk
        assert slots.used == len(held) == len({slot.reference for slot in held})


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 20), st.booleans(), st.data())
def test_a_run_takes_the_slots_that_its_messages_would_take_one_by_one(
    windows: list[int], messages: int, urgent: bool, data: st.DataObject
) -> None:
    binds = data.draw(st.lists(st.sampled_from(range(len(windows))), unique=True).map(sorted))
    at_once, singly = Slots("sms:op-a", windows, 0xFFFA), Slots("sms:op-a", windows, 0xFFFA)
    for slots in (at_once, singly):
        slots.reserve(3, (0,), urgent=False)
    each = [slot for _ in range(messages) for slot in singly.reserve(1, binds, urgent)]
    assert at_once.reserve_each(messages, binds, urgent) == each
    assert at_once.used == singly.used
    assert [at_once.room([bind], True) for bind in binds] == [singly.room([bind], True) for bind in binds]
