"""The proxy does to a connection what a bad line does, and no more."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

from mgate.peers.torture.proxy import ENQUIRE_LINK, Fault, Proxy

LIMIT = 5.0


class Line:
    """A proxy before an operator that echoes, and one connection through it."""

    async def open(self) -> None:
        self.seen = bytearray()
        self.made: list[asyncio.StreamWriter] = []
        self.server = await asyncio.start_server(self._echo, "127.0.0.1", 0)
        self.proxy = Proxy(self.server.sockets[0].getsockname()[1], Random(1), enquire=30.0)
        self.port = await self.proxy.open()
        self.reader, self.writer = await self.connect()
        await self.until(lambda: self.proxy.standing == 1)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        made = await asyncio.open_connection("127.0.0.1", self.port)
        self.made.append(made[1])
        return made

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while octets := await reader.read(4096):
                self.seen += octets
                writer.write(octets)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def said(self, octets: bytes) -> None:
        """Say it, and see it come back."""
        self.writer.write(octets)
        assert await asyncio.wait_for(self.reader.readexactly(len(octets)), LIMIT) == octets

    async def ended(self) -> bool:
        """Whether the connection ends."""
        try:
            return await asyncio.wait_for(self.reader.read(), LIMIT) == b""
        except ConnectionError:
            return True

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not true():  # noqa: ASYNC110  # what changes is the proxy's own, and sets no event
                await asyncio.sleep(0)

    async def close(self) -> None:
        for writer in self.made:
            writer.transport.abort()
        await self.proxy.close()
        self.server.close()
        await asyncio.sleep(0.01)  # the loop closes what was aborted in its next turns


def over(act: Callable[[Line], Awaitable[None]]) -> None:
    """Run one test on a line of its own."""

    async def run() -> None:
        line = Line()
        await line.open()
        try:
            await act(line)
        finally:
            await line.close()

    # pytest-twisted's reactor runs in this thread.
    with ThreadPoolExecutor(1) as other:
        other.submit(lambda: asyncio.run(run())).result()


def test_without_a_fault_all_passes_both_ways() -> None:
    async def act(line: Line) -> None:
        await line.said(b"x" * 5000)

    over(act)


def test_half_open_holds_everything_and_gives_it_when_it_heals() -> None:
    async def act(line: Line) -> None:
        assert line.proxy.strike(Fault.HALF_OPEN) == 1
        line.writer.write(b"held")
        carried = line.proxy.longest_silence(0.0)
        await line.until(lambda: line.proxy.longest_silence(0.0) != carried)
        assert line.seen == b""
        line.proxy.heal()
        assert await asyncio.wait_for(line.reader.readexactly(4), LIMIT) == b"held"

    over(act)


def test_silent_lets_the_operator_hear_and_deaf_does_not() -> None:
    async def act(line: Line) -> None:
        line.proxy.strike(Fault.SILENT)
        line.writer.write(b"a")
        await line.until(lambda: line.seen == b"a")
        line.proxy.heal()
        assert await asyncio.wait_for(line.reader.readexactly(1), LIMIT) == b"a"
        line.proxy.strike(Fault.DEAF)
        line.writer.write(b"b")
        carried = line.proxy.longest_silence(0.0)
        await line.until(lambda: line.proxy.longest_silence(0.0) != carried)
        assert line.seen == b"a"

    over(act)


def test_what_a_dead_line_held_is_gone_when_it_is_given_up() -> None:
    async def act(line: Line) -> None:
        line.proxy.strike(Fault.HALF_OPEN)
        line.writer.write(b"lost")
        dead = line.proxy.struck()
        line.proxy.spare()
        line.writer.close()
        await line.until(lambda: not dead & line.proxy.struck())
        line.proxy.heal()
        line.reader, line.writer = await line.connect()
        await line.said(b"new")
        assert line.seen == b"new"

    over(act)


def test_slow_cuts_anywhere_and_loses_nothing() -> None:
    async def act(line: Line) -> None:
        line.proxy.strike(Fault.SLOW)
        await line.said(bytes(range(200)))

    over(act)


def test_a_drop_and_a_reset_end_it_and_refused_ends_what_comes() -> None:
    async def act(line: Line) -> None:
        for fault in (Fault.DROPPED, Fault.RESET):
            line.proxy.strike(fault)
            assert await line.ended()
            line.proxy.heal()
            line.reader, line.writer = await line.connect()
            await line.said(b"up")
        line.proxy.strike(Fault.REFUSED)
        line.reader, line.writer = await line.connect()
        assert await line.ended()

    over(act)


def test_one_of_two_connections_is_struck_alone() -> None:
    async def act(line: Line) -> None:
        reader, writer = await line.connect()
        await line.until(lambda: line.proxy.standing == 2)
        assert line.proxy.strike(Fault.RESET, lambda pipes: pipes[:1]) == 1
        await line.until(lambda: line.proxy.standing == 1)
        third, other = await line.connect()
        other.write(b"whole")
        assert await asyncio.wait_for(third.readexactly(5), LIMIT) == b"whole"
        other.close()
        writer.close()
        assert reader is not third

    over(act)


def test_an_enquire_link_is_timed_from_the_operators_last_word() -> None:
    async def act(line: Line) -> None:
        await line.said(b"hello")
        await line.said(ENQUIRE_LINK + bytes(8))
        (error,) = line.proxy.errors
        assert -30.0 <= error < -30.0 + LIMIT

    over(act)
