"""The watch over receipts, on real numbers and a channel that is only counted."""

from __future__ import annotations

from mgate.daemon.progress import ReceiptWatch
from mgate.model.outcome import Accepted
from mgate.telemetry import Alarm, Level, Log, Telemetry
from tests.unit.channels.smpp.line import Line


def test_a_route_whose_receipts_stay_away_is_said_once_and_shown_until_they_come() -> None:
    line, logged = Line(), list[bytes]()
    telemetry = Telemetry("1.0", {"sms:op-a": 1}, [])
    watch = ReceiptWatch({"sms:op-a": line.channel}, telemetry, Log(logged.append, Level.INFO))
    numbers, counts = telemetry.routes["sms:op-a"], line.channel.binds[0].counts
    now = 0.0

    def minutes(count: int, receipts: int) -> None:
        nonlocal now
        for _ in range(count):
            counts.outcomes[Accepted] += 100
            numbers.receipts["matched"].n += receipts
            for _ in range(60):
                now += 1.0
                watch.look(now)

    minutes(60, 98)
    assert telemetry.alarms() == ()
    minutes(40, 0)
    assert telemetry.alarms() == (Alarm.RECEIPTS_MISSING.value,)
    assert numbers.receipts_missing.n == 1
    minutes(40, 98)
    assert telemetry.alarms() == ()
    said = b"".join(logged)
    assert said.count(b'"event":"receipts_missing"') == said.count(b'"event":"receipts_back"') == 1
    assert b"0.98 receipts a message" in said
