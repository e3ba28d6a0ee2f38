"""Cursors, lines, open runs and who waits: the parts of the feeds that know no clock."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.feeds.cursor import Cursors, Wrong
from mgate.feeds.lines import moment, render
from mgate.feeds.runs import Runs
from mgate.feeds.waiting import Waiting
from mgate.model.message import show_id
from tests.unit.feeds.conftest import CURSORS, ListReader, OpenBox, World, event

# ---- cursors ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, (1 << 63) - 1))
def test_a_cursor_is_read_as_it_was_shown(sequence: int) -> None:
    text = CURSORS.show(sequence)
    assert CURSORS.read(text) == sequence
    assert len(text) <= 33
    assert text.startswith(CURSORS.prefix)


@given(st.text(max_size=40))
def test_any_other_text_is_no_cursor(text: str) -> None:
    found = CURSORS.read(text)
    assert isinstance(found, Wrong) or CURSORS.show(found) == CURSORS.prefix + text[17:].lstrip("0").rjust(1, "0")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "0001020304050607-",
        "0001020304050607-8000000000000000",
        "000102030405060-1",
        "0001020304050607-1 ",
        "0001020304050607-1\n",
        "0001020304050607-G",
        "0001020304050607-٣",
    ],
)
def test_a_cursor_that_was_cut_or_changed_is_none(text: str) -> None:
    assert CURSORS.read(text) is Wrong.TEXT


def test_a_cursor_of_another_database_is_told_apart() -> None:
    assert Cursors(bytes(16)).read(CURSORS.show(7)) is Wrong.DATABASE


# ---- lines -----------------------------------------------------------------------------------------------------------


def test_a_line_says_all_of_an_event() -> None:
    said = event(42, meta=b'{"a":[1,{"b":"\xd0\x96"}]}', ref='q"\u2028', route="sms:op-a")
    (line,) = render([said], CURSORS.prefix).splitlines()
    assert json.loads(line) == {
        "cursor": CURSORS.show(42), "sequence": 42, "id": show_id((1 << 60) + 42), "ref": 'q"\u2028', "event": "sent",
        "reason": "", "may_have_been_sent": True, "time": "2027-01-15T08:00:00.042Z", "parts": 1,
        "channel": "sms", "operator": "op-a", "meta": {"a": [1, {"b": "Ж"}]},
    }  # fmt: skip


def test_no_meta_is_no_field() -> None:
    assert "meta" not in json.loads(render([event(1)], CURSORS.prefix))


def test_an_event_whose_way_is_not_known_names_none() -> None:
    assert not {"channel", "operator"} & json.loads(render([event(1)], CURSORS.prefix)).keys()


@given(st.integers(0, 4_000_000_000_000))
def test_a_moment_has_three_digits_behind_the_second(at: int) -> None:
    assert moment(at)[-5:-1] == f".{at % 1000:03d}"[-4:]
    assert len(moment(at)) == len("2027-01-15T08:00:00.042Z")


# ---- open runs -------------------------------------------------------------------------------------------------------


def stored(*sizes: int) -> tuple[OpenBox, ListReader]:
    box = OpenBox()
    reader = ListReader(box.box)
    for size in sizes:
        reader.append(*["local"] * size)
    return box, reader


def test_a_run_is_found_by_any_of_its_sequences_and_opened_once() -> None:
    box, reader = stored(3, 1, 4)
    runs = Runs(box.box, "", _no_damage)
    for _ in range(2):
        runs.take(reader.runs)
    assert [run.first if (run := runs.at(sequence)) else 0 for sequence in range(10)] == [0, 1, 1, 1, 4, 5, 5, 5, 5, 0]
    assert box.opened == [1, 4, 5]


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(1, 4)), max_size=40), st.integers(0, 4_000))
def test_open_runs_stay_within_their_bound(reads: list[tuple[int, int]], most: int) -> None:
    box, reader = stored(*([3] * 20))
    runs = Runs(box.box, "x-", _no_damage, most)
    for begin, count in reads:
        part = reader.runs[begin : begin + count]
        opened = runs.take(part)
        assert [run.first for run in opened] == [run.first for run in part]
        assert all(runs.at(run.last) is run for run in opened), "what was just read is there"
        runs.lines(opened[0], "local")
        assert runs.octets <= most or len(runs) <= count
        held = [run for run in (runs.at(sequence) for sequence in range(1, 61, 3)) if run]
        assert runs.octets == sum(run.octets for run in held)
        assert len(runs) == len(held)


def test_a_run_that_was_taken_out_is_noticed_and_the_others_are_told() -> None:
    box, reader = stored(1, 1, 1)
    damage: list[int] = []
    runs = Runs(box.box, "", lambda first, _error: damage.append(first))
    assert [run.readable for run in runs.take([reader.runs[0], reader.runs[2]])] == [True, True]
    assert damage == [1]


def test_a_damaged_run_has_its_place_and_an_alarm_but_a_key_that_ended_has_none() -> None:
    box, reader = stored(2, 2, 2)
    box.damaged, box.shredded = {1}, {3}
    damage: list[int] = []
    runs = Runs(box.box, "", lambda first, _error: damage.append(first))
    assert [(run.last, run.readable) for run in runs.take(reader.runs)] == [(2, False), (4, False), (6, True)]
    assert damage == [1]


def test_a_client_finds_its_own_lines_only_and_they_are_written_once() -> None:
    world = World()
    world.reader.append("local", "core", "local")
    (run,) = world.runs.take(world.reader.runs)
    lines = world.runs.lines(run, "core")
    assert [json.loads(line)["sequence"] for line in lines.splitlines()] == [2]
    assert world.runs.lines(run, "core") is lines


def _no_damage(first: int, error: Exception) -> None:
    raise AssertionError(f"run {first}") from error


# ---- the waiting -----------------------------------------------------------------------------------------------------


def test_a_client_is_taken_whole_and_the_others_wait_on() -> None:
    waiting: Waiting[str] = Waiting(lambda _one: False)
    for one in ("a1", "b1", "a2"):
        waiting.add(one[0], one, 5.0)
    assert waiting.take(["a", "c"]) == ["a1", "a2"]
    assert len(waiting) == 1
    assert waiting.take_all() == ["b1"]
    assert waiting.next_deadline() is None


def test_each_expires_at_its_own_deadline() -> None:
    waiting: Waiting[str] = Waiting(lambda _one: False)
    for one, deadline in (("a", 3.0), ("b", 1.0), ("c", 2.0)):
        waiting.add(one, one, deadline)
    assert waiting.next_deadline() == 1.0
    assert waiting.expire(2.0) == ["b", "c"]
    assert waiting.take(["b"]) == []
    assert (waiting.next_deadline(), len(waiting)) == (3.0, 1)


def test_who_was_taken_does_not_expire() -> None:
    waiting: Waiting[str] = Waiting(lambda _one: False)
    waiting.add("a", "a1", 1.0)
    assert waiting.take(["a"]) == ["a1"]
    assert waiting.expire(2.0) == []
    assert len(waiting) == 0


def test_who_went_away_is_never_given_and_takes_no_room_for_long() -> None:
    gone: set[int] = set()
    waiting: Waiting[int] = Waiting(lambda one: one in gone)
    for one in range(10_000):
        waiting.add("a", one, 60.0)
        gone.add(one)
        assert len(waiting) <= 130
    waiting.add("a", 10_000, 60.0)
    assert waiting.take(["a"]) == [10_000]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=60), st.sets(st.integers(0, 59)))
def test_everybody_is_given_once(rows: list[tuple[str, int]], left: set[int]) -> None:
    waiting: Waiting[int] = Waiting(lambda one: one in left)
    for number, (client, deadline) in enumerate(rows):
        waiting.add(client, number, float(deadline))
    given_ = waiting.expire(3.0) + waiting.take(["a"]) + waiting.expire(6.0) + waiting.take_all()
    assert sorted(given_) == [number for number in range(len(rows)) if number not in left]
    assert len(waiting) == 0
