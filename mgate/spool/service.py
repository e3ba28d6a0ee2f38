"""The spool's one writer thread, and the group commit that gathers everybody into it.

A commit waits for no timer: what has gathered while the last one ran goes into the next. A batch takes at most 500
rows: outcomes and leases first, in one queue, first in, first out (a second queue once let a lease overtake an
outcome and broke the window); then what is urgent; then the rest. Callers are answered on the reactor's thread, one
call a batch.

When the disk is full (``StoreFull``), nothing of the batch happened: acceptances, leases and receipts are told so,
while outcomes stay first in line until they can be written, because their slots must not be freed before. When the
disk cannot be trusted any more (``StoreBroken``), ``on_broken`` must end the process, and the next start decides.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from mgate.spool.engine import Reader, Store, StoreBroken, StoreFull
from mgate.spool.lifecycle import CannotHappen
from mgate.spool.verbs import Ends, Lease, NotKept, Result, Verb

BATCH: Final = 500
"""Rows a commit takes at most."""

FULL_WAIT: Final = 0.25
"""Seconds until outcomes that found no room are tried again."""

Done = Callable[[Result], None]
_T = TypeVar("_T")


class Numbers(Protocol):
    """What the writer counts; written by its thread, read by whoever shows it."""

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
    """The one thread that writes.

    Args:
        store: used by the writer's thread only, once ``start`` was called.
        post: runs a call on the reactor's thread, such as ``reactor.callFromThread``.
        wall: seconds since 1970; ``seconds``: a monotonic clock.
        on_broken: called on the writer's thread when the disk cannot be trusted; must not come back to it.
        on_bug: told of an event that cannot happen; nothing of its verb was written.
    """

    def __init__(  # built once, by wiring
        self,
        store: Store,
        post: Callable[[Callable[[], None]], None],
        wall: Callable[[], float],
        seconds: Callable[[], float],
        numbers: Numbers,
        on_broken: Callable[[StoreBroken], None],
        on_bug: Callable[[Exception], None],
    ) -> None:
        self._store = store
        self._post = post
        self._wall = wall
        self._seconds = seconds
        self._numbers = numbers
        self._on_broken = on_broken
        self._on_bug = on_bug
        self._lines: tuple[deque[_Job], deque[_Job], deque[_Job]] = (deque(), deque(), deque())
        self._something = threading.Condition()
        self._stopping = False
        self._tending = False
        self.since = 0.0
        """The monotonic moment at which the writer went to the disk; 0.0 while it is not there."""
        self._thread = threading.Thread(target=self._run, name="mgate-writer", daemon=True)

    def start(self) -> None:
        """Let the thread begin."""
        self._tending = True
        self._thread.start()

    def put(self, verb: Verb, rows: int, done: Done, *, urgent: bool = False) -> None:
        """Have a verb of so many rows answered; ``done`` comes on the reactor's thread after its commit."""
        line = 0 if isinstance(verb, Ends | Lease) else 1 if urgent else 2
        with self._something:
            self._lines[line].append(_Job(verb, rows, done))
            self._something.notify()

    def stop(self) -> None:
        """Write what is in line, close the store, and come back when the thread has ended."""
        with self._something:
            self._stopping = True
            self._something.notify()
        self._thread.join()

    # ---- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while jobs := self._take():
                self._commit(jobs)
                self._tending = self._tend()
            self._store.close()
        except StoreBroken as error:
            self._on_broken(error)
        except Exception as error:  # noqa: BLE001  # a daemon whose writer is dead would keep everybody waiting for ever
            self._on_bug(error)
            self._on_broken(StoreBroken(f"a bug of mgate ended the writer: {type(error).__name__}"))

    def _take(self) -> list[_Job]:
        """The next batch; an empty one when the day is over."""
        while True:
            with self._something:
                jobs = self._gather()
                if jobs or self._stopping:
                    return jobs
                if not self._tending:
                    self._something.wait()
                    continue
            self._tending = self._tend()

    def _tend(self) -> bool:
        self.since = self._seconds()
        try:
            return self._store.tend(int(self._wall() * 1000))
        finally:
            self.since = 0.0

    def _gather(self) -> list[_Job]:
        jobs: list[_Job] = []
        room = BATCH
        for line in self._lines:
            while line and (room >= line[0].rows or not jobs):
                job = line.popleft()
                room -= job.rows
                jobs.append(job)
        return jobs

    def _commit(self, jobs: list[_Job]) -> None:
        begun = self._seconds()
        try:
            results = self._write(jobs, begun)
        except StoreFull as error:
            self._put_back(jobs, NotKept(str(error)))
        except CannotHappen as error:
            self._one_by_one(jobs, error)
        else:
            self._numbers.committed(sum(job.rows for job in jobs), self._seconds() - begun)
            self._answer([(job.done, result) for job, result in zip(jobs, results, strict=True)])

    def _write(self, jobs: Sequence[_Job], begun: float) -> Sequence[Result]:
        self.since = begun
        try:
            return self._store.commit([job.verb for job in jobs], int(self._wall() * 1000))
        finally:
            self.since = 0.0

    def _put_back(self, jobs: Sequence[_Job], refusal: NotKept) -> None:
        """Nothing happened: outcomes stay first in line, everybody else is told.

        At the end of the day they are let go: what has no outcome on the disk is in doubt at the next start.
        """
        self._numbers.failed(refusal.reason)
        self._answer([(job.done, refusal) for job in jobs if not isinstance(job.verb, Ends)])
        with self._something:
            if not self._stopping:
                self._lines[0].extendleft(reversed([job for job in jobs if isinstance(job.verb, Ends)]))
                self._something.wait_for(lambda: self._stopping, FULL_WAIT)

    def _one_by_one(self, jobs: list[_Job], error: CannotHappen) -> None:
        """One verb of the batch met an event that cannot happen: keep the others, and raise the alarm for that one."""
        if len(jobs) > 1:
            for job in jobs:
                self._commit([job])
            return
        self._on_bug(error)
        self._answer([(jobs[0].done, NotKept(f"a bug of mgate: {error}"))])

    def _answer(self, answers: Sequence[tuple[Done, Result]]) -> None:
        def speak() -> None:
            for done, result in answers:
                try:
                    done(result)
                except Exception as error:  # noqa: BLE001  # one caller's bug must not cost the others their answers
                    self._on_bug(error)

        self._post(speak)


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
