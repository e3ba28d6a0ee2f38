"""The push API of a running daemon, spoken to by curl and by the standard library over its sockets."""

from __future__ import annotations

import grp
import json
import os
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.instance import LIMIT, House, ask, batch, message, until

# Only root can give a socket to another group.
GROUP = grp.getgrgid(65534 if os.geteuid() == 0 else os.getegid()).gr_name
CLIENTS = f"""
[push.clients.cards]
mode = "0600"
classes = ["otp", "fraud"]
senders = ["ExampleCard", "1234"]
default_sender = "ExampleCard"
default_country = "BY"

[push.clients.slow]
group = "{GROUP}"
rate = 2
"""


@pytest.fixture(scope="module")
def bank() -> Iterator[House]:
    """One running instance with three clients, for every test here; each uses refs of its own."""
    house = House()
    try:
        house.begin("[latency]\nsubmit = 0.01\n[receipts]\ndelay = 0.02\n", more=CLIENTS)
        yield house
    finally:
        house.end()


@pytest.fixture
def paused(bank: House) -> Iterator[House]:
    """The same with nothing leaving, until the test is over."""
    bank.pause()
    yield bank
    bank.resume()


def socket_of(bank: House, client: str) -> Path:
    return bank.path / "run" / f"push-{client}.sock"


