"""Pairs of a transmitter and a receiver, and binds that are made before the old ones are broken."""

from __future__ import annotations

import msgspec
import pytest

from mgate.channels.smpp import pdu
from mgate.channels.smpp.standing import BindKind, BindState
from mgate.config.operator_reading import beyond
from mgate.config.operators import GENERIC, Connection, Profile
from mgate.model.entry import Receipt
from mgate.model.message import Secret
from mgate.model.outcome import Accepted
from tests.unit.channels.smpp.line import Call, Endpoint, Line, receipt


def profile(**connection: object) -> Profile:
    return msgspec.structs.replace(GENERIC, connection=Connection(**connection))  # type: ignore[arg-type]  # a test's


def take(call: Call, status: int = 0) -> int:
    """Answer its bind; its command."""
    (asked,) = call.connect().heard()
    call.say(pdu.pack_bind_resp(asked.command, asked.sequence, status, "smsc"))
    return asked.command


def unbound(call: Call) -> None:
    frame = call.heard()[-1]
    assert frame.command == pdu.UNBIND
    call.say(pdu.pack_simple(pdu.UNBIND_RESP, frame.sequence))
    call.lose(clean=True)


def bound(**settings: object) -> tuple[Line, list[Call]]:
    """A line whose binds are all bound."""
    line = Line(enquire_link=3600.0, **settings)
    line.channel.start()
    for _ in range(8):
        line.pump(1.05)
        for call in line.endpoint.calls:
            if call.asked:
                take(call)
    return line, line.endpoint.calls


# ---- pairs ----


def test_a_pair_is_a_transmitter_that_gets_the_parts_and_a_receiver_that_gets_none() -> None:
    line = Line(profile=profile(bind="pair"), enquire_link=3600.0)
    line.channel.start()
    line.clock.advance(0)
    assert take(line.endpoint.calls[0]) == pdu.BIND_TRANSMITTER
    line.pump(1.1)
    assert take(line.endpoint.calls[1]) == pdu.BIND_RECEIVER
    assert line.channel.open_binds() == (0,)
    line.channel.submit(line.parts(2))
    assert line.endpoint.calls[0].answer() == 2
    assert line.endpoint.calls[1].heard() == []
    assert [status.kind for status in line.channel.status()] == [BindKind.TRANSMITTER]


def test_receipts_come_by_the_receiver_and_are_the_accounts() -> None:
    line, (transmitter, receiver) = bound(profile=profile(bind="pair"))
    line.channel.submit(line.parts(1))
    transmitter.answer(operator_id="a1")
    receiver.say(receipt(11, "a1"))
    (entry,) = line.ear.entries
    assert isinstance(entry, Receipt)
    assert (entry.account, entry.ids[0]) == ("sms:op-a", "a1")
    line.ear.kept[0](True)
    assert [frame.command for frame in receiver.heard()] == [pdu.DELIVER_SM_RESP]


def test_a_receiver_that_is_lost_keeps_nothing_from_leaving_and_comes_back() -> None:
    line, (transmitter, receiver) = bound(profile=profile(bind="pair"))
    receiver.lose()
    assert line.channel.open_binds() == (0,)
    line.channel.submit(line.parts(1))
    assert transmitter.answer() == 1
    line.pump(1.1)
    assert take(line.endpoint.calls[2]) == pdu.BIND_RECEIVER


def test_a_pair_stops_as_one() -> None:
    line, calls = bound(profile=profile(bind="pair"))
    stopped: list[None] = []
    line.channel.stop().addCallback(stopped.append)
    unbound(calls[0])
    assert stopped == []
    unbound(calls[1])
    assert stopped == [None]
    line.pump(5.0)
    assert line.clock.getDelayedCalls() == []


