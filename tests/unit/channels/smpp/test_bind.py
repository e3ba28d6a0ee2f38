import socket
from itertools import pairwise

import pytest

from mgate.channels.smpp import pdu
from mgate.channels.smpp.standing import BindState
from mgate.model.entry import Inbound, Receipt
from mgate.model.outcome import Accepted, Deferred, NotWritten, Rejected, Uncertain
from tests.unit.channels.smpp.line import Line, receipt, started


def commands(frames: list[pdu.Frame]) -> list[int]:
    return [frame.command for frame in frames]


# ---- the way out ----


def test_a_batch_leaves_in_one_write_and_its_answers_come_back_as_one() -> None:
    line, call = started()
    parts = line.parts(5)
    line.channel.submit(parts)
    assert call.answer() == 5
    assert [part for part, _ in line.ear.results] == parts
    assert {outcome for _, outcome in line.ear.results} == {Accepted("a1")}
    assert line.ear.batches == 1


def test_answers_out_of_order_find_their_parts() -> None:
    line, call = started()
    parts = line.parts(3)
    line.channel.submit(parts)
    frames = call.heard()
    for frame, name in zip(reversed(frames), "cba", strict=True):
        call.say(pdu.pack_submit_sm_resp(frame.sequence, 0, name))
    assert [(part.part, outcome) for part, outcome in line.ear.results] == [
        (part.part, Accepted(name)) for part, name in zip(reversed(parts), "cba", strict=True)
    ]


def test_a_part_for_a_bind_that_is_not_open_was_not_written() -> None:
    line, call = started(binds=2)
    (part,) = line.parts(1, bind=1)
    line.channel.submit([part])
    assert line.ear.results == [(part, NotWritten("bind_not_open"))]
    assert call.heard() == []


def test_a_part_that_no_operator_could_take_is_refused_and_holds_up_no_other() -> None:
    line, call = started()
    good, bad = line.parts(1)[0], line.parts(1)[0]
    bad.sender = "Пример"
    line.channel.submit([bad, good])
    assert line.ear.results == [(bad, Rejected("ESME_RINVSRCADR"))]
    assert call.answer() == 1


def test_a_lost_link_leaves_what_was_written_in_doubt() -> None:
    line, call = started()
    parts = line.parts(2)
    line.channel.submit(parts)
    call.lose()
    doubt = Uncertain("link_lost", link_alive=False)
    assert line.ear.results == [(part, doubt) for part in parts]
    assert not line.channel.open_binds()


def test_what_a_stuck_peer_never_took_was_not_written() -> None:
    line, call = started()
    assert call.transport.producer is not None
    call.transport.producer.pauseProducing()
    parts = line.parts(2)
    line.channel.submit(parts)
    assert call.heard() == []
    call.lose()
    assert [outcome for _, outcome in line.ear.results] == [NotWritten("link_lost")] * 2


def test_when_a_stuck_peer_reads_again_all_that_waited_leaves() -> None:
    line, call = started()
    assert call.transport.producer is not None
    call.transport.producer.pauseProducing()
    line.channel.submit(line.parts(2))
    call.transport.producer.resumeProducing()
    assert call.answer() == 2


def test_an_answer_after_its_limit_is_told_as_late() -> None:
    line, call = started(response_limit=10.0)
    (part,) = line.parts(1)
    line.channel.submit([part])
    (frame,) = call.heard()
    line.pump(10.1)
    assert line.ear.results == [(part, Uncertain("response_timeout", link_alive=True))]
    call.say(pdu.pack_submit_sm_resp(frame.sequence, 0, "late"))
    assert line.ear.lates == [(part, Accepted("late"))]
    assert line.channel.binds[0].counts.late == 1


# ---- pauses ----


def test_throttling_pauses_the_bind_for_one_second_then_two_then_four() -> None:
    line, call = started()
    for pause in (1.0, 2.0, 4.0):
        line.channel.submit(line.parts(3))
        call.answer(pdu.ESME_RTHROTTLED)
        line.pump(pause - 0.1)
        assert not line.channel.open_binds()
        line.pump(0.2)
        assert line.channel.open_binds() == (0,)
    assert {outcome for _, outcome in line.ear.results} == {Deferred("ESME_RTHROTTLED")}
    assert line.channel.binds[0].counts.throttles == 3


