"""The stream: polls walk through the journal run by run, and those that have come to its end wait for more.

The *tail* is the sequence up to which the journal is known to reach. A poll that stands before it is walked on, a slice
in each turn of the reactor, all polls by turns; one run serves everybody who stands in it. A poll at the tail waits.
After a commit that told something the tail is followed: one read for all that wait, and only clients that have an event
in the new runs are walked on. When nobody waits nothing is read: a commit costs one attribute.

Work is bounded everywhere: a poll looks through so many events and then answers with what it has, were it only the
place that it has come to; a slice opens and writes for about a millisecond; an answer ends before it is too large.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mgate.feeds.lines import render
from mgate.feeds.runs import Run, Runs
from mgate.feeds.waiting import Waiting
from mgate.spool.engine import Reader, StoredEvents
from mgate.spool.journal import FeedEvent

PAUSE: Final = 0.01
"""Seconds between two looks at the tail while somebody waits: what is committed meanwhile is told together."""

LARGEST: Final = 2 << 20
"""Octets after which an answer ends, whatever its limit of events."""

_EVENTS_A_TURN: Final = 300
_EVENTS_A_READ: Final = 1_000
_EVENTS_A_POLL: Final = 100_000
_RUN_COST: Final = 10
_EMPTY_MOST: Final = 1_024
_T = TypeVar("_T")


class Journal(Protocol):
    """Who reads the journal beside the reactor: an ``Asker`` of the feeds' own."""

    def ask(self, question: Callable[[Reader], _T], answer: Callable[[_T], None], otherwise: _T) -> None:
        """Answer on the reactor's thread; ``otherwise`` when it cannot be answered."""


class Poll(Protocol):
    """One question of a client. ``answer``, ``lost`` and ``failed`` are called once, one of them."""

    @property
    def client(self) -> str:
        """Whose events it asks for."""

    @property
    def limit(self) -> int:
        """Events that it takes at most."""

    @property
    def deadline(self) -> float:
        """Until when it waits; a moment of the clock."""

    @property
    def gone(self) -> bool:
        """Whether nobody waits for its answer any more."""

    def answer(self, lines: Sequence[bytes], events: int, place: int) -> None:
        """What there is behind the place where it stood, and the place up to which all has been looked through."""

    def beyond(self) -> None:
        """It stands beyond the journal's end."""

    def lost(self, place: int) -> None:
        """Events behind the place where it stood can be told no more; from ``place`` on they can."""

    def failed(self) -> None:
        """The journal cannot be read now."""


class Walker:
    """A poll and how far it has come.

    Attributes:
        at: all events up to this sequence have been looked through.
        anywhere: it began where the journal begins, wherever that is.
        taken: where it puts its events as they are; None: they are written as lines.
    """

    __slots__ = ("anywhere", "at", "began", "events", "lines", "looked", "octets", "poll", "taken")

    def __init__(self, poll: Poll, at: int, anywhere: bool, taken: list[FeedEvent] | None) -> None:
        self.poll = poll
        self.at = at
        self.began = -1 if anywhere else at
        self.anywhere = anywhere
        self.events = 0
        self.octets = 0
        self.looked = 0
        self.lines: list[bytes] = []
        self.taken = taken

    @property
    def gone(self) -> bool:
        """Whether nobody waits for its answer any more."""
        return self.poll.gone


