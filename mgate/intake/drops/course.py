"""The course of one claimed file: look, check, hand in, write back. After a stop or a crash it goes on where it was.

Where it is, the folder and the book say together. A manifest in ``work``: claimed. In the book as ``taking``: every row
was checked and some may have been handed in; those that have their answer are passed over, and what acceptance had
taken without our hearing of it is recognised by its reference. As ``taken``: the answers are written, and the file only
wants to be put away. A step that was done is done again with the same result.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from mgate.intake.client import RateBucket
from mgate.intake.drops import results
from mgate.intake.drops.blocks import Blocks, Examined, Limits
from mgate.intake.drops.book import Book, TakenFile, Turned
from mgate.intake.drops.faults import Fault, FileFault, Refused
from mgate.intake.drops.folder import Folder
from mgate.intake.drops.handing import Count, Handed, Handing
from mgate.intake.drops.hands import Hands
from mgate.intake.drops.manifest import Manifest, read_manifest
from mgate.intake.drops.names import MANIFEST, DataName, candidates, result_name
from mgate.intake.drops.reader import Inspection, Rows, Written
from mgate.intake.drops.results import ResultRow
from mgate.intake.drops.rules import Checker, RowRules
from mgate.intake.drops.table import Form, Line
from mgate.intake.drops.writing import write_back
from mgate.model.ports import Acceptor

PAGE: Final = 300
"""Lines that are written between two turns of the loop."""


@dataclass(frozen=True, slots=True)
class Takes:
    """What one folder takes; see ``config.drops.Drop``.

    Attributes:
        whole: a file with a wrong row is refused whole. ``rate``: rows a second; 0 for no limit.
    """

    rules: RowRules
    limits: Limits
    form: str
    encoding: str
    delimiter: str
    columns: tuple[tuple[str, str], ...]
    time_zone: str
    whole: bool
    rate: int = 0

    def written(self, data: DataName, manifest: Manifest) -> Written:
        """How this file is written. Raises `Refused` when the folder does not take that."""
        declared = manifest.format if manifest.format != "auto" else data.form
        if self.form not in ("auto", data.form) or declared != data.form:
            raise Refused(FileFault.WRONG_FORMAT)
        delimiter = manifest.delimiter if manifest.delimiter != "auto" else self.delimiter
        form = Form(data.form, delimiter, dict(self.columns), self.time_zone)
        return Written(data.packing, manifest.encoding if manifest.encoding != "auto" else self.encoding, form)


@dataclass(frozen=True, slots=True)
class Around:
    """What every course of one folder works with.

    Attributes:
        wall: seconds since 1970.
        gate: called before each run of rows; raises `Stopped` when the service stops or the folder is paused.
        key: random octets of this start.
    """

    folder: Folder
    book: Book
    hands: Hands
    takes: Takes
    acceptor: Acceptor
    wall: Callable[[], float]
    gate: Callable[[], None]
    count: Count
    key: bytes


class Stopped(Exception):
    """The service stops, or the folder is paused: the file stays where it is, and is gone on with."""


class Ended(NamedTuple):
    """How the course of a file ended; ``reason`` is empty when it was taken, else the word of a ``FileFault``."""

    name: str
    reason: str
    rows: int


class _Claimed(NamedTuple):
    manifest: Manifest
    data: DataName
    written: Written
    checker: Checker


class Course:
    """One file's."""

    def __init__(self, around: Around, name: str) -> None:
        self._around = around
        self._name = name
        self._form = "csv"
        self._rows = 0
        rate = around.takes.rate
        self._bucket = RateBucket(rate, around.hands.now()) if rate else None
        self._inspection = Inspection(around.hands, around.takes.limits, around.wall, around.gate, around.key)
        self.step = "checking"

    @property
    def done(self) -> float:
        """How far its check has come, from 0 to 1."""
        return min(1.0, self._inspection.done / self._inspection.of)

    async def run(self, *, fresh: bool) -> Ended:
        """Take the file to its end.

        Args:
            fresh: it was claimed just now.

        Raises:
            Stopped: it did not come to its end, and is gone on with another time.
            OSError, sqlite3.Error: the disk failed; the same.
        """
        try:
            return await self._run(fresh)
        except Refused as refused:
            return await self._refuse([refused.fault], refused.why)
        except _Wrong as wrong:
            return await self._refuse(wrong.faults, FileFault.BAD_ROWS)

    async def _run(self, fresh: bool) -> Ended:
        away, folder, book = self._around.hands.away, self._around.folder, self._around.book
        known = await away(book.file, self._name)
        claimed = await self._read_manifest()
        same = known is not None and known.digest == claimed.manifest.digest
        if known is not None and same and not fresh:
            self._form = known.form
            return await (self._go_on(claimed, known) if known.phase == "taking" else self._put_away(claimed, known))
        first = await away(book.first, claimed.manifest.digest)
        if first:
            raise Refused(FileFault.REPEATED, f"it was taken as {first}")
        if known is not None:
            raise Refused(FileFault.NAME_USED)
        await away(folder.move, str(claimed.data), "in", "work")
        opened = await away(folder.open_file, str(claimed.data))
        try:
            examined = await self._verify(opened, claimed)
            taken = await away(book.begin, self._name, claimed.manifest.digest, claimed.data.form, self._around.wall())
            return await self._take(opened, claimed, examined, taken, begun=False)
        finally:
            os.close(opened)

    async def _read_manifest(self) -> _Claimed:
        raw = await self._around.hands.away(self._around.folder.read_manifest, self._name)
        manifest, data = read_manifest(self._name, raw)
        self._form, self._rows = data.form, manifest.rows
        takes = self._around.takes
        checker = Checker(takes.rules, self._name, manifest.digest)
        return _Claimed(manifest, data, takes.written(data, manifest), checker)

    # ---- checking --------------------------------------------------------------------------------------------------

    async def _verify(self, opened: int, claimed: _Claimed) -> Examined:
        manifest, takes = claimed.manifest, self._around.takes
        if manifest.rows > takes.limits.most_rows:
            raise Refused(FileFault.TOO_MANY_ROWS, f"{takes.limits.most_rows} are the most")
        examined = await self._inspection.look(opened, claimed.written)
        if examined.digest != manifest.digest:
            raise Refused(FileFault.WRONG_SHA256)
        report = await self._inspection.check(opened, claimed.written, examined, claimed.checker, manifest.rows)
        if report.rows != manifest.rows:
            raise Refused(FileFault.WRONG_ROWS, f"it has {report.rows}, the manifest says {manifest.rows}")
        if report.wrong and takes.whole:
            raise _Wrong(report.faults, report.wrong)
        return examined

    # ---- handing in ------------------------------------------------------------------------------------------------

    async def _go_on(self, claimed: _Claimed, taken: TakenFile) -> Ended:
        """Rows of it may have been handed in."""
        away, folder = self._around.hands.away, self._around.folder
        opened = await away(folder.open_file, str(claimed.data))
        try:
            examined = await self._inspection.look(opened, claimed.written)
            if examined.digest != taken.digest:
                raise Refused(FileFault.CHANGED)
            return await self._take(opened, claimed, examined, taken, begun=True)
        except Refused as refused:
            # What was handed in has its answers, and they are told; the rest was not taken.
            return await self._broken(claimed, taken, refused)
        finally:
            os.close(opened)

    async def _take(
        self, opened: int, claimed: _Claimed, examined: Examined, taken: TakenFile, *, begun: bool
    ) -> Ended:
        self.step = "taking"
        around = self._around
        handing = Handing(around.acceptor, around.book, around.hands, around.wall, taken.number, around.count)
        written = claimed.written
        blocks = await around.hands.away(Blocks, opened, written.packing, around.takes.limits, examined.seen)
        rows = Rows(around.hands, blocks, examined.encoding, written.form)
        try:
            while run := await rows.next():
                around.gate()
                if begun:
                    lines = [row.line for row in run]
                    has = await around.hands.away(around.book.answered, taken.number, lines)
                    run = [row for row in run if row.line not in has]
                await self._hand_in_at_rate(run, claimed.checker, handing)
        except Stopped:
            await handing.leave()
            raise
        except Refused as refused:
            await handing.all()
            return await self._broken(claimed, taken, refused)
        await handing.all()
        return await self._put_away(claimed, taken)

    async def _hand_in_at_rate(self, run: Sequence[Line | Fault], checker: Checker, handing: Handing) -> None:
        """No more at once than a second's worth, where the folder has a rate."""
        hands, most = self._around.hands, min(self._around.takes.rate, len(run)) or max(1, len(run))
        for start in range(0, len(run), most):
            rows = run[start : start + most]
            self._around.gate()
            self._hand_in(rows, checker, handing)
            await handing.room()
            await hands.sleep(0.0 if self._bucket is None else self._bucket.take(len(rows), hands.now()))

    def _hand_in(self, run: Sequence[Line | Fault], checker: Checker, handing: Handing) -> None:
        now = self._around.wall()
        good: list[Handed] = []
        bad: list[Fault] = []
        for row in run:
            read = checker.read(row, now) if isinstance(row, Line) else row
            if isinstance(read, Fault):
                bad.append(read)
            else:
                good.append(Handed(row.line, read))
        handing.put(good, bad)

    # ---- writing back ----------------------------------------------------------------------------------------------

    async def _put_away(self, claimed: _Claimed, taken: TakenFile, last: Sequence[ResultRow] = ()) -> Ended:
        """Write the answer to each row, then put the file away."""
        self.step = "writing"
        away, folder, book = self._around.hands.away, self._around.folder, self._around.book
        if taken.phase == "taking":
            file = result_name(self._name, taken.form)
            await write_back(self._around.hands, folder, file, "done", self._pages(taken, last))
            await away(book.turn, taken.number, "taken")
        await away(self._store, "done")
        counts = await away(book.counts, taken.number)
        return Ended(self._name, "", counts.accepted + counts.refused)

    async def _pages(self, taken: TakenFile, last: Sequence[ResultRow]) -> AsyncIterator[bytes]:
        yield results.head(ResultRow, taken.form)
        line = 0
        while page := await self._around.hands.away(self._around.book.results, taken.number, line, PAGE):
            line = page[-1].line
            yield results.render(page, taken.form)
        yield results.render(last, taken.form)

    async def _broken(self, claimed: _Claimed, taken: TakenFile, refused: Refused) -> Ended:
        """Somebody wrote to the file while its rows were handed in: the answers end with a line that says so."""
        ended = await self._put_away(claimed, taken, results.refused_lines([refused.fault]))
        return Ended(self._name, refused.why.word, ended.rows)

    async def _refuse(self, faults: Sequence[Fault], why: FileFault) -> Ended:
        """Nothing of it was taken: say why, and put it aside."""
        hands, file = self._around.hands, result_name(self._name, self._form)
        await write_back(hands, self._around.folder, file, "refused", self._faults(faults))
        await hands.away(self._store, "refused")
        turned = Turned(self._name, self._around.wall(), self._rows, why.word)
        await hands.away(self._around.book.turn_away, turned)
        return Ended(self._name, why.word, 0)

    async def _faults(self, faults: Sequence[Fault]) -> AsyncIterator[bytes]:
        yield results.head(ResultRow, self._form)
        yield results.render(results.refused_lines(faults), self._form)

    def _store(self, place: str) -> None:
        """Put what the job gave away; its manifest last, because it says that there is something to be done."""
        folder = self._around.folder
        for data in candidates(self._name):
            if not folder.put_away(str(data), "work", place) and place == "refused":
                folder.put_away(str(data), "in", place)
        if place == "done":
            # What was wrong with an earlier try must not be taken for an answer to this one.
            for form in ("csv", "ndjson"):
                folder.remove("refused", result_name(self._name, form))
        folder.put_away(f"{self._name}{MANIFEST}", "work", place)


class _Wrong(Exception):
    """Rows are wrong, and the file is taken whole or not at all. ``wrong``: how many; ``faults``: the first of them."""

    def __init__(self, faults: Sequence[Fault], wrong: int) -> None:
        super().__init__(f"{wrong} rows are wrong")
        whole = Fault(0, FileFault.BAD_ROWS.word, "", f"{wrong} rows are wrong, and nothing of the file was taken")
        self.faults = [whole, *faults]
