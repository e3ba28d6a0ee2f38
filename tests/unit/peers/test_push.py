import argparse
import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mgate.peers.fingerprint import Fingerprint
from mgate.peers.links import BrokeProtocol
from mgate.peers.push import Plan, Pusher, shares
from mgate.peers.told import Told, ToldLedger, read
from mgate.peers.traffic import Maker, Mix

PLAIN = Mix(plain=True)


def push(
    push_socket: Any, ledger: Path, *, messages: int = 300, window: int = 50, connections: int = 2, rate: float = 0.0,
    patience: float = 5.0,
) -> list[Told]:  # fmt: skip
    async def run() -> None:
        server = await push_socket.serve()
        async with server:
            book = ToldLedger(ledger)
            plan = Plan(push_socket.path, messages, rate, connections, window)
            try:
                await Pusher(plan, Maker(1, PLAIN, Fingerprint()), book).run(patience)
            finally:
                book.close()

    # The reactor of the test run owns this thread's loop.
    with ThreadPoolExecutor(1) as other:
        other.submit(lambda: asyncio.run(run())).result()
    return list(read(ledger))


@pytest.mark.parametrize("window", [50, 0], ids=["batch", "singles"])
def test_every_message_is_pushed_and_its_answer_written_down(push_socket: Any, tmp_path: Path, window: int) -> None:
    rows = push(push_socket, tmp_path / "told", window=window)
    assert {row.ref for row in rows} == set(push_socket.taken)
    assert len(rows) == 300
    assert all(row.accepted and row.id == f"m{row.ref}" and row.tries == 1 for row in rows)
    assert all(0 < row.pushed_at <= row.answered_at for row in rows)


@pytest.mark.parametrize("window", [50, 0], ids=["batch", "singles"])
def test_after_a_death_what_had_no_answer_is_pushed_again_under_its_reference(
    push_socket: Any, tmp_path: Path, window: int
) -> None:  # fmt: skip
    push_socket.die_after = 120
    rows = push(push_socket, tmp_path / "told", window=window)
    assert push_socket.deaths == 1
    assert push_socket.repeats > 0
    assert len({row.ref for row in rows}) == len(rows) == 300
    assert sum(row.duplicate for row in rows) == push_socket.repeats
    assert all(row.tries == 2 for row in rows if row.duplicate)


@pytest.mark.parametrize("window", [50, 0], ids=["batch", "singles"])
def test_busy_means_come_again(push_socket: Any, tmp_path: Path, window: int) -> None:
    push_socket.busy = 3
    rows = push(push_socket, tmp_path / "told", window=window, messages=10)
    assert len(rows) == 10
    assert all(row.accepted for row in rows)
    assert sum(row.tries for row in rows) == 13


def test_a_batch_that_the_daemon_ends_is_gone_on_with_in_another(push_socket: Any, tmp_path: Path) -> None:
    push_socket.breaks_off = 2
    rows = push(push_socket, tmp_path / "told", window=50)
    assert push_socket.breaks_off == 0
    assert len({row.ref for row in rows}) == len(rows) == 300
    assert all(row.accepted for row in rows)


@pytest.mark.parametrize("code", ["not_kept", "stopping"])
def test_what_was_not_taken_for_now_comes_again(push_socket: Any, tmp_path: Path, code: str) -> None:
    accept, refused = push_socket.answer, ["x"] * 3

    def answer(message: dict[str, object], line: int) -> dict[str, object]:
        if refused:
            refused.pop()
            return {"ref": message["ref"], "line": line, "error": code}
        told: dict[str, object] = accept(message, line)
        return told

    push_socket.answer = answer
    rows = push(push_socket, tmp_path / "told", window=50, messages=10)
    assert all(row.accepted for row in rows)


def test_results_out_of_order_are_told_as_the_daemons_fault(push_socket: Any, tmp_path: Path) -> None:
    accept = push_socket.answer
    push_socket.answer = lambda message, line: accept(message, line + 1)
    with pytest.raises(BrokeProtocol, match="out of order"):
        push(push_socket, tmp_path / "told", messages=5)
    assert [row.state for row in read(tmp_path / "told")] == ["unanswered"] * 5


def test_a_refusal_is_written_down_with_its_code(push_socket: Any, tmp_path: Path) -> None:
    push_socket.answer = lambda message, line: {"ref": message["ref"], "line": line, "error": "bad_number"}
    rows = push(push_socket, tmp_path / "told", messages=5)
    assert [(row.state, row.error, row.accepted) for row in rows] == [("refused", "bad_number", False)] * 5


def test_a_daemon_that_says_nothing_is_given_up(push_socket: Any, tmp_path: Path) -> None:
    push_socket.die_after = 1
    push_socket.dies = lambda: True
    with pytest.raises(TimeoutError, match="no answer"):
        push(push_socket, tmp_path / "told", messages=5, patience=0.2)
    assert len(list(read(tmp_path / "told"))) == 5


def test_a_socket_that_is_not_there_is_given_up(tmp_path: Path) -> None:
    async def run() -> None:
        plan = Plan(tmp_path / "none.sock", 5)
        # Without patience of its own it would try for ever.
        await asyncio.wait_for(Pusher(plan, Maker(1, PLAIN, Fingerprint()), ToldLedger(None)).run(0.2), 5)

    with ThreadPoolExecutor(1) as other, pytest.raises(TimeoutError, match=r"nobody has listened for 0\.2 s on .*none"):
        other.submit(lambda: asyncio.run(run())).result()


def test_a_rate_is_kept(push_socket: Any, tmp_path: Path) -> None:
    rows = push(push_socket, tmp_path / "told", messages=100, rate=400.0)
    took = max(row.answered_at for row in rows) - min(row.pushed_at for row in rows)
    assert took > 0.15


def test_shares_are_read_or_refused() -> None:
    assert shares("otp=0.5, service=0.5") == {"otp": 0.5, "service": 0.5}
    for wrong in ("otp", "otp=x", "otp=0.5"):
        with pytest.raises(argparse.ArgumentTypeError):
            shares(wrong)
