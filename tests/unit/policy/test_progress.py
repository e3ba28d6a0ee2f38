from __future__ import annotations

from mgate.policy.progress import GRACE, Progress


class Route:
    """One route, a minute a step."""

    def __init__(self) -> None:
        self.progress = Progress()
        self.accepted = self.receipts = 0
        self.progress.look(0, 0)

    def minutes(self, count: int, accepted: int, receipts: int) -> list[bool]:
        said = []
        for _ in range(count):
            self.accepted += accepted
            self.receipts += receipts
            said.append(self.progress.look(self.accepted, self.receipts))
        return said


def test_receipts_that_stay_away_are_missed_within_the_window_and_not_at_once() -> None:
    route = Route()
    assert not any(route.minutes(120, accepted=60, receipts=57))
    said = route.minutes(30, accepted=60, receipts=0)
    assert not any(said[:GRACE])
    assert said[-1]


def test_they_are_back_when_half_of_what_is_usual_comes() -> None:
    route = Route()
    route.minutes(120, accepted=60, receipts=57)
    route.minutes(40, accepted=60, receipts=0)
    assert route.progress.missing
    said = route.minutes(40, accepted=60, receipts=57)
    assert said[0]
    assert not said[-1]


def test_an_operator_that_seldom_tells_is_held_against_itself() -> None:
    route = Route()
    assert not any(route.minutes(300, accepted=60, receipts=6))


def test_an_operator_that_never_tells_raises_nothing() -> None:
    route = Route()
    assert not any(route.minutes(300, accepted=60, receipts=0))


def test_a_quiet_night_raises_nothing() -> None:
    route = Route()
    route.minutes(120, accepted=60, receipts=57)
    assert not any(route.minutes(600, accepted=0, receipts=0))


def test_a_handful_of_messages_without_receipts_raises_nothing() -> None:
    route = Route()
    route.minutes(120, accepted=60, receipts=57)
    assert not any(route.minutes(40, accepted=0, receipts=0) + route.minutes(15, accepted=1, receipts=0))


def test_what_is_missing_does_not_become_usual() -> None:
    route = Route()
    route.minutes(120, accepted=60, receipts=57)
    route.minutes(1440, accepted=60, receipts=0)
    assert route.progress.missing
    assert route.progress.usual is not None
    assert route.progress.usual > 0.8


def test_traffic_that_ends_while_receipts_are_missing_clears_nothing() -> None:
    route = Route()
    route.minutes(120, accepted=60, receipts=57)
    route.minutes(40, accepted=60, receipts=0)
    assert all(route.minutes(60, accepted=0, receipts=0))
