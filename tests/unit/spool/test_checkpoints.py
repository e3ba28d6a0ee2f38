"""The WAL holds pages as they were, erased texts among them: it is emptied when it rests, and under load in time."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mgate.spool.checkpoint import Checkpointer
from mgate.spool.store import WAL_MOST, WAL_OLDEST, SqliteStore, connect
from mgate.spool.verbs import Trim
from tests.conformance.player import same_number
from tests.unit.spool.test_model import BOX, NoPast

MIB = 1 << 20

Fill = Callable[[int], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(path, bytes(16), same_number, NoPast(), BOX, lambda row, envelope: ("", b""))
    yield made
    made.close()


def wal(path: Path) -> int:
    return path.with_name("spool.db-wal").stat().st_size


@pytest.fixture
def fill(path: Path) -> Iterator[Fill]:
    """Writes so many octets; its connections stay open: the last one that closes would empty the WAL by itself."""
    opened: list[sqlite3.Connection] = []

    def more(octets: int) -> None:
        opened.append(connect(path))
        opened[-1].execute("CREATE TABLE IF NOT EXISTS filler (octets BLOB)")
        opened[-1].execute("INSERT INTO filler VALUES (zeroblob(?))", (octets,))

    yield more
    for connection in opened:
        connection.close()


def commit(store: SqliteStore, now: int, times: int = 1) -> None:
    for more in range(times):
        store.work([Trim(0, 0, 1)], now + more)
        store.flush()


@pytest.mark.parametrize("octets", [1_000, 8 * MIB])
def test_a_wal_that_rests_is_emptied_whatever_its_size(path: Path, store: SqliteStore, fill: Fill, octets: int) -> None:
    fill(octets)
    store.tidy()
    assert wal(path) > octets
    store.tidy()
    assert wal(path) == 0
    store.tidy()
    assert wal(path) == 0


def test_a_wal_that_was_written_to_since_the_last_look_is_left_to_rest_first(
    path: Path, store: SqliteStore, fill: Fill
) -> None:
    for _ in range(3):
        fill(1_000)
        store.tidy()
    assert wal(path) > 3_000


def test_the_writer_empties_a_wal_that_never_rests(path: Path, store: SqliteStore, fill: Fill) -> None:
    fill(MIB)
    commit(store, WAL_OLDEST - 100, 64)
    assert wal(path) > MIB
    commit(store, WAL_OLDEST, 16)
    assert wal(path) < MIB
    fill(MIB)
    commit(store, WAL_OLDEST + 100, 64)
    assert wal(path) > MIB


def test_the_writer_empties_a_wal_that_grew_too_long_before_its_time(
    path: Path, store: SqliteStore, fill: Fill
) -> None:
    fill(WAL_MOST)
    commit(store, 1, 16)
    assert wal(path) < MIB


def test_a_reader_in_the_way_of_emptying_is_not_waited_for_and_it_is_tried_again(
    path: Path, store: SqliteStore, fill: Fill
) -> None:
    fill(MIB)
    reader = connect(path, read_only=True)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM filler").fetchone()
    commit(store, WAL_OLDEST, 16)
    assert wal(path) > MIB
    reader.execute("COMMIT")
    reader.close()
    commit(store, 2 * WAL_OLDEST, 16)
    assert wal(path) < MIB


def test_the_checkpointer_copies_what_is_long_enough_and_never_empties(
    path: Path, store: SqliteStore, fill: Fill
) -> None:
    fill(MIB)
    before = path.stat().st_size
    checkpointer = Checkpointer(path)
    checkpointer.step(2 * MIB)
    assert path.stat().st_size == before
    checkpointer.step(MIB)
    assert path.stat().st_size > before + MIB
    assert wal(path) > MIB
    checkpointer.close()


def test_the_checkpointer_waits_for_nobody_and_a_reader_keeps_its_snapshot(
    path: Path, store: SqliteStore, fill: Fill
) -> None:
    fill(MIB)
    reader = connect(path, read_only=True)
    reader.execute("BEGIN")
    (seen,) = reader.execute("SELECT count(*) FROM filler").fetchone()
    fill(MIB)
    checkpointer = Checkpointer(path)
    checkpointer.step(0)
    assert reader.execute("SELECT count(*) FROM filler").fetchone() == (seen,)
    reader.close()
    checkpointer.close()
