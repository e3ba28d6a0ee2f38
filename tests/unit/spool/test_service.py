"""The writer and the reader's thread: batches, order, a full disk, and answers that always come.

The reactor is played by hand: ``turn`` runs what is due on its clock, ``disk`` waits for the writer's thread and runs
what it posts.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue

import pytest
from twisted.internet.task import Clock

from mgate.model.outcome import Accepted
from mgate.spool.engine import News, StoreBroken, StoreFull
from mgate.spool.lifecycle import CannotHappen
from mgate.spool.memory import MemoryStore
from mgate.spool.service import BATCH, FULL_WAIT, RUN, Asker, Writer
from mgate.spool.verbs import End, Ends, Forget, Lease, NotKept, Result, Verb, Wake, Woken
from tests.conformance.player import same_number

LIMIT = 10.0


class Store(MemoryStore):
    """A store that says what it was asked, on which thread, and can be made to fail."""

    def __init__(self) -> None:
        super().__init__(same_number)
        self.batches: list[list[Verb]] = []
        self.threads: list[tuple[str, str]] = []
        self.work_fails: list[Exception] = []
        self.flush_fails: list[Exception] = []
        self.bad: dict[int, Exception] = {}
        self.full = False
        self.flushed = self.tidied = self.slices = self.tended = 0
        self.tend_fails: list[Exception] = []
        self.spent = self.commit_takes = 0.0
        self.bearable = 1 << 20
        self.closed = False

    def _here(self, what: str) -> None:
        self.threads.append((what, threading.current_thread().name))

    def work(self, verbs: Sequence[Verb], now: int) -> list[Result]:
        self._here("work")
        for verb in verbs:
            if isinstance(verb, Wake) and verb.limit in self.bad:
                raise self.bad[verb.limit]
        if self.full:
            raise StoreFull("SQLITE_FULL")
        if self.work_fails:
            raise self.work_fails.pop(0)
        self.batches.append(list(verbs))
        return super().work(verbs, now)

    def flush(self) -> News:
        self._here("flush")
        if self.flush_fails:
            raise self.flush_fails.pop(0)
        self.flushed += 1
        self.spent += self.commit_takes
        return super().flush()

    def tend(self, now: int) -> bool:
        self._here("tend")
        if self.tend_fails:
            raise self.tend_fails.pop(0)
        self.tended += 1
        self.spent += 0.004 if self.slices > 0 else 0.0
        self.slices -= 1
        return self.slices > 0

    @property
    def bears(self) -> int:
        return self.bearable

    def tidy(self) -> None:
        self._here("tidy")
        self.tidied += 1

    def close(self) -> None:
        self.closed = True


class House:
    """A writer, and everybody who hears of what it does."""

    def __init__(self) -> None:
        self.store = Store()
        self.clock = Clock()
        self.posted: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.bugs: list[Exception] = []
        self.broken: list[str] = []
        self.failures: list[str] = []
        self.rows: list[int] = []
        self.news: list[News] = []
        self.answers: list[Result] = []
        self.clock.advance(100.0)
        self.writer = Writer(
            self.store, self.clock.callLater, self.posted.put, lambda: 1.0, self._seconds, self, self.news.append,
            lambda error: self.broken.append(str(error)), self.bugs.append,
        )  # fmt: skip

    def _seconds(self) -> float:
        return self.clock.seconds() + self.store.spent

    def committed(self, rows: int, seconds: float) -> None:
        self.rows.append(rows)

    def failed(self, reason: str) -> None:
        self.failures.append(reason)

    def start(self) -> None:
        """Started, and at rest."""
        self.writer.start()
        self.turn()
        self.disk()
        assert self.store.threads == [("tend", "mgate-writer")]
        self.store.threads.clear()

    def put(self, *verbs: Verb, rows: int = 1) -> None:
        for verb in verbs:
            self.writer.put(verb, rows, self.answers.append)

    def turn(self) -> None:
        """What is due on the reactor now."""
        self.clock.advance(0.0)

    def disk(self) -> None:
        """The writer's thread has done what it was at, and the reactor hears of it."""
        self.posted.get(timeout=LIMIT)()

    def commit(self) -> None:
        self.turn()
        self.disk()


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    made.start()
    yield made
    made.store.full = False
    made.writer.stop()


