"""A reckoning as people see it: the balance, and the first of what differs."""

from __future__ import annotations

from typing import Final

from rich.table import Table

from mgate.control.reckoned import SHOWN, Reckoned
from mgate.policy.reckoning import Sums

_DIFFERS: Final = {
    "missing": "missing here",
    "extra": "unknown to the core",
    "twice": "twice",
    "accepted_late": "taken late",
    "sent_late": "sent late",
}


def tables_of(done: Reckoned) -> list[Table]:
    """The balance, and the first differences if there are any."""
    return [_balance(done), *([_differences(done)] if done.differences else [])]


def verdict(done: Reckoned) -> str:
    """What a person must know of it, in a sentence or two."""
    head, sums = done.head, done.head.sums
    if sums.unreadable:
        said = f"{sums.unreadable} records of mgate could not be read: what stands there may look missing"
    elif not head.balances:
        said = "the sums are wrong: rows were lost on the way; reckon again, and if it stays so tell us"
    elif sums.missing:
        said = f"{sums.missing} of the core's rows were never taken: see missing in the file"
    else:
        said = "it balances: nothing is missing"
    return f"{head.client}, {head.day} ({head.time_zone}): {said}\nthe signed result: {done.file}"


def _balance(done: Reckoned) -> Table:
    table = Table(title=f"{done.head.client}, {done.head.day} ({done.head.time_zone})", title_justify="left")
    table.add_column("the core's rows")
    table.add_column("", justify="right")
    table.add_column("of the accepted")
    table.add_column("", justify="right")
    left, right = _core(done.head.sums), _ends(done.head.sums)
    for number in range(max(len(left), len(right))):
        row = (*(left[number] if number < len(left) else ("", "")), *(right[number] if number < len(right) else ()))
        table.add_row(*map(str, row))
    return table


def _core(sums: Sums) -> list[tuple[str, object]]:
    return [
        ("written", sums.core),
        ("= accepted", sums.accepted),
        ("+ refused", sums.refused),
        ("+ missing", sums.missing),
        ("", ""),
        ("unknown to the core", sums.extra),
        ("twice", sums.twice),
        ("taken late", sums.accepted_late),
        ("sent late", sums.sent_late),
    ]


def _ends(sums: Sums) -> list[tuple[str, object]]:
    return [
        ("delivered", sums.delivered),
        ("undelivered", sums.undelivered),
        ("rejected", sums.rejected),
        ("expired", sums.expired),
        ("cancelled", sums.cancelled),
        ("no receipt", sums.no_receipt),
        ("uncertain", sums.uncertain),
        ("under way", sums.under_way),
        ("sent until now", sums.sent),
    ]


def _differences(done: Reckoned) -> Table:
    sums = done.head.sums
    every = sums.missing + sums.extra + sums.twice + sums.accepted_late + sums.sent_late
    more = f"the first {SHOWN} of {every} that differ" if every > SHOWN else "what differs"
    table = Table(title=more, title_justify="left")
    for column in ("", "reference", "written", "taken", "left", "state", "reason", "message"):
        table.add_column(column, overflow="fold")
    for one in done.differences:
        moments = (one.written_at, one.accepted_at, one.sent_at)
        table.add_row(_DIFFERS.get(one.differs, one.differs), one.ref, *moments, one.state, one.reason, one.message)
    return table
