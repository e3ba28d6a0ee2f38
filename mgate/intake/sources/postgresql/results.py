"""Results on their way to the database: one JSON document a batch, and the statement that writes the result table.

A document is one parameter whatever the batch, and costs this process a microsecond a row; fourteen arrays cost twenty.
It leaves out what is empty, which is half of it for most rows, on this side, on the line and on the server's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from psycopg import sql

from mgate.intake.sources.postgresql.columns import named
from mgate.model.source import Result

MARKED: Final = frozenset({"taken", "refused", "returned"})
"""States that the outbox is told."""

RETURNED: Final = "returned"

GIVEN: Final = sql.SQL(
    "given AS MATERIALIZED (SELECT g.key, g.version, g.sequence, g.state, coalesce(g.message, '') AS message,"
    " coalesce(g.reason, '') AS reason, coalesce(g.may_have_been_sent, false) AS may_have_been_sent,"
    " coalesce(g.at, 0) AS at, coalesce(g.channel, '') AS channel, coalesce(g.operator, '') AS operator,"
    " coalesce(g.parts, 0) AS parts, g.cost, coalesce(g.currency, '') AS currency, coalesce(g.error, '') AS error,"
    " g.created FROM json_to_recordset(%(results)s::json) AS g(key text, version text,"
    " sequence bigint, state text, message text, reason text, may_have_been_sent boolean, at float8, channel text,"
    " operator text, parts integer, cost text, currency text, error text, created float8))"
)

# Of equal sequences the later word holds: what the journal never saw (0) is said again after a crash.
_UPSERT: Final = """
INSERT INTO {results} AS r (key, version, sequence, state, message, reason, may_have_been_sent, at, channel, operator,
    parts, cost, currency, error, created)
SELECT g.key, g.version, g.sequence, g.state, g.message, g.reason, g.may_have_been_sent, to_timestamp(g.at), g.channel,
    g.operator, g.parts, nullif(g.cost, '')::numeric, g.currency, g.error, to_timestamp(g.created)
FROM given g WHERE g.state <> 'returned'
ORDER BY g.key, g.version
ON CONFLICT (key, version) DO UPDATE
SET sequence = excluded.sequence, state = excluded.state,
    message = coalesce(nullif(excluded.message, ''), r.message), reason = excluded.reason,
    may_have_been_sent = excluded.may_have_been_sent, at = excluded.at, channel = excluded.channel,
    operator = excluded.operator, parts = greatest(excluded.parts, r.parts), cost = coalesce(excluded.cost, r.cost),
    currency = coalesce(nullif(excluded.currency, ''), r.currency),
    error = excluded.error, created = coalesce(excluded.created, r.created)
WHERE r.sequence <= excluded.sequence
"""


def upsert(results: str) -> sql.Composed:
    """The end of a statement whose WITH holds `GIVEN`."""
    return sql.SQL(_UPSERT).format(results=named(results))


_encoder: Final = msgspec.json.Encoder()


def newest(results: Iterable[Result]) -> list[Result]:
    """One a row: an upsert may not meet a row twice."""
    found: dict[tuple[str, str], Result] = {}
    for result in results:
        identity = result.key, result.version
        before = found.get(identity)
        if before is None or before.sequence <= result.sequence:
            found[identity] = result
    return list(found.values())


def document(results: Sequence[Result]) -> str:
    """These as a JSON array, for `GIVEN`."""
    return _encoder.encode(results).decode()


def whole_document(results: Sequence[Result]) -> str:
    """These as a JSON array with every field, for statements of the bank's own."""
    return _encoder.encode([msgspec.structs.asdict(result) for result in results]).decode()


def document_with_created(results: Sequence[Result], created: Mapping[tuple[str, str], float]) -> str:
    """For `GIVEN`, each with when its row was written where that is known."""
    return _encoder.encode(
        [{**msgspec.structs.asdict(result), "created": created.get((result.key, result.version))} for result in results]
    ).decode()
