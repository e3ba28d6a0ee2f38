"""The stream, told by a clock: who is answered what, when, and at what price."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgate.feeds import stream
from tests.unit.feeds.conftest import World

# ---- reading ---------------------------------------------------------------------------------------------------------


def test_a_journal_is_read_from_its_beginning_in_order(world: World) -> None:
    for _ in range(5):
        world.commit("local", "local", "local")
    assert world.ask(None).sequences == list(range(1, 16))
    assert world.ask(7).sequences == list(range(8, 16))
    poll = world.ask(15)
    assert (poll.said, poll.lines, poll.place) == ("answer", b"", 15)


def test_an_empty_journal_answers_its_beginning(world: World) -> None:
    assert world.ask(None).place == 0
    assert world.ask(0).place == 0


@given(
    st.lists(st.lists(st.sampled_from(["local", "core", ""]), min_size=1, max_size=5), max_size=30),
    st.integers(1, 7),
    st.integers(0, 3_000),
)
@settings(max_examples=60)
def test_whoever_goes_on_from_the_place_reads_each_of_its_events_once(
    commits: list[list[str]], limit: int, most: int
) -> None:
    """Whatever the runs, the limit and the room for open runs."""
    world = World(most)
    wanted: dict[str, list[int]] = {"local": [], "core": []}
    places: dict[str, int | None] = {"local": None, "core": None}
    told: dict[str, list[int]] = {"local": [], "core": []}
    sequence = 0
    for commit in commits:
        world.commit(*commit)
        for client in commit:
            sequence += 1
            wanted.get(client, []).append(sequence)
        for client, place in places.items():
            poll = world.ask(place, client, limit)
            assert poll.said == "answer"
            told[client] += poll.sequences
            places[client] = poll.place
    for client, place in places.items():
        while (poll := world.ask(place, client, limit)).sequences:
            told[client] += poll.sequences
            place = poll.place
        assert poll.place == sequence
    assert told == wanted


def test_a_limit_cuts_inside_a_run_and_the_place_is_behind_the_last_line(world: World) -> None:
    world.commit(*["local"] * 10)
    poll = world.ask(2, limit=3)
    assert (poll.sequences, poll.place) == ([3, 4, 5], 5)


def test_an_answer_ends_when_it_is_large(world: World) -> None:
    for _ in range(4_000):
        world.commit("local", meta=b'"' + b"x" * 1_000 + b'"')
    poll = world.ask(None)
    assert 0 < len(poll.lines) <= stream.LARGEST + 2_000
    assert world.ask(poll.place).sequences[0] == poll.sequences[-1] + 1


def test_a_poll_looks_through_so_much_and_says_how_far_it_came(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_EVENTS_A_POLL", 20)
    for _ in range(100):
        world.commit("core")
    poll = world.ask(None)
    assert (poll.lines, poll.place) == (b"", 20)
    assert world.ask(None).place == 40, "it does not begin again where it found nothing"
    assert world.ask(0).place == 20, "but a cursor that is said rules, and nothing was looked through from there"
    world.commit("local")
    place: int | None = None
    while not (poll := world.ask(place)).sequences:
        place = poll.place
    assert poll.sequences == [101]


def test_a_cursor_beyond_the_end_is_told_so(world: World) -> None:
    world.commit("local")
    assert world.ask(2).said == "beyond"
    world.commit("local")
    assert world.ask(2).said == "answer"
    poll = world.put(9, wait=30.0)
    world.turn()
    assert poll.said == "beyond"


# ---- what is gone ----------------------------------------------------------------------------------------------------


def test_a_cursor_older_than_the_journal_is_told_where_it_begins(world: World) -> None:
    for _ in range(4):
        world.commit("local", "local")
    del world.reader.runs[:2]
    poll = world.ask(1)
    assert (poll.said, poll.place) == ("lost", 4)
    assert world.ask(4).sequences == [5, 6, 7, 8], "that place is good"
    assert world.ask(None).sequences == [5, 6, 7, 8], "who never was here begins with what there is"


def test_a_damaged_run_is_told_once_and_passed_from_there(world: World) -> None:
    for _ in range(3):
        world.commit("local", "local")
    world.box.damaged = {3}
    assert world.ask(0).sequences == [1, 2], "first what stands before it"
    poll = world.ask(2)
    assert (poll.said, poll.place) == ("lost", 4)
    assert world.ask(4).sequences == [5, 6]
    assert world.damage == [3]


def test_a_journal_that_cannot_be_read_fails_the_poll_and_not_the_next(world: World) -> None:
    world.commit("local")
    world.journal.broken = True
    assert world.ask(None).said == "failed"
    world.journal.broken = False
    assert world.ask(None).sequences == [1]


# ---- waiting ---------------------------------------------------------------------------------------------------------


def test_a_poll_waits_until_its_client_has_an_event(world: World) -> None:
    world.commit("local")
    poll, other = world.put(1, wait=30.0), world.put(1, "core", wait=30.0)
    world.pause()
    assert (poll.said, world.stream.waiting) == ("", 2)
    world.commit("local", "local")
    world.pause()
    assert poll.sequences == [2, 3]
    assert (other.said, world.stream.waiting) == ("", 1)


def test_nothing_new_is_answered_at_the_deadline_with_the_place_that_was_reached(world: World) -> None:
    first, second = world.put(None, wait=2.0), world.put(None, wait=1.0)
    world.pause()
    for _ in range(10):
        world.commit("core")
        world.clock.advance(0.05)
    assert not first.said
    world.clock.advance(0.5)
    assert (second.lines, second.place, first.said) == (b"", 10, "")
    world.clock.advance(1.0)
    assert (first.lines, first.place) == (b"", 10)
    assert not world.clock.getDelayedCalls()


def test_a_commit_between_the_question_and_its_answer_is_not_missed(world: World) -> None:
    world.journal.at_once = False
    poll = world.put(0, wait=30.0)
    world.pause()
    world.commit("local")  # the question is on its way, and was asked before
    world.journal.come()
    for _ in range(3):
        world.pause()
        world.journal.come()
        world.turn()
    assert poll.sequences == [1]


def test_who_comes_while_the_end_is_looked_up_misses_nothing(world: World) -> None:
    """Its place is the end as it was known, and the answer moves the end."""
    world.ask(0)
    world.commit("local")
    world.journal.at_once = False
    asking = world.put(0)
    waiting = world.put(0, wait=30.0)
    for _ in range(4):
        world.journal.come()
        world.pause()
    assert asking.sequences == waiting.sequences == [1]


def test_what_was_committed_while_nobody_waited_is_found_by_who_begins_to_wait(world: World) -> None:
    world.ask(0)
    world.commit("local")
    poll = world.put(0, wait=30.0)
    world.pause()
    assert poll.sequences == [1]


def test_more_than_one_read_brings_is_followed_to_the_end(world: World) -> None:
    first = world.put(0, wait=30.0)
    world.pause()
    for _ in range(200):
        world.commit("core")
    world.commit("local")
    for _ in range(60):
        world.pause()
    assert first.sequences == [201]


def test_a_damaged_run_at_the_end_is_told_to_who_waits(world: World) -> None:
    poll = world.put(0, wait=30.0)
    world.pause()
    world.box.damaged = {1}
    world.commit("local")
    world.pause()
    assert (poll.said, poll.place) == ("lost", 1)


def test_a_client_that_went_away_is_let_go(world: World) -> None:
    poll = world.put(0, wait=30.0)
    world.pause()
    poll.gone = True
    world.commit("local")
    world.pause()
    assert (poll.said, world.stream.waiting) == ("", 0)


def test_a_door_that_closes_answers_who_waits(world: World) -> None:
    mine, other = world.put(0, wait=30.0), world.put(0, "core", wait=30.0)
    world.pause()
    world.stream.let_go("local")
    assert (mine.said, mine.place, other.said) == ("answer", 0, "")


# ---- the price -------------------------------------------------------------------------------------------------------


def test_a_commit_costs_nothing_when_nobody_waits(world: World) -> None:
    world.ask(None)
    asked = world.journal.asked
    for _ in range(100):
        world.commit("local")
    assert not world.clock.getDelayedCalls()
    assert world.journal.asked == asked


def test_a_thousand_that_wait_cost_one_timer_one_read_and_one_opening(world: World) -> None:
    polls = [world.put(0, wait=10.0 + n % 50) for n in range(1_000)]
    world.pause()
    assert len(world.clock.getDelayedCalls()) == 1
    asked = world.journal.asked
    for _ in range(5):
        world.commit("local", "core")  # within one pause
    assert len(world.clock.getDelayedCalls()) == 2
    world.pause()
    assert all(poll.sequences == [1, 3, 5, 7, 9] for poll in polls)
    assert world.box.opened == [1, 3, 5, 7, 9]
    assert world.journal.asked == asked + 1


def test_those_who_wait_for_others_events_are_not_walked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[object] = []
    step = stream.Stream._step

    def count(self: stream.Stream, walker: stream.Walker) -> int:
        steps.append(walker)
        return step(self, walker)

    monkeypatch.setattr(stream.Stream, "_step", count)
    for n in range(1_000):
        world.put(0, f"c{n}", wait=30.0)
    world.pause()
    world.commit("c7")
    world.pause()
    assert len(steps) == 1
    assert world.stream.waiting == 999


def test_those_who_stand_at_one_place_share_a_read(world: World) -> None:
    world.commit("local")
    world.ask(1)
    world.journal.at_once = False
    polls = [world.put(0) for _ in range(10)]
    asked = world.journal.asked
    world.turn()
    world.journal.come()
    assert world.journal.asked == asked + 1
    assert all(poll.sequences == [1] for poll in polls)


def test_a_turn_of_the_reactor_is_a_slice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(30):
        world.commit(*["local"] * 100)
    world.ask(3_000)
    turns: list[int] = []
    turn, step = stream.Stream._turn, stream.Stream._step

    def begin(self: stream.Stream) -> None:
        turns.append(0)
        turn(self)

    def count(self: stream.Stream, walker: stream.Walker) -> int:
        before = walker.events
        cost = step(self, walker)
        turns[-1] += walker.events - before
        return cost

    monkeypatch.setattr(stream.Stream, "_turn", begin)
    monkeypatch.setattr(stream.Stream, "_step", count)
    polls = [world.put(at) for at in (0, 10)]
    world.turn()
    assert [len(poll.sequences) for poll in polls] == [3_000, 2_990]
    assert max(turns) <= 500, "a slice, and one more run for each who found none open: this journal answers at once"
