import pytest

from mgate.dispatch.tempo import Tempo
from mgate.policy.pacing import Purse


def leave(tempo: Tempo, begin: float, seconds: float, wanted: int = 1000) -> int:
    """Send as much bulk as may leave, up to ``wanted`` a second; how much left."""
    left, step = 0, 1 / wanted
    for at in range(int(seconds * wanted)):
        tempo.refill(begin + at * step)
        if tempo.purse.pays(urgent=False):
            tempo.pay(urgent=False, tokens=1)
            left += 1
    return left


def test_until_the_operator_throttles_a_tempo_is_its_purse() -> None:
    tempo, purse = Tempo(100.0, 1.0), Purse.full(100.0, 1.0)
    for now, tokens in [(1.0, 3), (1.01, 1), (1.5, 9)]:
        tempo.refill(now)
        tempo.pay(urgent=False, tokens=tokens)
        purse = purse.refill(now).pay(urgent=False, tokens=tokens)
    tempo.refund(urgent=False, tokens=2)
    assert tempo.purse == purse.refund(urgent=False, tokens=2)
    assert not tempo.slowed


def test_a_throttled_account_goes_at_half_and_comes_back_to_its_rate() -> None:
    tempo = Tempo(100.0, 1.0)
    before = leave(tempo, 1.0, 2.0)
    tempo.throttled(3.0)
    after = leave(tempo, 3.0, 2.0)
    assert after == pytest.approx(before / 2, abs=20)
    leave(tempo, 5.0, 20.0)
    assert tempo.purse.rate == 100.0


def test_an_account_without_a_rate_is_slowed_to_half_of_what_left_and_has_no_limit_again_later() -> None:
    tempo = Tempo(0.0, 1.0)
    for second in range(1, 4):
        tempo.refill(float(second))
        tempo.pay(urgent=False, tokens=200)
    tempo.throttled(3.5)
    assert tempo.purse.rate == 100.0
    tempo.refill(60.0)
    assert tempo.purse.rate == 0.0


def test_slowing_down_is_no_right_to_a_burst() -> None:
    tempo = Tempo(100.0, 1.0)
    tempo.refill(1.0)
    tempo.pay(urgent=False, tokens=8)
    tempo.throttled(1.0)
    assert not tempo.purse.pays(urgent=False)


def test_who_has_no_limit_need_not_look_at_the_clock() -> None:
    tempo = Tempo(0.0, 5.0)
    tempo.refill(0.0)
    tempo.pay(urgent=True, tokens=7)
    assert tempo.purse.pays(urgent=False)


def test_another_configured_rate_is_taken_up() -> None:
    tempo = Tempo(100.0, 1.0)
    tempo.apply(10.0, 1.0)
    assert tempo.purse.rate == 10.0
    tempo.throttled(2.0)
    tempo.apply(0.0, 2.0)
    assert tempo.slowed
    tempo.refill(60.0)
    assert tempo.purse.rate == 0.0
