"""Rows of a view that can be read and not changed: a cursor goes along ``created``, and a second one sweeps behind it.

Rows become visible when they are committed, not when they were written: behind the cursor there may be some that were
not there when it passed. So a sweep goes over the window again and again, a page a claim beside the cursor's own, and
never in its way. What was taken before is left out by the result table where there is one, and by memory where there is
none; what slips through, after a restart, is recognised by its reference, like any row that comes twice.

How far it had come stands in the result table: the newest ``created`` there, less the window. Without one it begins a
window ago, and what was written during a longer stop is for ``source rewind``.

A page is so many rows of the view, taken or not, so that no statement takes longer because much was taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from psycopg import sql

from mgate.config.sources import CoreSource
from mgate.intake.sources.postgresql import results as told
from mgate.intake.sources.postgresql.columns import FIELDS, Columns, named, read, types_of
from mgate.intake.sources.postgresql.reckoning import created_parts, rewind, written
from mgate.intake.sources.postgresql.results import GIVEN, RETURNED
from mgate.intake.sources.postgresql.session import Session
from mgate.model.source import FINAL, Count, Lag, Result, Row

PAGES: Final = 8
"""Pages that the cursor goes on by in one claim, when all that they hold is known."""

PAGE: Final = 5_000
"""Rows that one statement looks at."""

MOST_COUNTED: Final = 1_000_000

_PAGE: Final = """
WITH page AS MATERIALIZED (
    SELECT o.* FROM {outbox} o
    WHERE o.{plain_created} >= %(at)s::timestamptz::{created_type} AND o.{plain_created} <= clock_timestamp()
        AND (%(place)s::text IS NULL OR o.{plain_created} > %(at)s::timestamptz::{created_type}
            OR o.{order} > %(place)s::{order_type})
    ORDER BY o.{plain_created}, o.{order} LIMIT %(page)s
)
(SELECT 'row' AS what, o.{plain_created}::timestamptz::text, o.{order}::text, {row}
    FROM page o WHERE true {not_taken} ORDER BY o.{plain_created}, o.{order} LIMIT %(most)s)
UNION ALL
(SELECT CASE WHEN (SELECT count(*) FROM page) < %(page)s THEN 'end' ELSE 'more' END,
        o.{plain_created}::timestamptz::text, o.{order}::text, {nothing}
    FROM page o ORDER BY o.{plain_created} DESC, o.{order} DESC LIMIT 1)
"""
# A negative sequence: the row was rewound.
_NOT_TAKEN: Final = """
AND NOT EXISTS (SELECT FROM {results} r WHERE r.key = o.{key}::text AND r.version = {version} AND r.sequence >= 0)
"""
_WISHES: Final = """
UNION ALL
(SELECT 'wish', o.{plain_created}::timestamptz::text, o.{order}::text, {row} FROM (
        SELECT o.* FROM {outbox} o
        WHERE o.{plain_created} >= (clock_timestamp() - make_interval(secs => %(window)s))::{created_type} AND {cancel}
        ORDER BY o.{plain_created}, o.{order} OFFSET 0
    ) o WHERE o.{key}::text || '/' || {version} <> ALL (%(known)s::text[]) {taken} LIMIT %(most)s)
"""
_TAKEN: Final = """
AND EXISTS (SELECT FROM {results} r WHERE r.key = o.{key}::text AND r.version = {version}
    AND r.state <> ALL (%(final)s) AND r.sequence >= 0)
"""
_START: Final = """
SELECT least(clock_timestamp() - make_interval(secs => %(window)s), {known})::text
"""
_BEFORE: Final = sql.SQL("SELECT %(before)s::timestamptz <= %(at)s::timestamptz")
_WINDOW: Final = sql.SQL("SELECT (clock_timestamp() - make_interval(secs => %(window)s))::text")
_AT: Final = sql.SQL("SELECT to_timestamp(%(since)s)::text")
_KNOWN: Final = """
(SELECT max(r.created) - make_interval(secs => %(window)s) FROM {results} r WHERE r.sequence >= 0),
(SELECT min(r.created) FROM {results} r WHERE r.sequence < 0)
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


