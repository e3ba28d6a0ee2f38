"""What a person is told of a reckoning."""

from __future__ import annotations

import pytest

from mgate.control.reckoned import Head, Reckoned
from mgate.control.sums_tables import verdict
from mgate.policy.reckoning import Sums


def told(sums: Sums) -> str:
    head = Head(
        reckoning=1, instance="i", client="core", core="source", day="2026-11-22", time_zone="UTC", begin="", end="",
        made_at="", late_after=300, balances=sums.balances, sums=sums,
    )  # fmt: skip
    return verdict(Reckoned(head=head, differences=(), file="core-2026-11-22.ndjson"))


def test_a_message_without_a_row_may_have_one_of_another_day() -> None:
    said = told(Sums(extra=2))
    assert "2 of the day's messages have no row of the core: unknown to it, or written on another day" in said
    assert "no row of the core" not in told(Sums())


@pytest.mark.parametrize(("missing", "words"), [(1, "1 of the core's rows was"), (2, "2 of the core's rows were")])
def test_one_missing_row_is_told_in_the_singular(missing: int, words: str) -> None:
    assert words in told(Sums(core=missing, missing=missing))
