"""A whole reckoning over a made-up day: every row is found wherever its message stands, and what is lost is named."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgate.model.message import State
from mgate.policy.reckoning import Gap, Sums
from mgate.reckoning.sheet import Difference, Line
from tests.unit.reckoning.world import DAY, HOUR, LATE, MIDNIGHT, MINUTE, DatabaseCore, FileCore, World

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # many examples, many fsyncs
NOON = MIDNIGHT + 12 * HOUR


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def told(differences: list[Difference]) -> set[tuple[Gap, str]]:
    return {(one.gap, one.ref) for one in differences}


# ---- any day ---------------------------------------------------------------------------------------------------------


class Operation(NamedTuple):
    """One of the core's: when it was written, and what became of it."""

    at: int
    fate: State | str
    delay: int
    old: bool


LAST_WORDS: dict[State | str, str] = {"refused": "refused", "known": "delivered", State.DELIVERED: "delivered"}
"""Of a fate, what the core's table says."""

OPERATIONS = st.builds(
    Operation,
    st.integers(MIDNIGHT, MIDNIGHT + DAY - 1),
    st.sampled_from([*State, "refused", "lost", "known"]),
    st.integers(-30 * 1000, 5 * HOUR),
    st.booleans(),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OPERATIONS, max_size=40), st.booleans())
def test_any_day_balances_and_exactly_what_was_lost_is_missing(day: list[Operation], file: bool) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        world = World(Path(folder))
        lines = []
        for number, one in enumerate(day):
            lines.append(Line(f"op-{number}", one.at, LAST_WORDS.get(one.fate, "")))
            if isinstance(one.fate, State):
                world.accepted(f"op-{number}", one.at + one.delay, one.fate, old=one.old)
        core = FileCore(lines, len(lines)) if file else DatabaseCore(lines)
        sums, differences = world.reckon(core)
    lost = {f"op-{number}" for number, one in enumerate(day) if one.fate == "lost"}
    taken = [one for one in day if isinstance(one.fate, State)]
    assert sums.balances
    assert sums.gap == bool(lost)
    assert (sums.core, sums.accepted, sums.refused, sums.final_by_core, sums.missing) == (
        len(day),
        len(taken),
        sum(one.fate == "refused" for one in day),
        sum(one.fate == "known" for one in day),
        len(lost),
    )
    assert sums.delivered == sum(one.fate is State.DELIVERED for one in taken)
    assert sums.accepted_late == sum(one.delay > LATE for one in taken)
    assert {ref for gap, ref in told(differences) if gap is Gap.MISSING} == lost
    assert (sums.extra, sums.twice, sums.unreadable) == (0, 0, 0)


# ---- what differs ----------------------------------------------------------------------------------------------------


def test_a_row_that_was_deliberately_lost_is_found_as_missing(world: World) -> None:
    lines = [Line(f"op-{number}", NOON + number) for number in range(600)]
    for line in lines:
        if line.ref != "op-417":
            world.accepted(line.ref, line.at + 100)
    sums, differences = world.reckon(FileCore(lines, 600))
    assert sums.gap
    assert sums.balances
    assert differences == [Difference(Gap.MISSING, "op-417", NOON + 417, None)]


def test_after_a_lost_store_what_the_core_has_as_final_is_named_and_is_no_gap(world: World) -> None:
    words = ["delivered", "no_receipt", "refused", ""]
    lines = [Line(f"op-{number}", NOON + number, word) for number, word in enumerate(words)]
    sums, differences = world.reckon(DatabaseCore(lines[:-1]))
    assert (sums.core, sums.final_by_core, sums.refused, sums.missing) == (3, 2, 1, 0)
    assert (sums.balances, sums.gap) == (True, False)
    assert [(one.gap, one.ref, one.final) for one in differences] == [
        (Gap.FINAL_BY_CORE, "op-0", "delivered"),
        (Gap.FINAL_BY_CORE, "op-1", "no_receipt"),
    ]
    sums, differences = world.reckon(DatabaseCore(lines))
    assert (sums.final_by_core, sums.missing, sums.gap) == (2, 1, True)
    assert differences[0] == Difference(Gap.MISSING, "op-3", NOON + 3, None)


def test_a_message_that_mgate_knows_counts_as_it_stands_here_whatever_the_core_says(world: World) -> None:
    world.accepted("op-1", NOON, State.UNDELIVERED)
    sums, differences = world.reckon(DatabaseCore([Line("op-1", NOON, "delivered")]))
    assert (sums.accepted, sums.undelivered, sums.final_by_core, differences) == (1, 1, 0, [])


def test_a_message_that_the_core_does_not_know_is_extra(world: World) -> None:
    message = world.accepted("nobody's", NOON)
    sums, (one,) = world.reckon(DatabaseCore([]))
    assert (sums.extra, sums.gap) == (1, False)
    assert (one.gap, one.ref, one.written) == (Gap.EXTRA, "nobody's", 0)
    assert one.kept is not None
    assert one.kept.message == message


def test_a_message_of_another_client_or_another_day_is_neither_found_nor_extra(world: World) -> None:
    world.accepted("op-1", NOON, client="other")
    world.accepted("before", MIDNIGHT - 1)
    world.accepted("after", MIDNIGHT + DAY)
    sums, differences = world.reckon(DatabaseCore([Line("op-1", NOON)]))
    assert told(differences) == {(Gap.MISSING, "op-1")}
    assert sums.extra == 0


