"""The operator's ledger: one JSON line for everything it took or sent, without plain numbers or texts.

Rows are gathered in memory and written before the answers of the same turn are: what a client was told stands in the
ledger. They are written to the operating system, not synced: the ledger survives the death of any process, this one
included, but not that of the machine.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct


class Submitted(Struct, frozen=True, gc=False, tag_field="kind", tag="submit"):
    """One submit_sm.

    Attributes:
        at: seconds since 1970, when it was read.
        id: the message id as responses write it, also where this one left it out; empty when it was refused.
        status: what was answered; `silent`: nothing was; `nameless`: a good answer without the id.
        bind: which session since the operator's start, from 1; `sequence`: the PDU's.
        umr: user_message_reference, -1 without one.
        to, text: fingerprints of the destination's digits and of the text; of a part, its body and number.
        reference, part, parts: from the user data header, 0 without one.
        validity: as on the wire; `length`: octets of the message, header included.
    """

    at: float
    id: str
    status: int
    silent: bool
    bind: int
    sequence: int
    umr: int
    to: str
    text: str
    reference: int
    part: int
    parts: int
    validity: str
    esm_class: int
    data_coding: int
    length: int
    nameless: bool = False


class Delivered(Struct, frozen=True, gc=False, tag_field="kind", tag="receipt"):
    """One deliver_sm sent: a receipt (`id` as the response wrote it, `state` its word) or an inbound message (`MO`).

    `attempt` counts from 1 how often this very deliver_sm was sent.
    """

    at: float
    id: str
    state: str
    bind: int
    sequence: int
    attempt: int


class Acknowledged(Struct, frozen=True, gc=False, tag_field="kind", tag="acknowledged"):
    """A deliver_sm_resp that said ok: from here on the receipt is the client's to keep."""

    at: float
    id: str
    state: str
    bind: int


class Happened(Struct, frozen=True, gc=False, tag_field="kind", tag="event"):
    """Something about a session: `bound`, `refused`, `lost`, `unbound`, `dropped`."""

    at: float
    bind: int
    event: str
    detail: str = ""


Row = Submitted | Delivered | Acknowledged | Happened


class Ledger:
    """An append-only file of rows. Without a path it keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._rows: list[Row] = []
        self.add = self._rows.append
        self._encoder = msgspec.json.Encoder()
        self._file = -1
        if path is not None:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def flush(self) -> None:
        """Write what was added, whole."""
        if self._file < 0:
            self._rows.clear()
        elif self._rows:
            lines = memoryview(self._encoder.encode_lines(self._rows))
            self._rows.clear()
            while lines:
                lines = lines[os.write(self._file, lines) :]

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read(path: Path, start: int = 0) -> Iterator[Row]:
    """The rows of a ledger from octet `start` on, in order; a last line that was cut by a kill is left out."""
    decoder = msgspec.json.Decoder(Row)
    with path.open("rb") as lines:
        lines.seek(start)
        for line in lines:
            if line.endswith(b"\n"):
                yield decoder.decode(line)
