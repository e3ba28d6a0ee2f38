"""A bridge from a TCP port of loopback to a UNIX socket, octet for octet, for programs that know no UNIX sockets.

It lets anybody on this machine in, so it is for trials only. Each half closes when its other end does.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

_PIECE: Final = 65536


@asynccontextmanager
async def bridge(to: Path) -> AsyncIterator[int]:
    """Open while the context lasts; the port."""
    tasks: set[asyncio.Task[None]] = set()

    async def carry(near: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # we run in one
        tasks.add(task)
        try:
            far, ask = await asyncio.open_unix_connection(str(to))
            try:
                await asyncio.gather(_pump(near, ask), _pump(far, answer))
            finally:
                await _close(ask)
        except OSError:
            pass  # either side may hang up whenever it likes
        finally:
            tasks.discard(task)
            await _close(answer)

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, drain: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(_PIECE):
            drain.write(piece)
            await drain.drain()
        if drain.can_write_eof():
            drain.write_eof()
    except OSError:
        drain.close()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
