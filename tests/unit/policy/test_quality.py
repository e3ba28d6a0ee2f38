from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from mgate.policy.quality import SLICES, Fault, Fed, Health, Marks, Phase, fed, judged, settled

MARKS = Marks(window=300.0, in_time=60.0, slow_after=20.0, rest=120.0, poor_below=0.6, well_above=0.8, least=20)


@dataclass
class Account:
    """An account under a steady traffic, of which a share is delivered after so many seconds."""

    health: Health = field(default_factory=Health)
    now: float = 1000.0
    phases: list[Phase] = field(default_factory=list)

    def run(self, seconds: int, delivered: int, took: float = 3.0, rate: int = 10) -> None:
        """``rate`` parts a second, of which ``delivered`` arrive. A poor one gets no traffic."""
        for _ in range(seconds):
            self.now += 1.0
            sent = 0 if self.health.poor else rate
            news = [Fed(self.now, sent=sent), Fed(self.now, delivered=min(delivered, sent), took=took)]
            self.health = judged(fed(self.health, news, MARKS, self.now), MARKS, self.now)
            if not self.phases or self.phases[-1] is not self.health.phase:
                self.phases.append(self.health.phase)


def test_a_route_that_delivers_stays_well() -> None:
    account = Account()
    account.run(2000, delivered=9)
    assert account.phases == [Phase.WELL]


def test_a_route_that_delivers_too_little_is_poor_and_says_why() -> None:
    account = Account()
    account.run(300, delivered=10)
    account.run(400, delivered=1)
    assert account.health.poor
    assert account.health.fault is Fault.UNDELIVERED


def test_a_route_that_delivers_late_is_poor_and_says_why() -> None:
    account = Account()
    account.run(300, delivered=10)
    account.run(400, delivered=10, took=30.0)
    assert (account.health.poor, account.health.fault) == (True, Fault.SLOW)


def test_what_comes_after_its_time_was_not_delivered() -> None:
    account = Account()
    account.run(100, delivered=10)
    account.run(400, delivered=10, took=61.0)
    assert account.health.fault is Fault.UNDELIVERED


def test_a_part_is_not_judged_before_it_has_had_its_time() -> None:
    health = fed(Health(tells=True), [Fed(1000.0, sent=1000)], MARKS, 1000.0)
    assert judged(health, MARKS, 1050.0).phase is Phase.WELL
    assert judged(health, MARKS, 1080.0).poor


def test_few_parts_are_no_ground_for_a_judgement() -> None:
    few = fed(Health(tells=True), [Fed(1000.0, sent=MARKS.least - 1)], MARKS, 1000.0)
    assert judged(few, MARKS, 1100.0).phase is Phase.WELL
    assert judged(fed(few, [Fed(1000.0, sent=1)], MARKS, 1000.0), MARKS, 1100.0).phase is Phase.RESTING


def test_a_route_that_never_told_of_a_delivery_is_not_judged() -> None:
    account = Account()
    account.run(1000, delivered=0)
    assert account.phases == [Phase.WELL]


def test_between_the_two_marks_it_stays_what_it_was() -> None:
    middle = [Fed(1000.0, sent=100), Fed(1000.0, delivered=70, took=1.0)]
    well = fed(Health(tells=True), middle, MARKS, 1000.0)
    assert judged(well, MARKS, 1090.0).phase is Phase.WELL
    poor = fed(Health((), Phase.RESTING, 9999.0, tells=True, fault=Fault.SLOW), middle, MARKS, 1000.0)
    assert judged(poor, MARKS, 1090.0).phase is Phase.RESTING


def test_a_poor_route_that_is_used_all_the_same_and_gets_better_is_well_at_once() -> None:
    better = [Fed(1000.0, sent=100), Fed(1000.0, delivered=90, took=1.0)]
    poor = fed(Health((), Phase.RESTING, 9999.0, tells=True, fault=Fault.SLOW), better, MARKS, 1000.0)
    assert judged(poor, MARKS, 1090.0) == poor._replace(phase=Phase.WELL, until=0.0, fault=None)


def test_after_its_rest_it_is_tried_and_comes_back_by_itself() -> None:
    account = Account()
    account.run(100, delivered=10)
    account.run(150, delivered=0)
    account.run(800, delivered=9)
    assert account.phases == [Phase.WELL, Phase.RESTING, Phase.TRIAL, Phase.WAITING, Phase.WELL]
    assert account.health.fault is None


def test_a_trial_costs_no_more_parts_than_a_judgement_needs() -> None:
    account = Account()
    account.run(100, delivered=10)
    account.run(200, delivered=0)
    while account.health.phase is not Phase.WAITING:
        account.run(1, delivered=0)
    assert sum(each.sent for each in account.health.slices) == MARKS.least


def test_each_trial_that_fails_doubles_the_rest_up_to_eight_times() -> None:
    account, rests = Account(), []
    account.run(100, delivered=10)
    for _ in range(6000):
        account.run(1, delivered=0)
        if account.health.phase is Phase.RESTING and account.health.rest not in rests:
            rests.append(account.health.rest)
    assert rests == [120.0, 240.0, 480.0, 960.0]
    account.run(3000, delivered=10)
    assert (account.health.phase, account.health.rest) == (Phase.WELL, 0.0)


def test_a_trial_without_traffic_ends_and_nothing_speaks_against_the_route() -> None:
    health = Health((), Phase.TRIAL, since=1000.0, fault=Fault.SLOW, tells=True)
    waiting = judged(health, MARKS, 1000.0 + MARKS.window)
    assert waiting.phase is Phase.WAITING
    assert judged(waiting, MARKS, waiting.until).phase is Phase.WELL


def test_a_trial_is_not_judged_by_what_was_sent_after_it() -> None:
    trial = Health((), Phase.TRIAL, since=1000.0, tells=True, fault=Fault.SLOW)
    tried = fed(trial, [Fed(1001.0, sent=20), Fed(1001.0, delivered=19, took=1.0)], MARKS, 1002.0)
    waiting = judged(tried, MARKS, 1002.0)
    # Where there is no other account its messages go on all the time.
    after = fed(waiting, [Fed(waiting.until - 1.0, sent=500)], MARKS, waiting.until)
    assert judged(after, MARKS, waiting.until).phase is Phase.WELL


def test_a_trial_that_brings_nothing_fails_even_when_it_was_over_at_once() -> None:
    trial = Health((), Phase.TRIAL, since=1000.0, tells=True, fault=Fault.SLOW)
    waiting = judged(fed(trial, [Fed(1001.0, sent=20)], MARKS, 1001.0), MARKS, 1001.0)
    assert judged(waiting, MARKS, waiting.until).phase is Phase.RESTING


def test_a_delivery_of_before_the_trial_does_not_speak_for_it() -> None:
    health = Health((), Phase.TRIAL, since=1000.0, tells=True)
    assert fed(health, [Fed(999.0, delivered=50, took=1.0)], MARKS, 1000.0).slices == ()


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 50), st.floats(0, 90)), max_size=60))
def test_memory_is_a_windows_slices_and_nothing_is_counted_twice(steps: list[tuple[float, int, float]]) -> None:
    health, now = Health(), 0.0
    for gone, count, took in steps:
        now += gone
        health = fed(health, [Fed(now, sent=count), Fed(now - took, delivered=count, took=took)], MARKS, now)
        assert len(health.slices) <= SLICES * (1 + MARKS.in_time / MARKS.window) + 2
    total = settled(health, MARKS, now + MARKS.in_time + MARKS.window)
    assert total.sent <= sum(count for _, count, _ in steps)
    assert total.late <= total.delivered
