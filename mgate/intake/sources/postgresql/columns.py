"""The columns of the bank's table: their names as we call them, their types as they are, and how a row is read.

Everything that a row says is made text, seconds or a truth by the server, so that any type that can be cast will do.
Times without a zone are read in the session's, which is the one of the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from mgate.intake.sources.postgresql.session import Session
from mgate.model.message import Secret
from mgate.model.source import Row

FIELDS: Final = (
    "key", "version", "to", "text", "traffic", "sender", "customer", "group", "meta",
    "expires", "not_before", "created", "cancel",
)  # fmt: skip
TIMES: Final = ("expires", "not_before", "created")

_TYPES: Final = sql.SQL(
    "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_catalog.pg_attribute a"
    " WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped"
)


def named(table: str) -> sql.Identifier:
    """A table or procedure with its schema, quoted."""
    return sql.Identifier(*table.split("."))


def quoted(table: str) -> str:
    """The same as text, for functions of the catalogue."""
    return ".".join('"{}"'.format(part.replace('"', '""')) for part in table.split("."))


async def types_of(session: Session, table: str) -> dict[str, str]:
    """The type of each column as SQL names it; empty where there is no such table, or it may not be seen."""
    return {str(name): str(kind) for name, kind in await session.rows("look at", _TYPES, {"table": quoted(table)})}


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one table under the alias ``o``.

    Attributes:
        mapped: the column of each field that the table has.
        types: of columns; empty where nobody could look, and then everything is taken for text.
    """

    mapped: Mapping[str, str]
    types: Mapping[str, str]

    def has(self, field: str) -> bool:
        """Whether the table has a column for it."""
        return field in self.mapped

    def name(self, field: str) -> sql.Identifier:
        """The bare column."""
        return sql.Identifier(self.mapped[field])

    def type(self, field: str) -> sql.SQL:
        """Its type, as the server's catalogue spells it."""
        # The words are the server's own, quoted by it: format_type() is made to be put into statements.
        return sql.SQL(self.types.get(self.mapped[field], "text"))

    def text(self, field: str, alias: str = "o") -> sql.Composed:
        """As text, never NULL."""
        if not self.has(field):
            return sql.SQL("{}").format(sql.Literal(""))
        return sql.SQL("coalesce({}::text, '')").format(sql.Identifier(alias, self.mapped[field]))

    def seconds(self, field: str, alias: str = "o") -> sql.Composed:
        """As seconds since 1970, 0 where it says nothing."""
        if not self.has(field):
            return sql.SQL("{}").format(sql.SQL("0::float8"))
        column = sql.Identifier(alias, self.mapped[field])
        return sql.SQL("coalesce(extract(epoch FROM {}::timestamptz)::float8, 0)").format(column)

    def truth(self, field: str, alias: str = "o") -> sql.Composed:
        """As a boolean; ``Y``, ``1`` and the like are understood."""
        if not self.has(field):
            return sql.SQL("{}").format(sql.SQL("false"))
        column = sql.Identifier(alias, self.mapped[field])
        if self.types.get(self.mapped[field]) == "boolean":
            return sql.SQL("{}").format(column)
        return sql.SQL("coalesce({}::text::boolean, false)").format(column)

    def row(self, alias: str = "o") -> sql.Composed:
        """What is selected of a row, in the order of `FIELDS`."""
        found = [self._field(field, alias) for field in FIELDS]
        return sql.SQL(", ").join(found)

    def _field(self, field: str, alias: str) -> sql.Composed:
        if field in TIMES:
            return self.seconds(field, alias)
        return self.truth(field, alias) if field == "cancel" else self.text(field, alias)


def read(found: Sequence[object]) -> Row:
    """A row from its values, in the order of `FIELDS`."""
    key, version, to, text, traffic, sender, customer, group, meta, expires, not_before, created, cancel = found
    return Row(
        key=str(key), version=str(version), to=str(to), text=Secret(str(text)), traffic=str(traffic),
        sender=str(sender), customer=str(customer), group=str(group), meta=str(meta).encode(),
        expires=_seconds(expires), not_before=_seconds(not_before), created=_seconds(created), cancel=cancel is True,
    )  # fmt: skip


def _seconds(value: object) -> float:
    return value if isinstance(value, float) else 0.0
