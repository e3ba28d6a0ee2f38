"""A batch job's files through a running daemon: in once, out once, answered row by row, whatever is killed between."""

import csv
import grp
import hashlib
import json
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.instance import House, ask, until

SECTION = """
[drops.payroll]
folder = "drops/payroll"
default_class = "service"
default_sender = "ExampleBank"
"""


class Job:
    """The bank's batch job."""

    def __init__(self, house: House) -> None:
        self.path = house.path / "drops" / "payroll"
        until(lambda: (self.path / "in").exists(), "the folder is there")

    def put(self, name: str, octets: bytes, rows: int) -> None:
        (self.path / "in" / f"{name}.csv").write_bytes(octets)
        said = {"file": f"{name}.csv", "rows": rows, "sha256": hashlib.sha256(octets).hexdigest()}
        part = self.path / "in" / "manifest.part"
        part.write_text(json.dumps(said))
        part.rename(self.path / "in" / f"{name}.manifest.json")

    def read(self, file: str, limit: float = 60.0) -> list[dict[str, str]]:
        path = self.path / file
        until(path.exists, file, limit)
        with path.open(newline="") as opened:
            return list(csv.DictReader(opened))


def rows(count: int) -> bytes:
    lines = (f"r{n},+37529{1_110_001 + n},Hello {n}\n" for n in range(count))
    return ("ref,to,text\n" + "".join(lines)).encode()


def booked(book: Path) -> int:
    try:
        with sqlite3.connect(f"file:{book}?mode=ro", uri=True) as db:
            return int(db.execute("SELECT count(*) FROM row").fetchone()[0])
    except sqlite3.Error:
        return 0


def test_a_kill_in_the_middle_of_a_file_loses_and_doubles_nothing(house: House) -> None:
    house.begin(more=SECTION, window=200)
    job = Job(house)
    # What was leased when a daemon is killed stays in doubt for an hour: here nothing leaves before the kill.
    house.pause()
    job.put("a", rows(10_000), 10_000)
    until(lambda: booked(job.path / "work" / "book.db") >= 3_000, "some rows are answered", 60.0)
    house.daemon.kill()
    assert not (job.path / "done" / "a.result.csv").exists()
    house.start()
    results = job.read("done/a.result.csv")
    assert [row["ref"] for row in results] == [f"r{n}" for n in range(10_000)]
    assert {row["status"] for row in results} == {"accepted"}
    finals = job.read("done/a.final.csv", 120.0)
    assert [(row["line"], row["id"]) for row in finals] == [(row["line"], row["id"]) for row in results]
    assert {row["state"] for row in finals} == {"delivered"}
    submitted = [row.to for row in house.operator.submits()]
    assert len(submitted) == len(set(submitted)) == 10_000
    assert sorted(each.name for each in (job.path / "work").iterdir() if "book.db" not in each.name) == []


def test_what_a_file_brought_counts_as_accepted_like_all_else(house: House) -> None:
    house.begin(more=SECTION, window=200)
    assert house.push("by-push").status == 202
    job = Job(house)
    job.put("a", rows(7), 7)
    assert len(job.read("done/a.result.csv")) == 7
    assert ask(house.admin_socket, "GET", "/v1/status").body["accepted"] == 8


def test_a_wrong_file_is_refused_with_lines_and_a_stop_leaves_a_right_one_whole(house: House) -> None:
    house.begin(more=SECTION, window=200)
    job = Job(house)
    job.put("bad", rows(3) + b"r3,12,x\n", 4)
    refused = job.read("refused/bad.result.csv")
    assert [(row["line"], row["code"]) for row in refused] == [("0", "bad_rows"), ("5", "not_a_number")]
    job.put("good", rows(3_000), 3_000)
    until(lambda: booked(job.path / "work" / "book.db") >= 500, "some rows are answered", 60.0)
    house.stop()
    house.start()
    assert len(job.read("done/good.result.csv")) == 3_000
    assert len(house.events("drop_refused")) == 1


# ---- a job that runs as its own user ---------------------------------------------------------------------------------

STRANGERS = "nogroup"
SHARED = "games"  # a group that Debian always has


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that other users can come to."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # the way to pytest's own is closed to others
        Path(folder).chmod(0o755)
        yield Path(folder)


def as_nobody(script: str, *arguments: Path, groups: str) -> subprocess.CompletedProcess[str]:
    gid = str(grp.getgrnam(groups).gr_gid)
    command = ["setpriv", "--reuid=nobody", f"--regid={STRANGERS}", f"--groups={gid}", "sh", "-ec", script, "sh"]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False)


