"""The store on SQLite, held to the claims of every store, and to what only a file can be held to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from mgate.model.message import State, TrafficClass
from mgate.spool import filter as filters
from mgate.spool import recall, store
from mgate.spool.engine import NewerSpool, StoreBroken, StoreFull
from mgate.spool.journal import Box
from mgate.spool.reader import SqliteReader
from mgate.spool.rows import KnownRef
from mgate.spool.schema import FIRST, MIGRATIONS, database_of
from mgate.spool.store import SqliteStore, connect
from mgate.spool.verbs import Accept, Cancel, Clash, Forget, Wake
from tests.conformance.player import (
    NOW,
    OK,
    Open,
    Place,
    Player,
    hearing,
    kind_of,
    message,
    number_of,
    same_number,
    slot,
    tag,
)
from tests.conformance.store import StoreClaims
from tests.conformance.store_answers import LOST, repeated

DATABASE = bytes(range(16))


class Remembered:
    """A memory of ended references that a test fills by hand: one file, two references a bucket."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, bytes], KnownRef] = {}

    def files(self) -> list[str]:
        return ["refs-1"]

    def refs(
        self, wanted: Sequence[tuple[str, bytes]], files: Sequence[str] | None = None
    ) -> dict[tuple[str, bytes], KnownRef]:
        return {key: self.known[key] for key in wanted if key in self.known}

    def buckets(self, file: str) -> int:
        return (len(self.known) + 1) // 2

    def tags(self, file: str, first: int = 0) -> Iterator[Sequence[bytes]]:
        yield [ref for _, ref in list(self.known)[2 * first :]]


BOX = Box(lambda now: 9, lambda first, period, plain: plain[::-1], lambda first, period, sealed: sealed[::-1])
"""Seals nothing: what is written of the journal can be read in a test."""


def opened(file: File) -> SqliteStore:
    return SqliteStore(file.path, DATABASE, same_number, file.past, BOX, lambda row, envelope: (envelope.decode(), b""))


