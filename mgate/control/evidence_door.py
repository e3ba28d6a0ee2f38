"""The admin API of evidence: ``GET /v1/messages/{id}/evidence``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from mgate.control.evidence import EvidenceView, Witness, document
from mgate.control.views import ErrorView
from mgate.model.message import read_id
from mgate.model.ports import Desk, NoAnswer
from mgate.model.view import MessageView
from mgate.net.exchange import JSON, Request, header
from mgate.net.routing import Route
from mgate.seal.signature import Signer
from mgate.telemetry import Event, Log


class EvidenceHatch:
    """Answers whoever may use the admin socket; every document that was handed out is logged.

    Args:
        wall: seconds since 1970.
    """

    def __init__(self, desk: Desk, signer: Signer, witness: Witness, wall: Callable[[], float], log: Log) -> None:
        self._desk = desk
        self._signer = signer
        self._witness = witness
        self._wall = wall
        self._log = log

    def routes(self) -> tuple[Route, ...]:
        """What it serves."""
        return (Route("GET", "/v1/messages/{}/evidence", self.evidence),)

    def evidence(self, request: Request) -> None:
        """GET /v1/messages/{id}/evidence."""
        message = read_id(request.params[0])
        if message is None:
            _refuse(request, 422, "bad_value", "an id is the letter m and 13 letters and digits")
            return

        def answer(view: MessageView | NoAnswer | None) -> None:
            if view is None:
                _refuse(request, 404, "unknown_message", "there is no such message, or its retention has ended")
            elif isinstance(view, NoAnswer):
                _refuse(request, 503, "busy", "the spool cannot answer now; try again", header("Retry-After", 5))
            else:
                self._log(Event.ADMIN_ACT, message=message, uid=request.peer.uid, detail="evidence")
                lines = document(view, self._witness, _moment(self._wall()), self._signer)
                request.reply(200, msgspec.json.encode(EvidenceView(lines)))

        self._desk.show("", message, answer)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _refuse(request: Request, status: int, code: str, detail: str, headers: bytes = b"") -> None:
    request.reply(status, msgspec.json.encode(ErrorView(code, "id", detail)), JSON + headers)
