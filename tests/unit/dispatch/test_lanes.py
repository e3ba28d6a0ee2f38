from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mgate.dispatch.lanes import Lanes
from mgate.model.ready import Header

URGENT, BULK = 100, 80


def header(part: int, client: str = "a", n: int = 1, parts: int = 1) -> Header:
    return Header(part, n, parts, client, 0, 9e9)


def message(first: int, parts: int, client: str = "a") -> list[Header]:
    return [header(first + n, client, n + 1, parts) for n in range(parts)]


def picked(lanes: Lanes, count: int) -> list[int]:
    """The first parts of the next picks."""
    return [headers[0].part for _ in range(count) for headers in [lanes.pick(URGENT, BULK)[1]] if headers]


def test_clients_of_a_lane_take_turns() -> None:
    lanes = Lanes()
    lanes.add(2, [header(n, "a") for n in range(1, 5)])
    lanes.add(2, [header(n, "b") for n in range(11, 13)])
    lanes.add(2, [header(21, "c")])
    assert picked(lanes, 8) == [1, 11, 21, 2, 12, 3, 4]


def test_what_comes_back_goes_before_the_younger_of_its_client_and_parts_no_message() -> None:
    lanes = Lanes()
    lanes.add(2, [header(4), *message(5, 3), header(9)])
    lanes.add(2, [Header(8, 1, 1, "a", 1, 9e9), Header(2, 1, 1, "a", 1, 9e9), Header(11, 1, 1, "a", 1, 9e9)])
    assert picked(lanes, 8) == [2, 4, 5, 8, 9, 11]


def test_a_backlog_of_one_client_delays_another_by_one_message() -> None:
    lanes = Lanes()
    lanes.add(1, [header(n, "a") for n in range(1, 1000)])
    picked(lanes, 10)
    lanes.add(1, [header(5000, "b")])
    assert 5000 in picked(lanes, 2)


def test_the_lowest_lane_gets_one_pick_in_32() -> None:
    lanes = Lanes()
    lanes.add(1, [header(n) for n in range(1, 1000)])
    lanes.add(4, [header(n) for n in range(1001, 2000)])
    picks = picked(lanes, 320)
    assert sum(part > 1000 for part in picks) == 10
    assert max(Counter(part > 1000 for part in picks[start : start + 32])[True] for start in range(288)) == 1


def test_no_lane_starves_while_the_first_is_never_empty() -> None:
    lanes = Lanes()
    for lane in (1, 2, 3, 4):
        lanes.add(lane, [header(lane * 1000 + n) for n in range(500)])
    assert set(Counter(part // 1000 for part in picked(lanes, 400))) == {1, 2, 3, 4}


def test_a_share_is_not_taken_from_the_reserve() -> None:
    lanes = Lanes()
    lanes.add(1, [header(n) for n in range(1, 100)])
    lanes.add(4, [header(1000)])
    assert {lanes.pick(URGENT, 0)[0] for _ in range(64)} == {1}


def test_without_room_nothing_is_picked_and_nothing_is_lost() -> None:
    lanes = Lanes()
    lanes.add(3, [header(1)])
    assert lanes.pick(5, 0) == (0, [])
    assert picked(lanes, 1) == [1]


def test_parts_stay_together_though_room_runs_out() -> None:
    lanes = Lanes()
    lanes.add(3, message(1, 5, "a"))
    lanes.add(3, [header(11, "b")])
    assert [h.part for h in lanes.pick(9, 3)[1]] == [1, 2, 3]
    assert [h.part for h in lanes.pick(9, 9)[1]] == [4, 5]
    assert picked(lanes, 1) == [11]


def test_what_is_put_back_goes_first_and_keeps_its_order() -> None:
    lanes = Lanes()
    lanes.add(3, [*message(1, 3, "a"), header(9, "a")])
    lanes.add(3, [header(11, "b")])
    first, second = lanes.pick(9, 2), lanes.pick(9, 9)
    for lane, headers in (second, first):
        lanes.put_back(lane, headers)
    assert [h.part for h in lanes.pick(9, 9)[1]] == [1, 2, 3]
    assert lanes.queued == 2
    assert sorted(picked(lanes, 2)) == [9, 11]


MESSAGES = st.lists(
    st.tuples(st.sampled_from([1, 2, 3, 4]), st.sampled_from("abc"), st.sampled_from([1, 1, 1, 1, 3])), max_size=150
)


@given(MESSAGES, st.integers(0, 200), st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_a_run_is_the_same_picks_made_at_once(
    messages: list[tuple[int, str, int]], slots: int, bulk_slots: int, tokens: int, bulk_tokens: int
) -> None:
    singly, in_runs = Lanes(), Lanes()
    for index, (lane, client, parts) in enumerate(messages):
        for lanes in (singly, in_runs):
            lanes.add(lane, message(10 * index + 1, parts, client))
    for _ in range(2):  # and a second time, with what the first has left behind
        assert emptied(in_runs, slots, bulk_slots, tokens, bulk_tokens, 1 << 30) == emptied(
            singly, slots, bulk_slots, tokens, bulk_tokens, 1
        )
        assert [lane.picked_at for lane in in_runs.lanes.values()] == [lane.picked_at for lane in singly.lanes.values()]


def emptied(
    lanes: Lanes, slots: int, bulk_slots: int, tokens: int, bulk_tokens: int, run: int
) -> list[tuple[int, int]]:
    """Lane and part of all that is picked until slots or tokens are out, in runs of at most so many."""
    found: list[tuple[int, int]] = []
    while True:
        afforded = max(tokens, 0), max(min(tokens, bulk_tokens), 0)
        lane, headers = lanes.pick(slots, min(slots, bulk_slots), *(min(most, run) for most in afforded))
        if not headers:
            return found
        paid = sum(header.parts for header in headers if header.n == 1)
        slots, tokens = slots - len(headers), tokens - paid
        if lane > 1:
            bulk_slots, bulk_tokens = bulk_slots - len(headers), bulk_tokens - paid
        found += [(lane, header.part) for header in headers]


def test_a_run_that_is_put_back_goes_again_in_the_same_order() -> None:
    lanes = Lanes()
    lanes.add(2, [header(n, client) for n, client in enumerate("abacbbaaab", 1)])
    lane, first = lanes.pick(URGENT, BULK, 9, 9)
    lanes.put_back(lane, first)
    assert [one.part for one in lanes.pick(URGENT, BULK, 9, 9)[1]] == [one.part for one in first]


def test_what_is_accepted_out_of_order_is_queued_in_order() -> None:
    lanes = Lanes()
    lanes.lanes[2].add_new([header(4), header(9)])
    lanes.lanes[2].add_new([header(2), header(5), header(11)])
    assert picked(lanes, 9) == [2, 4, 5, 9, 11]
