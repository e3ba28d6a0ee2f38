"""Whole requests: order, refusals, bounds and time limits."""

from __future__ import annotations

import pytest

from mgate.net.bounds import Limits, Room
from mgate.net.exchange import JSON, Request, header
from mgate.net.routing import Route
from tests.unit.net.conftest import House, MakeHouse, get, post, split


class Desk:
    """Keeps requests and answers when it is told."""

    def __init__(self) -> None:
        self.kept: list[Request] = []

    def keep(self, request: Request) -> None:
        self.kept.append(request)

    def answer(self, index: int) -> None:
        self.kept[index].reply(202, self.kept[index].body)


def echo(request: Request) -> None:
    request.reply(200, request.body)


def show(request: Request) -> None:
    request.reply(200, repr((request.head.method, request.params, request.query("ref"))).encode())


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def house(build: MakeHouse, desk: Desk) -> House:
    return build(
        Route("POST", "/echo", echo),
        Route("POST", "/keep", desk.keep),
        Route("GET", "/m", show),
        Route("GET", "/m/{}", show),
        Route("DELETE", "/m/{}", show),
        Route("POST", "/small", echo, largest=10),
    )


def test_a_request_is_answered_with_its_body(house: House) -> None:
    client = house.connect()
    client.send(post("/echo", b'{"a":1}'))
    assert client.pipe.written == (
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}'
    )


def test_a_request_fed_octet_by_octet_is_the_same_request(house: House) -> None:
    client = house.connect()
    for octet in post("/echo", b"hello") + post("/echo", b"again"):
        client.send(bytes([octet]))
    assert client.answers() == [(200, b"hello"), (200, b"again")]


def test_pipelined_requests_are_answered_in_one_write(house: House) -> None:
    client = house.connect()
    client.send(b"".join(post("/echo", b"%d" % n) for n in range(20)))
    assert client.pipe.writes == 1
    assert client.answers() == [(200, b"%d" % n) for n in range(20)]


def test_answers_keep_the_order_of_requests_whatever_the_order_they_are_given_in(house: House, desk: Desk) -> None:
    client = house.connect()
    client.send(b"".join(post("/keep", b"%d" % n) for n in range(3)) + post("/echo", b"3"))
    desk.answer(2)
    desk.answer(1)
    assert client.pipe.written == b""
    desk.answer(0)
    assert client.answers() == [(202, b"0"), (202, b"1"), (202, b"2"), (200, b"3")]
    assert client.pipe.writes == 1


def test_a_second_answer_is_a_bug(house: House, desk: Desk) -> None:
    house.connect().send(post("/keep"))
    desk.answer(0)
    with pytest.raises(RuntimeError, match="answered once"):
        desk.answer(0)


def test_an_answer_after_the_client_is_gone_is_dropped(house: House, desk: Desk) -> None:
    client = house.connect()
    client.send(post("/keep"))
    client.leave()
    desk.answer(0)
    assert client.pipe.written == b""
    assert house.listener.requests.used == 0


def test_params_and_query_are_decoded(house: House) -> None:
    client = house.connect()
    client.send(get("/m/a%20b") + get("/m?x=1&ref=%D1%8F+z") + get("/m?ref=%ff") + get("http://any/m/x"))
    assert client.answers() == [
        (200, b"('GET', ('a b',), None)"),
        (200, "('GET', (), 'я z')".encode()),
        (200, b"('GET', (), None)"),
        (200, b"('GET', ('x',), None)"),
    ]


def test_head_has_the_header_of_get_and_no_body(house: House) -> None:
    client = house.connect()
    client.send(get("/m/x", method="HEAD"))
    assert client.pipe.written.endswith(b"Content-Length: 21\r\n\r\n")


def test_a_path_that_nobody_serves_is_404_and_the_connection_lives_on(house: House) -> None:
    client = house.connect()
    client.send(post("/nothing", b"x" * 1000) + get("/m/%ff") + post("/echo", b"on"))
    assert [status for status, _ in client.answers()] == [404, 404, 200]
    assert not client.pipe.over


