"""Lines and quotes: the same rows whatever the pieces, and the lines at which what cannot be read begins."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from mgate.intake.drops.faults import Fault, RowFault, fault
from mgate.intake.drops.records import LONGEST, Record, Records
from mgate.intake.drops.table import Form, Line, Table


def cut(text: str, step: int = 1 << 20, *, quotes: bool = True) -> list[Record | Fault]:
    records = Records(quotes)
    for start in range(0, len(text), step):
        records.feed(text[start : start + step])
    records.feed("", final=True)
    return list(records.ready)


def faults(text: str) -> list[tuple[int, str]]:
    return [(each.line, each.code) for each in cut(text) if isinstance(each, Fault)]


def test_a_quoted_row_goes_over_lines_and_bears_its_first() -> None:
    assert cut('a\r\n\r\n"b\r\nc"\r\nd') == [(1, "a"), (3, '"b\r\nc"'), (5, "d")]


def test_an_open_quote_swallows_no_other_row() -> None:
    text = 'a\n"b\n' + "c\n" * 3
    assert cut(text)[1:] == [fault(RowFault.OPEN_QUOTE, 2), (3, "c"), (4, "c"), (5, "c")]
    long = 'a\n"b\n' + ("c" * 1000 + "\n") * 200
    assert faults(long) == [(2, "open_quote")]
    assert len(cut(long)) == 202


def test_an_overlong_line_is_passed_over_without_being_held() -> None:
    for step in (1000, 1 << 20):
        found = cut("a\n" + "x" * (3 * LONGEST) + "\nb\n", step)
        assert [(each[0], each[1]) for each in found] == [(1, "a"), (2, "line_too_long"), (3, "b")]
    records = Records(quotes=True)
    for _ in range(100):
        records.feed("x" * LONGEST)
    assert len(records._part) <= LONGEST


CELL = st.text(alphabet=st.sampled_from('ab,;"\n\r é'), max_size=12)


@given(st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=12), st.integers(1, 9))
def test_what_a_writer_of_csv_wrote_is_read(rows: list[list[str]], step: int) -> None:
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerows([["ref", "to", "text"], *rows])
    table = Table(Form("csv", "auto", {}, ""))
    lines = table.read(cut(file.getvalue(), step))
    assert table.rows == len(rows)
    for row, line in zip(rows, lines, strict=True):
        assert isinstance(line, Line)
        kept = {"ref": row[0].strip(), "to": row[1].strip()}
        assert {key: line.said.get(key, "") for key in kept} == kept
        assert line.said.get("text", "") == (row[2] if row[2].strip() else "")


@given(st.text(alphabet=st.sampled_from('ab,"\n\r\0'), max_size=200), st.integers(1, 20))
def test_pieces_make_no_difference_and_every_line_is_accounted_for(text: str, step: int) -> None:
    whole = cut(text)
    assert cut(text, step) == whole
    numbers = [each[0] for each in whole]
    assert numbers == sorted(set(numbers))
    assert not numbers or numbers[-1] <= text.count("\n") + 1


@given(st.binary(max_size=300), st.booleans())
def test_hostile_rows_are_faults_and_never_errors(octets: bytes, ndjson: bool) -> None:
    form = Form("ndjson" if ndjson else "csv", "comma", {}, "")
    table = Table(form)
    text = octets.decode("cp866")
    for each in table.read(cut(text if ndjson else "ref,to,text\n" + text, quotes=not ndjson)):
        assert isinstance(each, Line | Fault)
