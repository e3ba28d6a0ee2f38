"""The commands for the running daemon."""

from __future__ import annotations

import sys

import click
from rich.table import Table

from mgate.control import tables
from mgate.control.asked import Asked
from mgate.control.cli.root import FAILED, common
from mgate.control.drop_views import DropsView
from mgate.control.source_views import SourcesView
from mgate.control.talk import Daemon, segment
from mgate.control.views import BindsView, FeedsView, QueueView, ReloadView, StatusView
from mgate.control.way_table import way_table
from mgate.control.webhook_views import WebhooksView


@click.command()
@common
@click.pass_obj
def status(asked: Asked) -> None:
    """Show the daemon at a glance."""
    daemon = asked.daemon()
    view = daemon.get("/v1/status", StatusView)
    # A program asks for them where it wants them.
    ways = None if asked.as_json else _ways(daemon)
    asked.say(view, *tables.status_tables(view), *([ways] if ways else []))


def _ways(daemon: Daemon) -> Table | None:
    return way_table(
        daemon.get("/v1/sources", SourcesView),
        daemon.get("/v1/drops", DropsView),
        daemon.get("/v1/webhooks", WebhooksView),
    )


@click.command()
@common
@click.pass_obj
def queue(asked: Asked) -> None:
    """Show what lives in the spool, by route, class and client."""
    view = asked.daemon().get("/v1/queue", QueueView)
    asked.say(view, tables.queue_table(view.rows))


@click.command()
@common
@click.pass_obj
def feeds(asked: Asked) -> None:
    """Show how far each client has read what became of its messages."""
    view = asked.daemon().get("/v1/feeds", FeedsView)
    asked.say(view, tables.feed_table(view.feeds))
    if not view.feeds:
        asked.note("no client has read or acknowledged events yet: GET /v1/events of its socket (docs/push-api.md)")


@click.command()
@common
@click.option("--dry-run", is_flag=True, help="Only say what would change and what would need a restart.")
@click.pass_obj
def reload(asked: Asked, dry_run: bool) -> None:
    """Let the daemon read its configuration again, and show what changed. A file with a mistake changes nothing."""
    view = asked.daemon().post(f"/v1/reload{'?dry_run=1' if dry_run else ''}", ReloadView)
    asked.say(view, *([tables.change_table(view.changes)] if view.changes else []))
    for mistake in view.mistakes:
        place = " ".join(part for part in (f"[{mistake.section}]" if mistake.section else "", mistake.key) if part)
        asked.note(f"{view.file}: {place}: {mistake.problem}" if place else f"{view.file}: {mistake.problem}")
    for problem in view.problems:
        asked.note(problem)
    if view.mistakes:
        asked.note("nothing was changed")
    elif not view.changes:
        asked.note("the file says what runs already")
    if view.mistakes or view.problems:
        sys.exit(FAILED)


@click.group()
def bind() -> None:
    """The connections to the operator."""


@bind.command("list")
@common
@click.pass_obj
def bind_list(asked: Asked) -> None:
    """Show every bind."""
    view = asked.daemon().get("/v1/binds", BindsView)
    asked.say(view, tables.bind_table(view.binds))


@bind.command("pause")
@common
@click.argument("name", metavar="ROUTE[/BIND]")
@click.pass_obj
def bind_pause(asked: Asked, name: str) -> None:
    """Let nothing more leave on a bind, or on a whole route, until it is resumed or mgated restarts."""
    _switch(asked, name, "pause")


@bind.command("resume")
@common
@click.argument("name", metavar="ROUTE[/BIND]")
@click.pass_obj
def bind_resume(asked: Asked, name: str) -> None:
    """Let it leave again."""
    _switch(asked, name, "resume")


def _switch(asked: Asked, name: str, act: str) -> None:
    route, mark, index = name.partition("/")
    path = f"{segment(route)}/{segment(index)}" if mark else segment(route)
    view = asked.daemon().post(f"/v1/binds/{path}:{act}", BindsView)
    asked.say(view, tables.bind_table(view.binds))
