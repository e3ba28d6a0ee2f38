"""A core's database is asked in short spans, and every row comes once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from mgate.model.source import Count, Source
from mgate.reckoning.database import FEW, FIRST, LONGEST, MOST, DatabaseCore
from mgate.reckoning.sheet import Line
from tests.unit.reckoning.world import DAY, HOUR, MIDNIGHT


class Table:
    """The rows of a source, as ``written`` gives them; ``asked``: the spans."""

    def __init__(self, rows: Sequence[Count], page: int) -> None:
        self._rows = sorted(rows, key=lambda row: row.key)
        self._page = page
        self.asked: list[tuple[float, float]] = []
        self.closed = False

    async def written(self, begin: float, end: float, after: str, most: int) -> Sequence[Count]:
        if not after:
            self.asked.append((begin, end))
        found = [row for row in self._rows if begin <= row.created < end and row.key > after]
        return found[: min(most, self._page)]

    async def close(self) -> None:
        self.closed = True


def read(table: Table, begin: int = MIDNIGHT, end: int = MIDNIGHT + DAY, *, versioned: bool = False) -> list[Line]:
    async def all_of_it() -> list[Line]:
        source: Source = table  # type: ignore[assignment]  # the two verbs that a reckoning asks
        core = DatabaseCore(source, versioned=versioned)
        found = [line async for lines in core.rows(begin, end) for line in lines]
        await core.close()
        return found

    with ThreadPoolExecutor(1) as other:
        return other.submit(asyncio.run, all_of_it()).result()


def row(number: int, at: int) -> Count:
    return Count(key=f"{number:06d}", version="", created=at / 1000)


@settings(deadline=None)
@given(st.lists(st.integers(MIDNIGHT - HOUR, MIDNIGHT + DAY + HOUR), max_size=40), st.integers(1, 7))
def test_every_row_of_the_day_comes_once_with_its_moment_and_none_of_another(moments: list[int], page: int) -> None:
    rows = [row(number, at) for number, at in enumerate(moments)]
    wanted = [(f"{number:06d}", at) for number, at in enumerate(moments) if MIDNIGHT <= at < MIDNIGHT + DAY]
    table = Table(rows, page)
    assert sorted((line.ref, line.at) for line in read(table)) == wanted
    assert table.closed
    assert [end for _, end in table.asked[:-1]] == [begin for begin, _ in table.asked[1:]]


def test_spans_grow_where_little_was_written() -> None:
    table = Table([], MOST)
    read(table)
    widths = [round((end - begin) * 1000) for begin, end in table.asked]
    assert widths[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert max(widths) <= LONGEST
    assert len(widths) < 15


def test_spans_shrink_where_much_was_written() -> None:
    rows = [row(number, MIDNIGHT + number * 100) for number in range(6 * MOST)]
    table = Table(rows, MOST)
    assert len(read(table, MIDNIGHT, MIDNIGHT + HOUR)) == 6 * MOST
    assert min(end - begin for begin, end in table.asked) <= FIRST / 2000
    assert FEW < MOST


def test_where_rows_have_versions_each_reference_bears_one() -> None:
    rows = [Count(key="1", version="", created=MIDNIGHT / 1000), Count(key="2", version="b", created=MIDNIGHT / 1000)]
    assert {line.ref for line in read(Table(rows, MOST), versioned=True)} == {"1/", "2/b"}
    assert {line.ref for line in read(Table(rows, MOST))} == {"1", "2"}


def test_the_core_s_last_word_is_told() -> None:
    rows = [Count(key="1", version="", created=MIDNIGHT / 1000, final="refused")]
    assert read(Table(rows, MOST)) == [Line("1", MIDNIGHT, "refused")]
