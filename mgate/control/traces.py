"""The admin API's look at what goes over an operator's lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from mgate.control.trace_views import TraceView
from mgate.control.views import ErrorView
from mgate.net.exchange import JSON, Request
from mgate.net.routing import Route
from mgate.telemetry import Event, Log

LONGEST: Final = 3600.0
"""Seconds that a trace may run."""


class Tracer(Protocol):
    """Who traces; one trace a route at a time."""

    def known(self) -> Sequence[tuple[str, int]]:
        """The routes that can be traced, with their count of binds."""

    def start(self, route: str, bind: int | None, to: str, seconds: float) -> TraceView:
        """Begin, in the place of one that runs."""

    def after(self, route: str, n: int) -> TraceView | None:
        """The rows younger than this one; None when nobody has traced this route."""

    def end(self, route: str) -> TraceView | None:
        """End it; its rows are gone."""


class TraceHatch:
    """Answers ``/v1/traces/{route}``: POST begins (``?bind=&to=&seconds=``), GET shows (``?after=``), DELETE ends."""

    def __init__(self, tracer: Tracer, log: Log) -> None:
        self._tracer = tracer
        self._log = log

    def routes(self) -> tuple[Route, ...]:
        """What the admin socket serves of traces."""
        return (
            Route("POST", "/v1/traces/{}", self.begin),
            Route("GET", "/v1/traces/{}", self.show),
            Route("DELETE", "/v1/traces/{}", self.end),
        )

    def begin(self, request: Request) -> None:
        """POST /v1/traces/{route}. Who looked, and at what, is in the log; the number is not."""
        route, known = request.params[0], dict(self._tracer.known())
        bind, seconds = request.query("bind") or "", request.query("seconds") or "600"
        if route not in known:
            _refuse(request, 404, "unknown_bind", "route", f"there is no such route; known: {', '.join(known)}")
        elif bind and not (bind.isascii() and bind.isdecimal() and int(bind) < known[route]):
            _refuse(request, 404, "unknown_bind", "bind", f"there is no such bind; {route} has {known[route]}")
        elif not (seconds.isascii() and seconds.isdecimal() and 1 <= int(seconds) <= LONGEST):
            _refuse(request, 422, "bad_value", "seconds", f"allowed are 1 to {LONGEST:.0f}")
        else:
            to = request.query("to") or ""
            self._log(
                Event.ADMIN_ACT, detail="trace of one number" if to else "trace", route=route, uid=request.peer.uid
            )
            _answer(request, self._tracer.start(route, int(bind) if bind else None, to, float(seconds)))

    def show(self, request: Request) -> None:
        """GET /v1/traces/{route}."""
        after = request.query("after") or "0"
        if not (after.isascii() and after.isdecimal()):
            _refuse(request, 422, "bad_value", "after", "the number of a row")
            return
        self._tell(request, self._tracer.after(request.params[0], int(after)))

    def end(self, request: Request) -> None:
        """DELETE /v1/traces/{route}."""
        self._tell(request, self._tracer.end(request.params[0]))

    def _tell(self, request: Request, view: TraceView | None) -> None:
        if view is None:
            _refuse(request, 404, "no_trace", "route", "nobody traces this route")
        else:
            _answer(request, view)


def _answer(request: Request, view: TraceView) -> None:
    request.reply(200, msgspec.json.encode(view), JSON)


def _refuse(request: Request, status: int, code: str, field: str, detail: str) -> None:
    request.reply(status, msgspec.json.encode(ErrorView(code, field, detail)), JSON)
