"""What a row says: its figures, what was asked of them, and the table. Pure."""

import operator
from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import ceil
from typing import Final, Literal

from msgspec import Struct
from rich.table import Table

QUIET_DISK: Final = 0.5
"""The promised rates hold while the median fdatasync takes less, milliseconds."""
COMMITS: Final = 3
"""A part holds its slot over its lease's commit, the operator's latency, its outcome's commit, and part of another."""

_SENSES: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">=": operator.ge, "=": operator.eq,
}  # fmt: skip


class Asked(Struct, frozen=True):
    """What is promised of one value: `sense` against `than`; `at`: which value of the figure, from 0."""

    sense: Literal["<", "<=", ">=", "="]
    than: float
    at: int = -1

    def kept(self, values: Sequence[float]) -> bool:
        """Whether the values keep it."""
        return _SENSES[self.sense](values[self.at], self.than)


class Figure(Struct, frozen=True):
    """One measured thing. `values`: one, or several that `name` explains; `kept`: whether what was asked is so."""

    name: str
    values: tuple[float, ...]
    unit: str = ""
    asked: Asked | None = None
    kept: bool | None = None


class Result(Struct, frozen=True):
    """One row of the bench.

    Attributes:
        row, meaning: its name, and what it did; notes: what must be known to read it.
        commit_before, commit_after: median fdatasync on the same disk, milliseconds.
        profile: the first lines of the profile, when one was made.
    """

    row: str
    meaning: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    commit_before: float = 0.0
    commit_after: float = 0.0
    profile: tuple[str, ...] = ()

    def value(self, name: str) -> float:
        """The first value of the figure of that name; KeyError without one."""
        for figure in self.figures:
            if figure.name == name:
                return figure.values[0]
        raise KeyError(name)


def figure(name: str, *values: float, unit: str = "", asked: Asked | None = None) -> Figure:
    """A figure, held against what was asked."""
    return Figure(name, values, unit, asked, asked.kept(values) if asked and values else None)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed (nearest rank); `ordered` rises."""
    return ordered[max(ceil(len(ordered) * share) - 1, 0)]


def latencies(name: str, seconds: Sequence[float], most: float | None = None) -> Figure:
    """Median, 95 and 99 of 100 in milliseconds; `most` is asked of the last. No values: nothing was measured."""
    asked = None if most is None else Asked("<=", most)
    if not seconds:
        return Figure(f"{name}: 50 / 95 / 99 %", (), "ms", asked, None if most is None else False)
    ordered = sorted(seconds)
    three = (percentile(ordered, share) * 1000.0 for share in (0.5, 0.95, 0.99))
    return figure(f"{name}: 50 / 95 / 99 %", *three, unit="ms", asked=asked)


def binds_for(rate: float, latency: float, commit: float, window: int) -> int:
    """How many binds of `window` an account of `rate` PDUs a second needs; latency and commit in seconds."""
    return max(ceil(rate * (latency + COMMITS * commit) / window), 1)


def bound(windows: int, latency: float, commit: float) -> float:
    """Messages a second that `windows` slots can carry: each is held for the latency and three commits, seconds."""
    return windows / (latency + COMMITS * commit)


def bound_figure(windows: int, latency: float, before: float, after: float) -> tuple[Figure, ...]:
    """Nothing on a quiet disk or without windows; else what the windows can carry. Commits: milliseconds."""
    commit = max(before, after)
    if commit < QUIET_DISK or not windows:
        return ()
    rate = bound(windows, latency, commit / 1000.0)
    return (Figure("the disk is slow: windows ÷ (latency + 3 commits)", (rate,), "a second"),)


def within(moments: Sequence[float], begin: float, end: float) -> int:
    """How many of the rising moments are in [begin, end)."""
    return bisect_left(moments, end) - bisect_left(moments, begin)


def table(results: Sequence[Result]) -> Table:
    """One table for people: a line for each figure, what was asked beside it, and whether it is so."""
    shown = Table(title="mgate end to end: push, seal, commit, submit, answer, receipt, commit", title_justify="left")
    shown.add_column("row", style="bold", no_wrap=True)
    shown.add_column("figure")
    shown.add_column("measured", justify="right", no_wrap=True)
    shown.add_column("asked", justify="right", no_wrap=True)
    for result in results:
        name = result.row
        for one in result.figures:
            verdict = "" if one.kept is None else "  kept" if one.kept else "  NOT KEPT"
            shown.add_row(name, one.name, measured(one), asked(one) + verdict)
            name = ""
        shown.add_row(
            name, "fdatasync before / after", f"{result.commit_before:.2f} / {result.commit_after:.2f} ms",
            f"< {QUIET_DISK:g}", end_section=True,
        )  # fmt: skip
    return shown


def measured(one: Figure) -> str:
    """The values of a figure, as people read them."""
    return (" / ".join(number(value) for value in one.values) or "nothing") + (f" {one.unit}" if one.unit else "")


def asked(one: Figure) -> str:
    """What was asked of a figure; empty for nothing."""
    if one.asked is None:
        return ""
    sign = {"<=": "≤", ">=": "≥"}.get(one.asked.sense, one.asked.sense)
    return f"{sign} {number(one.asked.than)}"


def number(value: float) -> str:
    """As few digits as a reader needs: 15,021; 49.3; 0.17."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.3g}" if size < 1 else f"{value:.1f}"
