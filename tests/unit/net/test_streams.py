"""Streamed bodies: read and answered at the same time, held back when either side is slow."""

from __future__ import annotations

import pytest

from mgate.net.bounds import Limits, Room
from mgate.net.exchange import Stream
from mgate.net.routing import Route, StreamRoute
from tests.unit.net.conftest import House, MakeHouse, chunk, get, open_stream, post


class Echo:
    """Writes back what it reads, and notes what it is told."""

    def __init__(self, stream: Stream, notes: list[str]) -> None:
        self.stream = stream
        self.notes = notes
        self.times = 1
        stream.start(200)

    def receive(self, data: bytes) -> None:
        self.notes.append(data.decode()[:20])
        self.stream.write(data * self.times)

    def end(self) -> None:
        self.notes.append("end")
        self.stream.finish()

    def cut(self, code: str, detail: str) -> None:
        self.notes.append(code)
        self.stream.write(code.encode())
        self.stream.finish()

    def gone(self) -> None:
        self.notes.append("gone")


class Echoes:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.sinks: list[Echo] = []

    def open(self, stream: Stream) -> Echo:
        self.sinks.append(Echo(stream, self.notes))
        return self.sinks[-1]


@pytest.fixture
def echoes() -> Echoes:
    return Echoes()


@pytest.fixture
def house(build: MakeHouse, echoes: Echoes) -> House:
    return build(
        StreamRoute("POST", "/stream", echoes.open),
        Route("GET", "/", lambda request: request.reply(200, b"whole")),
        limits=Limits(backlog=1_000),
        answers=Room(3_000),
    )


def test_a_body_is_answered_while_it_comes(house: House) -> None:
    client = house.connect()
    client.send(open_stream())
    assert client.pipe.take().startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n")
    client.send(chunk(b"one"))
    assert client.pipe.take() == chunk(b"one")
    client.send(chunk(b"two") + chunk(b"three"))
    assert client.pipe.take() == chunk(b"twothree"), "one read is one piece"
    client.send(chunk(b""))
    assert client.pipe.take() == chunk(b"")
    assert not client.pipe.over


def test_a_body_of_known_length_is_streamed_too(house: House) -> None:
    client = house.connect()
    client.send(post("/stream", b"abc") + get())
    assert client.answers() == [(200, b"abc"), (200, b"whole")]


def test_fed_octet_by_octet_it_is_the_same_stream(house: House, echoes: Echoes) -> None:
    client = house.connect()
    for octet in open_stream() + chunk(b"ab") + b"0\r\nTrailer: x\r\n\r\n" + get():
        client.send(bytes([octet]))
    assert client.answers() == [(200, b"ab"), (200, b"whole")]
    assert echoes.notes == ["a", "b", "end"]


def test_a_request_behind_a_stream_waits_for_its_end(house: House, echoes: Echoes) -> None:
    client = house.connect()
    finish, echoes_end = [], Echo.end
    Echo.end = lambda self: finish.append(self)  # type: ignore[method-assign]
    try:
        client.send(open_stream() + chunk(b"a") + chunk(b"") + get())
    finally:
        Echo.end = echoes_end  # type: ignore[method-assign]
    assert client.answers() == [(200, b"a")]
    finish[0].stream.write(b"late")
    finish[0].stream.finish()
    assert client.pipe.take().startswith(chunk(b"late") + chunk(b"") + b"HTTP/1.1 200 OK")


def test_100_continue_goes_out_before_the_answer_begins(house: House) -> None:
    client = house.connect()
    client.send(open_stream(extra=b"Expect: 100-continue\r\n"))
    assert client.pipe.take().startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_a_client_that_does_not_read_is_read_until_its_backlog_is_full(house: House) -> None:
    client = house.connect()
    client.send(open_stream())
    client.pipe.take()
    client.connection.pauseProducing()
    client.send(chunk(b"x" * 900))
    assert not client.pipe.paused()
    client.send(chunk(b"y" * 900))
    assert client.pipe.paused()
    assert client.pipe.written == b""
    client.connection.resumeProducing()
    assert client.pipe.take() == chunk(b"x" * 900) + chunk(b"y" * 900)
    assert not client.pipe.paused()
    assert house.listener.answers.used == 0


