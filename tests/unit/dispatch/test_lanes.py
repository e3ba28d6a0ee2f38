from collections import Counter

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
