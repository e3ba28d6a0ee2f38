"""The history that the bench makes is one that the daemon would have left."""

from itertools import pairwise
from pathlib import Path

import pytest
from msgspec import structs

from mgate.config import Config, read
from mgate.model.entry import Told
from mgate.model.message import CLASS_BY_WORD, IdSource, State
from mgate.model.outcome import Accepted
from mgate.model.ports import Slot
from mgate.peers.bench.history import ANSWERED, DAY, HEARD, DayMaker, prepare, ref, write, write_day
from mgate.peers.bench.load import EVERY_CLASS
from mgate.peers.house import Instance
from mgate.seal.keyfile import KeyFile
from mgate.seal.keyring import Keyring
from mgate.seal.record import Sealer
from mgate.seal.tags import Tags
from mgate.spool import story
from mgate.spool.engine import Ending
from mgate.spool.history import HistoryReader, PastRefs
from mgate.spool.memory import MemoryStore
from mgate.spool.rows import Row
from mgate.spool.sealing import Blocks, Sealing
from mgate.spool.story import StoredStory, read_stories
from mgate.spool.verbs import Accept, End, Ends, Hear, Heard, NewMessage

MIDNIGHT = 1_790_035_200 // DAY * DAY
ROUTE = "sms:op-a"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = Instance(tmp_path, 2775, window=10, binds=1).path / "mgate.toml"
    config = read(path)
    config.spool.history.mkdir(parents=True, exist_ok=True)
    prepare(config, MIDNIGHT, MIDNIGHT + DAY)
    return path


def keyring_of(config: Config) -> Keyring:
    return Keyring.open(config.keys.ring, KeyFile(config.keys.kek_file).read())


def sealing_of(keyring: Keyring) -> Sealing:
    return Sealing(keyring, Sealer(keyring, keyring.database), Tags(keyring), IdSource(), str.lower)


def story_of(ending: Ending) -> StoredStory:
    (one,) = read_stories(b"\x91" + ending.story)
    return one


@pytest.mark.parametrize("word", sorted(set(EVERY_CLASS)))
def test_an_ending_is_the_one_that_a_store_gives_for_the_same_message(word: str, file: Path) -> None:
    created = MIDNIGHT * 1000 + 7
    made = DayMaker(read(file), ROUTE).ending(CLASS_BY_WORD[word], "h03-0000035", 35, created)
    told = story_of(made)
    (row,) = told.rows
    (attempt,) = row.tries
    operator_tag, operator_id = attempt.operator_tag or b"", attempt.operator_id or b""
    new = NewMessage(
        row.id, row.client, row.traffic, row.route, 1, created, row.due, row.expires, row.period, made.ref_tag,
        made.content_tag, row.phone_tag, b"", told.envelope, b"body" if word == "otp" else b"",
        (Slot(ROUTE, 0, attempt.reference, urgent=False),),
    )  # fmt: skip
    store = MemoryStore(lambda *_: True)
    store.work([Accept((new,))], created)
    store.work([Ends((End(row.id, 1, Accepted("x"), operator_tag, operator_id),))], created + ANSWERED)
    store.work([Hear((Heard(ROUTE, (operator_tag,), Told.DELIVERED, "", -1, ()),))], created + HEARD)
    (real,) = store.flush().over
    assert structs.replace(made, story=b"", event=0) == structs.replace(real, story=b"", event=0)
    assert told.envelope == story_of(real).envelope
    assert plain(row) == plain(story_of(real).rows[0])


def plain(row: Row) -> Row:
    """Without what is a store's own: the numbers of its journal and its index of operator ids, and its timer."""
    events = [structs.replace(event, sequence=0) for event in row.events]
    return structs.replace(row, timer=0, events=events, tries=[structs.replace(one, place=0) for one in row.tries])


def test_a_day_is_found_by_reference_and_number_and_opens_under_the_instances_keys(file: Path) -> None:
    config = read(file)
    done: list[int] = []
    write_day(file, ROUTE, 3, MIDNIGHT, 50, done.append)
    assert done == [50]
    keyring = keyring_of(config)
    assert len(keyring.periods) >= 26
    sealing = sealing_of(keyring)
    box = Blocks(Sealer(keyring, keyring.database))
    reader = HistoryReader(config.spool.history, box, lambda path, error: pytest.fail(f"{path}: {error}"))
    numbers = sorted((period.number for period in keyring.periods), reverse=True)
    for number in (0, 17, 49):
        tag = sealing.ref_tag("local", ref(3, number))
        (found,) = reader.by_tag([(period, tag) for period in numbers], 2)
        phones = sealing.phone_tags(f"+37529111{number:04d}")
        assert reader.by_tag(list(zip(numbers, phones, strict=True)), 2) == [found]
        head = found.rows[0]
        assert reader.by_id(head.id, numbers) == found
        envelope = sealing.envelope(head, found.envelope)
        assert (envelope.ref, envelope.to) == (ref(3, number), f"+37529111{number:04d}")
        view = story.view_of(found.rows, envelope, sealing.operator_id, 0, in_history=True, admin=True)
        assert (view.state, [event.event for event in view.events]) == ("delivered", ["accepted", "sent", "delivered"])
        assert view.attempts[0].operator_id == f"{head.id:016x}"
        assert (ref(3, number) in envelope.text) is (head.traffic.word != "otp")
        assert PastRefs(config.spool.history).refs([("local", tag)])["local", tag].message == head.id


def test_the_messages_of_a_day_are_spread_over_it_and_no_two_are_alike(file: Path) -> None:
    endings = list(DayMaker(read(file), ROUTE).endings(1, MIDNIGHT, 48))
    moments = [one.created for one in endings]
    assert moments[0] == MIDNIGHT * 1000
    assert {later - earlier for earlier, later in pairwise(moments)} == {DAY * 1000 // 48}
    assert len({one.message for one in endings}) == len({one.ref_tag for one in endings}) == 48
    assert {one.state for one in endings} == {State.DELIVERED}
    assert all(one.created < one.ended for one in endings)


def test_days_are_written_by_processes_and_old_references_are_forgotten(file: Path) -> None:
    write(file, 9, 20, MIDNIGHT + 10 * DAY + 5.0)
    folder = read(file).spool.history
    kept = read(file).spool.reference_days
    assert len(list(folder.glob("refs-*.db"))) == kept == 8
    past = PastRefs(folder)
    assert sum(len(run) for file in past.files() for run in past.tags(file)) == kept * 20
