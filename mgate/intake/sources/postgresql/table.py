"""Rows of a table with a status and a lease: claimed and marked by one statement each.

Of one customer no row is taken while an older one is with somebody. Locks cannot be seen by a query, so rows are picked
first (``SKIP LOCKED``), and of those picked only such are taken that have no older open row outside the picked. Whoever
stands behind a locked row is named, and left out of a second pick: otherwise one locked row could hide a whole table.

The planner goes by statistics of an hour ago, when the table was empty or full. So the statement is written to be right
by any of them: every step is a scan of an index, in order, or of what was picked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from psycopg import sql

from mgate.config.sources import CoreSource
from mgate.intake.sources.postgresql import results as told
from mgate.intake.sources.postgresql import spoken
from mgate.intake.sources.postgresql.columns import FIELDS, Columns, named, read, types_of
from mgate.intake.sources.postgresql.reckoning import created_parts, rewind, written
from mgate.intake.sources.postgresql.results import GIVEN, MARKED
from mgate.intake.sources.postgresql.session import Session
from mgate.model.source import Count, Lag, Result, Row

ROUNDS: Final = 6
"""Picks of one claim: with each the customers behind locked rows are left out."""

MOST_COUNTED: Final = 1_000_000
_CLAIM: Final = """
WITH picked AS MATERIALIZED (
    SELECT o.{key} AS key, {version} AS version, {who} AS who, o.{order} AS place, o.{status}::text AS status
    FROM {outbox} o
    WHERE (o.{status} IN ('new', 'claimed', 'cancelling') {wish})
        AND (o.{status} IN ('new', 'taken') OR o.{lease} < clock_timestamp())
        {of_nobody_else}
    ORDER BY o.{order} LIMIT %(most)s FOR UPDATE OF o SKIP LOCKED
), fit AS MATERIALIZED (
    {in_order}
), claimed AS (
    UPDATE {outbox} o
    SET {status} = (CASE WHEN {cancel} THEN 'cancelling' ELSE 'claimed' END)::{status_type},
        {lease} = clock_timestamp() + make_interval(secs => %(lease)s) {claimed_by}
    WHERE o.{key} = ANY (ARRAY(SELECT f.key FROM fit f WHERE f.fits))
        AND (o.{key}, {version}) IN (SELECT f.key, f.version FROM fit f WHERE f.fits)
    RETURNING o.*
)
SELECT o.{order} AS place, NULL AS behind, {row} FROM claimed o
UNION ALL
SELECT f.place, f.who::text, {nothing} FROM fit f WHERE NOT f.fits
ORDER BY place
"""
# Who waits for a row that is with somebody is not even picked: looked at is the oldest open row of the customer.
_OF_NOBODY_ELSE: Final = """
AND ({customer} = '' OR o.{status} = 'taken' OR ({customer} <> ALL (%(behind)s::text[]) AND NOT EXISTS (
    SELECT FROM (
        SELECT a.{order} AS place, a.{status} AS status, a.{lease} AS lease FROM {outbox} a
        WHERE a.{who_name} = o.{who_name} AND a.{status} IN ('new', 'claimed', 'cancelling')
        ORDER BY a.{order} LIMIT 1
    ) oldest
    WHERE oldest.place < o.{order} AND oldest.status IN ('claimed', 'cancelling')
        AND oldest.lease >= clock_timestamp())))
"""
_IN_ORDER: Final = """
SELECT p.*, p.status = 'taken' OR b.place IS NULL OR p.place < b.place AS fits
FROM picked p LEFT JOIN (
    SELECT c.who, (
        SELECT a.{order} FROM {outbox} a
        WHERE a.{who_name} = c.who AND a.{status} IN ('new', 'claimed', 'cancelling')
            AND (a.{key}, {version_of_a}) NOT IN (SELECT q.key, q.version FROM picked q)
        ORDER BY a.{order} LIMIT 1
    ) AS place
    FROM (SELECT DISTINCT who FROM picked WHERE who::text <> '') c
) b ON b.who = p.who
"""
_MARK: Final = """
UPDATE {outbox} o
SET {status} = (CASE g.state WHEN 'returned' THEN 'new' WHEN 'refused' THEN 'refused'
        ELSE CASE o.{status}::text WHEN 'cancelling' THEN 'cancelled' ELSE 'taken' END END)::{status_type},
    {lease} = NULL
