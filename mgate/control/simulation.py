"""The whole errand of ``mgatectl route simulate``: where the rows of a file would go, one by one and in sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Final

import msgspec

from mgate.control.route_views import RouteAnswer, RouteAnswers, RouteAsked, RoutesAsked
from mgate.control.sheets import Bad, Good, Row, Sheet
from mgate.control.talk import Daemon

BATCH: Final = 200
"""Rows that are asked about at a time."""


class SimulatedRow(msgspec.Struct, frozen=True, gc=False):
    """Where one row would go.

    Attributes:
        row: its number in the file; ``to``: the number, masked.
        route: empty where it would go nowhere; then ``why`` is the reason, else a word of `route_views.WORDS`.
        cost: of its parts; empty when it is not known.
    """

    row: int
    ref: str
    to: str
    route: str
    rule: str
    parts: int
    cost: str
    currency: str
    why: str


class RouteSum(msgspec.Struct, frozen=True):
    """What one route would get by one rule.

    Attributes:
        cost: of the parts whose price is known; ``unpriced``: the other parts.
    """

    route: str
    rule: str
    messages: int
    parts: int
    cost: str
    currency: str
    unpriced: int


class Simulated(msgspec.Struct, frozen=True):
    """What became of a simulation.

    Attributes:
        rows: of the file, empty ones left out; ``nowhere``: those that would go nowhere.
        sums: by route and rule, the greatest first.
        shown: the first rows, as many as were wanted; ``lost``: the first that would go nowhere.
    """

    file: str
    rows: int
    nowhere: int
    sums: tuple[RouteSum, ...]
    shown: tuple[SimulatedRow, ...]
    lost: tuple[SimulatedRow, ...]


class Simulation:
    """One simulation of one sheet.

    Args:
        client: whose messages they would be. ``at``: when they would be sent; empty for now.
        keep: so many rows are shown.
    """

    def __init__(self, sheet: Sheet, client: str, at: str, keep: int) -> None:
        self._sheet = sheet
        self._client = client
        self._at = at
        self._keep = keep
        self._sums: dict[tuple[str, str, str], _Sum] = {}
        self._shown: list[SimulatedRow] = []
        self._lost: list[SimulatedRow] = []
        self._rows = self._nowhere = 0

    def run(self, daemon: Daemon, told: Callable[[int], None]) -> Simulated:
        """Ask about every row. ``told`` hears how many are done. Errors: those of `Daemon`."""
        rows = self._sheet.rows()
        while batch := list(islice(rows, BATCH)):
            for row in self._asked(daemon, batch):
                self._count(row)
            told(self._rows)
        sums = sorted(self._sums.items(), key=lambda item: (-item[1].messages, item[0]))
        return Simulated(
            file=str(self._sheet.path),
            rows=self._rows,
            nowhere=self._nowhere,
            sums=tuple(each.told(*key) for key, each in sums),
            shown=tuple(self._shown),
            lost=tuple(self._lost),
        )

    def _asked(self, daemon: Daemon, batch: Sequence[Row]) -> Iterator[SimulatedRow]:
        lines = [msgspec.json.decode(row.line, type=RouteAsked) for row in batch if isinstance(row, Good)]
        asked = RoutesAsked(tuple(msgspec.structs.replace(line, at=self._at) for line in lines), self._client)
        answers = iter(daemon.post("/v1/routes:explain", RouteAnswers, asked).answers if lines else ())
        for row in batch:
            yield _bad(row) if isinstance(row, Bad) else _good(row, next(answers))

    def _count(self, row: SimulatedRow) -> None:
        self._rows += 1
        if len(self._shown) < self._keep:
            self._shown.append(row)
        if row.route:
            self._sums.setdefault((row.route, row.rule, row.currency), _Sum()).add(row)
            return
        self._nowhere += 1
        if len(self._lost) < self._keep:
            self._lost.append(row)


class _Sum:
    """Counts of one route and rule."""

    def __init__(self) -> None:
        self.messages = self.parts = self.unpriced = 0
        self.cost = Decimal()

    def add(self, row: SimulatedRow) -> None:
        self.messages += 1
        self.parts += row.parts
        if row.cost:
            self.cost += Decimal(row.cost)
        else:
            self.unpriced += row.parts

    def told(self, route: str, rule: str, currency: str) -> RouteSum:
        cost = f"{self.cost:f}" if currency else ""
        return RouteSum(route, rule, self.messages, self.parts, cost, currency, self.unpriced)


def _bad(row: Bad) -> SimulatedRow:
    reason = f"{row.field}: {row.reason}" if row.field else row.reason
    return SimulatedRow(row.number, row.ref, row.to, "", "", 0, "", "", reason)


def _good(row: Good, answer: RouteAnswer) -> SimulatedRow:
    if not answer.choices:
        why = answer.wrong or ", ".join(f"{barred.route}: {barred.why}" for barred in answer.barred) or "no rule for it"
        return SimulatedRow(row.number, row.ref, row.to, "", answer.rule, answer.parts, "", "", why)
    first = answer.choices[0]
    return SimulatedRow(
        row.number, row.ref, row.to, first.route, answer.rule, answer.parts, answer.cost, first.currency, first.why
    )
