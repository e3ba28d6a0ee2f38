"""A trace of a line: what it shows, and what it never shows."""

from __future__ import annotations

from mgate.channels.smpp import pdu
from mgate.channels.smpp.pdu import Address
from mgate.channels.smpp.trace import Trace, Traced
from tests.unit.channels.smpp.line import START, Call, Line, receipt, started


def traced(line: Line, to: str = "") -> Trace:
    trace = Trace(lambda: START + line.clock.seconds(), to)
    line.channel.trace(trace)
    return trace


def words(rows: list[Traced]) -> list[tuple[bool, str]]:
    return [(row.out, row.command) for row in rows]


def test_a_trace_shows_each_pdu_with_its_sequence_status_id_and_tlvs() -> None:
    line, call = started()
    trace = traced(line)
    line.channel.submit(line.parts(1))
    (frame,) = call.heard()
    call.say(pdu.pack_submit_sm_resp(frame.sequence, 0, "a1"))
    call.say(receipt(11, "a1"))
    line.ear.kept[0](True)
    submit, answer, told, response = trace.after(0)
    assert words([submit, answer, told, response]) == [
        (True, "submit_sm"), (False, "submit_sm_resp"), (False, "deliver_sm"), (True, "deliver_sm_resp"),
    ]  # fmt: skip
    assert (submit.sequence, submit.tlvs, submit.length) == (frame.sequence, ("user_message_reference",), 11)
    assert (answer.sequence, answer.status, answer.id) == (frame.sequence, "ESME_ROK", "a1")
    assert (told.sequence, told.id, response.sequence) == (11, "a1", 11)
    assert [row.n for row in trace.after(2)] == [3, 4]


def test_a_trace_shows_no_text_no_password_and_no_whole_number() -> None:
    line = Line()
    trace = traced(line)
    line.channel.start()
    line.clock.advance(0)
    call = line.endpoint.calls[0].connect().bind()
    line.channel.submit(line.parts(1, text="Code 482913"))
    call.answer()
    call.say(receipt(11, "a1"))
    shown = repr(trace.after(0))
    assert "bind_transceiver" in shown
    for secret in ("482913", "hush", "375291110001"):
        assert secret not in shown
    assert "375291****01" in shown


def test_a_trace_of_one_number_shows_its_messages_their_answers_and_their_receipts() -> None:
    line, call = started()
    trace = traced(line, to="+375291110001")
    ours, other = line.parts(2)
    other.to = "+375291110002"
    line.channel.submit([ours, other])
    first, second = call.heard()
    call.say(pdu.pack_submit_sm_resp(second.sequence, 0, "b2") + pdu.pack_submit_sm_resp(first.sequence, 0, "a1"))
    # A receipt may leave the numbers out: then its id tells.
    text = b"id:a1 stat:DELIVRD err:000"
    call.say(pdu.pack_deliver_sm(7, Address(1, 1, ""), Address(5, 0, "Example"), esm_class=4, short_message=text))
    call.say(pdu.pack_deliver_sm(8, Address(1, 1, "375291110002"), Address(5, 0, "Example"), short_message=b"STOP"))
    line.ear.kept[0](True)
    line.ear.kept[1](True)
    assert [(row.command, row.sequence) for row in trace.after(0)] == [
        ("submit_sm", first.sequence), ("submit_sm_resp", first.sequence), ("deliver_sm", 7), ("deliver_sm_resp", 7),
    ]  # fmt: skip


def test_a_trace_that_begins_within_a_pdu_goes_on_from_its_beginning() -> None:
    line, call = started()
    whole = receipt(11, "a1")
    call.say(whole[:20])
    trace = traced(line)
    call.say(whole[20:] + receipt(12, "a2"))
    assert [row.id for row in trace.after(0)] == ["a1", "a2"]


def test_a_trace_goes_on_over_a_new_connection_and_ends_when_it_is_taken_away() -> None:
    line, call = started(reconnect_min=1.0)
    trace = traced(line)
    call.lose()
    line.pump(1.1)
    call = line.endpoint.calls[1].connect().bind()
    assert words(list(trace.after(0))) == [(True, "bind_transceiver"), (False, "bind_transceiver_resp")]
    line.channel.trace(None)
    call.say(receipt(11, "a1"))
    assert len(trace.after(0)) == 2


def test_the_ring_keeps_the_youngest_and_shows_how_many_are_lost() -> None:
    line, call = started()
    trace = Trace(lambda: START, most=3)
    line.channel.trace(trace)
    for sequence in range(10):
        call.say(receipt(sequence, "a1"))
    assert [row.n for row in trace.after(0)] == [8, 9, 10]


def test_octets_that_are_no_smpp_end_the_trace_of_that_connection_and_nothing_else() -> None:
    line, call = started()
    trace = traced(line)
    call.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert trace.after(0) == []
    assert call.transport.disconnecting


def test_a_cut_tlv_is_noted() -> None:
    line, call = started()
    trace = traced(line)
    body = pdu.pack_deliver_sm(5, Address(1, 1, "375291110001"), Address(5, 0, "Example"), short_message=b"STOP")
    cut = body + b"\x04\x27\x00\x05\x02"
    call.say(len(cut).to_bytes(4, "big") + cut[4:])
    assert [row.note for row in trace.after(0)] == ["a TLV is cut off"]


def test_a_line_that_nobody_traces_has_no_ear() -> None:
    _, call = started()
    assert isinstance(call, Call)
    assert getattr(call.protocol, "tap") is None  # noqa: B009  # the protocol's type has none
