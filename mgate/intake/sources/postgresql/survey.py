"""Everything that is wrong with a source, all at once: ``mgatectl source check``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from psycopg import sql

from mgate.config.sources import PROCEDURES, TABLE, VIEW, CoreSource
from mgate.intake.sources.postgresql import fitness
from mgate.intake.sources.postgresql.columns import quoted, types_of
from mgate.intake.sources.postgresql.errors import CertificateRefused
from mgate.intake.sources.postgresql.procedures import Procedures
from mgate.intake.sources.postgresql.session import Connection, Gate, Session, connect_to
from mgate.intake.sources.postgresql.table import Table
from mgate.intake.sources.postgresql.view import View
from mgate.model.source import Problem, SourceError

CLOCK_LIMIT: Final = 5.0
"""Seconds of difference between the clocks that are worth a warning."""

_RIGHTS: Final = sql.SQL(
    "SELECT has_schema_privilege(n.oid, 'USAGE'), has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid,"
    " 'INSERT'), has_any_column_privilege(c.oid, 'UPDATE') FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
    " ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s AND c.relname = %(name)s"
)
_COLUMN: Final = sql.SQL(
    "SELECT a.attname, has_column_privilege(a.attrelid, a.attnum, 'SELECT'),"
    " has_column_privilege(a.attrelid, a.attnum, 'UPDATE') FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c"
    " ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND a.attnum > 0 AND NOT a.attisdropped"
)
_FUNCTION: Final = sql.SQL(
    "SELECT bool_or(has_function_privilege(p.oid, 'EXECUTE')), bool_or(has_schema_privilege(n.oid, 'USAGE'))"
    " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
    " WHERE n.nspname = %(schema)s AND p.proname = %(name)s"
)
_UNIQUE: Final = sql.SQL(
    "SELECT count(*) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid"
    " AND a.attnum = ANY (i.indkey) WHERE i.indrelid = to_regclass(%(table)s) AND i.indisunique AND i.indpred IS NULL"
    " AND a.attname = %(key)s"
)
_CLOCK: Final = sql.SQL("SELECT extract(epoch FROM clock_timestamp())::float8")

_TIME_TYPES: Final = ("timestamp", "date")
_NO_WORDS: Final = ("smallint", "integer", "bigint", "numeric", "boolean", "timestamp", "date", "json", "bytea")
_WRITTEN: Final = ("status", "lease", "claimed_by")
_RESULTS: Final = (
    "key", "version", "sequence", "state", "message", "reason", "may_have_been_sent", "at", "channel", "operator",
    "parts", "cost", "currency", "error", "created",
)  # fmt: skip


class Survey:
    """One look at everything; no step ends it but a line that cannot be had."""

    def __init__(self, settings: CoreSource, gate: Gate, wall: Callable[[], float], holder: str) -> None:
        self._settings = settings
        self._gate = gate
        self._wall = wall
        self._holder = holder
        self._found: list[Problem] = []
        self._writes = settings.mode != VIEW or bool(settings.results)

    async def run(self) -> Sequence[Problem]:
        """All that is wrong."""
        session = await self._connect()
        if session is not None:
            try:
                await self._clock(session)
                await self._rights(session)
                await self._mapping(session)
                if not any(problem.fatal for problem in self._found):
                    await self._read(session)
            except SourceError as error:
                self._failed("read", error)
            finally:
                await session.close()
        return self._found

    # ---- the line --------------------------------------------------------------------------------------------------

    async def _connect(self) -> Session | None:
        """The first host that is right; every host is tried, for a standby is needed on the day of a switch."""
        found: Session | None = None
        standbys: list[SourceError] = []
        for host in self._settings.hosts:
            try:
                session = await connect_to(host, self._settings, self._gate, writes=self._writes)
            except SourceError as error:
                if "standby" in error.todo:
                    standbys.append(error)
                else:
                    self._failed(_step(error), error)
                continue
            if found is None:
                found = session
            else:
                await session.close()
        if found is None:
            for standby in standbys:
                self._failed("network", standby)
        return found

    def _failed(self, step: str, error: SourceError) -> None:
        self._found.append(Problem(step=step, who=_who(step, error), problem=str(error), todo=error.todo))

    def _say(self, step: str, problem: str, todo: str, who: str = "dba", *, fatal: bool = True) -> None:
        self._found.append(Problem(step=step, who=who, problem=problem, todo=todo, fatal=fatal))

    # ---- what is found there ---------------------------------------------------------------------------------------

    async def _clock(self, session: Session) -> None:
        before = self._wall()
        ((theirs,),) = await session.rows("clock", _CLOCK)
        difference = float(str(theirs)) - (before + self._wall()) / 2
        if abs(difference) > CLOCK_LIMIT:
            side = "ahead of" if difference > 0 else "behind"
            problem = f"the clock of {session.host} is {abs(difference):.0f} s {side} ours"
            self._say("clock", problem, "let both hosts take their time from the same NTP servers", fatal=False)

    async def _rights(self, session: Session) -> None:
        settings = self._settings
        if settings.mode == PROCEDURES:
            for name in (settings.get_batch, settings.set_state):
                await self._may_run(session, name)
            return
        if not settings.claim_query:
            await self._may_read(session)
        if settings.results and not settings.result_query:
            await self._may_write_results(session)

    async def _may_run(self, session: Session, function: str) -> None:
        schema, name = function.split(".")
        ((execute, usage),) = await session.rows("rights", _FUNCTION, {"schema": schema, "name": name})
        if execute is None:
            self._say(
                "mapping", f"there is no function {function}", "write it as etc/sql/postgresql/5-procedures.sql says"
            )
            return
        if not usage:
            self._grant(f"USAGE ON SCHEMA {quoted(schema)}", schema)
        if not execute:
            self._grant(f"EXECUTE ON FUNCTION {quoted(function)}", function)

    async def _may_read(self, session: Session) -> None:
        table = self._settings.outbox
        if not await self._exists(session, table, "2-outbox.sql"):
            return
        rights = await self._column_rights(session, table)
        wanted = self._settings.mapped
        unread = [column for column in wanted.values() if column in rights and not rights[column][0]]
        if unread and self._settings.mode == VIEW:
            unread = [wanted[field] for field in wanted if field not in _WRITTEN and wanted[field] in unread]
        if unread:
            self._grant(f"SELECT ({_listed(unread)}) ON {quoted(table)}", table)
        if self._settings.mode == TABLE:
            columns = [wanted[field] for field in _WRITTEN if field in wanted]
            unwritten = [column for column in columns if column in rights and not rights[column][1]]
            if unwritten:
                self._grant(f"UPDATE ({_listed(unwritten)}) ON {quoted(table)}", table)

    async def _may_write_results(self, session: Session) -> None:
        table = self._settings.results
        if not await self._exists(session, table, "3-results.sql"):
            return
        ((_, select, insert, update),) = await session.rows("rights", _RIGHTS, _place(table))
        missing = [word for word, has in (("SELECT", select), ("INSERT", insert), ("UPDATE", update)) if not has]
        if missing:
            self._grant(f"{', '.join(missing)} ON {quoted(table)}", table)
        absent = [column for column in _RESULTS if column not in await self._column_rights(session, table)]
        if absent:
            todo = "make it as etc/sql/postgresql/3-results.sql does, or write a result_query"
            self._say("mapping", f"{table} has no column {', '.join(absent)}", todo)
        self._found += await fitness.narrow(session, table)

    async def _exists(self, session: Session, table: str, file: str) -> bool:
        rights = await session.rows("rights", _RIGHTS, _place(table))
        if not rights:
            todo = f"make it as etc/sql/postgresql/{file} does, or say its name in [sources.{self._settings.name}]"
            self._say("mapping", f"there is no table or view {table}", todo)
            return False
        if not rights[0][0]:
            schema = table.split(".", maxsplit=1)[0]
            self._grant(f"USAGE ON SCHEMA {quoted(schema)}", schema)
        return True

    async def _column_rights(self, session: Session, table: str) -> dict[str, tuple[bool, bool]]:
        rows = await session.rows("rights", _COLUMN, _place(table))
        return {str(name): (select is True, update is True) for name, select, update in rows}

    def _grant(self, right: str, where: str) -> None:
        role = quoted(self._settings.user)
        self._say("rights", f"{self._settings.user} may not use {where}", f"GRANT {right} TO {role};")

    async def _mapping(self, session: Session) -> None:
        settings = self._settings
        if settings.mode == PROCEDURES or settings.claim_query:
            return
        ((known,),) = await session.rows(
            "mapping", sql.SQL("SELECT to_regclass(%(table)s)::text"), _named(settings.outbox)
        )
        types = await types_of(session, settings.outbox) if known else {}
        if types:
            for who, problem, todo, fatal in _differences(settings, types):
                self._say("mapping", f"{settings.outbox}: {problem}", todo, who, fatal=fatal)
        if types and settings.mode == TABLE:
            given = {**_named(settings.outbox), "key": settings.mapped["key"]}
            ((unique,),) = await session.rows("mapping", _UNIQUE, given)
            if not unique:
                problem = (
                    f"{settings.outbox}: no unique index has the column {settings.mapped['key']}, the rows' identity"
                )
                self._say("mapping", problem, "make one, or two rows of one key are one message", fatal=False)
            if settings.mapped["status"] in types:
                self._found += await fitness.slow(session, settings, types)
            self._found += await fitness.silence(session, settings)

    # ---- a dry read ------------------------------------------------------------------------------------------------

    async def _read(self, session: Session) -> None:
        """Claim a row and write its results in a transaction that is rolled back: what no catalogue says shows here."""
        settings = self._settings

        async def begin(connection: Connection) -> None:
            await connection.execute("BEGIN")

        async def end(connection: Connection) -> None:
            await connection.execute("ROLLBACK")

        way: Table | Procedures | View
        if settings.mode == TABLE:
            way = await Table.of(session, settings, self._holder)
        elif settings.mode == PROCEDURES:
            way = Procedures(settings, self._holder)
        else:
            way = await View.of(session, settings, lambda: 0.0)
        await session.run("read", begin)
        try:
            await fitness.write(session, settings, way, await way.claim(session, 1))
        except SourceError as error:
            self._failed("read", error)
        finally:
            if session.usable:
                await session.run("read", end)


def _step(error: SourceError) -> str:
    if isinstance(error, CertificateRefused):
        return "certificate"
    return "network" if error.reason == "unreachable" else "login"


def _who(step: str, error: SourceError) -> str:
    if isinstance(error, CertificateRefused):
        return error.who
    # What can be mended in the configuration alone, such as the name of the database, is nobody else's.
    ours = error.todo.startswith(("say the right name in [sources.", "mend the statement in [sources."))
    return "network" if step == "network" else ("mgate" if ours else "dba")


def _place(table: str) -> dict[str, str]:
    schema, name = table.split(".")
    return {"schema": schema, "name": name}


def _named(table: str) -> dict[str, str]:
    return {"table": quoted(table)}


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(quoted(column) for column in dict.fromkeys(columns))


def _differences(settings: CoreSource, types: dict[str, str]) -> Iterator[tuple[str, str, str, bool]]:
    """What the mapping says and the table does not: who mends it, the words, how, and whether nothing works with it."""
    marks = _WRITTEN if settings.mode == VIEW else ()
    for field, column in settings.mapped.items():
        if field in marks:
            continue
        kind, wanted = types.get(column), _wanted(field)
        if kind is None:
            todo = f"say which column it is in [sources.{settings.name}] columns"
            todo += "" if field in ("key", "to", "text", "status", "lease") else f', or "{field}=" when there is none'
            yield "mgate", f"there is no column {column} for {field}", todo, True
        elif wanted == "timestamptz" and not kind.startswith(_TIME_TYPES):
            yield "dba", f"{column} for {field} is {kind}, and must be a timestamp", _altered(settings, column), True
        elif wanted == "timestamptz" and "with time zone" not in kind:
            said = (
                f"{column} for {field} is {kind}: it is read in {settings.time_zone}, where an hour comes twice a year"
            )
            yield "dba", said, _altered(settings, column, settings.time_zone), False
        elif wanted == "text" and kind.startswith(_NO_WORDS):
            todo = _altered(settings, column, to="text")
            yield "dba", f"{column} for {field} is {kind}, and must hold words, as text does", todo, True


def _wanted(field: str) -> str:
    if field in {"expires", "not_before", "created", "lease"}:
        return "timestamptz"
    return "text" if field == "status" else ""


def _altered(settings: CoreSource, column: str, zone: str = "", to: str = "timestamptz") -> str:
    """The statement that gives the column its type, or where it is given in a view."""
    name = quoted(column)
    cast = f"{name} AT TIME ZONE '{zone}'" if zone else f"{name}::{to}"
    if settings.mode == VIEW:
        return f"let the view {settings.outbox} give ({cast}) AS {name}"
    return f"ALTER TABLE {quoted(settings.outbox)} ALTER COLUMN {name} TYPE {to} USING {cast};"
