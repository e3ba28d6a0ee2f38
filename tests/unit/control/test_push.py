"""Pushing files: as people make them, over a real socket, with breaks and repeats."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgate.control.pushing import check, push
from mgate.control.results import Result, ResultFile
from mgate.control.sheets import Bad, Good, Row, SheetError, open_sheet
from mgate.control.talk import Daemon, NotReachable
from tests.unit.control.conftest import Shell
from tests.unit.control.door import Door

PLAIN = (
    "to,text,class\n"
    "+375291110001,Code 482913,otp\n"
    "12345,too short a number,otp\n"
    '+375291110003,"two lines,\nand a comma",service\n'
)


def rows_of(path: Path | str, **mapping: str) -> list[Row]:
    return list(open_sheet(Path(path), mapping, {}).rows())


def message_of(row: Row) -> dict[str, object]:
    assert isinstance(row, Good), row
    message = json.loads(row.line)
    assert isinstance(message, dict)
    return message


def results_in(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# ---- reading a sheet -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "to,text,class\n+375291110001,Hello,otp\n",
        "\ufeffto,text,class\r\n+375291110001,Hello,otp\r\n",
        "to;text;class\n+375291110001;Hello;otp\n",
        "to\ttext\tclass\n+375291110001\tHello\totp\n",
        "Phone Number|Message|TYPE\n +375291110001 |Hello| otp\n",
        'class,"Msisdn",body\notp,"+375291110001",Hello',
        "to,text,class,note\n\n+375291110001,Hello,otp,mine\n,,,\n",
    ],
)
def test_a_file_is_read_however_it_was_saved(shell: Shell, content: str) -> None:
    (row,) = rows_of(shell.write("a.csv", content))
    message = message_of(row)
    assert message.pop("ref")
    assert message == {"to": "+375291110001", "text": "Hello", "class": "otp"}


def test_a_column_with_a_name_of_its_own_is_mapped(shell: Shell) -> None:
    path = shell.write("a.csv", "Номер;Текст;class;id\n+375291110001;Привет;otp;77\n")
    (row,) = rows_of(path, Номер="to", Текст="text")
    assert message_of(row) == {"to": "+375291110001", "text": "Привет", "class": "otp", "ref": "77"}


def test_a_class_may_be_written_in_any_case(shell: Shell) -> None:
    path = shell.write("a.csv", "to,text,class\n+375291110001,Hi,OTP\n+375291110001,Hi,Service\n")
    assert [message_of(row)["class"] for row in rows_of(path)] == ["otp", "service"]


def test_numbers_and_lists_have_their_own_types(shell: Shell) -> None:
    path = shell.write("a.csv", 'to,text,class,ttl,tags\n+375291110001,Hi,otp,60,"a, b"\n')
    message = message_of(rows_of(path)[0])
    assert (message["valid_for"], message["tags"]) == (60, ["a", "b"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the first line is empty"),
        (b"\n+375291110001\n", "the first line is empty"),
        (b"to,text\n+375291110001,Hello\n", "no column for class (or say --class); name it with --map COLUMN=FIELD"),
        (b"a,b,c\n1,2,3\n", "no column for to, text, class"),
        (b"to,phone,text,class\n1,2,3,4\n", "the columns to, phone all mean to"),
        ("to,text,class\n+375291110001,Привет,otp\n".encode("cp1251"), "line 2 is not UTF-8: save the file as UTF-8"),
        ("to,text,class\n".encode("utf-16"), "is UTF-16: save the file as UTF-8"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole(shell: Shell, content: bytes | None, said: str) -> None:
    path = shell.folder / "a.csv"
    if content is not None:
        shell.write("a.csv", content)
    with pytest.raises(SheetError, match=re.escape(f"{path}: {said}")):
        rows_of(path)


def test_a_mapping_of_a_column_that_is_not_there_is_told(shell: Shell) -> None:
    path = shell.write("a.csv", PLAIN)
    with pytest.raises(SheetError, match="there is no column 'nummer' for --map"):
        rows_of(path, nummer="to")


@pytest.mark.parametrize(
    ("line", "field", "said"),
    [
        (",Hello,otp", "to", "is empty"),
        ("+375291110001,,otp", "text", "is empty"),
        ("+375291110001,Hello,", "class", "is empty"),
        ("3.75291E+11,Hello,otp", "to", "a spreadsheet has rounded this number"),
        ("3,75E+11,otp", "", ""),
        ("ask Anna,Hello,otp", "to", "is not a phone number"),
        ("+375291110001,Hello,urgent", "class", "is none of otp, fraud"),
        ("+375291110001,Hello", "", "has 2 cells, the header has 3"),
        ("+375291110001,Hello,otp,", "", "has 4 cells, the header has 3"),
        ('+375291110001,"Hello" you,otp', "", "is not CSV"),
    ],
)
def test_a_bad_row_is_told_with_its_number_and_the_rows_around_it_go_on(
    shell: Shell, line: str, field: str, said: str
) -> None:
    good = "+375291110001,Hello,otp"
    first, bad, last = rows_of(shell.write("a.csv", f"to,text,class\n{good}\n{line}\n{good}\n"))
    assert (first.number, bad.number, last.number) == (2, 3, 4)
    assert isinstance(first, Good)
    assert isinstance(last, Good)
    if said:
        assert isinstance(bad, Bad)
        assert bad.field == field
        assert said in bad.reason


def test_the_second_row_of_one_ref_is_refused(shell: Shell) -> None:
    path = shell.write("a.csv", "ref,to,text,class\nr,+375291110001,A,otp\nr,+375291110001,B,otp\n")
    first, second = rows_of(path)
    assert isinstance(first, Good)
    assert isinstance(second, Bad)
    assert second.reason == "row 2 has the same ref"


def test_the_same_file_gives_the_same_refs_and_another_gives_others(shell: Shell) -> None:
    one = [row.ref for row in rows_of(shell.write("a.csv", PLAIN))]
    same = [row.ref for row in rows_of(shell.write("b.csv", PLAIN))]
    other = [row.ref for row in rows_of(shell.write("c.csv", PLAIN + "+375291110004,x,otp\n"))]
    assert one == same
    assert len(set(one)) == 3
    assert not set(one) & set(other)


@settings(max_examples=30)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1, max_size=5))
def test_whatever_stands_in_a_text_arrives_as_it_stood(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "texts.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["to", "text", "class"])
        writer.writerows(["+375291110001", text, "otp"] for text in texts)
    arrived = {row.number: message_of(row)["text"] for row in rows_of(path) if isinstance(row, Good)}
    assert arrived == {number: text for number, text in enumerate(texts, 2) if text.strip()}


# ---- pushing it ----------------------------------------------------------------------------------------------------


def test_a_file_is_pushed_row_by_row_and_every_row_has_its_result(shell: Shell, door: Door) -> None:
    out = shell.folder / "out.csv"
    result = shell.run("push", shell.write("a.csv", PLAIN), "--result", str(out))
    assert result.exit_code == 1
    assert re.search(
        r" 3 +12345|3 +\*+ +to: no mobile number has so many digits \(number_not_possible\)", result.stdout
    )
    rows = results_in(out)
    assert [(row["row"], row["state"], row["to"]) for row in rows] == [
        ("2", "accepted", "+37529*****01"),
        ("3", "refused", "*****"),
        ("4", "accepted", "+37529*****03"),
    ]
    assert {row["id"] for row in rows} - {""} == set(door.messages)
    assert door.pushed[2]["text"] == "two lines,\nand a comma"
    assert "+375291110001" not in out.read_text() + result.output


def test_the_same_file_pushed_again_finds_its_own_rows(shell: Shell, door: Door) -> None:
    path = shell.write("a.csv", PLAIN)
    first = shell.json("push", path, status=1)
    again = shell.json("push", path, status=1)
    assert (first["accepted"], first["duplicate"], first["refused"]) == (2, 0, 1)
    assert (again["accepted"], again["duplicate"], again["refused"]) == (0, 2, 1)
    assert len(door.messages) == 2


def test_after_a_break_the_same_file_goes_on_where_it_broke(shell: Shell, door: Door) -> None:
    # More than any buffer holds, so that the daemon breaks off while the sender is in the middle of a row.
    lines = "".join(f"+37529111{n:04},text {n} {'x' * 2000},service\n" for n in range(500))
    path = shell.write("a.csv", f"to,text,class\n{lines}")
    out = shell.folder / "out.csv"
    door.break_after = 100
    broken = shell.run("push", path, "--result", str(out))
    assert broken.exit_code == 3
    assert "the connection to the daemon broke" in broken.stderr
    assert not out.exists()
    taken = len(door.messages)
    assert taken >= 100
    door.break_after = 0
    again = shell.json("push", path, "--result", str(out))
    assert again["duplicate"] == taken
    assert len(door.messages) == len(results_in(out)) == 500


def test_a_file_far_larger_than_any_buffer_is_read_while_it_is_sent(shell: Shell, door: Door) -> None:
    filler = "x" * 2000
    lines = "".join(f"+37529111{n:04},{filler},service,{n}\n" for n in range(2000))
    door.messages.clear()
    sheet = open_sheet(Path(shell.write("a.csv", f"to,text,class,ref\n{lines}")), {}, {})
    daemon = Daemon(shell.folder / "i" / "run" / "admin.sock")
    assert [result.ref for result in push(daemon, sheet)] == [str(n) for n in range(2000)]


def test_a_dry_run_sends_nothing_and_needs_no_daemon(shell: Shell) -> None:
    shell.init()
    path = shell.write("a.csv", PLAIN.replace("12345", "none"))
    result = shell.run("push", path, "--dry-run")
    assert result.exit_code == 1
    assert re.search(r"can be pushed +2", result.stdout)
    assert re.search(r"3 +\*\*\*\* +to: is not a phone number", result.stdout)


def test_rows_that_name_no_class_take_that_of_the_command(shell: Shell, door: Door) -> None:
    path = shell.write("a.csv", "to,text,class\n+375291110001,Hello,\n+375291110002,Hello,fraud\n")
    assert shell.run("push", path, "--class", "marketing", "--sender", "Bank").exit_code == 0
    assert [(message["class"], message["sender"]) for message in door.pushed] == [
        ("marketing", "Bank"),
        ("fraud", "Bank"),
    ]


def test_waiting_ends_when_every_message_has_ended(shell: Shell, door: Door) -> None:
    door.polls = 1
    out = shell.folder / "out.csv"
    answer = shell.json("push", shell.write("a.csv", PLAIN), "--wait", "--result", str(out), status=1)
    assert answer["states"] == {"delivered": 2}
    assert answer["open"] == 0
    assert [row["state"] for row in results_in(out)] == ["delivered", "refused", "delivered"]


def test_waiting_ends_at_its_limit_and_says_how_many_are_open(shell: Shell, door: Door) -> None:
    door.polls = 99
    result = shell.run("push", shell.write("a.csv", PLAIN), "--wait", "--wait-limit", "0s")
    assert result.exit_code == 1
    assert "2 have not ended yet" in result.stderr


def test_without_a_daemon_a_push_ends_with_three_and_leaves_no_result_file(shell: Shell) -> None:
    shell.init()
    out = shell.folder / "out.csv"
    assert shell.run("push", shell.write("a.csv", PLAIN), "--result", str(out)).exit_code == 3
    assert sorted(path.name for path in shell.folder.iterdir()) == ["a.csv", "i", "password"]


def test_a_row_answered_for_another_is_a_fault_and_no_result(shell: Shell, door: Door) -> None:
    sheet = open_sheet(Path(shell.write("a.csv", PLAIN)), {}, {})
    door.push = lambda line, number: {"line": number, "ref": "other", "id": "m", "state": "accepted"}  # type: ignore[method-assign]
    with pytest.raises(NotReachable, match="row 2"):
        list(push(Daemon(shell.folder / "i" / "run" / "admin.sock"), sheet))


def test_a_file_that_turns_bad_on_the_way_ends_the_push_with_its_own_error(shell: Shell, door: Door) -> None:
    path = Path(shell.write("a.csv", PLAIN))
    sheet = open_sheet(path, {}, {})
    path.unlink()
    with pytest.raises(FileNotFoundError):
        list(push(Daemon(shell.folder / "i" / "run" / "admin.sock"), sheet))


def test_a_result_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("the one before")

    def broken() -> None:
        with ResultFile(path, Path(__file__)) as file:
            file.write([Result(2, "r", "+37529*****01", "m1", "accepted", "")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert path.read_text() == "the one before"
    assert list(tmp_path.iterdir()) == [path]
    with ResultFile(path, Path(__file__)) as file:
        file.write([Result(2, "r", "+37529*****01", "m1", "accepted", "")])
    assert path.read_text().splitlines() == ["row,ref,to,id,state,reason", "2,r,+37529*****01,m1,accepted,"]


@pytest.mark.parametrize("place", ["the input", "a second name of it", "a link to it", "a folder", "a pipe", "nowhere"])
def test_a_result_file_never_takes_the_place_of_what_is_no_older_result(shell: Shell, door: Door, place: str) -> None:
    path = Path(shell.write("a.csv", PLAIN))
    out = shell.folder / "out"
    if place == "the input":
        out = shell.folder / "i" / ".." / "a.csv"
    elif place == "a second name of it":
        out.hardlink_to(path)
    elif place == "a link to it":
        out.symlink_to(path)
    elif place == "a folder":
        out.mkdir()
    elif place == "a pipe":
        os.mkfifo(out)
    else:
        out = shell.folder / "no such folder" / "out"
    before = sorted(each.name for each in shell.folder.iterdir())
    result = shell.run("push", str(path), "--result", str(out))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"mgatectl: {out}: ")
    assert "nothing was pushed" in result.stderr
    assert door.pushed == []
    assert path.read_text() == PLAIN
    assert sorted(each.name for each in shell.folder.iterdir()) == before


def test_an_older_result_file_is_replaced(shell: Shell, door: Door) -> None:
    out = Path(shell.write("out.csv", "the one before"))
    shell.run("push", shell.write("a.csv", PLAIN), "--result", str(out))
    assert len(results_in(out)) == 3


def test_checking_counts_every_row_and_keeps_the_wrong_ones(shell: Shell) -> None:
    rows, wrong = check(open_sheet(Path(shell.write("a.csv", PLAIN.replace("12345", ""))), {}, {}))
    assert rows == 3
    assert [(bad.row, bad.reason) for bad in wrong] == [(3, "to: is empty")]
