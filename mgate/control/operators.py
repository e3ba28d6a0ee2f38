"""The admin API's view of operators."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mgate.control.operator_views import OperatorsView
from mgate.net.exchange import JSON, Request
from mgate.net.routing import Route


class OperatorHatch:
    """Answers ``/v1/operators``. ``view`` says what is known; it is called on the reactor's thread."""

    def __init__(self, view: Callable[[], OperatorsView]) -> None:
        self._view = view

    def routes(self) -> tuple[Route, ...]:
        """What the admin socket serves of operators."""
        return (Route("GET", "/v1/operators", self.operators),)

    def operators(self, request: Request) -> None:
        """GET /v1/operators."""
        request.reply(200, msgspec.json.encode(self._view()), JSON)
