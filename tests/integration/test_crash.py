"""SIGKILL: what was acknowledged is never lost, and only what is marked as in doubt may come twice.

A longer run, with random moments and moods, is `tools/torture kill`.
"""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from datetime import datetime
from random import Random
from typing import Any

from mgate.peers.fingerprint import Fingerprint
from tests.integration.instance import House, ask, batch, message, until

CLASSES = ("otp", "fraud", "transaction", "service", "marketing")
SILENT = "[silence]\nsubmits = 1.0\nreceipts = false\n"
_TEXT = Fingerprint().text


class Pusher(threading.Thread):
    """Pushes batches until it is told to stop, and repeats what had no answer, as a bank's program must."""

    def __init__(self, house: House) -> None:
        super().__init__()
        self._house = house
        self._random = Random(7)
        self._stopping = threading.Event()
        self.told: dict[str, str] = {}
        self.messages: dict[str, dict[str, Any]] = {}

    def run(self) -> None:
        while not self._stopping.is_set():
            lines = [self._message() for _ in range(20)]
            while not self._push(lines):
                self._stopping.wait(0.02)
            self._stopping.wait(0.08)  # the load, not a wait for anything

    def _message(self) -> dict[str, Any]:
        ref = f"k{len(self.messages)}"
        self.messages[ref] = made = message(ref, self._random.choice(CLASSES))
        return made

    def _push(self, lines: list[dict[str, Any]]) -> bool:
        try:
            results = batch(self._house.push_socket, lines)
        except (OSError, http.client.HTTPException):
            return False
        for result in results:
            assert "error" not in result, result
            assert self.told.setdefault(result["ref"], result["id"]) == result["id"]
        return all(line["ref"] in self.told for line in lines)

    def stop(self) -> None:
        self._stopping.set()
        self.join()


def test_kills_under_load_lose_nothing_and_repeat_only_what_is_marked(house: House) -> None:
    house.begin("[latency]\nsubmit = [0.02, 0.2]\n[receipts]\ndelay = [0.02, 3.0]\n", window=20, binds=2)
    pusher = Pusher(house)
    pusher.start()
    try:
        for seen in (40, 100, 170):
            until(lambda seen=seen: len(house.operator.submits()) > seen, "the load is on")  # type: ignore[misc]  # bound now
            house.daemon.kill()
            house.start()
    finally:
        pusher.stop()
    refs = list(pusher.messages)
    assert len(refs) >= 60

    def ended() -> bool:
        last = house.show(pusher.told[refs[-1]])["state"]
        binds = sum(bind["in_flight"] for bind in house.binds())
        waiting = sum(lane["waiting"] for lane in ask(house.admin_socket, "GET", "/v1/status").body["lanes"])
        return last not in ("ready", "leased") and not binds and not waiting

    told: dict[str, dict[str, Any]] = {}
    open_states = {"ready", "waiting", "leased", "sent"}

    def settled() -> bool:
        for ref in refs:
            if ref not in told or told[ref]["state"] in open_states:
                told[ref] = house.show(pusher.told[ref])
        return ended() and not any(one["state"] in open_states for one in told.values() if not _waits(one))

    until(settled, "all have ended or wait for what the class says", 60.0)
    seen_texts = Counter(row.text for row in house.operator.submits())
    doubtful = repeats = 0
    for ref in refs:
        one = house.show(pusher.told[ref])
        (found,) = house.find(ref)
        assert found["id"] == one["id"]
        times = seen_texts[_TEXT(pusher.messages[ref]["text"])]
        marked = sum(attempt.get("repeat", False) for attempt in one["attempts"])
        doubt = any(
            "crash" in attempt.get("reason", "") or attempt["fate"] == "in_doubt" for attempt in one["attempts"]
        )
        doubtful += doubt or marked > 0
        repeats += max(0, times - 1)
        assert times <= 1 + marked, one
        if one["class"] == "marketing":
            assert times <= 1
            assert not marked
        if times == 0:
            assert one["state"] in ("uncertain", "ready", "waiting"), one
            assert one["attempts"][0]["fate"] == "in_doubt", one
        else:
            assert one["state"] == "delivered" or doubt, one
    assert sum(seen_texts.values()) >= len(refs) - doubtful
    swept = sum(line["count"] for line in house.events("spool_swept"))
    assert 0 < swept <= 3 * 2 * 20
    assert doubtful <= swept
    print(f"{len(refs)} messages, {swept} swept, {repeats} repeats")


