"""The bench's traffic, its schedule and its reading of the operator's ledger."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mgate.peers.bench import watch
from mgate.peers.bench.load import A_FIFTH_URGENT, EVERY_CLASS, Kind, Load, Plan, Stock
from mgate.peers.bench.watch import ACKNOWLEDGED, Watch, story
from mgate.peers.fingerprint import Fingerprint
from mgate.peers.house import HouseError
from mgate.peers.links import Answer
from mgate.peers.smsc.ledger import Acknowledged, Delivered, Happened, Ledger, Submitted
from mgate.policy.segments import Segments, decode, split

ACCEPTED = Answer(state="accepted")


def cut(text: str) -> list[str]:
    """The bodies that the product would send."""
    segments = split(text)
    assert isinstance(segments, Segments)
    return [decode(segments.alphabet, octets) for octets in segments.parts]


@pytest.mark.parametrize("kind", [Kind(parts=n, cyrillic=c) for n in (1, 2, 3) for c in (False, True)], ids=str)
def test_every_message_has_the_parts_and_the_fingerprints_that_are_said(kind: Kind) -> None:
    stock, text = Stock("op3", kind), Fingerprint().text
    seen: set[str] = set()
    for number in (0, 1, 9_999_999):
        message = json.loads(stock.draft(number).line)
        bodies = cut(message["text"])
        assert len(bodies) == kind.parts
        assert any(ord(letter) > 0x3FF for letter in message["text"]) is kind.cyrillic
        numbers = [0] if kind.parts == 1 else range(1, kind.parts + 1)
        assert stock.fingerprints(number) == tuple(text(body, n) for body, n in zip(bodies, numbers, strict=True))
        assert stock.number(message["ref"]) == number
        seen.update(stock.fingerprints(number))
    assert len(seen) == 3 * kind.parts


def test_classes_take_turns() -> None:
    stock = Stock("x", Kind(("otp", "service")))
    assert [stock.draft(n).traffic for n in range(4)] == ["otp", "service", "otp", "service"]
    assert [json.loads(stock.draft(n).line)["class"] for n in range(2)] == ["otp", "service"]
    assert set(EVERY_CLASS) == {"otp", "fraud", "transaction", "service", "marketing"}
    assert sum(word in ("otp", "fraud") for word in A_FIFTH_URGENT) * 5 == len(A_FIFTH_URGENT)


class Ticks:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def begun(messages: int, rate: float) -> tuple[Load, Ticks]:
    clock = Ticks()
    load = Load(Stock("x", Kind()), Plan(messages, 1, rate), clock)
    load.began = clock.now
    return load, clock


def test_a_push_that_is_late_is_measured_from_the_moment_it_was_due() -> None:
    load, clock = begun(10, 10.0)
    assert len(load.take(5)) == 1
    clock.now += 0.25  # two more are due, and one link comes for one of them
    (second,) = load.take(1)
    clock.now += 0.5
    load.told(second, ACCEPTED)
    assert load.due[1] == pytest.approx(100.1)
    assert load.answered[1] - load.due[1] == pytest.approx(0.65)


def test_no_more_is_due_than_the_schedule_says_and_what_was_missed_is_made_up_for() -> None:
    load, clock = begun(10, 10.0)
    clock.now += 0.55
    assert len(load.take(100)) == 6
    assert load.take(100) == []
    clock.now += 100.0
    assert len(load.take(100)) == 4
    assert load.made == 10


def test_without_a_rate_everything_is_due_at_once() -> None:
    load, clock = begun(10, 0.0)
    assert len(load.take(4)) == 4
    clock.now += 1.0
    assert len(load.take(100)) == 6
    assert (load.due[3], load.due[4]) == (100.0, 101.0)


def test_what_was_not_taken_comes_again_after_the_pause_and_keeps_its_first_moment() -> None:
    load, clock = begun(1, 1.0)
    (draft,) = load.take(1)
    load.back([draft], 1.0)
    assert load.take(1) == []
    assert not load.exhausted()
    clock.now += 1.0
    assert load.take(1) == [draft]
    load.told(draft, ACCEPTED)
    assert load.exhausted()
    assert load.latencies() == [1.0]


def test_a_second_answer_to_one_message_is_told() -> None:
    load, _ = begun(1, 0.0)
    (draft,) = load.take(1)
    load.told(draft, ACCEPTED)
    with pytest.raises(HouseError, match="answered twice"):
        load.told(draft, ACCEPTED)


def push(push_socket: Any, plan: Plan, after: Callable[[Load], object] = lambda _: None) -> Load:
    load = Load(Stock("x", Kind()), plan)

    async def run() -> None:
        async with await push_socket.serve():
            await load.run(push_socket.path)

    # The reactor of the test run owns this thread's loop.
    with ThreadPoolExecutor(1) as other:
        other.submit(lambda: asyncio.run(run())).result()
    after(load)
    return load


@pytest.mark.parametrize("plan", [Plan(500), Plan(200, 8), Plan(60, 4, 400.0), Plan(60, 0, 400.0)], ids=str)
def test_every_message_is_pushed_and_answered_once(push_socket: Any, plan: Plan) -> None:
    load = push(push_socket, plan)
    assert load.taken == load.made == len(push_socket.taken) == plan.messages
    assert push_socket.repeats == 0
    assert all(seconds >= 0.0 for seconds in load.latencies())
    assert not load.said
    if plan.rate:
        assert load.due[-1] - load.due[0] == pytest.approx((plan.messages - 1) / plan.rate)


@pytest.mark.parametrize("connections", [0, 2])
def test_busy_means_come_again(push_socket: Any, connections: int) -> None:
    push_socket.busy = 3
    load = push(push_socket, Plan(10, connections))
    assert load.taken == 10
    assert load.said == {"come again": 3}


@pytest.mark.parametrize("connections", [0, 2])
def test_a_refused_message_voids_the_run(push_socket: Any, connections: int) -> None:
    push_socket.answer = lambda message, line: {"ref": message["ref"], "line": line, "error": "bad_number"}
    with pytest.raises(HouseError, match=r"of 10 messages 0 were taken.*bad_number"):
        push(push_socket, Plan(10, connections))


@pytest.mark.parametrize("connections", [0, 2])
def test_a_daemon_that_hangs_up_voids_the_run(push_socket: Any, connections: int) -> None:
    push_socket.die_after = 5
    with pytest.raises(HouseError, match="hung up"):
        push(push_socket, Plan(10, connections))


def submitted(at: float, text: str, status: int = 0) -> Submitted:
    return Submitted(at, "1", status, False, 1, 1, 1, "to", text, 0, 0, 0, "", 0, 0, 1)


def test_a_ledger_is_read_as_the_story_of_a_row(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    book = Ledger(path)
    book.add(Happened(0.5, 1, "bound"))
    book.close()
    start = path.stat().st_size
    book = Ledger(path)
    rows = (submitted(1.0, "a"), submitted(1.5, "b", 0x58), submitted(1.6, "b", 0x08), submitted(2.0, "b"))
    for row in (
        *rows,
        submitted(3.0, "a"),
        Delivered(4.0, "1", "DELIVRD", 1, 1, 1),
        Acknowledged(9.0, "1", "DELIVRD", 1),
    ):
        book.add(row)
    book.close()
    told = story(path, start)
    assert list(told.submits) == [1.0, 2.0, 3.0]
    assert told.first == {"a": 1.0, "b": 2.0}
    assert (told.refused, told.throttled, told.repeats, told.receipts) == (2, 1, 1, 1)
    assert list(told.acknowledged) == [9.0]
    assert told.bound == []
    assert story(path).bound == [0.5]


def test_a_row_that_is_written_in_two_pieces_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(ACKNOWLEDGED + b',"at":1}\n')
    seen = Watch(path, ACKNOWLEDGED)
    line = ACKNOWLEDGED + b',"at":2}\n'
    for cut_at in (5, len(ACKNOWLEDGED), len(line) - 1):
        with path.open("ab") as file:
            file.write(line[:cut_at])
        before = seen.seen
        assert seen.look() == before
        with path.open("ab") as file:
            file.write(line[cut_at:])
        assert seen.look() == before + 1
    assert seen.wait(3) > 0.0


def test_a_house_that_stands_still_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "NO_PROGRESS", 0.05)
    (tmp_path / "ledger").touch()
    with pytest.raises(HouseError, match="0 of 5 rows"):
        Watch(tmp_path / "ledger", ACKNOWLEDGED).wait(5)
