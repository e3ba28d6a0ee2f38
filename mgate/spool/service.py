"""The spool's one writer, and the group commit that gathers everybody into it.

The verbs of a batch are worked out on the reactor's thread, where the store touches the page cache alone; a thread of
its own waits for the disk. (Worked out on that thread, each statement of a batch had to win the interpreter's lock back
from a busy reactor.) A commit waits for no timer: what has gathered while the last one was at the disk goes into the
next. A batch takes about 500 rows: outcomes and leases first, in one queue, first in, first out (a second queue once
let a lease overtake an outcome and broke the window); then what is urgent; then the rest. Callers are answered on the
reactor's thread, one call a batch.

When the disk is full (``StoreFull``), nothing of the batch happened: acceptances, leases and receipts are told so,
while outcomes stay first in line until they can be written, because their slots must not be freed before. When the
disk cannot be trusted any more (``StoreBroken``), ``on_broken`` must end the process, and the next start decides.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Final, Protocol, TypeVar

from mgate.spool.engine import News, Reader, Store, StoreBroken, StoreFull
from mgate.spool.lifecycle import CannotHappen
from mgate.spool.verbs import Ends, Lease, NotKept, Result, Verb

BATCH: Final = 500
"""Rows a commit takes, and the first verb of each line beyond."""

RUN: Final = 200
"""New messages that one verb carries at most: a statement's worth."""

FULL_WAIT: Final = 0.25
"""Seconds until outcomes that found no room are tried again."""

TEND_LEAST: Final = 0.005
TEND_MOST: Final = 0.1
"""Seconds of work in the background after a commit: as long as the commit took, within these. What is missing to it may
be what makes commits slow."""

Done = Callable[[Result], None]
_T = TypeVar("_T")


class Numbers(Protocol):
    """What the writer counts."""

    def committed(self, rows: int, seconds: float) -> None:
        """A batch of so many rows was committed in so many seconds."""

    def failed(self, reason: str) -> None:
        """A batch was rolled back cleanly."""


class _Job:
    __slots__ = ("done", "rows", "verb")

    def __init__(self, verb: Verb, rows: int, done: Done) -> None:
        self.verb = verb
        self.rows = rows
        self.done = done


