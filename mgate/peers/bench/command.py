"""The command line: which rows, how long, and where the figures go."""

import argparse
import gc
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from mgate.peers.bench import aged, backlog, events, mtls, operators, paced, rates, source
from mgate.peers.bench.figures import Result, table
from mgate.peers.bench.profile import Profiler
from mgate.peers.bench.report import Machine, Report, markdown
from mgate.peers.bench.row import Row, Setting, run
from mgate.peers.house import HouseError
from mgate.peers.links import BrokeProtocol

ROWS: Final[tuple[Row, ...]] = (
    *rates.ROWS, *paced.ROWS, *operators.ROWS, *backlog.ROWS, *aged.ROWS, *events.ROWS, *mtls.ROWS, *source.ROWS,
)  # fmt: skip
ALL: Final = "all"


def chosen(names: Sequence[str]) -> list[Row]:
    """The rows of these names, with those that they need before them; `all` is every row. HouseError for a stranger."""
    known = {row.name: row for row in ROWS}
    picked: dict[str, Row] = {}
    for name in known if ALL in names else names:
        if name not in known:
            raise HouseError(f"there is no row {name}; there are {', '.join(known)}")
        for needed in (*known[name].needs, name):
            picked[needed] = known[needed]
    return list(picked.values())


def machine() -> Machine:
    """This one."""
    cpu = Path("/proc/cpuinfo").read_text().partition("model name")[2].partition("\n")[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    return Machine(cpu.strip(" \t:"), cores, memory, platform.release(), platform.python_version(), _code())


def _code() -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # git
    return done.stdout.strip()


def measure(rows: Sequence[Row], given: argparse.Namespace, folder: Path, console: Console) -> Report:
    """Each row in a folder of its own. A row that fails keeps its folder, and the others go on without it."""
    results: dict[str, Result] = {}
    failed: dict[str, str] = {}
    profiler = Profiler((given.json or Path("profile")).absolute().parent) if given.profile else None
    for row in rows:
        place = folder / row.name
        place.mkdir()
        console.print(f"{row.name}: {row.meaning}", highlight=False)
        tell = _Teller(console)
        setting = Setting(place, given.quick, given.messages, given.days, given.one_by_one, profiler, results, tell)
        try:
            missing = [name for name in row.needs if name not in results]
            if missing:
                raise HouseError(f"it needs {', '.join(missing)}")
            results[row.name] = run(row, setting)
        except (HouseError, BrokeProtocol, OSError) as fault:
            failed[row.name] = str(fault)
            console.print(f"{row.name} has failed: {fault}\nall is kept in {place}", markup=False, highlight=False)
        else:
            if not given.keep:
                shutil.rmtree(place)
    return Report(datetime.now(UTC), machine(), given.quick, tuple(results.values()), failed)


def show(report: Report, out: Console) -> None:
    """The table, what must be known to read it, and on what it was measured."""
    out.print(table(report.rows))
    for result in report.rows:
        for note in result.notes:
            out.print(f"{result.row}: {note}", highlight=False)
        for line in result.profile:
            out.print(f"{result.row}: {line}", highlight=False, markup=False)
    for name, why in report.failed.items():
        out.print(f"{name} has failed: {why}", highlight=False, markup=False)
    if report.quick:
        out.print("These were quick runs, to see that the rows work: their figures are no measurement.")
    one = report.machine
    out.print(f"{one.processor}, {one.cores} cores, kernel {one.kernel}, Python {one.python}, {one.code}")


class _Teller:
    """Says what goes on, with the seconds since the start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def __call__(self, line: str) -> None:
        self._console.print(f"  {time.monotonic() - self._began:6.1f} s  {line}", highlight=False)


def _arguments() -> argparse.ArgumentParser:
    names = ", ".join(row.name for row in ROWS)
    parser = argparse.ArgumentParser(prog="tools/bench", description="Measure a whole mgate, end to end.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{names}, or {ALL}")
    parser.add_argument("--list", action="store_true", help="say what each row does, and end")
    parser.add_argument("--quick", action="store_true", help="a few seconds each: whether they work, no measurement")
    parser.add_argument("--messages", type=int, default=0, help="messages of each row, instead of its own number")
    parser.add_argument("--days", type=int, default=0, help="history: days, instead of its own number")
    parser.add_argument("--one-by-one", action="store_true", help="operators: the accounts after one another")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write what --json wrote as Markdown, and end")
    parser.add_argument(
        "--profile", action="store_true", help="write where the daemon's time goes, a file for each row"
    )
    parser.add_argument("--folder", type=Path, help="measure on the disk of this folder (default: the temp folder's)")
    parser.add_argument("--keep", action="store_true", help="keep the instances and ledgers")
    return parser


def _list() -> None:
    console = Console()
    for row in ROWS:
        needs = f" (measures {', '.join(row.needs)} first)" if row.needs else ""
        console.print(f"[bold]{row.name}[/bold]: {row.meaning}{needs}; {minutes([row])}", highlight=False)


def minutes(rows: Sequence[Row]) -> str:
    """How long the rows take with their usual numbers, for people."""
    return f"about {max(round(sum(row.seconds for row in rows) / 60.0), 1)} min while the promised rates hold"


def _table(file: Path) -> int:
    """Write a file of --json as Markdown; the exit status."""
    try:
        sys.stdout.write(markdown(msgspec.json.decode(file.read_bytes(), type=Report)))
    except (OSError, msgspec.DecodeError) as error:
        sys.stderr.write(f"{file} is nothing that tools/bench --json wrote: {error}\n")
        return 2
    return 0


def main() -> int:
    """The command line; the exit status: 0 measured, 1 a row failed, 2 wrong arguments."""
    parser = _arguments()
    given = parser.parse_args()
    if given.list:
        _list()
        return 0
    if given.table is not None:
        return _table(given.table)
    try:
        rows = chosen(given.rows)
    except HouseError as error:
        parser.error(str(error))
    if not rows:
        parser.error(f"which rows? {', '.join(row.name for row in ROWS)}, or {ALL}; --list says what they do")
    # Millions of small objects without cycles: the collector would stop the traffic for nothing.
    gc.set_threshold(200_000, 20, 20)
    folder = Path(tempfile.mkdtemp(prefix="mb-", dir=given.folder))
    console = Console(stderr=True)
    if not given.quick:
        console.print(f"{', '.join(row.name for row in rows)}: {minutes(rows)}", highlight=False)
    report = measure(rows, given, folder, console)
    if given.json is not None:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    show(report, Console() if sys.stdout.isatty() else Console(width=120))
    if given.keep:
        console.print(f"kept in {folder}", highlight=False)
    elif not report.failed:
        shutil.rmtree(folder)
    return 1 if report.failed else 0
