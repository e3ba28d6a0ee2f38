"""One file from its claim to its results: whole, refused, broken off and gone on with."""

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mgate.intake.drops.blocks import Limits
from mgate.intake.drops.book import Counts, Turned
from mgate.intake.drops.course import Stopped
from mgate.intake.drops.faults import Refused
from mgate.intake.drops.folder import FolderError
from mgate.intake.drops.manifest import read_manifest
from tests.unit.intake.drops.conftest import HEADER, NOW, Job, csv_of


def test_every_row_is_taken_once_and_answered_in_order(job: Job) -> None:
    job.put("a", csv_of(200))
    assert job.take("a").reason == ""
    assert job.shelf.order == [f"r{n}" for n in range(200)]
    lines = job.lines("done", "a")
    assert len(lines) == 201
    assert lines[0] == "line,ref,status,id,parts,known,code,field,detail"
    assert lines[1].startswith("2,r0,accepted,m")
    assert lines[200].startswith("201,r199,accepted,m")
    assert job.names("done") == ["a.csv", "a.manifest.json", "a.result.csv"]
    assert job.names("in") == job.names("work") == []


def test_no_result_bears_a_text_or_a_number(job: Job) -> None:
    job.takes = replace(job.takes, whole=False)
    job.put("a", HEADER + "r0,+375291110001,Code 482913\nr1,482913,Code 482913\nr2,+375291110002,\n")
    job.take("a")
    told = "\n".join(job.lines("done", "a"))
    assert "482913" not in told
    assert "291110001" not in told
    assert "3,r1,refused,,0,,number_not_possible,to," in told
    assert "4,r2,refused,,0,,missing,text," in told


