"""Calling others: what of an answer is read, and for how long a Retry-After is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.net.calling import LONGEST_ASKED, retry_after

NOW = 1_790_000_000.0  # Mon, 21 Sep 2026 14:13:20 GMT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0), ("120", 120.0), ("999999999", LONGEST_ASKED), ("Mon, 21 Sep 2026 14:15:20 GMT", 120.0),
        ("Mon, 21 Sep 2026 14:00:00 GMT", 0.0), ("Mon, 21 Sep 2036 14:00:00 GMT", LONGEST_ASKED),
        ("Mon, 21 Sep 2026 14:15:20", 120.0), ("", 0.0), ("soon", 0.0), ("-5", 0.0), ("1.5", 0.0), ("٣", 0.0),
        ("99999999999", 0.0), ("Mon, 99 Sep 2026 99:00:00 GMT", 0.0),
    ],
)  # fmt: skip
def test_what_retry_after_asks_for(text: str, seconds: float) -> None:
    assert retry_after(text, NOW) == seconds


@given(st.text(max_size=40))
def test_whatever_stands_there_is_some_time_within_a_day(text: str) -> None:
    assert 0.0 <= retry_after(text, NOW) <= LONGEST_ASKED