def ends(part: int = 1) -> Ends:
    return Ends((End(part, 1, Accepted("x"), b"", b""),))


# ---- batches -------------------------------------------------------------------------------------------------------


def test_verbs_are_worked_on_here_and_the_disk_is_waited_for_there_and_then_comes_the_answer(house: House) -> None:
    house.put(Wake(1))
    house.turn()
    assert (house.store.batches, house.answers) == ([[Wake(1)]], [])
    house.disk()
    assert house.store.threads == [
        ("work", threading.current_thread().name), ("flush", "mgate-writer"), ("tend", "mgate-writer"),
    ]  # fmt: skip
    assert (house.answers, house.rows, len(house.news)) == ([Woken(0)], [1], 1)


def test_who_hears_of_the_news_hears_before_the_callers(house: House) -> None:
    order: list[object] = []
    house.writer._heard = order.append
    house.writer.put(Wake(1), 1, order.append)
    house.commit()
    assert [type(one) for one in order] == [News, Woken]


def test_what_gathers_while_a_commit_runs_goes_into_the_next_outcomes_and_urgent_first(house: House) -> None:
    house.put(Wake(1))
    house.turn()
    house.put(Forget(()))
    house.writer.put(Wake(2), 1, house.answers.append, urgent=True)
    house.put(ends())
    house.turn()
    assert house.store.batches == [[Wake(1)]]
    house.disk()
    house.commit()
    assert house.store.batches[1:] == [[ends(), Wake(2), Forget(())]]


def test_outcomes_and_leases_stand_in_one_queue(house: House) -> None:
    house.put(Lease(()), ends(1), Lease(()), ends(2))
    house.commit()
    assert house.store.batches == [[Lease(()), ends(1), Lease(()), ends(2)]]


def test_a_batch_takes_no_more_rows_than_its_bound_but_one_verb_at_least(house: House) -> None:
    house.put(Wake(1), Wake(2), Wake(3), rows=200)
    house.put(Wake(4), rows=2 * BATCH)
    house.put(Wake(5))
    for _ in range(4):
        house.commit()
    assert [[verb.limit for verb in batch if isinstance(verb, Wake)] for batch in house.store.batches] == [
        [1, 2], [3], [4], [5],
    ]  # fmt: skip
    assert house.rows == [400, 200, 2 * BATCH, 1]


