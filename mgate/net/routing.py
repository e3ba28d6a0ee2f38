"""Routes: which responder answers which method and path. Built once, by whoever knows the responders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mgate.net.exchange import Opener, Responder, decoded

LARGEST_BODY: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Route:
    """A request with its whole body goes to ``answer``.

    Attributes:
        path: such as ``/v1/messages/{}``; each ``{}`` is one segment, given as ``Request.params``.
        largest: octets of body; more is answered 413.
    """

    method: str
    path: str
    answer: Responder
    largest: int = LARGEST_BODY


@dataclass(frozen=True, slots=True)
class StreamRoute:
    """A request with a streamed body goes to the sink that ``open`` gives."""

    method: str
    path: str
    open: Opener


AnyRoute = Route | StreamRoute


@dataclass(frozen=True, slots=True)
class Found:
    """The route, and what stood at its ``{}``."""

    route: AnyRoute
    params: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """The path is known, the method is not; ``allow`` is the value of the ``Allow`` header."""

    allow: str


class Routes:
    """All routes of one listener."""

    def __init__(self, routes: Sequence[AnyRoute]) -> None:
        self._exact: dict[bytes, dict[bytes, Found]] = {}
        self._patterns: list[tuple[tuple[bytes, ...], dict[bytes, Found]]] = []
        for route in routes:
            self._table(route.path)[route.method.encode("ascii")] = Found(route)

    def find(self, method: bytes, path: bytes) -> Found | NotAllowed | None:
        """The route of a request; None when nothing has that path. HEAD finds what GET would."""
        table = self._exact.get(path)
        if table is not None:
            return _method(table, method, ())
        segments = path.split(b"/")
        for pattern, table in self._patterns:
            params = _match(pattern, segments)
            if params is not None:
                return _method(table, method, params)
        return None

    def _table(self, path: str) -> dict[bytes, Found]:
        plain = path.encode("ascii")
        if b"{}" not in plain:
            return self._exact.setdefault(plain, {})
        pattern = tuple(plain.split(b"/"))
        for known, table in self._patterns:
            if known == pattern:
                return table
        self._patterns.append((pattern, {}))
        return self._patterns[-1][1]


def _match(pattern: tuple[bytes, ...], segments: list[bytes]) -> tuple[str, ...] | None:
    if len(pattern) != len(segments):
        return None
    params = []
    for wanted, segment in zip(pattern, segments, strict=True):
        if wanted == b"{}":
            param = decoded(segment)
            if not param:
                return None
            params.append(param)
        elif wanted != segment:
            return None
    return tuple(params)


def _method(table: dict[bytes, Found], method: bytes, params: tuple[str, ...]) -> Found | NotAllowed:
    found = table.get(method)
    if found is None and method == b"HEAD":
        found = table.get(b"GET")
    if found is None:
        allow = sorted(known.decode() for known in table)
        return NotAllowed(", ".join([*allow, "HEAD"] if "GET" in allow else allow))
    return Found(found.route, params) if params else found
