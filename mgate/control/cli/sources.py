"""The commands for the databases that messages are taken from."""

from __future__ import annotations

import platform
import sys
import time
from datetime import datetime
from typing import Final

import click

from mgate.config import Config, CoreSource, read_span
from mgate.config.tls import Tls
from mgate.control import tables
from mgate.control.asked import Asked
from mgate.control.cli.root import FAILED, common
from mgate.control.forms import request_form
from mgate.control.source_views import (
    CalledView,
    CallWish,
    CheckView,
    LagView,
    RewindWish,
    RewoundView,
    SourcesView,
    UnreadView,
)
from mgate.control.talk import segment

_MOMENT: Final = 'a moment with its zone such as "2026-11-22T06:00:00+03:00", or a length of time such as "2h"'


@click.group()
def source() -> None:
    """The databases of the bank that messages are taken from."""


@source.command("list")
@common
@click.pass_obj
def source_list(asked: Asked) -> None:
    """Show every source: how it stands, and what became of its rows."""
    view = asked.daemon().get("/v1/sources", SourcesView)
    asked.say(view, tables.source_table(view.sources))
    if not view.sources:
        asked.note("no source is configured: see [sources.NAME] in the configuration")


@source.command("check")
@common
@click.argument("name", metavar="NAME")
@click.pass_obj
def source_check(asked: Asked, name: str) -> None:
    """Find everything that is wrong with a source at once: who mends it, and what to do."""
    view = asked.daemon().post(_path(name, "check"), CheckView)
    asked.say(view, *([tables.problem_table(view)] if view.problems else []))
    if any(problem.fatal for problem in view.problems):
        sys.exit(FAILED)
    asked.note(f"{name}: messages can be taken")


@source.command("pause")
@common
@click.argument("name", metavar="NAME")
@click.pass_obj
def source_pause(asked: Asked, name: str) -> None:
    """Claim nothing more until it is resumed or mgated restarts; what is claimed is finished."""
    _switch(asked, name, "pause")


@source.command("resume")
@common
@click.argument("name", metavar="NAME")
@click.pass_obj
def source_resume(asked: Asked, name: str) -> None:
    """Claim again."""
    _switch(asked, name, "resume")


@source.command("lag")
@common
@click.argument("name", metavar="NAME")
@click.pass_obj
def source_lag(asked: Asked, name: str) -> None:
    """Ask the database how many rows wait, how old the oldest is, and what its clock says."""
    view = asked.daemon().post(_path(name, "lag"), LagView)
    oldest = f", the oldest for {tables.span(view.oldest)}" if view.waiting else ""
    known = view.waiting >= 0
    rows = "1 row waits" if view.waiting == 1 else f"{view.waiting} rows wait"
    wait = f"{rows}{oldest}" if known else "how many rows wait is not known in mode procedures"
    ahead = "ahead of" if view.clock_difference >= 0 else "behind"
    asked.say(
        view,
        f"{wait}\nthe database's clock is {abs(view.clock_difference):.1f} s {ahead} this machine's",
    )


class _Moment(click.ParamType[float]):
    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        ago = read_span(value)
        if ago is not None:
            return time.time() - ago
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"say {_MOMENT}", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"the zone is missing; say {_MOMENT}", param, ctx)
        return moment.timestamp()


@source.command("rewind")
@common
@click.argument("name", metavar="NAME")
@click.option("--since", type=_Moment(), required=True, help=f"From when on, by when rows were written: {_MOMENT}.")
@click.option("--dry-run", is_flag=True, help="Only say how many rows it would be.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def source_rewind(asked: Asked, name: str, since: float, dry_run: bool, yes: bool) -> None:
    """Claim again every row written since then that has no final result: after a restore, or a lost site."""
    path = _path(name, "rewind")
    if not dry_run and not yes:
        if asked.as_json:
            raise click.UsageError("with --json say --yes or --dry-run: nobody can be asked")
        _say(asked, asked.daemon().post(path, RewoundView, RewindWish(since, dry_run=True)))
        click.confirm("Claim them again?", abort=True, err=True)
    _say(asked, asked.daemon().post(path, RewoundView, RewindWish(since, dry_run=dry_run)))


def _say(asked: Asked, view: RewoundView) -> None:
    done = "would be claimed again" if view.dry_run else "will be claimed again"
    again = "1 row" if view.again == 1 else f"{view.again} rows"
    final = "1 has a final result and stays as it is" if view.final == 1 else None
    asked.say(view, f"{again} {done}; {final or f'{view.final} have a final result and stay as they are'}")
    if view.warning:
        asked.note(f"think of it: {view.warning}")


@source.command("unread")
@common
@click.argument("name", metavar="NAME")
@click.pass_obj
def source_unread(asked: Asked, name: str) -> None:
    """List the last rows whose numbers could not be read, and why; digits are masked."""
    view = asked.daemon().get(f"/v1/sources/{segment(name)}/unread", UnreadView)
    asked.say(view, *(tables.unread_tables(view) if view.rows else []))
    if not view.rows:
        asked.note("every number could be read since mgated started")


@source.command("call")
@common
@click.argument("name", metavar="NAME")
@click.argument("call", metavar="CALL")
@click.argument("arguments", metavar="KEY=VALUE", nargs=-1)
@click.pass_obj
def source_call(asked: Asked, name: str, call: str, arguments: tuple[str, ...]) -> None:
    """Make a call to the core, one of [sources.NAME.calls.CALL], and show its rows."""
    values: dict[str, str | int | float | bool | None] = {}
    for argument in arguments:
        key, mark, value = argument.partition("=")
        if not key or not mark:
            raise click.UsageError(f"{argument!r} is not KEY=VALUE")
        values[key] = value
    view = asked.daemon().post(_path(name, "call"), CalledView, CallWish(call, values))
    asked.say(view, tables.called_table(view))


@source.command("request-form")
@common
@click.argument("name", metavar="NAME")
@click.option("--from", "host", metavar="HOST", default="", help="The host of mgate; else this one's name.")
@click.pass_obj
def source_request_form(asked: Asked, name: str, host: str) -> None:
    """Write what to ask the network team, the DBA and the security team for; needs no daemon."""
    config = asked.tree()
    wanted = _configured(config, name)
    text = request_form(wanted, _identity(config, wanted.tls), host or platform.node() or "mgate-host")
    if asked.as_json:
        asked.say({"source": name, "form": text})
    else:
        click.echo(text, nl=False)


def _configured(config: Config, name: str) -> CoreSource:
    found = next((each for each in config.sources if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in config.sources) or "none"
        raise click.BadParameter(f"there is no [sources.{name}] in {config.file}; known: {known}", param_hint="NAME")
    return found


def _identity(config: Config, name: str) -> Tls | None:
    return next((each for each in config.tls if each.name == name), None)


def _switch(asked: Asked, name: str, act: str) -> None:
    view = asked.daemon().post(_path(name, act), SourcesView)
    asked.say(view, tables.source_table(view.sources))


def _path(name: str, act: str) -> str:
    return f"/v1/sources/{segment(name)}:{act}"
