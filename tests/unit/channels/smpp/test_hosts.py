"""Several hosts, refusals that ask for patience, and sessions that end as they may: rows 35, 37 to 41, 50 and 52."""

from __future__ import annotations

from itertools import pairwise

import pytest
from twisted.internet.task import Clock

from mgate.channels.smpp import pdu
from mgate.channels.smpp.channel import SmppChannel
from mgate.channels.smpp.events import Refusal
from mgate.channels.smpp.hosts import Host, Hosts
from mgate.channels.smpp.reconnect import Lockout, Spacing
from mgate.channels.smpp.standing import BindState
from mgate.model.message import Secret
from mgate.telemetry import Level, Log
from tests.unit.channels.smpp.line import START, Call, Endpoint, Line, started


class TwoHosts(Line):
    """An account with two hosts, its binds not started."""

    def __init__(self, fail_back: float = 600.0, **settings: object) -> None:
        super().__init__(**settings)
        self.first, self.second = Endpoint(self.clock), Endpoint(self.clock)
        self.hosts = Hosts(
            (Host("a.example:2775", self.first, Spacing(1.0)), Host("b.example:2775", self.second, Spacing(1.0))),
            fail_back,
        )
        self.channel = SmppChannel(
            self.sms, Secret("hush"), self.ear, self.ear, self.hosts, self.clock,
            lambda: START + self.clock.seconds(), Log(self.logged.append, Level.DEBUG), lambda: 0.5,
        )  # fmt: skip
        self.channel.start()
        self.clock.advance(0)


def lose_politely(call: Call) -> None:
    call.say(pdu.pack_simple(pdu.UNBIND, 77))
    call.lose(clean=True)


def answer_unbind(call: Call) -> None:
    (frame,) = [frame for frame in call.heard() if frame.command == pdu.UNBIND]
    call.say(pdu.pack_simple(pdu.UNBIND_RESP, frame.sequence))
    call.lose(clean=True)


# ---- which host ----


def test_the_first_host_is_called_and_the_second_when_the_first_cannot_be_reached() -> None:
    line = TwoHosts()
    line.first.calls[0].refuse()
    line.pump(1.1)
    line.second.calls[0].connect().bind()
    (status,) = line.channel.status()
    assert (status.state, status.peer) == (BindState.BOUND, "b.example:2775")
    assert len(line.first.calls) == 1


def test_a_host_that_failed_is_left_alone_until_the_fail_back_time_is_over() -> None:
    line = TwoHosts(fail_back=600.0)
    line.first.calls[0].refuse()
    line.pump(1.1)
    call = line.second.calls[0].connect().bind()
    line.clock.advance(100.0)
    lose_politely(call)
    line.pump(1.1)
    assert (len(line.first.calls), len(line.second.calls)) == (1, 2)


def test_a_bind_goes_back_to_the_preferred_host_when_its_answers_are_here() -> None:
    line = TwoHosts(fail_back=60.0, enquire_link=3600.0, response_limit=60.0)
    line.first.calls[0].refuse()
    line.pump(1.1)
    call = line.second.calls[0].connect().bind()
    line.channel.submit(line.parts(1))
    line.pump(60.0)
    assert not line.channel.open_binds()  # it takes no more, and waits for the answer
    assert call.answer() == 1
    line.pump(0.1)
    answer_unbind(call)
    line.pump(1.1)
    line.first.calls[1].connect().bind()
    assert line.channel.open_binds() == (0,)
    assert line.channel.status()[0].peer == "a.example:2775"
    line.clock.advance(3600)
    assert len(line.first.calls) == 2


def test_a_preferred_host_that_is_still_away_costs_one_call_and_the_bind_is_back_on_the_other() -> None:
    line = TwoHosts(fail_back=60.0, enquire_link=3600.0)
    line.first.calls[0].refuse()
    line.pump(1.1)
    call = line.second.calls[0].connect().bind()
    line.pump(60.1)
    answer_unbind(call)
    line.pump(1.1)
    line.first.calls[1].refuse()
    line.pump(2.1)
    line.second.calls[1].connect().bind()
    assert line.channel.open_binds() == (0,)
    line.pump(50.0)
    assert len(line.first.calls) == 2


