"""Where a message goes as the routes stand, and what is remembered of a refusal."""

from __future__ import annotations

from datetime import UTC, date

from twisted.internet.task import Clock

from mgate.dispatch.foreign import Foreign
from mgate.dispatch.router import Network, Router
from mgate.model.address import Msisdn
from mgate.model.entry import Submission
from mgate.model.message import Outgoing, Secret, TrafficClass
from mgate.model.outcome import Accepted, Deferred, Elsewhere, NotWritten, Rejected, Uncertain
from mgate.policy.routing_table import Table, Target, WeekClock
from tests.unit.dispatch.world import FOREVER, router

A, B, C = "sms:op-a", "sms:op-b", "sms:op-c"
OTP, DEBIT = TrafficClass.OTP, TrafficClass.TRANSACTION
NUMBER, OTHER_NUMBER = "+375291110001", "+375291110002"


def asked(traffic: TrafficClass, to: str = NUMBER) -> Submission:
    return Submission(
        "core", "r", Msisdn(to), traffic, Secret("Code 482913"), "Example", FOREVER, 0.0, "", (), b"", b"", -1
    )  # fmt: skip


def out(route: str, traffic: TrafficClass = OTP, parts: int = 1, to: str = NUMBER) -> Outgoing:
    text = Secret("Code 482913")
    return Outgoing(8, 1, 0, 1, 1, parts, to, "Example", text, FOREVER, traffic, route, client="core")


def well(clock: Clock, *routes: str) -> Router:
    """All of these are open."""
    made = router(clock, *routes)
    for route in routes:
        made.stands(route, is_open=True)
    return made


def test_the_only_route_is_taken_however_it_stands() -> None:
    made = router(Clock(), A)
    assert (made.first(asked(OTP)), made.alone, made.is_open(A)) == (A, True, False)


def test_a_code_leaves_a_route_that_is_down_at_once_and_a_debit_after_a_minute() -> None:
    clock = Clock()
    made = well(clock, A, B)
    made.stands(A, is_open=False)
    assert (made.first(asked(OTP)), made.first(asked(DEBIT))) == (B, A)
    clock.advance(60)
    assert made.first(asked(DEBIT)) == B
    made.stands(A, is_open=True)
    assert (made.first(asked(OTP)), made.first(asked(DEBIT))) == (A, A)


def test_a_suspect_route_loses_codes_at_once_and_nothing_else() -> None:
    made = well(Clock(), A, B)
    made.stands(A, is_open=True, suspect=True)
    assert (made.first(asked(OTP)), made.first(asked(DEBIT))) == (B, A)
    assert (made.is_lost(A, urgent=True), made.is_lost(A, urgent=False)) == (True, False)
    made.stands(A, is_open=True)
    assert (made.first(asked(OTP)), made.is_lost(A, urgent=True)) == (A, False)


def test_when_all_are_down_the_first_waits() -> None:
    made = router(Clock(), A, B)
    assert made.first(asked(OTP)) == A
    assert not made.any_open_but(A)


def test_a_route_that_a_person_holds_or_that_is_poor_goes_behind() -> None:
    made = well(Clock(), A, B, C)
    made.hold(A, held=True)
    made.judge(B, poor=True)
    assert made.first(asked(DEBIT)) == C
    made.hold(A, held=False)
    assert made.first(asked(DEBIT)) == A


def test_only_what_may_go_elsewhere_is_told_where() -> None:
    made = well(Clock(), A, B)
    for outcome in (Accepted("7"), Rejected("x"), NotWritten("x"), Deferred("ESME_RX_T_APPN")):
        assert made.rerouted(out(A), outcome) is outcome
    lost = Uncertain("link_lost", link_alive=False)
    assert made.rerouted(out(A, DEBIT), lost) is lost
    assert made.rerouted(out(A, parts=2), lost) is lost
    assert made.rerouted(out(A), lost) == Uncertain("link_lost", link_alive=False, routes=(B,))


def test_what_is_sent_away_may_go_to_a_route_that_is_down_and_a_throttled_code_may_not() -> None:
    made = well(Clock(), A, B)
    made.stands(B, is_open=False)
    away = Elsewhere("ESME_RINVDSTADR", "other_route")
    assert made.rerouted(out(A), away) == Elsewhere("ESME_RINVDSTADR", "other_route", (B,))
    throttled = Deferred("ESME_RTHROTTLED")
    assert made.rerouted(out(A), throttled) is throttled
    made.stands(B, is_open=True)
    assert made.rerouted(out(A), throttled) == Elsewhere("ESME_RTHROTTLED", "throttled", (B,))
    assert made.rerouted(out(A, DEBIT), throttled) is throttled


def test_a_foreign_number_is_remembered_for_a_day_and_no_other_number() -> None:
    clock = Clock()
    made = well(clock, A, B)
    made.rerouted(out(A), Elsewhere("ESME_RINVDSTADR", "foreign_network"))
    assert (made.first(asked(DEBIT)), made.first(asked(DEBIT, OTHER_NUMBER))) == (B, A)
    clock.advance(86_401)
    assert made.first(asked(DEBIT)) == A


def test_what_was_learnt_is_bounded_and_the_oldest_goes_first() -> None:
    learnt = Foreign(100.0, bytes(16), most=2)
    for number in ("+1", "+2"):
        learnt.learn(number, A, 0.0)
    assert learnt.of("+1", 1.0) == {A}  # asked for, so it is young again
    learnt.learn("+3", B, 2.0)
    assert [learnt.of(number, 3.0) for number in ("+1", "+2", "+3")] == [{A}, frozenset(), {B}]
    assert learnt.of("+1", 101.0) == frozenset()


def test_other_accounts_are_taken_up_and_keep_how_they_stand() -> None:
    clock = Clock()
    made = well(clock, A, B)
    made.stands(A, is_open=False)
    clock.advance(70)
    table = Table.of_accounts([Target(A), Target(C)])
    made.apply(Network(table, (A, C), WeekClock(UTC)))
    assert (made.first(asked(DEBIT)), made.routes) == (C, (A, C))
    assert not made.is_open(B)
    made.stands(B, is_open=True)
    assert not made.is_open(B)


class Nobody:
    """Has approved of nothing."""

    def allows(self, sender: str, traffic: TrafficClass, text: str, day: date) -> str:
        return "sender_not_registered"


def test_a_message_that_no_route_may_have_has_none() -> None:
    clock = Clock()
    table = Table.of_accounts([Target(A)], {A: Nobody()})
    made = Router(Network(table, (A,), WeekClock(UTC)), Foreign(1.0, bytes(16)), clock.seconds, clock.seconds)
    assert made.first(asked(OTP)) == ""
