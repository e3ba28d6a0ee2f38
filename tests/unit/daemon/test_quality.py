import json
from dataclasses import dataclass, field

import msgspec
import pytest
from twisted.internet.task import Clock

from mgate.config.routes import Quality
from mgate.daemon.quality import Deliveries, QualityWatch
from mgate.model.message import TrafficClass
from mgate.spool.engine import Told
from mgate.telemetry import Log, Telemetry

SETTINGS = Quality(window=300.0, in_time=60.0, slow_after=20.0, rest=120.0, least=20)


@dataclass
class Routes:
    """What the router was told."""

    routes: tuple[str, ...] = ("sms:op-a", "sms:op-b")
    judged: list[tuple[str, bool]] = field(default_factory=list)

    def judge(self, route: str, poor: bool) -> None:
        self.judged.append((route, poor))


class House:
    """A watch on a clock of its own, and the messages that it hears of."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.routes = Routes()
        self.lines: list[dict[str, object]] = []
        self.telemetry = Telemetry("0", {}, [])
        self.deliveries = Deliveries(self.clock.seconds)
        self.watch = QualityWatch(
            SETTINGS, self.deliveries, self.routes, self.clock, self.telemetry,
            Log(lambda line: self.lines.append(json.loads(line))),
        )  # fmt: skip
        self.watch.start()

    def run(self, seconds: int, delivered: int, traffic: TrafficClass = TrafficClass.OTP) -> None:
        """Ten messages a second by op-a, of which some are delivered after three seconds."""
        for _ in range(seconds):
            self.deliveries.heard([Told("sms:op-a", "sent", 50, traffic, 40)] * 10)
            self.deliveries.heard([Told("sms:op-a", "delivered", 3050, traffic, 3040)] * delivered)
            self.clock.advance(1.0)


@pytest.fixture
def house() -> House:
    return House()


def test_a_route_that_delivers_too_little_is_judged_named_by_an_alarm_and_comes_back(house: House) -> None:
    house.run(100, delivered=9)
    assert (house.routes.judged, house.telemetry.alarms()) == ([], ())
    house.run(200, delivered=0)
    assert house.routes.judged == [("sms:op-a", True)]
    assert house.telemetry.alarms() == ("route_poor",)
    poor = next(line for line in house.lines if line["event"] == "route_poor")
    assert (poor["route"], poor["reason"]) == ("sms:op-a", "few_delivered")
    assert " were delivered within 60 s" in str(poor["detail"])
    house.run(600, delivered=9)
    assert house.routes.judged[-1] == ("sms:op-a", False)
    assert house.telemetry.alarms() == ()
    assert [line["event"] for line in house.lines][-2:] == ["route_well", "alarm_cleared"]


def test_marketing_says_nothing_about_an_account(house: House) -> None:
    house.run(100, delivered=9)
    house.run(300, delivered=0, traffic=TrafficClass.MARKETING)
    assert house.routes.judged == []


def test_who_is_not_to_be_judged_is_well_at_once(house: House) -> None:
    house.run(100, delivered=9)
    house.run(200, delivered=0)
    house.watch.apply(msgspec.structs.replace(SETTINGS, judge=False))
    assert house.routes.judged[-1] == ("sms:op-a", False)
    house.run(200, delivered=0)
    assert house.telemetry.alarms() == ()


def test_an_account_that_goes_takes_its_alarm_with_it(house: House) -> None:
    house.run(100, delivered=9)
    house.run(200, delivered=0)
    house.routes.routes = ("sms:op-b",)
    house.run(1, delivered=0)
    assert house.telemetry.alarms() == ()
    assert house.routes.judged == [("sms:op-a", True)]


def test_a_watch_that_stops_asks_no_more(house: House) -> None:
    house.watch.stop()
    assert house.clock.getDelayedCalls() == []
