"""The keeper: what has ended moves in rounds, and whatever fails on the way is found again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

import pytest
from twisted.internet.task import Clock

from mgate.seal.keyfile import Kek
from mgate.seal.keyring import Cut, Group, Keyring
from mgate.spool.engine import Ending, Reader
from mgate.spool.front import Front
from mgate.spool.history import BLOCK, HistoryWriter
from mgate.spool.keeper import MOST_WAITING, MOVE_EVERY, TRIM_EVERY, WAKE_EVERY, HistoryThread, Keeper, Over
from mgate.spool.verbs import NotKept, Trim, Woken
from tests.unit.spool.test_history import NOW, ending

_T = TypeVar("_T")
SERVICE = Group("service", Cut.DAY, 2 * 86_400)


class Spool(Front):
    """The spool as the keeper sees it: what has ended in it, by hand."""

    def __init__(self) -> None:
        self.ended: dict[int, Ending] = {}
        self.forgets: list[list[int]] = []
        self.refuse_forget = 0
        self.woken: list[int] = []
        self.wakes = self.looks = self.tidied = 0
        self.trims: list[Trim] = []
        self.alive: set[int] = set()

    def wake(self, limit: int, done: Callable[[Woken | NotKept], None]) -> None:
        self.wakes += 1
        done(Woken(self.woken.pop(0) if self.woken else 0))

    def forget(self, messages: Sequence[tuple[int, int]], done: Callable[[int | NotKept], None]) -> None:
        if self.refuse_forget:
            self.refuse_forget -= 1
            done(NotKept("SQLITE_FULL"))
            return
        self.forgets.append([message - NOW for message, _ in messages])
        for message, event in messages:
            if message in self.ended and self.ended[message].event == event:
                del self.ended[message]
        done(len(messages))

    def trim(self, trim: Trim, done: Callable[[int | NotKept], None]) -> None:
        self.trims.append(trim)
        done(0)

    def tidy(self) -> None:
        self.tidied += 1

    def ask(self, question: Callable[[Reader], _T], answer: Callable[[_T], None], otherwise: _T) -> None:
        answer(question(cast("Reader", SpoolReader(self))))


class SpoolReader:
    """What a reader of it says."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool

    def ended(self, now: int, after: int, limit: int) -> tuple[list[Ending], int]:
        self.spool.looks += 1
        found = [self.spool.ended[message] for message in sorted(self.spool.ended) if message > after][:limit]
        return found, found[-1].message if len(found) == limit else 0

    def periods(self) -> set[int]:
        return self.spool.alive