@pytest.mark.parametrize(
    ("content", "manifest", "reason"),
    [
        (csv_of(3), {"sha256": "0" * 64}, "wrong_sha256"),
        (csv_of(3), {"rows": 4}, "wrong_rows"),
        (csv_of(3), {"rows": 2}, "wrong_rows"),
        (csv_of(3), {"rows": 1001}, "too_many_rows"),
        (csv_of(3), {"file": "../in/a.csv"}, "bad_name"),
        (csv_of(3), {"file": "b.csv"}, "bad_name"),
        (csv_of(3), {"sha256": "no"}, "bad_manifest"),
        (csv_of(3), {"rows": -1}, "bad_manifest"),
        (csv_of(3), {"rows": True}, "bad_manifest"),
        (csv_of(3), {"surprise": 1}, "bad_manifest"),
        (csv_of(3), {"format": "ndjson"}, "wrong_format"),
        (csv_of(3) + "r3,+375291110009\n", {}, "bad_rows"),
        (csv_of(3) + "r1,+375291110009,again\n", {}, "bad_rows"),
        ("+375291110001,Hello\n+375291110002,Hello\n", {}, "no_header"),
        ("ref,to,text,secret\n", {}, "bad_header"),
        ("ref,to,text,to\n", {}, "bad_header"),
        ("ref,to\n", {}, "bad_header"),
        ("", {"rows": 0}, "no_header"),
        ((HEADER + "r0,+375291110001,Я\n").encode("cp1251"), {}, "unknown_encoding"),
        ((HEADER + "r0,+375291110001,Я\n").encode("cp1251"), {"encoding": "utf-8"}, "bad_encoding"),
        (csv_of(3).encode("utf-16"), {}, "bad_encoding"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused_whole(
    job: Job, content: str | bytes, manifest: dict[str, Any], reason: str
) -> None:
    job.put("a", content, **manifest)
    assert job.take("a").reason == reason
    assert job.shelf.order == []
    assert reason in "\n".join(job.lines("refused", "a"))
    assert job.names("done") == job.names("work") == job.names("in") == []
    assert "a.manifest.json" in job.names("refused")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sha256": "no"}, "sha256 must be the file's SHA-256, 64 hexadecimal digits in quotes"),
        ({"sha256": 7}, "sha256 must be the file's SHA-256, 64 hexadecimal digits in quotes"),
        ({"rows": "3"}, "rows must be the number of its rows, from 0 on, without quotes"),
        ({"rows": -1}, "rows must be the number of its rows, from 0 on, without quotes"),
        ({"format": "xls"}, 'format must be one of "auto", "csv", "ndjson"'),
        (
            {"surprise 482913": 1},
            "it has a field that is not known; known: file, rows, sha256, format, encoding, delimiter",
        ),
    ],
)
def test_a_wrong_manifest_tells_the_field_and_what_it_must_be(given: dict[str, object], said: str) -> None:
    right = {"file": "a.csv", "rows": 3, "sha256": "0" * 64}
    assert read_manifest("a", json.dumps(right).encode())[0].rows == 3
    with pytest.raises(Refused) as refused:
        read_manifest("a", json.dumps(right | given).encode())
    assert str(refused.value) == said


def test_a_manifest_without_a_field_tells_what_it_must_be() -> None:
    with pytest.raises(Refused) as refused:
        read_manifest("a", b'{"rows": 3, "sha256": "%s"}' % (b"0" * 64))
    assert str(refused.value) == "file must be the name of the file, in quotes"


def test_a_refused_file_tells_the_lines(job: Job) -> None:
    job.put("a", csv_of(2) + "r2,12,x\n" + "r0,+375291110009,again\n")
    job.take("a")
    lines = job.lines("refused", "a")
    assert [line.split(",")[:2] for line in lines[1:]] == [["0", ""], ["4", "r2"], ["5", "r0"]]
    assert "line 2 of this file has the same ref" in lines[3]


@pytest.mark.parametrize(
    "row",
    [
        "r7,12,x,,",
        "r7,+375291110001,x,soon,",
        "r7,+375291110001,x,,2030-01-01 09:00",
        " r7 ,+375291110001,x,0,",
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_the_line_of_a_wrong_row_has_its_ref(job: Job, row: str, whole: bool) -> None:
    job.takes = replace(job.takes, whole=whole)
    job.put("a", f"ref,to,text,valid_for,not_after\n{row}\n")
    job.take("a")
    assert [line.split(",")[:3] for line in job.lines("refused" if whole else "done", "a")][-1] == [
        "2",
        "r7",
        "refused",
    ]


def test_a_refused_file_is_remembered_until_it_comes_again(job: Job) -> None:
    job.put("a", csv_of(2) + "r2,12,x\n")
    job.take("a")
    assert job.book.turned() == [Turned("a", NOW, 3, "bad_rows")]
    job.put("a", csv_of(2))
    job.take("a")
    assert job.book.turned() == []


def test_how_many_rows_a_file_had_is_known_when_its_rows_are_forgotten(job: Job) -> None:
    job.takes = replace(job.takes, whole=False)
    job.put("a", csv_of(2) + "r2,12,x\n")
    job.take("a")
    file = job.book.files()[0]
    assert job.book.counts(file.number) == Counts(2, 0, 1, 2)
    job.book.end(file.number)
    assert (job.book.counts(file.number), job.book.files()[0].phase) == (Counts(2, 0, 1, 0), "final")
    job.book.forget(file.number)
    assert job.book.counts(file.number) == Counts(0, 0, 0, 0)


def test_by_row_the_good_rows_are_taken(job: Job) -> None:
    job.takes = replace(job.takes, whole=False)
    job.put("a", HEADER + 'r0,+375291110001,x\nr1,12,x\nr2,+375291110002,"open\nr3,+375291110003,x\n', rows=4)
    assert job.take("a").reason == ""
    assert job.shelf.order == ["r0", "r3"]
    assert job.counted == [2, 0, 2]
    assert [line.split(",")[2] for line in job.lines("done", "a")[1:]] == ["accepted", "refused", "refused", "accepted"]


def test_a_thousand_faults_are_told_and_the_rest_counted(job: Job) -> None:
    job.takes = replace(job.takes, limits=Limits(5000, 1 << 20, 100))
    job.put("a", HEADER + "r,12,x\n" * 1500)
    job.take("a")
    lines = job.lines("refused", "a")
    assert len(lines) == 1 + 1 + 1000
    assert "1500 rows are wrong" in lines[1]


def test_a_file_without_refs_names_its_rows_by_its_content(job: Job) -> None:
    content = "to,text\n+375291110001,x\n+375291110001,x\n"
    job.put("a", content)
    job.take("a")
    digest = hashlib.sha256(content.encode()).hexdigest()[:32]
    assert job.shelf.order == [f"a/{digest}/1", f"a/{digest}/2"]


def test_the_same_content_again_is_refused_with_the_name_of_the_first(job: Job) -> None:
    job.put("a", csv_of(3))
    job.take("a")
    for name in ("a", "b"):
        job.put(name, csv_of(3))
        assert job.take(name).reason == "repeated"
        assert "it was taken as a" in job.lines("refused", name)[1]
    assert job.lines("done", "a")[1].startswith("2,r0,accepted")
    assert len(job.shelf.order) == 3


def test_a_name_is_not_used_twice_while_its_results_stand(job: Job) -> None:
    job.put("a", csv_of(3))
    job.take("a")
    job.put("a", csv_of(3, first=10))
    assert job.take("a").reason == "name_used"
    assert len(job.shelf.order) == 3


def test_a_refused_file_may_come_again_when_it_is_mended(job: Job) -> None:
    job.put("a", HEADER + "r0,12,x\n")
    job.take("a")
    assert job.names("refused") == ["a.csv", "a.manifest.json", "a.result.csv"]
    job.put("a", csv_of(1))
    assert job.take("a").reason == ""
    assert "a.result.csv" not in job.names("refused")


def test_what_is_refused_only_for_now_comes_again(job: Job) -> None:
    job.shelf.full = 3
    job.put("a", csv_of(120))
    assert job.take("a").reason == ""
    assert sorted(job.shelf.order) == sorted(f"r{n}" for n in range(120))
    assert 5.0 in job.hands.slept
    assert all(",accepted," in line for line in job.lines("done", "a")[1:])


@pytest.mark.parametrize(("rate", "count"), [(1, 5), (10, 95), (40, 200), (1_000, 900), (0, 900)])
def test_rows_are_handed_in_at_the_folder_s_rate(job: Job, rate: int, count: int) -> None:
    job.takes = replace(job.takes, rate=rate)
    job.put("a", csv_of(count))
    least = (count - rate) / rate if rate else 0.0
    handed: list[tuple[float, int]] = []
    job.gate = lambda: handed.append((job.hands.now(), len(job.shelf.order)))
    assert job.take("a").reason == ""
    assert len(job.shelf.order) == count
    assert max(0.0, least) <= job.hands.now() <= max(0.0, least) + 1.0
    if rate:
        assert all(taken <= rate * (now + 1) + 1 for now, taken in handed)


@pytest.mark.parametrize("runs", range(1, 9))
def test_a_file_that_was_broken_off_is_gone_on_with(job: Job, runs: int) -> None:
    job.put("a", csv_of(200))

    def gate() -> None:
        nonlocal runs
        runs -= 1
        if runs < 0:
            raise Stopped

    job.gate = gate
    with pytest.raises(Stopped):
        job.take("a")
    assert job.names("done") == []
    job.gate = lambda: None
    assert job.go_on("a").reason == ""
    assert job.shelf.order == [f"r{n}" for n in range(200)]
    assert job.counted[1] == 0, "what was answered is passed over"
    assert len(job.lines("done", "a")) == 201


def test_after_a_lost_book_every_row_is_recognised(job: Job) -> None:
    job.put("a", csv_of(50))
    job.take("a")
    job.book.close()
    for file in (job.path / "work").iterdir():
        file.unlink()
    for name in ("a.csv", "a.manifest.json"):
        (job.path / "done" / name).rename(job.path / "work" / name)
    assert job.go_on("a").reason == ""
    assert len(job.shelf.order) == 50
    assert job.counted == [50, 50, 0]
    assert ",yes," in job.lines("done", "a")[1]


def test_a_crash_while_a_file_is_put_away_leaves_its_results(job: Job) -> None:
    job.put("a", csv_of(5))
    job.take("a")
    was = job.lines("done", "a")
    (job.path / "done" / "a.manifest.json").rename(job.path / "work" / "a.manifest.json")
    assert job.go_on("a").reason == ""
    assert job.lines("done", "a") == was
    assert job.names("work") == []


def test_a_file_that_is_written_to_while_it_is_taken_is_taken_as_far_as_it_was_verified(job: Job) -> None:
    job.takes = replace(job.takes, limits=Limits(10_000, 1 << 24, 100))
    job.put("a", csv_of(6000))
    writer = (job.path / "in" / "a.csv").open("ab")
    runs = 0

    def gate() -> None:
        nonlocal runs
        runs += 1
        if runs == 127:  # the check is over, the taking has begun
            writer.write(b"r9,+375291110009,slipped in\n")
            writer.flush()

    job.gate = gate
    ended = job.take("a")
    writer.close()
    assert ended.reason == "changed"
    last = job.lines("done", "a")[-1]
    assert last.startswith("0,,refused")
    assert "changed" in last
    assert 0 < len(job.shelf.order) < 6000


def test_links_pipes_and_second_names_are_refused(job: Job) -> None:
    target = job.path.parent / "secret.csv"
    target.write_text(csv_of(3))
    said = json.dumps({"file": "a.csv", "rows": 3, "sha256": hashlib.sha256(target.read_bytes()).hexdigest()}).encode()
    inside = job.path / "in" / "a.csv"
    makers: list[Callable[[], None]] = [
        lambda: inside.symlink_to(target),
        lambda: os.link(target, inside),
        lambda: os.mkfifo(inside),
        inside.mkdir,
    ]
    for make in makers:
        make()
        job.manifest("a", said)
        assert job.take("a").reason == "not_a_file"
        assert job.shelf.order == []
    assert target.read_text() == csv_of(3)
    assert not any(each.is_symlink() for each in (job.path / "refused").iterdir())


def test_a_manifest_that_is_a_link_is_refused(job: Job) -> None:
    (job.path / "in" / "a.manifest.json").symlink_to("/etc/passwd")
    assert job.take("a").reason == "not_a_file"
    assert job.names("refused") == ["a.result.csv"]


def test_a_manifest_whose_file_never_came_is_refused(job: Job) -> None:
    job.put("a", csv_of(1))
    (job.path / "in" / "a.csv").unlink()
    assert job.take("a").reason == "no_file"


def test_a_packed_file_is_taken_and_a_bomb_is_not(job: Job) -> None:
    job.put("a", gzip.compress(csv_of(20).encode()), "csv.gz", rows=20)
    assert job.take("a").reason == ""
    job.put("b", gzip.compress(b"to,text\n" + b" " * 1_000_000), "csv.gz", rows=0)
    assert job.take("b").reason == "bomb"


def test_columns_with_names_of_their_own_and_moments_without_a_zone(job: Job) -> None:
    job.takes = replace(job.takes, columns=(("to", "PHONE"), ("text", "MESSAGE")), time_zone="Europe/Minsk")
    job.put("a", "phone;Message;not_before\n8 029 111-00-01;Hello;2027-02-01 09:00\n")
    assert job.take("a").reason == ""
    ((content, _),) = job.shelf.known.values()
    assert b"2027-02-01T09:00:00+03:00" in content


def test_ndjson_gets_ndjson(job: Job) -> None:
    job.put("a", '{"ref":"=1+1","to":"+375291110001","text":"x"}\n', "ndjson")
    assert job.take("a").reason == ""
    assert json.loads(job.lines("done", "a", form="ndjson")[0])["ref"] == "=1+1"


def test_a_folder_that_others_may_rename_in_is_not_used(job: Job) -> None:
    job.path.chmod(0o777)
    with pytest.raises(FolderError, match="others may write"):
        job.folder.open()


def test_a_file_without_its_manifest_waits(job: Job) -> None:
    job.put("a", csv_of(1))
    (job.path / "in" / "b.csv").write_text("half")
    (job.path / "in" / "..manifest.json").write_text("{}")
    assert job.folder.waiting() == (["a"], 1)


def test_only_the_group_may_write_and_only_to_in(job: Job) -> None:
    job.folder.group = os.getegid()
    job.folder.open()
    modes = {place: (job.path / place).stat().st_mode & 0o7777 for place in ("in", "work", "done", "refused")}
    assert modes == {"in": 0o2770, "work": 0o700, "done": 0o2750, "refused": 0o2750}
    job.put("a", csv_of(1))
    job.take("a")
    assert (job.path / "done" / "a.result.csv").stat().st_mode & 0o777 == 0o640
