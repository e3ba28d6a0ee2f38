"""What the torture of the bank's database says of a run: nothing that the daemon failed to say goes by."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import cast

import pytest

from mgate.peers.fingerprint import Fingerprint
from mgate.peers.house import HouseError
from mgate.peers.torture import database
from mgate.peers.torture.bank import Bank, Writer
from mgate.peers.torture.database import CALM, HUNG, POINTS, Database
from mgate.peers.torture.stage import Evidence, Stage
from mgate.peers.torture.words import Words
from mgate.peers.traffic import Maker, Mix

FAILED = '{"event":"source_failed","reason":"%s","error":"claim","detail":"%s"}\n'
AWAY = frozenset(("unreachable",))


def judged(**deeds: int) -> list[str]:
    told = {HUNG: deeds["hung"], CALM: deeds["calm"]}
    return Database().judge(Evidence([], [], {}, Words({}, (), {}), (), told, ()), {})


def test_pushes_beside_a_database_that_hangs_may_not_wait_for_it() -> None:
    assert judged(hung=60, calm=20) == []
    assert judged(hung=390, calm=200) == []
    assert len(judged(hung=71, calm=20)) == 1
    assert len(judged(hung=401, calm=200)) == 1


@pytest.mark.parametrize(
    ("log", "reasons", "words"),
    [
        (FAILED % ("unreachable", "look there"), AWAY, ""),
        (FAILED % ("mismatch", "x") + FAILED % ("unreachable", "look there"), AWAY, ""),
        ("", frozenset(), ""),
        ("", AWAY, "says nothing"),
        (FAILED % ("refused", "mend it"), AWAY, "says refused: claim"),
        (FAILED % ("unreachable", ""), frozenset(), "no word what to do"),
        ("Traceback\n" + '{"event":"source_fai', AWAY, "says nothing"),
    ],
)
def test_the_log_must_say_why_no_row_was_taken_and_what_to_do(
    tmp_path: Path, log: str, reasons: frozenset[str], words: str
) -> None:
    (tmp_path / "log").write_text("before\n" + log)
    assert [words in said for said in database.unsaid(tmp_path / "log", 7, "a fault", reasons)] == [True] * bool(words)


def test_every_point_is_tried_on_the_server_and_on_the_daemon() -> None:
    faults = Database().faults
    assert len(faults) == 10 + 2 * len(POINTS)
    for point in POINTS:
        assert {f"server killed at {point}", f"mgated killed at {point}"} <= faults.keys()


def test_all_faults_come_once_before_any_comes_twice_or_in_the_order_that_is_wanted() -> None:
    stage = cast("Stage", SimpleNamespace(random=Random(1), deeds=Counter()))
    every = Database()
    assert {every.next_fault(stage) for _ in range(len(every.faults))} == every.faults.keys()
    wanted = Database(("server hangs", "outbox locked"))
    assert [wanted.next_fault(stage) for _ in range(3)] == ["server hangs", "outbox locked", "server hangs"]


class Deaf:
    """A bank that keeps what it is asked, and fails as often as it is told."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.asked: list[str] = []

    async def ask(self, sql: str, limit: float) -> str:
        self.asked.append(sql)
        if self.failures:
            self.failures -= 1
            raise HouseError("away")
        return ""


def test_the_core_says_an_insert_until_it_is_committed() -> None:
    bank = Deaf(2)
    maker = Maker(1, Mix(), Fingerprint(b"k"))
    writer = Writer(cast("Bank", bank), maker, 0.0, Random(1))
    writer.flood(3)
    writer.stop()
    # pytest-twisted's reactor runs in this thread.
    with ThreadPoolExecutor(1) as other:
        other.submit(lambda: asyncio.run(writer.write(3))).result()
    assert len(bank.asked) == 3
    assert len(set(bank.asked)) == 1
    assert "ON CONFLICT (id) DO NOTHING" in bank.asked[0]
    assert (list(writer.rows), writer.committed) == (["1", "2", "3"], 3)
