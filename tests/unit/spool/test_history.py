"""History: sealed blocks of ended messages, and the references that are remembered beside them."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from mgate.model.message import Fate, State, TrafficClass
from mgate.seal.errors import NoKey, SealError, Tampered
from mgate.seal.keyfile import Kek
from mgate.seal.keyring import Cut, Group, Keyring
from mgate.seal.record import Sealer
from mgate.spool.engine import Ending
from mgate.spool.history import BLOCK, STRAGGLER, HistoryReader, HistoryWriter, PastRefs, story_file
from mgate.spool.rows import Attempt, JournalRow, Row
from mgate.spool.sealing import Blocks
from mgate.spool.shelf import StoredHead
from mgate.spool.story import StoredStory, ending_of

NOW = 1_790_000_000_000
DAY = 86_400_000


class PlainBox:
    """Seals nothing, and knows its place: a block opens where it was sealed, and undamaged."""

    def seal(self, period: int, number: int, plain: bytes) -> bytes:
        return f"{period}/{number}:".encode() + plain

    def unseal(self, period: int, number: int, sealed: bytes) -> bytes:
        here = f"{period}/{number}:".encode()
        if not sealed.startswith(here):
            raise Tampered("it is not what was sealed for this place")
        return sealed.removeprefix(here)


def ending(
    count: int, period: int = 7, state: State = State.DELIVERED, after: int = 1, parts: int = 1, event: int = 0
) -> Ending:
    """The ``count``-th message, which ended so long after its acceptance; half of them go to one number."""
    rows = [
        Row(
            NOW + count + n, n + 1, parts, "local", TrafficClass.SERVICE, "sms:op-a", state, NOW, NOW, NOW + DAY, NOW,
            period, b"pho%013d" % (count % 2), burned=1,
            tries=[Attempt(1, "sms:op-a", 0, 9, NOW, Fate.DELIVERED, NOW, NOW + after, operator_id=b"sealed id")],
        )
        for n in range(parts)
    ]  # fmt: skip
    rows[0].events = [JournalRow(event or 2 * count, "delivered", "", NOW + after, True)]
    head = StoredHead(
        NOW + count, "local", b"ref%013d" % count, b"con%013d" % count, b"envelope %d" % count, b"", "", b""
    )
    return ending_of(head, rows)


def ref(count: int) -> bytes:
    return ending(count).ref_tag


class Damage:
    def __init__(self) -> None:
        self.told: list[tuple[str, type[Exception]]] = []

    def __call__(self, path: Path, error: sqlite3.Error | SealError) -> None:
        self.told.append((path.name, type(error)))


def never(path: Path, error: sqlite3.Error | SealError) -> None:
    raise AssertionError(f"{path}: {error}")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[HistoryWriter]:
    made = HistoryWriter(tmp_path, PlainBox())
    yield made
    made.close()


@pytest.fixture
def reader(tmp_path: Path) -> HistoryReader:
    return HistoryReader(tmp_path, PlainBox(), never)


def ids(stories: Sequence[StoredStory]) -> list[int]:
    return [story.rows[0].id - NOW for story in stories]


def blocks(folder: Path, period: int = 7) -> list[tuple[int, int, int, int]]:
    file = sqlite3.connect(story_file(folder, period))
    found = file.execute("SELECT id, first - ?1, last - ?1, stories FROM block ORDER BY id", (NOW,)).fetchall()
    file.close()
    return found


# ---- what is found -------------------------------------------------------------------------------------------------


def test_a_story_is_found_by_its_id_its_reference_and_its_number(writer: HistoryWriter, reader: HistoryReader) -> None:
    writer.put([ending(1), ending(2), ending(3)], NOW)
    found = reader.by_id(NOW + 2, [6, 7])
    assert found is not None
    assert (found.envelope, found.rows[0].period) == (b"envelope 2", 7)
    assert reader.by_id(NOW + 9, [6, 7]) is None
    assert reader.by_id(NOW + 2, [6]) is None
    assert ids(reader.by_tag([(7, ref(3))], 5)) == [3]
    assert ids(reader.by_tag([(7, ending(1).phone_tag)], 5)) == [3, 1]
    assert reader.by_tag([(6, ref(3)), (7, b"no such tag")], 5) == []


def test_a_story_is_the_message_as_it_stood_with_all_its_parts(writer: HistoryWriter, reader: HistoryReader) -> None:
    writer.put([ending(1, parts=3)], NOW)
    found = reader.by_id(NOW + 1, [7])
    assert found is not None
    assert [(row.id - NOW, row.n, row.parts, row.tries[0].operator_id) for row in found.rows] == [
        (1, 1, 3, b"sealed id"), (2, 2, 3, b"sealed id"), (3, 3, 3, b"sealed id"),
    ]  # fmt: skip
    assert [event.event for event in found.rows[0].events] == ["delivered"]
    assert found.rows == msgspec.msgpack.decode(ending(1, parts=3).story, type=StoredStory).rows


def test_the_newest_stories_of_a_number_come_first_and_no_more_than_asked_for(
    writer: HistoryWriter, reader: HistoryReader
) -> None:
    writer.put([ending(count) for count in range(1, 40)], NOW)
    writer.put([ending(count, period=8) for count in range(41, 60)], NOW)
    tag = ending(1).phone_tag
    assert ids(reader.by_tag([(8, tag), (7, tag)], 3)) == [59, 57, 55]
    assert ids(reader.by_tag([(8, tag), (7, tag)], 12)) == [*range(59, 40, -2), 39, 37]
    assert ids(reader.by_tag([(7, tag)], 100)) == [*range(39, 0, -2)]


def test_a_message_that_was_moved_twice_is_told_as_it_last_stood(
    tmp_path: Path, writer: HistoryWriter, reader: HistoryReader
) -> None:
    writer.put([ending(1, state=State.NO_RECEIPT, event=4), ending(2)], NOW)
    writer.put([ending(1, state=State.DELIVERED, event=9), ending(3)], NOW)
    stories = [reader.by_id(NOW + 1, [7]), *reader.by_tag([(7, ref(1))], 5)]
    assert [story.rows[0].event for story in stories if story is not None] == [9, 9]
    assert ids(reader.by_tag([(7, ending(1).phone_tag)], 5)) == [3, 1]
    assert PastRefs(tmp_path).refs([("local", ref(1))])["local", ref(1)].state is State.DELIVERED


# ---- blocks --------------------------------------------------------------------------------------------------------


def test_a_message_asked_for_by_its_id_or_reference_opens_one_block_of_those_written_then(
    tmp_path: Path, writer: HistoryWriter
) -> None:
    class Counting(PlainBox):
        opened = 0

        def unseal(self, period: int, number: int, sealed: bytes) -> bytes:
            self.opened += 1
            return super().unseal(period, number, sealed)

    for late in range(1, 9):  # every block reaches from the first message to its own
        writer.put([ending(10 - late), ending(10 + late)], NOW)
    box = Counting()
    reader = HistoryReader(tmp_path, box, never)
    assert reader.by_id(NOW + 18, [7]) is not None
    assert box.opened == 1
    assert reader.by_tag([(7, ref(11))], 1)[0].rows[0].id == NOW + 11
    assert box.opened == 2


def test_what_ends_together_is_sealed_together_but_stragglers_apart(
    tmp_path: Path, writer: HistoryWriter, reader: HistoryReader
) -> None:
    late = ending(1, after=STRAGGLER + 1)
    writer.put([late, *(ending(count, after=STRAGGLER) for count in range(500, 510)), ending(3, period=8)], NOW)
    assert blocks(tmp_path) == [(1, 500, 509, 10), (2, 1, 1, 1)]
    assert blocks(tmp_path, 8) == [(1, 3, 3, 1)]
    assert [reader.by_id(NOW + count, [8, 7]) is not None for count in (1, 3, 500, 509)] == [True] * 4


def test_a_block_holds_no_more_than_its_bound(tmp_path: Path, writer: HistoryWriter, reader: HistoryReader) -> None:
    writer.put([ending(count) for count in range(2 * BLOCK + 1)], NOW)
    assert [stories for *_, stories in blocks(tmp_path)] == [BLOCK, BLOCK, 1]
    assert ids(reader.by_tag([(7, ref(count)) for count in (0, BLOCK, 2 * BLOCK)], 5)) == [2 * BLOCK, BLOCK, 0]


def test_a_writer_that_begins_again_goes_on_with_the_next_block(
    tmp_path: Path, writer: HistoryWriter, reader: HistoryReader
) -> None:
    writer.put([ending(1)], NOW)
    writer.close()
    again = HistoryWriter(tmp_path, PlainBox())
    again.put([ending(2)], NOW)
    again.close()
    assert [number for number, *_ in blocks(tmp_path)] == [1, 2]
    assert ids(reader.by_tag([(7, ref(1)), (7, ref(2))], 5)) == [2, 1]


def test_more_periods_at_once_than_files_that_stay_open(writer: HistoryWriter, reader: HistoryReader) -> None:
    for more in (0, 100):
        writer.put([ending(count + more, period=count) for count in range(1, 20)], NOW)
    assert [reader.by_id(NOW + count, [count % 100]) is not None for count in (1, 19, 101, 119)] == [True] * 4


# ---- references ----------------------------------------------------------------------------------------------------


def test_references_are_remembered_by_the_day_of_ending_and_forgotten_by_the_file(
    tmp_path: Path, writer: HistoryWriter
) -> None:
    writer.put([ending(1)], NOW)
    writer.put([ending(2)], NOW + DAY)
    past = PastRefs(tmp_path)
    wanted = [("local", ref(1)), ("local", ref(2)), ("other", ref(1))]
    known = past.refs(wanted)
    assert set(known) == {wanted[0], wanted[1]}
    assert known[wanted[0]].message == NOW + 1
    assert (known[wanted[0]].content_tag, known[wanted[0]].state) == (ending(1).content_tag, State.DELIVERED)
    assert sorted(tag for file in past.files() for run in past.tags(file) for tag in run) == [ref(1), ref(2)]
    assert len(writer.drop_refs_before(NOW + DAY)) == 1
    assert set(past.refs(wanted)) == {wanted[1]}


def test_a_reference_that_was_moved_again_on_another_day_is_known_as_it_last_stood(
    tmp_path: Path, writer: HistoryWriter
) -> None:
    writer.put([ending(1, state=State.NO_RECEIPT)], NOW)
    writer.put([ending(1, state=State.DELIVERED)], NOW + DAY)
    assert PastRefs(tmp_path).refs([("local", ref(1))])["local", ref(1)].state is State.DELIVERED


def test_a_file_of_references_that_is_just_being_made_is_asked_later(tmp_path: Path, writer: HistoryWriter) -> None:
    past = PastRefs(tmp_path)
    unfinished = tmp_path / "refs-20260921.db"
    unfinished.touch()
    assert past.refs([("local", ref(1))]) == {}
    unfinished.unlink()
    writer.put([ending(1)], NOW)
    assert len(past.refs([("local", ref(1))])) == 1


# ---- what goes, and what is damaged --------------------------------------------------------------------------------


def test_a_period_goes_with_its_file(tmp_path: Path, writer: HistoryWriter, reader: HistoryReader) -> None:
    writer.put([ending(1, period=7), ending(2, period=8)], NOW)
    writer.drop_period(7)
    writer.drop_period(7)
    assert not list(tmp_path.glob("period-00000007.db*"))
    assert reader.by_id(NOW + 1, [7, 8]) is None
    assert reader.by_id(NOW + 2, [7, 8]) is not None


def test_a_damaged_file_is_told_and_the_others_still_answer(tmp_path: Path, writer: HistoryWriter) -> None:
    writer.put([ending(1, period=7), ending(3, period=8)], NOW)
    writer.close()
    story_file(tmp_path, 8).write_bytes(b"no database at all" * 300)
    damage = Damage()
    reader = HistoryReader(tmp_path, PlainBox(), damage)
    tag = ending(1).phone_tag
    assert ids(reader.by_tag([(8, tag), (7, tag)], 5)) == [1]
    assert reader.by_id(NOW + 1, [8, 7]) is not None
    assert damage.told == [("period-00000008.db", sqlite3.DatabaseError)] * 2


@pytest.mark.parametrize(
    "left",
    ["", "PRAGMA user_version = 1", "CREATE TABLE block (id INTEGER PRIMARY KEY, first, last, stories, sealed)"],
)
def test_a_file_that_a_power_cut_left_before_its_first_block_is_empty_and_not_damaged(
    tmp_path: Path, writer: HistoryWriter, left: str
) -> None:
    with closing(sqlite3.connect(story_file(tmp_path, 7))) as file:
        file.executescript(left)
    reader = HistoryReader(tmp_path, PlainBox(), never)
    assert reader.by_id(NOW + 1, [7]) is None
    assert reader.by_tag([(7, ref(1))], 10) == []
    assert reader.blocks(7, 0, NOW * 2) == []
    writer.put([ending(1)], NOW)
    assert ids(reader.by_tag([(7, ref(1))], 10)) == [1]


def test_blocks_without_their_tags_are_damage(tmp_path: Path, writer: HistoryWriter) -> None:
    writer.put([ending(1)], NOW)
    with closing(sqlite3.connect(story_file(tmp_path, 7))) as file:
        file.execute("DROP TABLE tag")
    damage = Damage()
    assert HistoryReader(tmp_path, PlainBox(), damage).by_tag([(7, ref(1))], 10) == []
    assert damage.told == [("period-00000007.db", sqlite3.OperationalError)]


def test_a_damaged_block_is_told_and_the_others_still_answer(tmp_path: Path, writer: HistoryWriter) -> None:
    for count in (1, 3, 5):
        writer.put([ending(count)], NOW)
    writer.close()
    file = sqlite3.connect(story_file(tmp_path, 7), isolation_level=None)
    file.execute("UPDATE block SET sealed = (SELECT sealed FROM block WHERE id = 1) WHERE id = 2")
    file.close()
    damage = Damage()
    reader = HistoryReader(tmp_path, PlainBox(), damage)
    assert ids(reader.by_tag([(7, ending(1).phone_tag)], 5)) == [5, 1]
    assert damage.told == [("period-00000007.db", Tampered)]
    assert reader.by_id(NOW + 3, [7]) is None
    assert len(damage.told) == 2


# ---- under a real seal ---------------------------------------------------------------------------------------------


def test_blocks_are_sealed_for_their_place_and_gone_with_their_key(tmp_path: Path) -> None:
    (tmp_path / "ring").mkdir()
    ring = Keyring.create(tmp_path / "ring", Kek(bytes(range(32))), bytes(16))
    ring.prepare((Group("service", Cut.DAY, 90 * 86_400),), NOW / 1000)
    period = ring.period_at("service", NOW / 1000).number
    box = Blocks(Sealer(ring, ring.database))
    writer = HistoryWriter(tmp_path, box)
    for count in (1, 3):
        writer.put([ending(count, period=period)], NOW)
    writer.close()
    damage = Damage()
    reader = HistoryReader(tmp_path, Blocks(Sealer(ring, ring.database)), damage)
    tag = ending(1).phone_tag
    assert ids(reader.by_tag([(period, tag)], 5)) == [3, 1]
    path = story_file(tmp_path, period)
    octets = b"".join(one.read_bytes() for one in tmp_path.glob(f"{path.name}*"))
    assert (b"envelope 1" in octets, ref(1) in octets) == (False, True)

    file = sqlite3.connect(path, isolation_level=None)
    file.execute("UPDATE block SET sealed = (SELECT sealed FROM block WHERE id = 1) WHERE id = 2")
    file.close()
    assert ids(reader.by_tag([(period, tag)], 5)) == [1]
    ring.destroy(period)
    assert reader.by_tag([(period, tag)], 5) == []
    assert [kind for _, kind in damage.told] == [Tampered, NoKey, NoKey]
