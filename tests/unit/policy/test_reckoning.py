"""The reckoning's equations hold over any day, and what differs is named."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.model.message import State
from mgate.model.source import FINAL
from mgate.policy.reckoning import End, Gap, Kept, Sums, Tally, Written, day_span, end_of, word_of, yesterday
from mgate.spool.lifecycle import JOURNALLED

MINUTE = 60_000
LATE = 5 * MINUTE
NOW = 100 * 60 * MINUTE

WRITTEN = st.builds(Written, st.integers(1, NOW), st.sampled_from(["", *FINAL]))
KEPT = st.builds(
    Kept,
    st.just(1),
    st.integers(1, NOW),
    st.sampled_from(State),
    st.booleans(),
    st.integers(0, NOW),
    st.integers(0, NOW),
)


@given(st.lists(st.tuples(WRITTEN, st.none() | KEPT), max_size=60))
def test_over_any_day_every_row_is_counted_once_and_every_accepted_one_has_one_end(
    day: list[tuple[Written, Kept | None]],
) -> None:
    tally = Tally(LATE, NOW)
    gaps = [tally.add(*row) for row in day]
    sums = tally.sums(len(day), 0)
    assert sums.balances
    assert sums.core == sums.accepted + sums.refused + sums.final_by_core + sums.missing
    assert sums.accepted == sum(kept is not None for _, kept in day) == sums.ended
    assert sums.missing == gaps.count(Gap.MISSING) == sum(kept is None and not row.final for row, kept in day)
    assert sums.sent == sum(kept is not None and kept.taken for _, kept in day)
    assert sums.gap == (sums.missing > 0)


@given(st.lists(st.tuples(WRITTEN, st.none() | KEPT), min_size=1, max_size=20), st.integers(-3, 3).filter(bool))
def test_a_row_that_is_lost_between_two_counts_breaks_the_balance(
    day: list[tuple[Written, Kept | None]], lost: int
) -> None:
    tally = Tally(LATE, NOW)
    for row in day:
        tally.add(*row)
    sums = tally.sums(len(day) + lost, 0)
    assert not sums.balances
    assert sums.gap


def test_what_could_not_be_read_is_no_balance() -> None:
    assert Sums(core=1, accepted=1, delivered=1).balances
    assert Sums(core=1, accepted=1, delivered=1, unreadable=1).gap


@pytest.mark.parametrize(
    ("kept", "gap"),
    [
        (Kept(1, LATE, State.DELIVERED, True, LATE), None),
        (Kept(1, LATE + 1, State.DELIVERED, True, LATE + 1), Gap.ACCEPTED_LATE),
        (Kept(1, 10, State.DELIVERED, True, LATE + 1), Gap.SENT_LATE),
        (Kept(1, 10, State.DELIVERED, True, LATE + 1, not_before=1), None),
        (Kept(1, 10, State.READY), Gap.SENT_LATE),
        (Kept(1, 10, State.READY, not_before=NOW - 10), None),
        (Kept(1, 10, State.EXPIRED), None),
        (Kept(1, 10, State.CANCELLED), None),
        (Kept(1, 10, State.UNCERTAIN), None),
    ],
)
def test_late_is_what_was_accepted_or_left_too_long_after_it_was_written_or_might_leave(
    kept: Kept, gap: Gap | None
) -> None:
    assert Tally(LATE, NOW).add(Written(0), kept) is gap


def test_a_message_of_a_row_that_the_core_believes_refused_is_accepted_all_the_same() -> None:
    tally = Tally(LATE, NOW)
    tally.add(Written(1, "refused"), Kept(1, 2, State.DELIVERED, True, 2))
    assert tally.sums(1, 0) == Sums(core=1, accepted=1, sent=1, delivered=1)


def test_every_state_is_counted_somewhere() -> None:
    assert {end_of(Kept(1, 1, state)) for state in State} == set(End)


def test_ends_and_words_are_those_of_events() -> None:
    events = {*JOURNALLED.values(), "accepted"}
    assert {word_of(Kept(1, 1, state)) for state in State} == events
    assert {end.value for end in End} - events == {"under_way"}
    assert {word.value for word in End} <= set(Sums.__struct_fields__)


def test_a_day_is_as_long_as_its_clock_makes_it() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for day, hours in [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)]:
        begin, end = day_span(day, berlin)
        assert end - begin == hours * 60 * MINUTE


@given(st.dates(date(2020, 1, 1), date(2040, 1, 1)), st.sampled_from(["UTC", "Asia/Tashkent", "America/St_Johns"]))
def test_days_touch_and_leave_no_moment_out(day: date, name: str) -> None:
    zone = ZoneInfo(name)
    begin, end = day_span(day, zone)
    assert datetime.fromtimestamp(begin / 1000, zone).date() == day
    assert datetime.fromtimestamp(end / 1000 - 0.001, zone).date() == day
    assert yesterday(end / 1000, zone) == day