@dataclass(slots=True)
class _Taking:
    """One claim as it goes on.

    Attributes:
        behind: customers whose rows must wait, because an older one is with somebody.
        stay: where the cursor stays, before the first row that had to be passed over; None: it goes on.
    """

    rows: list[Row]
    most: int
    behind: set[str]
    now: float
    stay: Place | None = None

    @property
    def full(self) -> bool:
        return len(self.rows) >= self.most


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
        self._sweep: Place | None = None
        self._swept_at = seconds()
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
        parts["nothing"] = sql.SQL(", ").join([sql.NULL] * len(FIELDS))
        parts["refused"] = sql.SQL(_REFUSED if tells else "false").format(**parts)
        self._parts = parts
        self._page = sql.SQL(_PAGE).format(**parts)
        self._first_page = sql.SQL(_PAGE + (_WISHES if columns.has("cancel") else "")).format(**parts)

    # ---- rows ------------------------------------------------------------------------------------------------------

    async def claim(self, session: Session, most: int) -> list[Row]:
        """See ``model.source.Source``."""
        now = self._seconds()
        cursor = await self._set_out(session, now)
        taking = _Taking([], most, {given.row.customer for given in self._given.values()} - {""}, now)
        for number in range(PAGES):
            statement = self._page if number else self._first_page
            cursor, self._caught_up = await self._read(session, statement, cursor, taking)
            if self._caught_up or taking.full:
                break
        self._cursor = taking.stay or cursor
        if self._caught_up and not taking.full:
            await self._go_over(session, taking)
        return taking.rows

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
        """See ``model.source.Source``: results without an end are marked, and the cursor goes back."""
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
        results = bool(self._settings.results)
        return await written(session, self._parts, (begin, end), after, most, results=results)

    # ---- the cursor ------------------------------------------------------------------------------------------------

    async def _set_out(self, session: Session, now: float) -> Place:
        """Where to read from now: at the start what was known then."""
        for given in [given for given in self._given.values() if given.until <= now]:
            del self._given[given.row.key, given.row.version]
            await self._go_back(session, given.before)
        if self._cursor is None:
            ((at,),) = await session.rows("claim", sql.SQL(_START).format(**self._parts), self._window)
            self._cursor, self._swept_at = Place(str(at)), now
        return self._cursor

    async def _go_over(self, session: Session, taking: _Taking) -> None:
        """The sweep's next page, when the cursor has nothing left to do."""
        if self._sweep is None:
            if taking.now - self._swept_at < self._pause:
                return
            ((at,),) = await session.rows("claim", _WINDOW, self._window)
            self._sweep, self._swept_at = Place(str(at)), taking.now
            self._forget(taking.now)
        behind = replace(taking, stay=None)
        place, over = await self._read(session, self._page, self._sweep, behind)
        self._sweep = behind.stay or (None if over else place)

    @property
    def _pause(self) -> float:
        """Seconds from one sweep's begin to the next."""
        return min(30.0, max(5.0, self._settings.window / 20))

    @property
    def _window(self) -> dict[str, float]:
        """So far back a row may come: it may be a sweep until it is found."""
        return {"window": self._settings.window + 2 * self._pause}

    def _forget(self, now: float) -> None:
        old = now - 2 * self._window["window"]
        self._taken = {identity: at for identity, at in self._taken.items() if at > old}
        self._told = {identity: at for identity, at in self._told.items() if at > old}

    async def _go_back(self, session: Session, before: Place) -> None:
        """To that place, if the cursor is further; the database compares."""
        if self._cursor is None:
            return
        ((back,),) = await session.rows("claim", _BEFORE, {"at": self._cursor.at, "before": before.at})
        if back:
            self._cursor = before

    async def _read(
        self, session: Session, statement: sql.Composed, place: Place, taking: _Taking
    ) -> tuple[Place, bool]:  # fmt: skip
        """A page from this place; where to go on, and whether nothing is behind it."""
        size = taking.most - len(taking.rows) + len(self._given)
        found = await session.rows(
            "claim", statement,
            {
                "at": place.at, "place": place.order, "most": size, "page": max(PAGE, size), "final": list(FINAL),
                "window": self._settings.window, "known": [f"{key}/{version}" for key, version in self._told],
            },
        )  # fmt: skip
        over, seen = True, 0
        for what, at, order, *values in found:
            here = Place(str(at), str(order))
            if what == "wish":
                self._wish(taking, read(values), here)
            elif what == "row":
                seen += 1
                if not self._take(taking, read(values), here):
                    taking.stay = taking.stay or place
                place = here
            else:
                over = what == "end" and seen < size
                # Fewer than asked for: all others of the page are taken, and it can be left.
                place = here if seen < size else place
        return place, over

    # ---- what was given --------------------------------------------------------------------------------------------

    def _take(self, taking: _Taking, row: Row, here: Place) -> bool:
        """Take it if it can be taken now; whether it need not be met again."""
        identity = row.key, row.version
        if identity in self._given or identity in self._taken:
            return True
        if taking.full or row.customer in taking.behind:
            taking.behind |= {row.customer} - {""}
            return False
        taking.rows.append(row)
        self._give(row, Place(here.at), taking.now)
        return True

    def _give(self, row: Row, before: Place, now: float) -> None:
        identity = row.key, row.version
        self._given[identity] = Given(row, now + self._settings.lease, before)
        if row.cancel:
            self._told[identity] = now

    def _wish(self, taking: _Taking, row: Row, here: Place) -> None:
        """A row that was taken and is to be cancelled; without a result table only memory knows whether it was."""
        identity = row.key, row.version
        known = bool(self._settings.results) or identity in self._taken
        if known and identity not in self._given and not taking.full:
            taking.rows.append(row)
            self._give(row, Place(here.at), taking.now)
