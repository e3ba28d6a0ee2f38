"""Rows of a table with a status and a lease: claimed and marked by one statement each.

Of one customer no row is taken while an older one is with somebody. Locks cannot be seen by a query, so rows are picked
first (``SKIP LOCKED``), and of those picked only such are taken that have no older open row outside the picked. Whoever
stands behind a locked row is named, and left out of a second pick: otherwise one locked row could hide a whole table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from psycopg import sql

from mgate.config.sources import CoreSource
from mgate.intake.sources.postgresql import results as told
from mgate.intake.sources.postgresql import spoken
from mgate.intake.sources.postgresql.columns import Columns, named, read, types_of
from mgate.intake.sources.postgresql.reckoning import created_parts, written
from mgate.intake.sources.postgresql.results import FINAL, GIVEN, MARKED
from mgate.intake.sources.postgresql.session import Session
from mgate.model.source import Count, Lag, Result, Row

ROUNDS: Final = 6
"""Picks of one claim: with each the customers behind locked rows are left out."""

MOST_COUNTED: Final = 1_000_000
STRIDE: Final = 5_000
"""Rows that one statement rewinds: it must be over within its limit."""

_CLAIM: Final = """
WITH picked AS MATERIALIZED (
    SELECT o.{key} AS key, {version} AS version, {customer} AS customer, o.{order} AS place, o.{status}::text AS status
    FROM {outbox} o
    WHERE (o.{status} IN ('new', 'claimed', 'cancelling') {wish})
        AND (o.{status} IN ('new', 'taken') OR o.{lease} < clock_timestamp())
        {of_nobody_else}
    ORDER BY o.{order} LIMIT %(most)s FOR UPDATE OF o SKIP LOCKED
), fit AS MATERIALIZED (
    SELECT p.key, p.version FROM picked p {in_order}
), claimed AS (
    UPDATE {outbox} o
    SET {status} = (CASE WHEN {cancel} THEN 'cancelling' ELSE 'claimed' END)::{status_type},
        {lease} = clock_timestamp() + make_interval(secs => %(lease)s) {claimed_by}
    FROM fit WHERE o.{key} = fit.key AND {version} = fit.version
    RETURNING o.*
)
SELECT p.customer, o.{key} IS NOT NULL, {row}
FROM picked p LEFT JOIN claimed o ON o.{key} = p.key AND {version} = p.version
ORDER BY p.place
"""
_OF_NOBODY_ELSE: Final = """
AND ({customer} = '' OR o.{status} = 'taken' OR ({customer} <> ALL (%(behind)s::text[]) AND NOT EXISTS (
    SELECT FROM {outbox} a
    WHERE a.{plain_customer} = o.{plain_customer} AND a.{order} < o.{order}
        AND a.{status} IN ('new', 'claimed', 'cancelling') AND a.{status} IN ('claimed', 'cancelling')
        AND a.{lease} >= clock_timestamp())))
