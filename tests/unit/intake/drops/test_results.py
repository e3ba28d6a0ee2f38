"""What is written back: lines that a spreadsheet runs nothing of, and a program reads again."""

import csv
import io
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mgate.intake.drops.book import Answered, Book, Change
from mgate.intake.drops.names import candidates, data_of, manifest_of
from mgate.intake.drops.results import FinalRow, ResultRow, head, neutral, render


@given(
    st.sampled_from(["", "=", "+", "-", "@", "\t", "\r", '"=']),
    st.text(max_size=20).filter(lambda ref: "\0" not in ref),
)
def test_no_cell_is_a_formula_and_every_row_is_one_row(sign: str, rest: str) -> None:
    ref = sign + rest
    text = (head(ResultRow, "csv") + render([ResultRow(2, ref, "accepted", "m0")], "csv")).decode()
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len(rows) == 2
    assert len(rows[1]) == len(rows[0])
    assert not rows[1][1].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert rows[1][1] == neutral(ref)


def test_names_that_lead_elsewhere_are_no_names() -> None:
    assert manifest_of("a.b-1.manifest.json") == "a.b-1"
    for file in ("../a.manifest.json", ".manifest.json", ".a.manifest.json", "a b.manifest.json", "a.json", "a" * 65
                 + ".manifest.json", "ä.manifest.json", "a.manifest.json.manifest.json"):  # fmt: skip
        assert manifest_of(file) is None
    for file in ("../a.csv", "/a.csv", "a.csv/", "b.csv", "a.CSV", "a.csv.bz2", "a.csv\n", "a"):
        assert data_of("a", file) is None
    assert {str(each) for each in candidates("a")} == {
        "a.csv", "a.csv.gz", "a.csv.zip", "a.ndjson", "a.ndjson.gz", "a.ndjson.zip"
    }  # fmt: skip


def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "book.db")


def test_the_journal_may_be_quicker_than_the_answer(tmp_path: Path) -> None:
    one = book(tmp_path)
    file = one.begin("a", "d" * 64, "csv", 1.0)
    one.apply([Change(7, "sent", "", True, 100), Change(7, "delivered", "", True, 200)], 5, taking=True)
    one.write(file.number, [Answered(2, "r0", 7, 1), Answered(3, "r1", None, 0, False, "empty", "to", "x")], 9.0, 2.0)
    assert one.finals(file.number, 0, 10, str) == [FinalRow(2, "r0", "m0000000000007", "delivered", "", True, "200", 1)]
    assert not one.is_open(file.number)
    assert one.cursor() == 5


def test_an_older_event_changes_nothing_and_the_same_again_neither(tmp_path: Path) -> None:
    one = book(tmp_path)
    file = one.begin("a", "d" * 64, "csv", 1.0)
    one.write(file.number, [Answered(2, "r0", 7, 1)], 9.0, 2.0)
    sent, delivered = Change(7, "sent", "", True, 100), Change(7, "delivered", "", True, 200)
    for change in (sent, delivered, delivered, sent):
        one.apply([change], None, taking=False)
    assert one.finals(file.number, 0, 10, str)[0].state == "delivered"
    assert one.counts(file.number) == (1, 0, 0, 0)


def test_what_is_told_of_strangers_is_not_kept_when_nothing_is_taken(tmp_path: Path) -> None:
    one = book(tmp_path)
    one.apply([Change(7, "delivered", "", True, 200)], 5, taking=True)
    one.apply([], 6, taking=False)
    file = one.begin("a", "d" * 64, "csv", 1.0)
    one.write(file.number, [Answered(2, "r0", 7, 1, known=True)], 9.0, 2.0)
    assert one.is_open(file.number)
    assert one.unsure(file.number, 0, 10, known=True) == [(2, 7)]
