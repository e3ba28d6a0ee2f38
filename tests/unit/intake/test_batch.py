"""Batches: results in order, each after its own commit, and a client that is held back by not being read."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from mgate.intake.batch import MOST_OUT
from mgate.intake.lines import LONGEST_LINE, Lines
from mgate.net.bounds import Limits
from tests.unit.intake.conftest import Socket, build, message
from tests.unit.net.conftest import Client, chunk, open_stream, post

PATH = "/v1/messages:batch"
Row = dict[str, object]


def begin(socket: Socket) -> Client:
    client = socket.connect()
    client.send(open_stream(PATH))
    return client


def results(client: Client) -> list[Row]:
    """The result lines that have come since the last look, whether or not the head of the answer is among them."""
    data = client.pipe.take()
    if data.startswith(b"HTTP/"):
        data = data.partition(b"\r\n\r\n")[2]
    lines = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        lines += rest[: int(size, 16)]
        data = rest[int(size, 16) + 2 :]
    return [json.loads(line) for line in lines.splitlines()]


def lines(*rows: bytes) -> bytes:
    return chunk(b"".join(row + b"\n" for row in rows))


def short(rows: list[Row]) -> list[tuple[object, object]]:
    return [(row["line"], row.get("ref", row.get("error"))) for row in rows]


def test_the_lines_of_one_read_are_one_call_and_their_results_come_after_the_commit(socket: Socket) -> None:
    client = begin(socket)
    client.send(lines(message("a"), message("b")) + lines(message("c")))
    assert socket.acceptor.calls == [3]
    assert results(client) == []
    socket.acceptor.commit()
    assert short(results(client)) == [(1, "a"), (2, "b"), (3, "c")]
    client.send(chunk(b""))
    assert client.pipe.written == chunk(b"")


def test_results_keep_the_order_of_lines_when_commits_do_not(socket: Socket) -> None:
    client = begin(socket)
    for ref in "abc":
        client.send(lines(message(ref), b"rubbish"))
    socket.acceptor.commit(2)
    socket.acceptor.commit(1)
    assert results(client) == []
    socket.acceptor.commit(0)
    assert [row["line"] for row in results(client)] == [1, 2, 3, 4, 5, 6]


def test_a_bad_line_is_refused_alone(socket: Socket) -> None:
    client = begin(socket)
    client.send(lines(message("a"), b"{", message("b", to="123"), message("c")))
    socket.acceptor.commit()
    rows = results(client)
    assert [row.get("state", row.get("error")) for row in rows] == [
        "accepted",
        "bad_json",
        "number_not_possible",
        "accepted",
    ]
    assert ["ref" in row for row in rows] == [True, False, True, True]
    assert rows[2]["ref"] == "b"


def test_a_repeat_within_a_batch_is_a_duplicate_and_a_conflict_is_refused(socket: Socket) -> None:
    client = begin(socket)
    client.send(lines(message("a"), message("a"), message("a", text="other")))
    socket.acceptor.commit()
    first, second, third = results(client)
    assert second == {**first, "line": 2, "duplicate": True}
    assert (third["ref"], third["error"]) == ("a", "ref_conflict")


def test_blank_lines_are_counted_and_not_answered(socket: Socket) -> None:
    client = begin(socket)
    client.send(lines(b"", b" \r", message("a") + b"\r", b""))
    socket.acceptor.commit()
    assert short(results(client)) == [(3, "a")]


def test_the_last_line_needs_no_newline(socket: Socket) -> None:
    client = socket.connect()
    client.send(post(PATH, message("a") + b"\n" + message("b")))
    socket.acceptor.commit_all()
    assert short(results(client)) == [(1, "a"), (2, "b")]


def test_an_empty_batch_has_an_empty_answer(socket: Socket) -> None:
    client = socket.connect()
    client.send(post(PATH, b"") + post("/v1/messages", message()))
    socket.turn()
    socket.acceptor.commit()
    assert [status for status, _ in client.answers()] == [200, 202]


def test_a_line_over_64_kib_is_skipped_to_its_newline_and_told_at_once(socket: Socket) -> None:
    client = begin(socket)
    client.send(lines(message("a")))
    for _ in range(5):
        client.send(chunk(b"x" * 30_000))
    socket.acceptor.commit()
    assert short(results(client)) == [(1, "a"), (2, "line_too_long")]
    client.send(chunk(b"yyy\n" + message("b") + b"\n"))
    socket.acceptor.commit()
    assert short(results(client)) == [(3, "b")]


def test_a_silent_batch_is_ended_with_a_line_that_says_so(socket: Socket) -> None:
    client = begin(socket)
    client.send(lines(message("a")) + chunk(b'{"ref":"ha'))
    socket.house.wait(31)
    assert client.pipe.written.count(b"too_slow") == 0, "what was taken is answered first"
    socket.acceptor.commit()
    assert short(results(client)) == [(1, "a"), (2, "too_slow")]
    assert client.pipe.half_closed


def test_blank_lines_keep_a_quiet_batch_open(socket: Socket) -> None:
    client = begin(socket)
    for _ in range(20):
        client.send(chunk(b"\n"))
        socket.house.wait(25)
    client.send(lines(message("a")))
    socket.acceptor.commit()
    assert short(results(client)) == [(21, "a")]


def test_a_stopping_service_answers_what_it_took_and_says_from_where_to_send_again(socket: Socket) -> None:
    client = begin(socket)
    client.send(lines(message("a"), message("b")))
    socket.api.close()
    client.send(lines(message("c")))
    socket.acceptor.commit()
    rows = results(client)
    assert short(rows) == [(1, "a"), (2, "b"), (3, "stopping")]
    assert rows[2]["retry_after"] == 5
    assert client.pipe.half_closed
    assert socket.acceptor.calls == [2]


def test_reading_pauses_while_too_many_messages_wait_for_their_commit(socket: Socket) -> None:
    client = begin(socket)
    sent = 0
    while not client.pipe.paused():
        client.send(lines(*[message(f"r{sent + n}") for n in range(200)]))
        sent += 200
    assert MOST_OUT <= sent < MOST_OUT + 200
    socket.house.wait(100)
    assert not client.pipe.closed, "we are the ones who are slow"
    socket.acceptor.commit()
    assert client.pipe.paused()
    socket.acceptor.commit_all()
    assert not client.pipe.paused()
    assert len(results(client)) == sent


def test_reading_pauses_while_too_many_octets_wait_for_their_commit(socket: Socket) -> None:
    client = begin(socket)
    for number in range(20):
        assert not client.pipe.paused()
        client.send(lines(message(f"r{number}", text="Ж" * 9_000)))
    assert client.pipe.paused()
    socket.acceptor.commit_all()
    assert not client.pipe.paused()


def test_a_client_that_sends_all_before_it_reads_is_served_within_its_backlog(
    build_socket: Callable[..., Socket],
) -> None:
    socket = build_socket(limits=Limits(backlog=20_000))
    socket.acceptor.at_once = True
    client = begin(socket)
    client.connection.pauseProducing()
    client.send(lines(*[message(f"r{n}") for n in range(200)]))
    assert not client.pipe.paused()
    client.send(lines(*[message(f"s{n}") for n in range(200)]))
    assert client.pipe.paused()
    client.connection.resumeProducing()
    assert not client.pipe.paused()
    assert len(results(client)) == 400


def test_a_client_that_never_reads_is_dropped_when_its_backlog_is_full(build_socket: Callable[..., Socket]) -> None:
    socket = build_socket(limits=Limits(backlog=20_000))
    socket.acceptor.at_once = True
    client = begin(socket)
    client.connection.pauseProducing()
    client.send(lines(*[message(f"r{n}") for n in range(400)]))
    socket.house.wait(31)
    assert client.pipe.aborted


def test_a_rate_holds_a_batch_back_and_refuses_none_of_it(build_socket: Callable[..., Socket]) -> None:
    socket = build_socket(rate=10.0)
    socket.acceptor.at_once = True
    client = begin(socket)
    client.send(lines(*[message(f"r{n}") for n in range(10)]))
    assert not client.pipe.paused()
    client.send(lines(*[message(f"s{n}") for n in range(20)]))
    assert client.pipe.paused()
    socket.house.clock.advance(1.9)
    assert client.pipe.paused()
    socket.house.clock.advance(0.2)
    assert not client.pipe.paused()
    assert {row["state"] for row in results(client)} == {"accepted"}


def test_an_abandoned_batch_leaves_nothing_behind(build_socket: Callable[..., Socket]) -> None:
    socket = build_socket(rate=1.0)
    client = begin(socket)
    client.send(lines(message("a"), message("b"), message("c")))
    client.leave()
    socket.acceptor.commit()
    socket.api.close()
    assert len(socket.house.clock.getDelayedCalls()) == 1, "only the sweep"
    assert socket.house.listener.answers.used == 0


def test_what_cannot_be_kept_is_told_on_its_line_with_a_time(socket: Socket) -> None:
    socket.acceptor.full = True
    client = begin(socket)
    client.send(lines(message("a")))
    socket.acceptor.commit()
    (row,) = results(client)
    assert (row["ref"], row["error"], row["retry_after"]) == ("a", "not_kept", 5)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([message("a"), message("b"), b"{}", b"", b"\xff", b"[1]"]), max_size=12),
    st.lists(st.integers(1, 120), max_size=30),
    st.randoms(use_true_random=False),
)
def test_however_it_is_cut_and_committed_each_line_has_its_result_in_order(
    rows: list[bytes], sizes: list[int], chance: Random
) -> None:
    socket = build()
    client = begin(socket)
    body = b"\n".join(rows)
    told = []
    for size in [*sizes, len(body) + 1]:
        piece, body = body[:size], body[size:]
        if piece:
            client.send(chunk(piece))
        if socket.acceptor.waiting and chance.random() < 0.3:
            socket.acceptor.commit(chance.randrange(len(socket.acceptor.waiting)))
        told += results(client)
    client.send(chunk(b""))
    socket.acceptor.commit_all()
    told += results(client)
    assert [row["line"] for row in told] == [n for n, row in enumerate(rows, 1) if row]


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line)), st.integers(1, 40))
def test_lines_are_the_same_however_they_are_cut(rows: list[bytes], size: int) -> None:
    body = b"\n".join(rows)
    cutter = Lines()
    found = [line for start in range(0, len(body), size) for line in cutter.feed(body[start : start + size])]
    found += cutter.end()
    assert [(line.number, line.octets) for line in found] == [(n, row) for n, row in enumerate(rows, 1) if row.strip()]


def test_an_unfinished_line_is_kept_up_to_its_bound_and_no_further() -> None:
    cutter = Lines()
    assert cutter.feed(b"x" * LONGEST_LINE) == []
    assert cutter.feed(b"\n") == [(1, b"x" * LONGEST_LINE)]
    assert cutter.feed(b"x" * (LONGEST_LINE + 1)) == [(2, None)]
    assert cutter.feed(b"x" * (2 * LONGEST_LINE)) == []
    assert cutter.next_number == 2
    assert cutter.feed(b"\nok\n") == [(3, b"ok")]
    assert cutter.feed(b"x" * (LONGEST_LINE + 1) + b"\nok\n") == [(4, None), (5, b"ok")]
