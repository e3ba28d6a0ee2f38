"""Two operators, one of which is gone, throttles, or sends away: what leaves by the other, when, and what stays."""

from __future__ import annotations

import pytest

from mgate.dispatch import belief, mover, way
from mgate.model.message import State, TrafficClass
from mgate.model.outcome import Accepted, Deferred, Elsewhere, NotWritten, Outcome, Uncertain
from mgate.policy.step import THROTTLES
from tests.unit.dispatch.house import House
from tests.unit.dispatch.world import ROUTE, network

OTHER = "sms:op-b"
OTP, FRAUD, TRANSACTION, MARKETING = (
    TrafficClass.OTP,
    TrafficClass.FRAUD,
    TrafficClass.TRANSACTION,
    TrafficClass.MARKETING,
)
STEP = 0.05


class Pair(House):
    """A house with two operators; the first is preferred."""

    def __init__(self, windows: tuple[int, ...] = (10,), routes: tuple[str, ...] = (ROUTE, OTHER)) -> None:
        super().__init__(windows, 0.0, routes)
        self.dispatcher.start()

    def step(self, seconds: float = STEP) -> None:
        self.disk.answer()
        self.clock.advance(seconds)
        while self.disk.asked:
            self.disk.look()
        self.disk.answer_reads()
        self.disk.commit()
        self.disk.answer()

    def run(self, seconds: float, *answering: str) -> None:
        """Time passes; the operators of these routes take all at once."""
        for _ in range(round(seconds / STEP)):
            self.step()
            for route in answering:
                self.channels[route].answer(Accepted("7"))
            self.disk.wake()

    def one(self, traffic: TrafficClass, parts: int = 1) -> None:
        self.push([(traffic, parts, "a")])

    def written(self, route: str) -> list[TrafficClass]:
        return [out.traffic for out in self.channels[route].written]

    def cut(self, route: str = ROUTE) -> None:
        for bind in range(len(self.windows)):
            self.channels[route].drop(bind)

    def restore(self, route: str = ROUTE) -> None:
        for bind in range(len(self.windows)):
            self.channels[route].rise(bind)


def settled(*pushes: tuple[TrafficClass, int], windows: tuple[int, ...] = (10,)) -> Pair:
    """A pair whose first operator has these messages and answers nothing."""
    pair = Pair(windows)
    for traffic, parts in pushes:
        pair.one(traffic, parts)
    for _ in range(5):
        pair.step()
    return pair


def test_everything_leaves_by_the_preferred_route_while_it_is_open() -> None:
    pair = settled((OTP, 1), (MARKETING, 1), (TRANSACTION, 3))
    assert (len(pair.written(ROUTE)), pair.written(OTHER)) == (5, [])


def test_a_code_that_is_accepted_while_its_route_is_down_leaves_by_the_other_at_once() -> None:
    pair = Pair()
    pair.cut()
    pair.one(OTP)
    pair.one(TRANSACTION)
    for _ in range(4):
        pair.step()
    assert (pair.written(ROUTE), pair.written(OTHER)) == ([], [OTP])


def test_what_waits_on_a_dead_route_leaves_by_the_other_when_its_class_has_no_more_patience() -> None:
    pair = settled(*[(OTP, 1)] * 25, *[(TRANSACTION, 1)] * 25, windows=(4,))
    pair.cut()
    pair.run(9.5, OTHER)
    assert {out.attempt for out in pair.channels[OTHER].written} <= {2}
    pair.run(1.5, OTHER)
    assert pair.written(OTHER).count(OTP) == 25
    pair.run(48, OTHER)
    assert pair.written(OTHER).count(TRANSACTION) == 0
    pair.run(6, OTHER)
    assert pair.written(OTHER).count(TRANSACTION) == 25
    repeated = [row for row in pair.store.rows.values() if any(attempt.repeat for attempt in row.tries)]
    assert len(repeated) == 4  # what was in doubt when the link was lost


def test_a_route_that_is_back_keeps_what_has_not_moved_and_gets_what_is_new() -> None:
    pair = settled(*[(MARKETING, 1)] * 30, windows=(1,))
    pair.cut()
    pair.run(59, OTHER)
    pair.restore()
    pair.run(10, ROUTE, OTHER)
    pair.one(OTP)
    pair.run(1, ROUTE, OTHER)
    assert pair.written(OTHER) == []
    assert pair.written(ROUTE).count(OTP) == 1
    assert pair.written(ROUTE).count(MARKETING) == 30


def test_rows_go_in_batches_the_most_urgent_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mover, "BATCH", 4)
    pair = settled(*[(MARKETING, 1)] * 12, *[(TRANSACTION, 1)] * 6, windows=(1,))
    pair.cut()
    before = pair.disk.commits
    pair.run(63, OTHER)
    assert pair.written(OTHER) == [TRANSACTION] * 5 + [MARKETING] * 12
    assert pair.disk.commits - before >= 5


def test_nothing_moves_when_no_other_route_is_open() -> None:
    pair = settled(*[(OTP, 1)] * 5, windows=(1,))
    pair.cut(OTHER)
    pair.cut()
    pair.run(20)
    assert {row.route for row in pair.rows(State.READY)} == {ROUTE}
    pair.restore()
    pair.run(10, ROUTE)
    assert (len(pair.written(ROUTE)), pair.written(OTHER)) == (6, [])


def test_a_message_of_which_a_part_may_have_left_waits_for_its_own_route() -> None:
    pair = settled((TRANSACTION, 3), windows=(1,))
    pair.channels[ROUTE].answer(Accepted("7"), 1)
    pair.step()
    pair.cut()
    pair.run(80, OTHER)
    assert pair.written(OTHER) == []
    pair.restore()
    pair.run(5, ROUTE)
    assert {attempt.route for row in pair.store.rows.values() for attempt in row.tries} == {ROUTE}


