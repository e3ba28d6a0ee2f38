"""Rows of a view that can be read and not changed: a cursor goes along ``created``, and comes back over a window.

Rows become visible when they are committed, not when they were written: behind the cursor there may be some that were
not there when it passed. So it returns every few seconds by as much as a row may be late. What was taken before is left
out by the result table where there is one, and by memory where there is none; what slips through, after a restart, is
recognised by its reference, like any row that comes twice.

How far it had come stands in the result table: the newest ``created`` there, less the window. Without one it begins a
window ago, and what was written during a longer stop is for ``source rewind``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from mgate.config.sources import CoreSource
from mgate.intake.sources.postgresql import results as told
from mgate.intake.sources.postgresql.columns import Columns, named, read, types_of
from mgate.intake.sources.postgresql.reckoning import created_parts, rewind, written
from mgate.intake.sources.postgresql.results import FINAL, GIVEN, RETURNED
from mgate.intake.sources.postgresql.session import Session
from mgate.model.source import Count, Lag, Result, Row

PAGES: Final = 8
"""Pages that one claim reads at most: what is known already is passed over quickly."""

RETURN: Final = 5.0
"""Seconds between two passes over the window."""

MOST_COUNTED: Final = 1_000_000

_PAGE: Final = """
SELECT false, o.{plain_created}::timestamptz::text, o.{order}::text, {row} FROM {outbox} o
WHERE o.{plain_created} >= %(at)s::timestamptz::{created_type} AND o.{plain_created} <= clock_timestamp()
    AND (%(place)s::text IS NULL OR o.{plain_created} > %(at)s::timestamptz::{created_type}
        OR o.{order} > %(place)s::{order_type})
    {not_taken}
ORDER BY o.{plain_created}, o.{order} LIMIT %(most)s
"""
_NOT_TAKEN: Final = """
AND NOT EXISTS (SELECT FROM {results} r WHERE r.key = o.{key}::text AND r.version = {version} AND r.state <> 'returned')
"""
_WISHES: Final = """
SELECT true, o.{plain_created}::timestamptz::text, o.{order}::text, {row} FROM {outbox} o
WHERE o.{plain_created} >= (clock_timestamp() - make_interval(secs => %(window)s))::{created_type} AND {cancel}
    AND o.{key}::text || '/' || {version} <> ALL (%(known)s::text[]) {taken}
ORDER BY o.{plain_created}, o.{order} LIMIT %(most)s
"""
_TAKEN: Final = """
AND EXISTS (SELECT FROM {results} r WHERE r.key = o.{key}::text AND r.version = {version}
    AND r.state <> ALL (%(final)s) AND r.state <> 'returned')
"""
_START: Final = """
SELECT least(clock_timestamp() - make_interval(secs => %(window)s), {known})::text
"""
_BACK: Final = sql.SQL(
    "SELECT b.at::text, b.at <= %(at)s::timestamptz FROM"
    " (SELECT coalesce(%(before)s::timestamptz, clock_timestamp() - make_interval(secs => %(window)s)) AS at) b"
)
_AT: Final = sql.SQL("SELECT to_timestamp(%(since)s)::text")
_KNOWN: Final = """
(SELECT max(r.created) - make_interval(secs => %(window)s) FROM {results} r WHERE r.state <> 'returned'),
(SELECT min(r.created) FROM {results} r WHERE r.state = 'returned')
"""
_LAG: Final = """
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp())::float8 - min(w.created), 0),
    extract(epoch FROM clock_timestamp())::float8
FROM (SELECT {created} AS created FROM {outbox} o
    WHERE o.{plain_created} >= %(at)s::timestamptz::{created_type} AND o.{plain_created} <= clock_timestamp()
        AND (%(place)s::text IS NULL OR o.{plain_created} > %(at)s::timestamptz::{created_type}
            OR o.{order} > %(place)s::{order_type})
    {not_taken} LIMIT %(most)s) w
