"""docs/operators-behaviours.md names the tests that prove each row: they exist, and it hides no row without any."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "operators-behaviours.md").read_text(encoding="utf-8")
ROWS = {int(row): tests for row, tests in re.findall(r"^\| (\d+) \| .*? \| ([^|]*) \|$", PAGE, re.MULTILINE)}


def test_every_row_stands_there_once_in_order() -> None:
    assert [int(row) for row in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)] == list(range(1, 69))
    assert list(ROWS) == list(range(1, 69))


def test_every_test_that_is_named_exists() -> None:
    known = {
        name
        for path in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 100
    assert not named - known


def test_the_rows_without_a_test_are_listed() -> None:
    nothing = {row for row, tests in ROWS.items() if "`test_" not in tests}
    assert {row for row, tests in ROWS.items() if tests == "none yet"} == nothing
    sentence = PAGE.partition("## Not proved yet")[2].strip().partition(".")[0]
    assert {int(number) for number in re.findall(r"\d+", sentence)} == nothing