class Writer:
    """Gathers verbs, has the store work on them here, and waits for the disk on a thread of its own.

    Args:
        store: its calls never overlap, whichever thread makes them.
        turn: calls back after so many seconds, 0 for the end of this turn of the reactor: ``reactor.callLater``.
        post: runs a call on the reactor's thread, such as ``reactor.callFromThread``.
        wall: seconds since 1970; ``seconds``: a monotonic clock.
        heard: told of what each commit changed, before its callers are answered.
        on_broken: called on either thread when the disk cannot be trusted; must not come back to it.
        on_bug: told of an event that cannot happen; nothing of its verb was written.
    """

    def __init__(  # built once, by wiring
        self,
        store: Store,
        turn: Callable[[float, Callable[[], None]], object],
        post: Callable[[Callable[[], None]], None],
        wall: Callable[[], float],
        seconds: Callable[[], float],
        numbers: Numbers,
        heard: Callable[[News], None],
        on_broken: Callable[[StoreBroken], None],
        on_bug: Callable[[Exception], None],
    ) -> None:
        self._store = store
        self._turn = turn
        self._post = post
        self._wall = wall
        self._seconds = seconds
        self._numbers = numbers
        self._heard = heard
        self._on_broken = on_broken
        self._on_bug = on_bug
        self._lines: tuple[deque[_Job], deque[_Job], deque[_Job]] = (deque(), deque(), deque())
        self._alone: deque[_Job] = deque()
        self._busy = True  # until it is started
        self._called = False
        self._tending = False
        self._stopping = False
        self._over = False  # the disk cannot be trusted any more
        self.since = 0.0
        """The monotonic moment at which the writer went to the disk; 0.0 while it is not there."""
        self._thread = _Thread("mgate-writer")

    def start(self) -> None:
        """Let it begin."""
        self._thread.start()
        self._tending = True
        self._free()

    def put(self, verb: Verb, rows: int, done: Done, *, urgent: bool = False) -> None:
        """Have a verb of so many rows answered; ``done`` comes later, on this thread, after its commit."""
        line = 0 if isinstance(verb, Ends | Lease) else 1 if urgent else 2
        self._lines[line].append(_Job(verb, rows, done))
        self._soon()

    @property
    def run(self) -> int:
        """How many new messages an ``Accept`` should have at most now."""
        return min(RUN, max(self._store.bears // 2, 1))

    def tidy(self) -> None:
        """Let the store tidy up, if nothing else is to be done."""
        if not self._busy and not self._called and not self._stopping and not self._tending:
            self._go(self._tidy, self._seconds())

    def stop(self) -> None:
        """Write what is in line, close the store, and come back when the thread has ended.

        Outcomes that find no room then are let go: what has no outcome on the disk is in doubt at the next start.
        """
        self._stopping = True
        self._called = False
        self._thread.settle()  # what was under way is on the disk; its answers are posted, and come after this
        while not self._over and (jobs := self._gather()):
            self._last(jobs)
        self._thread.do(self._close)
        self._thread.stop()

    # ---- on the reactor --------------------------------------------------------------------------------------------

    def _soon(self) -> None:
        if not self._busy and not self._called and not self._stopping:
            self._called = True
            self._turn(0.0, self._take)

    def _take(self) -> None:
        self._called = False
        if self._busy or self._stopping:
            return
        jobs = self._gather()
        if jobs:
            self._commit(jobs)
        elif self._tending:
            self._go(self._tend, self._seconds())

    def _gather(self) -> list[_Job]:
        """The next batch: those lines first whose answers free something, and the head of every line, whatever its
        size: lines before it that never end would keep it waiting for ever, and all behind it."""
        if self._alone:
            return [self._alone.popleft()]
        jobs: list[_Job] = []
        room = min(BATCH, max(self._store.bears, 1))
        for line in self._lines:
            first = True
            while line and (first or room >= line[0].rows):
                first = False
                job = line.popleft()
                room -= job.rows
                jobs.append(job)
        return jobs

    def _commit(self, jobs: list[_Job]) -> None:
        """Work on these verbs here, and go to the disk there."""
        begun = self._seconds()
        results = self._work(jobs)
        if results is not None:
            self._go(lambda: self._flush(jobs, results, begun), begun)
        else:
            self._free()

    def _work(self, jobs: list[_Job]) -> Sequence[Result] | None:
        try:
            return self._store.work([job.verb for job in jobs], int(self._wall() * 1000))
        except StoreFull as error:
            self._put_back(jobs, NotKept(str(error)))
        except StoreBroken as error:
            self._broken(error)
        except CannotHappen as error:
            self._one_by_one(jobs, error)
        except Exception as error:  # noqa: BLE001  # a bug of one verb must not end the answering of all others
            self._one_by_one(jobs, error)
        return None

    def _go(self, work: Callable[[], None], begun: float) -> None:
        self._busy = True
        self.since = begun
        self._thread.do(work)

    def _free(self) -> None:
        self._busy = False
        self.since = 0.0
        if self._tending or self._alone or any(self._lines):
            self._soon()

    def _flushed(self, jobs: list[_Job], results: Sequence[Result], news: News, begun: float) -> None:
        self._numbers.committed(sum(job.rows for job in jobs), self._seconds() - begun)
        self._free()
        self._heard(news)
        self._answer([(job.done, result) for job, result in zip(jobs, results, strict=True)])

    def _full(self, jobs: list[_Job], error: StoreFull) -> None:
        self._put_back(jobs, NotKept(str(error)))

    def _put_back(self, jobs: Sequence[_Job], refusal: NotKept) -> None:
        """Nothing happened: outcomes stay first in line, everybody else is told."""
        self._numbers.failed(refusal.reason)
        ends = [job for job in jobs if isinstance(job.verb, Ends)]
        self._lines[0].extendleft(reversed(ends))
        self._called = True  # nothing is tried for a while
        self._busy, self.since = False, 0.0
        self._turn(FULL_WAIT, self._take)
        self._later([(job.done, refusal) for job in jobs if not isinstance(job.verb, Ends)])

    def _one_by_one(self, jobs: list[_Job], error: Exception) -> None:
        """A verb of the batch met something that cannot happen: keep the others, and raise the alarm for that one."""
        if len(jobs) > 1:
            self._alone.extend(jobs)
            return
        self._on_bug(error)
        # By its kind alone: what it was given may stand in its words, and this is told to a client.
        self._later([(jobs[0].done, NotKept(f"a bug of mgate: {type(error).__name__}"))])

    def _later(self, answers: Sequence[tuple[Done, Result]]) -> None:
        self._turn(0.0, lambda: self._answer(answers))

    def _answer(self, answers: Sequence[tuple[Done, Result]]) -> None:
        for done, result in answers:
            try:
                done(result)
            except Exception as error:  # noqa: BLE001  # one caller's bug must not cost the others their answers
                self._on_bug(error)

    def _last(self, jobs: list[_Job]) -> None:
        """At the end of the day nobody else runs: the disk is waited for here."""
        results = self._work(jobs)
        if results is not None:
            self._flush(jobs, results, self._seconds())
        elif self._called:  # there was no room
            for line in self._lines:
                line.clear()

    # ---- on the thread ---------------------------------------------------------------------------------------------

    def _flush(self, jobs: list[_Job], results: Sequence[Result], begun: float) -> None:
        try:
            news = self._store.flush()
            self._tend_for(self._seconds() - begun)
        except StoreFull as error:
            full = error
            self._post(lambda: self._full(jobs, full))
        except Exception as error:  # noqa: BLE001  # a daemon whose writer is dead would keep everybody waiting for ever
            self._broken(error)
        else:
            self._post(lambda: self._flushed(jobs, results, news, begun))

    def _tend(self) -> None:
        try:
            self._tend_for(TEND_LEAST)
        except Exception as error:  # noqa: BLE001  # the same
            self._broken(error)
        self._post(self._free)

    def _tend_for(self, seconds: float) -> None:
        until = self._seconds() + min(max(seconds, TEND_LEAST), TEND_MOST)
        while True:
            self._tending = self._store.tend(int(self._wall() * 1000))
            if not self._tending or self._seconds() >= until:
                return

    def _tidy(self) -> None:
        try:
            self._store.tidy()
        except Exception as error:  # noqa: BLE001  # the same
            self._broken(error)
        self._post(self._free)

    def _close(self) -> None:
        try:
            if not self._over:
                self._store.close()
        except Exception as error:  # noqa: BLE001  # the same
            self._broken(error)

    def _broken(self, error: Exception) -> None:
        if not isinstance(error, StoreBroken):
            self._on_bug(error)
            error = StoreBroken(f"a bug of mgate ended the writer: {type(error).__name__}")
        self._over = self._stopping = True
        self._on_broken(error)


class _Thread:
    """A thread that does one thing after the other."""

    def __init__(self, name: str) -> None:
        self._line: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def do(self, work: Callable[[], None]) -> None:
        self._line.put(work)

    def settle(self) -> None:
        """Come back when all before is done."""
        if not self._thread.is_alive():
            return
        done = threading.Event()
        self._line.put(done.set)
        done.wait()

    def stop(self) -> None:
        """Finish what is in line, and come back when the thread has ended."""
        self._line.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._line.get()) is not None:
            work()


class Asker:
    """The thread that reads: questions wait for each other, never for a commit.

    ``on_bug`` is told of a question that failed; who asked it gets what it named for that case.
    """

    def __init__(
        self, reader: Reader, post: Callable[[Callable[[], None]], None], on_bug: Callable[[Exception], None]
    ) -> None:
        self._reader = reader
        self._post = post
        self._on_bug = on_bug
        self._line: deque[Callable[[], None] | None] = deque()
        self._something = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name="mgate-reader", daemon=True)

    def start(self) -> None:
        """Let the thread begin."""
        self._thread.start()

    def ask(self, question: Callable[[Reader], _T], answer: Callable[[_T], None], otherwise: _T) -> None:
        """Run ``question`` on the reader's thread and give what it returns to ``answer`` on the reactor's.

        ``otherwise`` is the answer when the question cannot be answered; an answer always comes.
        """

        def work() -> None:
            try:
                found = question(self._reader)
            except Exception as error:  # noqa: BLE001  # one bad question must not end the answering of all others
                self._on_bug(error)
                found = otherwise
            self._post(lambda: answer(found))

        self._line.append(work)
        self._something.release()

    def stop(self) -> None:
        """Answer what is in line and come back when the thread has ended."""
        self._line.append(None)
        self._something.release()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._something.acquire()
            question = self._line.popleft()
            if question is None:
                self._reader.close()
                return
            question()