def test_a_method_that_a_path_does_not_take_is_405_and_says_which_it_takes(house: House) -> None:
    client = house.connect()
    client.send(get("/m/x", method="POST"))
    assert b"Allow: DELETE, GET, HEAD\r\n" in client.pipe.written
    assert client.pipe.written.startswith(b"HTTP/1.1 405 ")


def test_connection_close_is_honoured_and_nothing_after_it_is_read(house: House) -> None:
    client = house.connect()
    client.send(post("/echo", b"1", b"Connection: close\r\n") + post("/echo", b"2"))
    assert b"Connection: close\r\n" in client.pipe.written
    assert client.answers() == [(200, b"1")]
    assert client.pipe.closed


def test_http_1_0_without_keep_alive_is_answered_and_closed(house: House) -> None:
    client = house.connect()
    client.send(b"POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")
    assert client.answers() == [(200, b"hi")]
    assert client.pipe.closed


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        (b"GET /m HTTP/1.1\r\n\r\n", 400),
        (b"GET /m HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET  /m HTTP/1.1\r\nHost a\r\n\r\n", 400),
        (b"GET /m HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /m\r\n\r\n", 505),
        (get("/m", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"), 400),
        (b"CONNECT mgate:80 HTTP/1.1\r\nHost: mgate\r\n\r\n", 400),
        (get("/m?" + "x" * 9000), 414),
        (get("/m", b"X: " + b"x" * 17_000 + b"\r\n"), 431),
        (get("/m", b"X: x\r\n" * 4_000), 431),
        (get("/echo", b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "POST") + b"0\r\n\r\n", 400),
        (get("/echo", b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "POST") + b"0\r\n\r\n", 400),
        (get("/echo", b"Content-Length: 2\r\nContent-Length: 3\r\n", "POST") + b"abc", 400),
        (get("/echo", b"Content-Length: -2\r\n", "POST"), 400),
        (get("/echo", b"Transfer-Encoding: gzip\r\n", "POST"), 400),
        (get("/echo", b"Transfer-Encoding: chunked\r\n", "POST") + b"zz\r\n", 400),
        (post("/small", b"12345678901"), 413),
        (get("/small", b"Transfer-Encoding: chunked\r\n", "POST") + b"6\r\n123456\r\n5\r\n12345\r\n", 413),
        (post("/echo", b"hi", b"Expect: miracles\r\n"), 417),
    ],
)
def test_what_cannot_be_followed_is_refused_and_the_connection_ends(house: House, sent: bytes, status: int) -> None:
    for pieces in ([sent], [bytes([octet]) for octet in sent]):
        client = house.connect()
        client.send(post("/echo", b"before"))
        for piece in pieces:
            client.send(piece)
        answers = client.answers()
        assert [found for found, _ in answers] == [200, status]
        assert b'"error":"' in answers[1][1]
        assert client.pipe.over


def test_a_fault_waits_for_its_turn(house: House, desk: Desk) -> None:
    client = house.connect()
    client.send(post("/keep", b"first") + b"rubbish\r\n\r\n")
    assert client.pipe.written == b""
    desk.answer(0)
    assert [status for status, _ in client.answers()] == [202, 400]
    assert client.pipe.half_closed


def test_an_unfinished_header_line_without_end_is_431(house: House) -> None:
    client = house.connect()
    client.send(b"GET /m HTTP/1.1\r\nX: ")
    for _ in range(20):
        client.send(b"x" * 1024)
    assert [status for status, _ in client.answers()] == [431]


def test_a_refused_client_may_finish_sending_and_is_dropped_when_it_does_not_stop(house: House) -> None:
    client = house.connect()
    client.send(post("/small", b"x" * 100))
    assert client.pipe.half_closed
    for _ in range(50):
        client.send(b"x" * 65_536)
    assert not client.pipe.aborted
    for _ in range(50):
        client.send(b"x" * 65_536)
    assert client.pipe.aborted


