"""When a range of numbers is pumped."""

from mgate.policy.guards.pumping import DAYS, MOST_RANGES, Marks, Range, is_pumped, next_hour, range_of

MARKS = Marks(100, 5)


def test_a_range_is_the_first_seven_digits() -> None:
    assert range_of("+375291110001") == "+3752911"


def test_a_range_is_pumped_when_it_passes_the_floor_and_its_own_base() -> None:
    busy = (40, 0, 30, 0, 0, 0, 0)
    assert not is_pumped(Range(99, (0,) * DAYS), MARKS)
    assert is_pumped(Range(100, (0,) * DAYS), MARKS)
    assert not is_pumped(Range(199, busy), MARKS)
    assert is_pumped(Range(200, busy), MARKS)


def test_the_base_is_the_busiest_hour_of_seven_days() -> None:
    ranges = {"+3752911": Range(70, (30, 50, 0, 0, 0, 0, 90))}
    assert next_hour(ranges, 0)["+3752911"] == Range(0, (70, 50, 0, 0, 0, 0, 90))
    assert next_hour(ranges, 1)["+3752911"] == Range(0, (0, 70, 50, 0, 0, 0, 0))
    assert next_hour(ranges, 3)["+3752911"] == Range(0, (0, 0, 0, 70, 50, 0, 0))


def test_a_range_without_a_code_in_seven_days_is_forgotten() -> None:
    assert next_hour({"+3752911": Range(3, (9, 9, 9, 9, 9, 9, 9))}, 7) == {}


def test_of_too_many_ranges_the_busiest_are_kept() -> None:
    ranges = {f"+{n:07}": Range(n) for n in range(1, MOST_RANGES + 101)}
    kept = next_hour(ranges, 0)
    assert len(kept) == MOST_RANGES
    assert "+0000100" not in kept
    assert "+0000101" in kept
