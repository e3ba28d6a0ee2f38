"""The hours of a class, on ordinary days, on the two odd ones of a year, and over several zones."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.policy.guards.quiet import Allowed, Span, TooShort, Window, fit, open_span, read_hours

ALL = frozenset(range(7))
DAY = Window(9 * 60, 20 * 60, ALL)
MINSK, VIENNA, TASHKENT = ZoneInfo("Europe/Minsk"), ZoneInfo("Europe/Vienna"), ZoneInfo("Asia/Tashkent")


def at(zone: ZoneInfo, text: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def told(span: Span | None, zone: ZoneInfo) -> tuple[str, str]:
    assert span is not None
    return tuple(datetime.fromtimestamp(each, zone).strftime("%d %H:%M") for each in span)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("09:00-20:00", (540, 1200)),
        ("00:00-24:00", (0, 1440)),
        ("20:00-09:00", None),
        ("09:00-09:00", None),
        ("9:00-20:00", None),
        ("00:00-24:01", None),
        ("", None),
    ],
)
def test_hours_are_a_span_within_one_day(text: str, minutes: tuple[int, int] | None) -> None:
    assert read_hours(text) == minutes


@pytest.mark.parametrize(
    ("moment", "span"),
    [
        ("2026-11-23T08:59", ("23 09:00", "23 20:00")),
        ("2026-11-23T09:00", ("23 09:00", "23 20:00")),
        ("2026-11-23T19:59", ("23 09:00", "23 20:00")),
        ("2026-11-23T20:00", ("24 09:00", "24 20:00")),
        ("2026-11-23T23:30", ("24 09:00", "24 20:00")),
    ],
)
def test_a_day_opens_and_closes_by_the_recipients_clock(moment: str, span: tuple[str, str]) -> None:
    assert told(open_span(at(MINSK, moment), DAY, [MINSK], frozenset()), MINSK) == span


def test_days_of_the_week_and_holidays_are_passed_over() -> None:
    window = Window(540, 1200, frozenset(range(6)))
    saturday_evening = at(MINSK, "2026-11-21T20:30")
    assert told(open_span(saturday_evening, window, [MINSK], frozenset()), MINSK)[0] == "23 09:00"
    assert told(open_span(saturday_evening, window, [MINSK], {date(2026, 11, 23)}), MINSK)[0] == "24 09:00"


def test_where_the_zone_is_not_sure_only_what_is_open_in_all_of_them_is_open() -> None:
    span = open_span(at(MINSK, "2026-11-23T05:00"), DAY, [MINSK, TASHKENT], frozenset())  # Tashkent is 2 h ahead
    assert told(span, MINSK) == ("23 09:00", "23 18:00")


def test_zones_that_are_never_open_together_give_nothing() -> None:
    narrow = Window(9 * 60, 10 * 60, ALL)
    assert open_span(at(MINSK, "2026-11-23T05:00"), narrow, [MINSK, TASHKENT], frozenset()) is None


def test_a_month_of_holidays_gives_nothing() -> None:
    first = date(2026, 11, 23)
    assert (
        open_span(at(MINSK, "2026-11-23T05:00"), DAY, [MINSK], {first + timedelta(n) for n in range(40)}) is None
    )  # fmt: skip


def test_the_day_on_which_clocks_go_forward_opens_and_closes_by_the_clock_of_that_day() -> None:
    # 29 March 2026: 02:00 becomes 03:00 in Vienna.
    span = open_span(at(VIENNA, "2026-03-28T21:00"), DAY, [VIENNA], frozenset())
    assert told(span, VIENNA) == ("29 09:00", "29 20:00")
    assert span is not None
    assert span.opens - at(VIENNA, "2026-03-28T21:00") == 11 * 3600  # an hour less than on other nights


def test_the_day_on_which_clocks_go_back_opens_and_closes_by_the_clock_of_that_day() -> None:
    # 25 October 2026: 03:00 becomes 02:00 in Vienna.
    span = open_span(at(VIENNA, "2026-10-24T21:00"), DAY, [VIENNA], frozenset())
    assert told(span, VIENNA) == ("25 09:00", "25 20:00")
    assert span is not None
    assert span.opens - at(VIENNA, "2026-10-24T21:00") == 13 * 3600


def test_an_edge_that_never_comes_opens_later() -> None:
    window = Window(2 * 60 + 30, 12 * 60, ALL)  # 02:30 is left out on 29 March
    span = open_span(at(VIENNA, "2026-03-29T00:00"), window, [VIENNA], frozenset())
    assert told(span, VIENNA)[0] == "29 03:30"


def test_an_edge_that_comes_twice_makes_the_window_shorter() -> None:
    opening, closing = Window(2 * 60 + 30, 12 * 60, ALL), Window(0, 2 * 60 + 30, ALL)
    midnight = at(VIENNA, "2026-10-25T00:00")
    opens, closes = open_span(midnight, opening, [VIENNA], frozenset()), open_span(midnight, closing, [VIENNA], set())
    assert opens is not None
    assert closes is not None
    assert opens.opens == at(VIENNA, "2026-10-25T02:30", fold=1)
    assert closes.closes == at(VIENNA, "2026-10-25T02:30", fold=0)


@given(
    st.integers(1_700_000_000, 1_900_000_000),
    st.sampled_from(["Europe/Minsk", "Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Asia/Tehran"]),
    st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda pair: pair[0] + 120 < pair[1]),
    st.sets(st.integers(0, 6), min_size=1),
)
def test_nothing_leaves_outside_the_hours(
    now: int, name: str, hours: tuple[int, int], days: set[int]
) -> None:  # fmt: skip
    zone = ZoneInfo(name)
    span = open_span(now, Window(*hours, frozenset(days)), [zone], frozenset())
    assert span is not None
    assert span.closes > now
    assert span.opens < span.closes
    for moment in (max(span.opens, now), span.closes - 1):
        there = datetime.fromtimestamp(moment, zone)
        assert there.weekday() in days
        assert hours[0] <= there.hour * 60 + there.minute < hours[1]


def test_a_message_in_its_hours_loses_only_what_lies_behind_them() -> None:
    assert fit(1000.0, 0.0, 5000.0, False, Span(500.0, 4000.0)) == Allowed(0.0, 4000.0)
    assert fit(1000.0, 0.0, 3000.0, False, Span(500.0, 4000.0)) == Allowed(0.0, 3000.0)


def test_a_message_that_waits_lives_from_the_opening_on() -> None:
    assert fit(1000.0, 0.0, 1500.0, False, Span(3000.0, 9000.0)) == Allowed(3000.0, 3500.0)
    assert fit(1000.0, 2000.0, 2500.0, False, Span(3000.0, 9000.0)) == Allowed(3000.0, 3500.0)
    assert fit(1000.0, 0.0, 9999.0, False, Span(3000.0, 9000.0)) == Allowed(3000.0, 9000.0)


def test_a_moment_that_the_sender_named_as_the_end_is_kept() -> None:
    assert fit(1000.0, 0.0, 3500.0, True, Span(3000.0, 9000.0)) == Allowed(3000.0, 3500.0)
    assert fit(1000.0, 0.0, 3000.0, True, Span(3000.0, 9000.0)) == TooShort(3000.0)
