"""What people see of folders of files."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from mgate.control.drop_views import CheckedView, DropView
from mgate.control.tables import grid, moment, pairs, put


def drop_table(drops: Iterable[DropView]) -> Table:
    """The folders, one a row."""
    names = ("folder", "state", "waiting", "without manifest", "under way", "path", "who may put files there")
    shown = grid(*names, right=(2, 3))
    for drop in drops:
        under_way = f"{drop.step} {drop.done:.0%}" if drop.step == "checking" else drop.step
        counts = str(drop.waiting), str(drop.strays)
        put(shown, drop.name, drop.failure or drop.state, *counts, under_way, drop.folder, drop.writers)
    return shown


def file_table(drops: Iterable[DropView]) -> Table:
    """The files that are remembered."""
    names = ("folder", "file", "phase", "claimed", "accepted", "known", "refused", "not ended", "reason")
    shown = grid(*names, right=(4, 5, 6, 7))
    for drop in drops:
        for file in drop.files:
            counts = map(str, (file.accepted, file.known, file.refused, file.open))
            put(shown, drop.name, file.name, file.phase, moment(file.claimed), *counts, file.reason)
    return shown


def check_tables(view: CheckedView) -> list[Table]:
    """What a check found: the whole, the first rows that can be taken, and what is wrong."""
    whole = pairs(
        ("the folder would", "take it" if view.taken else "refuse it"),
        ("rows", str(view.rows)),
        ("wrong", str(view.wrong)),
        ("encoding", view.encoding),
        ("SHA-256", view.digest),
        ("who may put it there", view.writers),
    )
    shown = [whole]
    if view.sample:
        rows = grid("line", "ref", "to", "class", "sender", "characters", "parts", right=(0, 5, 6))
        for row in view.sample:
            put(rows, str(row.line), row.ref, row.to, row.traffic, row.sender, str(row.characters), str(row.parts))
        shown.append(rows)
    if view.faults:
        faults = grid("line", "ref", "code", "field", "what is wrong", right=(0,))
        for fault in view.faults[:20]:
            put(faults, str(fault.line or ""), fault.ref, fault.code, fault.field, fault.detail)
        shown.append(faults)
    return shown
