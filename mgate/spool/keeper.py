"""The keeper: everything that time asks of the spool. It wakes parts, moves what has ended, and throws away what is
over.

A move goes round the house: a commit tells what has ended in it, the history's thread puts it on its disk, and only
then does the writer forget it. One round is under way at a time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Final, Protocol, TypeVar

from twisted.internet.interfaces import IReactorTime

from mgate.policy.classes import EARLY_STAY
from mgate.seal.keyring import Group, Keyring
from mgate.spool.checkpoint import Checkpointer
from mgate.spool.engine import Ending
from mgate.spool.front import Front
from mgate.spool.history import BLOCK, HistoryWriter
from mgate.spool.verbs import NotKept, Trim, Woken

WAKE_EVERY: Final = 0.25
"""Seconds between two looks at the clock's rows; a repeat or a lapse is late by no more."""

MOVE_EVERY: Final = 0.1
"""Seconds that an ended message waits for others, so that they move together."""

MOST_WAITING: Final = 20_000
"""Ended messages that wait to be moved; more are left to be found again."""

CHECKPOINT_EVERY: Final = 1.0
CHECKPOINT_LEAST: Final = 4 << 20

TRIM_EVERY: Final = 10.0
_TRIM_ROWS: Final = 500
_WAKE_ROWS: Final = 200
_PREPARE_AHEAD: Final = 300.0

_T = TypeVar("_T")


class Over:
    """The messages that have ended, from the commits that ended them to whoever moves them.

    Attributes:
        missed: more ended than may wait, or a move failed: the others must be found again in the spool.
    """

    def __init__(self) -> None:
        self._waiting: deque[Ending] = deque()
        self.missed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, endings: Sequence[Ending]) -> None:
        """These have ended, and that is on the disk."""
        if len(self._waiting) + len(endings) > MOST_WAITING:
            self.missed = True
        else:
            self._waiting.extend(endings)

    def take(self, most: int) -> list[Ending]:
        """The next ones."""
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), most))]

    def miss(self) -> None:
        """A move failed: let all of them go, to be found again."""
        self._waiting.clear()
        self.missed = True


class Observer(Protocol):
    """Who is told what the keeper did."""

    def moved(self, messages: int) -> None:
        """So many messages went to history."""

    def dropped(self, period: int) -> None:
        """A period's retention ended: its file and its key are gone."""

    def failed_round(self, what: str, error: Exception) -> None:
        """A round could not be finished and will be tried again."""


class HistoryThread:
    """The one thread of the history's files, and of the checkpoints of the live spool."""

    def __init__(
        self, history: HistoryWriter, checkpointer: Checkpointer, post: Callable[[Callable[[], None]], None]
    ) -> None:
        self._history = history
        self._checkpointer = checkpointer
        self._post = post
        self._line: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="mgate-history", daemon=True)

    def start(self) -> None:
        """Let the thread begin."""
        self._thread.start()

    def run(self, work: Callable[[HistoryWriter], _T], answer: Callable[[_T | Exception], None]) -> None:
        """Do work on the history's thread; what it returns or raises goes to ``answer`` on the reactor's."""

        def do() -> None:
            try:
                found: _T | Exception = work(self._history)
            except Exception as error:  # noqa: BLE001  # whatever it is, its caller must hear of it
                found = error
            self._post(lambda: answer(found))

        self._line.put(do)

    def checkpoint(self, least: int, answer: Callable[[Exception | None], None]) -> None:
        """Copy the WAL into the spool's file if it has more than ``least`` octets; ``answer`` hears what went wrong."""

        def do() -> None:
            failed: Exception | None = None
            try:
                self._checkpointer.step(least)
            except Exception as error:  # noqa: BLE001  # a full disk must not end the thread that makes room
                failed = error
            self._post(lambda: answer(failed))

        self._line.put(do)

    def stop(self) -> None:
        """Finish what is in line and come back when the thread has ended."""
        self._line.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._line.get()) is not None:
            work()
        self._history.close()
        self._checkpointer.close()


