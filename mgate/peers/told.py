"""The pusher's ledger: one JSON line for every message, with what the daemon said about it."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct


class Told(Struct, frozen=True, gc=False):
    """One message that got an answer, or at the end got none.

    Attributes:
        ref: the pusher's reference; traffic: the class; id: what the daemon calls it, empty without an answer.
        state: as answered; `unanswered` at the end without an answer, `refused` beside an `error`.
        duplicate: the daemon said that it knew it already; tries: how often it was pushed.
        pushed_at, answered_at: first push and answer, seconds since 1970.
        life: seconds; to, texts: fingerprints of the number and of the text or of each part's body.
    """

    ref: str
    traffic: str
    id: str
    state: str
    duplicate: bool
    error: str
    tries: int
    pushed_at: float
    answered_at: float
    life: float
    to: str
    texts: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        """Whether the daemon has taken it upon itself."""
        return self.state not in ("unanswered", "refused")


class ToldLedger:
    """An append-only file of what was told; rows are kept until `flush`."""

    def __init__(self, path: Path | None) -> None:
        self._rows: list[Told] = []
        self._encoder = msgspec.json.Encoder()
        self._file = path.open("ab", buffering=0) if path is not None else None
        self.add = self._rows.append

    def flush(self) -> None:
        """Write what was added, whole."""
        if self._file is not None and self._rows:
            lines = memoryview(self._encoder.encode_lines(self._rows))
            while lines:
                lines = lines[os.write(self._file.fileno(), lines) :]
        self._rows.clear()

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        if self._file is not None:
            self._file.close()


def read(path: Path) -> Iterator[Told]:
    """The rows of a ledger; a last line that was cut is left out."""
    decoder = msgspec.json.Decoder(Told)
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield decoder.decode(line)
