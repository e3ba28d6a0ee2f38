"""The rules of slots and commits under any order of faults.

The world's spool raises when leased rows exceed a window, bulk its part of it, or two leases share a reference; its
channel when something is written before its mark is on the disk. Here hypothesis plays the weather.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mgate.model.message import State, TrafficClass
from mgate.model.outcome import Accepted, Deferred, Outcome, Rejected, Uncertain
from tests.unit.dispatch.world import ROUTE, Row, World

CLASSES = st.sampled_from(list(TrafficClass))
OUTCOMES: st.SearchStrategy[Outcome] = st.sampled_from(
    [Accepted("7"), Deferred("ESME_RMSGQFUL"), Rejected("ESME_RINVDSTADR"), Uncertain("response_timeout", True)]
)
BINDS = st.integers(0, 1)


class Weather(RuleBasedStateMachine):
    windows: tuple[int, ...] = (4, 2)
    rate = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.windows, self.rate)

    @rule(traffic=CLASSES, parts=st.integers(1, 5), client=st.sampled_from("ab"), known=st.booleans(), later=BINDS)
    def a_message_comes(self, traffic: TrafficClass, parts: int, client: str, known: bool, later: int) -> None:
        self.world.accept(traffic, parts, client, due=self.world.wall() + 3 if later else 0.0, known=known)

    @rule(traffic=CLASSES)
    def a_row_comes_back_by_itself(self, traffic: TrafficClass) -> None:
        self.world.stored(traffic)

    @rule(traffic=CLASSES)
    def a_short_lived_message_comes(self, traffic: TrafficClass) -> None:
        self.world.accept(traffic, expires=self.world.wall() + 0.5)

    @rule(fails=st.sampled_from([False, False, True]))
    def a_commit_ends(self, fails: bool) -> None:
        self.world.commit(fails)

    @rule()
    def the_reader_answers(self) -> None:
        self.world.spool.answer_reads()

    @rule(outcome=OUTCOMES, count=st.integers(1, 5))
    def the_operator_answers(self, outcome: Outcome, count: int) -> None:
        self.world.channel.answer(outcome, count)

    @rule(bind=BINDS)
    def a_link_is_lost(self, bind: int) -> None:
        self.world.channel.drop(bind)

    @rule(bind=BINDS)
    def a_link_comes_up(self, bind: int) -> None:
        self.world.channel.rise(bind)

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule()
    def a_client_cancels_what_has_not_left(self) -> None:
        for row in self.world.spool.rows.values():
            if row.state is State.READY:
                row.state = State.CANCELLED
                break

    @invariant()
    def slots_cover_all_that_is_leased(self) -> None:
        leased = [row for row in self.world.spool.rows.values() if row.state is State.LEASED]
        assert len(leased) <= self.world.way.slots.used <= sum(self.windows)

    def teardown(self) -> None:
        """Once the weather is fair everything leaves, and every slot comes back."""
        world = self.world
        for bind in range(2):
            world.channel.rise(bind)
        for _ in range(600):
            if not any(row.state in (State.READY, State.LEASED) for row in self.alive()):
                break
            world.channel.answer(Accepted("7"))
            world.clock.advance(0.1)
            world.spool.answer_reads()
            world.commit()
        assert [row for row in self.alive() if row.state in (State.READY, State.LEASED)] == []
        world.settle()
        told: list[bool] = []
        world.dispatcher.drain(told.append)
        world.channel.answer(Accepted("7"))
        world.settle()
        assert told == [True]
        assert world.way.slots.used == 0
        assert world.clock.getDelayedCalls() == []
        assert all(world.way.slots.used_on(bind) == 0 for bind in range(2))
        assert world.dispatcher.offer(ROUTE, TrafficClass.OTP, "a", 1) == ()

    def alive(self) -> list[Row]:
        return [row for row in self.world.spool.rows.values() if row.expires > self.world.wall()]


class WeatherAtTenASecond(Weather):
    windows = (2, 1)
    rate = 10.0


TestWeather = Weather.TestCase
TestWeather.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestWeatherAtTenASecond = WeatherAtTenASecond.TestCase
TestWeatherAtTenASecond.settings = settings(max_examples=40, stateful_step_count=60, deadline=None)