def moment(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def curl(bank: House, *arguments: str, sent: str = "") -> tuple[int, str]:
    command = ["curl", "-sS", "--max-time", "20", "--unix-socket", str(bank.push_socket), "-w", "\n%{http_code}"]
    done = subprocess.run([*command, *arguments], input=sent, capture_output=True, text=True, timeout=30, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


# ---- one message -----------------------------------------------------------------------------------------------------


def test_curl_pushes_a_message_and_reads_its_whole_story(bank: House) -> None:
    target = "http://mgate/v1/messages"
    status, body = curl(bank, target, "-d", "@-", sent=json.dumps(message("curl-1", "otp", text="Code 482913")))
    answer = json.loads(body)
    assert (status, answer["ref"], answer["state"], answer["parts"]) == (202, "curl-1", "accepted", 1)
    bank.wait_state(answer["id"], "delivered")
    status, body = curl(bank, f"{target}/{answer['id']}")
    told = json.loads(body)
    assert status == 200
    assert [event["event"] for event in told["events"]] == ["accepted", "sent", "delivered"]
    assert told["to"] == "+37529*****01"
    assert "482913" not in body
    assert "operator_id" not in body
    assert json.loads(curl(bank, f"{target}?ref=curl-1")[1])["messages"][0]["id"] == answer["id"]
    assert json.loads(curl(bank, "http://mgate/v1/openapi.json")[1])["openapi"].startswith("3.1")


def test_the_same_push_again_is_the_same_message_and_another_content_is_a_conflict(bank: House) -> None:
    first = bank.push("same", valid_for=600)
    again = bank.push("same", valid_for=600)
    other = bank.push("same", valid_for=601)
    assert (first.status, again.status, other.status) == (202, 200, 409)
    assert again.body["id"] == first.body["id"]
    assert again.body["duplicate"] is True
    assert other.body["error"] == "ref_conflict"
    bank.wait_state(first.body["id"], "delivered")
    assert len(bank.show(first.body["id"])["attempts"]) == 1


def test_the_same_ref_pushed_by_many_at_once_is_one_message(bank: House) -> None:
    answers: list[tuple[int, str]] = []

    def push() -> None:
        answer = bank.push("race")
        answers.append((answer.status, answer.body["id"]))

    threads = [threading.Thread(target=push) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [200] * 7 + [202]
    assert len({name for _, name in answers}) == 1


def test_a_newer_message_of_a_group_takes_the_place_of_the_unsent_older_one(paused: House) -> None:
    old = paused.pushed("g1", "otp", group="login")
    elsewhere = paused.pushed("g2", "otp", group="login", to="+375291110002")
    new = paused.pushed("g3", "otp", group="login")
    assert paused.state(old) == "cancelled"
    assert paused.state(elsewhere) == paused.state(new) == "ready"
    paused.resume()
    paused.wait_state(new, "delivered")
    paused.wait_state(elsewhere, "delivered")
    assert not paused.show(old)["attempts"]


def test_a_message_can_be_cancelled_until_it_has_left_and_then_is_told_why_not(bank: House) -> None:
    bank.pause()
    waiting = bank.pushed("c-waiting", not_before=moment(3600))
    ready = bank.pushed("c-ready")
    for name in (waiting, ready):
        done = ask(bank.push_socket, "DELETE", f"/v1/messages/{name}")
        assert (done.status, done.body) == (200, {"id": name, "state": "cancelled"})
    bank.resume()
    left = bank.pushed("c-left")
    bank.wait_state(left, "delivered")
    late = ask(bank.push_socket, "DELETE", f"/v1/messages/{left}")
    assert (late.status, late.body["error"]) == (409, "ended")
    assert ask(bank.push_socket, "DELETE", f"/v1/messages/{ready}").status in (200, 409)
    assert ask(bank.push_socket, "DELETE", "/v1/messages/m0000000000000").status == 404


def test_what_is_leaving_or_has_left_or_may_have_left_is_told_apart_when_it_cannot_be_cancelled(house: House) -> None:
    house.begin("[silence]\nafter = 1\n[receipts]\non = false\n", sms='response_limit = "1s"')
    sent = house.pushed("sent")
    house.wait_state(sent, "sent")
    silent = house.pushed("silent", "otp")
    assert house.state(silent) == "leased"

    def cancelled(name: str) -> tuple[int, str]:
        answer = ask(house.push_socket, "DELETE", f"/v1/messages/{name}")
        return answer.status, answer.body["error"]

    assert cancelled(sent) == (409, "left")
    assert cancelled(silent) == (409, "leaving")
    house.wait_state(silent, "uncertain")
    assert cancelled(silent) == (409, "may_have_left")
    # The wish is kept: a code that may have been sent is not sent again, though its class would allow it.
    told = house.show(silent)
    assert (told["state"], len(told["attempts"])) == ("uncertain", 1)


def test_what_lives_a_second_and_could_not_leave_expires_and_never_leaves(paused: House) -> None:
    name = paused.pushed("short", "otp", valid_for=1)
    told = paused.wait_state(name, "expired", limit=5.0)
    assert not told["attempts"]
    assert told["may_have_been_sent"] is False


def test_a_message_does_not_leave_before_its_time_and_then_leaves(bank: House) -> None:
    begins = time.time() + 1.2
    name = bank.pushed("later", not_before=moment(1.2))
    assert bank.state(name) == "waiting"
    told = bank.wait_state(name, "delivered")
    leased = datetime.fromisoformat(told["attempts"][0]["leased_at"]).timestamp()
    assert begins - 0.01 <= leased < begins + 2.0


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b"{", 422, "bad_json", ""),
        (b'{"ref":"\xff"}', 422, "bad_utf8", ""),
        (b'{"ref":"a","ref":"a"}', 422, "duplicate_key", ""),
        (b'{"ref":"\\ud800"}', 422, "lone_surrogate", ""),
        (b'{"ref":' + b"[" * 40 + b"]" * 40 + b"}", 422, "too_deep", ""),
        (message("x", txt="a"), 422, "unknown_field", "txt"),
        (message("x", text="a\0b"), 422, "nul", ""),
        (message("x", to="ask Anna"), 422, "not_a_number", "to"),
        (message("x", to="+37529111"), 422, "number_not_possible", "to"),
        (message("x", to="80291110001"), 422, "country_unknown", "to"),
        (message("x", "urgent"), 422, "bad_value", "class"),
        (message("x", text=""), 422, "empty", "text"),
        (message("x", valid_for=0), 422, "out_of_range", "valid_for"),
        (message("x", meta={"a": "b" * 1100}), 422, "too_long", "meta"),
        (message("x" * 129), 422, "too_long", "ref"),
        (b'{"ref":"x","text":"' + b"a" * 70_000 + b'"}', 413, "body_too_large", ""),
    ],
)
def test_each_fault_has_its_code_and_its_field(bank: House, body: object, status: int, code: str, field: str) -> None:
    answer = ask(bank.push_socket, "POST", "/v1/messages", body)
    assert (answer.status, answer.body["error"], answer.body.get("field", "")) == (status, code, field)
    assert answer.body["detail"]