class Stream:
    """The journal, told to all who poll.

    Args:
        journal: reads it.
        runs: those that are open.
        clock: the reactor, or a ``Clock``.
    """

    def __init__(self, journal: Journal, runs: Runs, clock: IReactorTime) -> None:
        self._journal = journal
        self._runs = runs
        self._clock = clock
        self._tail = 0
        self._fresh = False
        self._following = False
        self._pause: IDelayedCall | None = None
        self._alarm: IDelayedCall | None = None
        self._turning = False
        self._asking: list[Walker] = []
        self._walking: deque[Walker] = deque()
        self._fetching: dict[int, list[Walker]] = {}
        self._waiting: Waiting[Walker] = Waiting(lambda walker: walker.gone)
        self._a_read = 8
        # Clients with few events among many, or whose cursor stays: where they found nothing, and up to where.
        self._empty: OrderedDict[tuple[str, int], int] = OrderedDict()

    @property
    def tail(self) -> int:
        """The last sequence that is known of."""
        return self._tail

    @property
    def waiting(self) -> int:
        """Polls that wait for an event."""
        return len(self._waiting)

    def wake(self) -> None:
        """A commit has told something. Cheap when nobody waits."""
        self._fresh = False
        if self._waiting:
            self._follow_soon()

    def put(self, poll: Poll, at: int | None, taken: list[FeedEvent] | None = None) -> None:
        """Answer a poll that stands at this sequence; None: where the journal begins.

        ``taken``: put its events there, as they are; it is answered without lines.
        """
        walker = Walker(poll, at or 0, at is None, taken)
        looked = self._empty.get((poll.client, walker.began))
        if looked is not None:
            walker.at, walker.anywhere = looked, False
        self._go(walker)

    def look_up(self) -> None:
        """Have the journal's end looked up, if it may have moved."""
        if not self._fresh:
            self._follow()

    def let_go(self, client: str) -> None:
        """Answer what waits for this client: it is to wait no more."""
        for walker in self._waiting.take([client]):
            walker.at = self._tail
            self._answer(walker)

    # ---- the tail --------------------------------------------------------------------------------------------------

    def _go(self, walker: Walker) -> None:
        if walker.at < self._tail:
            self._walking.append(walker)
            self._turn_soon()
        elif self._fresh or (self._waits(walker) and walker.at == self._tail):
            self._arrived(walker)
        else:
            self._asking.append(walker)
            self._follow()

    def _waits(self, walker: Walker) -> bool:
        return not walker.events and walker.poll.deadline > self._clock.seconds()

    def _arrived(self, walker: Walker) -> None:
        """It stands at the tail; if it does not wait, the tail was looked up after it came."""
        poll = walker.poll
        if walker.at > self._tail:
            poll.beyond()
        elif not self._waits(walker):
            self._answer(walker)
        elif not walker.gone:
            self._waiting.add(poll.client, walker, poll.deadline)
            self._set_alarm()
            if not self._fresh:
                self._follow_soon()

    def _follow_soon(self) -> None:
        if self._pause is None:
            self._pause = self._clock.callLater(PAUSE, self._paused)

    def _paused(self) -> None:
        self._pause = None
        if self._waiting:
            self._follow()

    def _follow(self) -> None:
        """Look what is new: the new runs when somebody waits for them, else only where the journal ends."""
        if self._following:
            return
        self._following = self._fresh = True
        asking, self._asking = self._asking, []
        if self._waiting:
            after, most = self._tail, self._a_read
            self._journal.ask(
                lambda reader: reader.events(after, most), lambda found: self._followed(asking, found, most), None
            )
        else:
            self._journal.ask(lambda reader: reader.last_event(), lambda tail: self._looked_up(asking, tail), None)

    def _looked_up(self, asking: list[Walker], tail: int | None) -> None:
        if tail is not None and tail > self._tail:
            self._tail = tail
            self._walk(self._waiting.take_all())  # those who came meanwhile
        self._settle(asking, tail is not None)

    def _followed(self, asking: list[Walker], stored: Sequence[StoredEvents] | None, most: int) -> None:
        for run in self._take(stored or ()):
            if run.first > self._tail + 1 or not run.readable:
                self._walk(self._waiting.take_all())
            else:
                self._walk(self._waiting.take(run.by_client))
            self._tail = max(self._tail, run.last)
        if stored is not None and len(stored) == most:
            self._fresh = False
        self._settle(asking, stored is not None)

    def _settle(self, asking: list[Walker], known: bool) -> None:
        self._following = False
        self._fresh = self._fresh and known
        for walker in asking:
            if not known:
                walker.poll.failed()
            elif walker.at < self._tail:
                self._walk([walker])
            else:
                self._arrived(walker)
        if self._asking:
            self._follow()
        elif self._waiting and not self._fresh:
            self._follow_soon()

    # ---- walking ---------------------------------------------------------------------------------------------------

    def _walk(self, walkers: Sequence[Walker]) -> None:
        if walkers:
            self._walking.extend(walkers)
            self._turn_soon()

    def _turn_soon(self) -> None:
        if not self._turning:
            self._turning = True
            self._clock.callLater(0.0, self._turn)

    def _turn(self) -> None:
        """A slice of work, for each that walks by turns."""
        self._turning = False
        left = _EVENTS_A_TURN
        while self._walking and left > 0:
            left -= self._step(self._walking.popleft())
        if self._walking:
            self._turn_soon()

    def _step(self, walker: Walker) -> int:
        """Walk through one run; what it cost, in events."""
        if walker.gone:
            return 1
        if walker.at >= self._tail:
            self._go(walker)
            return 1
        run = self._runs.at(walker.at + 1)
        if run is None:
            self._fetch(walker)
            return _RUN_COST
        if not run.readable:
            self._lose(walker, run.last)
            return _RUN_COST
        written = self._pass(walker, run)
        walker.looked += run.last - run.first + 1
        self._go_on(walker)
        return _RUN_COST + written

    def _go_on(self, walker: Walker) -> None:
        poll = walker.poll
        enough = walker.events >= poll.limit or walker.octets >= LARGEST
        if (
            enough
            or (walker.events and walker.at >= self._tail)
            or (walker.looked >= _EVENTS_A_POLL and (walker.events or poll.deadline <= self._clock.seconds()))
        ):
            self._answer(walker)
        else:
            self._go(walker)

    def _pass(self, walker: Walker, run: Run) -> int:
        """Take from a run what there is for a walker, and move it on; how many events that were."""
        client = walker.poll.client
        mine = run.by_client.get(client, ())
        room = walker.poll.limit - walker.events
        if walker.at < run.first and len(mine) <= room:
            lines = self._runs.lines(run, client) if mine and walker.taken is None else b""
            walker.at = run.last
        else:
            mine = [event for event in mine if event.sequence > walker.at]
            cut = len(mine) > room
            mine = mine[:room]
            lines = render(mine, self._runs.prefix) if walker.taken is None else b""
            walker.at = mine[-1].sequence if cut else run.last
        if mine:
            walker.events += len(mine)
            if walker.taken is None:
                walker.lines.append(lines)
                walker.octets += len(lines)
            else:
                walker.taken += mine
        return len(mine)

    def _fetch(self, walker: Walker) -> None:
        """Read what comes behind the place of a walker, once for all that stand there."""
        at = walker.at
        if at in self._fetching:
            self._fetching[at].append(walker)
            return
        self._fetching[at] = [walker]
        most = self._a_read
        self._journal.ask(lambda reader: reader.events(at, most), lambda found: self._fetched(at, found), None)

    def _fetched(self, at: int, stored: Sequence[StoredEvents] | None) -> None:
        walkers = self._fetching.pop(at)
        first = stored[0].first if stored else self._tail + 1
        runs = self._take(stored or ())
        for walker in walkers:
            if stored is None:
                walker.poll.failed()
            elif first > at + 1:
                self._lose(walker, first - 1)
            elif not runs:
                walker.poll.failed()
            else:
                # At once: its runs may not be open any more when its turn comes.
                self._step(walker)

    def _take(self, stored: Sequence[StoredEvents]) -> list[Run]:
        if not stored:
            return []
        a_run = sum(run.events for run in stored) / len(stored)
        self._a_read = min(max(int(_EVENTS_A_READ / a_run), 2), 64)
        return self._runs.take(stored)

    def _lose(self, walker: Walker, place: int) -> None:
        """It cannot go on before ``place``."""
        if walker.events:
            self._answer(walker)
        elif walker.anywhere:
            walker.at, walker.anywhere = place, False
            self._go(walker)
        else:
            walker.poll.lost(place)

    def _answer(self, walker: Walker) -> None:
        if not walker.events and walker.at > walker.began:
            key = walker.poll.client, walker.began
            self._empty[key] = walker.at
            self._empty.move_to_end(key)
            if len(self._empty) > _EMPTY_MOST:
                self._empty.popitem(last=False)
        walker.poll.answer(walker.lines, walker.events, walker.at)

    # ---- the waiting -----------------------------------------------------------------------------------------------

    def _set_alarm(self) -> None:
        """One timer, for the first of the deadlines."""
        first = self._waiting.next_deadline()
        if self._alarm is not None:
            if first is not None and first >= self._alarm.getTime():
                return
            self._alarm.cancel()
            self._alarm = None
        if first is not None:
            self._alarm = self._clock.callLater(max(0.0, first - self._clock.seconds()), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        for walker in self._waiting.expire(self._clock.seconds()):
            walker.at = self._tail
            self._answer(walker)
        self._set_alarm()
