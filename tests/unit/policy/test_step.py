import pytest

from mgate.model.message import TrafficClass
from mgate.policy.step import THROTTLES, Defer, Facts, KeepPlace, after_deferral, backs_off


def facts(deferrals: int) -> Facts:
    return Facts(TrafficClass.OTP, expires=1_000.0, burned=0, deferrals=deferrals, repeats_off=False)


def test_three_statuses_and_no_other_ask_the_bind_to_slow_down() -> None:
    assert {"ESME_RTHROTTLED", "ESME_RMSGQFUL", "ESME_RSYSERR"} == THROTTLES
    assert backs_off("link_weather")


@pytest.mark.parametrize("status", sorted(THROTTLES))
def test_what_is_throttled_keeps_its_place_however_often(status: str) -> None:
    assert [after_deferral(facts(count), status, 10.0) for count in (0, 5)] == [KeepPlace()] * 2


def test_other_weather_backs_off_up_to_the_end_of_the_life() -> None:
    waits = [after_deferral(facts(count), "link_weather", 10.0) for count in (1, 2, 3, 4, 5)]
    assert waits == [Defer(11.0), Defer(15.0), Defer(40.0), Defer(130.0), Defer(130.0)]
    assert after_deferral(facts(4), "link_weather", 950.0) == Defer(1_000.0)