# ---- clients ---------------------------------------------------------------------------------------------------------


def test_a_client_sees_its_own_messages_and_no_others(bank: House) -> None:
    mine = bank.pushed("whose")
    cards = socket_of(bank, "cards")
    theirs = ask(cards, "POST", "/v1/messages", {"ref": "whose", "to": "80291110003", "class": "otp", "text": "Code 1"})
    assert theirs.status == 202
    assert theirs.body["id"] != mine
    assert ask(cards, "GET", f"/v1/messages/{mine}").status == 404
    assert ask(cards, "DELETE", f"/v1/messages/{mine}").status == 404
    (found,) = ask(cards, "GET", "/v1/messages?ref=whose").body["messages"]
    assert (found["id"], found["client"], found["sender"]) == (theirs.body["id"], "cards", "ExampleCard")
    assert {told["client"] for told in ask(bank.admin_socket, "GET", "/v1/messages?ref=whose").body["messages"]} == {
        "cards",
        "local",
    }


def test_a_client_may_use_its_classes_and_senders_only(bank: House) -> None:
    cards = socket_of(bank, "cards")
    marketing = ask(cards, "POST", "/v1/messages", message("no-1", "marketing", sender="ExampleCard"))
    sender = ask(cards, "POST", "/v1/messages", message("no-2", "otp", sender="SomeoneElse"))
    assert (marketing.status, marketing.body["error"]) == (403, "class_not_allowed")
    assert (sender.status, sender.body["error"]) == (403, "sender_not_allowed")
    assert not ask(cards, "GET", "/v1/messages?ref=no-1").body["messages"]
    assert ask(cards, "POST", "/v1/messages", message("yes-1", "otp", sender="1234")).status == 202


def test_every_socket_has_the_mode_that_the_configuration_gives_it(bank: House) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (bank.path / "run").iterdir()}
    assert modes == {
        "push.sock": 0o660, "push-cards.sock": 0o600, "push-slow.sock": 0o660, "admin.sock": 0o660,
        "metrics.sock": 0o660,
    }  # fmt: skip


