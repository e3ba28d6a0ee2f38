"""The board: the daemon's own facts for the admin API and the metrics, kept in memory and refreshed when asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from mgate.channels.smpp.channel import SmppChannel
from mgate.channels.smpp.standing import BindKind
from mgate.config import Config
from mgate.control.views import BindView, DoorView, FeedView, GateView, LaneView, QueueRow, StatusView
from mgate.dispatch.dispatcher import Dispatcher
from mgate.feeds.survey import FeedState, Survey
from mgate.model.message import State, TrafficClass
from mgate.policy.classes import RULES
from mgate.spool.engine import Count, Reader, Waiting
from mgate.spool.service import Asker
from mgate.spool.story import moment
from mgate.telemetry import Telemetry

STALE: Final = 5.0
"""Seconds after which the counts of what waits are read again: with a million waiting that is 60 ms of a thread."""


class Inlets(Protocol):
    """The ways in, as they stand now."""

    def doors(self) -> tuple[DoorView, ...]:
        """Every client's."""

    def gates(self) -> tuple[GateView, ...]:
        """Every address where clients come in over TLS."""


class Disk(Protocol):
    """The disk of the spool, as it was last looked at."""

    @property
    def spool_octets(self) -> int:
        """The spool's files."""

    @property
    def free_octets(self) -> int:
        """What is free on their disk."""


class Commits(Protocol):
    """Who hears of every commit."""

    @property
    def last_commit(self) -> float:
        """The monotonic moment of the last one; 0.0 before the first."""


class Running(Protocol):
    """Who knows by which configuration the daemon runs."""

    @property
    def config(self) -> Config:
        """It, at this moment."""


