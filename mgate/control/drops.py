"""The admin API of the folders of files: what is asked of the daemon, and its paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from mgate.control.drop_views import DropsView, DropView
from mgate.control.views import ErrorView
from mgate.net.exchange import Request, Sink, Stream
from mgate.net.routing import AnyRoute, Route, StreamRoute
from mgate.telemetry import Event, Log

ACTS: Final = ("pause", "resume")


class DropBoard(Protocol):
    """The running folders. Called on the reactor's thread; only for names that `names` holds."""

    def names(self) -> Sequence[str]:
        """Every configured folder."""

    def views(self, answer: Callable[[Sequence[DropView]], None]) -> None:
        """All of them."""

    def turn(self, name: str, paused: bool) -> None:
        """Claim nothing and hand nothing in while it is paused, until it is resumed or mgated restarts."""

    def check(self, name: str, file: str, stream: Stream) -> Sink:
        """Read a file that is streamed as the folder would, and take nothing of it; see `CheckedView`."""


class DropHatch:
    """Answers the paths under ``/v1/drops``."""

    def __init__(self, board: DropBoard, log: Log) -> None:
        self._board = board
        self._log = log

    def routes(self) -> tuple[AnyRoute, ...]:
        """Every path."""
        return (
            Route("GET", "/v1/drops", self.list),
            Route("POST", "/v1/drops/{}", self.act),
            StreamRoute("POST", "/v1/drops/{}/check/{}", self.check),
        )

    def list(self, request: Request) -> None:
        """GET /v1/drops."""
        self._board.views(lambda views: request.reply(200, msgspec.json.encode(DropsView(tuple(views)))))

    def act(self, request: Request) -> None:
        """POST /v1/drops/{name}:pause and :resume."""
        name, _, act = request.params[0].rpartition(":")
        if act not in ACTS:
            _refuse(request, "unknown_path", "", "a folder takes :pause and :resume")
        elif name not in self._board.names():
            _refuse(request, "unknown_drop", "name", self._unknown())
        else:
            self._board.turn(name, act == "pause")
            self._log(Event.ADMIN_ACT, detail=act, client=name, uid=request.peer.uid)
            self.list(request)

    def check(self, stream: Stream) -> Sink:
        """POST /v1/drops/{name}/check/{file}: the file's octets in, lines of `CheckedView` out."""
        name, file = stream.params
        if name in self._board.names():
            return self._board.check(name, file, stream)
        stream.start(404)
        stream.write(msgspec.json.encode(ErrorView("unknown_drop", "name", self._unknown())))
        stream.finish()
        return Turned()

    def _unknown(self) -> str:
        return f"there is no such folder; known: {', '.join(self._board.names()) or 'none'}"


class Turned:
    """The sink of a body that was turned away: it reads nothing."""

    def receive(self, data: bytes) -> None:
        """Nothing is taken."""

    def end(self) -> None:
        """It has been answered."""

    def cut(self, code: str, detail: str) -> None:
        """It has been answered."""

    def gone(self) -> None:
        """It has been answered."""


def _refuse(request: Request, code: str, field: str, detail: str) -> None:
    request.reply(404, msgspec.json.encode(ErrorView(code, field, detail)))
