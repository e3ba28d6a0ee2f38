"""Rows by the bank's own procedures: one that gives a batch, one that is told what became of it.

What they must keep stands in ``etc/sql/postgresql/5-procedures.sql``. The rest of what a source can do needs tables, so
here it is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn

from psycopg import sql

from mgate.config.sources import CoreSource
from mgate.intake.sources.postgresql import results as told
from mgate.intake.sources.postgresql.columns import Columns, named, read
from mgate.intake.sources.postgresql.session import Session
from mgate.model.source import Count, Lag, Result, Row, SourceError

NOT_KNOWN: Final = -1

_CLAIM: Final = "SELECT {row} FROM {get_batch}(%(most)s::integer, make_interval(secs => %(lease)s), %(holder)s::text) o"
_TELL: Final = "SELECT {set_state}(%(results)s::jsonb, %(holder)s::text)"
_CLOCK: Final = sql.SQL("SELECT extract(epoch FROM clock_timestamp())::float8")


class Procedures:
    """Takes rows by ``get_batch``; see ``table.Table``."""

    def __init__(self, settings: CoreSource, holder: str) -> None:
        columns = Columns(settings.mapped, {})
        self._settings = settings
        self._holder = holder
        self._claim = sql.SQL(_CLAIM).format(row=columns.row(), get_batch=named(settings.get_batch))
        self._tell = sql.SQL(_TELL).format(set_state=named(settings.set_state))

    async def claim(self, session: Session, most: int) -> list[Row]:
        """See ``model.source.Source``."""
        given = {"most": most, "lease": self._settings.lease, "holder": self._holder}
        return [read(values) for values in await session.rows("claim", self._claim, given)]

    async def ack(self, session: Session, results: Sequence[Result]) -> None:
        """See ``model.source.Source``."""
        if results:
            document = told.whole_document(told.newest(results))
            await session.rows("ack", self._tell, {"results": document, "holder": self._holder})

    async def lag(self, session: Session) -> Lag:
        """The clock; how many rows wait nobody says (`NOT_KNOWN`)."""
        ((clock,),) = await session.rows("lag", _CLOCK)
        return Lag(waiting=NOT_KNOWN, oldest=0.0, clock_difference=float(str(clock)))

    async def rewind(self, session: Session, since: float, dry_run: bool) -> tuple[int, int]:
        """Not known."""
        self._not_known("rewind")

    async def written(self, session: Session, begin: float, end: float, after: str, most: int) -> list[Count]:
        """Not known."""
        self._not_known("written")

    def _not_known(self, verb: str) -> NoReturn:
        todo = "let the DBA do it in the tables, or give the role SELECT on them and use mode table"
        raise SourceError("mismatch", f"{verb}: the procedures of mode procedures do not offer it", todo)
