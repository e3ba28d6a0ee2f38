"""The WAL holds pages as they were, erased texts among them: it is emptied when it rests, and under load in time."""

from pathlib import Path

import pytest

from mgate.spool.store import WAL_OLDEST, Checkpointer, SqliteStore, connect
from mgate.spool.verbs import Trim

MIB = 1 << 20


class NoPast:
    def refs(self, wanted: object) -> dict[object, object]:
        return {}

    def tags(self) -> object:
        return iter(())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


def opened(path: Path) -> SqliteStore:
    return SqliteStore(path, bytes(16), lambda period, tag, numbers: False, NoPast())  # type: ignore[arg-type]  # none


def wal(path: Path) -> int:
    return path.with_name("spool.db-wal").stat().st_size


def filled(path: Path, octets: int) -> None:
    writer = connect(path)
    writer.execute("CREATE TABLE IF NOT EXISTS filler (octets BLOB)")
    writer.execute("INSERT INTO filler VALUES (zeroblob(?))", (octets,))


@pytest.mark.parametrize("octets", [1_000, 8 * MIB])
def test_a_wal_that_rests_is_emptied_whatever_its_size(path: Path, octets: int) -> None:
    opened(path)
    filled(path, octets)
    checkpointer = Checkpointer(path)
    checkpointer.step(4 * MIB)
    assert wal(path) > octets
    checkpointer.step(4 * MIB)
    checkpointer.step(4 * MIB)
    assert wal(path) == 0


def test_the_writer_empties_a_wal_that_never_rests(path: Path) -> None:
    store = opened(path)
    filled(path, MIB)
    for commit in range(32):
        store.commit([Trim(0, 0, 1)], WAL_OLDEST + commit)
    assert wal(path) < MIB
