"""For the daily reckoning and for rewinding: rows by the moment when they were written, page by page.

A day may have millions of rows, and no statement may take longer than its limit: so each looks at a few thousand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from psycopg import sql

from mgate.intake.sources.postgresql.columns import Columns
from mgate.intake.sources.postgresql.session import Session
from mgate.model.source import FINAL, Count, SourceError

_WRITTEN: Final = """
SELECT o.{key}::text, {version}, {created}, CASE WHEN {refused} THEN 'refused' ELSE {last_word} END FROM {outbox} o
WHERE o.{plain_created} >= to_timestamp(%(begin)s)::{created_type}
    AND o.{plain_created} < to_timestamp(%(end)s)::{created_type} {behind}
ORDER BY o.{key}, 2 LIMIT %(most)s
"""
_LAST_WORD: Final = """
coalesce((SELECT r.state FROM {results} r WHERE r.key = o.{key}::text AND r.version = {version}
    AND r.state = ANY (%(final)s)), '')
"""
PAGE: Final = 5_000

_FIRST: Final = "SELECT (to_timestamp(%(since)s)::{created_type})::text"
_ENDED: Final = """
EXISTS (SELECT FROM {results} r WHERE r.key = o.{key}::text AND r.version = {version} AND r.state = ANY (%(final)s))
"""
_PAGE: Final = """
WITH page AS MATERIALIZED (
    SELECT o.{key} AS key, {version} AS version, o.{plain_created} AS at, o.{order} AS place, {begun} AS begun,
        {refused} OR {has_ended} AS ended
    FROM {outbox} o
    WHERE o.{plain_created} >= %(at)s::{created_type}
        AND (%(place)s::text IS NULL OR o.{plain_created} > %(at)s::{created_type}
            OR o.{order} > %(place)s::{order_type})
    ORDER BY o.{plain_created}, o.{order} LIMIT %(page)s
), again AS MATERIALIZED (SELECT p.key, p.version FROM page p WHERE p.begun AND NOT p.ended) {act}
SELECT count(*), (SELECT count(*) FROM again), count(*) FILTER (WHERE p.ended),
    (array_agg(p.at::text ORDER BY p.at DESC, p.place DESC))[1],
    (array_agg(p.place::text ORDER BY p.at DESC, p.place DESC))[1]
FROM page p
"""
# The journal of a restored spool counts from where its backup stood: its numbers must prevail. All else that is known
# of the message stays: it may be on its way, and then whoever claims the row again is told where it stands.
_FORGET: Final = """
, forgotten AS (
    UPDATE {results} r SET sequence = -1 FROM again
    WHERE r.key = again.key::text AND r.version = again.version
)
"""


async def rewind(
    session: Session, parts: Mapping[str, sql.Composable], since: float, *, results: bool, act: str | None
) -> tuple[int, int]:
    """See ``model.source.Source``.

    Args:
        parts: ``begun`` and ``refused`` say of a row whether somebody has had it, and whether it is final by itself.
        results: whether there is a result table. ``act``: what makes a row ``again`` claimable, behind a comma; empty
            where nothing need be done; None: a dry run.
    """
    parts = dict(parts)
    parts["has_ended"] = sql.SQL(_ENDED if results else "false").format(**parts)
    acts = "" if act is None else act + (_FORGET if results else "")
    parts["act"] = sql.SQL(acts).format(**parts)
    statement = sql.SQL(_PAGE).format(**parts)
    ((at,),) = await session.rows("rewind", sql.SQL(_FIRST).format(**parts), {"since": since})
    given: dict[str, object] = {"at": at, "place": None, "final": list(FINAL), "page": PAGE}
    again = final = 0
    while True:
        ((seen, more, ended, at, place),) = await session.rows("rewind", statement, given)
        again, final = again + int(str(more)), final + int(str(ended))
        if int(str(seen)) < PAGE:
            return again, final
        given |= {"at": at, "place": place}


def created_parts(columns: Columns, where: str) -> dict[str, sql.Composable]:
    """The names that statements about moments need beside the others."""
    if not columns.has("created"):
        todo = "give it a column with the moment of its insert, and name it in [sources.NAME] columns"
        raise SourceError("mismatch", f"{where} has no column for created", todo)
    return {"plain_created": columns.name("created"), "created_type": columns.type("created")}


async def written(
    session: Session,
    parts: Mapping[str, sql.Composable],
    span: tuple[float, float],
    after: str,
    most: int,
    *,
    results: bool,
) -> list[Count]:
    """See ``model.source.Source``. By key as its type orders it; rows of one key are never parted.

    Args:
        results: whether there is a result table.
    """
    behind = sql.SQL("AND o.{key} > %(after)s::{key_type}" if after else "").format(**parts)
    last_word = sql.SQL(_LAST_WORD if results else "''").format(**parts)
    statement = sql.SQL(_WRITTEN).format(**{**parts, "behind": behind, "last_word": last_word})
    given = {"begin": span[0], "end": span[1], "after": after, "most": most + 1, "final": list(FINAL)}
    rows = await session.rows("written", statement, given)
    found = [
        Count(key=str(key), version=str(version), created=float(str(at)), final=str(final))
        for key, version, at, final in rows
    ]
    if len(found) <= most:
        return found
    whole = [count for count in found if count.key != found[-1].key]
    return whole or found
