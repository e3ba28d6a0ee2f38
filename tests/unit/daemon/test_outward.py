"""What the feeds that mgate hands on itself say: numbers, one line for each reason, and alarms for all of a kind."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from mgate.daemon.outward import LATE, Lateness, WebhookEars, WriteBackEars
from mgate.model.source import Result, SourceError
from mgate.telemetry import Alarm, Log, Telemetry

AWAY = SourceError("unreachable", "db1.bank.example:5432 does not answer", "look at the network")


class Desk:
    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.telemetry = Telemetry("0", {}, [])
        self.log = Log(self.lines.append)
        self.late = Lateness(Alarm.WRITEBACK_LATE, self.telemetry, self.log)
        self.dead = Lateness(Alarm.WEBHOOK_DEAD, self.telemetry, self.log)

    def writeback(self, name: str) -> WriteBackEars:
        return WriteBackEars("writeback", name, self.late, self.telemetry, self.log)

    def webhook(self, name: str) -> WebhookEars:
        return WebhookEars(name, self.late, self.dead, self.telemetry, self.log)

    def said(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.lines]

    def details(self) -> str:
        return " ".join(json.loads(line).get("detail", "") for line in self.lines)


def test_a_trouble_is_said_once_for_each_reason_and_so_is_its_end() -> None:
    desk = Desk()
    ears = desk.writeback("core")
    for _ in range(5):
        ears.failed(AWAY, 1.0)
    ears.failed(SourceError("busy", "locked", ""), 1.0)
    ears.wrote(10)
    ears.wrote(10)
    assert desk.said() == ["writeback_failed", "writeback_failed", "writeback_well"]
    numbers = desk.telemetry.outward_of("writeback", "core")
    assert (numbers.told.n, numbers.failures.n) == (20, 6)
    assert "look at the network" in desk.details()


def test_more_than_an_hour_behind_is_an_alarm_until_all_have_caught_up() -> None:
    desk = Desk()
    core, cards = desk.writeback("core"), desk.writeback("cards")
    core.lags(LATE)
    assert desk.telemetry.alarms() == ()
    core.lags(LATE + 1)
    cards.lags(LATE + 1)
    core.lags(0.0)
    assert desk.telemetry.alarms() == ("writeback_late",)
    assert desk.telemetry.outward_of("writeback", "cards").lag.n == LATE + 1
    cards.gone()
    assert desk.telemetry.alarms() == ()
    assert desk.said() == ["alarm_raised", "alarm_cleared"]


@pytest.mark.parametrize("make", [Desk.writeback, Desk.webhook])
def test_what_is_lost_is_said_loudly_with_its_sequences(make: Callable[[Desk, str], WriteBackEars]) -> None:
    desk = Desk()
    make(desk, "core").lost(41, 60)
    assert desk.telemetry.alarms() == ("events_lost",)
    assert "sequences 42 to 60" in desk.details()
    assert json.loads(desk.lines[0])["count"] == 19


def test_a_result_that_is_left_out_is_named() -> None:
    desk = Desk()
    result = Result(key="7", version="", sequence=9, state="delivered", message="m0sbxrmc9g0000")
    desk.writeback("core").refused(result, SourceError("mismatch", "too long for its column", "widen it"))
    assert desk.said() == ["writeback_refused"]
    assert "sequence 9, delivered of m0sbxrmc9g0000, is left out: too long for its column; widen it" in desk.details()


def test_the_list_of_the_dead_is_an_alarm_while_anything_is_on_it() -> None:
    desk = Desk()
    ears = desk.webhook("crm")
    ears.died(1, 9, 4, "http_422")
    assert desk.telemetry.alarms() == ("webhook_dead",)
    ears.replayed(0, 1, "HTTP status 422")
    assert desk.telemetry.alarms() == ("webhook_dead",)
    ears.listed(0)
    assert desk.telemetry.alarms() == ()
    assert desk.said() == ["webhook_dead", "alarm_raised", "webhook_replayed", "alarm_cleared"]
    assert desk.telemetry.outward_of("webhook", "crm").refused.n == 4