"""
_IN_ORDER: Final = """
WHERE p.status = 'taken' OR p.customer = '' OR NOT EXISTS (
    SELECT FROM {outbox} a
    WHERE a.{plain_customer}::text = p.customer AND a.{order} < p.place
        AND a.{status} IN ('new', 'claimed', 'cancelling')
        AND NOT EXISTS (SELECT FROM picked q WHERE q.key = a.{key} AND q.version = {version_of_a}))
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
_SINCE: Final = """
o.{plain_created} >= to_timestamp(%(since)s)::{created_type}
    AND o.{status} IN ('taken', 'cancelled', 'claimed', 'cancelling')
"""
_ENDED: Final = """
EXISTS (SELECT FROM {results} r WHERE r.key = o.{key}::text AND r.version = {version} AND r.state = ANY (%(final)s))
"""
_COUNT: Final = """
SELECT count(*) FILTER (WHERE NOT {ended}), count(*) FILTER (WHERE {ended})
FROM {outbox} o WHERE o.{plain_created} >= to_timestamp(%(since)s)::{created_type} AND o.{status} <> 'new'
"""
_REWIND: Final = """
WITH again AS MATERIALIZED (
    SELECT o.{key} AS key, {version} AS version FROM {outbox} o WHERE {since} AND NOT {ended}
    ORDER BY o.{order} LIMIT %(stride)s
), forgotten AS ({forget})
UPDATE {outbox} o SET {status} = 'new', {lease} = NULL FROM again
WHERE o.{key} = again.key AND {version} = again.version
"""
# The journal of a restored spool counts from where its backup stood: its numbers must prevail.
_FORGET: Final = """
UPDATE {results} r SET sequence = 0, state = 'returned' FROM again
WHERE r.key = again.key::text AND r.version = again.version
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
            rows += [read(values) for _, claimed, *values in picked if claimed]
            stuck = {str(customer) for customer, claimed, *_ in picked if not claimed} - behind
            if len(picked) < wanted or not stuck:
                break
            behind |= stuck
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
        """See ``model.source.Source``. In strides, so that no transaction is long."""
        parts = self._with_created("rewind")
        given = {"since": since, "final": list(FINAL), "stride": STRIDE}
        ((again, final),) = await session.rows("rewind", sql.SQL(_COUNT).format(**parts), given)
        if not dry_run:
            parts["forget"] = sql.SQL(_FORGET if self._settings.results else "SELECT").format(**parts)
            parts["since"] = sql.SQL(_SINCE).format(**parts)
            statement = sql.SQL(_REWIND).format(**parts)
            while await session.do("rewind", statement, given) == STRIDE:
                pass
        return int(str(again)), int(str(final))

    async def written(self, session: Session, begin: float, end: float, after: str, most: int) -> list[Count]:
        """See ``model.source.Source``; by key as the table's type orders it."""
        return await written(session, self._with_created("written"), begin, end, after, most)

    # ---- statements ------------------------------------------------------------------------------------------------

    def _parts(self) -> dict[str, sql.Composable]:
        columns, settings = self._columns, self._settings
        parts: dict[str, sql.Composable] = {
            "outbox": named(settings.outbox), "key": columns.name("key"), "key_type": columns.type("key"),
            "version": columns.text("version"), "version_of_a": columns.text("version", "a"),
            "customer": columns.text("customer"), "order": columns.name("order"), "status": columns.name("status"),
            "status_type": columns.type("status"), "lease": columns.name("lease"), "row": columns.row(),
            "cancel": columns.truth("cancel"), "created": columns.seconds("created"),
        }  # fmt: skip
        wish = "OR (o.{status} = 'taken' AND {cancel})" if columns.has("cancel") else ""
        parts["wish"] = sql.SQL(wish).format(**parts)
        if columns.has("customer"):
            parts["plain_customer"] = columns.name("customer")
        parts["of_nobody_else"] = sql.SQL(_OF_NOBODY_ELSE if columns.has("customer") else "").format(**parts)
        parts["in_order"] = sql.SQL(_IN_ORDER if columns.has("customer") else "").format(**parts)
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
        parts = {**self._parts_made, **created_parts(self._columns, f"{verb}: {self._settings.outbox}")}
        parts["results"] = named(self._settings.results or "mgate.results")
        parts["ended"] = sql.SQL(_ENDED if self._settings.results else "false").format(**parts)
        parts["refused"] = sql.SQL("o.{status}::text = 'refused'").format(**parts)
        return parts

    # ---- statements of the bank's own ------------------------------------------------------------------------------

    async def _claim_as_told(self, session: Session, most: int) -> list[Row]:
        settings = self._settings
        given = {"most": most, "lease": settings.lease, "holder": self._holder}
        rows = await spoken.claim(session, settings.claim_query, given, settings.time_zone)
        if settings.cancel_query and len(rows) < most:
            given["most"] = most - len(rows)
            rows += await spoken.claim(session, settings.cancel_query, given, settings.time_zone)
        return rows
