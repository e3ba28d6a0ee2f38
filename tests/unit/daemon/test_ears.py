"""What the spool and the keeper report, as alarms."""

from __future__ import annotations

import json

from mgate.daemon.ears import Ears
from mgate.telemetry import Log, Telemetry


def test_an_alarm_that_is_cleared_in_the_log_was_raised_in_it() -> None:
    out: list[bytes] = []
    ears = Ears(Log(out.append), Telemetry("0.1.0", {"sms:op-a": 1}, ()), lambda: 1.0, lambda: None)
    for _ in range(2):
        ears.failed("disk I/O error")
    ears.failed_round("history", OSError("read-only"))
    ears.committed(1, 0.001)
    ears.moved(1)
    lines = [json.loads(line) for line in out]
    assert [(line["event"], line["alarm"]) for line in lines if line["event"].startswith("alarm")] == [
        ("alarm_raised", "commit_failed"),
        ("alarm_raised", "history_failed"),
        ("alarm_cleared", "commit_failed"),
        ("alarm_cleared", "history_failed"),
    ]
    assert [line["event"] for line in lines if line["event"] == "commit_failed"] == ["commit_failed"] * 2
