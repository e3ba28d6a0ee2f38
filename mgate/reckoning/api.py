"""The door of reckonings, on the admin socket: ``POST /v1/reckonings/CLIENT/DAY`` and ``GET /v1/public-key``.

The body is lines of JSON: first what is asked, ``{"file": "core.csv", "time_zone": ""}``; then, when there is a file,
its rows, ``["ref", 1790000000000, ""]`` (reference, moment in milliseconds, its last word by the core), and last how
many there were, ``{"rows": 3}``. The answer is lines too: how far it is, ``{"progress": ...}``, then the document as it
will lie in its file, or ``{"error": ...}``.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mgate.model.ports import Refusal
from mgate.model.source import SourceError
from mgate.net.bridge import Bridge
from mgate.net.exchange import JSON, Request, Stream
from mgate.net.routing import AnyRoute, Route, StreamRoute
from mgate.reckoning.clerk import Core, Progress
from mgate.reckoning.office import Asked, Office, Task
from mgate.reckoning.sheet import Line
from mgate.seal.errors import SealError
from mgate.seal.signature import pem
from mgate.telemetry import Event, Log

_BATCH: Final = 500
_AHEAD: Final = 4
"""Batches of rows that wait to be written down; then the body is not read any more."""

_UNREAD: Final = 1 << 20
"""Octets of answer that the other end has not read; then no more are made."""

_LONGEST: Final = 1 << 16
_LOOK_AGAIN: Final = 0.05


class _Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file: str = ""
    time_zone: str = ""


class _Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rows: int


class PublicKey(msgspec.Struct, frozen=True):
    """The answer of ``GET /v1/public-key``: in PEM, as openssl reads it."""

    public_key: str


_read_ask: Final = msgspec.json.Decoder(_Ask).decode
_read_rows: Final = msgspec.json.Decoder(_Rows).decode
_read_line: Final = msgspec.json.Decoder(tuple[str, int, str]).decode


class ReckoningApi:
    """Answers whoever may use the admin socket."""

    def __init__(self, office: Office, bridge: Bridge, log: Log) -> None:
        self._office = office
        self._bridge = bridge
        self._log = log

    def routes(self) -> tuple[AnyRoute, ...]:
        """What it serves."""
        return (
            StreamRoute("POST", "/v1/reckonings/{}/{}", self._open),
            Route("GET", "/v1/public-key", self._public_key),
        )

    def _public_key(self, request: Request) -> None:
        request.reply(200, msgspec.json.encode(PublicKey(pem(self._office.signer.public))))

    def _open(self, stream: Stream) -> _Reckoning:
        return _Reckoning(stream, self._office, self._bridge, self._log)


class _Reckoning:
    """One of them: the sink of its rows, and who hears of it."""

    def __init__(self, stream: Stream, office: Office, bridge: Bridge, log: Log) -> None:
        self._stream = stream
        self._office = office
        self._bridge = bridge
        self._log = log
        self._rest = b""
        self._rows = _FileRows(stream)
        self._running: Deferred[None] | None = None
        self._asked = False
        self._over = False

    # ---- the body --------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """See ``exchange.Sink``."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST:
            self._refuse(Refusal(413, "too_large", "", f"a line has {_LONGEST} octets at most"))
        for line in lines:
            if not self._over:
                self._read(line)

    def end(self) -> None:
        """See ``exchange.Sink``."""
        if self._over:
            return
        if self._rest:
            self._read(self._rest)
        if not self._asked:
            self._ask(_Ask())
        self._rows.end()

    def cut(self, code: str, detail: str) -> None:
        """See ``exchange.Sink``."""
        self._fail(code, detail)

    def gone(self) -> None:
        """See ``exchange.Sink``."""
        self._over = True
        if self._running is not None:
            self._running.cancel()

    def _read(self, line: bytes) -> None:
        try:
            if not self._asked:
                self._ask(_read_ask(line))
            elif line.startswith(b"["):
                self._rows.add(Line(*_read_line(line)))
            else:
                self._rows.told = _read_rows(line).rows
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._refuse(Refusal(422, "bad_json", "", f"a line is not what stands in the API's description: {error}"))

    def _ask(self, ask: _Ask) -> None:
        self._asked = True
        client, day = self._stream.params
        task = self._office.look_at(Asked(client, day, ask.file, ask.time_zone))
        if isinstance(task, Refusal):
            self._refuse(task)
            return
        try:
            core = self._rows if task.file or task.client.core is None else task.client.core()
        except LookupError as error:
            self._refuse(Refusal(422, "no_identity", "client", str(error)))
            return
        self._stream.start(200)
        self._running = self._bridge.run(self._reckon(task, core))
        self._running.addErrback(self._broke)

    # ---- the answer ------------------------------------------------------------------------------------------------

    def progress(self, at: Progress) -> None:
        """See ``office.Listener``."""
        self._stream.write(b'{"progress":%b}\n' % msgspec.json.encode(at._asdict()))

    async def write(self, lines: bytes) -> None:
        """See ``office.Listener``."""
        self._stream.write(lines)
        while self._stream.backlog > _UNREAD:  # noqa: ASYNC110  # a stream tells nobody that it was read
            await asyncio.sleep(_LOOK_AGAIN)

    async def _reckon(self, task: Task, core: Core) -> None:
        try:
            await self._office.reckon(task, core, self)
        except SourceError as error:
            self._failed(task, error.reason, f"the core's database: {error}; {error.todo}")
        except (sqlite3.Error, OSError, SealError) as error:
            self._failed(task, "not_kept", f"the spool's disk: {error}")
        else:
            self._finish()

    def _failed(self, task: Task, reason: str, detail: str) -> None:
        self._log(Event.RECKONING_FAILED, client=task.client.name, reason=reason, detail=f"{task.day}: {detail}")
        self._fail(reason, detail)

    def _broke(self, failure: Failure) -> None:
        """A bug of ours, or the daemon stops, or the client has gone."""
        if not self._over:
            self._log(Event.BUG, error=type(failure.value).__name__, detail=str(failure.value), path="reckoning")
            self._fail("stopped", "it was broken off; ask again, and see mgated's log")

    def _refuse(self, refused: Refusal) -> None:
        if self._running is not None:
            self._fail(refused.code, refused.detail)
            return
        if not self._over:
            said = {"error": refused.code, "field": refused.field, "detail": refused.detail}
            self._stream.start(refused.status, JSON)
            self._stream.write(msgspec.json.encode(said))
            self._finish()

    def _fail(self, code: str, detail: str) -> None:
        if self._over:
            return
        if self._running is None:
            self._refuse(Refusal(400, code, "", detail))
            return
        self._stream.write(msgspec.json.encode({"error": code, "field": "", "detail": detail}) + b"\n")
        self._finish()
        self._running.cancel()

    def _finish(self) -> None:
        self._over = True
        self._stream.finish()


class _FileRows:
    """The rows of a file that somebody sends: a ``Core`` that gives them once.

    Attributes:
        told: how many there were, by who sent them.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._waiting: asyncio.Queue[list[Line] | None] = asyncio.Queue()
        self._batch: list[Line] = []
        self._given = False
        self.told: int | None = None

    def add(self, line: Line) -> None:
        """One more row."""
        self._batch.append(line)
        if len(self._batch) == _BATCH:
            self._waiting.put_nowait(self._batch)
            self._batch = []
            if self._waiting.qsize() >= _AHEAD:
                self._stream.pause()

    def end(self) -> None:
        """There are no more."""
        self._waiting.put_nowait(self._batch)
        self._waiting.put_nowait(None)

    async def close(self) -> None:
        """See ``clerk.Core``."""

    async def rows(self, begin: int, end: int) -> AsyncIterator[Sequence[Line]]:
        """See ``clerk.Core``: all of them, whenever they were written."""
        if self._given:
            return
        self._given = True
        while (batch := await self._waiting.get()) is not None:
            if self._waiting.qsize() < _AHEAD:
                self._stream.resume()
            yield batch
