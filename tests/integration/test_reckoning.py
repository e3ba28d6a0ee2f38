"""A day is reckoned by a whole instance: against a list of the core, signed, and checked by openssl alone."""

from __future__ import annotations

import csv
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mgate.peers.postgres import source_sections
from tests.integration.instance import House, ask, batch, message, until
from tests.integration.postgres import Cluster

MESSAGES = 700
DAY = "--date", "today"


def whole(house: House, lost: Sequence[str] = ()) -> Path:
    """Push a day's messages, all but the lost ones; the core's list of it, and all have been delivered."""
    wait_for_room_before_midnight()
    refs = [f"op-{number:04d}" for number in range(MESSAGES)]
    results = batch(house.push_socket, [message(ref) for ref in refs if ref not in lost])
    assert all(result["state"] == "accepted" for result in results), results[:3]
    path = house.folder / "core.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("key", "created"))
        writer.writerows((ref, datetime.now(UTC).isoformat()) for ref in refs)
    return path


def wait_for_room_before_midnight() -> None:
    """A test that begins in a day's last minute would end in another day."""
    until(lambda: time.time() % 86_400 < 86_340, "the day has room", 70)


def delivered(house: House) -> None:
    until(lambda: house.mgatectl("reconcile", "--client", "local", "--against", str(house.folder / "core.csv"), *DAY,
                                 "--json").stdout.count('"under_way": 0'), "all is delivered")  # fmt: skip


def reconcile(house: House, path: Path, *more: str, status: int = 0) -> dict[str, Any]:
    done = house.mgatectl("reconcile", "--client", "local", "--against", str(path), *DAY, "--json", *more)
    assert done.returncode == status, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def test_a_day_balances_and_a_row_that_was_lost_is_named(house: House) -> None:
    house.begin("[receipts]\ndelay = 0.01\n", window=100)
    path = whole(house)
    delivered(house)
    sums = reconcile(house, path)["head"]["sums"]
    assert (sums["core"], sums["accepted"], sums["delivered"], sums["sent"]) == (MESSAGES,) * 4
    assert (sums["missing"], sums["extra"], sums["twice"]) == (0, 0, 0)

    with path.open("a") as file:
        file.write(f"never-pushed,{datetime.now(UTC).isoformat()}\n")
    answer = reconcile(house, path, status=1)
    assert [(one["differs"], one["ref"]) for one in answer["differences"]] == [("missing", "never-pushed")]
    metrics = ask(house.metrics_socket, "GET", "/metrics").body["text"]
    assert 'mgate_reckoning_missing{client="local"} 1.0' in metrics
    assert 'mgate_alarm{alarm="reckoning_gap"} 1.0' in metrics
    assert house.events("reckoned")[-1]["state"] == "gap"

    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))
    answer = reconcile(house, path)
    assert [(one["differs"], one["ref"]) for one in answer["differences"]] == [("extra", f"op-{MESSAGES - 1:04d}")]
    assert 'mgate_alarm{alarm="reckoning_gap"} 0.0' in ask(house.metrics_socket, "GET", "/metrics").body["text"]


def test_a_result_is_believed_as_it_was_signed_and_no_other_way(house: House) -> None:
    house.begin()
    path = whole(house, lost=["op-0007"])
    out = house.folder / "result.ndjson"
    assert house.mgatectl(
        "reconcile", "--client", "local", "--against", str(path), *DAY, "--result", str(out)
    ).returncode == 1  # fmt: skip
    key = house.folder / "reckoning.pem"
    key.write_text(house.mgatectl("reconcile", "--public-key").stdout)
    house.stop()
    assert house.mgatectl("reconcile", "--verify", str(out), "--key", str(key)).returncode == 0
    assert openssl(out, key)

    content = out.read_bytes()
    for changed in (content.replace(b'"missing":1', b'"missing":0'), content.replace(b"op-0007", b"op-0008"),
                    b"\n".join(content.split(b"\n")[:1] + content.split(b"\n")[2:])):  # fmt: skip
        assert changed != content
        out.write_bytes(changed)
        refused = house.mgatectl("reconcile", "--verify", str(out), "--key", str(key))
        assert refused.returncode == 1
        assert "changed after it was signed" in refused.stderr
        assert not openssl(out, key)


def test_a_later_run_of_a_day_leaves_the_earlier_result_where_it_is(house: House) -> None:
    house.begin()
    path = whole(house, lost=["op-0007"])
    first = Path(reconcile(house, path, status=1)["file"])
    signed = first.read_bytes()
    second, third = (Path(reconcile(house, path, status=1)["file"]) for _ in range(2))
    assert first.parent == house.path / "reckonings"
    assert [each.name for each in (second, third)] == [f"{first.stem}.2.ndjson", f"{first.stem}.3.ndjson"]
    assert first.read_bytes() == signed
    key = house.folder / "reckoning.pem"
    key.write_text(house.mgatectl("reconcile", "--public-key").stdout)
    for each in (first, second, third):
        assert house.mgatectl("reconcile", "--verify", str(each), "--key", str(key)).returncode == 0
    assert sorted(first.parent.iterdir()) == sorted((first, second, third))


