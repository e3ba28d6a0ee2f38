"""Reading a file from its beginning to its end, a run of rows at a time, and the check that comes before any taking."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mgate.intake.drops.blocks import Blocks, Examined, Limits, Look
from mgate.intake.drops.faults import MOST_FAULTS, Fault, FileFault, Refused
from mgate.intake.drops.hands import RUN, Hands
from mgate.intake.drops.names import Packing
from mgate.intake.drops.records import Records
from mgate.intake.drops.rules import Checker, Refs, repeated
from mgate.intake.drops.table import Form, Line, Table
from mgate.model.entry import Submission

_CODECS: Final = {"utf-8": "utf-8-sig"}
"""A mark at the beginning is no part of the first column's name."""


class Written(NamedTuple):
    """How one file is written: what was declared, or ``auto``.

    Attributes:
        encoding: ``auto``, ``utf-8``, ``cp1251`` or ``cp866``.
    """

    packing: Packing
    encoding: str
    form: Form


class Rows:
    """The rows of an open file, in order."""

    def __init__(self, hands: Hands, blocks: Blocks, encoding: str, form: Form) -> None:
        self._hands = hands
        self._blocks = blocks
        self._decoder = codecs.getincrementaldecoder(_CODECS.get(encoding, encoding))()
        self._records = Records(quotes=form.form == "csv")
        self._over = False
        self.table = Table(form)

    async def next(self) -> list[Line | Fault]:
        """The next run of rows; empty at the end. Raises `Refused`."""
        while True:
            while not self._records.ready and not self._over:
                block = await self._hands.away(self._blocks.next)
                self._over = not block
                self._records.feed(self._decoder.decode(block, self._over), self._over)
            if not self._records.ready:
                self.table.end()
                return []
            ready = self._records.ready
            rows = self.table.read([ready.popleft() for _ in range(min(RUN, len(ready)))])
            if rows:
                return rows


@dataclass(slots=True)
class Report:
    """What a check found.

    Attributes:
        rows: how many there are; ``wrong``: how many of them cannot be taken; ``faults``: the first thousand of those.
        sample: the first rows that can be taken.
    """

    rows: int = 0
    wrong: int = 0
    faults: list[Fault] = field(default_factory=list)
    sample: list[tuple[int, Submission]] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """One more row cannot be taken."""
        self.wrong += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


class Inspection:
    """Looks at a file without taking anything of it.

    Args:
        wall: seconds since 1970; ``gate``: called before each run of rows, raises to break off.
        key: random octets, for references that come twice.
    """

    def __init__(
        self, hands: Hands, limits: Limits, wall: Callable[[], float], gate: Callable[[], None], key: bytes
    ) -> None:
        self._hands = hands
        self._limits = limits
        self._wall = wall
        self._gate = gate
        self._key = key
        self.done = 0
        self.of = 1

    async def look(self, file: int, written: Written) -> Examined:
        """Its digest and encoding. Raises `Refused`."""
        blocks = await self._hands.away(Blocks, file, written.packing, self._limits, None)
        look = Look(blocks, written.encoding)
        self.of = max(1, 2 * blocks.seen.size)
        while await self._hands.away(look.step):
            self.done = blocks.at
            self._gate()
        return look.found()

    async def check(
        self, file: int, written: Written, examined: Examined, checker: Checker, rows: int, sample: int = 0
    ) -> Report:
        """Every row, by every rule. ``rows``: how many there may be; ``sample``: how many good ones to give back.

        Raises:
            Refused: something is wrong with the whole.
        """
        blocks = await self._hands.away(Blocks, file, written.packing, self._limits, examined.seen)
        source = Rows(self._hands, blocks, examined.encoding, written.form)
        report = Report()
        refs = Refs(rows, self._key)
        while run := await source.next():
            self._gate()
            self._run(run, checker, refs, report, sample, has_refs=source.table.has_refs)
            report.rows = source.table.rows
            self.done = examined.seen.size + blocks.at
            if report.rows > self._limits.most_rows:
                raise Refused(FileFault.TOO_MANY_ROWS, f"{self._limits.most_rows} are the most")
            await self._hands.turn()
        return report

    def _run(
        self, run: list[Line | Fault], checker: Checker, refs: Refs, report: Report, sample: int, *, has_refs: bool
    ) -> None:
        now = self._wall()
        for row in run:
            read = checker.read(row, now) if isinstance(row, Line) else row
            if isinstance(read, Fault):
                report.add(read)
                continue
            line = row.line
            first = refs.first(read.ref, line) if has_refs else 0
            if first:
                report.add(repeated(line, first, read.ref))
            elif len(report.sample) < sample:
                report.sample.append((line, read))
