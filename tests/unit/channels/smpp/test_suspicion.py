"""A bind that takes submits and answers none: row 42 of the operators' habits."""

from __future__ import annotations

from mgate.channels.smpp import pdu
from mgate.channels.smpp.pdu import Frame
from mgate.model.outcome import Uncertain
from tests.unit.channels.smpp.line import Call, Line, started


def two_bound(**settings: object) -> tuple[Line, Call, Call]:
    """A line with two binds that are bound."""
    line, first = started(binds=2, response_limit=10.0, **settings)
    line.pump(1.1)
    return line, first, line.endpoint.calls[1].connect().bind()


def alive(line: Line, seconds: float, *calls: Call) -> list[Frame]:
    """Time passes, and the operator answers every enquire_link but no submit; the submits."""
    submits = []
    for _ in range(round(seconds / 0.5)):
        line.pump(0.5)
        for call in calls:
            for frame in call.heard():
                if frame.command == pdu.ENQUIRE_LINK:
                    call.say(pdu.pack_simple(pdu.ENQUIRE_LINK_RESP, frame.sequence))
                elif frame.command == pdu.SUBMIT_SM:
                    submits.append(frame)
    return submits


def test_a_bind_that_answers_no_submit_for_five_seconds_gets_no_more_codes() -> None:
    line, _, _ = two_bound()
    line.channel.submit(line.parts(1))
    line.pump(4.9)
    assert line.channel.open_binds(urgent=True) == (0, 1)
    changes = line.ear.changes
    line.pump(0.2)
    assert line.channel.open_binds(urgent=True) == (1,)
    assert line.channel.open_binds() == (0, 1)
    assert [status.suspect for status in line.channel.status()] == [True, False]
    assert line.ear.changes > changes
    assert not line.channel.suspect


def test_any_answer_clears_a_suspect_bind() -> None:
    line, first, _ = two_bound()
    line.channel.submit(line.parts(2))
    line.pump(5.1)
    frame, _ = first.heard()
    first.say(pdu.pack_submit_sm_resp(frame.sequence, pdu.ESME_RINVDSTADR, ""))
    assert line.channel.open_binds(urgent=True) == (0, 1)
    # The other is still open: its own five seconds begin with the answer.
    line.pump(4.9)
    assert line.channel.open_binds(urgent=True) == (0, 1)
    line.pump(0.2)
    assert line.channel.open_binds(urgent=True) == (1,)


def test_a_late_answer_clears_a_suspect_bind_too() -> None:
    line, first, _ = two_bound()
    line.channel.submit(line.parts(1))
    (frame,) = alive(line, 12.0, first)
    assert line.ear.results[0][1] == Uncertain("response_timeout", link_alive=True)
    assert line.channel.open_binds(urgent=True) == (1,)
    first.say(pdu.pack_submit_sm_resp(frame.sequence, 0, "late"))
    assert line.channel.open_binds(urgent=True) == (0, 1)


def test_a_bind_that_answers_slowly_and_steadily_is_never_suspect() -> None:
    line, first, _ = two_bound(enquire_link=3600.0)
    for _ in range(20):
        line.channel.submit(line.parts(1))
        line.pump(4.0)
        first.answer()
        assert line.channel.open_binds(urgent=True) == (0, 1)


def test_enquire_links_that_are_answered_clear_nothing_and_after_a_minute_the_bind_is_closed() -> None:
    line, first, second = two_bound(enquire_link=2.0)
    line.channel.submit(line.parts(1))
    alive(line, 64.5, first, second)
    assert not first.transport.disconnecting
    line.pump(1.0)
    frames = first.heard()
    assert [frame.command for frame in frames if frame.command != pdu.ENQUIRE_LINK] == [pdu.UNBIND]
    first.say(pdu.pack_simple(pdu.UNBIND_RESP, frames[-1].sequence))
    first.lose(clean=True)
    assert "no answer to any submit for 65 s" in line.channel.status()[0].last_error
    line.pump(1.1)
    line.endpoint.calls[2].connect().bind()
    assert line.channel.open_binds(urgent=True) == (0, 1)


def test_when_every_bind_is_suspect_codes_go_by_them_all_the_same_and_routing_is_told() -> None:
    line, _ = started()
    line.channel.submit(line.parts(1))
    line.pump(5.1)
    assert line.channel.open_binds(urgent=True) == (0,)
    assert line.channel.suspect


def test_a_suspect_bind_is_said_once_and_so_is_its_end() -> None:
    line, first, _ = two_bound()
    line.channel.submit(line.parts(3))
    line.pump(9.0)
    first.answer()
    assert sum(b'"bind_suspect"' in said for said in line.logged) == 1
    assert sum(b'"bind_trusted"' in said for said in line.logged) == 1


def test_an_idle_bind_has_no_timer_of_suspicion() -> None:
    line, first = started(enquire_link=3600.0)
    line.channel.submit(line.parts(1))
    first.answer()
    line.pump(5.1)
    assert len(line.clock.getDelayedCalls()) == 1  # the next enquire_link