def test_a_client_that_sends_for_long_before_it_reads_is_not_dropped_until_its_backlog_is_full(house: House) -> None:
    client = house.connect()
    client.send(open_stream())
    client.connection.pauseProducing()
    for _ in range(60):
        client.send(chunk(b"x"))
        house.wait(1)
    assert not client.pipe.closed
    client.send(chunk(b"x" * 2_000))
    house.wait(31)
    assert client.pipe.aborted


def test_the_room_for_answers_is_shared_by_all(build: MakeHouse, echoes: Echoes) -> None:
    house = build(StreamRoute("POST", "/stream", echoes.open), answers=Room(3_000))
    clients = [house.connect() for _ in range(5)]
    for client in clients:
        client.send(open_stream())
        client.connection.pauseProducing()
        client.send(chunk(b"x" * 800))
    assert [client.pipe.paused() for client in clients] == [False, False, False, True, True]
    for client in clients[:4]:
        client.connection.resumeProducing()
    assert [client.pipe.paused() for client in clients] == [False] * 5
    for client in clients:
        client.leave()
    assert house.listener.answers.used == 0


def test_a_reader_may_hold_the_body_back_and_the_client_is_not_blamed(house: House, echoes: Echoes) -> None:
    client = house.connect()
    client.send(open_stream())
    echoes.sinks[0].stream.pause()
    assert client.pipe.paused()
    house.wait(100)
    echoes.sinks[0].stream.resume()
    assert not client.pipe.paused()
    client.send(chunk(b"on"))
    assert echoes.notes == ["on"]


def test_a_silent_stream_is_cut_after_its_time_limit(house: House, echoes: Echoes) -> None:
    client = house.connect()
    client.send(open_stream())
    house.wait(30)
    client.send(chunk(b"a"))
    house.wait(30)
    assert echoes.notes == ["a"]
    house.wait(1)
    assert echoes.notes == ["a", "too_slow"]
    assert client.pipe.half_closed


def test_broken_framing_cuts_the_stream_and_its_answer_is_still_ended(house: House, echoes: Echoes) -> None:
    client = house.connect()
    client.send(open_stream() + chunk(b"a") + b"rubbish\r\n")
    assert echoes.notes == ["a", "bad_request"]
    assert client.pipe.written.endswith(chunk(b"abad_request") + chunk(b"")) or client.pipe.written.endswith(
        chunk(b"bad_request") + chunk(b"")
    )
    assert client.pipe.half_closed


def test_an_answer_that_ends_before_the_body_closes_the_connection(house: House, echoes: Echoes) -> None:
    client = house.connect()
    client.send(open_stream())
    echoes.sinks[0].stream.finish()
    assert client.pipe.half_closed
    client.send(chunk(b"more"))
    assert echoes.notes == []


def test_an_abandoned_stream_is_told_once_and_writes_into_nothing(house: House, echoes: Echoes) -> None:
    client = house.connect()
    client.send(open_stream() + chunk(b"a"))
    client.pipe.take()
    client.leave()
    assert echoes.notes == ["a", "gone"]
    echoes.sinks[0].stream.write(b"x")
    echoes.sinks[0].stream.finish()
    assert client.pipe.written == b""


def test_a_stream_over_http_1_0_is_refused(house: House) -> None:
    client = house.connect()
    client.send(b"POST /stream HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc")
    assert [status for status, _ in client.answers()] == [505]


def test_a_long_answer_is_written_in_pieces(build: MakeHouse, echoes: Echoes) -> None:
    house = build(StreamRoute("POST", "/stream", echoes.open))
    client = house.connect()
    client.send(open_stream())
    client.pipe.take()
    client.connection.pauseProducing()
    for _ in range(20):
        client.send(chunk(b"x" * 60_000))
    client.connection.resumeProducing()
    assert 4 <= client.pipe.writes - 1 <= 6
    assert len(client.pipe.written) > 1_200_000
