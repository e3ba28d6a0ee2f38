"""The operator's ledger while it grows and after: what is counted, what came when."""

import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from mgate.channels.smpp.pdu import ESME_ROK, ESME_RTHROTTLED
from mgate.peers.house import HouseError
from mgate.peers.smsc import ledger

ACKNOWLEDGED: Final = b'{"kind":"acknowledged"'
BOUND: Final = b'"event":"bound"'
NO_PROGRESS: Final = 60.0
_PIECE: Final = 1 << 20
_LOOK: Final = 0.02


class Watch:
    """Counts rows with a mark as they come; `seen` so far. It begins at the ledger's end."""

    def __init__(self, path: Path, mark: bytes) -> None:
        self.seen = 0
        self._path = path
        self._mark = mark
        self._at = path.stat().st_size if path.exists() else 0
        self._rest = b""

    def look(self) -> int:
        """Count what has come; how many in all."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            while piece := file.read(_PIECE):
                self._at += len(piece)
                whole, newline, rest = (self._rest + piece).rpartition(b"\n")
                self.seen += whole.count(self._mark) if newline else 0
                self._rest = rest
        return self.seen

    def wait(self, count: int, alive: Callable[[], None] = lambda: None) -> float:
        """Wait until there are so many; the moment at which they were, monotonic. `alive` may raise meanwhile.

        Raises:
            HouseError: no more came for a minute.
        """
        before, heard = -1, time.monotonic()
        while self.look() < count:
            now = time.monotonic()
            if self.seen != before:
                before, heard = self.seen, now
            elif now - heard > NO_PROGRESS:
                raise HouseError(f"the operator's ledger has {self.seen} of {count} rows with {self._mark!r}, no more")
            alive()
            time.sleep(_LOOK)
        return time.monotonic()


class Story(Struct):
    """What a ledger tells from some octet on. Moments are seconds since 1970, in order.

    Attributes:
        submits: of each submit_sm with a good answer; refused: how many had another; throttled: how many of these
            were ESME_RTHROTTLED.
        first: the first good submit of each text's fingerprint; repeats: good submits of a text that had one.
        acknowledged: of each receipt that was acknowledged; receipts: how many were sent.
        bound: of each bind.
    """

    submits: "array[float]"
    first: dict[str, float]
    acknowledged: "array[float]"
    bound: list[float]
    refused: int = 0
    throttled: int = 0
    repeats: int = 0
    receipts: int = 0


def story(path: Path, start: int = 0) -> Story:
    """Read a ledger from octet `start`, which begins a row."""
    told = Story(array("d"), {}, array("d"), [])
    for row in ledger.read(path, start):
        if isinstance(row, ledger.Submitted):
            _submitted(told, row)
        elif isinstance(row, ledger.Delivered):
            told.receipts += 1
        elif isinstance(row, ledger.Acknowledged):
            told.acknowledged.append(row.at)
        elif row.event == "bound":
            told.bound.append(row.at)
    return told


def _submitted(told: Story, row: ledger.Submitted) -> None:
    if row.status != ESME_ROK:
        told.refused += 1
        told.throttled += row.status == ESME_RTHROTTLED
        return
    told.submits.append(row.at)
    if row.text in told.first:
        told.repeats += 1
    else:
        told.first[row.text] = row.at
