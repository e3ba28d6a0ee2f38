"""A reckoning as people see it: the balance, and the first of what differs."""

from __future__ import annotations

from itertools import zip_longest
from typing import Final

from rich.table import Table

from mgate.control.reckoned import SHOWN, Reckoned
from mgate.control.tables import grid, put
from mgate.policy.reckoning import Sums

_DIFFERS: Final = {
    "missing": "missing here",
    "extra": "no row of the core",
    "twice": "twice",
    "accepted_late": "taken late",
    "sent_late": "sent late",
    "final_by_core": "final by the core's table",
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
        were = "was" if sums.missing == 1 else "were"
        said = f"{sums.missing} of the core's rows {were} never taken: see missing in the file"
    elif sums.final_by_core:
        said = (
            f"it balances: nothing is missing; of {sums.final_by_core} rows the core's table alone has the last word,"
            " as after a store that was lost or restored"
        )
    else:
        said = "it balances: nothing is missing"
    if sums.extra:
        said += (
            f"; {sums.extra} of the day's messages have no row of the core: unknown to it, or written on another day"
            " than was looked at ([reckoning] reach, or the days of its list)"
        )
    return f"{head.client}, {head.day} ({head.time_zone}): {said}\nthe signed result: {done.file}"


def _balance(done: Reckoned) -> Table:
    table = grid("the core's rows", "", "of the accepted", "", right=(1, 3))
    for left, right in zip_longest(_core(done.head.sums), _ends(done.head.sums), fillvalue=("", "")):
        put(table, *left, *right)
    return table


def _core(sums: Sums) -> list[tuple[str, str]]:
    return [
        ("written", f"{sums.core:,}"),
        ("= accepted", f"{sums.accepted:,}"),
        ("+ refused", f"{sums.refused:,}"),
        ("+ final by the core's table", f"{sums.final_by_core:,}"),
        ("+ missing", f"{sums.missing:,}"),
        ("", ""),
        ("no row of the core", f"{sums.extra:,}"),
        ("twice", f"{sums.twice:,}"),
        ("taken late", f"{sums.accepted_late:,}"),
        ("sent late", f"{sums.sent_late:,}"),
    ]


def _ends(sums: Sums) -> list[tuple[str, str]]:
    return [
        ("delivered", f"{sums.delivered:,}"),
        ("undelivered", f"{sums.undelivered:,}"),
        ("expired", f"{sums.expired:,}"),
        ("cancelled", f"{sums.cancelled:,}"),
        ("no receipt", f"{sums.no_receipt:,}"),
        ("uncertain", f"{sums.uncertain:,}"),
        ("under way", f"{sums.under_way:,}"),
        ("sent until now", f"{sums.sent:,}"),
    ]


def _differences(done: Reckoned) -> Table:
    sums = done.head.sums
    every = sums.missing + sums.extra + sums.twice + sums.accepted_late + sums.sent_late + sums.final_by_core
    table = grid("what differs", "reference", "written", "taken", "left", "state", "reason", "message")
    for one in done.differences:
        moments = (one.written_at, one.accepted_at, one.sent_at)
        put(table, _DIFFERS.get(one.differs, one.differs), one.ref, *moments, one.state, one.reason, one.message)
    if every > SHOWN:
        table.caption = f"the first {SHOWN} of {every:,}; the file has them all"
    return table
