"""The admin API of webhooks: what is asked of the daemon, and its paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from mgate.control.views import ErrorView
from mgate.control.webhook_views import DeadsView, DeadView, ReplayView, WebhooksView, WebhookView
from mgate.net.exchange import JSON, Request, header
from mgate.net.routing import Route
from mgate.telemetry import Event, Log

ACTS: Final = ("pause", "resume", "replay")


class WebhookBoard(Protocol):
    """The running webhooks. Called on the reactor's thread; only for names that `names` holds."""

    def names(self) -> Sequence[str]:
        """Every configured webhook."""

    def views(self, name: str = "") -> tuple[WebhookView, ...]:
        """All of them, or one; from memory."""

    def pause(self, name: str) -> None:
        """Call no more, until it is resumed or mgated restarts."""

    def resume(self, name: str) -> None:
        """Call again, and at once."""

    def dead(self, name: str, answer: Callable[[tuple[DeadView, ...] | None], None]) -> None:
        """What was given up; None when it cannot be read now."""

    def replay(self, name: str, dry_run: bool, answer: Callable[[ReplayView | None], None]) -> None:
        """Begin to call again what was given up; None when the list cannot be read now."""


class WebhookHatch:
    """Answers the paths under ``/v1/webhooks``."""

    def __init__(self, board: WebhookBoard, log: Log) -> None:
        self._board = board
        self._log = log

    def routes(self) -> tuple[Route, ...]:
        """What the admin socket serves of webhooks."""
        return (
            Route("GET", "/v1/webhooks", self.list),
            Route("GET", "/v1/webhooks/{}/dead", self.dead),
            Route("POST", "/v1/webhooks/{}", self.act),
        )

    def list(self, request: Request) -> None:
        """GET /v1/webhooks."""
        _answer(request, WebhooksView(self._board.views()))

    def dead(self, request: Request) -> None:
        """GET /v1/webhooks/{name}/dead."""
        name = request.params[0]
        if self._is_known(request, name):
            self._board.dead(name, lambda dead: _told(request, None if dead is None else DeadsView(name, dead)))

    def act(self, request: Request) -> None:
        """POST /v1/webhooks/{name}:pause, :resume, and :replay with ``?dry_run=1``."""
        name, _, act = request.params[0].rpartition(":")
        if act not in ACTS:
            _fail(request, 404, "unknown_path", f"a webhook takes :{', :'.join(ACTS)}")
            return
        if not self._is_known(request, name):
            return
        dry_run = bool(request.query("dry_run"))
        if not dry_run:
            self._log(Event.ADMIN_ACT, detail=f"webhook {act}", client=name, uid=request.peer.uid)
        if act == "replay" and not dry_run and any(view.state == "paused" for view in self._board.views(name)):
            _fail(request, 409, "paused", f"it is paused, and nothing is called: mgatectl webhook resume {name} first")
        elif act == "replay":
            self._board.replay(name, dry_run, lambda view: _told(request, view))
        else:
            (self._board.pause if act == "pause" else self._board.resume)(name)
            _answer(request, WebhooksView(self._board.views(name)))

    def _is_known(self, request: Request, name: str) -> bool:
        """When it is none, the request is answered here."""
        known = self._board.names()
        if name not in known:
            detail = f"there is no such webhook; known: {', '.join(known) or 'none'}"
            _fail(request, 404, "unknown_webhook", detail)
        return name in known


def _told(request: Request, view: msgspec.Struct | None) -> None:
    if view is None:
        _fail(request, 503, "busy", "the journal cannot be read now; try again")
    else:
        _answer(request, view)


def _answer(request: Request, view: msgspec.Struct) -> None:
    request.reply(200, msgspec.json.encode(view))


def _fail(request: Request, status: int, code: str, detail: str) -> None:
    headers = JSON + header("Retry-After", 1) if status == 503 else JSON
    request.reply(status, msgspec.json.encode(ErrorView(code, "", detail)), headers)