def test_a_code_in_doubt_is_repeated_by_the_other_route_and_a_debit_by_its_own() -> None:
    pair = settled((OTP, 1), (TRANSACTION, 1))
    pair.cut()
    pair.run(1, OTHER)
    assert [(out.traffic, out.attempt) for out in pair.channels[OTHER].written] == [(OTP, 2)]
    pair.restore()
    pair.run(602, ROUTE, OTHER)
    assert [(out.traffic, out.attempt) for out in pair.channels[ROUTE].written][2:] == [(TRANSACTION, 2)]
    assert all(attempt.repeat == (attempt.n == 2) for row in pair.store.rows.values() for attempt in row.tries)


def test_the_codes_that_wait_on_a_suspect_route_leave_at_once_and_debits_stay() -> None:
    pair = settled(*[(OTP, 1)] * 6, *[(TRANSACTION, 1)] * 6, windows=(2,))
    pair.channels[ROUTE].suspect = True
    pair.dispatcher.binds_changed(ROUTE)
    pair.run(1.5, OTHER)
    assert pair.written(OTHER) == [OTP] * 4
    assert {move.reason for move in pair.disk.moves} == {"no_answers"}


@pytest.mark.parametrize("status", sorted(THROTTLES))
def test_a_throttled_code_leaves_by_the_other_route_at_once_and_a_debit_waits(status: str) -> None:
    pair = settled((OTP, 1), (TRANSACTION, 1))
    pair.channels[ROUTE].up.clear()  # as the bind does while it is throttled
    pair.channels[ROUTE].answer(Deferred(status))
    for _ in range(5):
        pair.step()
    assert pair.written(OTHER) == [OTP]
    assert not any(attempt.repeat for row in pair.store.rows.values() for attempt in row.tries)


def test_a_throttled_code_waits_when_the_other_route_is_down() -> None:
    pair = settled((OTP, 1))
    pair.cut(OTHER)
    pair.channels[ROUTE].answer(Deferred("ESME_RTHROTTLED"))
    pair.run(1, ROUTE)
    assert len(pair.written(ROUTE)) == 2


def test_what_a_route_sends_away_leaves_by_the_other_and_the_number_is_remembered() -> None:
    pair = settled((TRANSACTION, 1))
    pair.channels[ROUTE].answer(Elsewhere("ESME_RINVDSTADR", "foreign_network"))
    pair.run(1, OTHER)
    pair.one(TRANSACTION)
    pair.run(1, OTHER)
    assert (len(pair.written(ROUTE)), len(pair.written(OTHER))) == (1, 2)
    pair.clock.advance(86_401.0)
    pair.one(TRANSACTION)
    pair.run(1, ROUTE, OTHER)
    assert (len(pair.written(ROUTE)), len(pair.written(OTHER))) == (2, 2)


def test_a_route_whose_quota_is_used_up_gets_nothing_new_for_a_while() -> None:
    pair = settled((TRANSACTION, 1))
    pair.channels[ROUTE].answer(Elsewhere("ESME_RSUBMITFAIL", "quota"))
    pair.run(1, OTHER)
    pair.one(TRANSACTION)
    pair.run(1, OTHER)
    assert len(pair.written(OTHER)) == 2
    pair.clock.advance(900.0)
    pair.one(TRANSACTION)
    pair.run(1, ROUTE, OTHER)
    assert len(pair.written(ROUTE)) == 2


@pytest.mark.parametrize("outcome", [Elsewhere("ESME_RINVDSTADR", "other_route"), NotWritten("link_lost")])
def test_what_comes_back_is_found_on_either_route_without_a_look_by_the_clock(
    outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(belief, "LOOK_AGAIN", 1e9)
    monkeypatch.setattr(way, "LOOK_AGAIN", 1e9)
    pair = settled((TRANSACTION, 2))
    pair.channels[ROUTE].answer(outcome)
    pair.run(1, ROUTE, OTHER)
    assert len(pair.rows(State.SENT)) == 2


def test_the_rows_of_an_account_that_is_gone_move_at_once() -> None:
    pair = settled(*[(MARKETING, 1)] * 20, windows=(1,))
    pair.channels[ROUTE].up.clear()
    pair.channels[ROUTE].answer(Accepted("7"))
    pair.step()
    pair.dispatcher.apply(network(OTHER))
    pair.dispatcher.remove(ROUTE)
    pair.run(3, OTHER)
    assert len(pair.written(OTHER)) == 19


def test_two_routes_that_throttle_do_not_hand_a_code_to_and_fro() -> None:
    pair = settled((OTP, 1))
    for route in (ROUTE, OTHER):
        pair.channels[route].up.clear()
        pair.dispatcher.binds_changed(route)
        pair.channels[route].answer(Deferred("ESME_RTHROTTLED"))
        pair.run(1)
    (row,) = pair.store.rows.values()
    assert [attempt.route for attempt in row.tries] == [ROUTE, OTHER]
    assert (row.state, row.burned) == (State.READY, 0)


def test_a_code_in_doubt_on_the_only_route_is_repeated_there() -> None:
    pair = Pair(routes=(ROUTE,))
    pair.one(OTP)
    pair.run(1)
    pair.channels[ROUTE].answer(Uncertain("response_timeout", link_alive=True))
    pair.run(7, ROUTE)
    (row,) = pair.store.rows.values()
    assert [(attempt.route, attempt.repeat) for attempt in row.tries] == [(ROUTE, False), (ROUTE, True)]