class Board:
    """See ``control.board.Board``.

    Args:
        asker: a reader's thread that may take its time.
        survey: looks at the feeds.
        commits: knows the monotonic moment of the last commit, 0.0 before the first.
        seconds: a monotonic clock; ``wall``: seconds since 1970.
    """

    def __init__(  # built once, by wiring
        self,
        running: Running,
        telemetry: Telemetry,
        asker: Asker,
        survey: Survey,
        dispatcher: Dispatcher,
        accounts: Mapping[str, SmppChannel],
        inlets: Inlets,
        disk: Disk,
        commits: Commits,
        seconds: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._running = running
        self._telemetry = telemetry
        self._asker = asker
        self._survey = survey
        self._dispatcher = dispatcher
        self._accounts = accounts
        self._inlets = inlets
        self._disk = disk
        self._commits = commits
        self._seconds = seconds
        self._wall = wall
        self._begun = seconds()
        self._read_at = -STALE
        self._waiting: Sequence[Waiting] = ()
        self._uncertain = 0

    # ---- what is asked ---------------------------------------------------------------------------------------------

    def status(self) -> StatusView:
        """See ``control.board.Board``."""
        self.refresh()
        push, spool = self._telemetry.push, self._telemetry.spool
        last = self._commits.last_commit
        return StatusView(
            version=self._telemetry.version,
            instance=self._running.config.instance.name,
            state=self._telemetry.phase.value,
            uptime=round(self._seconds() - self._begun, 3),
            accepted=int(sum(number.n for number in push.accepted.values())),
            ended=int(sum(number.n for number in spool.ended.values())),
            uncertain=self._uncertain,
            last_commit=round(self._seconds() - last, 3) if last else -1.0,
            spool_octets=self._disk.spool_octets,
            free_octets=self._disk.free_octets,
            alarms=self._telemetry.alarms(),
            lanes=self._lanes(),
            binds=tuple(self.binds()),
            doors=self._inlets.doors(),
            gates=self._inlets.gates(),
        )

    def _lanes(self) -> tuple[LaneView, ...]:
        found = {(lane.route, lane.lane): lane for lane in self._waiting}
        now = self._wall()
        return tuple(
            LaneView(route, lane, found[route, lane].parts, _age(found[route, lane].oldest, now))
            if (route, lane) in found
            else LaneView(route, lane, 0, 0.0)
            for route, lane in self._telemetry.lanes
        )

    def queue(self, answer: Callable[[Sequence[QueueRow]], None]) -> None:
        """See ``control.board.Board``."""
        now = self._wall()

        def told(counts: Sequence[Count]) -> None:
            answer(_queue(counts, now))

        nothing: list[Count] = []
        self._asker.ask(lambda reader: reader.counts(int(now * 1000)), told, nothing)

    def feeds(self, answer: Callable[[Sequence[FeedView]], None]) -> None:
        """See ``control.board.Board``."""

        def found(states: Sequence[FeedState]) -> None:
            answer([FeedView(*state) for state in states])

        self._survey.feeds(found)

    def binds(self) -> Sequence[BindView]:
        """See ``control.board.Board``."""
        views: list[BindView] = []
        for sms in self._running.config.sms:
            if sms.route not in self._dispatcher.ways:
                continue  # it waits for one of its name to go
            slots = self._dispatcher.ways[sms.route].slots
            account = self._accounts[sms.route]
            for bind in (*account.binds, *account.receivers.values()):
                status = bind.status()
                receiver = status.kind is BindKind.RECEIVER
                views.append(
                    BindView(
                        route=sms.route,
                        bind=bind.index,
                        state="suspect" if status.suspect else status.state.value,
                        since=moment(int(status.since * 1000)),
                        peer=status.peer or f"{sms.host}:{sms.port}",
                        window=0 if receiver else slots.window_of(bind.index),
                        in_flight=0 if receiver else slots.used_on(bind.index),
                        rate=sms.rate,
                        last_error=status.last_error,
                        submits=bind.counts.submits,
                        receipts=bind.counts.arrivals,
                        kind=status.kind.value,
                    )
                )
        return views

    def pause(self, route: str, bind: int | None) -> None:
        """See ``control.board.Board``."""
        self._accounts[route].pause(bind)

    def resume(self, route: str, bind: int | None) -> None:
        """See ``control.board.Board``."""
        self._accounts[route].resume(bind)

    # ---- what is kept fresh ----------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Have what waits counted again, if the last count is stale; the next question will see it."""
        now = self._seconds()
        if now - self._read_at < STALE:
            return
        self._read_at = now
        self._asker.ask(_look, self._looked, (self._waiting, self._uncertain))

    def _looked(self, found: tuple[Sequence[Waiting], int]) -> None:
        self._waiting, self._uncertain = found
        now = self._wall()
        lanes = {(lane.route, lane.lane): lane for lane in self._waiting}
        for key, numbers in self._telemetry.lanes.items():
            lane = lanes.get(key)
            numbers.waiting.n = lane.parts if lane else 0
            numbers.oldest.n = _age(lane.oldest, now) if lane else 0
        self._telemetry.spool.uncertain.n = self._uncertain


def _look(reader: Reader) -> tuple[Sequence[Waiting], int]:
    return reader.waiting(), reader.uncertain()


def _age(at: int, now: float) -> float:
    return round(max(0.0, now - at / 1000), 3)


def _queue(counts: Sequence[Count], now: float) -> list[QueueRow]:
    rows: dict[tuple[str, TrafficClass, str], dict[str, float]] = {}
    for count in counts:
        row = rows.setdefault((count.route, count.traffic, count.client), {})
        word = "waiting" if count.state is State.READY and not count.due else count.state.word
        row[word] = row.get(word, 0) + count.parts
        if word == "ready":
            row["oldest"] = _age(count.oldest, now)
    return [
        QueueRow(
            route=route,
            traffic=traffic.word,
            lane=RULES[traffic].lane,
            client=client,
            ready=int(row.get("ready", 0)),
            waiting=int(row.get("waiting", 0)),
            leased=int(row.get("leased", 0)),
            sent=int(row.get("sent", 0)),
            uncertain=int(row.get("uncertain", 0)),
            oldest=row.get("oldest", 0.0),
        )
        for (route, traffic, client), row in sorted(rows.items(), key=lambda item: item[0])
    ]