def test_a_lost_answer_pauses_nothing_and_is_not_called_throttling() -> None:
    line, _ = started(response_limit=10.0)
    line.channel.submit(line.parts(1))
    line.pump(10.1)
    assert line.ear.results[0][1] == Uncertain("response_timeout", link_alive=True)
    assert line.channel.open_binds() == (0,)
    assert line.channel.binds[0].counts.throttles == 0
    assert not any(b"bind_throttled" in said for said in line.logged)


def test_a_pause_never_exceeds_thirty_seconds_and_shrinks_after_a_success() -> None:
    line, call = started(enquire_link=3600.0)
    for _ in range(8):
        line.channel.submit(line.parts(1))
        call.answer(pdu.ESME_RMSGQFUL)
        line.pump(30.1)
    assert line.channel.open_binds() == (0,)
    line.channel.submit(line.parts(1))
    call.answer()
    line.channel.submit(line.parts(1))
    call.answer(pdu.ESME_RTHROTTLED)
    line.pump(1.1)
    assert line.channel.open_binds() == (0,)


def test_an_administrators_pause_lets_answers_in_and_nothing_out() -> None:
    line, call = started()
    line.channel.submit(line.parts(1))
    before = line.ear.changes
    line.channel.pause(0)
    assert not line.channel.open_binds()
    assert line.ear.changes > before
    assert line.channel.status()[0].state is BindState.PAUSED
    assert call.answer() == 1
    line.channel.submit(line.parts(1))
    assert line.ear.results[-1][1] == NotWritten("bind_not_open")
    line.channel.resume()
    assert line.channel.open_binds() == (0,)
    assert line.channel.status()[0].state is BindState.BOUND


# ---- what operators send ----


def test_a_receipt_is_answered_only_when_it_is_kept() -> None:
    line, call = started()
    call.say(receipt(11, "a1") + receipt(12, "a2"))
    assert [entry.ids[0] for entry in line.ear.entries if isinstance(entry, Receipt)] == ["a1", "a2"]
    assert call.heard() == []
    line.ear.kept[0](True)
    assert [(frame.command, frame.status, frame.sequence) for frame in call.heard()] == [
        (pdu.DELIVER_SM_RESP, 0, 11),
        (pdu.DELIVER_SM_RESP, 0, 12),
    ]


def test_a_receipt_that_could_not_be_kept_is_asked_for_again() -> None:
    line, call = started()
    call.say(receipt(11, "a1"))
    line.ear.kept[0](False)
    assert [frame.status for frame in call.heard()] == [pdu.ESME_RX_T_APPN]


def test_a_receipt_kept_after_its_link_was_lost_is_answered_to_nobody() -> None:
    line, call = started()
    call.say(receipt(11, "a1"))
    call.lose()
    line.ear.kept[0](True)
    assert call.heard() == []


def test_a_pdu_that_cannot_be_read_is_kept_raw_and_answered() -> None:
    line, call = started()
    call.say(pdu.HEADER.pack(20, pdu.DELIVER_SM, 0, 5) + b"\1\2\3\4")
    assert line.ear.entries == [Inbound("sms:op-a", "", b"\1\2\3\4")]
    line.ear.kept[0](True)
    assert [(frame.command, frame.sequence) for frame in call.heard()] == [(pdu.DELIVER_SM_RESP, 5)]


def test_answers_to_submits_are_told_before_the_receipts_of_the_same_read() -> None:
    line, call = started()
    line.channel.submit(line.parts(1))
    (frame,) = call.heard()
    call.say(receipt(11, "a1") + pdu.pack_submit_sm_resp(frame.sequence, 0, "a1"))
    assert line.ear.told == ["answers", "receipts"]


# ---- connecting ----


