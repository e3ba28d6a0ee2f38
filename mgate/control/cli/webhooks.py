"""The commands for webhooks."""

from __future__ import annotations

import click

from mgate.control.asked import Asked
from mgate.control.cli.root import common
from mgate.control.talk import segment
from mgate.control.webhook_tables import dead_table, webhook_table
from mgate.control.webhook_views import DeadsView, ReplayView, WebhooksView


@click.group()
def webhook() -> None:
    """The places of the bank's that are called with events."""


@webhook.command("list")
@common
@click.pass_obj
def webhook_list(asked: Asked) -> None:
    """Show every webhook: how it stands, how far it is behind, and what was given up."""
    view = asked.daemon().get("/v1/webhooks", WebhooksView)
    asked.say(view, webhook_table(view.webhooks))
    if not view.webhooks:
        asked.note("no webhook is configured: see [webhooks.NAME] in the configuration")


@webhook.command("dead")
@common
@click.argument("name", metavar="NAME")
@click.pass_obj
def webhook_dead(asked: Asked, name: str) -> None:
    """Show what was given up: the other side refused it, or did not take it for too long."""
    view = asked.daemon().get(f"/v1/webhooks/{segment(name)}/dead", DeadsView)
    asked.say(view, *([dead_table(view.dead)] if view.dead else []))
    if not view.dead:
        asked.note(f"{name}: nothing was given up")


@webhook.command("replay")
@common
@click.argument("name", metavar="NAME")
@click.option("--dry-run", is_flag=True, help="Only say how much it would be.")
@click.pass_obj
def webhook_replay(asked: Asked, name: str, dry_run: bool) -> None:
    """Call again, oldest first, what was given up. What is taken leaves the list; the first refusal stops it."""
    query = "?dry_run=1" if dry_run else ""
    view = asked.daemon().post(f"/v1/webhooks/{segment(name)}:replay{query}", ReplayView)
    asked.say(view)
    whole = f"{_count(view.events, 'event')} in {_count(view.runs, 'run')}"
    if dry_run:
        asked.note(f"{name}: would call again {whole}")
    elif view.begun:
        asked.note(f"{name}: calls again {whole}; mgatectl webhook dead {name} shows what is left")
    else:
        asked.note(f"{name}: nothing to call again" if not view.runs else f"{name}: a replay runs already")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@webhook.command("pause")
@common
@click.argument("name", metavar="NAME")
@click.pass_obj
def webhook_pause(asked: Asked, name: str) -> None:
    """Call no more until it is resumed or mgated restarts; events wait in the journal."""
    _switch(asked, name, "pause")


@webhook.command("resume")
@common
@click.argument("name", metavar="NAME")
@click.pass_obj
def webhook_resume(asked: Asked, name: str) -> None:
    """Call again, and at once."""
    _switch(asked, name, "resume")


def _switch(asked: Asked, name: str, act: str) -> None:
    view = asked.daemon().post(f"/v1/webhooks/{segment(name)}:{act}", WebhooksView)
    asked.say(view, webhook_table(view.webhooks))
