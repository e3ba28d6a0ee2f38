"""What people see of texts and guards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.table import Table

from mgate.control.guard_views import GuardsView
from mgate.control.tables import grid, put
from mgate.control.text_views import ForcedView, OtherView, PreviewView

_ALPHABETS = {"gsm7": "GSM 7-bit", "ucs2": "UCS-2"}


def preview_lines(view: PreviewView) -> Iterator[str]:
    """A preview in words."""
    yield _air(view)
    if view.other is not None:
        use = "leaves so" if view.other.leaves_so else "would be"
        yield f"by the table {view.other.table} it {use}: {_air(view.other)}"
        yield view.other.text
    if view.refused_as:
        yield f"refused: {view.why} ({view.refused_as})"


def _air(view: PreviewView | OtherView) -> str:
    parts = "1 part" if view.parts == 1 else f"{view.parts} parts"
    what = f"{parts} in {_ALPHABETS.get(view.alphabet, view.alphabet)}, {view.characters} characters"
    return f"{what}: too long to be sent" if view.parts > 255 else f"{what}, room for {view.left} more"


def forced_table(forced: Iterable[ForcedView]) -> Table:
    """The characters that ask for UCS-2, one a row."""
    table = grid("character", "code point", "first at", "name", right=(2,))
    for each in forced:
        put(table, each.character, f"U+{ord(each.character):04X}", str(each.place), each.name.lower())
    return table


def guard_tables(view: GuardsView) -> Iterator[Table]:
    """What is blocked and what was refused."""
    if view.blocked:
        blocked = grid("blocked range", "until")
        for each in view.blocked:
            put(blocked, each.range, each.until)
        yield blocked
    if view.refused:
        refused = grid("at", "client", "ref", "class", "to", "code", "why")
        for one in view.refused:
            put(refused, one.at, one.client, one.ref, one.traffic, one.to, one.code, one.detail)
        yield refused