def test_100_continue_is_said_before_the_body_comes_and_in_turn(house: House, desk: Desk) -> None:
    client = house.connect()
    head = get("/echo", b"Content-Length: 2\r\nExpect: 100-continue\r\n", "POST")
    client.send(head)
    assert client.pipe.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"hi")
    assert client.answers() == [(200, b"hi")]
    client.send(post("/keep", b"k") + head)
    assert client.pipe.written == b""
    desk.answer(0)
    assert client.pipe.take().endswith(b"k" + b"HTTP/1.1 100 Continue\r\n\r\n")


def test_100_continue_is_left_out_when_the_body_is_here_or_not_wanted(house: House) -> None:
    client = house.connect()
    client.send(post("/echo", b"hi", b"Expect: 100-continue\r\n"))
    assert client.answers() == [(200, b"hi")]
    client.send(get("/nothing", b"Content-Length: 9\r\nExpect: 100-continue\r\n", "POST"))
    assert [status for status, _ in client.answers()] == [404]
    assert client.pipe.half_closed


def test_a_header_that_drips_is_408_after_its_time_limit(house: House) -> None:
    client = house.connect()
    for octet in get("/m")[:10]:
        client.send(bytes([octet]))
        house.wait(1)
    assert client.pipe.written == b""
    house.wait(1)
    assert [status for status, _ in client.answers()] == [408]
    house.wait(6)
    assert client.pipe.aborted


def test_a_body_that_drips_is_408_after_its_time_limit(house: House) -> None:
    client = house.connect()
    client.send(get("/echo", b"Content-Length: 1000\r\n", "POST"))
    for _ in range(31):
        client.send(b"x")
        house.wait(1)
    assert [status for status, _ in client.answers()] == [408]


def test_a_silent_client_is_dropped_and_one_between_requests_is_let_be_for_longer(house: House) -> None:
    silent, spoken = house.connect(), house.connect()
    spoken.send(post("/echo"))
    house.wait(11)
    assert silent.pipe.closed
    assert silent.pipe.written == b""
    house.wait(100)
    assert not spoken.pipe.closed
    house.wait(20)
    assert spoken.pipe.closed


def test_a_client_whose_answer_we_owe_is_not_dropped(house: House, desk: Desk) -> None:
    client = house.connect()
    client.send(post("/keep"))
    house.wait(1000)
    desk.answer(0)
    assert client.answers() == [(202, b"{}")]


def test_a_client_that_does_not_read_is_not_read_either_and_dropped_in_the_end(house: House) -> None:
    client = house.connect()
    client.connection.pauseProducing()
    client.send(post("/echo"))
    assert client.pipe.paused()
    house.wait(20)
    client.connection.resumeProducing()
    assert not client.pipe.paused()
    client.connection.pauseProducing()
    client.send(post("/echo"))
    house.wait(31)
    assert client.pipe.aborted


def test_reading_pauses_while_too_many_requests_wait_for_their_answers(build: MakeHouse, desk: Desk) -> None:
    house = build(Route("POST", "/keep", desk.keep), limits=Limits(pipeline=3))
    client = house.connect()
    client.send(post("/keep") * 3)
    assert client.pipe.paused()
    desk.answer(0)
    assert not client.pipe.paused()


def test_reading_pauses_while_bodies_fill_the_room_that_all_share(build: MakeHouse, desk: Desk) -> None:
    room = Room(4_000)
    house = build(Route("POST", "/keep", desk.keep), requests=room)
    first, second = house.connect(), house.connect()
    first.send(post("/keep", b"x" * 2_000))
    second.send(post("/keep", b"x" * 2_000))
    assert (first.pipe.paused(), second.pipe.paused()) == (False, True)
    desk.answer(0)
    assert second.pipe.paused(), "woken before half of the room is free"
    desk.answer(1)
    assert not second.pipe.paused()
    assert room.used == 0


