"""The bank's databases, folders and webhooks at a glance: a line each, for ``mgatectl status``."""

from __future__ import annotations

from rich.table import Table

from mgate.control.drop_views import DropsView, DropView
from mgate.control.source_views import SourcesView, SourceView
from mgate.control.tables import grid, put, span
from mgate.control.webhook_views import WebhooksView, WebhookView


def way_table(sources: SourcesView, drops: DropsView, webhooks: WebhooksView) -> Table | None:
    """All of them; None where nothing of it is configured."""
    lines = [
        *map(_source, sources.sources),
        *map(_drop, drops.drops),
        *map(_webhook, webhooks.webhooks),
    ]
    if not lines:
        return None
    table = grid("kind", "name", "state", "what of it", "why")
    for line in lines:
        put(table, *line)
    return table


def _source(source: SourceView) -> tuple[str, ...]:
    waiting = f"{source.waiting} waiting, " if source.waiting >= 0 else ""
    return "source", source.name, source.state, f"{waiting}{source.taken} taken", source.detail


def _drop(drop: DropView) -> tuple[str, ...]:
    return "drop", drop.name, drop.state, f"{drop.waiting} file{'' if drop.waiting == 1 else 's'} waiting", drop.failure


def _webhook(webhook: WebhookView) -> tuple[str, ...]:
    late = f", {span(webhook.lag)} behind" if webhook.lag > 0 else ""
    return (
        "webhook",
        webhook.name,
        webhook.state,
        f"{webhook.taken} taken, {webhook.dead} given up{late}",
        webhook.reason,
    )
