"""The admin API of routes: where messages would go, and why. Nothing is sent by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from mgate.control.route_views import RouteAnswer, RouteAnswers, RouteAsked, RoutesAsked
from mgate.control.views import ErrorView
from mgate.net.exchange import JSON, Request
from mgate.net.routing import Route

MOST: Final = 500
"""Messages in one request, which hold the loop for some milliseconds."""


class RouteBoard(Protocol):
    """The running router. Called on the reactor's thread."""

    def clients(self) -> Sequence[str]:
        """Every client."""

    def explain(self, client: str, asked: Sequence[RouteAsked]) -> Sequence[RouteAnswer]:
        """Where such messages of a client would go now; an answer for each."""


class RouteHatch:
    """Answers the paths under ``/v1/routes``."""

    def __init__(self, board: RouteBoard) -> None:
        self._board = board

    def routes(self) -> tuple[Route, ...]:
        """What the admin socket serves of routes."""
        return (Route("POST", "/v1/routes:explain", self.explain),)

    def explain(self, request: Request) -> None:
        """POST /v1/routes:explain."""
        try:
            asked = msgspec.json.decode(request.body, type=RoutesAsked)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            _fail(request, 422, "bad_value", "", str(error))
            return
        if len(asked.messages) > MOST:
            _fail(request, 413, "too_many", "messages", f"{MOST} are the most")
        elif asked.client not in (known := self._board.clients()):
            _fail(request, 404, "unknown_client", "client", f"there is no such client; known: {', '.join(known)}")
        else:
            answers = RouteAnswers(tuple(self._board.explain(asked.client, asked.messages)))
            request.reply(200, msgspec.json.encode(answers), JSON)


def _fail(request: Request, status: int, code: str, field: str, detail: str) -> None:
    request.reply(status, msgspec.json.encode(ErrorView(code, field, detail)), JSON)