class Keeper:
    """Runs on the reactor, with a timer for each of its duties and no thread of its own.

    Args:
        over: what has ended, from the commits.
        groups: the retention groups, with how long each is kept.
        reference_days, journal_days: how long references and journal rows are kept.
    """

    def __init__(  # built once, by wiring
        self,
        front: Front,
        history: HistoryThread,
        over: Over,
        keyring: Keyring,
        groups: Sequence[Group],
        reference_days: int,
        journal_days: int,
        clock: IReactorTime,
        wall: Callable[[], float],
        observer: Observer,
    ) -> None:
        self._front = front
        self._history = history
        self._keyring = keyring
        self._groups = groups
        self._reference_days = reference_days
        self._journal_days = journal_days
        self._clock = clock
        self._wall = wall
        self._observer = observer
        self._over = over
        self._checkpoint_failed = False
        self._stopped = False
        self._held = False

    def start(self) -> None:
        """Begin to look at the clock."""
        self._wake()
        self._look(0)
        self._move()
        self._trim()
        self._checkpoint()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped = True

    def apply(self, groups: Sequence[Group], reference_days: int, journal_days: int) -> None:
        """Keep by these from now on; a period that has begun is kept for as long as was said when it did."""
        self._groups, self._reference_days, self._journal_days = groups, reference_days, journal_days

    def hold(self) -> None:
        """Touch the keyring no more until ``go_on``: it is written on the reactor's thread, which a disk that stalls
        would keep."""
        self._held = True

    def go_on(self) -> None:
        """Touch it again."""
        self._held = False

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        if not self._stopped:
            self._clock.callLater(seconds, call)

    # ---- waking ----------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._stopped:
            return

        def done(result: Woken | NotKept) -> None:
            parts = 0 if isinstance(result, NotKept) else result.parts
            self._later(0.0 if parts >= _WAKE_ROWS else WAKE_EVERY, self._wake)

        self._front.wake(_WAKE_ROWS, done)

    # ---- moving ----------------------------------------------------------------------------------------------------

    def _move(self) -> None:
        """Move what has ended, one round at a time."""
        if self._stopped:
            return
        endings = self._over.take(BLOCK)
        if endings:
            now = int(self._wall() * 1000)
            self._history.run(lambda history: history.put(endings, now), lambda error: self._moved(endings, error))
            return
        if self._over.missed:
            self._over.missed = False
            self._look(0)
        self._later(MOVE_EVERY, self._move)

    def _moved(self, endings: Sequence[Ending], error: object) -> None:
        if isinstance(error, Exception):
            self._observer.failed_round("history", error)
            self._over.miss()
            self._later(1.0, self._move)
            return

        def done(result: int | NotKept) -> None:
            if isinstance(result, NotKept):
                self._over.miss()
            else:
                self._observer.moved(len(endings))
            # What ends together is written together: a block of a few messages costs as much as one of many.
            self._later(0.0 if len(self._over) >= BLOCK else MOVE_EVERY, self._move)

        self._front.forget([(one.message, one.event) for one in endings], done)

    def _look(self, after: int) -> None:
        """Look through the spool for what has ended and nobody has moved: after a start, and when a move failed."""
        if self._stopped:
            return
        if len(self._over):
            self._later(MOVE_EVERY, lambda: self._look(after))
            return
        now = int(self._wall() * 1000)
        nothing: tuple[list[Ending], int] = ([], 0)

        def found(answer: tuple[list[Ending], int]) -> None:
            endings, go_on = answer
            self._over.add(endings)
            if go_on:
                self._later(0.0, lambda: self._look(go_on))

        self._front.ask(lambda reader: reader.ended(now, after, BLOCK), found, nothing)

    # ---- the WAL ---------------------------------------------------------------------------------------------------

    def _checkpoint(self) -> None:
        if not self._stopped:
            self._front.tidy()
            self._history.checkpoint(CHECKPOINT_LEAST, self._checkpointed)

    def _checkpointed(self, failed: Exception | None) -> None:
        # Told once, not once a second for as long as it lasts.
        if failed is not None and not self._checkpoint_failed:
            self._observer.failed_round("checkpoint", failed)
        self._checkpoint_failed = failed is not None
        self._later(CHECKPOINT_EVERY, self._checkpoint)

    # ---- throwing away ---------------------------------------------------------------------------------------------

    def _trim(self) -> None:
        if self._stopped:
            return
        if self._held:
            self._later(1.0, self._trim)
            return
        now = self._wall()
        self._keyring.prepare(self._groups, now)
        self._keyring.prepare(self._groups, now + _PREPARE_AHEAD)
        refs_before = int((now - self._reference_days * 86_400.0) * 1000)
        trim = Trim(
            int((now - EARLY_STAY) * 1000),
            int((now - self._journal_days * 86_400.0) * 1000),
            _TRIM_ROWS,
        )
        self._front.trim(trim, lambda _result: None)
        self._history.run(lambda history: history.drop_refs_before(refs_before), lambda _dropped: None)
        over = [period.number for period in self._keyring.periods if period.retain_until <= now]
        if over:
            self._front.ask(lambda reader: reader.periods(), lambda alive: self._shred(set(over) - alive), set(over))
        self._later(TRIM_EVERY, self._trim)

    def _shred(self, periods: set[int]) -> None:
        """The key first: a file without its key is noise, a key without its file is nothing."""
        if self._held:
            return  # the next round finds them again
        for period in sorted(periods):
            self._keyring.destroy(period)
            self._history.run(lambda history, period=period: history.drop_period(period), lambda _done: None)  # type: ignore[misc]  # bound now
            self._observer.dropped(period)
