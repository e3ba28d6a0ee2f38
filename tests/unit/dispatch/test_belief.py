"""What is believed of a lane while a read and a commit pass each other."""

from __future__ import annotations

from mgate.dispatch.belief import MOST_HELD, Belief
from mgate.model.ready import Header, Ready

NOW, WALL, ROOM = 10.0, 1_700_000_000.0, 50


def headers(*parts: int) -> list[Header]:
    return [Header(part, 1, 1, "a", 0, WALL + 100) for part in parts]


def parts(found: list[Header]) -> list[int]:
    return [header.part for header in found]


def heard(belief: Belief, *shown: int, whole: bool = True, next_due: float = 0.0, room: int = ROOM) -> list[int]:
    return parts(belief.heard(Ready(tuple(headers(*shown)), next_due), whole, room, NOW, WALL))


def quiet() -> Belief:
    """Of an empty lane that has just been read."""
    belief = Belief()
    belief.asked(NOW)
    assert heard(belief) == []
    assert belief.quiet()
    return belief


def to_queue(belief: Belief, room: int = ROOM) -> list[int]:
    return parts(list(belief.to_queue(room, WALL)))


def test_what_is_handed_over_is_queued_in_order_and_no_read_is_wanted() -> None:
    belief = quiet()
    belief.handed(headers(7))
    belief.handed(headers(3, 4))
    assert not belief.quiet()
    assert to_queue(belief) == [3, 4, 7]
    assert belief.quiet()
    assert not belief.wants_read(NOW + 0.5, WALL)


def test_where_more_waits_nothing_is_queued_but_by_a_read() -> None:
    belief = Belief()
    belief.handed(headers(7))
    assert to_queue(belief) == []
    belief.asked(NOW)
    assert heard(belief, 3, 7) == [3, 7]


def test_what_finds_no_room_is_left_to_a_read_and_the_oldest_go_first() -> None:
    belief = quiet()
    belief.handed(headers(7, 8, 9))
    assert to_queue(belief, room=2) == [7, 8]
    assert belief.wants_read(NOW, WALL)


def test_what_comes_while_a_read_is_under_way_waits_for_its_answer() -> None:
    belief = quiet()
    belief.asked(NOW)
    belief.handed(headers(7, 8))
    assert to_queue(belief) == []
    assert not belief.quiet()
    assert heard(belief, 3, 7) == [3, 7, 8]
    assert belief.quiet()


def test_an_answer_that_left_something_out_lets_go_what_was_held_for_it() -> None:
    belief = quiet()
    belief.asked(NOW)
    belief.handed(headers(9))
    assert heard(belief, 3, whole=False) == [3]
    assert belief.wants_read(NOW, WALL)


def test_an_answer_that_leaves_no_room_lets_go_what_was_held_for_it() -> None:
    belief = quiet()
    belief.asked(NOW)
    belief.handed(headers(8, 9))
    assert heard(belief, 3, room=2) == [3]
    assert belief.wants_read(NOW, WALL)


def test_a_return_during_a_read_is_looked_for_by_another() -> None:
    belief = quiet()
    belief.asked(NOW)
    belief.told_of_return()
    belief.handed(headers(9))
    assert heard(belief) == []
    assert not belief.quiet()
    assert belief.wants_read(NOW, WALL)
    assert belief.returned


def test_an_answer_that_is_older_than_what_was_told_for_later_does_not_hide_it() -> None:
    belief = quiet()
    belief.asked(NOW)
    belief.told_of_later(WALL + 5)
    assert heard(belief, next_due=WALL + 9) == []
    assert belief.next_due == WALL + 5
    assert belief.waits(WALL + 5)
    belief.asked(NOW)
    assert heard(belief, next_due=WALL + 9) == []
    assert belief.next_due == WALL + 9


def test_an_old_answer_does_not_bring_back_what_has_left() -> None:
    belief = quiet()
    belief.handed(headers(7))
    to_queue(belief)
    belief.asked(NOW)
    belief.left([7])
    assert heard(belief, 7) == []


def test_memory_holds_so_many_and_the_rest_is_read() -> None:
    belief = quiet()
    belief.handed(headers(*range(MOST_HELD)))
    belief.handed(headers(MOST_HELD))
    assert to_queue(belief) == []
    assert belief.wants_read(NOW, WALL)
