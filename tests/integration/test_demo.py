"""tools/demo, as a user starts it: it ends well, it leaves nothing behind but its result, and what it prints works."""

import csv
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mgate.peers.demo.main import SHEET
from mgate.peers.demo.reckoning import FINAL, Told, read_told

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 120
REFUSED_ROWS = {
    "ugly-letters-11", "ugly-letters-12", "ugly-short-13", "ugly-short-14", "ugly-long-15", "ugly-country-16",
    "ugly-rounded-17", "ugly-landline-18", "ugly-empty-19", "ugly-two-20", "odd-class", "odd-text", "odd-sender",
    "odd-life",
}  # fmt: skip
TWICE = "service-0001"
THREE_ROWS = "to,class,text\n+375291110001,otp,Code 482913\n+375291110002,service,Hello\n12,service,Too short\n"


class Ended(NamedTuple):
    """What it said, and what was left of it: names in its folder, command lines of processes."""

    status: int
    said: str
    told: list[Told]
    left: list[str]
    running: list[str]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, because sockets live in it."""
    with tempfile.TemporaryDirectory(prefix="mgt-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def demo() -> Iterator[Ended]:
    """The whole of it, once, without a terminal, where a result of an earlier one lies."""
    with tempfile.TemporaryDirectory(prefix="mgt-") as name:
        (Path(name) / "result.csv").write_text("of yesterday\n")
        yield _run(Path(name))


def _run(folder: Path, *more: str) -> Ended:
    result = folder / "result.csv"
    done = subprocess.run(
        ["tools/demo", "--folder", str(folder / "demo"), "--result", str(result), *more],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    told = read_told(result.read_text(encoding="utf-8").splitlines()) if result.exists() else []
    left = sorted(path.name for path in folder.iterdir())
    return Ended(done.returncode, done.stdout, told, left, processes_of(folder))


def _sample() -> list[dict[str, str]]:
    with SHEET.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_it_ends_well(demo: Ended) -> None:
    assert demo.status == 0, demo.said


def test_every_row_has_a_final_state_or_a_reason(demo: Ended) -> None:
    assert [each.ref for each in demo.told] == [row["ref"] for row in _sample()]
    assert all(each.state in FINAL or (each.state == "refused" and each.reason) for each in demo.told)
    assert sum(each.state == "delivered" for each in demo.told) > 300


def test_only_the_rows_that_are_wrong_are_refused(demo: Ended) -> None:
    refused = [each.ref for each in demo.told if each.state == "refused"]
    assert set(refused) == REFUSED_ROWS | {TWICE}
    assert len(refused) == len(REFUSED_ROWS) + 1
    assert all(ref in demo.said for ref in REFUSED_ROWS)


def test_every_way_to_write_a_number_of_ours_is_read(demo: Ended) -> None:
    ugly = [each for each in demo.told if each.ref.startswith("ugly-") and each.ref not in REFUSED_ROWS]
    assert len(ugly) == 10
    assert all(each.id for each in ugly)


def test_what_the_operator_does_not_serve_is_told_in_his_words(demo: Ended) -> None:
    unserved = [each for each in demo.told if each.ref.startswith("unserved-")]
    assert len(unserved) == 4
    assert {(each.state, each.reason) for each in unserved} == {("undelivered", "ESME_RINVDSTADR")}


def test_a_delivered_message_bears_no_reason(demo: Ended) -> None:
    assert {each.reason for each in demo.told if each.state == "delivered"} == {""}


def test_neither_screen_nor_result_shows_a_number_or_a_text(demo: Ended) -> None:
    shown = demo.said.replace('"to":"+375291110001"', "").replace('"text":"Code 482913"', "")
    shown += "".join(f"{each.to} {each.reason}\n" for each in demo.told)
    for row in _sample():
        assert len(row["phone"]) < 5 or row["phone"] not in shown
        assert not row["text"] or row["text"] not in shown


def test_it_leaves_nothing_but_the_result(demo: Ended) -> None:
    assert demo.left == ["result.csv"]
    assert demo.running == []


def test_a_push_of_which_nothing_is_taken_is_a_failure_and_all_is_kept(folder: Path) -> None:
    (folder / "bad.csv").write_text("to,class,text\n12,service,Too short\n")
    ended = _run(folder, "--sheet", str(folder / "bad.csv"))
    assert ended.status == 1
    assert "not one row was taken" in ended.said
    assert str(folder / "demo") in ended.said
    assert (folder / "demo" / "mgated.log").exists()
    assert processes_of(folder) == []


def test_a_file_that_cannot_be_pushed_is_named(folder: Path) -> None:
    ended = _run(folder, "--sheet", str(folder / "none.csv"))
    assert ended.status == 1
    assert "none.csv: cannot be read" in ended.said
    assert processes_of(folder) == []


def test_a_folder_with_something_in_it_is_refused_and_not_touched(folder: Path) -> None:
    (folder / "demo").mkdir()
    (folder / "demo" / "mine").touch()
    ended = _run(folder)
    assert ended.status == 1
    assert "is not an empty folder" in ended.said
    assert (folder / "demo" / "mine").exists()


def test_kept_up_it_takes_the_curl_that_it_prints_and_ends_in_order_when_it_is_terminated(folder: Path) -> None:
    (folder / "three.csv").write_text(THREE_ROWS)
    command = ["tools/demo", "--keep", "--folder", str(folder / "demo"), "--result", str(folder / "result.csv")]
    command += ["--sheet", str(folder / "three.csv")]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as demo:
        try:
            assert demo.stdout is not None
            shell = _lines_to_paste(iter(demo.stdout.readline, ""))
            said = subprocess.run(
                ["bash", "-euc", shell], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=True
            ).stdout
            demo.send_signal(signal.SIGTERM)
            assert demo.wait(LIMIT) == 0, demo.stdout.read()
        finally:
            demo.kill()
    accepted, end = json.JSONDecoder().raw_decode(said)
    asked, end = json.JSONDecoder().raw_decode(said, end)
    assert accepted["state"] == "accepted"
    assert asked["messages"][0]["id"] == accepted["id"]
    assert "running" in said[end:]
    assert not (folder / "demo").exists()
    assert processes_of(folder) == []


def test_interrupted_in_the_middle_it_leaves_nothing(folder: Path) -> None:
    command = ["tools/demo", "--folder", str(folder / "demo"), "--result", str(folder / "result.csv")]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as demo:
        try:
            assert demo.stdout is not None
            said = []
            for line in demo.stdout:
                said.append(line)
                if line.startswith("  push"):
                    demo.send_signal(signal.SIGINT)
            assert demo.wait(LIMIT) == 130, "".join(said)
        finally:
            demo.kill()
    assert not (folder / "demo").exists()
    assert processes_of(folder) == []


def _lines_to_paste(lines: Iterator[str]) -> str:
    """What is printed to be pasted, up to the last of it."""
    pasted = ""
    kept_up = False
    for line in lines:
        kept_up = kept_up or line.startswith("All stays up")
        if kept_up and line.startswith("  "):
            pasted += line
        if "mgatectl status" in line:
            return pasted
    raise AssertionError("the demo ended before it said how to push")


def processes_of(folder: Path) -> list[str]:
    """The command lines of this machine that name the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in command:
                found.append(command)
    return found