FROM given g
WHERE o.{key} = g.key::{key_type} AND {version} = g.version AND (
    (g.state IN ('taken', 'refused') AND o.{status} IN ('new', 'claimed', 'cancelling'))
    OR (g.state = 'returned' AND o.{status} IN ('claimed', 'cancelling') {ours}))
"""
_LAG: Final = """
SELECT (SELECT count(*) FROM (SELECT FROM {outbox} o WHERE o.{status} IN ('new', 'claimed', 'cancelling')
        AND o.{status} = 'new' LIMIT %(most)s) waiting),
    coalesce((SELECT extract(epoch FROM clock_timestamp())::float8 - {created} FROM {outbox} o
        WHERE o.{status} IN ('new', 'claimed', 'cancelling') AND o.{status} = 'new' ORDER BY o.{order} LIMIT 1), 0),
    extract(epoch FROM clock_timestamp())::float8
"""
_AGAIN: Final = """
, reset AS (
    UPDATE {outbox} o SET {status} = 'new', {lease} = NULL
    WHERE o.{key} = ANY (ARRAY(SELECT a.key FROM again a))
        AND (o.{key}, {version}) IN (SELECT a.key, a.version FROM again a)
)
"""


class Table:
    """Takes rows of one table.

    Args:
        holder: what stands in ``claimed_by``.
    """

    def __init__(self, settings: CoreSource, columns: Columns, holder: str) -> None:
        self._settings = settings
        self._columns = columns
        self._holder = holder
        parts = self._parts()
        self._parts_made = parts
        self._claim: sql.Composed = sql.SQL(_CLAIM).format(**parts)
        self._lag = sql.SQL(_LAG).format(**parts)
        self._both, self._only_mark, self._only_results = self._writing(parts)

    @classmethod
    async def of(cls, session: Session, settings: CoreSource, holder: str) -> Table:
        """Look at the table as it is now."""
        return cls(settings, Columns(settings.mapped, await types_of(session, settings.outbox)), holder)

    async def claim(self, session: Session, most: int) -> list[Row]:
        """See ``model.source.Source``."""
        if self._settings.claim_query:
            return await self._claim_as_told(session, most)
        rows: list[Row] = []
        behind: set[str] = set()
        for _ in range(ROUNDS):
            wanted = most - len(rows)
            picked = await session.rows(
                "claim", self._claim,
                {"most": wanted, "lease": self._settings.lease, "holder": self._holder, "behind": list(behind)},
            )  # fmt: skip
            rows += [read(values) for _, stuck, *values in picked if stuck is None]
            waiting = {str(stuck) for _, stuck, *_ in picked if stuck is not None}
            if len(picked) < wanted or not waiting:
                break
            behind |= waiting
        return rows

    async def ack(self, session: Session, results: Sequence[Result]) -> None:
        """See ``model.source.Source``."""
        results = told.newest(results)
        if self._settings.mark_query or self._settings.result_query:
            ours = self._only_mark, self._only_results
            await spoken.ack(session, self._settings, results, ours, self._holder)
            return
        marks = any(result.state in MARKED for result in results)
        statement = (self._both if marks else self._only_results) if self._settings.results else self._only_mark
        if results and (marks or self._settings.results):
            await session.do("ack", statement, {"results": told.document(results), "holder": self._holder})

    async def lag(self, session: Session) -> Lag:
        """See ``model.source.Source``; ``clock_difference`` is the database's clock, from which ours is to be taken."""
        ((waiting, oldest, clock),) = await session.rows("lag", self._lag, {"most": MOST_COUNTED})
        return Lag(waiting=int(str(waiting)), oldest=max(0.0, float(str(oldest))), clock_difference=float(str(clock)))

    async def rewind(self, session: Session, since: float, dry_run: bool) -> tuple[int, int]:
        """See ``model.source.Source``."""
        parts = self._with_created("rewind")
        parts["begun"] = sql.SQL("(o.{} <> 'new')").format(parts["status"])
        act = None if dry_run else _AGAIN
        return await rewind(session, parts, since, results=bool(self._settings.results), act=act)

    async def written(self, session: Session, begin: float, end: float, after: str, most: int) -> list[Count]:
        """See ``model.source.Source``; by key as the table's type orders it."""
        parts, results = self._with_created("written"), bool(self._settings.results)
        return await written(session, parts, (begin, end), after, most, results=results)

    # ---- statements ------------------------------------------------------------------------------------------------

    def _parts(self) -> dict[str, sql.Composable]:
        columns, settings = self._columns, self._settings
        parts: dict[str, sql.Composable] = {
            "outbox": named(settings.outbox), "key": columns.name("key"), "key_type": columns.type("key"),
            "version": columns.text("version"), "version_of_a": columns.text("version", "a"),
            "customer": columns.text("customer"), "order": columns.name("order"), "order_type": columns.type("order"),
            "status": columns.name("status"),
            "status_type": columns.type("status"), "lease": columns.name("lease"), "row": columns.row(),
            "cancel": columns.truth("cancel"), "created": columns.seconds("created"),
        }  # fmt: skip
        wish = "OR (o.{status} = 'taken' AND {cancel})" if columns.has("cancel") else ""
        parts["wish"] = sql.SQL(wish).format(**parts)
        known = columns.has("customer")
        if known:
            parts["who_name"] = columns.name("customer")
        parts["who"] = sql.Identifier("o", settings.mapped["customer"]) if known else sql.SQL("NULL::text")
        parts["of_nobody_else"] = sql.SQL(_OF_NOBODY_ELSE if known else "").format(**parts)
        parts["in_order"] = sql.SQL(_IN_ORDER if known else "SELECT p.*, true AS fits FROM picked p").format(**parts)
        parts["nothing"] = sql.SQL(", ").join([sql.NULL] * len(FIELDS))
        holder = columns.has("claimed_by")
        by = {"by": columns.name("claimed_by")} if holder else {}
        parts["claimed_by"] = sql.SQL(", {by} = %(holder)s" if holder else "").format(**by)
        parts["ours"] = sql.SQL("AND o.{by} = %(holder)s" if holder else "").format(**by)
        return parts

    def _writing(self, parts: Mapping[str, sql.Composable]) -> tuple[sql.Composed, sql.Composed, sql.Composed]:
        """Both tables, the outbox alone, the results alone."""
        mark = sql.SQL(_MARK).format(**parts)
        results = told.upsert(self._settings.results or "mgate.results")
        return (
            sql.SQL("WITH {}, marked AS ({}) {}").format(GIVEN, mark, results),
            sql.SQL("WITH {} {}").format(GIVEN, mark),
            sql.SQL("WITH {} {}").format(GIVEN, results),
        )

    def _with_created(self, verb: str) -> dict[str, sql.Composable]:
        made = created_parts(self._columns, f"{verb}: {self._settings.outbox}")
        made["refused"] = sql.SQL("(o.{} = 'refused')").format(self._columns.name("status"))
        return {**self._parts_made, **made, "results": named(self._settings.results or "mgate.results")}

    # ---- statements of the bank's own ------------------------------------------------------------------------------

    async def _claim_as_told(self, session: Session, most: int) -> list[Row]:
        settings = self._settings
        given = {"most": most, "lease": settings.lease, "holder": self._holder}
        rows = await spoken.claim(session, settings.claim_query, given, settings.time_zone)
        if settings.cancel_query and len(rows) < most:
            given["most"] = most - len(rows)
            rows += await spoken.claim(session, settings.cancel_query, given, settings.time_zone)
        return rows
