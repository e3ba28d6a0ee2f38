"""The writer's thread and the reader's: batches, order, a full disk, and answers that always come."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue

import pytest

from mgate.model.outcome import Accepted
from mgate.spool.engine import StoreBroken, StoreFull
from mgate.spool.lifecycle import CannotHappen
from mgate.spool.memory import MemoryStore
from mgate.spool.service import Asker, Writer
from mgate.spool.verbs import End, Ends, Forget, NotKept, Result, Verb, Wake, Woken

LIMIT = 10.0


class Store(MemoryStore):
    """A store whose commits can be held up and made to fail."""

    def __init__(self) -> None:
        super().__init__(lambda period, tag, numbers: False)
        self.batches: list[list[Verb]] = []
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Event()
        self.failures: list[Exception] = []
        self.full = False
        self.closed = False
        self.bad: Verb | None = None

    def work(self, verbs: Sequence[Verb], now: int) -> list[Result]:
        first = not self.entered.is_set()
        self.entered.set()
        assert self.go.wait(LIMIT)
        if self.bad in verbs and not first:
            raise CannotHappen("no")
        if self.full:
            raise StoreFull("SQLITE_FULL")
        if self.failures:
            raise self.failures.pop(0)
        self.batches.append(list(verbs))
        return super().work(verbs, now)

    def close(self) -> None:
        self.closed = True


class Heard:
    """Who hears of what the threads do; ``turn`` plays the reactor."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.bugs: list[Exception] = []
        self.broken: list[StoreBroken] = []
        self.failures: list[str] = []

    def committed(self, rows: int, seconds: float) -> None:
        pass

    def failed(self, reason: str) -> None:
        self.failures.append(reason)

    def turn(self) -> None:
        self.calls.get(timeout=LIMIT)()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def writer(store: Store, heard: Heard) -> Iterator[Writer]:
    made = Writer(store, heard.calls.put, lambda: 1.0, time.monotonic, heard, heard.broken.append, heard.bugs.append)
    made.start()
    yield made
    store.go.set()
    made.stop()


ENDS = Ends((End(1, 1, Accepted("x"), b"", b""),))


def held(store: Store, writer: Writer) -> None:
    """A commit is under way, and everything that is put now goes into the next."""
    store.go.clear()
    writer.put(Wake(1), 1, lambda result: None)
    assert store.entered.wait(LIMIT)


def test_what_gathers_while_a_commit_runs_goes_into_the_next_outcomes_and_urgent_first(
    store: Store, writer: Writer, heard: Heard
) -> None:
    held(store, writer)
    writer.put(Forget(()), 1, lambda result: None)
    writer.put(Wake(2), 1, lambda result: None, urgent=True)
    writer.put(ENDS, 1, lambda result: None)
    store.go.set()
    heard.turn()
    heard.turn()
    assert store.batches[1:] == [[ENDS, Wake(2), Forget(())]]


def test_a_batch_takes_no_more_rows_than_its_bound(store: Store, writer: Writer, heard: Heard) -> None:
    held(store, writer)
    for _ in range(3):
        writer.put(Wake(1), 200, lambda result: None)
    store.go.set()
    for _ in range(3):
        heard.turn()
    assert [len(batch) for batch in store.batches] == [1, 2, 1]


def test_a_full_disk_refuses_all_but_outcomes_which_wait_first_in_line(
    store: Store, writer: Writer, heard: Heard
) -> None:
    held(store, writer)
    store.full = True
    answers: list[Result] = []
    writer.put(Wake(1), 1, answers.append)
    writer.put(ENDS, 1, answers.append)
    store.go.set()
    heard.turn()
    heard.turn()
    assert answers == [NotKept("SQLITE_FULL")]
    store.full = False
    heard.turn()
    assert answers[1:] == [1]
    assert store.batches[-1][0] == ENDS


def test_the_end_of_the_day_comes_on_a_full_disk_too(store: Store, writer: Writer, heard: Heard) -> None:
    store.full = True
    writer.put(ENDS, 1, lambda result: None)
    writer.stop()
    assert store.closed
    assert heard.failures


def test_a_disk_that_cannot_be_trusted_ends_the_writer_and_says_so(store: Store, writer: Writer, heard: Heard) -> None:
    store.failures = [StoreBroken("SQLITE_IOERR")]
    writer.put(Wake(1), 1, lambda result: None)
    writer.stop()
    assert [str(error) for error in heard.broken] == ["SQLITE_IOERR"]
    assert not store.closed


def test_one_verb_that_cannot_happen_costs_no_other_its_answer(store: Store, writer: Writer, heard: Heard) -> None:
    held(store, writer)
    answers: list[Result] = []
    writer.put(Wake(1), 1, answers.append)
    writer.put(Wake(2), 1, answers.append)
    # The commit under way succeeds; then the batch of both fails, and again with the first of them alone.
    store.bad = Wake(1)
    store.go.set()
    for _ in range(3):
        heard.turn()
    assert answers == [NotKept("a bug of mgate: no"), Woken(0)]
    assert [type(error) for error in heard.bugs] == [CannotHappen]


def test_a_caller_that_fails_costs_no_other_its_answer(store: Store, writer: Writer, heard: Heard) -> None:
    held(store, writer)
    answers: list[Result] = []

    def fails(result: Result) -> None:
        raise ValueError("a caller's bug")

    writer.put(Wake(1), 1, fails)
    writer.put(Wake(2), 1, answers.append)
    store.go.set()
    heard.turn()
    heard.turn()
    assert answers == [Woken(0)]
    assert [str(error) for error in heard.bugs] == ["a caller's bug"]


def test_a_question_that_fails_is_answered_all_the_same(store: Store, heard: Heard) -> None:
    asker = Asker(store, heard.calls.put, heard.bugs.append)
    asker.start()
    answers: list[int] = []
    asker.ask(lambda reader: 1 // 0, answers.append, -1)
    asker.ask(lambda reader: len(reader.clients()), answers.append, -1)
    heard.turn()
    heard.turn()
    asker.stop()
    assert answers == [-1, 0]
    assert [type(error) for error in heard.bugs] == [ZeroDivisionError]