class File:
    """A spool file, opened again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.past = Remembered()
        self._open: list[Place] = []

    def open(self) -> Place:
        if self._open:
            self.drop()
        writer = opened(self)
        self._open = [Place(writer, SqliteReader(self.path))]
        return self._open[0]

    @property
    def store(self) -> SqliteStore:
        (place,) = self._open
        return kind_of(place.store, SqliteStore)

    def drop(self) -> None:
        """As an end of the process leaves it: nothing tidied."""
        for place in self._open:
            kind_of(place.store, SqliteStore)._db.close()
            place.reader.close()
        self._open = []


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    made = File(tmp_path / "spool.db")
    yield made
    made.drop()


@pytest.fixture
def open_place(file: File) -> Open:
    return file.open


@pytest.fixture
def player(file: File) -> Player:
    return Player(file.open)


class TestSqliteStore(StoreClaims):
    pass


class TestSqliteStoreWithItsFilter(StoreClaims):
    """Every claim once more, with the reference filter read in: it may spare questions, never change answers."""

    @pytest.fixture
    def open_place(self, file: File) -> Open:
        def open_and_fill() -> Place:
            place = file.open()
            while place.store.tend(NOW):
                pass
            assert file.store._shelf.recall.whole
            return place

        return open_and_fill


class TestSqliteStoreOfManyBuckets(StoreClaims):
    """And once more with buckets so small that references and operator ids lie in many."""

    @pytest.fixture(autouse=True)
    def small_buckets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store, "BUCKET", 2)


# ---- the file ------------------------------------------------------------------------------------------------------


def test_the_file_is_kept_as_the_product_promises(file: File, player: Player) -> None:
    player.ready(message(1))
    asked = {name: file.store._db.execute(f"PRAGMA {name}").fetchone()[0] for name in (
        "journal_mode", "synchronous", "secure_delete", "temp_store", "wal_autocheckpoint",
    )}  # fmt: skip
    assert asked == {
        "journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "temp_store": 2, "wal_autocheckpoint": 0,
    }  # fmt: skip


def test_a_reader_cannot_write(file: File, player: Player) -> None:
    reader = kind_of(player.reader, SqliteReader)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("DELETE FROM part")


def test_what_was_deleted_is_not_in_the_file(file: File, player: Player) -> None:
    head = player.ready(message(1))
    player.ready(message(2))
    file.store.checkpoint("TRUNCATE")
    assert b"envelope 1" in file.path.read_bytes()
    player.cancel(head)
    player.forget((head, player.record(head).rows[0].event))
    file.store.checkpoint("TRUNCATE")
    octets = b"".join(path.read_bytes() for path in file.path.parent.iterdir() if not path.name.endswith("-shm"))
    assert (b"envelope 1" in octets, b"body 1" in octets, b"envelope 2" in octets) == (False, False, True)


def test_an_erased_text_is_not_in_the_file(file: File, player: Player) -> None:
    player.sent(message(1, traffic=TrafficClass.OTP))
    file.store.checkpoint("TRUNCATE")
    player.hear("op-1-1")
    file.store.checkpoint("TRUNCATE")
    octets = b"".join(path.read_bytes() for path in file.path.parent.iterdir() if not path.name.endswith("-shm"))
    assert (b"body 1" in octets, b"envelope 1" in octets) == (False, True)


def test_a_closed_store_leaves_one_file(file: File, player: Player) -> None:
    player.ready(message(1))
    player.reader.close()
    file.store.close()
    assert [path.name for path in file.path.parent.iterdir()] == ["spool.db"]
    assert Player(lambda: Place(opened(file), SqliteReader(file.path))).events(number_of(1)) == ["accepted"]
    file._open = []


def test_a_new_spool_knows_its_keyring(file: File, player: Player) -> None:
    file.drop()
    file.past.known.clear()
    SqliteStore(file.path, bytes(16), same_number, file.past, BOX, lambda row, envelope: ("", b"")).close()
    connection = connect(file.path)
    assert database_of(connection) == DATABASE
    connection.close()


def test_a_newer_spool_is_refused_and_not_touched(file: File, player: Player) -> None:
    player.ready(message(1))
    file.store._db.execute(f"PRAGMA user_version = {FIRST + len(MIGRATIONS)}")
    player.reader.close()
    file.store.close()
    file._open = []
    before = file.path.read_bytes()
    with pytest.raises(NewerSpool, match=f"schema {FIRST + len(MIGRATIONS)}.*install the newer"):
        file.open()
    assert file.path.read_bytes() == before


def test_a_file_that_is_no_spool_is_refused_and_not_touched(file: File) -> None:
    file.path.write_bytes(b"Dear customer, " * 500)
    with pytest.raises(StoreBroken, match="NOTADB"):
        file.open()
    assert file.path.read_bytes() == b"Dear customer, " * 500


# ---- commits that fail ---------------------------------------------------------------------------------------------


def fill_disk(file: File) -> None:
    (pages,) = file.store._db.execute("PRAGMA page_count").fetchone()
    file.store._db.execute(f"PRAGMA max_page_count = {pages}")


def give_room(file: File) -> None:
    file.store._db.execute("PRAGMA max_page_count = 1000000")


def test_a_commit_without_room_leaves_nothing_and_the_next_one_works(file: File, player: Player) -> None:
    head = player.leased(message(1, client="local"))
    early = player.leased(message(2))
    fill_disk(file)
    many = Accept(tuple(message(count, client="newcomer", ref=f"r{count}") for count in range(10, 200)))
    with pytest.raises(StoreFull, match="FULL"):
        player.commit(many, player.ending(head, OK, operator_id="a"), hearing("a"), hearing("b"))
    assert (player.state(head), player.events(head)) == (State.LEASED, ["accepted"])
    assert player.reader.records([number_of(10)]) == []
    assert player.reader.clients() == ["local"]
    give_room(file)
    player.end(early, OK, operator_id="b")
    assert player.state(early) is State.SENT
    player.commit(many, player.ending(head, OK, operator_id="a"), hearing("a"))
    assert player.events(head) == ["accepted", "sent", "delivered"]
    assert player.record(number_of(10)).rows[0].client == "newcomer"
    rows = [
        row
        for record in player.reader.records([head, early, *map(number_of, range(10, 200))])
        for row in record.journal
    ]
    assert sorted(row.sequence for row in rows) == list(range(1, len(rows) + 1))


def test_a_message_whose_commit_failed_is_no_duplicate_afterwards(file: File, player: Player) -> None:
    while player.store.tend(NOW):
        pass
    fill_disk(file)
    with pytest.raises(StoreFull):
        player.accept(*(message(count) for count in range(1, 300)))
    give_room(file)
    assert not player.accept_one(message(299)).duplicate
    assert player.accept_one(message(299)).duplicate


@pytest.mark.parametrize("verb", ["buckets", "tags"])
def test_an_error_of_the_disk_in_a_file_of_references_is_no_bug(
    file: File, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    def fault(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(file.past, verb, fault)
    with pytest.raises(StoreBroken, match="disk I/O error"):
        file.open().store.tend(NOW)


@pytest.mark.parametrize("table", ["part", "journal"])
def test_an_error_in_the_middle_of_a_commit_leaves_nothing_of_it(file: File, player: Player, table: str) -> None:
    head = player.sent(message(1))
    file.store._db.execute(
        f"CREATE TRIGGER fault BEFORE INSERT ON {table} BEGIN SELECT RAISE(FAIL, 'a fault of this test'); END"
    )
    with pytest.raises(StoreBroken, match="a fault of this test"):
        player.commit(hearing("op-1-1"), Accept((message(2),)))
    assert (player.state(head), player.reader.records([number_of(2)])) == (State.SENT, [])
    assert not file.store._db.in_transaction
    file.store._db.execute("DROP TRIGGER fault")
    player.reopen()
    assert player.events(head) == ["accepted", "sent"]
    player.hear("op-1-1")
    assert player.events(head) == ["accepted", "sent", "delivered"]


def test_a_bug_in_a_turn_leaves_nothing_of_it(file: File, player: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    class Boom(Exception):
        pass

    def boom(*_: object) -> None:
        raise Boom

    head = player.ready(message(1, life=1_000))
    player.pass_time(1_000)
    with monkeypatch.context() as patch:
        patch.setattr("mgate.spool.ledger.Ledger.stop", boom)
        with pytest.raises(Boom):
            player.commit(Accept((message(2),)), Wake(10))
    assert player.reader.records([number_of(2)]) == []
    player.wake()
    assert player.state(head) is State.EXPIRED


# ---- statements, filter, buckets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 7, 8, 9, 63, 64, 65, 199, 200, 201, 263, 500])
def test_batches_of_every_size_give_the_same(player: Player, count: int) -> None:
    heads = [number_of(one) for one in range(1, count + 1)]
    kept = player.accept(*(message(one, slots=[slot(one & 0xFFFF)]) for one in range(1, count + 1)))
    assert [answer.message for answer in kept] == heads
    ends = [
        end
        for one, head in enumerate(heads)
        for end in player.ending(head, OK, operator_id=f"op {one}", attempt=1).ends
    ]
    player.commit(*(type(player.ending(heads[0], OK, attempt=1))((end,)) for end in ends))
    assert [record.rows[0].state for record in player.reader.records(heads)] == [State.SENT] * count
    player.commit(*(hearing(f"op {one}") for one in range(count)))
    records = player.reader.records(heads)
    assert [record.rows[0].id for record in records] == heads
    assert {tuple(row.event for row in record.journal) for record in records} == {("accepted", "sent", "delivered")}
    assert player.ended(limit=1_000) == heads
    player.commit(Forget(tuple((record.rows[0].id, record.rows[0].event) for record in records)))
    assert player.reader.records(heads) == []
    assert player.reader.counts(player.now) == []


def test_an_ended_reference_is_remembered_from_history(file: File) -> None:
    ended = message(1, ref="r")
    file.past.known["local", ended.ref_tag] = KnownRef(ended.id, 1, ended.content_tag, State.DELIVERED)
    player = Player(file.open)
    for newcomer in (4, 5):
        again = player.accept_one(message(2, ref="r"))
        assert (again.message, again.duplicate, again.state) == (ended.id, True, State.DELIVERED)
        assert player.accept(message(3, ref="r", content="other")) == [Clash(ended.id)]
        assert not player.accept_one(message(newcomer, ref="r", client=f"cards {newcomer}")).duplicate
        while player.store.tend(NOW):
            pass


def test_references_accepted_while_the_filter_fills_are_in_it(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BUCKET", 3)
    player = Player(file.open)
    player.accept(*(message(count) for count in range(1, 11)))
    player.reopen()
    count = 11
    while player.store.tend(NOW):
        player.ready(message(count))
        count += 1
    assert count > 13
    answers = player.accept(*(message(one) for one in range(1, count + 1)))
    assert [answer.duplicate for answer in answers if not isinstance(answer, Clash)] == [True] * (count - 1) + [False]


def test_what_is_read_in_is_not_asked_of_the_disk_while_the_rest_still_is(
    file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start with a million waiting spent ten minutes on looking into a thousand buckets for each new reference."""
    monkeypatch.setattr(store, "BUCKET", 4)
    player = Player(file.open)
    player.accept(*(message(count) for count in range(1, 41)))
    player.reopen()
    shelf = file.store._shelf
    seen: list[int] = []
    bears = [file.store.bears]
    while True:
        bears.append(file.store.bears)
        buckets, files = shelf.recall.unread
        seen.append(len(buckets))
        if not buckets and files == []:
            break
        for count in (1, 21, 40):
            assert ("local", message(count).ref_tag) in shelf.refs([("local", message(count).ref_tag)])
        assert shelf.refs([("local", message(99).ref_tag)]) == {}
        player.store.tend(NOW)
    assert seen == sorted(seen, reverse=True)
    assert seen[0] >= 10
    assert bears == sorted(bears)
    assert (bears[0], bears[-1]) == (recall.LOOKS // seen[0], recall.LOOKS)


# ---- the filter over a restart -------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that is worth keeping at once, in chunks of eight references."""
    monkeypatch.setattr(recall, "WORTH", 1)
    monkeypatch.setattr(filters, "CHUNK", 8)
    monkeypatch.setattr(store, "BUCKET", 4)


def read_in(player: Player) -> None:
    while player.store.tend(NOW):
        pass


def known(player: Player, count: int) -> bool:
    """Whether a reference is recognised, asked without accepting it."""
    shelf = kind_of(player.store, SqliteStore)._shelf
    key = ("local", message(count).ref_tag)
    return key in shelf.refs([key])


@pytest.mark.usefixtures("small")
def test_what_was_read_once_is_not_read_again_after_an_orderly_end(file: File) -> None:
    player = Player(file.open)
    read_in(player)
    player.accept(*(message(count) for count in range(1, 31)))
    file.store.close()
    player.reopen()
    assert file.store._shelf.recall.unread == ([], None)
    assert all(known(player, count) for count in range(1, 31))
    assert not known(player, 31)


@pytest.mark.usefixtures("small")
def test_after_a_crash_only_what_came_since_is_read(file: File) -> None:
    player = Player(file.open)
    read_in(player)
    player.accept(*(message(count) for count in range(1, 31)))
    read_in(player)  # chunks that are full are kept
    player.accept(*(message(count) for count in range(31, 36)))
    player.reopen()
    buckets, _ = file.store._shelf.recall.unread
    assert 1 <= len(buckets) <= 3
    assert all(known(player, count) for count in range(1, 36))
    read_in(player)
    assert all(known(player, count) for count in range(1, 36))
    assert not known(player, 36)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("harm", ["gone", "torn", "older"])
def test_a_kept_filter_that_is_not_whole_is_not_believed(file: File, number: int, harm: str) -> None:
    player = Player(file.open)
    read_in(player)
    chunk = file.path.with_name(f"spool.db-refs-{number:05d}")
    player.accept(*(message(count) for count in range(1, 19)))
    file.store._shelf.recall.close()
    before = chunk.read_bytes()
    player.accept(*(message(count) for count in range(19, 35)))
    file.store._shelf.recall.close()
    match harm:
        case "gone":
            chunk.unlink()
        case "torn":
            chunk.write_bytes(chunk.read_bytes()[:-1000])
        case _:
            chunk.write_bytes(before)
    player.reopen()
    assert all(known(player, count) for count in range(1, 35))
    read_in(player)
    assert all(known(player, count) for count in range(1, 35))


@pytest.mark.usefixtures("small")
def test_a_spool_that_was_restored_does_not_believe_the_filter_of_its_later_life(file: File) -> None:
    """Its buckets and ids are given once more: what the filter says of them is of others."""
    player = Player(file.open)
    read_in(player)
    player.accept(message(1))
    file.drop()
    old = file.path.read_bytes()
    player.reopen()
    read_in(player)
    player.accept(*(message(count) for count in range(2, 30)))
    file.store._shelf.recall.close()
    file.drop()
    file.path.write_bytes(old)
    player.reopen()
    player.accept(*(message(count) for count in range(101, 120)))
    player.reopen()
    assert all(known(player, count) for count in (1, *range(101, 120)))
    assert not known(player, 5)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(40))