"""
_REFUSED: Final = """
EXISTS (SELECT FROM {results} r WHERE r.key = o.{key}::text AND r.version = {version} AND r.state = 'refused')
"""

_Identity = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """A place of the cursor: behind the row ``order`` of that moment; with None right before all rows of the moment."""

    at: str
    order: str | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A row that was claimed and not marked yet. ``until``: monotonic seconds; ``before``: where it is found again."""

    row: Row
    until: float
    before: Place


class View:
    """Takes rows of one view; lives as long as its source, over all sessions.

    Args:
        columns: as they are now.
        seconds: monotonic.
    """

    def __init__(self, settings: CoreSource, columns: Columns, seconds: Callable[[], float]) -> None:
        self._settings = settings
        self._seconds = seconds
        self._cursor: Place | None = None
        self._caught_up = False
        self._back_at = seconds()
        self._given: dict[_Identity, Given] = {}
        self._taken: dict[_Identity, float] = {}
        self._told: dict[_Identity, float] = {}
        self._parts: dict[str, sql.Composable] = {}
        self.take_up(columns)

    @classmethod
    async def of(cls, session: Session, settings: CoreSource, seconds: Callable[[], float]) -> View:
        """Look at the view as it is now."""
        return cls(settings, Columns(settings.mapped, await types_of(session, settings.outbox)), seconds)

    def take_up(self, columns: Columns) -> None:
        """The columns as a new session has found them."""
        settings = self._settings
        parts: dict[str, sql.Composable] = {
            "outbox": named(settings.outbox), "key": columns.name("key"), "key_type": columns.type("key"),
            "version": columns.text("version"), "order": columns.name("order"), "order_type": columns.type("order"),
            "row": columns.row(), "cancel": columns.truth("cancel"), "created": columns.seconds("created"),
            "results": named(settings.results or "mgate.results"),
            **created_parts(columns, settings.outbox),
        }  # fmt: skip
        tells = bool(settings.results)
        parts["not_taken"] = sql.SQL(_NOT_TAKEN if tells else "").format(**parts)
        parts["taken"] = sql.SQL(_TAKEN if tells else "").format(**parts)
        parts["known"] = sql.SQL(_KNOWN if tells else "NULL").format(**parts)
        parts["begun"] = sql.SQL("true")
        parts["refused"] = sql.SQL(_REFUSED if tells else "false").format(**parts)
        self._parts = parts
        self._page = sql.SQL(_PAGE).format(**parts)
        self._first_page = sql.SQL("({}) UNION ALL ({})").format(self._page, sql.SQL(_WISHES).format(**parts))
        if not columns.has("cancel"):
            self._first_page = self._page

    # ---- rows ------------------------------------------------------------------------------------------------------

    async def claim(self, session: Session, most: int) -> list[Row]:
        """See ``model.source.Source``."""
        now = self._seconds()
        place = await self._set_out(session, now)
        rows: list[Row] = []
        behind = {given.row.customer for given in self._given.values()} - {""}
        free = True
        for number in range(PAGES):
            size = most - len(rows) + len(self._given)
            page = await self._read(session, self._page if number else self._first_page, place, size)
            ahead = [(here, row) for wish, here, row in page if not wish]
            for _, before, row in (found for found in page if found[0]):
                self._wish(rows, row, before, now)
            for here, row in ahead:
                if not self._known(row):
                    free = free and len(rows) < most and row.customer not in behind
                    if len(rows) == most or row.customer in behind:
                        behind |= {row.customer} - {""}
                    else:
                        rows.append(row)
                        self._give(row, Place(here.at), now)
                place = here
                self._cursor = here if free else self._cursor
            self._caught_up = len(ahead) < size
            if self._caught_up or len(rows) >= most:
                break
        return rows

    async def ack(self, session: Session, results: Sequence[Result]) -> None:
        """See ``model.source.Source``."""
        results = told.newest(results)
        created = {identity: given.row.created for identity, given in self._given.items()}
        kept = [result for result in results if result.state != RETURNED]
        if kept and self._settings.results:
            statement = sql.SQL("WITH {} {}").format(GIVEN, told.upsert(self._settings.results))
            await session.do("ack", statement, {"results": told.document_with_created(kept, created)})
        for result in results:
            identity = result.key, result.version
            given = self._given.pop(identity, None)
            if given is None:
                continue
            if result.state == RETURNED:
                self._told.pop(identity, None)
                await self._go_back(session, given.before)
            elif not self._settings.results:
                self._taken[identity] = self._seconds()

    async def lag(self, session: Session) -> Lag:
        """See ``table.Table``."""
        place = await self._set_out(session, self._seconds())
        given = {"at": place.at, "place": place.order, "most": MOST_COUNTED}
        ((waiting, oldest, clock),) = await session.rows("lag", sql.SQL(_LAG).format(**self._parts), given)
        return Lag(waiting=int(str(waiting)), oldest=max(0.0, float(str(oldest))), clock_difference=float(str(clock)))

    async def rewind(self, session: Session, since: float, dry_run: bool) -> tuple[int, int]:
        """See ``model.source.Source``: the result table forgets what has no end, and the cursor goes back."""
        act = None if dry_run else ""
        again, final = await rewind(session, self._parts, since, results=bool(self._settings.results), act=act)
        if not dry_run:
            self._taken.clear()
            self._told.clear()
            ((at,),) = await session.rows("rewind", _AT, {"since": since})
            self._cursor = Place(str(at))
        return again, final

    async def written(self, session: Session, begin: float, end: float, after: str, most: int) -> list[Count]:
        """See ``table.Table``."""
        return await written(session, self._parts, begin, end, after, most)

    # ---- the cursor ------------------------------------------------------------------------------------------------

    async def _set_out(self, session: Session, now: float) -> Place:
        """Where to read from now: at the start what was known then, and every few seconds a window back."""
        for given in [given for given in self._given.values() if given.until <= now]:
            del self._given[given.row.key, given.row.version]
            await self._go_back(session, given.before)
        window = {"window": self._settings.window + RETURN}
        if self._cursor is None:
            ((at,),) = await session.rows("claim", sql.SQL(_START).format(**self._parts), window)
            self._cursor, self._back_at = Place(str(at)), now
        elif self._caught_up and now - self._back_at >= RETURN:
            await self._go_back(session, None)
            self._back_at = now
            old = now - 2 * window["window"]
            self._taken = {identity: at for identity, at in self._taken.items() if at > old}
            self._told = {identity: at for identity, at in self._told.items() if at > old}
        return self._cursor

    async def _go_back(self, session: Session, before: Place | None) -> None:
        """To that place, or with None to the begin of the window, if the cursor is further; the database compares."""
        if self._cursor is None:
            return
        given = {"window": self._settings.window + RETURN, "at": self._cursor.at, "before": before and before.at}
        ((at, back),) = await session.rows("claim", _BACK, given)
        if back:
            self._cursor = Place(str(at))

    async def _read(
        self, session: Session, statement: sql.Composed, place: Place, size: int
    ) -> list[tuple[bool, Place, Row]]:  # fmt: skip
        given = {
            "at": place.at, "place": place.order, "most": size, "window": self._settings.window, "final": list(FINAL),
            "known": [f"{key}/{version}" for key, version in self._told],
        }  # fmt: skip
        rows = await session.rows("claim", statement, given)
        return [(wish is True, Place(str(at), str(order)), read(values)) for wish, at, order, *values in rows]

    # ---- what was given --------------------------------------------------------------------------------------------

    def _known(self, row: Row) -> bool:
        identity = row.key, row.version
        return identity in self._given or identity in self._taken

    def _give(self, row: Row, before: Place, now: float) -> None:
        identity = row.key, row.version
        self._given[identity] = Given(row, now + self._settings.lease, before)
        if row.cancel:
            self._told[identity] = now

    def _wish(self, rows: list[Row], row: Row, here: Place, now: float) -> None:
        """A row that was taken and is to be cancelled; without a result table only memory knows whether it was."""
        identity = row.key, row.version
        if identity in self._given or not (self._settings.results or identity in self._taken):
            return
        rows.append(row)
        self._give(row, Place(here.at), now)
