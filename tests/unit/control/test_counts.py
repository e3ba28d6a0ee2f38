"""A core's own list: its columns, its moments, and what is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgate.control.counts import CountsError, Written, read_counts

ZONE = ZoneInfo("Asia/Tashkent")
NOON = int(datetime(2026, 7, 1, 7, 0, tzinfo=UTC).timestamp() * 1000)
"""Noon of Tashkent."""


def read(folder: Path, content: str | bytes, *, versioned: bool = False) -> list[Written]:
    path = folder / "core.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_counts(path, ZONE, versioned=versioned))


@pytest.mark.parametrize(
    "moment",
    [
        "2026-07-01 12:00:00",
        "2026-07-01T12:00:00.000",
        "2026-07-01T07:00:00Z",
        "2026-07-01 09:00:00+02",
        "2026-07-01 12:00:00.000000+05:00",
        str(NOON // 1000),
        f"{NOON // 1000}.0",
        str(NOON),
    ],
)
def test_a_moment_may_be_written_in_many_ways(tmp_path: Path, moment: str) -> None:
    assert read(tmp_path, f"key,created\n17,{moment}\n") == [Written("17", NOON, "")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_columns_are_found_by_their_names(tmp_path: Path, delimiter: str, mark: str, end: str) -> None:
    lines = [("State", "created", "note", "KEY"), ("Refused", str(NOON), "x", "17"), ("taken", str(NOON), "", "18")]
    content = mark + end.join(delimiter.join(line) for line in lines) + end + end
    assert read(tmp_path, content) == [Written("17", NOON, "refused"), Written("18", NOON, "")]


def test_a_version_is_part_of_the_reference(tmp_path: Path) -> None:
    content = f"key,version,created\n17,2,{NOON}\n18,,{NOON}\n"
    assert [row.ref for row in read(tmp_path, content)] == ["17/2", "18"]
    assert [row.ref for row in read(tmp_path, content, versioned=True)] == ["17/2", "18/"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "names no column key"),
        ("key\n17\n", "names no column created"),
        ("key,created\n,2026-07-01\n", "row 2 has no key"),
        ("key,created\n17,2026-07-01\n18,soon\n", "row 3: created is 'soon'"),
        ("key,created\n17,nan\n", "row 2: created"),
        ("key,created\n17,-5\n", "row 2: created"),
        ("key,created\n17\n", "row 2 has 1 fields"),
        ("key,created\n17,\xff\n".encode("latin-1"), "is not UTF-8"),
        ('key,created\n"17"x,2026-07-01\n', "is no CSV"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_row(tmp_path: Path, content: str | bytes, word: str) -> None:
    with pytest.raises(CountsError, match=word):
        read(tmp_path, content)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CountsError, match="cannot be read"):
        list(read_counts(tmp_path / "none.csv", ZONE, versioned=False))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200))
def test_whatever_the_file_holds_it_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    try:
        rows = read(tmp_path, b"key,created\n" + content)
    except CountsError:
        return
    assert all(row.ref and row.at > 0 for row in rows)
