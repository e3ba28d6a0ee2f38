"""`tools/demo`: an operator, an instance, a daemon, some hundred messages, and what became of them."""

import argparse
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from rich.console import Console

from mgate import __version__
from mgate.peers.demo import tables
from mgate.peers.demo.reckoning import REFUSED, Told, by_class, count_operator, read_told, unsettled, why_not
from mgate.peers.demo.stage import BINDS, RATE, Stage, new_folder, remove
from mgate.peers.house import HouseError

ROOT: Final = Path(__file__).resolve().parents[3]
SHEET: Final = ROOT / "etc" / "demo" / "messages.csv"
SCRIPT: Final = ROOT / "etc" / "smsc" / "demo.toml"
RESULT: Final = ROOT / "demo" / "result.csv"
WAIT_LIMIT: Final = 45
"""Seconds for the operator's last receipt. Its script needs ten or so."""
_WIDE: Final = 120
_STOPPING: Final = "\nStopping; what is on its way gets ten seconds."
_INTERRUPTED: Final = 128 + signal.SIGINT


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `folder` None: a new one among the temporary files."""

    sheet: Path
    folder: Path | None
    result: Path
    keep: bool


def main() -> NoReturn:
    """The command."""
    # In the background of a shell SIGINT is ignored, and whoever runs us as a service sends SIGTERM: both mean Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    # Where there is no screen whose width could be asked, a table must not be cut to the narrowest.
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _WIDE)
    try:
        sys.exit(run(_wish(), console))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except HouseError as error:
        console.print(f"tools/demo: {error}", style="red", soft_wrap=True)
        sys.exit(1)


def run(wish: Wish, console: Console) -> int:
    """The whole demonstration; 0 when every row came to an end or was refused with a reason, and all stopped well.

    The folder is removed at the end, unless something went wrong.
    """
    folder = new_folder(wish.folder)
    wish.result.parent.mkdir(parents=True, exist_ok=True)
    try:
        with Stage(folder, SCRIPT) as stage:
            try:
                faults = _act(stage, wish, console)
            except KeyboardInterrupt:
                console.print(_STOPPING)
                raise
    except KeyboardInterrupt:
        remove(folder)
        raise
    for fault in faults:
        console.print(fault, style="red", soft_wrap=True)
    if faults:
        console.print(f"Something went wrong. All of it is still in {folder}", style="red", soft_wrap=True)
        return 1
    remove(folder)
    return 0


def _act(stage: Stage, wish: Wish, console: Console) -> list[str]:
    """Up, the push, down; a sentence for each thing that went wrong."""
    _raise_curtain(stage, console)
    faults = _play(stage, wish, console)
    if wish.keep:
        _stay(stage, console)
    else:
        _tell_how_to_push(stage, console)
    return faults + stage.stop()


def _raise_curtain(stage: Stage, console: Console) -> None:
    """Start everything, and say with which command each could be started by hand."""
    console.print(f"mgate {__version__}, a demonstration in {stage.folder}\n", style="bold", soft_wrap=True)
    port = stage.start_operator()
    _step(
        console, "operator", f"mgate-smsc {_short(SCRIPT)}", f"listens on 127.0.0.1:{port}, delivers nothing to anybody"
    )
    stage.make_instance(port)
    told = f"mgatectl init DIR --smsc HOST:PORT --binds {BINDS} --rate {RATE} ..."
    _step(console, "instance", told, "configuration and keys made")
    stage.start_daemon()
    _step(
        console,
        "daemon",
        "mgated --config DIR/mgate.toml",
        f"ready after {stage.ready_after:.1f} s, {BINDS} binds open",
    )


def _play(stage: Stage, wish: Wish, console: Console) -> list[str]:
    """Push the file and show what became of it; a sentence for all that is not as promised."""
    result = wish.result
    _step(console, "push", f"mgatectl push {_short(wish.sheet)} --wait --result {_short(result)}", "")
    began = time.monotonic()
    stage.push(wish.sheet, result, WAIT_LIMIT)
    took = time.monotonic() - began
    told = read_told(result.read_text(encoding="utf-8").splitlines())
    refused = [each for each in told if each.state == REFUSED]
    taken = len(told) - len(refused)
    console.print(
        f"\n{len(told)} rows: {taken} taken, {len(refused)} refused; {took:.1f} s to the last receipt. All came at once"
        f" and the operator takes {RATE} SMS a second, so urgent classes leave first."
    )
    _show(stage, told, refused, console)
    console.print(f"What became of each row: {_short(result)}\n", soft_wrap=True)
    return _faults(told, taken)


def _show(stage: Stage, told: Sequence[Told], refused: Sequence[Told], console: Console) -> None:
    views = stage.stories(each.id for each in told if each.id)
    console.print(tables.class_table(by_class(views)))
    console.print(tables.why_not_line(why_not(told)))
    console.print(tables.operator_line(count_operator(stage.seen_by_operator())))
    console.print(tables.refused_table(refused))


def _faults(told: Sequence[Told], taken: int) -> list[str]:
    faults = [f"row {each.row} ({each.ref}) is {each.state}: {each.reason}" for each in unsettled(told)]
    if not taken:
        faults.append("not one row was taken")
    return faults


def _tell_how_to_push(stage: Stage, console: Console) -> None:
    console.print("To push one yourself: tools/demo --keep, and in another terminal")
    _shell(console, tables.curl(stage.instance.push_socket, "try-1"))


def _stay(stage: Stage, console: Console) -> None:
    """Leave everything up until Ctrl-C, or until one of the processes ends."""
    console.print("All stays up until Ctrl-C. Push one from another terminal, and ask what became of it:")
    _shell(console, tables.curl(stage.instance.push_socket, "try-1"))
    _shell(console, tables.curl_again(stage.instance.push_socket, "try-1"))
    console.print("\nLook into the daemon:")
    _shell(console, f"export MGATE_CONFIG={shlex.quote(str(stage.config))}\ntools/venv mgatectl status")
    try:
        while stage.all_alive():
            time.sleep(0.2)
    except KeyboardInterrupt:
        console.print(_STOPPING)


def _step(console: Console, name: str, command: str, outcome: str) -> None:
    console.print(f"  {name:<10}{command}", soft_wrap=True)
    if outcome:
        console.print(f"  {'':<10}{outcome}", style="green", soft_wrap=True)


def _shell(console: Console, lines: str) -> None:
    """Lines to paste: never wrapped, never cut."""
    console.print()
    console.print("\n".join(f"  {line}" for line in lines.splitlines()), style="cyan", soft_wrap=True)


def _short(path: Path) -> str:
    """A path as one types it in the root of the checkout."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _wish() -> Wish:
    parser = argparse.ArgumentParser(
        prog="tools/demo",
        description="Start a scripted operator and mgate, push a sample file, show what became of it.",
    )
    parser.add_argument("--sheet", type=Path, default=SHEET, help="the CSV file to push; %(default)s")
    parser.add_argument("--keep", action="store_true", help="leave all of it up until Ctrl-C")
    parser.add_argument("--folder", type=Path, help="where it lives while it runs; new or empty, removed at the end")
    parser.add_argument("--result", type=Path, default=RESULT, help="where the result file goes; %(default)s")
    given = parser.parse_args()
    return Wish(given.sheet.absolute(), given.folder, given.result.absolute(), given.keep)


if __name__ == "__main__":
    main()
