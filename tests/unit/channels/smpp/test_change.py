"""Other settings for an account that is running."""

from __future__ import annotations

import msgspec

from mgate.channels.smpp import pdu
from mgate.channels.smpp.standing import BindState
from mgate.model.message import Secret
from mgate.model.outcome import Accepted, NotWritten
from tests.unit.channels.smpp.line import Call, Endpoint, Line, started

NEW = Secret("shout")


def unbound(call: Call) -> None:
    """The operator answers our unbind, and the connection is gone."""
    frame = call.heard()[-1]
    assert frame.command == pdu.UNBIND
    call.say(pdu.pack_simple(pdu.UNBIND_RESP, frame.sequence))
    call.lose(clean=True)


def changed(line: Line, password: Secret = NEW, **settings: object) -> Endpoint:
    """Give it these settings and another way to connect; that way."""
    endpoint = Endpoint(line.clock)
    line.channel.apply(msgspec.structs.replace(line.sms, **settings), password, endpoint)
    return endpoint


def test_settings_that_concern_no_connection_leave_it_alone() -> None:
    line, call = started()
    changed(line, rate=10, window=50, enquire_link=60.0)
    line.pump(5.0)
    assert call.heard() == []
    assert line.channel.open_binds() == (0,)


def test_a_bind_that_rests_takes_nothing_and_hears_its_answers() -> None:
    line, call = started()
    (out,) = line.parts(1)
    line.channel.submit([out])
    line.channel.rest([0])
    assert not line.channel.open_binds()
    (late,) = line.parts(1)
    line.channel.submit([late])
    assert call.answer() == 1
    assert line.ear.results == [(late, NotWritten("bind_not_open")), (out, Accepted("a1"))]


def test_a_bind_that_signs_on_anew_unbinds_first_and_uses_what_it_was_given() -> None:
    line, call = started()
    endpoint = changed(line, system_id="other")
    line.channel.rest([0])
    gone: list[None] = []
    line.channel.renew(0).addCallback(gone.append)
    assert gone == []
    unbound(call)
    assert gone == [None]
    line.pump(2.0)
    assert len(line.endpoint.calls) == 1
    (again,) = endpoint.calls
    (asked,) = again.connect().heard()
    assert b"other\0shout\0" in asked.body
    again.say(pdu.pack_bind_resp(pdu.BIND_TRANSCEIVER, asked.sequence, 0, "smsc"))
    assert line.channel.open_binds() == (0,)


def test_a_new_password_does_not_wait_as_a_wrong_one_has_to() -> None:
    line = Line(bad_password_wait=300.0)
    line.channel.start()
    line.clock.advance(0)
    line.endpoint.calls[0].connect().bind(pdu.ESME_RINVPASWD).lose(clean=True)
    endpoint = changed(line)
    line.channel.rest([0])
    line.channel.renew(0)
    line.pump(2.0)
    # Nobody is there at first: that is waited for as after any first failure.
    endpoint.calls[0].refuse()
    line.pump(2.0)
    endpoint.calls[1].connect().bind()
    assert line.channel.status()[0].state is BindState.BOUND


def test_a_pause_by_an_administrator_outlives_signing_on_anew() -> None:
    line, call = started()
    line.channel.pause()
    endpoint = changed(line)
    line.channel.rest([0])
    line.channel.renew(0)
    unbound(call)
    line.pump(2.0)
    endpoint.calls[0].connect().bind()
    assert not line.channel.open_binds()
    line.channel.resume()
    assert line.channel.open_binds() == (0,)


def test_the_end_of_the_day_comes_between_unbinding_and_signing_on() -> None:
    line, call = started()
    endpoint = changed(line)
    line.channel.rest([0])
    line.channel.renew(0)
    stopped: list[None] = []
    line.channel.stop().addCallback(stopped.append)
    unbound(call)
    line.pump(10.0)
    assert stopped == [None]
    assert endpoint.calls == []
    assert line.clock.getDelayedCalls() == []


def test_binds_that_are_more_connect_and_those_that_are_too_many_go() -> None:
    line, first = started()
    endpoint = changed(line, binds=2)
    line.pump(2.0)
    second = endpoint.calls[0].connect().bind()
    assert line.channel.open_binds() == (0, 1)
    line.channel.apply(line.sms, NEW, endpoint)
    line.channel.rest([1])
    gone: list[None] = []
    line.channel.drop(1).addCallback(gone.append)
    unbound(second)
    assert gone == [None]
    assert (line.channel.open_binds(), len(line.channel.status())) == ((0,), 1)
    line.pump(20.0)
    assert len(endpoint.calls) == 1
    assert not first.transport.disconnecting


def test_dropping_none_drops_none() -> None:
    line, _ = started()
    gone: list[None] = []
    line.channel.drop(0).addCallback(gone.append)
    assert gone == [None]
    assert line.channel.open_binds() == (0,)
