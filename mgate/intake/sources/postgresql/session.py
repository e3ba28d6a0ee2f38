"""One session: how it is made, and the limits within which it says anything.

The server gives up a statement after its limit, a lock after a second, and a transaction that is left open after two.
A server that hangs does none of it, and a firewall may swallow every octet: so each verb has a limit on our side too.
When that is over the socket is shut down under libpq, which then fails at once: cancelling the driver would ask the
silent server to cancel, and wait for it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final, LiteralString, Protocol, TypeVar

import psycopg
import psycopg.conninfo
from psycopg import sql
from psycopg.rows import TupleRow

from mgate.intake.sources.postgresql.errors import silent, source_error
from mgate.model.source import SourceError

_T = TypeVar("_T")

Statement = LiteralString | sql.Composed | sql.SQL
Connection = psycopg.AsyncConnection[TupleRow]

CONNECT_LIMIT: Final = 3
"""Seconds for a connection to one host, its TLS handshake among them (whole: libpq's ``connect_timeout``)."""

MARGIN: Final = 1.0
"""Seconds beyond the server's own limit after which a session is given up."""

LOCK_LIMIT_MS: Final = 1000
IDLE_LIMIT_MS: Final = 2000


class Gate(Protocol):
    """What is asked of TLS: ``gate.IdentityGate``."""

    def parameters(self) -> AbstractContextManager[Mapping[str, str]]:
        """For libpq, good until this is left. Raises ``SourceError``."""

    async def probe(self, host: str, port: int, recent: float = 0.0) -> None:
        """Shake hands with the server and check everything; not again when it was found right so many seconds ago, by
        the very same files of ours. Raises ``SourceError``."""


class Address(Protocol):
    """Where and as whom: a part of ``config.CoreSource``."""

    @property
    def name(self) -> str: ...
    @property
    def hosts(self) -> Sequence[str]: ...
    @property
    def database(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def statement_limit(self) -> float: ...


class Session:
    """A connection to the primary, in autocommit: each statement is a transaction."""

    def __init__(self, connection: Connection, host: str, limit: float) -> None:
        self.host = host
        self._connection = connection
        self._limit = limit
        self.usable = True

    async def rows(
        self, verb: str, statement: Statement, parameters: Mapping[str, object] | None = None
    ) -> list[TupleRow]:
        """Say one statement; its rows."""

        async def work(connection: Connection) -> list[TupleRow]:
            return await (await connection.execute(statement, parameters)).fetchall()

        return await self.run(verb, work)

    async def do(self, verb: str, statement: Statement, parameters: Mapping[str, object] | None = None) -> int:
        """Say one statement; how many rows it changed."""

        async def work(connection: Connection) -> int:
            return (await connection.execute(statement, parameters)).rowcount

        return await self.run(verb, work)

    async def run(self, verb: str, work: Callable[[Connection], Awaitable[_T]], limit: float | None = None) -> _T:
        """Let this speak on the connection.

        Raises:
            SourceError: after which the session may not be usable any more.
        """
        where = f"{verb} at {self.host}"
        limit = (limit or self._limit) + MARGIN
        if not self.usable:
            raise SourceError("unreachable", f"{where}: the connection is gone", "")
        task = asyncio.ensure_future(work(self._connection))
        try:
            await asyncio.wait({task}, timeout=limit)
        except asyncio.CancelledError:
            await self._sever(task)
            raise
        if not task.done():
            await self._sever(task)
            raise silent(where, limit)
        try:
            return task.result()
        except psycopg.Error as error:
            told = source_error(error, where)
            # A session that has met a changed table must look at its columns anew.
            self.usable = told.reason in {"busy", "refused"} and not self._connection.broken
            raise told from error
        except asyncio.CancelledError as error:
            raise silent(where, limit) from error

    async def notified(self, most: float) -> bool:
        """Wait for an announcement on this session, which says nothing else."""

        async def work(connection: Connection) -> bool:
            heard = False
            async for _ in connection.notifies(timeout=most, stop_after=1):
                heard = True
            return heard

        return await self.run("wait", work, most)

    async def close(self) -> None:
        """Say goodbye, as far as the server listens."""
        self.usable = False
        if not self._connection.closed:
            await self._connection.close()

    async def _sever(self, task: asyncio.Task[_T]) -> None:
        self.usable = False
        try:
            descriptor = os.dup(self._connection.fileno())
        except psycopg.Error:
            pass  # It has lost its socket already, and the task is on its way out.
        else:
            with socket.socket(fileno=descriptor) as line:
                _shut(line)
        await asyncio.wait({task}, timeout=MARGIN)
        if not task.done():
            task.cancel()
        else:
            _ = task.cancelled() or task.exception()
        await self._connection.close()


def _shut(line: socket.socket) -> None:
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # The other side was quicker.


async def connect(
    address: Address, gate: Gate, *, writes: bool, options: str = "", recent: float = 0.0
) -> Session:  # fmt: skip
    """Connect to the first host that is right: the primary where something is to be written.

    ``recent``: see ``Gate.probe``.

    Raises:
        SourceError: of the host that came closest.
    """
    failures: list[SourceError] = []
    for host in address.hosts:
        try:
            return await connect_to(host, address, gate, writes=writes, options=options, recent=recent)
        except SourceError as error:
            failures.append(error)
    raise max(failures, key=lambda error: _CLOSE.index(error.reason))


_CLOSE: Final = ("unreachable", "busy", "refused", "mismatch")


async def connect_to(
    host: str, address: Address, gate: Gate, *, writes: bool, options: str = "", recent: float = 0.0
) -> Session:  # fmt: skip
    """Connect to this host: first a handshake of our own, which checks what libpq does not; then libpq's."""
    name, _, port = host.rpartition(":")
    name = name.removeprefix("[").removesuffix("]")
    where = f"connect to {host}"
    try:
        async with asyncio.timeout(2 * CONNECT_LIMIT):
            await gate.probe(name, int(port), recent)
            with gate.parameters() as tls:
                line = _conninfo(name, port, address, tls, writes, options)
                connection = await psycopg.AsyncConnection.connect(line, autocommit=True)
    except psycopg.Error as error:
        raise source_error(error, where) from error
    except TimeoutError as error:
        raise silent(where, 2 * CONNECT_LIMIT) from error
    return Session(connection, host, address.statement_limit)


def _conninfo(
    host: str, port: str, address: Address, tls: Mapping[str, str], writes: bool, options: str
) -> str:  # fmt: skip
    limit = int(address.statement_limit * 1000)
    settings = {
        "statement_timeout": limit, "lock_timeout": LOCK_LIMIT_MS, "idle_in_transaction_session_timeout": IDLE_LIMIT_MS,
        "TimeZone": address.time_zone, "DateStyle": "ISO",
        # Statistics are of an hour ago, when the table was empty, or full: no plan is kept, and none sorts a backlog.
        "plan_cache_mode": "force_custom_plan", "enable_bitmapscan": "off", "enable_seqscan": "off", "jit": "off",
    }  # fmt: skip
    return psycopg.conninfo.make_conninfo(
        host=host,
        port=port,
        dbname=address.database,
        user=address.user,
        application_name=f"mgate {address.name}",
        connect_timeout=CONNECT_LIMIT,
        target_session_attrs="read-write" if writes else "any",
        keepalives_idle=10,
        keepalives_interval=3,
        keepalives_count=3,
        tcp_user_timeout=limit,
        client_encoding="UTF8",
        options=" ".join((*(f"-c {name}={value}" for name, value in settings.items()), options)),
        **tls,
    )
