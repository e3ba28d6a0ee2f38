"""The watchers' door: /metrics and /health, and the numbers that are only looked at when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from mgate.channels.smpp.channel import SmppChannel
from mgate.channels.smpp.standing import BindState
from mgate.daemon.board import Board
from mgate.daemon.doors import Doors
from mgate.dispatch.dispatcher import Dispatcher
from mgate.feeds.survey import Survey
from mgate.model.outcome import Accepted, Deferred, Elsewhere, NotWritten, Rejected, Uncertain
from mgate.net.exchange import JSON, Request, header
from mgate.net.routing import Route
from mgate.telemetry import OutcomeWord, Telemetry

_TEXT: Final = header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")

_WORDS: Final[dict[type, OutcomeWord]] = {
    Accepted: "accepted",
    Deferred: "deferred",
    Rejected: "rejected",
    Elsewhere: "elsewhere",
    Uncertain: "uncertain",
    NotWritten: "not_written",
}


class Gauges:
    """Answers Prometheus and whoever asks for health."""

    def __init__(
        self,
        telemetry: Telemetry,
        board: Board,
        dispatcher: Dispatcher,
        accounts: Mapping[str, SmppChannel],
        doors: Doors,
        survey: Survey,
    ) -> None:
        self._telemetry = telemetry
        self._board = board
        self._dispatcher = dispatcher
        self._accounts = accounts
        self._doors = doors
        self._survey = survey

    def routes(self) -> tuple[Route, ...]:
        """What the metrics listener serves."""
        return (Route("GET", "/metrics", self.metrics), Route("GET", "/health", self.health))

    def metrics(self, request: Request) -> None:
        """GET /metrics."""
        self._board.refresh()
        self.collect()
        request.reply(200, self._telemetry.render(), _TEXT)

    def health(self, request: Request) -> None:
        """GET /health."""
        health = self._telemetry.health()
        request.reply(health.status, msgspec.json.encode(health), JSON)

    def collect(self) -> None:
        """Read what the ways and the binds count for themselves."""
        for route, account in self._accounts.items():
            way = self._dispatcher.ways[route]
            for bind, status in zip(account.binds, account.status(), strict=True):
                numbers = self._telemetry.binds[route, bind.index]
                for kind, word in _WORDS.items():
                    numbers.submits[word].n = bind.counts.outcomes[kind]
                numbers.late.n = bind.counts.late
                numbers.throttled.n = bind.counts.throttles
                numbers.connects.n = bind.counts.connects
                numbers.open.n = int(status.state is BindState.BOUND)
                numbers.suspect.n = int(status.suspect)
                numbers.refused.n = bind.counts.refusals.total()
                numbers.in_flight.n = way.slots.used_on(bind.index)
                numbers.window.n = way.slots.window_of(bind.index)
        for client, feeds in self._telemetry.feeds.items():
            feeds.behind.n = self._survey.behind(client)
        self._telemetry.push.connections.n = sum(len(door.connections) for door in self._doors.listeners)
        self._telemetry.push.dropped.n = self._doors.dropped
        self._telemetry.spool.leases.n = sum(way.leased + way.offered for way in self._dispatcher.ways.values())
