"""The bench's reader of events, against a feed from memory that behaves as the documentation says."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from mgate.peers.bench import events
from mgate.peers.bench.events import Feed, Follower, _complete
from mgate.peers.bench.load import Kind, Stock
from mgate.peers.house import HouseError


class Journal:
    """Events and each feed's durable cursor; `asked`: the queries. `limit`: at most so many in one answer."""

    def __init__(self, path: Path, lines: list[dict[str, object]], limit: int = 3) -> None:
        self.path = path
        self.lines = lines
        self.limit = limit
        self.durable: dict[str, int] = {}
        self.asked: list[dict[str, list[str]]] = []
        self.status = 200

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(65_536):
            method, target, _ = head.split(b" ", 2)
            if method == b"POST":
                said = json.loads(head.rpartition(b"\r\n\r\n")[2])
                self.durable[said["feed"]] = int(said["cursor"])
                body, status = b"{}", self.status
            else:
                query = parse_qs(urlsplit(target.decode()).query)
                self.asked.append(query)
                after = self.durable.get(query["feed"][0], 0)
                new = self.lines[after : after + self.limit]
                body = b"".join(json.dumps(line).encode() + b"\n" for line in new)
                status = self.status if body or self.status != 200 else 204
            length = b"" if status == 204 else b"Content-Length: %d\r\n" % len(body)
            writer.write(b"HTTP/1.1 %d Said\r\n%s\r\n%s" % (status, length, body))
        writer.close()


def journal(path: Path, messages: int) -> Journal:
    stock = Stock("e", Kind())
    lines: list[dict[str, object]] = []
    for number in range(messages):
        for event in ("accepted", "sent", "delivered"):
            ref = json.loads(stock.draft(number).line)["ref"]
            lines.append({"cursor": str(len(lines) + 1), "ref": ref, "event": event, "meta": {"a": [1]}})
    return Journal(path / "push.sock", lines)


def run(journal: Journal, act: Callable[[], Awaitable[object]]) -> object:
    async def served() -> object:
        async with await asyncio.start_unix_server(journal.serve, str(journal.path)):
            return await act()

    # The reactor of the test run owns this thread's loop.
    with ThreadPoolExecutor(1) as other:
        return other.submit(lambda: asyncio.run(served())).result()


def test_a_feed_is_followed_until_every_message_has_ended_and_each_answer_is_acknowledged(tmp_path: Path) -> None:
    feed = journal(tmp_path, 10)
    follower = Follower(feed.path, "bench", 10)
    run(feed, follower.run)
    assert (follower.read, len(follower.ended), follower.again) == (30, 10, 0)
    assert follower.kinds == {"accepted": 10, "sent": 10, "delivered": 10}
    assert feed.durable == {"bench": 30}
    assert {key: value[0] for key, value in feed.asked[0].items()} == {"feed": "bench", "wait": "20", "limit": "5000"}
    _complete(Stock("e", Kind()), follower, 10)


def test_a_message_that_never_ended_in_the_feed_voids_the_row(tmp_path: Path) -> None:
    follower = Follower(tmp_path, "bench", 2)
    follower.ended = {"e-0000000": 1.0}
    with pytest.raises(HouseError, match="1 messages that ended, 2 were pushed"):
        _complete(Stock("e", Kind()), follower, 2)


def test_an_ending_that_is_told_twice_is_counted(tmp_path: Path) -> None:
    feed = journal(tmp_path, 2)
    feed.lines.insert(3, feed.lines[2])
    follower = Follower(feed.path, "bench", 2)
    run(feed, follower.run)
    assert follower.again == 1


def test_nothing_new_is_nothing_and_a_feed_that_stands_still_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(events, "NO_PROGRESS", 0.0)
    feed = journal(tmp_path, 2)
    follower = Follower(feed.path, "bench", 3)
    with pytest.raises(HouseError, match="2 of 3 messages"):
        run(feed, follower.run)


@pytest.mark.parametrize("what", ["GET", "POST"])
def test_another_answer_is_told(tmp_path: Path, what: str) -> None:
    feed = journal(tmp_path, 2)
    feed.status = 500
    one = Feed(feed.path, "bench")

    async def ask() -> None:
        try:
            await (one.read() if what == "GET" else one.acknowledge("1"))
        finally:
            await one.close()

    with pytest.raises(HouseError, match=f"500 to {what}"):
        run(feed, ask)
