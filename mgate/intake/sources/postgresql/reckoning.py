"""For the daily reckoning and for rewinding: rows by the moment when they were written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from psycopg import sql

from mgate.intake.sources.postgresql.columns import Columns
from mgate.intake.sources.postgresql.session import Session
from mgate.model.source import Count, SourceError

_WRITTEN: Final = """
SELECT o.{key}::text, {version}, {created}, {refused} FROM {outbox} o
WHERE o.{plain_created} >= to_timestamp(%(begin)s)::{created_type}
    AND o.{plain_created} < to_timestamp(%(end)s)::{created_type} {behind}
ORDER BY o.{key}, 2 LIMIT %(most)s
"""


def created_parts(columns: Columns, where: str) -> dict[str, sql.Composable]:
    """The names that statements about moments need beside the others."""
    if not columns.has("created"):
        todo = "give it a column with the moment of its insert, and name it in [sources.NAME] columns"
        raise SourceError("mismatch", f"{where} has no column for created", todo)
    return {"plain_created": columns.name("created"), "created_type": columns.type("created")}


async def written(
    session: Session, parts: Mapping[str, sql.Composable], begin: float, end: float, after: str, most: int
) -> list[Count]:
    """See ``model.source.Source``. By key as its type orders it; rows of one key are never parted."""
    behind = sql.SQL("AND o.{key} > %(after)s::{key_type}" if after else "").format(**parts)
    statement = sql.SQL(_WRITTEN).format(**{**parts, "behind": behind})
    given = {"begin": begin, "end": end, "after": after, "most": most + 1}
    rows = await session.rows("written", statement, given)
    found = [
        Count(key=str(key), version=str(version), created=float(str(at)), refused=refused is True)
        for key, version, at, refused in rows
    ]
    if len(found) <= most:
        return found
    whole = [count for count in found if count.key != found[-1].key]
    return whole or found
