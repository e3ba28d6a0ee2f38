"""`tools/demo`: an operator, an instance, a daemon, some hundred messages, and what became of them."""

import argparse
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from rich.console import Console

from mgate import __version__
from mgate.peers.demo import database, tables
from mgate.peers.demo.reckoning import REFUSED, Told, by_class, count_operator, read_told, unsettled, why_not
from mgate.peers.demo.screen import ROOT, shell, short, step
from mgate.peers.demo.stage import BINDS, RATE, Stage, new_folder, remove
from mgate.peers.house import HouseError

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
    """What was asked for. `folder` None: a new one among the temporary files; `postgres`: rows of a database."""

    sheet: Path
    folder: Path | None
    result: Path
    keep: bool
    postgres: bool = False


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
                console.print(f"mgate {__version__}, a demonstration in {folder}\n", style="bold", soft_wrap=True)
                faults = (_act_with_database if wish.postgres else _act)(stage, wish, console)
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


def _act_with_database(stage: Stage, wish: Wish, console: Console) -> list[str]:
    """The same, of rows that are inserted into a database."""
    with database.database(console) as cluster:
        _raise_curtain(stage, console, lambda: database.connect(stage, cluster))
        faults = database.play(stage, cluster, console)
        if wish.keep:
            console.print("All stays up until Ctrl-C. Insert a row from another terminal, and ask what became of it:")
            shell(console, database.commands(stage, cluster))
            _wait_for_the_end(stage, console)
        else:
            console.print("To insert rows yourself: tools/demo --postgres --keep, and in another terminal such as")
            shell(console, database.commands(stage, cluster))
        return faults + stage.stop()


def _raise_curtain(stage: Stage, console: Console, furnish: Callable[[], None] = lambda: None) -> None:
    """Start everything, and say with which command each could be started by hand; `furnish` the instance before."""
    port = stage.start_operator()
    step(
        console, "operator", f"mgate-smsc {short(SCRIPT)}", f"listens on 127.0.0.1:{port}, delivers nothing to anybody"
    )
    stage.make_instance(port)
    told = f"mgatectl init DIR --smsc HOST:PORT --binds {BINDS} --rate {RATE} ..."
    step(console, "instance", told, "configuration and keys made")
    furnish()
    stage.start_daemon()
    step(
        console,
        "daemon",
        "mgated --config DIR/mgate.toml",
        f"ready after {stage.ready_after:.1f} s, {BINDS} binds open",
    )


def _play(stage: Stage, wish: Wish, console: Console) -> list[str]:
    """Push the file and show what became of it; a sentence for all that is not as promised."""
    result = wish.result
    step(console, "push", f"mgatectl push {short(wish.sheet)} --wait --result {short(result)}", "")
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
    console.print(f"What became of each row: {short(result)}\n", soft_wrap=True)
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
    shell(console, tables.curl(stage.instance.push_socket, "try-1"))


def _stay(stage: Stage, console: Console) -> None:
    """Leave everything up until Ctrl-C, or until one of the processes ends."""
    console.print("All stays up until Ctrl-C. Push one from another terminal, and ask what became of it:")
    shell(console, tables.curl(stage.instance.push_socket, "try-1"))
    shell(console, tables.curl_again(stage.instance.push_socket, "try-1"))
    console.print("\nLook into the daemon:")
    shell(console, f"export MGATE_CONFIG={shlex.quote(str(stage.config))}\ntools/venv mgatectl status")
    _wait_for_the_end(stage, console)


def _wait_for_the_end(stage: Stage, console: Console) -> None:
    try:
        while stage.all_alive():
            time.sleep(0.2)
    except KeyboardInterrupt:
        console.print(_STOPPING)


def _wish() -> Wish:
    parser = argparse.ArgumentParser(
        prog="tools/demo",
        description="Start a scripted operator and mgate, push a sample file, show what became of it.",
    )
    parser.add_argument("--sheet", type=Path, default=SHEET, help="the CSV file to push; %(default)s")
    parser.add_argument("--keep", action="store_true", help="leave all of it up until Ctrl-C")
    parser.add_argument("--folder", type=Path, help="where it lives while it runs; new or empty, removed at the end")
    parser.add_argument("--result", type=Path, default=RESULT, help="where the result file goes; %(default)s")
    parser.add_argument(
        "--postgres", action="store_true", help="take rows of a PostgreSQL instead of the file (Debian's postgresql)"
    )
    given = parser.parse_args()
    return Wish(given.sheet.absolute(), given.folder, given.result.absolute(), given.keep, given.postgres)


if __name__ == "__main__":
    main()
