"""The commands for an instance and its configuration."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from mgate import __version__
from mgate.config import Config, ConfigError, Setting, changed, settings
from mgate.control import files, tables
from mgate.control.asked import Asked
from mgate.control.cli.root import FAILED, common
from mgate.control.instance import Account, make_instance
from mgate.control.talk import NotReachable
from mgate.control.views import ConfigView, ReloadView, VersionView

_NOT_INSIDE: Final = (
    "of the files of [tls.NAME] only names and modes were looked at, since no daemon runs by this file;"
    " with mgated running, say this again or mgatectl reload --dry-run: it looks whether they fit together"
)


@click.command()
@common
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--smsc", metavar="HOST:PORT", required=True, help="The operator's SMSC.")
@click.option("--system-id", metavar="ID", required=True, help="What the operator knows us by.")
@click.option(
    "--password-file", metavar="F", required=True, type=click.Path(path_type=Path), help="A file with one line."
)
@click.option("--binds", metavar="N", type=click.IntRange(1, 32), default=1, help="Binds to hold.")
@click.option("--window", metavar="N", type=click.IntRange(1, 1000), default=10, help="Open submits on each.")
@click.option("--rate", metavar="N", type=click.IntRange(0, 10_000), default=0, help="PDUs a second, 0: no limit.")
@click.pass_obj
def init(
    asked: Asked,
    folder: Path,
    smsc: str,
    system_id: str,
    password_file: Path,
    binds: int,
    window: int,
    rate: int,
) -> None:
    """Make a ready instance in DIR, which must be new or empty."""
    host, mark, port = smsc.rpartition(":")
    if not mark or not host or not port.isdecimal():
        raise click.BadParameter("say it as HOST:PORT, such as 127.0.0.1:2775", param_hint="--smsc")
    config = make_instance(folder, Account(host.strip("[]"), int(port), system_id, password_file, binds, window, rate))
    asked.say(
        {"folder": str(config.home), "config": str(config.file), "push_socket": str(config.local.socket)},
        f"Made {config.home}. Keep a copy of {config.keys.kek_file} apart: without that key all is unreadable.\n"
        f"Next: mgated --config {config.file}",
    )


@click.group()
def config() -> None:
    """The configuration."""


@config.command("check")
@common
@click.pass_obj
def config_check(asked: Asked) -> None:
    """Find every mistake in the configuration; needs no daemon, but only one that runs looks into the files of TLS."""
    problems: tuple[str, ...] | None = ()
    try:
        tree = asked.tree()
        mistakes, doubts = files.missing(tree), files.doubts(tree)
        if tree.tls and not mistakes:
            problems = _inside(asked, tree)
    except ConfigError as error:
        mistakes, doubts = list(error.mistakes), []
    if problems is None:
        doubts = [*doubts, _NOT_INSIDE]
    found = [{"section": each.section, "key": each.key, "problem": each.problem} for each in mistakes]
    answer = {"file": str(asked.path()), "mistakes": found, "problems": problems or (), "warnings": doubts}
    asked.say(answer, *map(str, mistakes), *(problems or ()))
    for doubt in doubts:
        asked.note(f"warning: {doubt}")
    if mistakes or problems:
        sys.exit(FAILED)
    asked.note(f"{asked.path()}: no mistakes")


def _inside(asked: Asked, tree: Config) -> tuple[str, ...] | None:
    """What the daemon says of this file and the files that it names; None where none runs by it."""
    try:
        view = asked.daemon().post("/v1/reload?dry_run=1", ReloadView)
    except NotReachable:
        return None
    if view.file != str(tree.file):
        return None
    return (*(f"[{each.section}] {each.key}".rstrip() + f": {each.problem}" for each in view.mistakes), *view.problems)


@config.command("show")
@common
@click.option("--changed", "only_changed", is_flag=True, help="Only what differs from the defaults, or has none.")
@click.option("--running", is_flag=True, help="By which the daemon runs, not as the file is now.")
@click.pass_obj
def config_show(asked: Asked, only_changed: bool, running: bool) -> None:
    """Show the settings; needs no daemon."""
    if running:
        view = asked.daemon().get("/v1/config", ConfigView, changed="1" if only_changed else "")
    else:
        tree = asked.tree()
        chosen: Sequence[Setting] = changed(tree) if only_changed else settings(tree)
        view = ConfigView(str(tree.file), tuple(chosen))
    asked.say(view, tables.setting_table(view.settings))


@click.command()
@common
@click.pass_obj
def version(asked: Asked) -> None:
    """Show the version of mgatectl, and the daemon's if it runs."""
    try:
        running = asked.daemon().get("/v1/version", VersionView).version
    except (NotReachable, ConfigError):
        running = ""
    asked.say(
        {"mgatectl": __version__, "python": platform.python_version(), "daemon": running},
        f"mgatectl {__version__}, daemon {running or 'not reachable'}",
    )
