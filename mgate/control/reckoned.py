"""What mgatectl does with a reckoning: asks for it, shows how far it is, and keeps its signed lines in a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import msgspec

from mgate.control.counts import Written
from mgate.control.results import CannotKeep
from mgate.control.talk import Daemon, Refused, segment
from mgate.control.views import ErrorView
from mgate.policy.reckoning import Sums
from mgate.seal.signature import check_lines, read_pem

KIND: Final = "reckoning 1"
"""What is signed, and the version of its form: as ``reckoning.document`` says."""

SHOWN: Final = 20
"""How many differences are shown on the screen; the file has them all."""

_PROGRESS: Final = b'{"progress":'
_ERROR: Final = b'{"error":'


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a result; ``docs/core-banking.md`` tells its fields."""

    reckoning: int
    instance: str
    client: str
    core: str
    day: str
    time_zone: str
    begin: str
    end: str
    made_at: str
    late_after: int
    balances: bool
    sums: Sums


class Differs(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a result for one thing that differs."""

    differs: str
    ref: str
    message: str = ""
    state: str = ""
    reason: str = ""
    written_at: str = ""
    accepted_at: str = ""
    sent_at: str = ""


class Progress(msgspec.Struct, frozen=True):
    """How far it is."""

    doing: str
    done: int
    of: int


class PublicKey(msgspec.Struct, frozen=True):
    """The instance's public key, in PEM."""

    public_key: str


class _ProgressLine(msgspec.Struct, frozen=True):
    progress: Progress


class Reckoned(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: the first line, the first differences, and where all of it lies."""

    head: Head
    differences: tuple[Differs, ...]
    file: str

    @property
    def gap(self) -> bool:
        """Whether a person must look at it."""
        return self.head.sums.gap


@dataclass(slots=True)
class Errand:
    """One reckoning.

    Attributes:
        day: such as ``2026-07-01``. ``file``: the name of the core's list; empty for none.
        time_zone: what the day is by; empty for the client's own.
        told: hears how far it is.
    """

    client: str
    day: str
    file: str
    time_zone: str
    told: Callable[[Progress], None]
    _found: list[Differs] = field(default_factory=list)

    def run(self, daemon: Daemon, rows: Iterable[Written], out: Path, keep: bool = False) -> Reckoned:
        """Do it, and have the result in its place; ``keep``: beside older ones of its name.

        Raises:
            NotReachable, Refused, CountsError, CannotKeep: nothing was put into the place.
        """
        head: Head | None = None
        with SignedFile(out, keep=keep) as file:
            path = f"/v1/reckonings/{segment(self.client)}/{segment(self.day)}"
            for line in daemon.stream(path, self._body(rows)):
                if line.startswith(_PROGRESS):
                    self.told(msgspec.json.decode(line, type=_ProgressLine).progress)
                elif line.startswith(_ERROR):
                    raise Refused(503, msgspec.json.decode(line, type=ErrorView))
                else:
                    file.write(line)
                    head = self._look_at(line, head)
            if head is None:
                raise CannotKeep(f"{out}: mgated gave no result; see its log")
            file.check(public_key(daemon))
        return Reckoned(head=head, differences=tuple(self._found), file=str(file.path))

    def _look_at(self, line: bytes, head: Head | None) -> Head:
        if head is None:
            return msgspec.json.decode(line, type=Head)
        if len(self._found) < SHOWN and line.startswith(b'{"differs":'):
            self._found.append(msgspec.json.decode(line, type=Differs))
        return head

    def _body(self, rows: Iterable[Written]) -> Iterator[bytes]:
        encode = msgspec.json.Encoder().encode
        yield encode({"file": self.file, "time_zone": self.time_zone})
        if not self.file:
            return
        number = 0
        for number, row in enumerate(rows, 1):  # noqa: B007  # told at the end
            yield encode(row)
        yield encode({"rows": number})


def public_key(daemon: Daemon) -> bytes:
    """The public key of the instance that runs."""
    return read_pem(daemon.get("/v1/public-key", PublicKey).public_key)


def check_file(path: Path, public: bytes) -> Head:
    """See that a result is as the instance with this key signed it; its first line.

    Raises:
        mgate.seal.signature.NotSigned: it is not.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        check_lines(KIND, file, public)
        file.seek(0)
        return msgspec.json.decode(file.readline(), type=Head)


class SignedFile:
    """A result that is there whole or not at all: written beside its place, looked at, then renamed into it.

    Takes the place of an older result of the same name, or, with ``keep``, leaves that one where it is and is called
    ``NAME.2.ndjson``, then ``.3``. Errors: `CannotKeep`. ``option``: where its place is said.

    Attributes:
        path: its place; which one it is, is certain when it is there.
    """

    def __init__(self, path: Path, option: str = "--result", keep: bool = False) -> None:
        self.path = path
        self._option = option
        self._keep = keep

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        except OSError as error:
            why = f"the result cannot be written there: {error.strerror}"
            raise CannotKeep(f"{self.path}: {why}; name another place with {self._option}") from error
        self._beside = Path(name)
        self._file = os.fdopen(handle, "w+b")
        return self

    def write(self, line: bytes) -> None:
        """One more line, without its end."""
        self._file.write(line + b"\n")

    def check(self, public: bytes) -> None:
        """See that what was written is what was signed."""
        self._file.seek(0)
        check_lines(KIND, self._file, public)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self._file as file:
            if error is None:
                file.flush()
                os.fsync(file.fileno())
        if error is None:
            self._beside.chmod(0o640)
            if self._keep:
                self.path = _taken(self.path)
            self._beside.replace(self.path)
        else:
            self._beside.unlink()


def _taken(path: Path) -> Path:
    """The first of ``NAME.ndjson``, ``NAME.2.ndjson``, ... that is free, and is not any more: two may run at once."""
    number, place = 1, path
    while True:
        try:
            place.touch(mode=0o640, exist_ok=False)
        except FileExistsError:
            number += 1
            place = path.with_name(f"{path.stem}.{number}{path.suffix}")
        else:
            return place
