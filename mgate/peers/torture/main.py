"""The command line of `tools/torture`: a sub-command each discipline, and the exit status of what was found."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mgate.peers.house import HouseError
from mgate.peers.links import BrokeProtocol
from mgate.peers.torture import controls, hostile, verdict
from mgate.peers.torture.broken import launcher
from mgate.peers.torture.clock import Clock
from mgate.peers.torture.database import Database
from mgate.peers.torture.disk import Errors, Full, Limit, ReadOnly
from mgate.peers.torture.kill import Kill
from mgate.peers.torture.link import Link
from mgate.peers.torture.power import Power
from mgate.peers.torture.stage import Course, Discipline, Say, play
from mgate.peers.torture.stall import Stall
from mgate.peers.torture.stop import Stop
from mgate.peers.torture.tools import missing
from mgate.peers.torture.verdict import Verdict

MAKE: Final[Mapping[str, Callable[[], Discipline]]] = {
    "kill": Kill, "link": Link, "stop": Stop, "stall": Stall, "full": Full, "limit": Limit, "errors": Errors,
    "readonly": ReadOnly, "clock": Clock, "power": Power, "db": Database,
}  # fmt: skip
MEANING: Final[Mapping[str, str]] = {
    "kill": "SIGKILL at random moments and at every named point",
    "link": "the operator's side dropped, reset, half-open, silent, deaf, slow, refused",
    "stop": "graceful restarts under load: nothing in doubt, nothing repeated",
    "stall": "SIGSTOP of the daemon and of the operator (F4)",
    "full": "a small disk filled and freed (F5; root)",
    "limit": "a limit on the size of a file, set under the running daemon (F5)",
    "errors": "I/O errors from write and fdatasync (F6; Debian package fiu-utils)",
    "readonly": "the disk turns read-only (F7; root)",
    "clock": "the wall clock steps forward and back (F8)",
    "power": "power cuts: unsynced writes dropped and torn (F3; Debian package strace)",
    "db": "the bank's database killed in every phase, hanging, locked, altered (Debian packages postgresql, faketime)",
}
ROUNDS: Final[Mapping[str, int]] = {
    "kill": 100, "link": 50, "stop": 30, "stall": 10, "full": 10, "limit": 10, "errors": 20, "readonly": 5,
    "clock": 8, "power": 100, "db": 66,
}  # fmt: skip
SHORT: Final[Sequence[tuple[str, int]]] = (("kill", 12), ("link", 6), ("stop", 4), ("limit", 2), ("stall", 2))
_SHORT_STALL: Final = 3.0
_BESIDE: Final = 3
"""Runs of the short form beside one another: each waits more than it works."""

_CHAPTER: Final = 100


def main() -> int:
    """The command line; the exit status: 0 all promises kept, 1 not, 2 it cannot be run here."""
    if sys.argv[1:2] == ["fuzz"]:
        from mgate.peers.fuzz.main import main as fuzz  # noqa: PLC0415  # it reads with the product's own eyes

        return fuzz(sys.argv[2:])
    if sys.argv[1:2] == ["hostile"]:
        return hostile.main(sys.argv[2:])
    given = _arguments().parse_args()
    console = Console(stderr=given.json, soft_wrap=True)
    if given.kind == "judge":
        found = verdict.again(given.folder, {name: make() for name, make in MAKE.items()})
        verdict.show(found, console)
        return 0 if found.good else 1
    given.seed = int(time.time()) if given.seed is None else given.seed
    given.folder = given.folder or Path(tempfile.mkdtemp(prefix="mg-"))
    given.folder.mkdir(exist_ok=True)
    console.print(f"torture {given.kind} --seed {given.seed}, evidence in {given.folder}")
    if given.kind == "short":
        return _short(given, console)
    if given.kind == "controls":
        return _end(given, console, [], _controls(given, console))
    lacking = missing(MAKE[given.kind]().needs)
    if lacking:
        console.print(f"torture {given.kind} cannot be run here: {lacking}")
        return 2
    return _end(given, console, [_run(given.kind, given.rounds or ROUNDS[given.kind], given, console)], ())


def _short(given: argparse.Namespace, console: Console) -> int:
    """A little of all, beside one another."""
    make: dict[str, Callable[[], Discipline]] = {**MAKE, "stall": lambda: Stall(_SHORT_STALL)}
    quiet = Say()

    def one(name: str, rounds: int) -> Verdict:
        discipline = make[name]()
        course = discipline.course(_course(given, rounds, given.seed))
        return once(course, discipline, given.folder / name, quiet)

    with ThreadPoolExecutor(_BESIDE) as pool:
        runs = [pool.submit(one, name, rounds) for name, rounds in SHORT]
        tries = [
            pool.submit(controls.run, name, given.seed, given.folder / name, make, quiet) for name in controls.SHORT
        ]
        verdicts, caught = [run.result() for run in runs], [one.result() for one in tries]
    for found in verdicts:
        verdict.show(found, console)
    return _end(given, console, verdicts, caught)


def _controls(given: argparse.Namespace, console: Console) -> Sequence[controls.Caught]:
    caught = []
    for name in given.names or controls.CONTROLS:
        with _told(console, f"control {name}", 1) as say:
            caught.append(controls.run(name, given.seed, given.folder / name, MAKE, say))
    return caught


def _end(
    given: argparse.Namespace, console: Console, verdicts: Sequence[Verdict], caught: Sequence[controls.Caught]
) -> int:  # fmt: skip
    """Say what came of all, and leave no more behind than is needed."""
    if caught:
        console.print(controls.table(caught))
    good = all(one.good for one in verdicts) and all(one.caught for one in caught)
    if given.json:
        document = {
            "good": good,
            "runs": [verdict.as_json(one) for one in verdicts],
            "controls": [msgspec.to_builtins(one) for one in caught],
        }
        Console().print_json(msgspec.json.encode(document).decode())
    if good and not given.keep:
        shutil.rmtree(given.folder)
    console.print("all promises kept" if good else f"PROMISES BROKEN; the evidence is in {given.folder}")
    return 0 if good else 1


def _run(name: str, rounds: int, given: argparse.Namespace, console: Console) -> Verdict:
    """A discipline in chapters, each with an instance of its own, so that no run grows without bounds."""
    verdicts = []
    with _told(console, f"torture {name}", rounds) as say:
        for chapter, begun in enumerate(range(0, rounds, _CHAPTER)):
            discipline = MAKE[name]()
            course = discipline.course(_course(given, min(_CHAPTER, rounds - begun), given.seed + chapter))
            folder = given.folder / f"{name}{chapter}"
            verdicts.append(once(course, discipline, folder, say.part(begun)))
            if verdicts[-1].good and not given.keep:
                shutil.rmtree(folder)
    found = verdict.total(verdicts)
    verdict.show(found, console)
    return found


def once(course: Course, discipline: Discipline, folder: Path, say: Say) -> Verdict:
    """One chapter, judged and kept."""
    folder.mkdir(parents=True)
    try:
        evidence = asyncio.run(play(course, discipline, folder, say))
    except (HouseError, BrokeProtocol, TimeoutError, OSError) as fault:
        return verdict.failed(course, discipline, fault)
    found = verdict.judge(course, discipline, evidence)
    verdict.keep(found, course, evidence, folder)
    return found


def _course(given: argparse.Namespace, rounds: int, seed: int) -> Course:
    course = Course(rounds, seed, given.rate, drain=given.drain)
    if given.script:
        course = course._replace(script=given.script.read_text())
    return course._replace(launcher=launcher(given.broken)) if given.broken else course


class _Bar(Say):
    """The progress line."""

    def __init__(self, progress: Progress, console: Console, name: str, rounds: int) -> None:
        self._progress = progress
        self._console = console
        self._name = name
        self._task = progress.add_task(name, total=rounds, words="")
        self._before = 0
        self._told = 0.0

    def part(self, before: int) -> Say:
        """The same line, for a chapter that begins after so many rounds."""
        self._before = before
        return self

    def __call__(self, line: str) -> None:
        done = int(line.split()[1]) + self._before if line.startswith("round ") else None
        self._progress.update(self._task, completed=done, words=line)
        # Where nobody watches, a line now and then is enough for a log.
        if not self._console.is_terminal and time.monotonic() - self._told > 20.0:
            self._told = time.monotonic()
            self._console.print(f"{self._name}: {line}", markup=False)


@contextmanager
def _told(console: Console, name: str, rounds: int) -> Iterator[_Bar]:
    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(
        *columns, TextColumn("{task.fields[words]}"), console=console, transient=True, disable=not console.is_terminal
    )
    with progress:
        yield _Bar(progress, console, name, rounds)


def _arguments() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--seed", type=int, help="of moments, messages and moods (default: from the clock, printed)")
    common.add_argument(
        "--folder", type=Path, help="where to work, a short path (default: a new one in the temp folder)"
    )
    common.add_argument("--keep", action="store_true", help="keep the evidence also when all is well")
    common.add_argument("--json", action="store_true", help="the result as JSON on standard output")
    common.add_argument("--rate", type=float, default=100.0, help="messages a second (default 100)")
    common.add_argument("--drain", type=float, default=240.0, help="most seconds to wait for the ends (default 240)")
    common.add_argument("--script", type=Path, help="another script for the operator, such as etc/smsc/flapping.toml")
    common.add_argument("--broken", help="run a build that is broken on purpose (see controls)")
    parser = argparse.ArgumentParser(prog="tools/torture", description="Torture a whole mgate in a folder of its own.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    for name, meaning in MEANING.items():
        kind = kinds.add_parser(name, help=meaning, parents=[common])
        kind.add_argument("--rounds", type=int, help=f"how many (default {ROUNDS[name]})")
    tried = kinds.add_parser("controls", help="builds broken on purpose: each must be caught", parents=[common])
    tried.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(controls.CONTROLS)} (default: all)")
    kinds.add_parser("short", help="a little of each that needs no root, and two controls", parents=[common])
    kinds.add_parser("fuzz", help="octets that nobody would send, at everything that reads (its own --help)")
    judge = kinds.add_parser("judge", help="compare the ledgers of a kept folder once more")
    judge.add_argument("folder", type=Path)
    judge.set_defaults(json=False)
    return parser
