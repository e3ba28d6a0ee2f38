"""History: sealed files of ended messages, and the references that are remembered beside them."""

import sqlite3
from pathlib import Path

from mgate.model.message import State
from mgate.spool.history import HistoryReader, HistoryWriter, PastRefs, SealedStory, story_file

NOW = 1_790_000_000_000
DAY = 86_400_000


def story(count: int, period: int = 7) -> SealedStory:
    return SealedStory(
        message=NOW + count, parts=1, client="local", traffic=4, state=State.DELIVERED, created=NOW, expires=NOW + DAY,
        ended=NOW + 1, period=period, ref_tag=b"ref%013d" % count, content_tag=b"con%013d" % count,
        phone_tag=b"pho%013d" % (count % 2), sealed=b"sealed %d" % count, event=count,
    )  # fmt: skip


class Damage:
    def __init__(self) -> None:
        self.told: list[Path] = []

    def __call__(self, path: Path, error: sqlite3.Error) -> None:
        self.told.append(path)


def test_a_story_is_found_by_its_id_its_reference_and_its_number(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path)
    writer.put([story(1), story(2), story(3)], NOW)
    writer.close()
    reader = HistoryReader(tmp_path, Damage())
    found = reader.by_id(NOW + 2, [6, 7])
    assert found is not None
    assert (found.sealed, found.period) == (b"sealed 2", 7)
    assert reader.by_id(NOW + 9, [6, 7]) is None
    assert [one.message for one in reader.by_tag("ref_tag", [(7, story(3).ref_tag)], 5)] == [NOW + 3]
    assert [one.message for one in reader.by_tag("phone_tag", [(7, story(1).phone_tag)], 5)] == [NOW + 3, NOW + 1]


def test_a_move_that_is_made_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path)
    writer.put([story(1)], NOW)
    writer.put([story(1)], NOW)
    (rows,) = sqlite3.connect(story_file(tmp_path, 7)).execute("SELECT count(*) FROM story").fetchone()
    assert rows == 1
    assert PastRefs(tmp_path).refs([("local", story(1).ref_tag)])["local", story(1).ref_tag].message == NOW + 1


def test_references_are_remembered_by_the_day_of_ending_and_forgotten_by_the_file(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path)
    writer.put([story(1)], NOW)
    writer.put([story(2)], NOW + DAY)
    past = PastRefs(tmp_path)
    wanted = [("local", story(1).ref_tag), ("local", story(2).ref_tag), ("other", story(1).ref_tag)]
    assert set(past.refs(wanted)) == {wanted[0], wanted[1]}
    assert sorted(tag for run in past.tags() for tag in run) == [story(1).ref_tag, story(2).ref_tag]
    assert len(writer.drop_refs_before(NOW + DAY)) == 1
    assert set(past.refs(wanted)) == {wanted[1]}


def test_a_period_goes_with_its_file(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path)
    writer.put([story(1, period=7), story(2, period=8)], NOW)
    writer.drop_period(7)
    assert not list(tmp_path.glob("period-00000007.db*"))
    assert HistoryReader(tmp_path, Damage()).by_id(NOW + 2, [7, 8]) is not None


def test_a_damaged_file_is_told_and_the_others_still_answer(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path)
    writer.put([story(1, period=7), story(2, period=8)], NOW)
    writer.close()
    story_file(tmp_path, 8).write_bytes(b"no database at all" * 300)
    damage = Damage()
    reader = HistoryReader(tmp_path, damage)
    tags = [(8, story(1).phone_tag), (7, story(1).phone_tag)]
    assert [one.message for one in reader.by_tag("phone_tag", tags, 5)] == [NOW + 1]
    assert damage.told == [story_file(tmp_path, 8)]
