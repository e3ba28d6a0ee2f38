"""What became of a file's messages: the journal is followed, and the desk asked where it cannot tell."""

from collections.abc import Sequence

import pytest

from mgate.intake.drops.book import Change, TakenFile
from mgate.intake.drops.course import Stopped
from mgate.intake.drops.finals import Finals, News
from tests.unit.intake.drops.conftest import NOW, Job, csv_of, run


class Told:
    """A journal of which so much is told at a time, and a desk."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.desk: dict[int, Change] = {}
        self.asked: list[int] = []
        self.lost_before = 0
        self.readable = True

    async def end(self) -> int | None:
        return len(self.changes) if self.readable else None

    async def after(self, place: int, most: int) -> News | None:
        if not self.readable:
            return None
        if place < self.lost_before:
            return News((), self.lost_before, lost=True)
        found = self.changes[place : place + most]
        return News(found, place + len(found))

    async def ask(self, message: int) -> Change | None:
        self.asked.append(message)
        return self.desk.get(message)

    def acknowledge(self, place: int) -> None:
        assert place <= len(self.changes)


class Follow:
    """One folder's finals."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.journal = Told()
        self.now = NOW
        self.written: list[str] = []
        self.stopping = False
        self.finals = self.anew()

    def anew(self) -> Finals:
        """As after a start."""
        job = self.job
        return Finals(
            job.folder, job.book, job.hands, self.journal, lambda: self.now, self._gate, lambda: False, self._written
        )

    def step(self) -> None:
        run(self.finals.step(self.job.book.files()))

    def _gate(self) -> None:
        if self.stopping:
            raise Stopped

    def _written(self, file: TakenFile) -> None:
        self.written.append(file.name)


@pytest.fixture
def follow(job: Job) -> Follow:
    made = Follow(job)
    assert run(made.finals.begin())
    return made


def messages(job: Job) -> list[int]:
    return [int(taken.message) for _, taken in job.shelf.known.values()]


def delivered(ids: Sequence[int]) -> list[Change]:
    return [Change(one, "delivered", "", True, 1_800_000_000_000) for one in ids]


def test_the_final_file_is_written_once_when_all_have_ended(follow: Follow) -> None:
    job = follow.job
    job.put("a", csv_of(700))
    job.take("a")
    ids = messages(job)
    follow.journal.changes = [Change(one, "sent", "", True, 1) for one in ids] + delivered(ids[:-1])
    follow.step()
    assert follow.written == []
    follow.journal.changes += delivered(ids[-1:])
    follow.step()
    follow.step()
    assert follow.written == ["a"]
    lines = job.lines("done", "a", "final")
    assert lines[0] == "line,ref,id,state,reason,may_have_been_sent,at,parts"
    assert lines[1].startswith("2,r0,m")
    assert lines[1].endswith(",delivered,,yes,2027-01-15T08:00:00.000Z,1")
    assert len(lines) == 701
    assert follow.journal.asked == []


def test_a_start_goes_on_where_the_journal_was_read(follow: Follow) -> None:
    follow.job.put("a", csv_of(3))
    follow.job.take("a")
    follow.journal.changes = delivered(messages(follow.job)[:2])
    follow.step()
    follow.finals = follow.anew()
    assert run(follow.finals.begin())
    follow.journal.changes += delivered(messages(follow.job)[2:])
    follow.step()
    assert follow.written == ["a"]


def test_of_a_message_that_had_ended_before_the_desk_is_asked(follow: Follow) -> None:
    job = follow.job
    job.put("a", csv_of(2))
    job.take("a")
    follow.journal.changes = delivered(messages(job))
    follow.step()
    job.put("b", csv_of(2) + "r2,+375291110009,new\n")
    job.take("b")
    follow.journal.desk = {change.message: change for change in delivered(messages(job)[:2])}
    follow.step()
    assert follow.journal.asked == messages(job)[:2]
    assert follow.written == ["a"]
    follow.journal.changes += delivered(messages(job)[2:])
    follow.step()
    assert follow.written == ["a", "b"]
    assert len(job.lines("done", "b", "final")) == 4


def test_when_lives_are_over_it_is_written_as_it_stands(follow: Follow) -> None:
    job = follow.job
    job.put("a", csv_of(2))
    job.take("a")
    one, other = messages(job)
    follow.journal.changes = [Change(one, "uncertain", "link_lost", True, 5)]
    follow.journal.desk = {other: Change(other, "no_receipt", "", True, 6)}
    follow.step()
    assert follow.written == []
    follow.finals = follow.anew()
    assert run(follow.finals.begin())
    follow.now += 86_400 + 72 * 3600 + 7200
    follow.step()
    assert [line.split(",")[3] for line in job.lines("done", "a", "final")[1:]] == ["uncertain", "no_receipt"]


def test_events_that_are_lost_are_asked_for(follow: Follow) -> None:
    job = follow.job
    job.put("a", csv_of(2))
    job.take("a")
    follow.journal.changes = delivered(messages(job))
    follow.journal.desk = {change.message: change for change in follow.journal.changes}
    follow.journal.lost_before = 2
    follow.step()
    assert sorted(follow.journal.asked) == messages(job)
    assert follow.written == ["a"]


def test_nothing_is_handed_in_before_the_place_in_the_journal_is_known(job: Job) -> None:
    made = Follow(job)
    made.journal.readable = False
    assert not run(made.finals.begin())
    made.journal.readable = True
    assert run(made.finals.begin())
    assert job.book.cursor() == 0


def test_a_stop_leaves_the_final_file_for_the_next_start(follow: Follow) -> None:
    follow.job.put("a", csv_of(2))
    follow.job.take("a")
    follow.journal.changes = delivered(messages(follow.job))
    follow.stopping = True
    with pytest.raises(Stopped):
        follow.step()
    assert "a.final.csv" not in follow.job.names("done")
    follow.stopping = False
    follow.step()
    assert follow.written == ["a"]
