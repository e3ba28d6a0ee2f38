"""The commands for folders of files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from mgate.control.asked import Asked
from mgate.control.cli.root import FAILED, common
from mgate.control.drop_tables import check_tables, drop_table, file_table
from mgate.control.drop_views import CheckedView, DropsView
from mgate.control.talk import segment

_PIECE: Final = 256 * 1024


@click.group()
def drop() -> None:
    """Folders that a batch job puts files of messages into."""


@drop.command("list")
@common
@click.pass_obj
def drop_list(asked: Asked) -> None:
    """Show every folder, and the files that were taken."""
    view = asked.daemon().get("/v1/drops", DropsView)
    files = [file_table(view.drops)] if any(each.files for each in view.drops) else []
    asked.say(view, drop_table(view.drops), *files)


@drop.command("pause")
@common
@click.argument("name", metavar="NAME")
@click.pass_obj
def drop_pause(asked: Asked, name: str) -> None:
    """Take nothing more from a folder, until it is resumed or mgated restarts."""
    _turn(asked, name, "pause")


@drop.command("resume")
@common
@click.argument("name", metavar="NAME")
@click.pass_obj
def drop_resume(asked: Asked, name: str) -> None:
    """Take files again, and go on with the one that was under way."""
    _turn(asked, name, "resume")


@drop.command("check")
@common
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="The folder by whose rules; may be left out when there is one only.")
@click.pass_obj
def drop_check(asked: Asked, file: Path, name: str | None) -> None:
    """Read a file by the rules of a folder, and show what would be taken and what is wrong. Nothing is sent."""
    daemon = asked.daemon()
    folder = name or _only(asked)
    answer = daemon.upload(f"/v1/drops/{segment(folder)}/check/{segment(file.name)}", _pieces(file))
    view = _watched(answer, watched=sys.stderr.isatty() and not asked.as_json)
    asked.say(view, *check_tables(view))
    if len(view.faults) > 20:
        asked.note(f"{len(view.faults) - 20} more are shown by --json")
    if not view.taken:
        sys.exit(FAILED)


def _turn(asked: Asked, name: str, act: str) -> None:
    view = asked.daemon().post(f"/v1/drops/{segment(name)}:{act}", DropsView)
    asked.say(view, drop_table(view.drops))


def _only(asked: Asked) -> str:
    names = [drop.name for drop in asked.tree().drops]
    if len(names) != 1:
        raise click.UsageError(
            f"say which folder: --name, one of {', '.join(names) or 'none, there is no [drops.NAME]'}"
        )
    return names[0]


def _pieces(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as opened:
            while piece := opened.read(_PIECE):
                yield piece
    except OSError as error:
        raise click.UsageError(f"{file}: cannot be read: {error.strerror}") from error


def _watched(answer: Iterator[bytes], *, watched: bool) -> CheckedView:
    """The last line of the answer, with a bar for those who watch."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    view = CheckedView(over=True, done=0.0)
    with Progress(*columns, console=Console(stderr=True), disable=not watched, transient=True) as bar:
        task = bar.add_task("checking", total=1.0)
        for line in answer:
            view = msgspec.json.decode(line, type=CheckedView)
            bar.update(task, completed=view.done)
    return view
