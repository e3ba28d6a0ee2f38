"""What people see of routes."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from rich.table import Table
from rich.text import Text

from mgate.control.route_views import WORDS, RouteAnswer
from mgate.control.simulation import Simulated, SimulatedRow
from mgate.control.tables import grid, pairs, put


def explained_tables(answer: RouteAnswer) -> list[Table]:
    """Where a message would go: what was decided, and every route with its reason."""
    head = pairs(
        ("to", answer.to + (f", {answer.country}" if answer.country else "")),
        ("sender", answer.sender),
        ("at", answer.at),
        ("rule", _rule(answer.rule)),
        ("parts", str(answer.parts)),
        ("cost", f"{answer.cost} {answer.choices[0].currency}" if answer.cost else ""),
    )
    table = grid("place", "route", "a part costs", "takes it now", "why")
    for place, choice in enumerate(answer.choices, 1):
        price = f"{choice.price} {choice.currency}" if choice.price else ""
        ready = Text("yes", "green") if choice.ready else Text("no", "red")
        put(table, str(place), choice.route, price, ready, WORDS.get(choice.why, choice.why))
    for barred in answer.barred:
        put(table, "", barred.route, "", Text("no", "red"), WORDS.get(barred.why, barred.why))
    return [head, table]


def simulated_tables(done: Simulated) -> list[Table]:
    """The sums, the first rows, and those that would go nowhere."""
    sums = grid("route", "rule", "messages", "parts", "cost", "parts without a price", right=(2, 3, 4, 5))
    for each in done.sums:
        cost = f"{each.cost} {each.currency}" if each.currency else ""
        put(sums, each.route, _rule(each.rule), str(each.messages), str(each.parts), cost, str(each.unpriced or ""))
    parts = sum(each.parts for each in done.sums)
    put(sums, "together", "", str(done.rows - done.nowhere), str(parts), _whole_cost(done), "")
    if done.nowhere:
        put(sums, Text("nowhere", "red"), "", str(done.nowhere), "", "", "")
    tables = [sums]
    routed = [row for row in done.shown if row.route]
    if routed:
        tables.append(_rows(routed))
    if done.lost:
        tables.append(_lost(done.lost))
    return tables


def _whole_cost(done: Simulated) -> str:
    """The cost of all, currency by currency."""
    whole: dict[str, Decimal] = {}
    for each in done.sums:
        if each.currency:
            whole[each.currency] = whole.get(each.currency, Decimal()) + Decimal(each.cost)
    return ", ".join(f"{cost:f} {currency}" for currency, cost in sorted(whole.items()))


def _rule(name: str) -> str:
    return f"[routes.{name}]" if name else "none: every account, in the order of the file"


def _rows(rows: Iterable[SimulatedRow]) -> Table:
    table = grid("row", "ref", "to", "route", "parts", "cost", "why", right=(0, 4, 5))
    for row in rows:
        cost = f"{row.cost} {row.currency}" if row.cost else ""
        put(table, str(row.row), row.ref, row.to, row.route, str(row.parts or ""), cost, WORDS.get(row.why, row.why))
    return table


def _lost(rows: Iterable[SimulatedRow]) -> Table:
    table = grid("row", "ref", "to", "goes nowhere, because", right=(0,))
    for row in rows:
        put(table, str(row.row), row.ref, row.to, row.why)
    return table
