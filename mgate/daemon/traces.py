"""Traces of the operators' lines: begun by an administrator, ended by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mgate.channels.smpp.channel import SmppChannel
from mgate.channels.smpp.trace import Trace, Traced
from mgate.control.trace_views import TraceRow, TraceView
from mgate.spool.story import moment


@dataclass(slots=True)
class _Running:
    trace: Trace
    until: float
    over: IDelayedCall


class Traces:
    """See ``control.traces.Tracer``. A trace that has ended keeps its rows until the next one of its route begins, or
    somebody ends it: who comes back a little late still finds them."""

    def __init__(
        self, accounts: Mapping[str, SmppChannel], clock: IReactorTime, wall: Callable[[], float]
    ) -> None:  # fmt: skip
        self._accounts = accounts
        self._clock = clock
        self._wall = wall
        self._running: dict[str, _Running] = {}

    def known(self) -> Sequence[tuple[str, int]]:
        """The routes that can be traced, with their count of binds."""
        return [(route, len(account.binds)) for route, account in self._accounts.items()]

    def start(self, route: str, bind: int | None, to: str, seconds: float) -> TraceView:
        """Begin, in the place of one that runs."""
        self.end(route)
        trace = Trace(self._wall, to)
        over = self._clock.callLater(seconds, self._over, route)
        self._running[route] = _Running(trace, self._clock.seconds() + seconds, over)
        self._accounts[route].trace(trace, bind)
        return TraceView(route, seconds, ())

    def after(self, route: str, n: int) -> TraceView | None:
        """The rows younger than this one."""
        running = self._running.get(route)
        if running is None:
            return None
        left = round(max(running.until - self._clock.seconds(), 0.0), 3) if running.over.active() else 0.0
        return TraceView(route, left, tuple(_row(row) for row in running.trace.after(n)))

    def end(self, route: str) -> TraceView | None:
        """End it; its rows are gone."""
        running = self._running.pop(route, None)
        if running is None:
            return None
        if running.over.active():
            running.over.cancel()
            self._over(route)
        return TraceView(route, 0.0, ())

    def _over(self, route: str) -> None:
        account = self._accounts.get(route)  # it may have gone meanwhile
        if account is not None:
            account.trace(None)


def _row(row: Traced) -> TraceRow:
    return TraceRow(
        row.n, moment(int(row.at * 1000)), row.bind, "out" if row.out else "in", row.command, row.sequence, row.octets,
        row.status, row.length, row.id, row.source, row.destination, row.tlvs, row.note,
    )  # fmt: skip
