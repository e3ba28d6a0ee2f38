"""Whatever comes, no exception escapes, and the answer is a 4xx or 5xx, a close, or patience."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mgate.net.bounds import Limits, Room
from mgate.net.exchange import Request, Stream
from mgate.net.routing import Route, StreamRoute
from tests.unit.net.conftest import House, chunk, get, open_stream, post, split
from tests.unit.net.test_streams import Echo


def house() -> House:
    def echo(request: Request) -> None:
        request.reply(200, request.body)

    def stream(stream: Stream) -> Echo:
        return Echo(stream, [])

    return House(
        [Route("POST", "/echo", echo, largest=100), StreamRoute("POST", "/stream", stream)],
        Limits(pipeline=4, backlog=500),
        Room(100_000),
        Room(100_000),
    )


HEAD_WORDS = [b"POST ", b"GET ", b"/echo", b"/stream", b" HTTP/1.1", b"\r\n", b"\n", b"Host: mgate\r\n", b"\r\n\r\n",
              b"Content-Length: 3\r\n", b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n",
              b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Upgrade: x\r\nConnection: upgrade\r\n",
              b"0\r\n\r\n", b"3\r\nabc\r\n", b"abc", b"\x00", b"\xff", b": ", b" "]  # fmt: skip
WHOLE = [post("/echo", b"abc"), post("/stream", b"abc"), get("/none"), open_stream() + chunk(b"abc") + chunk(b"")]

scraps = st.one_of(st.sampled_from(HEAD_WORDS), st.sampled_from(WHOLE), st.binary(max_size=40))


@settings(max_examples=400, deadline=None)
@given(st.lists(scraps, max_size=12), st.data())
def test_no_octets_break_the_protocol(parts: list[bytes], data: st.DataObject) -> None:
    house_ = house()
    client = house_.connect()
    rest = b"".join(parts)
    while rest and not client.pipe.closed:
        size = data.draw(st.integers(1, len(rest)))
        client.send(rest[:size])
        rest = rest[size:]
        if data.draw(st.booleans()):
            house_.wait(1)
    statuses = [status for status, _ in split(client.pipe.take())]
    assert all(status == 200 or 400 <= status < 600 for status in statuses)
    assert statuses[:-1].count(400) == 0, "after broken framing nothing more is answered"
    house_.wait(200)
    assert client.pipe.over, "a client that says nothing more is dropped"
    client.leave()
    assert house_.listener.requests.used == 0
    assert house_.listener.answers.used == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(WHOLE), min_size=1, max_size=6), st.data())
def test_half_requests_are_requests_when_the_other_half_comes(parts: list[bytes], data: st.DataObject) -> None:
    whole = house().connect()
    whole.send(b"".join(parts))
    client = house().connect()
    rest = b"".join(parts)
    while rest:
        size = data.draw(st.integers(1, min(len(rest), 60)))
        client.send(rest[:size])
        rest = rest[size:]
    assert client.answers() == whole.answers()