def test_no_reference_is_ever_forgotten_whatever_the_order(
    file: File, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(recall, "REBUILD", 20)
    chance = Random(seed)
    player = Player(file.open)
    live: dict[int, int] = {}
    last = 0
    for _ in range(60):
        match chance.choice(("accept", "accept", "tend", "move", "crash", "end", "keep")):
            case "accept":
                new = range(last + 1, last + chance.randint(2, 12))
                last = new[-1]
                live.update(zip(new, (one.message for one in player.accept(*map(message, new))), strict=True))
            case "tend":
                for _ in range(chance.randint(1, 6)):
                    player.store.tend(NOW)
            case "move":
                for count in chance.sample(sorted(live), len(live) // 2):
                    head, made = live.pop(count), message(count)
                    file.past.known["local", made.ref_tag] = KnownRef(head, 1, made.content_tag, State.DELIVERED)
                    player.commit(Cancel(head, "", "gone"))
                    (record,) = player.reader.records([head])
                    player.commit(Forget(((head, record.rows[0].event),)))
            case "crash":
                player.reopen()
            case "end":
                file.store.close()
                player.reopen()
            case _:
                file.store._shelf.recall.close()
        missing = [count for count in range(1, last + 1) if not known(player, count)]
        assert not missing
        assert not known(player, last + 1)


def test_the_filter_is_built_anew_when_much_of_it_may_be_forgotten(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "REBUILD", 10)
    player = Player(file.open)
    while player.store.tend(NOW):
        pass
    first = file.store._shelf.recall._now
    player.accept(*(message(count) for count in range(1, 12)))
    player.accept(message(12))
    while player.store.tend(NOW):
        player.accept(message(13))
    assert file.store._shelf.recall._now is not first
    assert all(kind_of(player.accept(message(count))[0], object).duplicate for count in range(1, 14))  # type: ignore[attr-defined]  # a Kept


def test_an_id_is_found_in_whichever_bucket_it_lies(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BUCKET", 4)
    player = Player(file.open)
    heads = [player.sent(message(count)) for count in range(1, 30)]
    player.reopen()
    for count in (29, 1, 15):
        assert player.hear("hex", "padded", f"op-{count}-1") == "matched"
        assert player.state(heads[count - 1]) is State.DELIVERED
        assert player.accept_one(message(count)).duplicate
        assert player.reader.by_ref([("local", message(count).ref_tag)]) == [heads[count - 1]]


def test_an_earlier_attempts_id_is_found_in_its_own_bucket(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BUCKET", 1)
    player = Player(file.open)
    head = repeated(player)
    player.end(head, OK, attempt=1, operator_id="a")
    player.end(head, LOST, attempt=2)
    player.reopen()
    assert player.hear("a") == "matched"
    assert player.state(head) is State.DELIVERED
    assert tag("a") in {attempt.operator_tag for attempt in player.record(head).attempts}
