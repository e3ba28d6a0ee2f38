"""The rate over virtual seconds, as an operator would measure it."""

from collections.abc import Sequence

import pytest

from mgate.model.message import State, TrafficClass
from mgate.model.outcome import Accepted, Deferred
from tests.unit.dispatch.world import ROUTE, World

OTP, MARKETING = TrafficClass.OTP, TrafficClass.MARKETING
SECONDS = 10


def most_in(moments: Sequence[float], span: float) -> int:
    """The most that lie in any window of ``span`` seconds."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= span:
            first += 1
        most = max(most, last - first + 1)
    return most


def steady(traffic: TrafficClass, rate: int) -> list[float]:
    """The moments of the PDUs of a backlog, after the first second."""
    world = World((200,), rate)
    for _ in range(rate * (SECONDS + 2)):
        world.stored(traffic)
    world.dispatcher.binds_changed(ROUTE)
    world.run(SECONDS + 1.0005, 0.001 if rate > 100 else 0.0025)
    return [moment for moment in world.channel.moments if moment >= 1]


@pytest.mark.parametrize("rate", [10, 100, 1000])
def test_urgent_traffic_keeps_the_accounts_rate_within_one_percent(rate: int) -> None:
    moments = steady(OTP, rate)
    assert abs(len(moments) - rate * SECONDS) <= max(rate * SECONDS * 0.01, 1)
    assert most_in(moments, 0.1) <= rate * 0.1 * 1.06 + 1


@pytest.mark.parametrize("rate", [10, 100, 1000])
def test_bulk_keeps_four_fifths_of_the_rate_within_one_percent(rate: int) -> None:
    moments = steady(MARKETING, rate)
    assert abs(len(moments) - rate * 0.8 * SECONDS) <= max(rate * 0.8 * SECONDS * 0.01, 1)
    assert most_in(moments, 0.1) <= rate * 0.08 * 1.06 + 1


def test_the_rate_is_the_accounts_over_all_its_binds_and_counted_in_pdus() -> None:
    world = World((50, 50, 50), 100)
    for _ in range(600):
        world.stored(OTP, parts=2)
    world.dispatcher.binds_changed(ROUTE)
    for bind in (0, 1):  # whichever is up, the tokens are the same
        world.run(2.0, 0.0025)
        world.channel.drop(bind)
    world.run(2.0, 0.0025)
    moments = [moment for moment in world.channel.moments if moment >= 1]
    assert abs(len(moments) - 500) <= 10
    assert {outgoing.bind for outgoing in world.channel.written} == {0, 1, 2}


def test_a_quiet_hour_is_no_right_to_a_burst() -> None:
    world = World((200,), 100)
    world.dispatcher.binds_changed(ROUTE)
    world.clock.advance(3600)
    world.settle()
    for _ in range(500):
        world.stored(OTP)
    world.run(2)
    assert most_in(world.channel.moments, 0.1) <= 20
    assert most_in(world.channel.moments, 1.0) <= 111


def test_an_otp_does_not_wait_behind_bulk_for_a_token() -> None:
    world = World((200,), 100)
    for _ in range(2000):
        world.stored(MARKETING)
    world.dispatcher.binds_changed(ROUTE)
    world.run(3)
    for _ in range(50):
        world.run(0.05)
        part = world.accept(OTP)
        world.commit()
        assert world.written[-1] == part


def test_all_parts_of_a_message_are_paid_and_leave_at_once() -> None:
    world = World((200,), 10)
    for _ in range(40):
        world.stored(OTP, parts=5)
    world.dispatcher.binds_changed(ROUTE)
    world.run(4.5)
    moments = world.channel.moments
    assert len(set(moments)) * 5 == len(moments)
    assert abs(len(moments) - 45) <= 5


def test_tokens_of_leases_that_took_no_row_come_back() -> None:
    world = World((200,), 10)
    world.dispatcher.binds_changed(ROUTE)
    world.settle()
    world.accept(OTP, parts=9, known=True)
    world.accept(OTP, known=True)  # finds no token
    world.commit()
    assert world.way.slots.used == 0
    world.accept(OTP)
    world.commit()
    assert len(world.written) == 1


def test_tokens_of_parts_that_were_cancelled_under_the_lease_come_back() -> None:
    world = World((200,), 10)
    cancelled, alive = world.stored(OTP, parts=9), world.stored(OTP)
    world.dispatcher.binds_changed(ROUTE)
    world.clock.advance(0)
    world.spool.answer_reads()
    for n in range(9):
        world.spool.rows[cancelled + n].state = State.CANCELLED
    world.settle()
    assert world.way.missed == 9
    assert world.written == [alive]


def test_a_retry_pays_for_itself() -> None:
    world = World((200,), 10)
    for _ in range(5):
        world.stored(OTP)
    world.dispatcher.binds_changed(ROUTE)
    for _ in range(300):
        world.settle(2)
        world.channel.answer(Deferred("ESME_RSYSERR"))
        world.clock.advance(0.01)
    assert most_in(world.channel.moments, 1.0) <= 11


def test_without_a_limit_only_the_window_counts() -> None:
    world = World((1000,))
    for _ in range(3000):
        world.stored(OTP)
    world.dispatcher.binds_changed(ROUTE)
    for _ in range(4):
        world.settle()
        world.channel.answer(Accepted("1"))
    assert len(world.written) == 3000


def test_an_account_whose_operator_throttles_goes_at_half_and_comes_back() -> None:
    world = World((200,), 100)
    for _ in range(8000):
        world.stored(OTP)
    world.dispatcher.binds_changed(ROUTE)

    def run(seconds: float) -> int:
        before = len(world.channel.moments)
        world.run(seconds)
        return len(world.channel.moments) - before

    assert run(3.0) == pytest.approx(300, abs=15)
    world.clock.advance(0.02)
    world.settle(2)
    world.channel.answer(Deferred("ESME_RTHROTTLED"))
    world.settle()
    assert run(2.0) == pytest.approx(100, abs=15)
    run(20.0)
    assert run(2.0) == pytest.approx(200, abs=15)