def test_an_account_can_change_from_transceivers_to_pairs_and_back() -> None:
    line, (call,) = bound()
    for kind, commands in (
        ("pair", [pdu.BIND_RECEIVER, pdu.BIND_TRANSMITTER]),
        ("transceiver", [pdu.BIND_TRANSCEIVER]),
    ):
        endpoint = Endpoint(line.clock)
        line.channel.apply(msgspec.structs.replace(line.sms, profile=profile(bind=kind)), Secret("hush"), endpoint)
        line.channel.rest([0])
        before = [one for one in (*line.endpoint.calls, call) if not one.transport.disconnecting and one.protocol]
        line.channel.renew(0)
        for one in dict.fromkeys(before):
            frames = one.heard()
            if frames and frames[-1].command == pdu.UNBIND:
                one.say(pdu.pack_simple(pdu.UNBIND_RESP, frames[-1].sequence))
                one.lose(clean=True)
        found = []
        for _ in range(4):
            line.pump(1.05)
            found += [take(one) for one in endpoint.calls if one.asked]
        assert sorted(found) == sorted(commands)
        assert line.channel.open_binds() == (0,)
        line.endpoint = endpoint


@pytest.mark.parametrize(("kind", "binds", "fits"), [("transceiver", 4, True), ("pair", 2, True), ("pair", 3, False)])
def test_binds_over_the_cap_of_sessions_are_a_mistake_of_the_configuration(kind: str, binds: int, fits: bool) -> None:
    mistakes = dict(beyond(profile(bind=kind, session_cap=4), "example", "", binds))
    assert ("binds" not in mistakes) is fits
    assert dict(beyond(profile(bind=kind), "example", "", 32)) == {}


# ---- make before break ----


def changed(line: Line, **connection: object) -> Endpoint:
    endpoint = Endpoint(line.clock)
    line.channel.apply(
        msgspec.structs.replace(line.sms, system_id="other", profile=profile(**connection)), Secret("shout"), endpoint
    )
    return endpoint


def test_where_the_cap_leaves_room_the_new_session_is_bound_before_the_old_one_is_broken() -> None:
    line, (old,) = bound()
    endpoint = changed(line, session_cap=2)
    line.channel.submit(line.parts(1))
    answers: list[bool] = []
    line.channel.replace(0).addCallback(answers.append)
    line.pump(0.1)
    assert line.channel.open_binds() == (0,)
    (new,) = endpoint.calls
    take(new)
    line.channel.submit(line.parts(1))
    assert (old.answer(), new.answer()) == (1, 1)
    assert {outcome for _, outcome in line.ear.results} == {Accepted("a1")}
    assert answers == []
    line.pump(0.1)
    unbound(old)
    assert answers == [True]
    assert line.channel.open_binds() == (0,)
    assert line.channel.binds[0].counts.submits == 2


@pytest.mark.parametrize("cap", [0, 1])
def test_where_the_cap_is_not_known_or_leaves_no_room_nothing_is_tried(cap: int) -> None:
    line, (old,) = bound()
    endpoint = changed(line, session_cap=cap)
    answers: list[bool] = []
    line.channel.replace(0).addCallback(answers.append)
    line.pump(2.0)
    assert answers == [False]
    assert endpoint.calls == []
    assert not old.transport.disconnecting


def test_an_operator_that_takes_no_second_session_leaves_the_old_one_as_it_was() -> None:
    line, (old,) = bound()
    endpoint = changed(line, session_cap=2)
    answers: list[bool] = []
    line.channel.replace(0).addCallback(answers.append)
    line.pump(0.1)
    take(endpoint.calls[0], pdu.ESME_RALYBND)
    endpoint.calls[0].lose(clean=True)
    line.pump(30.0)
    assert answers == [False]
    assert len(endpoint.calls) == 1
    assert not old.transport.disconnecting
    assert line.channel.open_binds() == (0,)


def test_a_new_session_that_never_comes_is_given_up() -> None:
    line, (old,) = bound()
    endpoint = changed(line, session_cap=2)
    answers: list[bool] = []
    line.channel.replace(0).addCallback(answers.append)
    line.pump(0.1)
    endpoint.calls[0].connect()
    line.pump(20.0)
    endpoint.calls[0].lose()
    line.pump(5.0)
    assert answers == [False]
    assert not old.transport.disconnecting
    assert line.channel.status()[0].state is BindState.BOUND


def test_an_account_that_stops_takes_the_coming_session_with_it() -> None:
    line, (old,) = bound()
    endpoint = changed(line, session_cap=2)
    line.channel.replace(0)
    line.pump(0.1)
    endpoint.calls[0].connect()
    line.channel.stop()
    unbound(old)
    endpoint.calls[0].lose()
    line.pump(25.0)
    assert line.clock.getDelayedCalls() == []