def openssl(result: Path, key: Path) -> bool:
    """As ``docs/core-banking.md`` tells an auditor to check it."""
    commands = f"""
        printf 'mgate reckoning 1\\n%s\\n' "$(sed '$d' {result} | sha256sum | cut -d' ' -f1)" > said
        tail -n 1 {result} | sed 's/.*"signature":"\\([^"]*\\)".*/\\1/' | base64 -d > signature
        openssl pkeyutl -verify -pubin -inkey {key} -rawin -in said -sigfile signature
    """
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=result.parent, check=False,
                          capture_output=True)  # fmt: skip
    return done.returncode == 0


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("key;when\n1;2\n", "names no column created"),
        ("key,created\n1,yesterday\n", "row 2"),
        ("key,created\n1,2026-07-01,3\n", "row 2 has 3 fields"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_with_its_row(house: House, content: str, word: str) -> None:
    house.begin()
    path = house.folder / "core.csv"
    path.write_text(content)
    done = house.mgatectl("reconcile", "--client", "local", "--against", str(path), *DAY)
    assert done.returncode == 1
    assert word in done.stderr
    assert not list((house.path / "reckonings").glob("*"))


def test_what_cannot_be_reckoned_is_said(house: House) -> None:
    house.begin()
    path = house.folder / "core.csv"
    path.write_text("key,created\n")
    given = "--against", str(path)
    for arguments, word in [
        (("--client", "nobody", *given), "unknown_client"),
        (("--source", "local"), "no_source"),
        (("--client", "local", *given, "--date", "2020-01-01"), "too_old"),
        (("--client", "local", *given, "--date", "2040-01-01"), "has not begun"),
    ]:
        done = house.mgatectl("reconcile", *arguments)
        assert done.returncode == 1
        assert word in done.stderr, done.stderr
    assert house.mgatectl("reconcile", "--client", "local").returncode == 2


# ---- a database ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    built = Cluster()
    try:
        yield built.make()
    finally:
        built.remove()


def test_a_database_is_asked_itself_and_a_row_that_nobody_took_is_missing(house: House, cluster: Cluster) -> None:
    wait_for_room_before_midnight()
    cluster.apply("1-role.sql", "2-outbox.sql", "3-results.sql")
    # As if mgate had marked it and then lost its store, or somebody had marked it by hand.
    cluster.psql("INSERT INTO mgate.outbox (recipient, body, status) VALUES ('+375291110001', 'Hello', 'taken')")
    cluster.psql("INSERT INTO mgate.outbox (recipient, body) VALUES ('none', 'Hello')")
    # This one's last word was written before the store was lost.
    cluster.psql("INSERT INTO mgate.outbox (id, recipient, body, status) VALUES (99, '+375291110001', 'Hi', 'taken')")
    cluster.psql("INSERT INTO mgate.results (key, sequence, state, at) VALUES ('99', 12, 'delivered', now())")
    cluster.psql(
        "INSERT INTO mgate.outbox (recipient, body) SELECT '+375291110001', 'Hello' FROM generate_series(1, 20)"
    )
    usual = 'default_class = "service"\ndefault_sender = "ExampleBank"\n'
    house.begin(more=source_sections(cluster, house.folder, more=usual))
    until(lambda: cluster.psql("SELECT count(*) FROM mgate.outbox WHERE status = 'new'") == "0", "all is taken")
    done = house.mgatectl("reconcile", "--source", "core", *DAY, "--json")
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    sums = answer["head"]["sums"]
    assert {word: sums[word] for word in ("core", "accepted", "refused", "final_by_core", "missing", "extra")} == {
        "core": 23, "accepted": 20, "refused": 1, "final_by_core": 1, "missing": 1, "extra": 0,
    }  # fmt: skip
    differs = [(one["differs"], one["ref"], one["state"]) for one in answer["differences"]]
    assert differs == [("missing", "1/", ""), ("final_by_core", "99/", "delivered")]
    assert 'mgate_reckoning_missing{client="core"} 1.0' in ask(house.metrics_socket, "GET", "/metrics").body["text"]

    cluster.stop()
    failed = house.mgatectl("reconcile", "--source", "core", *DAY)
    assert failed.returncode == 1
    assert "see whether the server runs" in failed.stderr
    assert [event["reason"] for event in house.events("reckoning_failed")] == ["unreachable"]


# ---- whoever goes ----------------------------------------------------------------------------------------------------


def _target(link: Path) -> str:
    """Where it leads; nowhere, when it was closed between the two looks."""
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""


def test_who_goes_in_the_middle_of_his_list_leaves_nothing_behind(house: House) -> None:
    house.begin()
    path = house.folder / "core.csv"
    path.write_text("key,created\n")
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(str(house.admin_socket))
            lines = b'{"file": "core.csv", "time_zone": ""}\n' + b'["op-1", 1790000000000, ""]\n' * 1_000
            head = b"POST /v1/reckonings/local/today HTTP/1.1\r\nHost: mgate\r\nTransfer-Encoding: chunked\r\n\r\n"
            wire.sendall(head + b"%x\r\n%b\r\n" % (len(lines), lines))
            assert wire.recv(15) == b"HTTP/1.1 200 OK"
    fds = Path(f"/proc/{house.daemon.pid}/fd")
    until(lambda: not any(".reckoning-" in _target(link) for link in fds.iterdir()), "its sheets are gone")
    assert reconcile(house, path)["head"]["sums"]["core"] == 0
    assert not house.events("bug")
