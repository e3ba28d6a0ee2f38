"""What one run of the bench found, as it is written down, and the Markdown that documents show of it. Pure."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from mgate.peers.bench.figures import QUIET_DISK, Figure, Result, asked, measured


class Machine(Struct, frozen=True):
    """On what it was measured. `cores`: that this process may use; `memory`: octets; `code`: the commit, if known."""

    processor: str
    cores: int
    memory: int
    kernel: str
    python: str
    code: str


class Report(Struct, frozen=True):
    """All rows of one run; `quick` figures are no measurement; `failed`: why a row gave none."""

    at: datetime
    machine: Machine
    quick: bool
    rows: tuple[Result, ...]
    failed: dict[str, str]


def markdown(report: Report) -> str:
    """The report as a section of a document: what was measured on, the table, and the notes."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    one = report.machine
    yield f"## {report.at:%Y-%m-%d}, commit {one.code or 'unknown'}"
    yield ""
    yield (
        f"{one.processor}, {one.cores} cores for everybody, {one.memory / 2**30:.0f} GiB, kernel {one.kernel},"
        f" Python {one.python}."
    )
    if report.quick:
        yield ""
        yield "**These were quick runs, to see that the rows work: their figures are no measurement.**"
    yield ""
    yield "| row | figure | measured | asked | kept |"
    yield "|---|---|---:|---:|---|"
    for result in report.rows:
        name = f"`{result.row}`"
        for figure in result.figures:
            yield _row(name, figure)
            name = ""
        commits = f"{result.commit_before:.2f} / {result.commit_after:.2f} ms"
        yield f"|  | fdatasync before / after | {commits} | < {QUIET_DISK:g} | |"
    notes = [f"* `{result.row}`: {note}" for result in report.rows for note in result.notes]
    notes += [f"* **`{name}` has failed**: {_cell(why)}" for name, why in report.failed.items()]
    if notes:
        yield ""
        yield from notes


def _row(name: str, figure: Figure) -> str:
    kept = "" if figure.kept is None else "yes" if figure.kept else "**no**"
    return f"| {name} | {_cell(figure.name)} | {_cell(measured(figure))} | {_cell(asked(figure))} | {kept} |"


def _cell(text: str) -> str:
    """On one line, and with no end of a cell in it."""
    return " ".join(text.split()).replace("|", "\\|")