class Files(HistoryWriter):
    """History's files: what was put into them, one list a round."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.fails = 0
        self.dropped: list[int] = []
        self.refs_before: list[int] = []

    def put(self, endings: Sequence[Ending], now: int) -> None:
        if self.fails:
            self.fails -= 1
            raise OSError("no room")
        self.rounds.append([one.message - NOW for one in endings])

    def drop_period(self, period: int) -> None:
        self.dropped.append(period)

    def drop_refs_before(self, moment: int) -> list[Path]:
        self.refs_before.append(moment)
        return []


class Thread(HistoryThread):
    """Its work waits until ``do`` is called."""

    def __init__(self) -> None:
        self.files = Files()
        self.line: list[Callable[[], None]] = []
        self.checkpoint_fails: Exception | None = None

    def run(self, work: Callable[[HistoryWriter], _T], answer: Callable[[_T | Exception], None]) -> None:
        def do() -> None:
            try:
                found: _T | Exception = work(self.files)
            except OSError as error:
                found = error
            answer(found)

        self.line.append(do)

    def checkpoint(self, least: int, answer: Callable[[Exception | None], None]) -> None:
        self.line.append(lambda: answer(self.checkpoint_fails))

    def do(self) -> None:
        line, self.line = self.line, []
        for work in line:
            work()


class House:
    def __init__(self, folder: Path) -> None:
        self.clock, self.spool, self.thread, self.over = Clock(), Spool(), Thread(), Over()
        self.clock.advance(NOW / 1000)
        self.ring = Keyring.create(folder, Kek(bytes(range(32))), bytes(16))
        self.said: list[str] = []
        self.keeper = Keeper(
            self.spool, self.thread, self.over, self.ring, (SERVICE,), 7, 30, self.clock, self.clock.seconds, self
        )

    def moved(self, messages: int) -> None:
        self.said.append(f"moved {messages}")

    def dropped(self, period: int) -> None:
        self.said.append(f"dropped {period}")

    def failed_round(self, what: str, error: Exception) -> None:
        self.said.append(f"{what}: {error}")

    def ends(self, *counts: int, told: bool = True) -> None:
        """These messages end; a commit tells of it unless it was before the start."""
        made = [ending(count) for count in counts]
        self.spool.ended.update({one.message: one for one in made})
        if told:
            self.over.add(made)

    def go_on(self, seconds: float = MOVE_EVERY, times: int = 1) -> None:
        for _ in range(times):
            self.clock.advance(seconds)
            self.thread.do()

    @property
    def rounds(self) -> list[list[int]]:
        return self.thread.files.rounds


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


# ---- moving --------------------------------------------------------------------------------------------------------


def test_what_ended_together_moves_together_and_is_forgotten_when_history_has_it(house: House) -> None:
    house.keeper.start()
    house.thread.do()
    house.ends(1, 2)
    house.ends(3)
    house.clock.advance(MOVE_EVERY)
    assert house.spool.forgets == []
    house.thread.do()
    assert (house.rounds, house.spool.forgets, house.said) == ([[1, 2, 3]], [[1, 2, 3]], ["moved 3"])
    house.go_on(times=20)
    assert (len(house.rounds), house.spool.ended) == (1, {})


def test_one_round_is_under_way_at_a_time_and_takes_no_more_than_a_block(house: House) -> None:
    house.keeper.start()
    house.thread.do()
    house.ends(*range(2 * BLOCK + 1))
    house.clock.advance(MOVE_EVERY)
    house.clock.advance(5.0)
    house.thread.do()
    assert [len(one) for one in house.rounds] == [BLOCK]
    house.go_on(0.0)  # as many again: it does not wait
    house.go_on(0.0)
    assert [len(one) for one in house.rounds] == [BLOCK, BLOCK]
    house.go_on()
    assert [len(one) for one in house.rounds] == [BLOCK, BLOCK, 1]


def test_a_history_that_fails_is_told_and_what_it_was_given_is_found_again(house: House) -> None:
    house.keeper.start()
    house.thread.do()
    house.thread.files.fails = 2
    house.ends(1, 2)
    house.go_on()
    house.ends(3)
    assert (house.said, house.spool.forgets) == (["history: no room"], [])
    house.go_on(1.0, times=6)
    assert house.said[:2] == ["history: no room"] * 2
    assert (house.spool.ended, sorted({count for one in house.rounds for count in one})) == ({}, [1, 2, 3])


def test_what_could_not_be_forgotten_is_moved_again(house: House) -> None:
    house.keeper.start()
    house.thread.do()
    house.spool.refuse_forget = 1
    house.ends(1)
    house.go_on(times=5)
    assert (house.rounds, house.spool.forgets, house.said) == ([[1], [1]], [[1]], ["moved 1"])


def test_what_ended_before_the_start_is_looked_for_in_slices(house: House) -> None:
    house.ends(*range(1, BLOCK + 11), told=False)
    house.keeper.start()
    house.go_on(times=30)
    assert sorted(count for one in house.rounds for count in one) == list(range(1, BLOCK + 11))
    assert (house.spool.ended, house.spool.looks) == ({}, 2)


def test_more_than_may_wait_is_left_in_the_spool_and_found_again(house: House) -> None:
    house.keeper.start()
    house.thread.do()
    house.ends(*range(MOST_WAITING))
    house.ends(MOST_WAITING, MOST_WAITING + 1)
    assert (len(house.over), house.over.missed) == (MOST_WAITING, True)
    house.go_on(times=100)
    assert house.spool.ended == {}
    assert len({count for one in house.rounds for count in one}) == MOST_WAITING + 2


def test_a_keeper_that_stopped_begins_nothing_more(house: House) -> None:
    house.keeper.start()
    house.thread.do()
    house.keeper.stop()
    house.ends(1)
    house.go_on(TRIM_EVERY, times=3)
    assert (house.rounds, house.clock.getDelayedCalls()) == ([], [])


# ---- the clock, the WAL, and throwing away -------------------------------------------------------------------------


def test_the_clock_is_looked_at_again_at_once_while_much_is_due(house: House) -> None:
    house.spool.woken = [200, 200, 7]
    house.keeper.start()
    house.clock.advance(0.0)
    assert house.spool.wakes == 3
    house.clock.advance(WAKE_EVERY)
    assert house.spool.wakes == 4


def test_a_checkpoint_that_fails_is_told_once_until_it_goes_well_again(house: House) -> None:
    house.thread.checkpoint_fails = OSError("no room")
    house.keeper.start()
    house.go_on(1.0, times=4)
    assert house.said == ["checkpoint: no room"]
    house.thread.checkpoint_fails = None
    house.go_on(1.0, times=2)
    house.thread.checkpoint_fails = OSError("no room")
    house.go_on(1.0, times=3)
    assert house.said == ["checkpoint: no room"] * 2
    assert house.spool.tidied > 5


def test_what_is_kept_for_a_while_is_trimmed_by_its_days(house: House) -> None:
    house.keeper.start()
    house.thread.do()
    (trim,) = house.spool.trims
    assert NOW - trim.journal_before == 30 * 86_400_000
    assert NOW - house.thread.files.refs_before[0] == 7 * 86_400_000
    house.keeper.apply((SERVICE,), 1, 2)
    house.clock.advance(TRIM_EVERY)
    assert NOW + int(TRIM_EVERY * 1000) - house.spool.trims[1].journal_before == 2 * 86_400_000


def test_a_period_whose_retention_ended_goes_key_first_but_not_while_something_live_needs_it(house: House) -> None:
    house.keeper.start()
    house.thread.do()
    period = house.ring.period_at("service", NOW / 1000).number
    house.spool.alive = {period}
    house.clock.advance(4 * 86_400)
    house.thread.do()
    assert period in {one.number for one in house.ring.periods}
    house.spool.alive = set()
    house.keeper.hold()
    house.go_on(TRIM_EVERY)
    assert period in {one.number for one in house.ring.periods}
    house.keeper.go_on()
    house.clock.advance(TRIM_EVERY)
    assert period not in {one.number for one in house.ring.periods}
    assert house.thread.files.dropped == []
    house.thread.do()
    assert (house.thread.files.dropped, house.said) == ([period], [f"dropped {period}"])
