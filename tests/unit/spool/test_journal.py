"""The journal: sealed runs in a chain, read in order from any cursor, with the client's own words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from mgate.model.message import IdSource, TrafficClass
from mgate.seal.errors import NewerRecord, NoKey, Tampered
from mgate.seal.keyfile import Kek
from mgate.seal.keyring import Cut, Group, Keyring
from mgate.seal.record import Sealer
from mgate.seal.tags import Tags
from mgate.spool.engine import StoreBroken, StoredEvents
from mgate.spool.journal import Box, BrokenChain, FeedEvent, open_runs, seal_run, tag_of
from mgate.spool.reader import SqliteReader
from mgate.spool.rows import Row
from mgate.spool.sealing import JOURNAL_GROUP, Sealing
from mgate.spool.store import SqliteStore
from mgate.spool.verbs import KeepInbound, NewInbound, NewMessage, Trim
from tests.conformance.player import NOW, OK, ROUTE, Place, Player, message, number_of, same_number
from tests.unit.spool.test_model import NoPast

DAY = 86_400_000
VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    (tmp_path / "ring").mkdir()
    made = Keyring.create(tmp_path / "ring", Kek(bytes(range(32))), bytes(16))
    made.prepare((Group(JOURNAL_GROUP, Cut.DAY, 30 * 86_400),), NOW / 1000)
    made.prepare((Group(JOURNAL_GROUP, Cut.DAY, 30 * 86_400),), NOW / 1000 + 86_400)
    return made


@pytest.fixture
def box(ring: Keyring) -> Box:
    return Sealing(ring, Sealer(ring, ring.database), Tags(ring), IdSource(), str).box()


def event(sequence: int) -> FeedEvent:
    return FeedEvent(sequence, 7, "local", f"ref {sequence}", "sent", "", True, NOW, 1, b'{"a":1}', ROUTE)


def chain(box: Box, *sizes: int, now: int = NOW) -> list[StoredEvents]:
    runs: list[StoredEvents] = []
    sequence = 1
    for size in sizes:
        before = tag_of(runs[-1].sealed) if runs else b""
        runs.append(seal_run(box, [event(sequence + n) for n in range(size)], before, now))
        sequence += size
    return runs


# ---- runs ----------------------------------------------------------------------------------------------------------


def test_a_run_opens_to_what_was_sealed(box: Box) -> None:
    runs = chain(box, 2, 1, 3)
    assert [(run.first, run.events) for run in runs] == [(1, 2), (3, 1), (4, 3)]
    assert open_runs(box, runs) == [event(sequence) for sequence in range(1, 7)]
    assert open_runs(box, runs[1:]) == [event(sequence) for sequence in range(3, 7)]
    assert open_runs(box, []) == []
    assert not [run for run in runs if b"ref 1" in run.sealed]


def test_a_run_that_was_taken_out_is_noticed(box: Box) -> None:
    runs = chain(box, 2, 1, 3)
    with pytest.raises(BrokenChain, match="at 4 does not follow"):
        open_runs(box, [runs[0], runs[2]])


def test_a_run_that_was_put_elsewhere_is_noticed(box: Box) -> None:
    one, two, three = chain(box, 2, 2, 2)
    with pytest.raises(Tampered):
        open_runs(box, [one, two._replace(first=one.first), three])
    with pytest.raises(Tampered):
        open_runs(box, [one, two._replace(period=two.period + 1), three])
    with pytest.raises(BrokenChain):
        open_runs(box, [two, one])


def test_a_run_that_was_changed_or_sealed_anew_is_noticed(box: Box) -> None:
    one, two, three = chain(box, 2, 2, 2)
    for at in (0, 10, 40, -1):
        sealed = bytearray(two.sealed)
        sealed[at] ^= 1
        with pytest.raises(Tampered if at else NewerRecord):
            open_runs(box, [one, two._replace(sealed=bytes(sealed)), three])
    forged = seal_run(box, [event(3), event(4)], tag_of(one.sealed), NOW)
    with pytest.raises(BrokenChain, match="at 5"):
        open_runs(box, [one, forged, three])


def test_runs_go_with_the_key_of_their_period_and_those_of_other_days_stay(ring: Keyring, box: Box) -> None:
    runs = chain(box, 2)
    later = seal_run(box, [event(3)], tag_of(runs[0].sealed), NOW + DAY)
    assert later.period != runs[0].period
    ring.destroy(runs[0].period)
    with pytest.raises(NoKey):
        open_runs(box, runs)
    assert open_runs(box, [later]) == [event(3)]


def test_a_run_of_before_events_bore_their_route_is_still_read() -> None:
    plain = bytes.fromhex(json.loads((VECTORS / "journal-run-v1.json").read_bytes())["plain"])
    as_it_is = Box(lambda _now: 1, lambda _first, _period, _plain: b"", lambda _first, _period, sealed: sealed)
    assert open_runs(as_it_is, [StoredEvents(41, 2, 1, plain)]) == [
        FeedEvent(41, (1 << 60) + 16, "local", "login-482913", "sent", "", True, NOW + 123, 2, b'{"branch":"7"}', ""),
        FeedEvent(42, (1 << 60) + 32, "", "", "inbound", "sms:op-a", False, NOW + 124, 1, b"", ""),
    ]


# ---- the journal of a spool ----------------------------------------------------------------------------------------


def words(row: Row, envelope: bytes) -> tuple[str, bytes]:
    """As ``Sealing.words``: what stands in the envelope."""
    return f"words of {envelope.decode()}", b"{}"


class Spool:
    def __init__(self, path: Path, box: Box) -> None:
        self.path, self.box = path, box
        self.places: list[Place] = []
        self.player = Player(self.open)

    def open(self) -> Place:
        self.close()
        store = SqliteStore(self.path, bytes(16), same_number, NoPast(), self.box, words)
        self.places = [Place(store, SqliteReader(self.path))]
        return self.places[0]

    def close(self) -> None:
        for place in self.places:
            place.reader.close()
            place.store.close()
        self.places = []

    def events(self, after: int = 0, limit: int = 1_000) -> list[FeedEvent]:
        return open_runs(self.box, self.player.reader.events(after, limit))


@pytest.fixture
def spool(tmp_path: Path, box: Box) -> Iterator[Spool]:
    made = Spool(tmp_path / "spool.db", box)
    yield made
    made.close()


def worded(count: int, **more: object) -> NewMessage:
    made = message(count, **more)  # type: ignore[arg-type]  # handed through
    return replace(made, ref=f"words of envelope {count}", meta=b"{}")


def test_one_commit_is_one_run_and_bears_the_clients_own_words(spool: Spool) -> None:
    player = spool.player
    player.accept(worded(1), worded(2, traffic=TrafficClass.OTP))
    (run,) = player.reader.events(0, 10)
    assert (run.first, run.events) == (1, 2)
    assert spool.events() == [
        FeedEvent(n, number_of(n), "local", f"words of envelope {n}", "accepted", "", False, NOW, 1, b"{}", ROUTE)
        for n in (1, 2)
    ]
    player.pass_time(5)
    player.lease(number_of(1))
    assert player.reader.last_event() == 2
    player.end(number_of(1), OK)
    assert spool.events(2) == [
        FeedEvent(3, number_of(1), "local", "words of envelope 1", "sent", "", True, NOW + 5, 1, b"{}", ROUTE)
    ]


def test_events_bear_the_clients_words_when_the_message_is_read_back_from_the_disk(spool: Spool) -> None:
    player = spool.player
    player.accept(worded(1))
    fresh = spool.events()
    player.reopen()
    player.lease(number_of(1))
    player.reopen()
    player.end(number_of(1), OK, operator_id="x")
    player.reopen()
    player.hear("x")
    told = spool.events()
    assert [one.event for one in told] == ["accepted", "sent", "delivered"]
    assert {(one.ref, one.meta, one.client) for one in told} == {(fresh[0].ref, fresh[0].meta, "local")}


def test_an_inbound_message_is_an_event_of_no_client_in_its_order(spool: Spool) -> None:
    player = spool.player
    inbound = NewInbound(number_of(5), "sms:op-a", NOW, 7, b"sealed")
    player.store.work([KeepInbound((inbound,))], NOW)
    assert player.store.flush().journalled
    player.commit(KeepInbound((replace(inbound, id=number_of(6)),)))
    player.accept(worded(1))
    told = spool.events()
    assert [(one.sequence, one.event, one.client, one.reason) for one in told] == [
        (1, "inbound", "", "sms:op-a"), (2, "inbound", "", "sms:op-a"), (3, "accepted", "local", ""),
    ]  # fmt: skip


def test_a_cursor_in_the_middle_of_a_run_is_answered_with_that_run_first(spool: Spool) -> None:
    player = spool.player
    for start in (1, 4, 7):
        player.accept(*(worded(count) for count in range(start, start + 3)))
    firsts = {after: [run.first for run in player.reader.events(after, 10)] for after in range(10)}
    assert firsts == {
        0: [1, 4, 7], 1: [1, 4, 7], 2: [1, 4, 7], 3: [4, 7], 4: [4, 7], 5: [4, 7], 6: [7], 7: [7], 8: [7], 9: [],
    }  # fmt: skip
    assert [run.first for run in player.reader.events(2, 2)] == [1, 4]


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_who_reads_on_from_a_cursor_misses_nothing_and_reads_nothing_twice(spool: Spool, limit: int) -> None:
    player = spool.player
    read: list[int] = []

    def read_on() -> None:
        while runs := player.reader.events(read[-1] if read else 0, limit):
            read.extend(one.sequence for one in open_runs(spool.box, runs) if not read or one.sequence > read[-1])

    count = 1
    for size in (1, 3, 2, 5, 1, 1, 4, 2, 6, 1) * 3:
        heads = [one.message for one in player.accept(*(worded(count + n) for n in range(size)))]
        player.lease(*heads)
        player.commit(*(player.ending(one, OK, attempt=1, operator_id=f"op {one}") for one in heads))
        if count % 4 == 0:
            player.reopen()
        if count % 3 == 0:
            read_on()
        count += size
    read_on()
    assert read == list(range(1, player.reader.last_event() + 1))
    assert len(read) == 2 * (count - 1)


def test_sequences_go_on_when_the_journal_was_trimmed_and_the_spool_begins_again(spool: Spool) -> None:
    player = spool.player
    for count in (1, 2, 3):
        player.accept(worded(count))
        player.pass_time(DAY)
    player.commit(Trim(0, NOW + 2 * DAY, 100))
    assert [run.first for run in player.reader.events(0, 10)] == [3]
    player.commit(Trim(0, player.now + DAY, 100))
    assert [run.first for run in player.reader.events(0, 10)] == [3]  # the last one stays whatever its age
    player.reopen()
    assert player.reader.last_event() == 3
    player.now = NOW
    player.accept(worded(4))
    assert [one.sequence for one in spool.events()] == [3, 4]


def test_the_chain_goes_on_over_a_restart_and_over_a_commit_that_failed(spool: Spool) -> None:
    player = spool.player
    player.accept(worded(1))
    player.reopen()
    player.accept(worded(2))
    file = spool.places[0].store
    assert isinstance(file, SqliteStore)
    file._db.execute("CREATE TRIGGER fault BEFORE INSERT ON inbound BEGIN SELECT RAISE(FAIL, 'a fault'); END")
    with pytest.raises(StoreBroken):
        player.commit(KeepInbound((NewInbound(number_of(9), "sms:op-a", NOW, 7, b""),)))
    player.accept(worded(3))
    assert [one.sequence for one in spool.events()] == [1, 2, 3]
    file._db.execute("DELETE FROM journal WHERE first = 2")
    with pytest.raises(BrokenChain):
        spool.events()


def test_no_key_of_a_period_goes_while_the_journal_needs_it(spool: Spool, ring: Keyring) -> None:
    spool.player.accept(worded(1))
    assert ring.period_at(JOURNAL_GROUP, NOW / 1000).number in spool.player.reader.periods()
