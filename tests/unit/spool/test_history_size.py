"""History when there is much of it: files at rest are read without locks, and a reference is not sought everywhere."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mgate.model.message import State, TrafficClass
from mgate.seal.errors import SealError
from mgate.spool import history
from mgate.spool.engine import Ending
from mgate.spool.history import HistoryReader, HistoryWriter, story_file
from mgate.spool.rows import JournalRow, Row
from mgate.spool.shelf import StoredHead
from mgate.spool.story import StoredStory, ending_of

NOW = 1_790_000_000_000
DAY = 86_400_000
LONG_AGO = 1_700_000_000_000_000_000


class NoBox:
    def seal(self, period: int, number: int, plain: bytes) -> bytes:
        return plain

    def unseal(self, period: int, number: int, sealed: bytes) -> bytes:
        return sealed


def ending(count: int, period: int = 7, client: str = "local") -> Ending:
    """The ``count``-th message; ten numbers take turns."""
    row = Row(
        NOW + count, 1, 1, client, TrafficClass.SERVICE, "sms:op-a", State.DELIVERED, NOW, NOW, NOW + DAY, NOW, period,
        b"pho%013d" % (count % 10), events=[JournalRow(count, "delivered", "", NOW + 1, True)],
    )  # fmt: skip
    return ending_of(StoredHead(row.id, client, ref(count), b"c" * 16, b"envelope", b"", "", b""), [row])


def ref(count: int) -> bytes:
    return b"ref%013d" % count


def ids(stories: Sequence[StoredStory]) -> list[int]:
    return [story.rows[0].id - NOW for story in stories]


def never(path: Path, error: sqlite3.Error | SealError) -> None:
    raise AssertionError(f"{path}: {error}")


def rested(folder: Path, period: int = 7) -> Path:
    """The file of a period, as if nobody had written it for years."""
    path = story_file(folder, period)
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    return path


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[HistoryWriter]:
    made = HistoryWriter(tmp_path, NoBox())
    yield made
    made.close()


@pytest.fixture
def reader(tmp_path: Path) -> HistoryReader:
    return HistoryReader(tmp_path, NoBox(), never)


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were opened in the way of one that may be written."""
    opened: list[Path] = []
    real = history._reading

    def reading(path: Path) -> sqlite3.Connection:
        opened.append(path)
        return real(path)

    monkeypatch.setattr(history, "_reading", reading)
    return opened


def test_a_file_at_rest_is_read_without_locks_and_leaves_nothing_beside_it(
    tmp_path: Path, writer: HistoryWriter, reader: HistoryReader, locked: list[Path]
) -> None:
    writer.put([ending(count) for count in range(30)], NOW)
    writer.close()
    path = rested(tmp_path)
    assert ids(reader.by_tag([(7, ref(3))], 5)) == [3]
    assert ids(reader.by_tag([(7, b"pho%013d" % 4)], 2)) == [24, 14]
    found = reader.by_id(NOW + 9, [7])
    assert found is not None
    assert not locked
    assert [one.name for one in tmp_path.glob("period-*")] == [path.name]


def test_a_file_whose_newest_rows_stand_in_its_wal_is_read_with_it(
    tmp_path: Path, writer: HistoryWriter, reader: HistoryReader, locked: list[Path]
) -> None:
    writer.put([ending(1)], NOW)
    path = rested(tmp_path)
    assert path.with_name(path.name + "-wal").stat().st_size
    assert ids(reader.by_tag([(7, ref(1))], 5)) == [1]
    assert set(locked) == {path}


def test_a_file_that_was_written_a_moment_ago_is_not_taken_for_one_at_rest(
    writer: HistoryWriter, reader: HistoryReader, locked: list[Path]
) -> None:
    writer.put([ending(1)], NOW)
    writer.close()
    assert ids(reader.by_tag([(7, ref(1))], 5)) == [1]
    assert len(locked) == 1 + 1  # to find the block, and to read it


@pytest.mark.parametrize("closed", [False, True])
def test_a_file_that_is_written_while_it_is_asked_is_asked_again(
    tmp_path: Path, writer: HistoryWriter, reader: HistoryReader, monkeypatch: pytest.MonkeyPatch, *, closed: bool
) -> None:
    writer.put([ending(1)], NOW)
    writer.close()
    rested(tmp_path)
    real, put = history._asked_at_rest, list[int]()

    def asked(path: Path, question: Callable[[sqlite3.Connection], list[Any]]) -> list[Any] | None:
        found = real(path, question)
        if not put:
            put.append(11)
            writer.put([ending(11)], NOW)
            if closed:
                writer.close()
        return found

    monkeypatch.setattr(history, "_asked_at_rest", asked)
    assert ids(reader.by_tag([(7, b"pho%013d" % 1)], 5)) == [11, 1]


def test_a_damaged_file_at_rest_is_told_and_the_others_still_answer(tmp_path: Path, writer: HistoryWriter) -> None:
    told: list[str] = []
    writer.put([ending(1, 7), ending(2, 8)], NOW)
    writer.close()
    path = rested(tmp_path, 7)
    path.write_bytes(b"no database at all " * 500)
    rested(tmp_path, 7)
    reader = HistoryReader(tmp_path, NoBox(), lambda path, error: told.append(path.name))
    assert ids(reader.by_tag([(8, ref(2)), (7, ref(2))], 5)) == [2]
    assert told == [path.name]


def test_a_tag_is_found_in_whichever_bucket_it_stands(
    tmp_path: Path, writer: HistoryWriter, reader: HistoryReader
) -> None:
    for start in range(0, 6000, 500):
        writer.put([ending(count) for count in range(start, start + 500)], NOW)
    writer.close()
    rested(tmp_path)
    (buckets,) = sqlite3.connect(story_file(tmp_path, 7)).execute("SELECT count(DISTINCT bucket) FROM tag").fetchone()
    assert buckets > 2
    for count in (0, 2047, 2048, 4100, 5999):
        assert ids(reader.by_tag([(7, ref(count))], 5)) == [count]


def test_tags_of_several_clients_are_sought_in_one_look_at_each_file(
    tmp_path: Path, writer: HistoryWriter, reader: HistoryReader, locked: list[Path]
) -> None:
    writer.put([ending(1, 8), ending(2, 7), ending(3, 7, "other")], NOW)
    wanted = [(period, ref(count)) for period in (8, 7) for count in (1, 2, 3, 4)]
    assert ids(reader.by_tag(wanted, 20)) == [3, 2, 1]
    assert locked == [story_file(tmp_path, 8)] * 2 + [story_file(tmp_path, 7)] * 2


def test_a_remembered_reference_names_its_message_and_no_file_stays_open(
    tmp_path: Path, writer: HistoryWriter, reader: HistoryReader
) -> None:
    writer.put([ending(1), ending(2)], NOW)
    writer.close()
    wanted = [("local", ref(1)), ("local", ref(5)), ("other", ref(2))]
    before = _open_files()
    assert reader.remembered(wanted) == {("local", ref(1)): NOW + 1}
    assert _open_files() == before


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_references_that_cannot_be_read_are_told_and_nothing_is_remembered(tmp_path: Path) -> None:
    told: list[Path] = []
    (tmp_path / "refs-20260921.db").write_bytes(b"no database at all " * 500)
    reader = HistoryReader(tmp_path, NoBox(), lambda path, error: told.append(path))
    assert reader.remembered([("local", ref(1))]) == {}
    assert told == [tmp_path]
