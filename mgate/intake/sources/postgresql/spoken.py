"""Statements of the bank's own, in the place of ours: whole, with parameters, from the configuration.

``claim_query`` and ``cancel_query`` are given ``most``, ``lease`` (seconds) and ``holder``, and answer with columns
that are named as the fields of a row (``key``, ``to``, ``text``, ...; those that are missing say nothing).
``mark_query`` is said for each row with ``key``, ``version``, ``state`` (taken, refused, returned) and everything else
that a result has; ``result_query`` for each result. Those of one batch are one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
from psycopg import sql

from mgate.config.sources import CoreSource
from mgate.intake.sources.postgresql.results import MARKED, RETURNED, document
from mgate.intake.sources.postgresql.session import Connection, Session
from mgate.model.message import Secret
from mgate.model.source import Result, Row, SourceError


async def claim(session: Session, query: str, given: Mapping[str, object], time_zone: str) -> list[Row]:
    """The rows that this statement gives."""

    async def work(connection: Connection) -> list[Row]:
        cursor = await connection.execute(_statement(query), given)
        names = [column.name for column in cursor.description or ()]
        return [_row(dict(zip(names, values, strict=True)), zone) for values in await cursor.fetchall()]

    zone = ZoneInfo(time_zone)
    return await session.run("claim", work)


async def ack(
    session: Session, settings: CoreSource, results: Sequence[Result], ours: tuple[sql.Composed, sql.Composed],
    holder: str,
) -> None:  # fmt: skip
    """Say the statements for these results; ``ours`` stand in for the one that is not given: outbox, results."""
    marked = [result for result in results if result.state in MARKED]
    told = [result for result in results if result.state != RETURNED]
    write = bool(settings.result_query or settings.results)

    async def work(connection: Connection) -> None:
        async with connection.transaction():
            if marked:
                await _say(connection, settings.mark_query, ours[0], marked, holder)
            if told and write:
                await _say(connection, settings.result_query, ours[1], told, holder)

    await session.run("ack", work)


async def _say(
    connection: Connection, theirs: str, ours: sql.Composed, results: Sequence[Result], holder: str
) -> None:  # fmt: skip
    if not theirs:
        await connection.execute(ours, {"results": document(results), "holder": holder})
        return
    given = [{**msgspec.structs.asdict(result), "holder": holder} for result in results]
    async with connection.cursor() as cursor:
        await cursor.executemany(_statement(theirs), given)


def _statement(query: str) -> sql.SQL:
    # Whole from the configuration: whoever writes that may say to the database what mgate may.
    return sql.SQL(query)


def _row(said: Mapping[str, object], zone: ZoneInfo) -> Row:
    key = _text(said, "key")
    if not key or "to" not in said or "text" not in said:
        todo = "let claim_query answer with columns named key, to and text, and the others that a row has"
        raise SourceError("mismatch", "claim: the statement's answer has no key, to or text", todo)
    return Row(
        key=key, version=_text(said, "version"), to=_text(said, "to"), text=Secret(_text(said, "text")),
        traffic=_text(said, "traffic"), sender=_text(said, "sender"), expires=_seconds(said, "expires", zone),
        not_before=_seconds(said, "not_before", zone), customer=_text(said, "customer"), group=_text(said, "group"),
        meta=_meta(said.get("meta")), created=_seconds(said, "created", zone),
        cancel=said.get("cancel") in {True, "Y", "y", "1"},
    )  # fmt: skip


def _text(said: Mapping[str, object], field: str) -> str:
    value = said.get(field)
    return "" if value is None else str(value)


def _meta(value: object) -> bytes:
    if value is None or isinstance(value, str):
        return (value or "").encode()
    return msgspec.json.encode(value)


def _seconds(said: Mapping[str, object], field: str, zone: ZoneInfo) -> float:
    match said.get(field):
        case None:
            return 0.0
        case datetime() as moment:
            return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
        case int() | float() | Decimal() as seconds:
            return float(seconds)
        case _:
            todo = f"let claim_query answer with {field} as a timestamp, or as seconds since 1970"
            raise SourceError("mismatch", f"claim: {field} is no moment", todo)
