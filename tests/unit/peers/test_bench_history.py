"""The history that the bench makes is one that the daemon would have left."""

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from mgate.config import read
from mgate.model.message import State
from mgate.peers.bench import history
from mgate.peers.bench.history import DAY, DayMaker, Mould, prepare, ref, write_day
from mgate.peers.bench.load import EVERY_CLASS
from mgate.peers.house import Instance
from mgate.seal.keyfile import KeyFile
from mgate.seal.keyring import Keyring
from mgate.seal.record import Place, Sealer
from mgate.seal.tags import Tags
from mgate.spool.history import HistoryReader
from mgate.spool.sealing import HISTORY, STORY
from mgate.spool.story import Story, view_of

MIDNIGHT = 1_790_035_200 // DAY * DAY


@pytest.mark.parametrize("word", sorted(set(EVERY_CLASS)))
@pytest.mark.parametrize("number", [0, 35, 9_999_999])
def test_a_mould_gives_a_story_that_can_be_read_and_has_its_own_numbers(word: str, number: int) -> None:
    created = MIDNIGHT * 1000 + number
    message = created << 20
    story = msgspec.msgpack.decode(Mould(word, 7, "sms:op-a").fill(number, message, created), type=Story)
    view = view_of(story, created + 1000, in_history=True, admin=True)
    assert (story.message, story.created, view.ref, view.traffic) == (message, created, ref(7, number), word)
    assert (view.state, view.parts, [event.event for event in view.events]) == ("delivered", 1, list(history._EVENTS))
    assert story.envelope.to == f"+37529111{number % 10_000:04d}"
    assert (ref(7, number) in story.text) is (word != "otp")
    assert story.attempts[0].operator_id == f"{message:016x}"


def test_a_day_is_found_by_reference_and_opens_under_the_instances_keys(tmp_path: Path) -> None:
    file = Instance(tmp_path, 2775, window=10, binds=1).path / "mgate.toml"
    config = read(file)
    config.spool.history.mkdir(parents=True, exist_ok=True)
    prepare(config, MIDNIGHT, MIDNIGHT + DAY)
    assert write_day(file, "sms:op-a", 3, MIDNIGHT, 50) == 50
    keyring = Keyring.open(config.keys.ring, KeyFile(config.keys.kek_file).read())
    assert len(keyring.periods) >= 26
    sealer, tags = Sealer(keyring, keyring.database), Tags(keyring)
    reader = HistoryReader(config.spool.history, lambda path, error: pytest.fail(f"{path}: {error}"))
    numbers = [period.number for period in keyring.periods]
    for number in (0, 17, 49):
        tag = tags.ref_tag("local", ref(3, number))
        (found,) = reader.by_tag("ref_tag", [(period, tag) for period in numbers], 2)
        place = Place(
            HISTORY, STORY, found.message, found.period, found.traffic, found.expires // 1000, found.created // 1000
        )
        story = msgspec.msgpack.decode(sealer.unseal(place, found.sealed), type=Story)
        assert story.envelope.ref == ref(3, number)


def test_the_stories_of_a_day_are_spread_over_it_and_no_two_are_alike(tmp_path: Path) -> None:
    config = read(Instance(tmp_path, 2775, window=10, binds=1).path / "mgate.toml")
    prepare(config, MIDNIGHT, MIDNIGHT + DAY)
    stories = list(DayMaker(config, "sms:op-a").stories(1, MIDNIGHT, 48))
    moments = [story.created for story in stories]
    assert moments[0] == MIDNIGHT * 1000
    assert {later - earlier for earlier, later in pairwise(moments)} == {DAY * 1000 // 48}
    assert len({story.message for story in stories}) == len({story.ref_tag for story in stories}) == 48
    assert {story.state for story in stories} == {State.DELIVERED}
    assert all(story.created < story.ended for story in stories)
