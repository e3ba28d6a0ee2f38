"""Timers: never later than what they stand for, early at most once a change, and not written for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgate.model.message import ENDED, State, TrafficClass
from mgate.model.outcome import Uncertain
from mgate.spool.ledger import NEVER
from mgate.spool.queries import RING_AGAIN, Changes
from mgate.spool.rows import Row
from mgate.spool.store import SqliteStore
from mgate.spool.verbs import Ack, Wake
from tests.conformance.player import HOUR, NOW, OK, Place, Player, message
from tests.unit.spool.test_fast_paths import OnFile

LIVE = (State.READY, State.LEASED, State.SENT, State.UNCERTAIN)


def row(state: State, wake: int, timer: int = 0) -> Row:
    return Row(
        1, 1, 1, "local", TrafficClass.SERVICE, "sms:op-a", state, 0, 1, 10, wake, 7, b"", timer=timer
    )  # fmt: skip


def changes(now: int) -> Changes:
    return Changes(now, lambda: 1, lambda place: 0, {})


# ---- the rule ------------------------------------------------------------------------------------------------------


@given(st.sampled_from(LIVE), st.lists(st.tuples(st.integers(1, 50), st.integers(1, 80) | st.just(NEVER)), min_size=1))
def test_the_timer_of_a_live_part_is_set_and_never_later_than_its_moment(
    state: State, moves: list[tuple[int, int]]
) -> None:
    one = row(state, NEVER)
    now = 0
    for later, wake in moves:
        now += later
        one.wake = wake
        made = changes(now)
        made.add(one)
        assert one.timer == 0 or one.timer <= wake
        assert wake == NEVER or one.timer
        # What rang is set anew, so it rings early at most once for each change.
        assert one.timer == 0 or one.timer > now or one.timer == wake


def test_a_moment_that_moves_away_writes_no_timer_and_one_that_comes_nearer_does() -> None:
    one = row(State.SENT, 100, timer=50)
    made = changes(10)
    made.add(one)
    assert (one.timer, made.timers, made.untimed) == (50, [], [])
    one.wake = 40
    made.add(one)
    assert (one.timer, made.timers) == (40, [(40, 1)])


def test_what_the_clock_has_nothing_to_say_about_has_no_timer_once_it_rang() -> None:
    one = row(State.DELIVERED, NEVER, timer=50)
    made = changes(50)
    made.add(one)
    assert (one.timer, made.timers, len(made.untimed)) == (0, [], 1)


def test_what_has_ended_keeps_its_timer_and_rings_again_a_minute_after_it_rang() -> None:
    one = row(State.DELIVERED, 20, timer=50)
    made = changes(20)
    made.add(one)
    assert (one.timer, made.timers) == (50, [])
    for now in (50, 50 + RING_AGAIN):
        made = changes(now)
        made.add(one)
        assert (one.timer, len(made.timers)) == (now + RING_AGAIN, 1)


# ---- in a spool ----------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Iterator[OnFile]:
    made = OnFile(tmp_path / "spool.db")
    yield made
    made.drop()


@pytest.fixture
def player(file: OnFile) -> Player:
    return Player(file.open)


def timers(place: Place) -> dict[int, int]:
    assert isinstance(place.store, SqliteStore)
    return dict(place.store._db.execute("SELECT id, at FROM wake"))


def test_the_table_of_timers_is_what_the_rows_say(file: OnFile, player: Player) -> None:
    heads = [player.ready(message(1)), player.leased(message(2)), player.sent(message(3, parts=2))]
    player.end(heads[1], Uncertain("link_lost", link_alive=False))
    player.ready(message(4, life=HOUR))
    for passed in (0, 1_000, 60_000, HOUR, 72 * HOUR, 1, 24 * HOUR):
        player.pass_time(passed)
        player.wake_until_quiet()
        rows = [one for record in player.reader.records([message(n).id for n in range(1, 5)]) for one in record.rows]
        assert timers(file.places[0]) == {one.id: one.timer for one in rows if one.timer}
        for one in rows:
            assert one.state in ENDED or 0 < one.timer <= one.wake
            assert one.timer == 0 or one.timer > player.now


def test_a_change_in_between_costs_one_early_ring_and_no_more(file: OnFile, player: Player) -> None:
    head = player.leased(message(1, life=HOUR))
    player.end(head, Uncertain("link_lost", link_alive=False))
    repeat = timers(file.places[0])[head]
    assert repeat < NOW + HOUR
    player.end(head, OK, attempt=1, operator_id="x")
    assert timers(file.places[0])[head] == repeat  # nobody moved it
    player.now = repeat
    assert [player.wake(), player.wake()] == [1, 0]
    assert timers(file.places[0])[head] == player.row(head).wake
    assert player.state(head) is State.SENT


def test_nothing_rings_for_what_was_forgotten(file: OnFile, player: Player) -> None:
    head = player.sent(message(1, parts=2))
    player.hear("op-1-1")
    player.hear("op-1-2")
    player.forget((head, player.record(head).rows[0].event))
    assert timers(file.places[0]) == {}
    player.commit(Ack("local", "ledger", 1), Wake(10))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from((1, 999, 30_000, 60_000, HOUR, 24 * HOUR)), max_size=12))
def test_an_ended_part_is_told_again_until_it_is_forgotten(tmp_path: Path, passed: list[int]) -> None:
    file = OnFile(tmp_path / f"{len(list(tmp_path.iterdir()))}.db")
    player = Player(file.open)
    head = player.sent(message(1, life=HOUR))
    player.hear("op-1-1")
    due = NOW + HOUR
    for milliseconds in passed:
        player.pass_time(milliseconds)
        player.store.work([Wake(10)], player.now)
        told = [one.message for one in player.store.flush().over]
        assert told == ([head] if player.now >= due else [])
        due = player.now + RING_AGAIN if told else due
    file.drop()
