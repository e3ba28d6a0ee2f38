"""The write-back: a feed that tells a bank's database what became of the messages that came from it.

At least once, and idempotent: a batch of the journal is written into the database in one transaction, and only after
its commit the cursor moves. Whatever dies in between, the same events come again under the same sequences, and the
database changes nothing by them, nor by an older one. Of several events of one message in a batch the newest is told.

A database that is away holds up nobody: the events stay in the journal, and a batch is read again for each new try, so
that nothing but a cursor is kept for it. When it is back, batches follow one another without a pause. A result that it
refuses alone (a value that does not fit its column) is left out, and told loudly; when it refuses all of them, the
mapping is wrong, and everything waits until somebody mends it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from mgate.feeds.results import newest, results_of
from mgate.feeds.tap import Lost, Tap
from mgate.model.source import Result, Source, SourceError
from mgate.policy.cost import Price
from mgate.policy.sifting import sift
from mgate.spool.journal import FeedEvent

FEED: Final = "writeback"
"""The name of the feed, beside those of the client's own."""

BATCH: Final = 500
"""Results in one transaction of the database."""

READ: Final = 2_000
"""Events that are read at a time: the more of them, the more fold into one result."""

GATHER: Final = 0.2
"""Seconds for which new events gather while there are few: a message that is sent and delivered meanwhile is told once,
and the database sees five transactions a second, however many commits ours has."""

WAIT: Final = 30.0
"""Seconds after which a feed without an event of its own makes its place durable all the same."""

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0

Run = Callable[[Coroutine[object, object, None]], "Deferred[None]"]
"""Runs a verb of the source in a task of its own: ``Bridge.run``."""


class Hearer(Protocol):
    """Who is told how it goes."""

    def wrote(self, results: int) -> None:
        """The database has so many more."""

    def lags(self, seconds: float) -> None:
        """The age of the oldest event that the database does not have; 0.0 when it has all."""

    def failed(self, error: Exception, pause: float) -> None:
        """It did not work, and is tried again after so many seconds."""

    def refused(self, result: Result, error: SourceError) -> None:
        """The database takes others, and not this one, which is left out."""

    def lost(self, after: int, place: int) -> None:
        """What stood in the journal behind ``after`` and up to ``place`` can be told no more."""


class WriteBack:
    """The write-back of one source.

    Args:
        source: an object of its own, so that its verbs overlap with nobody's; whoever made it closes it.
        tap: the source's feed.
        run: runs the source's verbs.
        prices: of a part, by route.
        versioned: whether the source's references end in a version.
        clock: the reactor, or a ``Clock``; ``wall``: seconds since 1970.
        spread: a factor around 1 for each pause, so that many sources do not come at once.
    """

    def __init__(  # built once, by wiring
        self,
        source: Source,
        tap: Tap,
        run: Run,
        prices: Mapping[str, Price],
        clock: IReactorTime,
        wall: Callable[[], float],
        hearer: Hearer,
        *,
        versioned: bool,
        spread: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._source = source
        self._tap = tap
        self._run = run
        self._prices = prices
        self._clock = clock
        self._wall = wall
        self._hearer = hearer
        self._versioned = versioned
        self._spread = spread
        self._acked = 0
        self._life: Deferred[None] | None = None

    def start(self) -> None:
        """Go on from the durable cursor, until `stop`."""
        self._life = Deferred.fromCoroutine(self._live())
        self._life.addErrback(lambda failure: failure.trap(CancelledError) and None)

    def stop(self) -> None:
        """Go no further. A transaction under way may reach the database; its events come again after the next start."""
        if self._life is not None:
            self._life.cancel()

    def apply(self, prices: Mapping[str, Price]) -> None:
        """Reckon by these prices from now on."""
        self._prices = prices

    async def _live(self) -> None:
        at: int | None = None
        begun = False
        pause = 0.0
        while True:
            try:
                if not begun:
                    at = await self._tap.cursor()
                    begun, self._acked = True, at or 0
                at, full = await self._turn(at)
                pause = 0.0 if full else GATHER
            except CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, it is told, and tried again
                pause = FIRST_PAUSE if pause < FIRST_PAUSE else min(2 * pause, LONGEST_PAUSE)
                self._hearer.failed(error, pause)
                self._tap.look_up()  # the next try takes what has come meanwhile, too
            await deferLater(self._clock, pause * (self._spread() if pause >= FIRST_PAUSE else 1.0))

    async def _turn(self, at: int | None) -> tuple[int, bool]:
        """Hand on the next events; the place behind them, and whether there are probably more.

        Raises:
            SourceError: the database did not take them.
            Unread: the journal cannot be read now.
        """
        found = await self._tap.next(at, READ, WAIT)
        if isinstance(found, Lost):
            self._hearer.lost(at or 0, found.place)
        elif found.events:
            self._hearer.lags(self._wall() - found.events[0].at / 1000)
            await self._write(newest(found.events))
        full = not isinstance(found, Lost) and len(found.events) >= BATCH
        if not full:
            self._hearer.lags(0.0)
        if found.place > self._acked and await self._tap.acknowledge(found.place):
            self._acked = found.place
        return found.place, full

    async def _write(self, events: Sequence[FeedEvent]) -> None:
        for begin in range(0, len(events), BATCH):
            results = results_of(events[begin : begin + BATCH], self._prices, versioned=self._versioned)
            written = len(results)
            try:
                await self._ack(results)
            except SourceError as error:
                written = 0 if error.reason != "mismatch" else await sift(results, self._ack, self._hearer.refused)
                if not written:
                    raise
            self._hearer.wrote(written)

    def _ack(self, results: Sequence[Result]) -> Deferred[None]:
        return self._run(self._source.ack(results))