def test_when_all_have_failed_the_one_that_failed_first_is_called() -> None:
    line = TwoHosts(fail_back=3600.0)
    for place in (0, 1, 0, 1):
        endpoint = (line.first, line.second)[place]
        assert endpoint.calls[-1].asked
        endpoint.calls[-1].refuse()
        line.pump(9.0)


def test_a_refused_bind_sends_the_next_call_to_the_other_host_but_a_wrong_password_does_not() -> None:
    line = TwoHosts()
    line.first.calls[0].connect().bind(pdu.ESME_RBINDFAIL).lose(clean=True)
    line.pump(1.1)
    assert len(line.second.calls) == 1
    other = TwoHosts(bad_password_wait=10.0)
    other.first.calls[0].connect().bind(pdu.ESME_RINVPASWD).lose(clean=True)
    other.pump(13.0)
    assert (len(other.first.calls), len(other.second.calls)) == (2, 0)


def test_a_link_that_broke_after_it_had_lasted_is_made_again_to_the_same_host() -> None:
    line = TwoHosts(enquire_link=3600.0)
    call = line.first.calls[0].connect().bind()
    line.clock.advance(40.0)
    call.lose()
    line.pump(1.1)
    assert (len(line.first.calls), len(line.second.calls)) == (2, 0)


def test_two_accounts_that_call_one_host_keep_one_spacing() -> None:
    clock = Clock()
    shared = Spacing(5.0)
    one, two = (Hosts((Host("a.example:2775", Endpoint(clock), shared),), 0.0) for _ in range(2))
    assert [one.plan(0.0, 0.0), two.plan(0.0, 0.0), one.plan(0.0, 0.0)] == [(0.0, 0), (5.0, 0), (10.0, 0)]


def test_an_hour_of_refusals_is_few_connects_and_none_come_close_together() -> None:
    line = Line(binds=4, reconnect_min=30.0, reconnect_max=300.0)
    line.channel.start()
    line.clock.advance(0)
    for _ in range(3600):
        line.clock.advance(1.0)
        for call in line.endpoint.calls:
            if call.asked:
                call.refuse()
    assert len(line.endpoint.moments) < 70
    assert all(after - before >= 29.0 for before, after in pairwise(sorted(line.endpoint.moments)))


# ---- passwords ----


def test_four_binds_with_a_wrong_password_try_it_once_in_five_minutes_together() -> None:
    line = Line(binds=4, bad_password_wait=300.0)
    line.channel.start()
    tries: list[float] = []
    for _ in range(3600):
        line.clock.advance(1.0)
        for call in line.endpoint.calls:
            if call.asked:
                tries.append(line.clock.seconds())
                call.connect().bind(pdu.ESME_RINVPASWD).lose(clean=True)
    assert 8 <= len(tries) <= 12
    assert all(after - before >= 299.0 for before, after in pairwise(tries))
    assert sum(bind.counts.refusals[Refusal.BAD_CREDENTIALS] for bind in line.channel.binds) == len(tries)


def test_when_the_password_is_right_again_all_binds_come_up() -> None:
    line = Line(binds=3, bad_password_wait=300.0, enquire_link=3600.0)
    line.channel.start()
    line.clock.advance(0)
    line.endpoint.calls[0].connect().bind(pdu.ESME_RINVPASWD).lose(clean=True)
    for _ in range(800):
        line.clock.advance(1.0)
        for call in line.endpoint.calls:
            if call.asked:
                call.connect().bind()
    assert len(line.channel.open_binds()) == 3


def test_an_administrator_who_resumes_a_bind_has_it_tried_at_once() -> None:
    line = Line(bad_password_wait=300.0)
    line.channel.start()
    line.clock.advance(0)
    line.endpoint.calls[0].connect().bind(pdu.ESME_RINVPASWD).lose(clean=True)
    line.pump(10.0)
    line.channel.resume()
    line.pump(1.1)
    line.endpoint.calls[1].connect().bind()
    assert line.channel.open_binds() == (0,)