def test_a_connection_with_nothing_in_line_is_woken_when_others_free_the_room(build: MakeHouse, desk: Desk) -> None:
    house = build(Route("POST", "/keep", desk.keep), requests=Room(4_000))
    first, second = house.connect(), house.connect()
    first.send(post("/keep", b"x" * 2_000) * 2)
    second.send(post("/keep"))
    desk.answer(2)
    assert second.pipe.paused()
    desk.answer(0)
    desk.answer(1)
    assert not second.pipe.paused()


def test_trailers_are_not_headers(build: MakeHouse) -> None:
    house = build(Route("POST", "/", lambda request: request.reply(200, b"[%b]" % request.header(b"x"))))
    client = house.connect()
    client.send(get("/", b"Transfer-Encoding: chunked\r\n", "POST") + b"1\r\na\r\n0\r\nX: y\r\n\r\n")
    assert client.answers() == [(200, b"[]")]


def test_a_connection_too_many_is_503(build: MakeHouse) -> None:
    house = build(Route("POST", "/echo", echo), limits=Limits(connections=2))
    house.connect()
    house.connect().leave()
    house.connect().send(post("/echo"))
    third = house.connect()
    assert [status for status, _ in split(third.pipe.written)] == [503]
    assert b"Retry-After: 1\r\n" in third.pipe.written
    assert third.pipe.closed


def test_what_is_dropped_is_counted(house: House) -> None:
    house.connect()
    for sent in (b"rubbish\r\n\r\n", get("/m")[:9], post("/echo")[:-1], post("/echo")):
        house.connect().send(sent)
    house.wait(40)
    assert house.listener.dropped == 4


def test_a_client_that_half_closes_still_gets_its_answers(house: House, desk: Desk) -> None:
    client = house.connect()
    client.send(post("/keep", b"late"))
    client.connection.readConnectionLost()
    assert not client.pipe.closed
    desk.answer(0)
    assert client.answers() == [(202, b"late")]
    assert client.pipe.closed


def test_a_client_that_half_closes_within_a_request_is_dropped(house: House) -> None:
    client = house.connect()
    client.send(post("/echo")[:-1])
    client.connection.readConnectionLost()
    assert client.pipe.closed


def test_draining_answers_what_was_asked_and_closes(house: House, desk: Desk) -> None:
    idle, owed, half = house.connect(), house.connect(), house.connect()
    idle.send(post("/echo"))
    owed.send(post("/keep", b"owed"))
    half.send(post("/echo", b"half")[:-1])
    told: list[str] = []
    house.listener.drain(lambda: told.append("drained"))
    assert idle.pipe.closed
    desk.answer(0)
    assert b"Connection: close" in owed.pipe.written
    assert owed.pipe.closed
    half.send(b"f")
    assert half.answers() == [(200, b"half")]
    assert half.pipe.closed
    for client in (idle, owed, half):
        assert told == []
        client.leave()
    assert told == ["drained"]


def test_the_sweep_is_one_timer_and_ends_with_the_last_connection(house: House) -> None:
    clients = [house.connect() for _ in range(50)]
    assert len(house.clock.getDelayedCalls()) == 1
    house.listener.doStop()  # type: ignore[no-untyped-call]  # Twisted's
    assert len(house.clock.getDelayedCalls()) == 1
    for client in clients:
        client.leave()
    assert house.clock.getDelayedCalls() == []


def test_headers_of_an_answer_are_added_as_given(build: MakeHouse) -> None:
    house = build(Route("GET", "/", lambda request: request.reply(204, b"", JSON + header("Retry-After", 5))))
    client = house.connect()
    client.send(get())
    assert client.pipe.written == (
        b"HTTP/1.1 204 No Content\r\nContent-Type: application/json\r\nRetry-After: 5\r\n\r\n"
    )