def test_a_silent_link_is_asked_for_life_then_dropped_then_made_anew() -> None:
    line, call = started(enquire_link=30.0, response_limit=10.0)
    line.pump(30.1)
    assert commands(call.heard()) == [pdu.ENQUIRE_LINK]
    line.pump(10.1)
    assert call.transport.disconnecting
    call.lose()
    status = line.channel.status()[0]
    assert "enquire_link" in status.last_error
    assert status.state is BindState.WAITING
    line.pump(1.1)
    assert len(line.endpoint.calls) == 2
    line.endpoint.calls[1].connect().bind()
    assert line.channel.open_binds() == (0,)


def test_waits_double_up_to_their_end_while_nobody_answers() -> None:
    line = Line(reconnect_min=1.0, reconnect_max=8.0)
    line.channel.start()
    for _ in range(640):
        line.clock.advance(0.05)
        if line.endpoint.calls[-1].asked:
            line.endpoint.calls[-1].refuse()
    moments = line.endpoint.moments
    waits = [round(after - before, 1) for before, after in pairwise(moments)]
    assert waits == pytest.approx([1, 2, 4, 8, 8, 8], abs=0.11)
    assert line.channel.status()[0].last_error != ""


def test_a_refused_bind_is_no_success_that_resets_the_waits() -> None:
    line = Line(reconnect_min=1.0, reconnect_max=60.0)
    line.channel.start()
    line.clock.advance(0)
    for wait in (1, 2, 4):
        call = line.endpoint.calls[-1].connect().bind(pdu.ESME_RBINDFAIL)
        assert line.channel.status()[0].state is BindState.REFUSED
        assert call.transport.disconnecting
        call.lose(clean=True)
        line.pump(wait - 0.2)
        assert line.endpoint.calls[-1] is call
        line.pump(0.4)
        assert line.endpoint.calls[-1] is not call
    assert "ESME_RBINDFAIL" in line.channel.status()[0].last_error


def test_a_wrong_password_waits_as_long_as_the_configuration_says() -> None:
    line = Line(bad_password_wait=300.0)
    line.channel.start()
    line.clock.advance(0)
    line.endpoint.calls[0].connect().bind(pdu.ESME_RINVPASWD).lose(clean=True)
    line.pump(299)
    assert len(line.endpoint.calls) == 1
    line.pump(80)
    assert len(line.endpoint.calls) == 2


def test_an_old_session_over_there_is_given_time_to_die() -> None:
    line = Line(reconnect_min=1.0, reconnect_max=60.0)
    line.channel.start()
    line.clock.advance(0)
    line.endpoint.calls[0].connect().bind(pdu.ESME_RALYBND).lose(clean=True)
    line.pump(4.9)
    assert len(line.endpoint.calls) == 1
    line.pump(0.2)
    assert len(line.endpoint.calls) == 2


def test_the_binds_of_an_account_connect_one_after_the_other() -> None:
    line = Line(binds=4, reconnect_min=1.0)
    line.channel.start()
    line.clock.advance(0)
    line.endpoint.calls[0].connect().bind()
    line.pump(5)
    assert line.endpoint.moments == pytest.approx([0, 1, 2, 3], abs=0.06)
    for call in line.endpoint.calls[1:]:
        call.connect().bind()
    assert line.channel.open_binds() == (0, 1, 2, 3)
    for call in line.endpoint.calls[:4]:
        call.lose()
    line.pump(6)
    again = line.endpoint.moments[4:]
    assert len(again) == 4
    assert all(after - before >= 0.94 for before, after in pairwise(again))


def test_an_operators_unbind_is_answered_and_the_bind_comes_back() -> None:
    line, call = started()
    call.say(pdu.pack_simple(pdu.UNBIND, 77))
    assert commands(call.heard()) == [pdu.UNBIND_RESP]
    assert call.transport.disconnecting
    assert not line.channel.open_binds()
    call.lose(clean=True)
    line.pump(1.1)
    assert len(line.endpoint.calls) == 2


