"""The admin API: responders for the admin socket. Who may write to it is an administrator and sees all clients.

``daemon.wiring`` puts `Hatch.routes` beside the ``POST`` routes of the push room; pushes there count as ``local``.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from mgate.config import changed, settings
from mgate.control.board import Board, Reload
from mgate.control.views import (
    BindsView,
    BindView,
    Cancelled,
    ConfigView,
    ErrorView,
    FeedsView,
    FeedView,
    MessagesView,
    QueueRow,
    QueueView,
    VersionView,
)
from mgate.model.address import AddressError, Msisdn
from mgate.model.message import MessageId, read_id
from mgate.model.ports import Desk, NoAnswer
from mgate.model.view import MessageView
from mgate.net.exchange import JSON, Request, header
from mgate.net.routing import Route
from mgate.telemetry import Event, Log

NEWEST: Final = 100
"""How many messages to one number are shown at most, the newest."""

_ADMIN: Final = ""
_CANNOT_CANCEL: Final = {
    "leaving": "a try is being made at this moment; ask again in some seconds",
    "left": "the operator has taken it",
    "may_have_left": "it may have been sent; it will not be tried again",
    "ended": "it has ended already; mgatectl message show tells how",
}
_ACTS: Final = ("pause", "resume")


class Hatch:
    """Answers the admin socket's own paths."""

    def __init__(self, board: Board, desk: Desk, reload: Reload, version: str, log: Log) -> None:
        self._board = board
        self._desk = desk
        self._reload = reload
        self._version = version
        self._log = log

    def routes(self) -> tuple[Route, ...]:
        """Every path of the admin API, except the pushes, which are the push room's."""
        return (
            Route("GET", "/v1/status", self.status),
            Route("GET", "/v1/queue", self.queue),
            Route("GET", "/v1/feeds", self.feeds),
            Route("GET", "/v1/binds", self.binds),
            Route("POST", "/v1/binds/{}", self.switch_route),
            Route("POST", "/v1/binds/{}/{}", self.switch_bind),
            Route("GET", "/v1/messages", self.find),
            Route("GET", "/v1/messages/{}", self.show),
            Route("DELETE", "/v1/messages/{}", self.cancel),
            Route("GET", "/v1/config", self.config),
            Route("POST", "/v1/reload", self.reload),
            Route("GET", "/v1/version", self.version),
        )

    def status(self, request: Request) -> None:
        """GET /v1/status."""
        _answer(request, 200, self._board.status())

    def version(self, request: Request) -> None:
        """GET /v1/version."""
        _answer(request, 200, VersionView(self._version, platform.python_version()))

    def config(self, request: Request) -> None:
        """GET /v1/config, and ``?changed=1``: by which the daemon runs."""
        show = changed if request.query("changed") else settings
        config = self._reload.config
        _answer(request, 200, ConfigView(str(config.file), tuple(show(config))))

    def reload(self, request: Request) -> None:
        """POST /v1/reload, and ``?dry_run=1``. A file with mistakes fails no request: the answer names them."""
        dry_run = bool(request.query("dry_run"))
        if not dry_run:
            self._log(Event.ADMIN_ACT, detail="reload", uid=request.peer.uid)
        _answer(request, 200, self._reload.reload(dry_run))

    def queue(self, request: Request) -> None:
        """GET /v1/queue."""

        def answer(rows: Sequence[QueueRow]) -> None:
            _answer(request, 200, QueueView(tuple(rows)))

        self._board.queue(answer)

    def feeds(self, request: Request) -> None:
        """GET /v1/feeds."""

        def answer(feeds: Sequence[FeedView]) -> None:
            _answer(request, 200, FeedsView(tuple(feeds)))

        self._board.feeds(answer)

    # ---- binds ----

    def binds(self, request: Request) -> None:
        """GET /v1/binds."""
        _answer(request, 200, BindsView(tuple(self._board.binds())))

    def switch_route(self, request: Request) -> None:
        """POST /v1/binds/{route}:pause and :resume, for all binds of a route."""
        route, _, act = request.params[0].rpartition(":")
        self._switch(request, route, "", act)

    def switch_bind(self, request: Request) -> None:
        """POST /v1/binds/{route}/{bind}:pause and :resume."""
        bind, _, act = request.params[1].rpartition(":")
        self._switch(request, request.params[0], bind, act)

    def _switch(self, request: Request, route: str, bind: str, act: str) -> None:
        if act not in _ACTS:
            _refuse(request, 404, "unknown_path", "", "a bind takes :pause and :resume")
            return
        meant = self._meant(route, bind)
        if not meant:
            known = ", ".join(sorted(f"{each.route}/{each.bind}" for each in self._board.binds()))
            _refuse(request, 404, "unknown_bind", "bind" if bind else "route", f"there is no such bind; known: {known}")
            return
        turn = self._board.pause if act == "pause" else self._board.resume
        turn(route, meant[0].bind if bind else None)
        self._log(Event.ADMIN_ACT, detail=act, route=route, uid=request.peer.uid, count=len(meant))
        _answer(request, 200, BindsView(self._meant(route, bind)))

    def _meant(self, route: str, bind: str) -> tuple[BindView, ...]:
        return tuple(each for each in self._board.binds() if each.route == route and bind in {"", str(each.bind)})

    # ---- messages ----

    def show(self, request: Request) -> None:
        """GET /v1/messages/{id}."""
        message = _message(request)
        if message is None:
            return

        def answer(view: MessageView | NoAnswer | None) -> None:
            if view is None:
                _no_message(request)
            elif isinstance(view, NoAnswer):
                _busy(request)
            else:
                _answer(request, 200, view)

        self._desk.show(_ADMIN, message, answer)

    def find(self, request: Request) -> None:
        """GET /v1/messages?ref= or ?number=, each with ?client= if only one client's are wanted."""
        ref, number = request.query("ref"), request.query("number")
        client = request.query("client") or ""

        def answer(views: Sequence[MessageView] | NoAnswer) -> None:
            if isinstance(views, NoAnswer):
                _busy(request)
                return
            wanted = tuple(view for view in views if client in {"", view.client})
            _answer(request, 200, MessagesView(wanted))

        if ref and not number:
            self._desk.by_ref(_ADMIN, ref, answer)
        elif number and not ref:
            self._by_number(request, number, answer)
        else:
            code = "contradiction" if ref else "missing"
            _refuse(request, 422, code, "ref", "ask for ?ref= or ?number=, one of them")

    def _by_number(
        self, request: Request, number: str, answer: Callable[[Sequence[MessageView] | NoAnswer], None]
    ) -> None:
        try:
            wanted = Msisdn.parse(number)
        except AddressError as error:
            _refuse(request, 422, "not_a_number", "number", str(error))
            return
        limit = request.query("limit") or ""
        most = min(int(limit), NEWEST) if limit.isascii() and limit.isdigit() and int(limit[:4]) else NEWEST
        self._desk.by_number(wanted.e164, most, answer)

    def cancel(self, request: Request) -> None:
        """DELETE /v1/messages/{id}."""
        message = _message(request)
        if message is None:
            return

        def answer(word: str) -> None:
            if word == "cancelled":
                self._log(Event.MESSAGE_CANCELLED, message=message, uid=request.peer.uid)
                _answer(request, 200, Cancelled(request.params[0].lower(), word))
            elif word in _CANNOT_CANCEL:
                _refuse(request, 409, word, "", _CANNOT_CANCEL[word])
            elif word == "busy":
                _busy(request)
            else:
                _no_message(request)

        self._desk.cancel(_ADMIN, message, answer)


def _message(request: Request) -> MessageId | None:
    """The id in the path; when it is none, the request is answered here."""
    message = read_id(request.params[0])
    if message is None:
        _refuse(request, 422, "bad_value", "id", "an id is the letter m and 13 letters and digits")
    return message


def _busy(request: Request) -> None:
    _refuse(request, 503, "busy", "", "the spool cannot answer now; try again", header("Retry-After", 5))


def _no_message(request: Request) -> None:
    _refuse(request, 404, "unknown_message", "id", "there is no such message, or its retention has ended")


def _answer(request: Request, status: int, view: msgspec.Struct) -> None:
    request.reply(status, msgspec.json.encode(view))


def _refuse(request: Request, status: int, code: str, field: str, detail: str, headers: bytes = b"") -> None:
    request.reply(status, msgspec.json.encode(ErrorView(code, field, detail)), JSON + headers)
