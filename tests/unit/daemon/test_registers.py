"""Registrations of senders that end, by a clock that only the test moves."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from twisted.internet.task import Clock

from mgate.channels.smpp.channel import SmppChannel
from mgate.config.operators import GENERIC, Profile, Registered
from mgate.daemon.registers import LOOK, Registers
from mgate.telemetry import Log, Telemetry

DAY = 86_400.0
START = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC).timestamp()


class Account:
    """As much of an account as is looked at."""

    def __init__(self, *senders: Registered) -> None:
        self.profile: Profile = msgspec.structs.replace(GENERIC, senders=senders)


class House:
    def __init__(self, **accounts: Account) -> None:
        self.clock = Clock()
        self.lines: list[dict[str, Any]] = []
        self.telemetry = Telemetry("0", {}, [])
        log = Log(lambda line: self.lines.append(json.loads(line)))
        by_route = cast("Mapping[str, SmppChannel]", {f"sms:{name}": each for name, each in accounts.items()})
        self.registers = Registers(by_route, self.clock, lambda: START + self.clock.seconds(), self.telemetry, log)
        self.registers.start()

    def told(self) -> list[str]:
        found = [line["detail"] for line in self.lines if line["event"] == "sender_ends"]
        self.lines.clear()
        return found

    def pass_days(self, days: float) -> None:
        for _ in range(round(days * DAY / LOOK)):
            self.clock.advance(LOOK)


def registered(until: dt.date | None, sender: str = "ExampleBank") -> Registered:
    return Registered(sender=sender, classes=("otp",), until=until)


def test_an_end_within_thirty_days_raises_the_alarm_and_is_told_once_a_day() -> None:
    house = House(opa=Account(registered(dt.date(2026, 12, 23))))
    assert (house.told(), house.telemetry.alarms()) == ([], ())
    house.pass_days(1)
    assert house.told() == ["the registration of ExampleBank (otp) ends on 2026-12-23"]
    assert house.telemetry.alarms() == ("sender_ends",)
    house.pass_days(2)
    assert len(house.told()) == 2
    house.pass_days(30)
    assert house.told()[-1] == "the registration of ExampleBank (otp) ended on 2026-12-23"
    house.registers.stop()
    assert not house.clock.getDelayedCalls()


def test_a_renewed_registration_clears_the_alarm() -> None:
    account = Account(registered(dt.date(2026, 12, 1)))
    house = House(opa=account)
    assert house.telemetry.alarms() == ("sender_ends",)
    account.profile = Account(registered(dt.date(2027, 12, 1))).profile
    house.clock.advance(LOOK)
    assert house.telemetry.alarms() == ()


def test_what_has_no_end_is_never_told_and_a_number_stands_in_no_log() -> None:
    house = House(opa=Account(registered(None), registered(dt.date(2026, 11, 1), "+375291110001")))
    assert house.told() == ["the registration of a number (otp) ended on 2026-11-01"]
