"""[sources.NAME]: a database of the bank from which messages are taken, and into which what became of them is written.

NAME is the client that the messages count as; it is no name of a push client or a drop. Table and column names are the
bank's own: `OURS` are those of ``etc/sql``, and ``columns`` says which differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from mgate.config.kinds import Country, ListOf, NotAllowed, OneOf, Plain, Span, Text, Whole
from mgate.model.message import TrafficClass

OURS: Final = {
    "key": "id", "version": "version", "to": "recipient", "text": "body", "traffic": "traffic", "sender": "sender",
    "expires": "expires", "not_before": "not_before", "customer": "customer", "group": "batch", "meta": "meta",
    "created": "created", "cancel": "cancel",
    "order": "id", "status": "status", "lease": "leased_until", "claimed_by": "claimed_by",
}  # fmt: skip
"""Every field that a column may hold, and the column's name in ``etc/sql``. The last four are the table's own: by what
rows are ordered, what became of one, until when it is ours, and whose it is."""

NEEDED: Final = ("key", "to", "text", "order", "status", "lease")
"""Fields without which a table is no outbox."""

TABLE: Final = "table"
PROCEDURES: Final = "procedures"
VIEW: Final = "view"

NUMBER_FORMS: Final = (
    "digits", "punctuation", "double_zero", "no_plus", "zero", "eight", "bare", "several", "landlines",
)  # fmt: skip
"""The ways of writing numbers that can be read; what each means says ``intake.normal``."""

_CLASSES: Final = tuple(traffic.word for traffic in TrafficClass)
_HOST: Final = Text(
    r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[1-9][0-9]{0,4}",
    'a host and its port, such as "db1.bank.example:5432"',
)
_WORD: Final = Text(r"[^\x00-\x1f\x7f]{1,63}", "a name of 1 to 63 characters")
_TABLE: Final = r'[^\x00-\x1f\x7f."]{1,63}\.[^\x00-\x1f\x7f."]{1,63}'
_TABLE_OR_NONE: Final = Text(
    rf"(?:{_TABLE})?",
    'a name with its schema as the database spells it, without quotes, such as "mgate.outbox"; "" for none',
)
_SQL: Final = Text(r"(?s:.{0,8000})", 'a statement with parameters such as %(key)s; "" for ours')
_CHANNEL: Final = Text(r"([A-Za-z_][A-Za-z0-9_]{0,62})?", 'the name of a NOTIFY channel, or "" for none')
_TLS: Final = Text("[a-z0-9][a-z0-9-]{0,31}", "the NAME of a section [tls.NAME]")
_SENDER: Final = Text(
    r"\*|[A-Za-z0-9 ._&-]{1,11}|\+?[0-9]{1,15}",
    "\"*\" for any, a name of 1 to 11 letters, digits and ' ._&-', or a number of up to 15 digits",
)
_SENDER_OR_NONE: Final = Text(
    r"([A-Za-z0-9 ._&-]{1,11}|\+?[0-9]{1,15})?",
    "a name of 1 to 11 letters, digits and ' ._&-', a number of up to 15 digits, or \"\" for none",
)


@dataclass(frozen=True, slots=True)
class Columns:
    """A list of ``field=column``; ``field=`` for one that the table does not have. The tree holds a tuple of pairs."""

    @property
    def allowed(self) -> str:
        return (
            'a list of "field=column" such as "to=PHONE", or "field=" for one that the table does not have, each field'
            f" once, of: {', '.join(OURS)}; [] where all are named as in etc/sql"
        )

    def read(self, value: object, home: Path) -> tuple[tuple[str, str], ...]:
        if not isinstance(value, list):
            raise NotAllowed
        pairs = tuple(_pair(item, home) for item in value)
        if len({field for field, _ in pairs}) != len(pairs):
            raise NotAllowed
        return pairs

    def show(self, value: object, home: Path) -> Plain:
        return [f"{field}={column}" for field, column in value] if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, slots=True)
class TimeZone:
    """A time zone by its name in the IANA database."""

    @property
    def allowed(self) -> str:
        return 'a time zone such as "UTC" or "Asia/Tashkent"'

    def read(self, value: object, home: Path) -> str:
        if not isinstance(value, str) or not value:
            raise NotAllowed
        try:
            return ZoneInfo(value).key
        except (ValueError, OSError, KeyError) as error:
            raise NotAllowed from error

    def show(self, value: object, home: Path) -> Plain:
        return str(value)


class SourceCall(msgspec.Struct, frozen=True, kw_only=True):
    """[sources.NAME.calls.CALL]: a statement or procedure of the bank's that may be run by its name.

    Attributes:
        name: CALL.
        sql: the statement, with parameters such as ``%(account)s``.
        limit: seconds after which it is given up.
        at_once: at most so many run at a time.
    """

    name: str
    sql: Annotated[str, Text(r"(?s:.{1,8000})", "a statement with parameters such as %(account)s")]
    limit: Annotated[float, Span("1s", "30s")] = 2.0
    at_once: Annotated[int, Whole(1, 8)] = 1


class CoreSource(msgspec.Struct, frozen=True, kw_only=True):
    """[sources.NAME]: one database.

    Attributes:
        name: NAME.
        dialect: what it speaks.
        hosts: the first that is primary is taken.
        tls: the section [tls.NAME] with the certificate that we show and the authority of the server's.
        mode: ``table``: rows are claimed by a status and a lease in them; ``procedures``: by the bank's own; ``view``:
            rows can be read and no more.
        outbox, results: the tables, or the view; empty ``results``: what becomes of a message is not written back.
        columns: those that are named otherwise than `OURS`.
        claim_query, mark_query, result_query, cancel_query: a statement in the place of ours; empty: ours.
        get_batch, set_state: the procedures of mode ``procedures``.
        window: of mode ``view``: so long after its ``created`` a row may still appear.
        time_zone: of columns that say none.
        poll: how often rows are asked for; ``notify``: a channel on which the database announces them.
        batch: rows a claim; ``lease``: how long a claimed row is ours.
        statement_limit: after which the database gives a statement up.
        classes, senders: what its messages may be and come from; ``*`` stands for any sender.
        default_class, default_sender: for rows that name none; empty for none.
        default_country: the ISO 3166 country whose national formats are read; empty: E.164 only.
        numbers: how numbers may be written.
        rate: rows a second; 0 for no limit.
        calls: statements that may be run by their name.
    """

    name: str
    dialect: Annotated[str, OneOf(("postgresql",))] = "postgresql"
    hosts: Annotated[tuple[str, ...], ListOf(_HOST)]
    database: Annotated[str, _WORD]
    user: Annotated[str, _WORD]
    tls: Annotated[str, _TLS]
    mode: Annotated[str, OneOf((TABLE, PROCEDURES, VIEW))] = TABLE
    outbox: Annotated[str, _TABLE_OR_NONE] = "mgate.outbox"
    results: Annotated[str, _TABLE_OR_NONE] = "mgate.results"
    columns: Annotated[tuple[tuple[str, str], ...], Columns()] = ()
    claim_query: Annotated[str, _SQL] = ""
    mark_query: Annotated[str, _SQL] = ""
    result_query: Annotated[str, _SQL] = ""
    cancel_query: Annotated[str, _SQL] = ""
    get_batch: Annotated[str, _TABLE_OR_NONE] = "mgate.get_batch"
    set_state: Annotated[str, _TABLE_OR_NONE] = "mgate.set_state"
    window: Annotated[float, Span("1m", "7d")] = 600.0
    time_zone: Annotated[str, TimeZone()]
    poll: Annotated[float, Span("1s", "1h")] = 1.0
    notify: Annotated[str, _CHANNEL] = ""
    batch: Annotated[int, Whole(1, 500, "rows")] = 500
    lease: Annotated[float, Span("10s", "1h")] = 60.0
    statement_limit: Annotated[float, Span("1s", "2s")] = 2.0
    classes: Annotated[tuple[str, ...], ListOf(OneOf(_CLASSES))] = _CLASSES
    default_class: Annotated[str, OneOf(("", *_CLASSES))] = ""
    senders: Annotated[tuple[str, ...], ListOf(_SENDER)] = ("*",)
    default_sender: Annotated[str, _SENDER_OR_NONE] = ""
    default_country: Annotated[str, Country()] = ""
    numbers: Annotated[tuple[str, ...], ListOf(OneOf(NUMBER_FORMS))] = NUMBER_FORMS[:-1]
    rate: Annotated[int, Whole(0, 100_000, "rows a second, 0 for no limit")] = 0
    calls: tuple[SourceCall, ...] = ()

    @property
    def mapped(self) -> dict[str, str]:
        """The column of each field, without those that the table does not have."""
        return {field: column for field, column in {**OURS, **dict(self.columns)}.items() if column}


class Wrong(NamedTuple):
    """A mistake: its section, its key, and what is wrong."""

    section: str
    key: str
    problem: str


def mistakes_of(
    sources: Sequence[CoreSource], taken: Mapping[str, str], identities: Sequence[str] | None
) -> Iterator[Wrong]:
    """What no setting of these shows by itself.

    Args:
        taken: the names of other clients, and the section of each.
        identities: the names of the sections [tls.NAME] that have a certificate to show; None: they are not looked at.
    """
    for source in sources:
        section = f"sources.{source.name}"
        if source.name in taken:
            yield Wrong(section, "", f"is a client's name already, of [{taken[source.name]}]; give the source another")
        if identities is not None and source.tls not in identities:
            known = ", ".join(identities) or "none yet"
            yield Wrong(
                section, "tls", f"there is no [tls.{source.tls}] with a certificate to show; those are: {known}"
            )
        if source.default_class and source.default_class not in source.classes:
            yield Wrong(section, "default_class", f'"{source.default_class}" is not among its classes')
        if source.default_sender and "*" not in source.senders and source.default_sender not in source.senders:
            yield Wrong(section, "default_sender", f'"{source.default_sender}" is not among its senders')
        yield from _unfit(section, source)


def _unfit(section: str, source: CoreSource) -> Iterator[Wrong]:
    """What its mode needs and it does not have."""
    if source.mode == PROCEDURES:
        for key in ("get_batch", "set_state"):
            if not getattr(source, key):
                yield Wrong(section, key, "is empty, and rows are to be taken by procedures")
        return
    if not source.outbox:
        yield Wrong(section, "outbox", "is empty: where are the rows?")
    needed = (*NEEDED[:-2], "created") if source.mode == VIEW else NEEDED
    missing = [field for field in needed if field not in source.mapped]
    if missing and not source.claim_query:
        yield Wrong(section, "columns", f"{', '.join(missing)}: a column is needed for it in mode {source.mode}")


def _pair(item: object, home: Path) -> tuple[str, str]:
    field, mark, column = item.partition("=") if isinstance(item, str) else ("", "", "")
    if field not in OURS or not mark or (column and not _WORD.read(column, home)):
        raise NotAllowed
    return field, column
