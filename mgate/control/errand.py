"""The whole errand of ``mgatectl push``: check, push, wait, write the result file, with a bar for those who watch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mgate.control.pushing import FINAL, check, push, settle
from mgate.control.results import REFUSED, Result, ResultFile, Tally
from mgate.control.sheets import Sheet
from mgate.control.talk import Daemon

_NOT_NOW: Final = ("(busy)", "(not_kept)", "(stopping)", "(rate)")


class BadRow(msgspec.Struct, frozen=True):
    """A row that was refused; the number is masked."""

    row: int
    ref: str
    to: str
    reason: str


class Pushed(msgspec.Struct, frozen=True):
    """How a push went.

    Attributes:
        rows: of the file, empty ones left out.
        states: the messages that were taken, by the state in which they were last seen.
        open: those of them that had not ended when the waiting was over; 0 where nobody waited.
        later: rows that were refused only for now (a full disk, a stop): the same file pushed again takes them.
        ignored: columns that were left out.
        bad: every row that was refused.
        result: the result file; empty for none.
    """

    file: str
    rows: int
    accepted: int
    duplicate: int
    refused: int
    states: dict[str, int]
    open: int
    later: int
    ignored: tuple[str, ...]
    bad: tuple[BadRow, ...]
    result: str


@dataclass(frozen=True, slots=True)
class Errand:
    """One push of one sheet.

    Attributes:
        out: where the result file goes; None for none.
        patience: seconds to wait for the ends; None for not at all.
        watched: whether somebody sees the bar.
    """

    sheet: Sheet
    out: Path | None
    patience: float | None
    watched: bool

    def rehearse(self) -> Pushed:
        """Check the file; nothing is sent, and no result file is written."""
        rows, bad = check(self.sheet)
        return self._told(rows, Tally(refused=len(bad)), bad, 0)

    def run(self, daemon: Daemon) -> Pushed:
        """Push, and wait if wanted."""
        rows, _ = check(self.sheet)
        tally, bad = Tally(), list[Result]()
        with ExitStack() as stack:
            bar = stack.enter_context(_bar(self.watched))
            file = stack.enter_context(ResultFile(self.out, self.sheet.path)) if self.out else None
            results = self._results(daemon, bar, rows)
            for result in results:
                tally.add(result)
                if file is not None:
                    file.write([result])
                if result.state == REFUSED:
                    bad.append(result)
        still = sum(count for state, count in tally.states.items() if state not in FINAL)
        return self._told(rows, tally, bad, still if self.patience is not None else 0)

    def _results(self, daemon: Daemon, bar: Progress, rows: int) -> Iterable[Result]:
        pushed = _counted(push(daemon, self.sheet), _step(bar, "pushing", rows))
        if self.patience is None:
            return pushed
        taken = list(pushed)
        ended = _step(bar, "waiting for the ends", rows)
        return settle(daemon, taken, self.patience, time.monotonic, time.sleep, ended)

    def _told(self, rows: int, tally: Tally, bad: list[Result], still: int) -> Pushed:
        return Pushed(
            file=str(self.sheet.path),
            rows=rows,
            accepted=tally.accepted,
            duplicate=tally.duplicate,
            refused=tally.refused,
            states=dict(sorted(tally.states.items())),
            open=still,
            later=sum(each.reason.endswith(_NOT_NOW) for each in bad),
            ignored=self.sheet.ignored,
            bad=tuple(BadRow(each.row, each.ref, each.to, each.reason) for each in bad),
            result=str(self.out or ""),
        )


def _counted(results: Iterator[Result], told: Callable[[int], None]) -> Iterator[Result]:
    for number, result in enumerate(results, 1):
        told(number)
        yield result


def _bar(watched: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not watched,
    )


def _step(bar: Progress, name: str, total: int) -> Callable[[int], None]:
    """A line of the bar; hears how many are done."""
    task = bar.add_task(name, total=total)

    def told(done: int) -> None:
        bar.update(task, completed=done)

    return told
