"""The keeper: everything that time asks of the spool. It wakes parts, moves what has ended, and throws away what is
over.

A move goes round the house: the reader finds what has ended, the reactor opens and seals it again for its history
file, the history's thread puts it on the disk, and only then does the writer forget it. One round is under way at a
time; when it was full the next follows at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Final, Protocol, TypeVar

import msgspec
from twisted.internet.interfaces import IReactorTime

from mgate.policy.classes import EARLY_STAY
from mgate.seal.errors import SealError
from mgate.seal.keyring import Group, Keyring
from mgate.spool.engine import Reader, Record
from mgate.spool.front import Front
from mgate.spool.history import HistoryWriter, SealedStory
from mgate.spool.lifecycle import fold_parts
from mgate.spool.sealing import Sealing
from mgate.spool.store import Checkpointer
from mgate.spool.story import story_of
from mgate.spool.verbs import NotKept, Trim, Woken

WAKE_EVERY: Final = 0.25
"""Seconds between two looks at the clock's rows; a repeat or a lapse is late by no more."""

ROUND: Final = 250
"""Messages that one round moves to history at most."""

CHECKPOINT_EVERY: Final = 1.0
CHECKPOINT_LEAST: Final = 4 << 20

TRIM_EVERY: Final = 60.0
_TRIM_ROWS: Final = 2_000
_WAKE_ROWS: Final = 200
_PREPARE_AHEAD: Final = 300.0

_T = TypeVar("_T")


class Observer(Protocol):
    """Who is told what the keeper did."""

    def moved(self, messages: int) -> None:
        """So many messages went to history."""

    def dropped(self, period: int) -> None:
        """A period's retention ended: its file and its key are gone."""

    def damaged(self, part: int, error: SealError) -> None:
        """A record cannot be opened; the message stays where it is."""

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
        groups: the retention groups, with how long each is kept.
        reference_days, journal_days: how long references and journal rows are kept.
    """

    def __init__(  # built once, by wiring
        self,
        front: Front,
        history: HistoryThread,
        sealing: Sealing,
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
        self._sealing = sealing
        self._keyring = keyring
        self._groups = groups
        self._reference_days = reference_days
        self._journal_days = journal_days
        self._clock = clock
        self._wall = wall
        self._observer = observer
        self._encode = msgspec.msgpack.Encoder().encode
        self._damaged: set[int] = set()
        self._checkpoint_failed = False
        self._stopped = False
        self._held = False

    def start(self) -> None:
        """Begin to look at the clock."""
        self._wake()
        self._look()
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

    def _look(self) -> None:
        if self._stopped:
            return
        now = int(self._wall() * 1000)
        # Those that cannot be opened stay: they are told once, and must not stand in the way of the others.
        damaged = frozenset(self._damaged)
        nothing: list[Record] = []
        self._front.ask(lambda reader: _ended(reader, now, damaged), self._seal, nothing)

    def _seal(self, records: Sequence[Record]) -> None:
        stories = [story for story in map(self._story, records) if story is not None]
        if not stories:
            self._later(WAKE_EVERY, self._look)
            return
        now = int(self._wall() * 1000)
        full = len(records) >= ROUND
        self._history.run(lambda history: history.put(stories, now), lambda error: self._forget(stories, error, full))

    def _story(self, record: Record) -> SealedStory | None:
        head = record.rows[0]
        try:
            envelope = self._sealing.envelope(head, record.envelope)
            text = self._sealing.text(head, envelope, record.body)
            plain = self._encode(story_of(record, envelope, text, self._sealing.operator_id))
        except SealError as error:
            self._damaged.add(head.id)
            self._observer.damaged(head.id, error)
            return None
        return SealedStory(
            head.id,
            head.parts,
            head.client,
            head.traffic,
            fold_parts([row.state for row in record.rows]),
            head.created,
            head.expires,
            record.journal[-1].at if record.journal else head.created,
            head.period,
            record.ref_tag,
            record.content_tag,
            head.phone_tag or b"",
            self._sealing.story(head, plain),
            head.event,
        )

    def _forget(self, stories: Sequence[SealedStory], error: object, full: bool) -> None:
        if isinstance(error, Exception):
            self._observer.failed_round("history", error)
            self._later(1.0, self._look)
            return

        def done(result: int | NotKept) -> None:
            if not isinstance(result, NotKept):
                self._observer.moved(len(stories))
            self._later(0.0 if full else WAKE_EVERY, self._look)

        self._front.forget([(story.message, story.event) for story in stories], done)

    # ---- the WAL ---------------------------------------------------------------------------------------------------

    def _checkpoint(self) -> None:
        if not self._stopped:
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


def _ended(reader: Reader, now: int, but: frozenset[int]) -> list[Record]:
    heads = [head for head in reader.ended(now, ROUND + len(but)) if head not in but][:ROUND]
    return reader.records(heads) if heads else []
