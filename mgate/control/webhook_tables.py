"""What people see of webhooks."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from mgate.control.tables import grid, put, span
from mgate.control.webhook_views import DeadView, WebhookView


def webhook_table(webhooks: Iterable[WebhookView]) -> Table:
    """The webhooks, one a row."""
    names = ("webhook", "client", "state", "behind", "taken", "given up", "url", "why")
    table = grid(*names, right=(3, 4, 5))
    for each in webhooks:
        state = f"{each.state}, replaying" if each.replaying else each.state
        behind = span(each.lag) if each.lag else "-"
        why = each.reason
        if each.next_try >= 0 and each.state != "paused":
            why += f"; next try in {span(each.next_try)}"
        put(table, each.name, each.client, state, behind, str(each.taken), str(each.dead), each.url, why)
    return table


def dead_table(dead: Iterable[DeadView]) -> Table:
    """What was given up, one run a row."""
    table = grid("from", "to", "events", "why", "given up at", right=(0, 1, 2))
    for each in dead:
        put(table, str(each.first), str(each.last), str(each.events), each.reason, each.time)
    return table