def test_a_row_written_before_midnight_and_taken_after_it_is_of_its_own_day(world: World) -> None:
    world.accepted("last", MIDNIGHT + DAY + 2 * MINUTE)
    world.accepted("the day before's", MIDNIGHT + 2 * MINUTE)
    lines = [Line("last", MIDNIGHT + DAY - 1), Line("the day before's", MIDNIGHT - 1)]
    for core in (DatabaseCore(lines), FileCore(lines, 2)):
        sums, differences = world.reckon(core)
        assert (sums.core, sums.accepted, sums.missing, sums.extra) == (1, 1, 0, 0)
        assert differences == []


def test_a_source_that_was_paused_for_days_is_late_but_misses_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, now=MIDNIGHT + 9 * DAY)
    world.accepted("op-1", NOON + 3 * DAY)
    world.accepted("old", NOON)
    core = DatabaseCore([Line("op-1", NOON), Line("old", NOON - 4 * DAY)])
    sums, differences = world.reckon(core)
    assert (sums.accepted, sums.missing, sums.extra) == (1, 0, 0)
    assert told(differences) == {(Gap.ACCEPTED_LATE, "op-1")}
    assert core.asked[-1] == (MIDNIGHT - 4 * DAY, MIDNIGHT - 3 * DAY)


def test_no_other_day_is_asked_for_when_nothing_needs_it(world: World) -> None:
    world.accepted("op-1", NOON)
    core = DatabaseCore([Line("op-1", NOON)])
    world.reckon(core)
    assert core.asked == [(MIDNIGHT, MIDNIGHT + DAY)]


def test_clocks_that_differ_across_midnight_make_nothing_missing_or_extra(world: World) -> None:
    world.accepted("early", MIDNIGHT - MINUTE)  # the core's clock is ahead
    world.accepted("tomorrow's", MIDNIGHT + DAY - MINUTE)
    sums, differences = world.reckon(DatabaseCore([Line("early", MIDNIGHT + 1), Line("tomorrow's", MIDNIGHT + DAY)]))
    assert (sums.core, sums.accepted, sums.extra, differences) == (1, 1, 0, [])


def test_a_row_that_stands_twice_in_the_file_is_told_and_counted_once(world: World) -> None:
    world.accepted("op-1", NOON)
    sums, differences = world.reckon(FileCore([Line("op-1", NOON), Line("op-1", NOON + 1)], 2))
    assert (sums.core, sums.accepted, sums.twice, sums.balances) == (1, 1, 1, True)
    assert told(differences) == {(Gap.TWICE, "op-1")}


def test_a_second_message_of_one_reference_is_told(world: World) -> None:
    first = world.accepted("op-1", NOON)
    second = world.accepted("op-1", NOON + MINUTE)
    sums, (one,) = world.reckon(FileCore([Line("op-1", NOON)], 1))
    assert (sums.accepted, sums.twice) == (1, 1)
    assert one.kept is not None
    assert (one.gap, one.kept.message) == (Gap.TWICE, second)
    assert first < second


def test_a_message_that_moves_to_history_between_two_looks_is_counted_once_as_it_stands_there(world: World) -> None:
    number = world.accepted("op-1", NOON, State.SENT)
    live = world.live
    world.live = {}
    assert world.accepted("op-1", NOON, State.DELIVERED, number=number) == number
    world.live = live
    sums, differences = world.reckon(FileCore([Line("op-1", NOON)], 1))
    assert (sums.accepted, sums.delivered, sums.under_way) == (1, 1, 0)
    assert differences == []


# ---- what goes wrong -------------------------------------------------------------------------------------------------


def test_rows_that_were_lost_on_the_way_break_the_balance(world: World) -> None:
    world.accepted("op-1", NOON)
    sums, _ = world.reckon(FileCore([Line("op-1", NOON)], told=2))
    assert not sums.balances
    assert sums.gap


def test_a_block_that_cannot_be_opened_is_no_balance(world: World, tmp_path: Path) -> None:
    world.accepted("op-1", NOON)
    world.move()
    for file in tmp_path.glob("period-*.db"):
        with closing(sqlite3.connect(file)) as history, history:
            history.execute("UPDATE block SET sealed = zeroblob(length(sealed))")
    sums, _ = world.reckon(FileCore([Line("op-1", NOON)], 1))
    assert sums.unreadable >= 1
    assert sums.gap


def test_nothing_is_left_on_the_disk_and_no_reference_in_clear_while_it_works(world: World, tmp_path: Path) -> None:
    seen: list[bytes] = []

    def look(_: object) -> None:
        for path in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # others close theirs
                if ".reckoning-" in str(path.readlink()):
                    seen.append(path.read_bytes())

    lines = [Line(f"payment-{number:06d}", NOON + number) for number in range(2_000)]
    world.reckon(FileCore(lines, len(lines), piece=500), told=look)
    assert max(len(content) for content in seen) > 50_000
    assert not any(b"payment-" in content for content in seen)
    assert not list(tmp_path.glob("*reckoning*"))


def test_it_rests_after_every_step(world: World) -> None:
    world.accepted("op-1", NOON)
    world.reckon(FileCore([Line("op-1", NOON)], 1))
    assert len(world.rests) > 5


def test_an_empty_day_balances(world: World) -> None:
    assert world.reckon(DatabaseCore([])) == (Sums(), [])
