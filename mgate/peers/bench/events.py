"""`events`: how fast the bank learns what became of its messages, beside the sending.

The client is one as the bank would write it: it asks for what is new, waits for it on the socket, makes the cursor
durable, and asks again. An event counts when it was read; each message must end in the feed.
"""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import httptools
import msgspec
from msgspec import Struct

from mgate.peers.bench.figures import Asked, Figure, figure, latencies
from mgate.peers.bench.load import EVERY_CLASS, Kind, Load, Plan, Stock
from mgate.peers.bench.rates import MEMORY_MIB, WINDOW, rate_of
from mgate.peers.bench.row import Row, Said, Setting
from mgate.peers.bench.stage import Account, House, Meter, OneClock
from mgate.peers.bench.watch import ACKNOWLEDGED, Watch, story
from mgate.peers.house import HouseError

ASKED: Final = 15_000.0
WAIT: Final = 20
LIMIT: Final = 5_000
ENDING: Final = "delivered"
NO_PROGRESS: Final = 60.0
_PIECE: Final = 1 << 18
_ACK: Final = (
    b"POST /v1/events/ack HTTP/1.1\r\nHost: mgate\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
)
_OK: Final = 200
_NOTHING_NEW: Final = 204


class Event(Struct, frozen=True, gc=False):
    """What is read of one line of a feed; the rest of the line is somebody else's."""

    cursor: str
    ref: str
    event: str


class Feed:
    """One client of one feed over a kept connection."""

    def __init__(self, socket: Path, name: str) -> None:
        self._socket = socket
        self._name = name
        self._decoder = msgspec.json.Decoder(Event)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._body: list[bytes] = []
        self._complete = False

    async def read(self, wait: int = WAIT) -> list[Event]:
        """What is new after the acknowledged cursor, in order; nothing when nothing came within `wait` seconds.

        Raises:
            HouseError: another answer than 200 and 204, or the daemon hung up.
        """
        query = urlencode({"feed": self._name, "wait": wait, "limit": LIMIT}, quote_via=quote)
        status, body = await self._ask(b"GET /v1/events?%s HTTP/1.1\r\nHost: mgate\r\n\r\n" % query.encode())
        if status == _NOTHING_NEW:
            return []
        if status != _OK:
            raise HouseError(f"mgated answers {status} to GET /v1/events: {body[:300]!r}")
        return self._decoder.decode_lines(body)

    async def acknowledge(self, cursor: str) -> None:
        """Make the cursor durable. HouseError for another answer than 200."""
        body = msgspec.json.encode({"feed": self._name, "cursor": cursor})
        status, answer = await self._ask(_ACK % (len(body), body))
        if status != _OK:
            raise HouseError(f"mgated answers {status} to POST /v1/events/ack: {answer[:300]!r}")

    async def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            await writer.wait_closed()

    async def _ask(self, request: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(str(self._socket), limit=_PIECE)
        reader, writer = self._streams
        writer.write(request)
        self._complete = False
        self._body.clear()
        parser = httptools.HttpResponseParser(self)
        while not self._complete:
            piece = await reader.read(_PIECE)
            if not piece:
                raise HouseError("the daemon has hung up on the reader of events")
            parser.feed_data(piece)
        return parser.get_status_code(), b"".join(self._body)

    def on_body(self, body: bytes) -> None:
        """For the parser: a piece of the answer."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """For the parser: the answer is whole."""
        self._complete = True


class Follower:
    """Follows a feed until so many messages have ended in it.

    Attributes:
        read: events so far; ended: messages of which an ending was read, by their references; again: events of an
            ending that had been read; at: when each ending was first read, monotonic, in order of `ended`.
    """

    def __init__(self, socket: Path, name: str, messages: int) -> None:
        self.read = self.again = 0
        self.kinds: Counter[str] = Counter()
        self.ended: dict[str, float] = {}
        self._feed = Feed(socket, name)
        self._messages = messages

    async def run(self) -> float:
        """Read until all have ended; when the last was read. HouseError when nothing comes for a minute."""
        heard = time.monotonic()
        try:
            while len(self.ended) < self._messages:
                events = await self._feed.read()
                now = time.monotonic()
                if events:
                    self._count(events, now)
                    heard = now
                    await self._feed.acknowledge(events[-1].cursor)
                elif now - heard > NO_PROGRESS:
                    raise HouseError(f"{len(self.ended)} of {self._messages} messages have ended in the feed, no more")
        finally:
            await self._feed.close()
        return heard

    def _count(self, events: list[Event], now: float) -> None:
        self.read += len(events)
        self.kinds.update([event.event for event in events])
        ended = self.ended
        for event in events:
            if event.event == ENDING:
                if event.ref in ended:
                    self.again += 1
                ended.setdefault(event.ref, now)


def _events(setting: Setting) -> Said:
    messages = setting.count(150_000, 2_000)
    clock = OneClock()
    with House(setting.folder / "house", Account(window=WINDOW)) as house:
        house.open()
        stock, meter, receipts = Stock("e", Kind(EVERY_CLASS)), Meter(house), Watch(house.ledger, ACKNOWLEDGED)
        load, follower, ended = asyncio.run(_beside(house, stock, messages))
        receipts.wait(messages, house.check)
        cost = meter.read()
        away = Follower(house.socket, "away", messages)
        began = time.monotonic()
        asyncio.run(away.run())
        drained = time.monotonic() - began
        house.stop_daemon()
        told = story(house.ledger)
    clock.check()
    _complete(stock, follower, messages)
    _complete(stock, away, messages)
    ends = [clock.monotonic(at) for at in told.acknowledged]
    lags = [read - end for read, end in zip(sorted(follower.ended.values()), ends, strict=False)]
    sent = messages / (ends[-1] - load.began)
    figures = (
        figure("events a second, beside sending", follower.read / (ended - load.began), asked=Asked(">=", ASKED)),
        figure("messages a second meanwhile", sent, asked=Asked(">=", round(rate_of(setting.earlier["batch"]) * 0.9))),
        latencies("receipt acknowledged to event read, by rank", lags),
        figure("events a second, a feed that was away", away.read / drained, asked=Asked(">=", ASKED)),
        Figure("mgated, CPU a message with its events", ((cost.user + cost.system) / messages * 1e6,), "µs"),
        figure("mgated, resident memory at most", cost.peak / 2**20, unit="MiB", asked=Asked("<", MEMORY_MIB)),
        figure("endings told more than once", float(follower.again + away.again)),
    )
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(follower.kinds.items()))
    note = "The reader acknowledges after each answer of up to 5,000 events; it shares the pusher's process."
    return Said(figures, (f"{follower.read:,} events: {kinds}.", note), WINDOW)


async def _beside(house: House, stock: Stock, messages: int) -> tuple[Load, Follower, float]:
    """Push a batch and follow its events: the load, what was read, and when the last ending was."""
    load, follower = Load(stock, Plan(messages)), Follower(house.socket, "bench", messages)
    ended, _ = await asyncio.gather(follower.run(), load.run(house.socket))
    return load, follower, ended


def _complete(stock: Stock, follower: Follower, messages: int) -> None:
    """HouseError unless every message has ended in the feed, and no other."""
    numbers = {stock.number(ref) for ref in follower.ended}
    if numbers != set(range(messages)):
        raise HouseError(f"the feed tells of {len(numbers)} messages that ended, {messages} were pushed")


ROWS: Final = (
    Row("events", "a feed read by long poll beside a batch, and one that was away", _events, ("batch",), 60.0),
)
