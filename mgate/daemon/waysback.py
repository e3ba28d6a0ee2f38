"""The ways back to the bank that mgate walks itself: the write-backs and the webhooks, started and stopped together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime

from mgate import __version__
from mgate.config import Config, CoreSource
from mgate.control.webhooks import WebhookHatch
from mgate.daemon import webhooks, writebacks
from mgate.daemon.identities import Identities
from mgate.feeds.api import Feeds
from mgate.feeds.dead import Burying
from mgate.feeds.stream import Journal
from mgate.model.source import Source
from mgate.net.bridge import Bridge
from mgate.net.routing import Route
from mgate.telemetry import Log, Telemetry


@dataclass(frozen=True, slots=True)
class Ground:
    """What they stand on: ``journal`` reads it, ``spool`` writes the lists; ``wall``: seconds since 1970."""

    feeds: Feeds
    journal: Journal
    spool: Burying
    wall: Callable[[], float]
    reactor: IReactorTime
    telemetry: Telemetry
    log: Log


class WaysBack:
    """All of them."""

    def __init__(
        self, config: Config, ground: Ground, open_source: Callable[[CoreSource], Source], bridge: Bridge,
        identities: Identities,
    ) -> None:  # fmt: skip
        self._writebacks = writebacks.WriteBacks(
            config,
            writebacks.Around(
                open_source, ground.feeds, bridge, ground.wall, ground.reactor, ground.telemetry, ground.log
            ),
        )
        self._webhooks = webhooks.Webhooks(
            config,
            webhooks.Around(
                ground.feeds, ground.journal, ground.spool, identities, ground.wall, ground.reactor, ground.telemetry,
                ground.log, __version__,
            ),
        )  # fmt: skip
        self._log = ground.log

    def routes(self) -> tuple[Route, ...]:
        """What the admin socket serves of them."""
        return WebhookHatch(self._webhooks, self._log).routes()

    def start(self) -> None:
        """Tell the bank from now on."""
        self._writebacks.start()
        self._webhooks.start()

    def stop(self) -> Deferred[None]:
        """Tell no more; what is not acknowledged is told after the next start. Fires within some seconds."""
        both = DeferredList([self._writebacks.stop(), self._webhooks.stop()])
        return both.addCallback(lambda _: None)

    def apply(self, config: Config) -> None:
        """Go on by this configuration."""
        self._writebacks.apply(config)
        self._webhooks.apply(config)
