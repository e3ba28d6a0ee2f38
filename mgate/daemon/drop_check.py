"""A file that somebody wants to have checked: streamed in, read by a folder's rules, and forgotten.

It lies in a file without a name while it is read, so that no copy of it is left whatever happens. Nothing of it is
taken, and what is told of its rows is masked.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from twisted.internet.defer import ensureDeferred

from mgate.control.drop_views import CheckedView, FaultView, SampleView
from mgate.intake.drops.access import writers
from mgate.intake.drops.course import Stopped, Takes
from mgate.intake.drops.faults import Fault, FileFault, Refused
from mgate.intake.drops.hands import Hands
from mgate.intake.drops.manifest import Manifest
from mgate.intake.drops.names import DataName, candidates
from mgate.intake.drops.reader import Inspection
from mgate.intake.drops.rules import Checker
from mgate.model.entry import Submission
from mgate.net.exchange import Stream
from mgate.policy.segments import count

SAMPLE: Final = 10
_TOLD_EACH: Final = 0.5
_ENCODE: Final = msgspec.json.Encoder().encode


class Check:
    """One check: a ``Sink``.

    Args:
        file: its name, which tells format and packing.
        scratch: a folder on a disk that may hold it.
        failed: hears of a mistake of ours.
    """

    def __init__(
        self,
        stream: Stream,
        file: str,
        takes: Takes,
        scratch: Path,
        hands: Hands,
        wall: Callable[[], float],
        seconds: Callable[[], float],
        failed: Callable[[Exception], None],
    ) -> None:
        self._stream = stream
        self._file = file
        self._takes = takes
        self._scratch = scratch
        self._hands = hands
        self._wall = wall
        self._seconds = seconds
        self._failed = failed
        self._held: list[bytes] = []
        self._writing = False
        self._complete = False
        self._gone = False
        self._size = 0
        self._told = 0.0
        self._inspection = Inspection(hands, takes.limits, wall, self._gate, os.urandom(16))
        self._kept: int | None = None
        stream.start(200)

    # ---- the body --------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Some octets of the file."""
        self._held.append(data)
        self._stream.pause()
        self._go_on()

    def end(self) -> None:
        """The file is complete."""
        self._complete = True
        self._go_on()

    def cut(self, code: str, detail: str) -> None:
        """It broke off."""
        self._gone = True
        self._stream.finish()
        self._go_on()

    def gone(self) -> None:
        """Nobody waits for the answer."""
        self._gone = True
        self._go_on()

    def _go_on(self) -> None:
        if not self._writing:
            self._writing = True
            ensureDeferred(self._work())

    async def _work(self) -> None:
        try:
            await self._take_in()
        except (OSError, Stopped) as error:
            self._last(CheckedView(True, 1.0, faults=(FaultView(0, "not_kept", "", str(error)),)))
            self._gone = True
        except Exception as error:  # noqa: BLE001  # a mistake of ours: said in the log, and the client is let go
            self._failed(error)
            self._last(CheckedView(True, 1.0, faults=(FaultView(0, "bug", "", "see the log of mgated"),)))
            self._gone = True
        finally:
            self._writing = False
            if self._gone and self._kept is not None:
                os.close(self._kept)
                self._kept = None

    async def _take_in(self) -> None:
        if self._kept is None and not self._gone:
            self._kept = await self._hands.away(_scratch_file, self._scratch)
        while self._held and not self._gone:
            held, self._held = b"".join(self._held), []
            self._size += len(held)
            if self._size <= self._takes.limits.most_bytes:
                await self._hands.away(_write, self._kept or 0, held)
        if self._complete and not self._gone:
            self._last(await self._checked())
            self._gone = True
        elif not self._gone:
            self._stream.resume()

    # ---- the check -------------------------------------------------------------------------------------------------

    async def _checked(self) -> CheckedView:
        view = CheckedView(True, 1.0)
        try:
            if self._size > self._takes.limits.most_bytes:
                raise Refused(FileFault.TOO_LARGE, f"{self._takes.limits.most_bytes} bytes are the most")
            written = self._takes.written(_data_of(self._file), Manifest(file=self._file, rows=0, sha256="0" * 64))
            kept = self._kept or 0
            examined = await self._inspection.look(kept, written)
            view = msgspec.structs.replace(view, encoding=examined.encoding, digest=examined.digest)
            checker = Checker(self._takes.rules, _data_of(self._file).name, examined.digest)
            most = self._takes.limits.most_rows
            report = await self._inspection.check(kept, written, examined, checker, most, SAMPLE)
        except Refused as refused:
            return msgspec.structs.replace(view, faults=(_fault(refused.fault),))
        return msgspec.structs.replace(
            view,
            rows=report.rows,
            wrong=report.wrong,
            taken=not (report.wrong and self._takes.whole),
            writers=writers(self._scratch.parent),
            faults=tuple(map(_fault, report.faults)),
            sample=tuple(_sample(line, submission) for line, submission in report.sample),
        )

    def _gate(self) -> None:
        if self._gone:
            raise Stopped("nobody waits for the answer")
        now = self._seconds()
        if now - self._told >= _TOLD_EACH:
            self._told = now
            done = min(1.0, self._inspection.done / self._inspection.of)
            self._stream.write(_ENCODE(CheckedView(False, round(done, 3))) + b"\n")

    def _last(self, view: CheckedView) -> None:
        if not self._gone:
            self._stream.write(_ENCODE(view) + b"\n")
            self._stream.finish()


def _data_of(file: str) -> DataName:
    """What the file's name says; a file of another name is looked at as if it were ``check`` with the same ending."""
    for each in candidates("check"):
        ending = str(each).removeprefix("check")
        if file.lower().endswith(ending):
            return DataName("check", each.form, each.packing)
    raise Refused(FileFault.BAD_NAME)


def _scratch_file(folder: Path) -> int:
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.dup(file.fileno())


def _write(file: int, octets: bytes) -> None:
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(file, rest) :]


def _fault(fault: Fault) -> FaultView:
    return FaultView(*fault)


def _sample(line: int, read: Submission) -> SampleView:
    text = read.text.reveal()
    return SampleView(line, read.ref, read.to.mask(), read.traffic.word, read.sender, len(text), count(text))
