"""The rows of the bench that take from a database: what they count, without a database."""

from array import array
from pathlib import Path
from types import SimpleNamespace

import pytest

from mgate.peers.bench import source
from mgate.peers.bench.load import EVERY_CLASS, Kind, Stock
from mgate.peers.bench.stage import OneClock
from mgate.peers.bench.watch import Story

STOCK = Stock("s", Kind(EVERY_CLASS))


def test_a_statement_counts_when_mgate_said_it_and_each_once() -> None:
    log = [
        "2026-11-22 12:00:00.000 UTC [9] mgate LOG:  statement: SELECT 1",
        "2026-11-22 12:00:00.000 UTC [9] mgate LOG:  execute <unnamed>: WITH picked AS MATERIALIZED (",
        "\tSELECT o.id FROM mgate.outbox o",
        "2026-11-22 12:00:00.000 UTC [9] mgate DETAIL:  parameters: $1 = '500'",
        "2026-11-22 12:00:00.000 UTC [8] postgres LOG:  statement: SELECT 1",
        "2026-11-22 12:00:00.000 UTC [7]  LOG:  checkpoint starting: time",
    ]
    assert source.statements(log) == 2


def test_what_is_inserted_is_what_the_operator_is_looked_at_for() -> None:
    key, to, text, traffic, sender = source.fields(STOCK, 7)
    assert (key, to, traffic, sender) == ("8", "+375291110007", EVERY_CLASS[7], "Example")
    assert "s-0000007" in text
    assert all("'" not in word and "\t" not in word for word in (key, to, text, traffic, sender))


def test_a_row_has_waited_from_its_insert_to_its_first_submit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = OneClock()
    monkeypatch.setattr(clock, "_distance", 1000.0)
    first = {STOCK.fingerprints(number)[0]: 1010.0 + number for number in range(2)}
    told = Story(array("d"), first, array("d"), [])
    assert source.waited(STOCK, told, array("d", (9.5, 9.0)), clock) == [0.5, 2.0]


def test_a_daemon_that_answers_no_questions_yet_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter((OSError(), (0, 0), (500, 200), (1000, 1000)))

    class Asked:
        def __init__(self, path: object) -> None:
            pass

        def get(self, path: str, shape: object) -> object:
            answer = next(answers)
            if isinstance(answer, OSError):
                raise answer
            return SimpleNamespace(sources=(SimpleNamespace(claimed=answer[0], taken=answer[1]),))

        def close(self) -> None:
            pass

    moments = iter(float(second) for second in range(100))
    monkeypatch.setattr(source, "Asker", Asked)
    monkeypatch.setattr("time.monotonic", lambda: next(moments))
    monkeypatch.setattr("time.sleep", lambda _: None)
    house = SimpleNamespace(instance=SimpleNamespace(path=Path("x")), check=lambda: None)
    began, taken = source.until_all_taken(house, 1000)  # type: ignore[arg-type]  # as much of a house as it asks for
    assert (began, taken) == (3.0, 4.0)
