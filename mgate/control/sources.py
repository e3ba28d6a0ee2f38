"""The admin API of the databases that messages are taken from: what is asked of the daemon, and its paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from mgate.control.source_views import (
    CalledView,
    CallWish,
    CheckView,
    LagView,
    RewindWish,
    RewoundView,
    SourcesView,
    SourceView,
    UnreadView,
)
from mgate.control.views import ErrorView
from mgate.net.exchange import JSON, Request, header
from mgate.net.routing import Route
from mgate.telemetry import Event, Log


class Failed(msgspec.Struct, frozen=True):
    """It could not be done: the HTTP status, a word, and a sentence."""

    status: int
    code: str
    detail: str


_T = TypeVar("_T")
_W = TypeVar("_W", bound=msgspec.Struct)
Answer = Callable[[_T | Failed], None]


class SourceBoard(Protocol):
    """The running sources. Called on the reactor's thread; only for names that `names` holds."""

    def names(self) -> Sequence[str]:
        """Every configured source."""

    def views(self, name: str = "") -> tuple[SourceView, ...]:
        """All of them, or one; from memory."""

    def look(self, answer: Answer[SourcesView]) -> None:
        """All of them, and how many rows wait, asked of the databases now; of one that is slow, from memory."""

    def pause(self, name: str) -> None:
        """Claim nothing more, until it is resumed or mgated restarts."""

    def resume(self, name: str) -> None:
        """Claim again."""

    def unread(self, name: str) -> UnreadView:
        """The rows whose numbers could not be read."""

    def check(self, name: str, answer: Answer[CheckView]) -> None:
        """Look at everything, whether it could be reached or not."""

    def measure(self, name: str, answer: Answer[LagView]) -> None:
        """How far it is behind, asked of the database now."""

    def rewind(self, name: str, since: float, dry_run: bool, answer: Answer[RewoundView]) -> None:
        """Claim again what was written since then and has no final result."""

    def call(self, name: str, call: str, arguments: Mapping[str, object], answer: Answer[CalledView]) -> None:
        """Make a configured call to the core."""


ACTS: Final = ("pause", "resume", "check", "lag", "rewind", "call")


class SourceHatch:
    """Answers the paths under ``/v1/sources``."""

    def __init__(self, board: SourceBoard, log: Log) -> None:
        self._board = board
        self._log = log

    def routes(self) -> tuple[Route, ...]:
        """What the admin socket serves of sources."""
        return (
            Route("GET", "/v1/sources", self.list),
            Route("GET", "/v1/sources/{}/unread", self.unread),
            Route("POST", "/v1/sources/{}", self.act),
        )

    def list(self, request: Request) -> None:
        """GET /v1/sources."""
        self._board.look(lambda view: _told(request, view))

    def unread(self, request: Request) -> None:
        """GET /v1/sources/{name}/unread."""
        name = request.params[0]
        if self._is_known(request, name):
            _answer(request, self._board.unread(name))

    def act(self, request: Request) -> None:
        """POST /v1/sources/{name}:pause, :resume, :check, :lag, :rewind and :call."""
        name, _, act = request.params[0].rpartition(":")
        if act not in ACTS:
            _fail(request, Failed(404, "unknown_path", f"a source takes :{', :'.join(ACTS)}"))
            return
        if not self._is_known(request, name):
            return
        match act:
            case "check":
                self._board.check(name, lambda view: _told(request, view))
            case "lag":
                self._board.measure(name, lambda view: _told(request, view))
            case "rewind":
                self._rewind(request, name)
            case "call":
                self._call(request, name)
            case _:
                self._switch(request, name, act)

    def _switch(self, request: Request, name: str, act: str) -> None:
        (self._board.pause if act == "pause" else self._board.resume)(name)
        self._log(Event.ADMIN_ACT, detail=act, client=name, uid=request.peer.uid)
        _answer(request, SourcesView(self._board.views(name)))

    def _rewind(self, request: Request, name: str) -> None:
        wish = _wish(request, RewindWish)
        if wish is not None:
            if not wish.dry_run:
                self._log(Event.ADMIN_ACT, detail="rewind", client=name, uid=request.peer.uid)
            self._board.rewind(name, wish.since, wish.dry_run, lambda view: _told(request, view))

    def _call(self, request: Request, name: str) -> None:
        wish = _wish(request, CallWish)
        if wish is not None:
            self._log(Event.ADMIN_ACT, detail=f"call {wish.call}", client=name, uid=request.peer.uid)
            self._board.call(name, wish.call, wish.arguments, lambda view: _told(request, view))

    def _is_known(self, request: Request, name: str) -> bool:
        """When it is none, the request is answered here."""
        known = self._board.names()
        if name not in known:
            detail = f"there is no such source; known: {', '.join(known) or 'none'}"
            _fail(request, Failed(404, "unknown_source", detail))
        return name in known


def _wish(request: Request, kind: type[_W]) -> _W | None:
    """The body; when it is none, the request is answered here."""
    try:
        return msgspec.json.decode(request.body, type=kind)
    except msgspec.DecodeError as error:
        _fail(request, Failed(422, "bad_json", str(error)))
        return None


def _told(request: Request, view: msgspec.Struct) -> None:
    if isinstance(view, Failed):
        _fail(request, view)
    else:
        _answer(request, view)


def _answer(request: Request, view: msgspec.Struct) -> None:
    # A column may be of any type of the bank's; what JSON has no form for is shown as it calls itself.
    request.reply(200, msgspec.json.encode(view, enc_hook=str))


def _fail(request: Request, failed: Failed) -> None:
    headers = JSON + header("Retry-After", 5) if failed.status == 503 else JSON
    request.reply(failed.status, msgspec.json.encode(ErrorView(failed.code, "", failed.detail)), headers)
