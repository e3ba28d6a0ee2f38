"""``model.source.Source`` for PostgreSQL: one line for rows, one for announcements, one for each call and survey."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

from psycopg import sql

from mgate.config.sources import PROCEDURES, TABLE, CoreSource, SourceCall
from mgate.intake.sources.postgresql.columns import Columns, types_of
from mgate.intake.sources.postgresql.procedures import Procedures
from mgate.intake.sources.postgresql.session import Connection, Gate, Session, connect
from mgate.intake.sources.postgresql.survey import Survey
from mgate.intake.sources.postgresql.table import Table
from mgate.intake.sources.postgresql.view import View
from mgate.model.source import Count, Lag, Problem, Result, Row, SourceError

MOST_ROWS: Final = 1_000
"""Rows that a call answers at most."""

RECENT: Final = 60.0
"""Seconds for which a server that was found right is believed when another call connects: one handshake, not two."""

_T = TypeVar("_T")
_Way = Table | Procedures | View


class PostgreSQL:
    """One database.

    A session is made when a verb first needs one, and again after one was lost: whoever asks decides how often.
    ``claim`` and the others that read or mark rows share it, and it is the caller who lets them take turns
    (``intake.line``).

    Args:
        holder: what stands in ``claimed_by``: which mgate it is.
        wall: seconds since 1970; ``seconds``: monotonic.
    """

    def __init__(
        self, settings: CoreSource, gate: Gate, holder: str, wall: Callable[[], float],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._gate = gate
        self._holder = holder
        self._wall = wall
        self._seconds = seconds
        self._session: Session | None = None
        self._way: _Way | None = None
        self._ear: Session | None = None
        self._others: set[Session] = set()
        self._calls: Mapping[str, SourceCall] = {call.name: call for call in settings.calls}
        self._closed = False

    # ---- rows ------------------------------------------------------------------------------------------------------

    async def claim(self, most: int) -> Sequence[Row]:
        """See ``model.source.Source``."""
        return await self._by(lambda way, session: way.claim(session, most))

    async def ack(self, results: Sequence[Result]) -> None:
        """See ``model.source.Source``."""
        if results:
            await self._by(lambda way, session: way.ack(session, results))

    async def lag(self) -> Lag:
        """See ``model.source.Source``; ``waiting`` is -1 where nobody can say it (mode ``procedures``)."""
        before = self._wall()
        found = await self._by(lambda way, session: way.lag(session))
        ours = (before + self._wall()) / 2
        return Lag(waiting=found.waiting, oldest=found.oldest, clock_difference=found.clock_difference - ours)

    async def rewind(self, since: float, dry_run: bool) -> tuple[int, int]:
        """See ``model.source.Source``."""
        return await self._by(lambda way, session: way.rewind(session, since, dry_run))

    async def written(self, begin: float, end: float, after: str, most: int) -> Sequence[Count]:
        """See ``model.source.Source``. By key as the column's type orders it: numbers as numbers."""
        return await self._by(lambda way, session: way.written(session, begin, end, after, most))

    async def _by(self, work: Callable[[_Way, Session], Awaitable[_T]]) -> _T:
        session, way = await self._ready()
        try:
            return await work(way, session)
        finally:
            if not session.usable:
                self._session = None
                await session.close()

    async def _ready(self) -> tuple[Session, _Way]:
        self._refuse_when_closed()
        if self._session is not None and self._way is not None:
            return self._session, self._way
        session = await connect(self._settings, self._gate, writes=self._writes)
        try:
            self._way = await self._look(session)
            # It may have been closed meanwhile, and then nobody would close this.
            self._refuse_when_closed()
        except BaseException:
            await session.close()
            raise
        self._session = session
        return session, self._way

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise SourceError("unreachable", f"source {self._settings.name} is closed", "")

    @property
    def _writes(self) -> bool:
        return self._settings.mode in {TABLE, PROCEDURES} or bool(self._settings.results)

    async def _look(self, session: Session) -> _Way:
        """The way to take rows, for the tables as they are now."""
        if self._settings.mode == TABLE:
            return await Table.of(session, self._settings, self._holder)
        if self._settings.mode == PROCEDURES:
            return Procedures(self._settings, self._holder)
        if isinstance(self._way, View):
            columns = Columns(self._settings.mapped, await types_of(session, self._settings.outbox))
            self._way.take_up(columns)
            return self._way
        return await View.of(session, self._settings, self._seconds)

    # ---- announcements ---------------------------------------------------------------------------------------------

    async def wait(self, most: float) -> bool:
        """See ``model.source.Source``. A line that cannot be had is no news: rows are asked for all the same."""
        if not self._settings.notify:
            await asyncio.sleep(most)
            return False
        deadline = self._seconds() + most
        try:
            if self._ear is None:
                self._ear = await self._listen()
                # What was announced before we listened was not heard: look once.
                return True
            return await self._ear.notified(most)
        except SourceError:
            await self._deafen()
            await asyncio.sleep(max(0.0, deadline - self._seconds()))
            return False
        except asyncio.CancelledError:
            await self._deafen()
            raise

    async def _listen(self) -> Session:
        session = await connect(self._settings, self._gate, writes=True)
        try:
            await session.do("listen", sql.SQL("LISTEN {}").format(sql.Identifier(self._settings.notify)))
        except BaseException:
            await session.close()
            raise
        return session

    async def _deafen(self) -> None:
        ear, self._ear = self._ear, None
        if ear is not None:
            await ear.close()

    # ---- the rest --------------------------------------------------------------------------------------------------

    async def call(self, name: str, arguments: Mapping[str, object], limit: float) -> Sequence[Mapping[str, object]]:
        """See ``model.source.Source``. On a connection of its own: it is never in the way of a row."""
        call = self._calls.get(name)
        if call is None:
            known = ", ".join(self._calls) or "none"
            todo = f"write [sources.{self._settings.name}.calls.{name}]; those that there are: {known}"
            raise SourceError("mismatch", f"call: there is no call {name}", todo)
        limit = min(limit, call.limit)

        async def work(connection: Connection) -> list[dict[str, object]]:
            cursor = await connection.execute(sql.SQL(call.sql), arguments)
            if cursor.description is None:
                return []
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in await cursor.fetchmany(MOST_ROWS)]

        milliseconds = f"-c statement_timeout={int(limit * 1000)}"
        session = await connect(self._settings, self._gate, writes=False, options=milliseconds, recent=RECENT)
        self._others.add(session)
        try:
            return await session.run(f"call {name}", work, limit)
        finally:
            self._others.discard(session)
            await session.close()

    async def survey(self) -> Sequence[Problem]:
        """See ``model.source.Source``."""
        return await Survey(self._settings, self._gate, self._wall, self._holder).run()

    async def close(self) -> None:
        """See ``model.source.Source``."""
        self._closed = True
        session, self._session = self._session, None
        for each in (session, *self._others):
            if each is not None:
                await each.close()
        await self._deafen()
