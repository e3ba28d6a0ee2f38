"""The command for the daily reckoning."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from mgate.config import Config
from mgate.control import reckoned, sums_tables
from mgate.control.asked import Asked
from mgate.control.cli.root import FAILED, Failure, common
from mgate.control.counts import Written, read_counts
from mgate.policy.reckoning import yesterday
from mgate.seal.errors import SealError
from mgate.seal.signature import pem, read_pem

_DOING: Final = {
    "waiting": "waiting for another reckoning",
    "rows": "reading the core's rows",
    "messages": "looking through messages",
    "counting": "counting",
}


@click.command()
@common
@click.option("--source", metavar="NAME", help="A source: its database is asked what it wrote on the day.")
@click.option("--client", metavar="NAME", help="A push client, a drop, or a source; with --against.")
@click.option("--date", "day", metavar="DAY", default="yesterday", show_default=True, help="2026-07-01, or today.")
@click.option(
    "--against", metavar="FILE.csv", type=click.Path(path_type=Path), help="The core's own list: key, version, created."
)
@click.option("--time-zone", metavar="ZONE", default="", help="What the day is by; else the client's own.")
@click.option("--result", metavar="FILE", type=click.Path(path_type=Path), help="Where the signed result goes.")
@click.option("--verify", metavar="FILE", type=click.Path(path_type=Path), help="Check the signature of a result.")
@click.option("--key", metavar="FILE.pem", type=click.Path(path_type=Path), help="The public key, for --verify.")
@click.option("--public-key", is_flag=True, help="Print the public key of this instance.")
@click.pass_obj
def reconcile(  # one option each
    asked: Asked,
    source: str | None,
    client: str | None,
    day: str,
    against: Path | None,
    time_zone: str,
    result: Path | None,
    verify: Path | None,
    key: Path | None,
    public_key: bool,
) -> None:
    """Reckon one day: what the core has written, against what became of it here.

    Exit status 0 when it balances and nothing is missing, 1 when a person must look at it. The signed result goes into
    the folder of [reckoning], beside those of earlier runs, or to --result, in the place of an older one.
    """
    if public_key:
        shown = reckoned.PublicKey(pem(reckoned.public_key(asked.daemon())))
        asked.say(shown, shown.public_key.rstrip())
    elif verify is not None:
        _verify(asked, verify, key)
    else:
        _reckon(asked, _name(source, client, against), day, against, time_zone, result)


def _name(source: str | None, client: str | None, against: Path | None) -> str:
    if bool(source) == bool(client):
        raise click.UsageError("say whose day it is: --source NAME, or --client NAME with --against FILE.csv")
    if client and against is None:
        raise click.UsageError("a client has no database that could be asked: add --against FILE.csv")
    return source or client or ""


def _reckon(
    asked: Asked, name: str, day: str, against: Path | None, time_zone: str, result: Path | None
) -> None:  # fmt: skip
    config = asked.tree()
    zone = _zone(time_zone or _own_zone(config, name))
    which = _date(day, zone)
    versioned = any(source.name == name and "version" in source.mapped for source in config.sources)
    rows: Iterator[Written] = iter(()) if against is None else read_counts(against, zone, versioned=versioned)
    out = result or config.reckoning.folder / f"{name}-{which}.ndjson"
    with _bar(sys.stderr.isatty() and not asked.as_json) as told:
        errand = reckoned.Errand(name, str(which), against.name if against else "", zone.key, told)
        # What was signed is evidence: a later run of the same day does not wipe it out.
        done = errand.run(asked.daemon(), rows, out, keep=result is None)
    asked.say(done, *sums_tables.tables_of(done))
    asked.note(sums_tables.verdict(done))
    if done.gap:
        sys.exit(FAILED)


def _verify(asked: Asked, path: Path, key: Path | None) -> None:
    try:
        public = read_pem(key.read_text("utf-8")) if key else reckoned.public_key(asked.daemon())
        head = reckoned.check_file(path, public)
    except SealError as error:
        raise Failure(f"{path}: {error}", "not_signed", asked.as_json) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{path}: cannot be read: {error}", "result", asked.as_json) from error
    asked.say(head, f"{path}: signed by {head.instance}: {head.client}, {head.day}, made at {head.made_at}")


def _own_zone(config: Config, name: str) -> str:
    """What a day is for this client."""
    own = {source.name: source.time_zone for source in config.sources}
    own |= {drop.name: drop.time_zone for drop in config.drops}
    return own.get(name) or config.reckoning.time_zone


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise click.BadParameter('is no time zone; one is "Asia/Tashkent"', param_hint="--time-zone") from error


def _date(text: str, zone: ZoneInfo) -> date:
    if text in {"yesterday", "today"}:
        last = yesterday(time.time(), zone)
        return last if text == "yesterday" else last + timedelta(days=1)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter('say it as 2026-07-01, or "yesterday" or "today"', param_hint="--date") from error


@contextmanager
def _bar(watched: bool) -> Iterator[Callable[[reckoned.Progress], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not watched, transient=True) as bar:
        task = bar.add_task("asking", total=None)

        def told(at: reckoned.Progress) -> None:
            bar.update(task, description=_DOING.get(at.doing, at.doing), completed=at.done, total=at.of or None)

        yield told