def test_a_client_that_is_faster_than_its_rate_is_told_when_to_come_again(bank: House) -> None:
    slow = socket_of(bank, "slow")
    answers = [ask(slow, "POST", "/v1/messages", message(f"slow-{n}")) for n in range(12)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert {answer.status for answer in answers} == {202, 429}
    assert refused[0].body["error"] == "rate"
    assert int(refused[0].headers["Retry-After"]) >= 1
    n = next(n for n, answer in enumerate(answers) if answer.status == 429)
    again = until(lambda: ask(slow, "POST", "/v1/messages", message(f"slow-{n}")).status != 429, "it may again")
    assert again


# ---- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_of_a_thousand_is_answered_line_by_line_while_it_is_sent(bank: House) -> None:
    count = 1000
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(LIMIT)
        one.connect(str(bank.push_socket))
        one.sendall(b"POST /v1/messages:batch HTTP/1.1\r\nHost: mgate\r\nTransfer-Encoding: chunked\r\n\r\n")
        file = one.makefile("rb")

        def send(line: dict[str, Any] | bytes) -> None:
            octets = (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n"
            one.sendall(b"%x\r\n%s\r\n" % (len(octets), octets))

        def read() -> dict[str, Any]:
            size = int(file.readline(), 16)
            lines = file.read(size + 2)[:-2].splitlines()
            waiting.extend(json.loads(line) for line in lines)
            return waiting.pop(0)

        waiting: list[dict[str, Any]] = []
        send(message("b-0"))
        head = file.readline()
        while file.readline() != b"\r\n":
            pass
        assert head == b"HTTP/1.1 200 OK\r\n"
        # The first is answered before the second is sent: the body has no end yet.
        assert (read() | {"id": ""}) == {"line": 1, "ref": "b-0", "id": "", "state": "accepted", "parts": 1}

        def send_all() -> None:
            for n in range(1, count):
                send(b"nonsense" if n % 100 == 50 else message(f"b-{n}", "marketing" if n % 2 else "otp"))
            one.sendall(b"0\r\n\r\n")

        sender = threading.Thread(target=send_all)
        sender.start()
        told = [waiting.pop(0) if waiting else read() for _ in range(1, count)]
        sender.join()
    assert [line["line"] for line in told] == list(range(2, count + 1))
    bad = [line for line in told if "error" in line]
    assert [line["line"] for line in bad] == [n + 1 for n in range(50, count, 100)]
    assert {line["error"] for line in bad} == {"bad_json"}
    good = [line for line in told if "error" not in line]
    assert [line["ref"] for line in good] == [f"b-{n}" for n in range(1, count) if n % 100 != 50]
    again = batch(bank.push_socket, [message("b-1", "marketing"), message("b-2", "otp", text="Another")])
    assert (again[0]["duplicate"], again[0]["id"], again[1]["error"]) == (True, good[0]["id"], "ref_conflict")


def test_a_client_that_goes_away_in_the_middle_of_a_batch_finds_what_it_sent_once(bank: House) -> None:
    lines = b"".join(json.dumps(message(f"gone-{n}")).encode() + b"\n" for n in range(50))
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(str(bank.push_socket))
        head = b"POST /v1/messages:batch HTTP/1.1\r\nHost: mgate\r\nContent-Length: 1000000\r\n\r\n"
        one.sendall(head + lines + b'{"ref":"gone-half')
    results = batch(bank.push_socket, [message(f"gone-{n}") for n in range(50)])
    assert all(result["state"] == "accepted" for result in results)
    assert len({result["id"] for result in results}) == 50
    assert not bank.find("gone-half")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_account_of_the_machine_reaches_only_the_sockets_that_its_mode_opens(bank: House) -> None:
    for folder in (bank.folder, bank.path, bank.path / "run"):
        folder.chmod(0o755)
    program = (
        "import os, socket, sys\n"
        "os.setgroups([])\n"
        "os.setgid(65534)\n"
        "os.setuid(65534)\n"
        "for path in sys.argv[1:]:\n"
        "    with socket.socket(socket.AF_UNIX) as one:\n"
        "        print(one.connect_ex(path) == 0)\n"
    )
    paths = [str(socket_of(bank, "slow")), str(socket_of(bank, "cards")), str(bank.admin_socket)]
    done = subprocess.run(["/usr/bin/python3", "-c", program, *paths], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_client_of_its_own_group_reaches_its_own_socket_and_nothing_else(house: House) -> None:
    group = next(each for each in grp.getgrall() if each.gr_gid not in {0, 65534})
    house.make(more=f'[push.clients.core]\ngroup = "{group.gr_name}"\n[push.clients.other]\n')
    house.folder.chmod(0o711)
    house.start()

    def as_client(gid: int, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, user=65534, group=gid, extra_groups=[], cwd="/", capture_output=True, text=True, timeout=30
        )  # fmt: skip

    def push(path: Path, gid: int = group.gr_gid) -> tuple[int, str]:
        target = ("--unix-socket", str(path), "http://mgate/v1/messages", "-d", json.dumps(message("core-1")))
        done = as_client(gid, "curl", "-sS", "--max-time", "20", *target)
        return done.returncode, done.stdout

    could_not_connect = (7, "")
    status, answer = push(socket_of(house, "core"))
    assert (status, json.loads(answer)["state"]) == (0, "accepted")
    assert push(socket_of(house, "core"), gid=65534) == could_not_connect
    for path in (house.admin_socket, house.push_socket, socket_of(house, "other"), house.metrics_socket):
        assert path.is_socket()
        assert push(path) == could_not_connect
    for folder in (house.path, *(path for path in house.path.rglob("*") if path.is_dir())):
        assert as_client(group.gr_gid, "ls", str(folder)).returncode != 0
    assert as_client(group.gr_gid, "cat", str(house.config)).returncode != 0
