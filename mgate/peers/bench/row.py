"""What every row is given, and what it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mgate.peers.bench.figures import Figure, Result, bound_figure
from mgate.peers.bench.profile import Profiler
from mgate.peers.bench.stage import commit_ms


@dataclass(frozen=True, slots=True)
class Setting:
    """How a row is to run.

    Attributes:
        folder: empty, on the disk that is measured.
        quick: a few seconds, to see that it works; its figures are no measurement.
        messages: how many, instead of the row's own number; 0: its own.
        days: of history, instead of the row's own number; 0: its own.
        one_by_one: accounts after one another that would run at once.
        profiler: looks into the daemon while it works, or not.
        earlier: results of this run by row, of the rows that this one `needs` at least.
        tell: says a line about what goes on.
    """

    folder: Path
    quick: bool = False
    messages: int = 0
    days: int = 0
    one_by_one: bool = False
    profiler: Profiler | None = None
    earlier: Mapping[str, Result] = field(default_factory=dict)
    tell: Callable[[str], None] = lambda _: None

    def count(self, usual: int, quick: int) -> int:
        """How many messages: as asked, else so many."""
        return self.messages or (quick if self.quick else usual)

    def seconds(self, usual: float, quick: float) -> float:
        """How long."""
        return quick if self.quick else usual


class Said(NamedTuple):
    """What a row found: its figures, and what must be known to read them; `slots` of all windows and the operator's
    `latency` in seconds say what bounds it on a slow disk (0 slots: nothing does)."""

    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    slots: int = 0
    latency: float = 0.0


class Row(NamedTuple):
    """One row, by name; `needs`: rows that must be measured before it in the same run; `seconds`: about how long its
    usual number takes while the promised rates hold."""

    name: str
    meaning: str
    measure: Callable[[Setting], Said]
    needs: tuple[str, ...] = ()
    seconds: float = 0.0


def run(row: Row, setting: Setting) -> Result:
    """Measure the row, and the disk before and after it."""
    before = commit_ms(setting.folder)
    said = row.measure(setting)
    after = commit_ms(setting.folder)
    profile = setting.profiler.lines(row.name) if setting.profiler is not None else ()
    figures = (*said.figures, *bound_figure(said.slots, said.latency, before, after))
    return Result(row.name, row.meaning, figures, said.notes, before, after, profile)