def test_a_try_that_did_not_reach_the_operator_does_not_count_as_one() -> None:
    lockout = Lockout()
    lockout.refused(0.0, 300.0)
    assert not lockout.may_try(299.0)
    assert lockout.may_try(301.0)
    assert not lockout.may_try(302.0)
    lockout.not_tried()
    assert lockout.may_try(304.0)
    lockout.taken()
    assert all(lockout.may_try(305.0) for _ in range(3))


# ---- old sessions ----


def test_an_operator_that_holds_a_lost_session_for_two_minutes_is_asked_rarely_and_bound_soon_after() -> None:
    line = Line(reconnect_min=1.0, reconnect_max=60.0, enquire_link=3600.0)
    line.channel.start()
    line.clock.advance(0)
    while line.clock.seconds() < 200.0:
        line.clock.advance(0.5)
        call = line.endpoint.calls[-1]
        if call.asked:
            held = line.clock.seconds() < 120.0
            call.connect().bind(pdu.ESME_RALYBND if held else 0)
            if held:
                call.lose(clean=True)
    assert line.channel.open_binds() == (0,)
    assert len(line.endpoint.calls) <= 6
    assert line.endpoint.moments[-1] <= 180.0
    assert line.channel.binds[0].counts.refusals[Refusal.ALREADY_BOUND] == len(line.endpoint.calls) - 1


# ---- ends that are none ----


def test_a_session_that_ends_after_its_messages_is_in_order_and_is_made_again_without_a_growing_wait() -> None:
    line, call = started(reconnect_min=1.0)
    for number in range(5):
        line.channel.submit(line.parts(3))
        call.answer()
        call.lose(clean=True)
        assert line.channel.binds[0].counts.orderly == number + 1
        line.pump(1.1)
        call = line.endpoint.calls[-1].connect().bind()
    said = b"".join(line.logged)
    assert said.count(b'"bind_ended"') == 5
    assert b'"bind_closed"' not in said


def test_a_session_that_is_closed_before_it_took_anything_is_no_good_one() -> None:
    line, call = started(reconnect_min=1.0)
    for wait in (1, 2, 4):
        call.lose(clean=True)
        line.pump(wait - 0.2)
        assert line.endpoint.calls[-1] is call
        line.pump(0.4)
        call = line.endpoint.calls[-1].connect().bind()
    assert line.channel.binds[0].counts.orderly == 0


def test_a_nightly_unbind_is_answered_called_in_order_and_the_bind_is_back_in_a_second() -> None:
    line, call = started(enquire_link=86_400.0 / 24)
    for _ in range(3):
        line.clock.advance(3000.0)
        call.say(pdu.pack_simple(pdu.UNBIND, 77))
        assert [frame.command for frame in call.heard()][-1] == pdu.UNBIND_RESP
        call.lose(clean=True)
        line.pump(1.1)
        call = line.endpoint.calls[-1].connect().bind()
    assert line.channel.binds[0].counts.orderly == 3
    assert line.channel.open_binds() == (0,)


# ---- what operators may say first ----


@pytest.mark.parametrize("before_bind", [True, False])
def test_an_outbind_is_answered_by_our_bind_and_said_once(before_bind: bool) -> None:
    line = Line()
    line.channel.start()
    line.clock.advance(0)
    call = line.endpoint.calls[0].connect()
    outbind = pdu.HEADER.pack(22, pdu.OUTBIND, 0, 1) + b"smsc\0\0"
    if before_bind:
        call.say(outbind)
        call.bind()
    else:
        call.bind()
        call.say(outbind)
    assert line.channel.open_binds() == (0,)
    assert call.heard() == []  # outbind has no response, and a session that is bound asks for no other bind
    assert sum(b'"operator_called"' in said for said in line.logged) == 1


def test_an_alert_notification_is_said_without_the_number_and_answered_by_nothing() -> None:
    line, call = started()
    body = b"\1\1375291110001\0\1\1375291110002\0"
    call.say(pdu.HEADER.pack(16 + len(body), pdu.ALERT_NOTIFICATION, 0, 5) + body)
    assert call.heard() == []
    (said,) = [said for said in line.logged if b'"operator_called"' in said]
    assert b"alert_notification" in said
    assert b"375291110001" not in said
