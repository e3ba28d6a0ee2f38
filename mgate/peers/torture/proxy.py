"""A TCP proxy that fails on demand: it stands between the daemon and the operator on loopback.

Each connection has a mode of its own. A fault is set on some or all of the connections that stand, and on those that
come, until it is lifted; a connection that was broken stays so.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Sequence
from enum import Enum
from random import Random
from typing import Final

_RESET: Final = struct.pack("ii", 1, 0)
_CHUNK: Final = 65_536
_TRICKLE: Final = 0.02
ENQUIRE_LINK: Final = b"\x00\x00\x00\x10\x00\x00\x00\x15"
"""How an enquire_link begins (SMPP 3.4 section 4.11.1)."""


class Fault(Enum):
    """What befalls a connection."""

    DROPPED = "dropped"  # FIN to both sides
    RESET = "reset"  # RST to both sides
    HALF_OPEN = "half-open"  # nothing passes, nothing is closed
    SILENT = "silent"  # the operator hears us, and we do not hear it
    DEAF = "deaf"  # we hear the operator, and it does not hear us
    SLOW = "slow"  # a few octets at a time, PDUs cut anywhere
    REFUSED = "refused"  # new connections end at once


_CLOSING: Final = frozenset((Fault.DROPPED, Fault.RESET, Fault.REFUSED))


class _Pipe:
    """One connection of the daemon's and its own to the operator."""

    def __init__(self, up: tuple[asyncio.StreamReader, asyncio.StreamWriter], here: "Proxy") -> None:
        self.fault: Fault | None = None
        self.carried = self._heard = time.monotonic()
        self._here = here
        self._down: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._up = up
        self._held: list[tuple[asyncio.StreamWriter, bytes]] = []

    async def run(self, port: int) -> None:
        """Carry octets until one side ends."""
        try:
            self._down = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            self.end(reset=True)
            return
        (up_in, up_out), (down_in, down_out) = self._up, self._down
        ways = (
            asyncio.create_task(self._carry(up_in, down_out, Fault.DEAF)),
            asyncio.create_task(self._carry(down_in, up_out, Fault.SILENT)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            self.end(reset=False)

    def set(self, fault: Fault | None) -> None:
        """Begin or lift a fault."""
        self.fault = fault
        if fault in _CLOSING:
            self.end(reset=fault is Fault.RESET)
        elif fault is None:
            for sink, octets in self._held:
                if not sink.is_closing():
                    sink.write(octets)
            self._held.clear()

    def end(self, *, reset: bool) -> None:
        """Close both sides."""
        for side in (self._up, self._down):
            if side is not None:
                if reset:
                    handle: socket.socket | None = side[1].get_extra_info("socket")
                    if handle is not None and handle.fileno() >= 0:
                        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    side[1].transport.abort()
                else:
                    side[1].close()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, deaf: Fault) -> None:
        """Carry one way. What comes under a fault is held, and read on, so that an end is seen: then it is gone."""
        try:
            while octets := await source.read(_CHUNK):
                self.carried = time.monotonic()
                if deaf is Fault.DEAF:
                    self._here.watch(octets, self._heard)
                else:
                    self._heard = self.carried
                if sink.is_closing():
                    return
                if self.fault in (Fault.HALF_OPEN, deaf):
                    self._held.append((sink, octets))
                elif self.fault is Fault.SLOW:
                    await self._trickle(octets, sink)
                else:
                    sink.write(octets)
                    await sink.drain()
        except OSError:
            pass  # the other side is gone: the end that was asked for

    async def _trickle(self, octets: bytes, sink: asyncio.StreamWriter) -> None:
        at = 0
        while at < len(octets) and not sink.is_closing():
            size = self._here.random.randint(1, 40) if self.fault is Fault.SLOW else len(octets)
            sink.write(octets[at : at + size])
            await sink.drain()
            at += size
            await asyncio.sleep(_TRICKLE if at < len(octets) else 0)


class Proxy:
    """The proxy.

    Args:
        enquire: after so many seconds without a word from the operator an enquire_link of the daemon's is due.

    Attributes:
        errors: by how many seconds each of them came late, or early.
    """

    def __init__(self, port: int, random: Random, enquire: float = 30.0) -> None:
        self.random = random
        self.errors: list[float] = []
        self._enquire = enquire
        self._target = port
        self._pipes: set[_Pipe] = set()
        self._server: asyncio.Server | None = None
        self._to_come: Fault | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> int:
        """Listen on a free port of loopback; which one."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        for pipe in tuple(self._pipes):
            pipe.end(reset=True)
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def standing(self) -> int:
        """How many connections stand."""
        return len(self._pipes)

    def strike(self, fault: Fault, choose: Callable[[Sequence[_Pipe]], Sequence[_Pipe]] = tuple) -> int:
        """Set a fault on the connections that ``choose`` picks, and on those that come; how many it struck."""
        struck = choose(sorted(self._pipes, key=id))
        for pipe in struck:
            pipe.set(fault)
        self._to_come = fault if len(struck) == len(self._pipes) else None
        return len(struck)

    def heal(self) -> None:
        """Lift the fault: what was held back flows on."""
        self._to_come = None
        for pipe in tuple(self._pipes):
            pipe.set(None)

    def struck(self) -> frozenset[int]:
        """The connections that stand under a fault, by a number that no other has while it stands."""
        return frozenset(id(pipe) for pipe in self._pipes if pipe.fault is not None)

    def spare(self) -> None:
        """Leave new connections whole; those that are struck stay so."""
        self._to_come = None

    def watch(self, octets: bytes, heard: float) -> None:
        """Time the enquire_links among what the daemon says; ``heard``: when the operator last said something."""
        if ENQUIRE_LINK in octets:
            self.errors.append(time.monotonic() - heard - self._enquire)

    def longest_silence(self, now: float) -> float:
        """For how long a connection that stands has carried nothing, either way."""
        return max((now - pipe.carried for pipe in self._pipes), default=0.0)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._to_come in _CLOSING:
            writer.transport.abort()
            return
        pipe = _Pipe((reader, writer), self)
        pipe.fault = self._to_come
        self._pipes.add(pipe)
        task = asyncio.create_task(pipe.run(self._target))
        self._tasks.add(task)

        def done(_: object) -> None:
            self._tasks.discard(task)
            self._pipes.discard(pipe)

        task.add_done_callback(done)
