"""The commands for the running daemon."""

from __future__ import annotations

import click

from mgate.control import tables
from mgate.control.asked import Asked
from mgate.control.cli.root import common
from mgate.control.talk import segment
from mgate.control.views import BindsView, QueueView, StatusView


@click.command()
@common
@click.pass_obj
def status(asked: Asked) -> None:
    """Show the daemon at a glance."""
    view = asked.daemon().get("/v1/status", StatusView)
    asked.say(view, *tables.status_tables(view))


@click.command()
@common
@click.pass_obj
def queue(asked: Asked) -> None:
    """Show what lives in the spool, by route, class and client."""
    view = asked.daemon().get("/v1/queue", QueueView)
    asked.say(view, tables.queue_table(view.rows))


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
