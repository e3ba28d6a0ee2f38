"""The write-backs, while the daemon runs: one for each source with a table of results, on a connection of its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from mgate.config import Config, CoreSource
from mgate.daemon.leaving import Leaving
from mgate.daemon.outward import Lateness, WriteBackEars
from mgate.feeds.api import Feeds
from mgate.feeds.tap import Tap
from mgate.feeds.writeback import FEED, WriteBack
from mgate.model.source import Source
from mgate.net.bridge import Bridge
from mgate.policy.cost import Price
from mgate.telemetry import Alarm, Log, Telemetry


@dataclass(frozen=True, slots=True)
class Around:
    """What every write-back works with. ``open`` makes a source; ``wall``: seconds since 1970."""

    open: Callable[[CoreSource], Source]
    feeds: Feeds
    bridge: Bridge
    wall: Callable[[], float]
    reactor: IReactorTime
    telemetry: Telemetry
    log: Log


class _One:
    def __init__(self, source: CoreSource, prices: dict[str, Price], late: Lateness, around: Around) -> None:
        self.config = source
        self._around = around
        self._own = around.bridge.branch()
        # Not the poller's object: so neither waits for the other, and the verbs of one source never overlap.
        self._line = around.open(source)
        self._ears = WriteBackEars("writeback", source.name, late, around.telemetry, around.log)
        tap = Tap(source.name, FEED, around.feeds.stream, around.feeds.bookmarks, around.reactor)
        self.feed = WriteBack(
            self._line, tap, self._own.run, prices, around.reactor, around.wall, self._ears,
            versioned="version" in source.mapped, spread=lambda: random.uniform(0.8, 1.2),  # noqa: S311  # it spreads pauses
        )  # fmt: skip

    def stop(self) -> Deferred[None]:
        """Fires when nothing of it runs any more."""
        self.feed.stop()
        self._ears.gone()
        return self._own.stop().addCallback(lambda _: self._close())

    def _close(self) -> Deferred[None]:
        return self._around.bridge.run(self._line.close()).addErrback(lambda failure: failure.trap(Exception) and None)


class WriteBacks:
    """Every write-back."""

    def __init__(self, config: Config, around: Around) -> None:
        self._around = around
        self._late = Lateness(Alarm.WRITEBACK_LATE, around.telemetry, around.log)
        self._leaving = Leaving()
        self._started = False
        self._all: dict[str, _One] = {}
        self._make(config)

    def start(self) -> None:
        """Tell the databases, from now on, what the journal has."""
        self._started = True
        for one in self._all.values():
            one.feed.start()

    def stop(self) -> Deferred[None]:
        """Tell no more. Fires within some seconds."""
        self._started = False
        for name, one in self._all.items():
            self._leaving.go(name, one.stop())
        return self._leaving.all()

    def apply(self, config: Config) -> None:
        """Go on by this configuration: a source that changed gets another connection, when the old one is gone."""
        wanted = {source.name: source for source in config.sources if source.results}
        for name, one in list(self._all.items()):
            if wanted.get(name) != one.config:
                self._leaving.go(name, self._all.pop(name).stop())
        for name in self._make(config):
            self._leaving.after(name, partial(self._start, self._all[name]))
        for one in self._all.values():
            one.feed.apply(prices_of(config))

    def _start(self, one: _One) -> None:
        if self._started and self._all.get(one.config.name) is one:
            one.feed.start()

    def _make(self, config: Config) -> list[str]:
        missing = [source for source in config.sources if source.results and source.name not in self._all]
        for source in missing:
            self._all[source.name] = _One(source, prices_of(config), self._late, self._around)
        return [source.name for source in missing]


def prices_of(config: Config) -> dict[str, Price]:
    """What a part costs on each route whose price is known."""
    return {sms.route: Price(sms.price, sms.currency) for sms in config.sms if sms.price}
