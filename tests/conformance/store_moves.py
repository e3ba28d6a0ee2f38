"""Other routes: what a refusal sends there, what a dead route gives up, and what ties a message to its account."""

from __future__ import annotations

import pytest

from mgate.model.message import Fate, State, TrafficClass
from mgate.model.outcome import Deferred, Elsewhere, NotWritten, Rejected, Uncertain, Why
from mgate.model.ready import Ask, Mark
from mgate.spool.verbs import Lease, Move, Shift, Wish
from tests.conformance.player import HOUR, NOW, OK, OTHER_ROUTE, ROUTE, Player, kind_of, message, slot
from tests.conformance.store_acceptance import Played

THIRD = "sms:op-c"
BOTH = (OTHER_ROUTE, THIRD)
OTP, TRANSACTION = TrafficClass.OTP, TrafficClass.TRANSACTION
LOST = Uncertain("link_lost", link_alive=False, routes=(OTHER_ROUTE,))


def away(why: Why = "other_route", routes: tuple[str, ...] = BOTH) -> Elsewhere:
    return Elsewhere("ESME_RINVDSTADR", why, routes)


def move(player: Player, *parts: int, routes: tuple[str, ...] = BOTH, route: str = ROUTE) -> int:
    shifts = tuple(Shift(part, route, routes) for part in parts)
    (moved,) = player.commit(Move(shifts, "no_bind"))
    return kind_of(moved, int)


def waiting(player: Player, route: str, lane: int = 2) -> list[int]:
    return [header.part for header in player.reader.ready(Ask(route, lane, 10, frozenset()), player.now).headers]