PUT = """
umask 027
printf 'ref,to,text\nr1,+375291110001,Hello\n' > "$1/in/pay.csv"
sha=$(sha256sum < "$1/in/pay.csv" | cut -d' ' -f1)
printf '{"file": "pay.csv", "rows": 1, "sha256": "%s"}' "$sha" > "$1/in/.pay.tmp"
mv "$1/in/.pay.tmp" "$1/in/pay.manifest.json"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_job_of_another_user_puts_files_by_its_group_and_strangers_do_not(house: House, reachable: Path) -> None:
    drop = reachable / "payroll"
    house.begin(more=SECTION.replace('"drops/payroll"', f'"{drop}"') + f'group = "{SHARED}"\n')
    until(lambda: (drop / "refused").exists(), "the folder is there")
    listed = json.loads(house.mgatectl("drop", "list", "--json").stdout)["drops"][0]
    assert listed["writers"] == f"members of {SHARED} (in is 2770)"

    assert as_nobody(PUT, drop, groups=STRANGERS).returncode != 0
    house.mgatectl("drop", "pause", "payroll")
    put = as_nobody(PUT, drop, groups=SHARED)
    assert put.returncode == 0, put.stderr
    # By this a daemon that is a member of the group and not root can read it.
    theirs = (drop / "in" / "pay.csv").stat()
    assert (theirs.st_gid, theirs.st_mode & 0o777) == (grp.getgrnam(SHARED).gr_gid, 0o640)
    house.mgatectl("drop", "resume", "payroll")
    for file in ("pay.result.csv", "pay.final.csv"):
        until((drop / "done" / file).exists, file, 60.0)
        read = as_nobody('cat "$1"', drop / "done" / file, groups=SHARED)
        assert "r1" in read.stdout, read.stderr
        assert as_nobody('cat "$1"', drop / "done" / file, groups=STRANGERS).returncode != 0
    for script in (
        'echo x > "$1/done/pay.result.csv"',
        'ls "$1/work"',
        'mv "$1/in" "$1/other"',
        'rm "$1/done/pay.csv"',
    ):
        assert as_nobody(script, drop, groups=SHARED).returncode != 0, script
    (file_view,) = json.loads(house.mgatectl("drop", "list", "--json").stdout)["drops"][0]["files"]
    assert (file_view["phase"], file_view["accepted"], file_view["open"]) == ("final", 1, 0)


def test_mgatectl_lists_pauses_and_checks(house: House) -> None:
    house.begin(more=SECTION)
    job = Job(house)
    paused = json.loads(house.mgatectl("drop", "pause", "payroll", "--json").stdout)
    assert paused["drops"][0]["state"] == "paused"
    job.put("a", rows(5), 5)
    until(lambda: ask(house.admin_socket, "GET", "/v1/drops").body["drops"][0]["waiting"] == 1, "it waits")
    file = house.folder / "try.csv"
    file.write_bytes(rows(20_000) + b"r1,12,Code 482913\n")
    checked = house.mgatectl("drop", "check", str(file), "--json")
    view = json.loads(checked.stdout)
    assert checked.returncode == 1
    assert (view["rows"], view["wrong"], view["taken"]) == (20_001, 1, False)
    assert view["faults"][0]["line"] == 20_002
    assert view["sample"][0]["to"] == "+37529*****01"
    shown = house.mgatectl("drop", "check", str(file))
    assert "Hello" not in shown.stdout
    assert "482913" not in shown.stdout
    assert "291110001" not in shown.stdout
    assert (job.path / "in" / "a.csv").exists()
    assert house.mgatectl("drop", "resume", "payroll").returncode == 0
    assert len(job.read("done/a.result.csv")) == 5
    unknown = house.mgatectl("drop", "pause", "nobody")
    assert unknown.returncode == 1
    assert "payroll" in unknown.stderr
    assert house.mgatectl("drop", "check", str(file), "--name", "nobody").returncode == 1


def test_a_folder_goes_and_comes_back_with_a_reload(house: House) -> None:
    house.begin(more=SECTION)
    job = Job(house)
    job.put("a", rows(5), 5)
    assert len(job.read("done/a.result.csv")) == 5
    text = house.config.read_text()
    house.config.write_text(text.replace(SECTION, ""))
    assert house.mgatectl("reload").returncode == 0
    assert ask(house.admin_socket, "GET", "/v1/drops").body["drops"] == []
    job.put("b", rows(5).replace(b"r", b"s"), 5)
    house.config.write_text(text)
    assert house.mgatectl("reload").returncode == 0
    assert len(job.read("refused/b.result.csv")) == 1
    job.put("c", rows(7), 7)
    # The first five had been accepted with the file before.
    assert [row["known"] for row in job.read("done/c.result.csv")] == ["yes"] * 5 + [""] * 2
    assert {row["state"] for row in job.read("done/c.final.csv")} == {"delivered"}