def test_a_peer_that_does_not_close_is_dropped() -> None:
    line, call = started()
    call.say(pdu.pack_simple(pdu.UNBIND, 77))
    assert not call.transport.aborted
    line.pump(2.1)
    assert call.transport.aborted


def test_a_line_that_is_dead_is_noticed_by_the_kernel_too() -> None:
    _, call = started()
    assert call.transport.no_delay
    assert call.transport.keep_alive
    assert call.transport.handle.options == {(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 20_000}


def test_an_operator_that_floods_receipts_is_not_read_until_they_are_kept() -> None:
    line, call = started()
    call.say(b"".join(receipt(sequence, "a1") for sequence in range(1, 2002)))
    assert call.transport.producerState == "paused"
    line.ear.kept[0](True)
    assert call.transport.producerState == "producing"
    assert len(call.heard()) == 2001


# ---- the end ----


def test_stop_unbinds_waits_for_the_answer_and_never_comes_back() -> None:
    line, call = started()
    stopped: list[None] = []
    line.channel.stop().addCallback(stopped.append)
    (frame,) = call.heard()
    assert frame.command == pdu.UNBIND
    assert stopped == []
    call.say(pdu.pack_simple(pdu.UNBIND_RESP, frame.sequence))
    assert call.transport.disconnecting
    call.lose(clean=True)
    assert stopped == [None]
    line.pump(120)
    assert len(line.endpoint.calls) == 1
    assert line.clock.getDelayedCalls() == []


def test_stop_tells_of_what_was_in_flight_before_it_is_done() -> None:
    line, call = started()
    parts = line.parts(2)
    line.channel.submit(parts)
    line.channel.stop()
    call.lose()
    assert [outcome for _, outcome in line.ear.results] == [Uncertain("link_lost", link_alive=False)] * 2


def test_stop_before_anything_is_connected_is_done_at_once() -> None:
    line = Line(binds=3)
    line.channel.start()
    stopped: list[None] = []
    line.channel.stop().addCallback(stopped.append)
    assert stopped == [None]
    assert line.clock.getDelayedCalls() == []


# ---- what is said ----


def test_nothing_logged_holds_a_text_a_number_or_the_password() -> None:
    line, call = started()
    line.channel.submit(line.parts(3))
    call.answer(pdu.ESME_RTHROTTLED)
    call.say(receipt(11, "a1") + pdu.HEADER.pack(20, pdu.DELIVER_SM, 0, 5) + b"\1\2\3\4")
    line.channel.pause()
    call.lose()
    said = b"".join(line.logged)
    for event in (b"bind_opened", b"bind_throttled", b"bind_paused", b"bind_closed", b"operator_broke_protocol"):
        assert event in said
    for secret in (b"482913", b"375291110001", b"hush"):
        assert secret not in said


def test_an_oddity_is_logged_once_a_connection_and_counted_each_time() -> None:
    line, call = started()
    for sequence in range(50):
        call.say(pdu.pack_submit_sm_resp(9000 + sequence, 0, "x"))
    assert sum(b"operator_broke_protocol" in said for said in line.logged) == 1
    assert sum(line.channel.binds[0].counts.notes.values()) == 50


def test_status_counts_what_is_in_flight() -> None:
    line, call = started()
    line.channel.submit(line.parts(4))
    assert line.channel.status()[0].in_flight == 4
    call.answer()
    status = line.channel.status()[0]
    assert (status.in_flight, status.state, status.last_error) == (0, BindState.BOUND, "")
    assert line.channel.binds[0].counts.submits == 4
    assert line.channel.binds[0].counts.outcomes[Accepted] == 4


def test_every_outcome_is_counted_once_by_its_kind() -> None:
    line, call = started()
    line.channel.submit(line.parts(3))
    one, two, three = call.heard()
    answers = ((one, 0), (two, pdu.ESME_RINVDSTADR), (three, 0))
    call.say(b"".join(pdu.pack_submit_sm_resp(frame.sequence, status, "a") for frame, status in answers))
    assert dict(line.channel.binds[0].counts.outcomes) == {Accepted: 2, Rejected: 1}