def test_no_line_is_kept_waiting_by_lines_before_it_that_never_end(house: House) -> None:
    """A verb greater than what was left of a batch stood before all acceptances while messages left without a pause."""
    house.writer.put(Forget(()), 2 * BATCH, house.answers.append)
    house.put(Wake(5))
    for _ in range(2):
        house.put(ends(1), Lease(()), rows=BATCH // 2)
        house.writer.put(Wake(2), BATCH, house.answers.append, urgent=True)
        house.commit()
    assert house.store.batches == [
        [ends(1), Lease(()), Wake(2), Forget(())], [ends(1), Lease(()), Wake(2), Wake(5)],
    ]  # fmt: skip


def test_a_commit_brings_no_more_than_the_store_bears_while_it_reads_in_what_it_remembers(house: House) -> None:
    assert house.writer.run == RUN
    house.store.bearable = 10
    assert house.writer.run == 5
    house.put(Wake(1), Wake(2), Wake(3), rows=5)
    house.commit()
    assert house.store.batches == [[Wake(1), Wake(2)]]
    house.store.bearable = 0
    assert house.writer.run == 1


# ---- a disk that is full -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["work", "flush"])
def test_a_full_disk_refuses_all_but_outcomes_which_wait_first_in_line(house: House, where: str) -> None:
    fails = house.store.work_fails if where == "work" else house.store.flush_fails
    fails.append(StoreFull("SQLITE_FULL"))
    house.put(ends(1), Wake(1), ends(2))
    house.turn()
    house.put(ends(3))
    if where == "flush":
        house.disk()
        house.turn()
    assert house.answers == [NotKept("SQLITE_FULL")]
    assert house.failures == ["SQLITE_FULL"]
    assert house.writer.since == 0.0
    house.put(Wake(2))
    house.clock.advance(FULL_WAIT - 0.01)
    assert len(house.store.batches) == (where == "flush")  # nothing is tried for a while, whoever comes
    house.clock.advance(0.01)
    house.disk()
    assert house.store.batches[-1] == [ends(1), ends(2), ends(3), Wake(2)]
    assert house.answers[1:] == [1, 1, 1, Woken(0)]


@pytest.mark.parametrize("where", ["work", "flush"])
def test_the_end_of_the_day_comes_on_a_full_disk_too(house: House, where: str) -> None:
    house.store.full = where == "work"
    house.store.flush_fails = [StoreFull("SQLITE_FULL")] if where == "flush" else []
    house.put(ends(1), ends(2))
    house.writer.stop()
    assert house.store.closed
    if where == "flush":
        house.disk()
    assert house.failures == ["SQLITE_FULL"]
    assert house.answers == []


def test_the_end_of_the_day_writes_all_that_is_in_line(house: House) -> None:
    house.put(Wake(1))
    house.turn()
    house.put(ends(1), rows=BATCH)
    house.put(ends(2))
    house.writer.stop()
    assert (house.store.closed, house.store.flushed) == (True, 3)
    for _ in range(3):
        house.disk()
    assert house.answers == [Woken(0), 1, 1]
    house.put(Wake(2))
    house.clock.advance(10.0)
    assert len(house.store.batches) == 3


# ---- a disk that cannot be trusted, and bugs -----------------------------------------------------------------------


@pytest.mark.parametrize("where", ["work", "flush"])
def test_a_disk_that_cannot_be_trusted_ends_the_writer_and_says_so(house: House, where: str) -> None:
    (house.store.work_fails if where == "work" else house.store.flush_fails).append(StoreBroken("SQLITE_IOERR"))
    house.put(ends(1))
    house.turn()
    house.put(ends(2))
    house.turn()
    house.writer.stop()
    assert house.broken == ["SQLITE_IOERR"]
    assert (house.answers, house.store.flushed, house.store.closed) == ([], 0, False)
    assert len(house.store.batches) == (where == "flush")


def test_a_writer_that_breaks_at_the_end_of_the_day_writes_no_more(house: House) -> None:
    house.store.work_fails.append(StoreBroken("SQLITE_IOERR"))
    house.put(ends(1), rows=BATCH)
    house.put(ends(2))
    house.writer.stop()
    assert (house.broken, house.store.batches, house.store.closed) == (["SQLITE_IOERR"], [], False)


def test_a_bug_on_the_writers_thread_ends_the_writer_and_is_told_as_a_bug(house: House) -> None:
    house.store.flush_fails.append(ValueError("Code 482913"))
    house.put(Wake(1))
    house.turn()
    house.writer.stop()
    assert house.broken == ["a bug of mgate ended the writer: ValueError"]
    assert [str(error) for error in house.bugs] == ["Code 482913"]
    assert not house.store.closed


@pytest.mark.parametrize("error", [CannotHappen("no"), ValueError("Code 482913")])
def test_one_verb_that_cannot_happen_costs_no_other_its_answer(house: House, error: Exception) -> None:
    house.store.bad = {2: error}
    house.put(Wake(1), Wake(2), Wake(3))
    house.turn()
    for _ in range(2):
        house.disk()
        house.turn()
    # Told by its kind: a client hears this, and the words of an error may hold what it was given.
    assert house.answers == [Woken(0), NotKept(f"a bug of mgate: {type(error).__name__}"), Woken(0)]
    assert house.bugs == [error]
    assert house.store.batches == [[Wake(1)], [Wake(3)]]


def test_a_verb_that_cannot_happen_at_the_end_of_the_day_costs_no_outcome_behind_it(house: House) -> None:
    house.store.bad = {1: CannotHappen("no")}
    house.put(ends(1), rows=BATCH - 1)
    house.put(Wake(1))
    house.put(ends(2), rows=BATCH)
    house.writer.stop()
    assert [ends(1)] in house.store.batches
    assert [ends(2)] in house.store.batches
    assert house.store.closed


def test_a_caller_that_fails_costs_no_other_its_answer(house: House) -> None:
    def fails(result: Result) -> None:
        raise ValueError("a caller's bug")

    house.writer.put(Wake(1), 1, fails)
    house.put(Wake(2))
    house.commit()
    assert house.answers == [Woken(0)]
    assert [str(error) for error in house.bugs] == ["a caller's bug"]


# ---- what the writer says of itself, and does beside ---------------------------------------------------------------


def test_it_says_since_when_it_is_at_the_disk_and_zero_when_it_rests(house: House) -> None:
    assert house.writer.since == 0.0
    house.clock.advance(5.0)
    house.put(Wake(1))
    assert house.writer.since == 0.0
    house.turn()
    house.clock.advance(3.0)
    assert house.writer.since == 105.0
    house.disk()
    assert house.writer.since == 0.0


def test_the_store_tidies_only_when_nothing_else_is_to_be_done(house: House) -> None:
    house.put(Wake(1))
    house.writer.tidy()
    house.turn()
    house.writer.tidy()
    house.disk()
    assert house.store.tidied == 0
    house.writer.tidy()
    house.disk()
    assert (house.store.tidied, house.store.threads[-1]) == (1, ("tidy", "mgate-writer"))
    house.put(Wake(2))
    house.commit()
    assert house.answers == [Woken(0)] * 2


def test_what_comes_while_the_store_tidies_is_next(house: House) -> None:
    house.writer.tidy()
    house.put(Wake(1))
    house.turn()
    assert house.store.batches == []
    house.disk()
    house.commit()
    assert house.answers == [Woken(0)]


def test_work_in_the_background_goes_on_while_idle_and_after_commits_until_there_is_no_more() -> None:
    house = House()
    house.store.slices = 6
    house.writer.start()
    house.writer.tidy()
    house.commit()
    assert house.store.tended == 2  # so many fit into the least that it gets
    house.put(Wake(1))
    house.commit()
    assert (house.store.tended, house.answers) == (4, [Woken(0)])
    house.writer.tidy()  # not before the work in the background is done
    house.commit()
    assert (house.store.tended, house.store.tidied) == (6, 0)
    house.turn()
    house.writer.tidy()
    house.disk()
    assert (house.store.tended, house.store.tidied) == (6, 1)
    house.writer.stop()


def test_work_in_the_background_that_comes_up_later_is_begun_after_a_commit(house: House) -> None:
    house.store.slices = 3
    house.put(Wake(1))
    house.commit()
    house.commit()
    assert house.store.slices == 0


def test_a_slow_commit_gives_the_work_in_the_background_as_long() -> None:
    """What is missing to it may be what makes commits slow: with one slice a commit a start took ten minutes."""
    house = House()
    house.store.slices = 1_000
    house.writer.start()
    house.commit()
    before = house.store.tended
    house.store.commit_takes = 0.04
    house.put(Wake(1))
    house.commit()
    assert 10 <= house.store.tended - before <= 12
    house.writer.stop()


def test_work_in_the_background_that_fails_ends_the_writer() -> None:
    house = House()
    house.store.tend_fails = [StoreBroken("SQLITE_IOERR")]
    house.writer.start()
    house.turn()
    house.disk()
    house.put(Wake(1))
    house.turn()
    house.writer.stop()
    assert (house.broken, house.store.batches, house.store.closed) == (["SQLITE_IOERR"], [], False)


# ---- the reader's thread -------------------------------------------------------------------------------------------


def test_a_question_that_fails_is_answered_all_the_same() -> None:
    house = House()
    asker = Asker(house.store, house.posted.put, house.bugs.append)
    asker.start()
    answers: list[int] = []
    asker.ask(lambda reader: 1 // 0, answers.append, -1)
    asker.ask(lambda reader: len(reader.clients()), answers.append, -1)
    house.disk()
    house.disk()
    asker.stop()
    assert answers == [-1, 0]
    assert [type(error) for error in house.bugs] == [ZeroDivisionError]