def _waits(one: dict[str, Any]) -> bool:
    """Whether it is in doubt and its class lets it wait."""
    return any(attempt["fate"] == "in_doubt" for attempt in one["attempts"])


def test_after_a_crash_each_class_does_what_its_row_of_the_table_says(house: House) -> None:
    house.begin(SILENT)
    names = {traffic: house.pushed(traffic, traffic) for traffic in CLASSES}
    names["short otp"] = house.pushed("short", "otp", valid_for=25)
    until(lambda: len(house.operator.submits()) == len(names), "the operator has all")
    house.daemon.kill()
    house.operator.stop()
    house.operator.start()
    house.start()
    for traffic in ("otp", "fraud"):
        told = house.wait_state(names[traffic], "delivered")
        first, second = told["attempts"]
        assert (first["fate"], first["reason"]) == ("in_doubt", "crash")
        assert (second["fate"], second["repeat"]) == ("delivered", True)
        assert [event["event"] for event in told["events"]] == ["accepted", "uncertain", "sent", "delivered"]
    for traffic, wait in (("transaction", 600.0), ("service", 3600.0), ("marketing", None), ("short otp", None)):
        told = house.show(names[traffic])
        (attempt,) = told["attempts"]
        assert (told["state"], attempt["fate"], attempt["reason"]) == ("uncertain", "in_doubt", "crash")
        due = told["part_states"][0].get("due", "")
        if wait is None:
            assert not due or due >= told["expires_at"]
        else:
            crashed = datetime.fromisoformat(told["events"][-1]["at"])
            assert abs((datetime.fromisoformat(due) - crashed).total_seconds() - wait) < 2.0
    house.stop()
    texts = Counter(row.text for row in house.operator.submits())
    assert sorted(texts.values()) == [1, 1, 1, 1, 2, 2]


def test_a_receipt_with_its_attempts_own_reference_resolves_what_a_crash_left_in_doubt(house: House) -> None:
    house.begin("[silence]\nsubmits = 1.0\n[receipts]\ndelay = 1.0\nretry = 0.2\n")
    names = [house.pushed(traffic, traffic) for traffic in ("transaction", "marketing")]
    until(lambda: len(house.operator.submits()) == 2, "the operator has both")
    house.daemon.kill()
    house.start()
    for name in names:
        told = house.wait_state(name, "delivered")
        (attempt,) = told["attempts"]
        assert attempt["fate"] == "delivered"
        assert [event["event"] for event in told["events"]] == ["accepted", "uncertain", "delivered"]
    assert len(house.operator.submits()) == 2


def test_a_ref_is_remembered_through_a_crash_in_history_and_after_another_start(house: House) -> None:
    house.begin()
    name = house.pushed("once", "otp", valid_for=60)
    house.wait_state(name, "delivered")
    house.daemon.kill()
    house.start()

    def recognised() -> None:
        again = house.push("once", "otp", valid_for=60)
        assert (again.status, again.body["id"], again.body["duplicate"]) == (200, name, True)
        other = house.push("once", "otp", valid_for=61)
        assert (other.status, other.body["error"]) == (409, "ref_conflict")

    recognised()
    until(lambda: house.show(name)["in_history"], "it has moved to history")
    recognised()
    (found,) = house.find("once")
    assert (found["id"], found["state"], found["in_history"]) == (name, "delivered", True)
    assert [event["event"] for event in found["events"]] == ["accepted", "sent", "delivered"]
    house.stop()
    house.start()
    recognised()
    late = ask(house.push_socket, "DELETE", f"/v1/messages/{name}")
    assert (late.status, late.body["error"]) == (409, "ended")
    assert len(house.operator.submits()) == 1


def test_a_push_that_was_killed_before_its_answer_is_one_message_when_it_is_repeated(house: House) -> None:
    house.make()
    house.start()
    pushing = threading.Thread(target=lambda: _try(house))
    pushing.start()
    house.daemon.kill()
    pushing.join()
    house.start()
    results = batch(house.push_socket, [message(f"cut-{n}") for n in range(200)])
    assert len({result["id"] for result in results}) == 200
    for n in (0, 100, 199):
        (found,) = house.find(f"cut-{n}")
        assert found["id"] == results[n]["id"]


def _try(house: House) -> None:
    try:
        batch(house.push_socket, [message(f"cut-{n}") for n in range(200)])
    except (OSError, http.client.HTTPException):
        pass
