"""Whether the tables are fit for what mgate will say to them one day: indexes, announcements, and room for results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace
from psycopg import sql

from mgate.config.sources import PROCEDURES, CoreSource
from mgate.intake.sources.postgresql.columns import quoted
from mgate.intake.sources.postgresql.procedures import Procedures
from mgate.intake.sources.postgresql.session import Session
from mgate.intake.sources.postgresql.table import Table
from mgate.intake.sources.postgresql.view import View
from mgate.model.message import MessageId, show_id
from mgate.model.source import Problem, Result, Row

_INDEXES: Final = sql.SQL(
    "SELECT ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY k (number, place) JOIN"
    " pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number ORDER BY k.place),"
    " coalesce(pg_get_expr(i.indpred, i.indrelid), '') FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c"
    " ON c.oid = i.indrelid WHERE c.oid = to_regclass(%(table)s) AND i.indisvalid"
)
_IS_TABLE: Final = sql.SQL(
    "SELECT FROM pg_catalog.pg_class WHERE oid = to_regclass(%(table)s) AND relkind IN ('r', 'p')"
)
_ANNOUNCES: Final = sql.SQL(
    "SELECT count(*) FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid"
    " WHERE t.tgrelid = to_regclass(%(table)s) AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 4 <> 0"
    " AND (position(%(channel)s IN p.prosrc) > 0 OR position(%(channel)s IN encode(t.tgargs, 'escape')) > 0)"
)
_WIDTHS: Final = sql.SQL(
    "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.atttypmod - 4 FROM pg_catalog.pg_attribute a"
    " WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypmod > 4"
    " AND a.atttypid IN ('varchar'::regtype, 'bpchar'::regtype)"
)

_OPEN: Final = ("new", "claimed", "cancelling")

# As long as what comes one day: an operator's words, a sentence for a person, a journal of some years.
_SAMPLE: Final = Result(
    key="0", version="", sequence=1 << 40, state="undelivered", message=show_id(MessageId((1 << 63) - 1)),
    reason="undeliverable:" + "0" * 26, may_have_been_sent=True, at=1_800_000_000.0, channel="sms",
    operator="operator-" + "0" * 11, parts=3, cost="0.0312", currency="BYN", error="." * 150,
)  # fmt: skip


async def slow(session: Session, settings: CoreSource, types: dict[str, str]) -> list[Problem]:
    """Indexes that are missing, by their columns: nothing is wrong without them while the table is small."""
    name = {"table": quoted(settings.outbox)}
    if not await session.rows("mapping", _IS_TABLE, name):
        return []
    found = [(_words(columns), str(condition)) for columns, condition in await session.rows("mapping", _INDEXES, name)]
    return list(_missing(settings, types, found))


def _missing(
    settings: CoreSource, types: dict[str, str], found: Sequence[tuple[list[str], str]]
) -> Iterator[Problem]:  # fmt: skip
    mapped = settings.mapped
    order, status = mapped["order"], mapped["status"]
    marks = f"{quoted(status)} IN ({', '.join(repr(word) for word in _OPEN)})"
    words: tuple[str, ...] = _OPEN
    wish = ""
    if "cancel" in mapped:
        column = quoted(mapped["cancel"])
        wish = column if types.get(mapped["cancel"]) == "boolean" else f"coalesce({column}::text::boolean, false)"
        words, wish = (*_OPEN, "taken"), f" OR ({quoted(status)} = 'taken' AND {wish})"
    if not any(columns[:1] == [order] and _has(condition, words) for columns, condition in found):
        yield _without(settings, [order], marks + wish, "each claim looks through the whole table")
    customer = mapped.get("customer")
    if customer is not None and not any(
        columns[:2] == [customer, order] and (not condition or _has(condition, _OPEN)) for columns, condition in found
    ):
        yield _without(settings, [customer, order], marks, "each row of a customer is a search for his others")


def _has(condition: str, words: Sequence[str]) -> bool:
    return all(f"'{word}'" in condition for word in words)


def _without(settings: CoreSource, columns: Sequence[str], condition: str, why: str) -> Problem:
    names = ", ".join(quoted(column) for column in columns)
    return Problem(
        step="mapping", who="dba", fatal=False,
        problem=f"{settings.outbox}: no index on ({', '.join(columns)}) of the open rows: {why}",
        todo=f"CREATE INDEX CONCURRENTLY ON {quoted(settings.outbox)} ({names}) WHERE {condition};",
    )  # fmt: skip


async def silence(session: Session, settings: CoreSource) -> list[Problem]:
    """Nobody announces rows on the channel that we listen to."""
    name = {"table": quoted(settings.outbox)}
    if not settings.notify or not await session.rows("mapping", _IS_TABLE, name):
        return []
    ((announcing,),) = await session.rows("mapping", _ANNOUNCES, {**name, "channel": settings.notify})
    if announcing:
        return []
    problem = (
        f"{settings.outbox}: no trigger on INSERT announces rows on {settings.notify}: they wait for the next poll"
    )
    todo = "make it as etc/sql/postgresql/4-notify.sql does, on this channel; or leave notify out"
    return [Problem(step="mapping", who="dba", problem=problem, todo=todo, fatal=False)]


async def narrow(session: Session, table: str) -> list[Problem]:
    """Columns of the result table that are too short for what comes one day."""
    found: list[Problem] = []
    for name, kind, width in await session.rows("mapping", _WIDTHS, {"table": quoted(table)}):
        needed = len(str(getattr(_SAMPLE, str(name), "")))
        if int(str(width)) < needed:
            todo = f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted(str(name))} TYPE text;"
            problem = f"{table}: {name} is {kind}, and needs {needed}"
            found.append(Problem(step="mapping", who="dba", problem=problem, todo=todo))
    return found


async def write(session: Session, settings: CoreSource, way: Table | Procedures | View, rows: Sequence[Row]) -> None:
    """Write what would be written of these rows, or of none that there is, within a transaction that is rolled back.

    Raises:
        SourceError: it cannot be written.
    """
    if rows:
        sample = replace(_SAMPLE, key=rows[0].key, version=rows[0].version)
        await way.ack(session, [replace(sample, sequence=0, state="taken")])
        await way.ack(session, [sample])
    elif settings.results and settings.mode != PROCEDURES and not settings.result_query:
        await way.ack(session, [_SAMPLE])


def _words(columns: object) -> list[str]:
    return [str(column) for column in columns] if isinstance(columns, list) else []
