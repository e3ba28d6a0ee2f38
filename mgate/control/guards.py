"""The admin API of guards: what they refused, what is blocked, and letting it go."""

from __future__ import annotations

from typing import Protocol

import msgspec

from mgate.control.guard_views import GuardsView
from mgate.control.views import ErrorView
from mgate.net.exchange import Request
from mgate.net.routing import Route
from mgate.telemetry import Event, Log


class GuardBoard(Protocol):
    """The running guards. Called on the reactor's thread."""

    def view(self) -> GuardsView:
        """How they stand."""

    def refused_to(self, e164: str) -> GuardsView:
        """The same, with the refusals of one number."""

    def release(self, name: str) -> bool:
        """Block a range no longer; False when it was not blocked."""


class GuardHatch:
    """Answers the paths under ``/v1/guards``."""

    def __init__(self, board: GuardBoard, log: Log) -> None:
        self._board = board
        self._log = log

    def routes(self) -> tuple[Route, ...]:
        """What the admin socket serves of guards."""
        return (
            Route("GET", "/v1/guards", self.show),
            Route("POST", "/v1/guards/ranges/{}", self.release),
        )

    def show(self, request: Request) -> None:
        """GET /v1/guards, with ``?number=`` of one number in E.164."""
        number = request.query("number")
        view = self._board.refused_to(number) if number else self._board.view()
        request.reply(200, msgspec.json.encode(view))

    def release(self, request: Request) -> None:
        """POST /v1/guards/ranges/{range}:release."""
        name, _, act = request.params[0].rpartition(":")
        if act != "release":
            request.reply(404, msgspec.json.encode(ErrorView("unknown_path", "", "a range takes :release")))
        elif self._board.release(name):
            self._log(Event.ADMIN_ACT, detail=f"range {name} released", uid=request.peer.uid)
            request.reply(200, msgspec.json.encode(self._board.view()))
        else:
            request.reply(404, msgspec.json.encode(ErrorView("unknown_range", "", "this range is not blocked")))