class MoveClaims(Played):
    # ---- refused here, and perhaps not elsewhere -------------------------------------------------------------------

    def test_what_another_route_may_take_is_ready_there_at_once_in_its_place(self, player: Player) -> None:
        head = player.leased(message(1))
        player.pass_time(40)
        player.end(head, away())
        row = player.row(head)
        assert (row.state, row.route, row.due, row.burned) == (State.READY, OTHER_ROUTE, NOW, 0)
        assert (waiting(player, ROUTE), waiting(player, OTHER_ROUTE)) == ([], [head])
        assert player.events(head) == ["accepted"]
        assert [attempt.fate for attempt in row.tries] == [Fate.REFUSED]
        assert row.tries[0].reason == row.reason == "ESME_RINVDSTADR"

    def test_the_lease_of_a_route_takes_nothing_that_is_on_another(self, player: Player) -> None:
        head = player.leased(message(1))
        player.end(head, away())
        assert player.lease(head, reference=2) == [None]
        assert player.lease(head, reference=3, route=OTHER_ROUTE) != [None]
        player.end(head, OK, operator_id="b")
        assert player.hear("b") == "early"
        assert player.hear("b", account=OTHER_ROUTE) == "matched"
        assert [attempt.route for attempt in player.row(head).tries] == [ROUTE, OTHER_ROUTE]

    def test_a_route_that_sent_it_away_is_not_asked_again(self, player: Player) -> None:
        head = player.leased(message(1))
        player.end(head, away())
        player.lease(head, reference=2, route=OTHER_ROUTE)
        player.end(head, away(routes=(ROUTE, THIRD)))
        assert player.row(head).route == THIRD
        player.lease(head, reference=3, route=THIRD)
        player.end(head, away(routes=(ROUTE, OTHER_ROUTE)))
        assert player.state(head) is State.UNDELIVERED
        assert player.events(head) == ["accepted", "undelivered"]
        assert not player.record(head).journal[-1].may_have_been_sent

    def test_a_route_that_could_not_write_it_is(self, player: Player) -> None:
        head = player.leased(message(1))
        player.end(head, NotWritten("link_lost"))
        assert move(player, head) == 1
        player.lease(head, reference=2, route=OTHER_ROUTE)
        player.end(head, away(routes=(ROUTE,)))
        assert (player.state(head), player.row(head).route) == (State.READY, ROUTE)

    @pytest.mark.parametrize(
        ("why", "state", "wait"),
        [
            ("other_route", State.UNDELIVERED, None),
            ("foreign_network", State.UNDELIVERED, None),
            ("quota", State.READY, 1_000),
            ("throttled", State.READY, 0),
        ],
    )
    def test_without_another_route_the_refusal_says_what_follows(
        self, player: Player, why: Why, state: State, wait: int | None
    ) -> None:
        head = player.leased(message(1))
        player.end(head, away(why, ()))
        row = player.row(head)
        assert (row.state, row.route, row.burned) == (state, ROUTE, 0)
        assert wait is None or row.due == NOW + wait

    def test_a_throttled_message_may_come_back_to_the_route_that_throttled_it(self, player: Player) -> None:
        head = player.leased(message(1, traffic=OTP))
        player.end(head, away("throttled", (OTHER_ROUTE,)))
        player.lease(head, reference=2, route=OTHER_ROUTE)
        player.end(head, away("throttled", (ROUTE,)))
        assert player.row(head).route == ROUTE

    def test_the_parts_of_a_message_move_together_when_the_last_answer_allows_it(self, player: Player) -> None:
        head = player.ready(message(1, parts=3))
        player.lease(head, head + 1)
        player.end(head, away())
        assert [row.route for row in player.record(head).rows] == [ROUTE] * 3
        assert player.row(head).due == NOW + 1_000
        player.end(head + 1, away())
        assert [row.route for row in player.record(head).rows] == [OTHER_ROUTE] * 3
        assert waiting(player, OTHER_ROUTE) == [head, head + 1, head + 2]

    @pytest.mark.parametrize("outcome", [OK, Uncertain("link_lost", link_alive=False)])
    def test_a_part_that_may_have_left_ties_its_siblings_to_its_account(
        self, player: Player, outcome: Uncertain
    ) -> None:
        head = player.leased(message(1, parts=2))
        player.end(head, outcome)
        player.end(head + 1, away())
        assert player.states(head)[1] is State.UNDELIVERED
        assert {row.route for row in player.record(head).rows} == {ROUTE}

    def test_a_failed_sibling_keeps_a_part_from_going_elsewhere(self, player: Player) -> None:
        head = player.leased(message(1, parts=2))
        player.end(head, Rejected("ESME_RINVSRCADR"))
        player.end(head + 1, away())
        assert player.states(head) == [State.UNDELIVERED, State.UNDELIVERED]

    def test_a_late_answer_that_sends_it_away_takes_an_uncertain_part_along(self, player: Player) -> None:
        head = player.leased(message(1))
        player.end(head, Uncertain("response_timeout", link_alive=True))
        player.end(head, away())
        assert (player.state(head), player.row(head).route) == (State.READY, OTHER_ROUTE)
        assert player.lease(head, reference=2, route=OTHER_ROUTE) != [None]
        assert not player.row(head).tries[-1].repeat

    # ---- a route that is dead --------------------------------------------------------------------------------------

    def test_what_waits_on_a_dead_route_moves_with_its_siblings_and_keeps_its_place(self, player: Player) -> None:
        old, young = player.ready(message(1, parts=2)), player.ready(message(2, due=NOW + 5))
        player.pass_time(10)
        assert move(player, young, old) == 3
        assert waiting(player, ROUTE) == []
        assert waiting(player, OTHER_ROUTE) == [old, old + 1, young]
        assert player.row(old + 1).reason == "no_bind"
        player.reopen()
        assert waiting(player, OTHER_ROUTE) == [old, old + 1, young]
        assert player.reader.routes() == [OTHER_ROUTE]

    def test_a_wish_to_move_what_has_moved_on_is_nothing(self, player: Player) -> None:
        leased, sent, ready = player.leased(message(1)), player.sent(message(2)), player.ready(message(3))
        assert move(player, leased, sent, ready, 17, routes=()) == 0
        assert move(player, ready, routes=(ROUTE,)) == 0
        assert move(player, ready, route=THIRD) == 0
        assert move(player, leased, sent, ready) == 1
        assert move(player, ready) == 0

    def test_a_lease_goes_before_a_move_of_the_same_commit(self, player: Player) -> None:
        head = player.ready(message(1))
        moving = Move((Shift(head, ROUTE, BOTH),), "no_bind")
        moved, leases = player.commit(moving, Lease((Wish(head, slot(1)),)))
        assert (moved, leases) != (1, (None,))
        assert (player.state(head), player.row(head).route) == (State.LEASED, ROUTE)

    @pytest.mark.parametrize("outcome", [OK, Uncertain("link_lost", link_alive=False), None])
    def test_what_is_tied_to_an_account_does_not_move(self, player: Player, outcome: Uncertain | None) -> None:
        head = player.ready(message(1, parts=2))
        player.lease(head)
        if outcome is not None:
            player.end(head, outcome)
        assert move(player, head + 1) == 0

    def test_a_repeat_of_a_debit_does_not_move_and_that_of_a_code_does(self, player: Player) -> None:
        doubtful = Uncertain("link_lost", link_alive=False)
        heads = [player.leased(message(1, traffic=TRANSACTION)), player.leased(message(2, traffic=OTP))]
        for head in heads:
            player.end(head, doubtful)
        player.wake_until_quiet()
        assert (player.state(heads[1]), move(player, heads[1])) == (State.READY, 1)
        player.pass_time(600_000)
        player.wake_until_quiet()
        assert (player.state(heads[0]), move(player, heads[0])) == (State.READY, 0)

    def test_what_waits_is_read_in_the_order_of_its_lane_from_any_place(self, player: Player) -> None:
        due = {1: ("b", NOW), 2: ("a", NOW + 2), 3: ("a", NOW + 1), 4: ("a", NOW + 90)}
        for count, (client, at) in due.items():
            player.ready(message(count, client=client, due=at))
        player.ready(message(5, route=OTHER_ROUTE))
        player.pass_time(3)
        ids = {count: message(count).id for count in due}
        order = [Mark("a", NOW + 1, ids[3]), Mark("a", NOW + 2, ids[2]), Mark("b", NOW, ids[1])]
        found = player.reader.queued(ROUTE, 2, Mark(), 10, player.now)
        assert [(one.mark, one.n) for one in found] == [(mark, 1) for mark in order]
        assert [one.mark for one in player.reader.queued(ROUTE, 2, order[0], 1, player.now)] == [order[1]]
        assert player.reader.queued(ROUTE, 1, Mark(), 10, player.now) == []
        assert player.reader.routes() == [ROUTE, OTHER_ROUTE]

    # ---- repeats ---------------------------------------------------------------------------------------------------

    def test_a_code_in_doubt_is_repeated_by_another_route_and_marked(self, player: Player) -> None:
        head = player.leased(message(1, traffic=OTP))
        player.end(head, LOST)
        assert (player.state(head), player.row(head).route) == (State.UNCERTAIN, ROUTE)
        player.wake_until_quiet()
        assert (player.state(head), player.row(head).route) == (State.READY, OTHER_ROUTE)
        player.lease(head, reference=2, route=OTHER_ROUTE)
        assert [(one.route, one.repeat) for one in player.row(head).tries] == [(ROUTE, False), (OTHER_ROUTE, True)]

    def test_a_code_that_a_crash_left_in_doubt_is_repeated_by_another_route(self, player: Player) -> None:
        code, debit = player.leased(message(1, traffic=OTP)), player.leased(message(2))
        player.reopen()
        assert player.store.sweep(player.now, (ROUTE, OTHER_ROUTE)) == 2
        player.wake_until_quiet()
        assert (player.row(code).route, player.row(debit).route) == (OTHER_ROUTE, ROUTE)

    @pytest.mark.parametrize(("traffic", "parts"), [(TRANSACTION, 1), (OTP, 2)])
    def test_a_repeat_of_a_debit_or_of_one_of_several_parts_stays(
        self, player: Player, traffic: TrafficClass, parts: int
    ) -> None:
        head = player.leased(message(1, traffic=traffic, parts=parts))
        player.end(head, LOST)
        player.pass_time(600_000 if traffic is TRANSACTION else 0)
        player.wake_until_quiet()
        assert (player.row(head).state, player.row(head).route) == (State.READY, ROUTE)

    def test_a_route_that_sent_it_away_gets_no_repeat_of_it(self, player: Player) -> None:
        head = player.leased(message(1, traffic=OTP))
        player.end(head, away(routes=(OTHER_ROUTE,)))
        player.lease(head, reference=2, route=OTHER_ROUTE)
        player.end(head, Uncertain("link_lost", link_alive=False, routes=(ROUTE, THIRD)))
        player.wake_until_quiet()
        assert player.row(head).route == THIRD

    def test_a_refused_repeat_goes_to_a_third_route_and_the_doubt_stays(self, player: Player) -> None:
        head = player.leased(message(1, traffic=OTP))
        player.end(head, LOST)
        player.wake_until_quiet()
        player.lease(head, reference=2, route=OTHER_ROUTE)
        player.end(head, away(routes=(ROUTE, THIRD)))
        assert (player.state(head), player.row(head).route) == (State.UNCERTAIN, ROUTE)
        player.pass_time(5_000)
        player.wake_until_quiet()
        assert (player.row(head).route, player.fates(head)) == (THIRD, [Fate.IN_DOUBT, Fate.REFUSED])

    def test_a_late_answer_of_the_first_route_is_told_of_that_route(self, player: Player) -> None:
        head = player.leased(message(1, traffic=OTP))
        player.end(head, LOST)
        player.wake_until_quiet()
        assert player.row(head).route == OTHER_ROUTE
        player.store.work([player.ending(head, OK, attempt=1, operator_id="a")], player.now)
        assert [(told.route, told.event) for told in player.store.flush().told] == [(ROUTE, "sent")]
        assert (player.state(head), player.row(head).route) == (State.SENT, ROUTE)
        assert waiting(player, OTHER_ROUTE, lane=1) == []

    def test_a_person_s_release_goes_where_the_repeat_was_to_go(self, player: Player) -> None:
        head = player.leased(message(1, traffic=TrafficClass.FRAUD))
        player.end(head, Uncertain("response_timeout", link_alive=True, routes=(OTHER_ROUTE,)))
        assert player.release(head, 1)
        assert player.row(head).route == OTHER_ROUTE

    def test_a_move_that_fails_at_the_deferral_of_a_sibling_is_made_up_for(self, player: Player) -> None:
        head = player.leased(message(1, parts=2, life=HOUR))
        player.end(head, away())
        player.end(head + 1, Deferred("ESME_RTHROTTLED"))
        assert {row.route for row in player.record(head).rows} == {ROUTE}
        player.pass_time(1_000)
        player.lease(head, reference=3)
        player.end(head, away())
        assert {row.route for row in player.record(head).rows} == {OTHER_ROUTE}
