from __future__ import annotations

from mgate.daemon.traces import Traces
from tests.unit.channels.smpp.line import START, Call, Line, receipt, started


def tracing() -> tuple[Line, Call, Traces]:
    line, call = started(enquire_link=3600.0)
    return line, call, Traces({"sms:op-a": line.channel}, line.clock, lambda: START + line.clock.seconds())


def test_a_trace_ends_by_itself_and_its_rows_can_still_be_read() -> None:
    line, call, traces = tracing()
    traces.start("sms:op-a", None, "", 60.0)
    call.say(receipt(11, "a1"))
    view = traces.after("sms:op-a", 0)
    assert view is not None
    assert (view.left, [row.id for row in view.rows]) == (60.0, ["a1"])
    line.pump(60.1)
    call.say(receipt(12, "a2"))
    view = traces.after("sms:op-a", 0)
    assert view is not None
    assert (view.left, len(view.rows)) == (0.0, 1)
    assert getattr(call.protocol, "tap") is None  # noqa: B009  # the protocol's type has none


def test_a_new_trace_of_a_route_takes_the_place_of_the_old_one() -> None:
    line, call, traces = tracing()
    traces.start("sms:op-a", None, "", 60.0)
    call.say(receipt(11, "a1"))
    traces.start("sms:op-a", None, "", 600.0)
    line.pump(60.1)
    call.say(receipt(12, "a2"))
    view = traces.after("sms:op-a", 0)
    assert view is not None
    assert [row.id for row in view.rows] == ["a2"]
    assert traces.end("sms:op-a") is not None
    assert traces.after("sms:op-a", 0) is None
    assert traces.end("sms:op-a") is None


def test_a_trace_of_one_bind_shows_no_other() -> None:
    line, first = started(binds=2, enquire_link=3600.0)
    line.pump(1.1)
    second = line.endpoint.calls[1].connect().bind()
    traces = Traces({"sms:op-a": line.channel}, line.clock, lambda: START)
    traces.start("sms:op-a", 1, "", 60.0)
    first.say(receipt(11, "a1"))
    second.say(receipt(12, "a2"))
    view = traces.after("sms:op-a", 0)
    assert view is not None
    assert [(row.bind, row.id, row.way) for row in view.rows] == [("1", "a2", "in")]
