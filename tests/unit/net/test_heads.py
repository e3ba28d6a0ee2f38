"""Heads that are known: the same answers as when every octet is parsed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgate.net.bounds import Limits
from mgate.net.exchange import Head, Request, Stream
from mgate.net.heads import Heads, KnownHead
from mgate.net.routing import AnyRoute, Route, StreamRoute
from tests.unit.net.conftest import Client, House, chunk, get, open_stream, post
from tests.unit.net.test_streams import Echo


class Forgetful(Heads):
    """Learns nothing, so that the parser reads everything."""

    def learn(self, octets: bytes, known: KnownHead) -> None:
        pass


def routes() -> list[AnyRoute]:
    def echo(request: Request) -> None:
        head = request.head
        told = repr((head.method, head.path, head.query, head.params, head.headers, request.body))
        request.reply(200, told.encode())

    def stream(stream: Stream) -> Echo:
        return Echo(stream, [])

    return [
        Route("POST", "/echo", echo, largest=100),
        Route("GET", "/echo", echo),
        Route("GET", "/echo/{}", echo),
        StreamRoute("POST", "/stream", stream),
    ]


def house(heads: Heads) -> House:
    made = House(routes(), Limits(pipeline=4, idle=15), None, None)
    made.listener.heads = heads
    return made


POOL = [
    post("/echo", b"abc"),
    post("/echo", b"\r\n\r\n"),
    post("/echo", b""),
    post("/echo", b"abc", b"X-Trace: 7\r\n"),
    get("/echo"),
    get("/echo", method="HEAD"),
    get("/echo?ref=1"),
    get("/echo/a"),
    get("/none"),
    post("/none", b"abc"),
    get("/echo", b"Transfer-Encoding: chunked\r\n", "POST") + chunk(b"abc") + chunk(b""),
    get("/echo", b"Transfer-Encoding: chunked\r\n", "POST") + chunk(b""),
    post("/echo", b"abc", b"Expect: 100-continue\r\n"),
    post("/stream", b"abc"),
    open_stream() + chunk(b"abc") + chunk(b""),
    b"\r\n" + post("/echo", b"abc"),
    post("/echo", b"abc") + b"\r\n",
    b"\r",
    b"GET /echo HTTP/1.1\nHost: mgate\n\n",
    post("/echo", b"x" * 101),
    post("/echo", b"abc", b"Connection: close\r\n"),
    b"POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
    b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
    post("/echo", b"abc")[:-2],
    post("/echo", b"abc")[:-5],
    b"rubbish",
]


def warm() -> Heads:
    """What a house knows that has seen each request of the pool alone."""
    made = house(Heads())
    for sent in POOL:
        made.connect().send(sent)
    return made.listener.heads


KNOWN = warm()


def state(client: Client) -> tuple[bytes, bool, bool, bool]:
    return client.pipe.take(), client.pipe.over, client.pipe.aborted, client.pipe.paused()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.sampled_from(POOL), min_size=1, max_size=3), max_size=6), st.data())
def test_with_known_heads_all_is_answered_as_without(reads: list[list[bytes]], data: st.DataObject) -> None:
    knowing, plain = house(KNOWN), house(Forgetful())
    one, other = knowing.connect(), plain.connect()
    for read in reads:
        octets = b"".join(read)
        cut = data.draw(st.sampled_from([len(octets), len(octets) // 2, len(octets) - 1]))
        for piece in (octets[:cut], octets[cut:]):
            if piece and not one.pipe.closed:
                one.send(piece)
                other.send(piece)
                assert state(one) == state(other)
        if data.draw(st.booleans()):
            knowing.wait(11)
            plain.wait(11)
            assert state(one) == state(other)


@pytest.fixture
def kept() -> list[Request]:
    return []


@pytest.fixture
def keeping(kept: list[Request]) -> House:
    return House([Route("POST", "/keep", kept.append)], Limits(), None, None)


def test_a_head_that_comes_again_is_not_parsed_again(keeping: House, kept: list[Request]) -> None:
    first, second = keeping.connect(), keeping.connect()
    first.send(post("/keep", b"one"))
    second.send(post("/keep", b"two") + post("/keep", b"six"))
    second.send(post("/keep", b"seven"))
    assert [request.body for request in kept] == [b"one", b"two", b"six", b"seven"]
    assert kept[0].head is kept[1].head is kept[2].head
    assert kept[0].head is not kept[3].head


def test_a_draining_house_ends_a_connection_whose_heads_it_knows(keeping: House, kept: list[Request]) -> None:
    client = keeping.connect()
    client.send(post("/keep", b"one"))
    client.send(post("/keep", b"two")[:-1])
    keeping.listener.drain(lambda: None)
    client.send(b"o" + post("/keep", b"six"))
    for request in kept:
        request.reply(200)
    assert [request.body for request in kept] == [b"one", b"two"]
    assert client.pipe.closed


def test_what_is_known_is_bounded(kept: list[Request]) -> None:
    heads = Heads()
    for number in range(2_000):
        heads.learn(b"GET /%d HTTP/1.1\r\n\r\n" % number, KnownHead(Head(kept.append, "GET", b"/"), 0))
    known = [number for number in range(2_000) if heads.find(b"GET /%d HTTP/1.1\r\n\r\n" % number)]
    assert 0 < len(known) <= 256
    assert known[-1] == 1_999
    long = b"GET / HTTP/1.1\r\nX: " + b"x" * 1_024 + b"\r\n\r\n"
    heads.learn(long, KnownHead(Head(kept.append, "GET", b"/"), 0))
    assert heads.find(long) is None
    more = b"GET / HTTP/1.1\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    heads.learn(more, KnownHead(Head(kept.append, "GET", b"/"), 0))
    assert heads.find(more) is None
