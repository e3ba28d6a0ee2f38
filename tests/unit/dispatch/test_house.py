"""Acceptance, dispatcher and store together, under any order of what may happen.

Two machines: in one nobody looks into a lane that is believed empty, so that only what was told finds a part; in the
other the clock's own verb puts parts back that nobody tells of, and the usual look each second must find them.
"""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mgate.dispatch import belief, way
from mgate.model.message import State, TrafficClass
from mgate.model.outcome import Accepted, Deferred, Outcome, Rejected, Uncertain
from tests.unit.dispatch.house import House

CLIENTS = "ab"
MESSAGES = st.lists(
    st.tuples(st.sampled_from(list(TrafficClass)), st.sampled_from([1, 1, 1, 2, 5]), st.sampled_from(CLIENTS)),
    min_size=1, max_size=8,
)  # fmt: skip
OUTCOMES: st.SearchStrategy[Outcome] = st.sampled_from(
    [
        Accepted("7"), Accepted("7"), Deferred("ESME_RMSGQFUL"), Deferred("link_weather"), Rejected("ESME_RINVDSTADR"),
        Uncertain("response_timeout", True),
    ]
)  # fmt: skip
BINDS = st.integers(0, 1)
MOST = st.sampled_from([1, 2, 1_000])


class Told(RuleBasedStateMachine):
    windows: tuple[int, ...] = (4, 2)
    rate = 0.0
    look_again: ClassVar[float] = 1e9
    by_the_clock: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self._patched = pytest.MonkeyPatch()
        self._patched.setattr(belief, "LOOK_AGAIN", self.look_again)
        self._patched.setattr(way, "LOOK_AGAIN", self.look_again)
        self.house = House(self.windows, self.rate)

    # ---- what the bank does ----

    @rule(messages=MESSAGES)
    def messages_are_pushed(self, messages: list[tuple[TrafficClass, int, str]]) -> None:
        self.house.push(messages)

    @rule(messages=MESSAGES, after=st.sampled_from([0.0005, 0.3, 3.0]))
    def messages_are_pushed_for_later(self, messages: list[tuple[TrafficClass, int, str]], after: float) -> None:
        self.house.push(messages, after=after)

    @rule(messages=MESSAGES)
    def short_lived_messages_are_pushed(self, messages: list[tuple[TrafficClass, int, str]]) -> None:
        self.house.push(messages, life=0.5)

    @rule(traffic=st.sampled_from(list(TrafficClass)), client=st.sampled_from(CLIENTS), count=st.integers(30, 150))
    def a_campaign_is_pushed(self, traffic: TrafficClass, client: str, count: int) -> None:
        self.house.push([(traffic, 1, client)] * count)

    @precondition(lambda self: self.house.pushed)
    @rule(traffic=st.sampled_from(list(TrafficClass)), client=st.sampled_from(CLIENTS), known=st.integers(1, 9))
    def a_message_is_pushed_again(self, traffic: TrafficClass, client: str, known: int) -> None:
        self.house.push([(traffic, 1, client)], known=known)

    @rule(which=st.integers(0, 99))
    def a_message_is_cancelled(self, which: int) -> None:
        ready = self.house.rows(State.READY)
        if ready:
            row = ready[which % len(ready)]
            self.house.disk.cancel(row.id - row.n + 1)

    # ---- what the disk does ----

    @rule(most=MOST)
    def a_commit_ends(self, most: int) -> None:
        self.house.commit(most)

    @rule(most=MOST)
    def a_commit_ends_and_is_answered(self, most: int) -> None:
        self.house.commit(most)
        self.house.disk.answer()

    @rule(most=MOST)
    def a_commit_fails(self, most: int) -> None:
        self.house.fail(most)

    @rule()
    def a_commit_is_answered(self) -> None:
        self.house.disk.answer()

    @rule()
    def the_reader_looks(self) -> None:
        self.house.disk.look()

    @rule()
    def the_reader_answers(self) -> None:
        self.house.disk.answer_reads()

    # ---- what the operator does ----

    @rule(outcome=OUTCOMES, count=st.integers(1, 8))
    def the_operator_answers(self, outcome: Outcome, count: int) -> None:
        self.house.channel.answer(outcome, count)

    @rule(bind=BINDS)
    def a_link_is_lost(self, bind: int) -> None:
        self.house.channel.drop(bind)

    @rule(bind=BINDS)
    def a_link_comes_up(self, bind: int) -> None:
        self.house.channel.rise(bind)

    # ---- what time does ----

    @rule(seconds=st.sampled_from([0.0, 0.0, 0.001, 0.03, 0.4, 1.5]))
    def time_passes(self, seconds: float) -> None:
        self.house.clock.advance(seconds)

    @precondition(lambda self: self.by_the_clock)
    @rule()
    def the_clocks_verb_is_asked(self) -> None:
        self.house.disk.wake()

    @rule()
    def all_goes_well_for_a_moment(self) -> None:
        self.house.fair(3, 0.001)

    @rule()
    def the_process_is_killed(self) -> None:
        self.house.kill()

    # ---- what must hold ----

    @invariant()
    def nobody_is_overtaken(self) -> None:
        self.house.nobody_was_overtaken()

    @invariant()
    def memory_is_bounded(self) -> None:
        self.house.memory_is_bounded(len(CLIENTS))

    @invariant()
    def nothing_holds_more_than_its_slots(self) -> None:
        self.house.leases_fit_the_windows()

    def teardown(self) -> None:
        """When all is well again, everything that is due leaves soon, and every slot comes back."""
        try:
            house = self.house
            due_by = house.wall() + 4.5
            house.fair(120, 0.05)
            house.fair(self.rounds(), 0.02)
            late = [row for row in house.rows(State.READY) if row.due / 1000 <= due_by and row.expires > row.due]
            now = int(house.wall() * 1000)
            assert [row for row in late if row.expires > now] == []
            house.disk.answer()
            house.commit(1_000)
            house.disk.answer()
            assert house.rows(State.LEASED) == []
            assert house.way.slots.used == 0
            assert all(one.coming == 0 for one in house.way._beliefs.values())  # it would cost commits
        finally:
            self._patched.undo()

    def rounds(self) -> int:
        """How long what waits needs, if each window full takes a round."""
        waiting = len(self.house.rows(State.READY))
        return 2 * waiting + (round(50 * waiting / self.rate / 0.8) if self.rate else 0) + 10


class ToldAtAHundredASecond(Told):
    windows = (2, 1)
    rate = 100.0


class ByTheClock(Told):
    look_again = 1.0
    by_the_clock = True


TestTold = Told.TestCase
TestTold.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
TestToldAtAHundredASecond = ToldAtAHundredASecond.TestCase
TestToldAtAHundredASecond.settings = settings(max_examples=20, stateful_step_count=50, deadline=None)
TestByTheClock = ByTheClock.TestCase
TestByTheClock.settings = settings(max_examples=20, stateful_step_count=50, deadline=None)
