"""The files of one source: by its names of role, tables, columns, functions and channel, without the comments.

Only words are put in the place of words, and what the mapping leaves out is left out; for a source that uses the names
of the files the statements come out as they stand there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

from mgate.config import CoreSource
from mgate.config.sources import OURS, PROCEDURES, TABLE, VIEW

_SIMPLE: Final = re.compile(r"[a-z_][a-z0-9_]*")
_ROLE: Final = re.compile(r"\b(ROLE|TO|FROM) mgate\b(?!\.)")
_LIMIT: Final = re.compile(r"CONNECTION LIMIT (\d+)")
_SCHEMA: Final = re.compile(r"CREATE SCHEMA .*?;|GRANT USAGE ON SCHEMA .*?;")
_RETURNS: Final = re.compile(r"(?<=RETURNS TABLE \()[^)]*")
_VIEW_LIST: Final = re.compile(r"(?<=SELECT ).*?(?=\s+FROM mgate\.outbox;)", re.DOTALL)
_MARKS: Final = re.compile(r"(?<=GRANT UPDATE \()[^)]*")
_WISH: Final = " OR (status = 'taken' AND cancel)"
_INDEX: Final = re.compile(r"(?<=CREATE INDEX )(outbox|results)(\w+)")
_CHANNEL: Final = "mgate_outbox"
_OURS: Final = "mgate.outbox"

_LINES: Final = 5
"""What one source has open at most: for rows, results, NOTIFY, a check and a reckoning; besides its calls."""

_FIELDS: Final = {column: field for field, column in OURS.items() if field != "order"}


def files_of(source: CoreSource) -> tuple[str, ...]:
    """Which files the DBA runs, in this order."""
    mode = {TABLE: (), PROCEDURES: ("5-procedures.sql",), VIEW: ("6-view.sql",)}[source.mode]
    results = ("3-results.sql",) if source.results or source.mode == PROCEDURES else ()
    notify = ("4-notify.sql",) if source.notify else ()
    return ("1-role.sql", "2-outbox.sql", *results, *notify, *mode)


def fitted(source: CoreSource, file: str) -> str:
    """The statements of one file, by the names of this source."""
    text = (files(__package__) / "postgresql" / file).read_text("utf-8")
    return "\n".join(made for statement in _statements(text) if (made := _fit(source, file, statement))) + "\n"


def quoted(word: str) -> str:
    """An identifier as SQL needs it."""
    return word if _SIMPLE.fullmatch(word) else '"' + word.replace('"', '""') + '"'


def quoted_path(dotted: str) -> str:
    """A name with its schema as SQL needs it."""
    return ".".join(map(quoted, dotted.split(".")))


def _statements(text: str) -> Iterator[str]:
    lines: list[str] = []
    within = False
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("--"):
            continue
        lines.append(line)
        within ^= line.count("$$") % 2 == 1
        if line.endswith(";") and not within:
            yield "\n".join(lines)
            lines = []


def _fit(source: CoreSource, file: str, statement: str) -> str:
    """One statement; empty where this source has nothing of it."""
    if _SCHEMA.fullmatch(statement):
        return _SCHEMA.sub(lambda found: _each_schema(source, found[0]), statement)
    limit = _LINES + sum(call.at_once for call in source.calls)
    statement = _LIMIT.sub(lambda found: f"CONNECTION LIMIT {max(int(found[1]), limit)}", statement)
    if source.mode == TABLE and file in {"2-outbox.sql", "4-notify.sql"}:
        statement = _own_columns(source, statement)
    elif source.mode == PROCEDURES:
        statement = _RETURNS.sub(lambda found: _renamed(source, found[0]), statement)
    elif source.mode == VIEW:
        statement = _VIEW_LIST.sub(lambda _: _selected(source), statement)
    return _own_names(source, statement)


# ---- columns ---------------------------------------------------------------------------------------------------------


def _own_columns(source: CoreSource, statement: str) -> str:
    gone = [column for column, field in _FIELDS.items() if field not in source.mapped]
    if "cancel" in gone:
        statement = statement.replace(_WISH, "")
    if statement.startswith(("CREATE INDEX", "CREATE TRIGGER")) and any(_has(statement, column) for column in gone):
        return ""
    if statement.startswith("CREATE TABLE"):
        return _own_table(source, statement)
    statement = _MARKS.sub(
        lambda found: ", ".join(mark for mark in found[0].split(", ") if mark not in gone), statement
    )
    return _renamed(source, statement)


def _own_table(source: CoreSource, statement: str) -> str:
    head, _, rest = statement.partition("(\n")
    columns: dict[str, str] = {}
    for column in rest.removesuffix("\n);").split(",\n"):
        field = _FIELDS[column.split()[0]]
        if field == "key" and source.mapped["order"] != source.mapped["key"]:
            columns[source.mapped["key"]] = f"    {quoted(source.mapped['key'])} text PRIMARY KEY"
            columns[source.mapped["order"]] = _renamed(source, column).replace("PRIMARY KEY", "UNIQUE")
        elif field in source.mapped:
            columns.setdefault(source.mapped[field], _renamed(source, column))
    return f"{head}(\n" + ",\n".join(columns.values()) + "\n);"


def _renamed(source: CoreSource, text: str) -> str:
    """With the source's own names of columns; where rows are ordered by another column than the key, that one's."""
    own = {column: source.mapped.get(field, column) for column, field in _FIELDS.items()}
    own[OURS["key"]] = source.mapped["key" if source.mode == PROCEDURES else "order"]
    return re.sub(rf"\b(?:{'|'.join(own)})\b(?!')", lambda found: quoted(own[found[0]]), text)


def _selected(source: CoreSource) -> str:
    """What the view gives: the columns of the file, by the source's own names."""
    table = ("status", "lease", "claimed_by")
    given = {column: OURS[field] for field, column in source.mapped.items() if field not in table}
    return ", ".join(ours if ours == own else f"{ours} AS {quoted(own)}" for own, ours in given.items())


def _has(statement: str, column: str) -> bool:
    return re.search(rf"\b{column}\b", statement) is not None


# ---- names -----------------------------------------------------------------------------------------------------------


def _own_names(source: CoreSource, statement: str) -> str:
    role = quoted(source.user)
    statement = _ROLE.sub(lambda found: f"{found[1]} {role}", statement)
    bare = {"outbox": _bare(_table(source)), "results": _bare(source.results) or "results"}
    statement = _INDEX.sub(lambda found: quoted(bare[found[1]] + found[2]), statement)
    for ours, own in _names(source).items():
        statement = re.sub(rf"(?<![\w.]){re.escape(ours)}(?!\w)", own.replace("\\", r"\\"), statement)
    return statement.replace(f"'{_CHANNEL}'", f"'{source.notify}'")


def _names(source: CoreSource) -> dict[str, str]:
    schema, _, _ = _table(source).partition(".")
    announce = "announce" if source.notify == _CHANNEL else f"announce_{source.notify}"
    return {
        _OURS: quoted_path(_table(source)),
        "mgate.results": quoted_path(source.results or "mgate.results"),
        "mgate.messages": quoted_path(source.outbox or "mgate.messages"),
        "mgate.get_batch": quoted_path(source.get_batch or "mgate.get_batch"),
        "mgate.set_state": quoted_path(source.set_state or "mgate.set_state"),
        "mgate.announce": quoted_path(f"{schema}.{announce}"),
    }


def _table(source: CoreSource) -> str:
    """The table of rows: in the modes that do not see one, an example that bears another name than the view."""
    if source.mode == TABLE:
        return source.outbox
    return "mgate.outbox_rows" if source.mode == VIEW and source.outbox == _OURS else _OURS


def _bare(name: str) -> str:
    return name.partition(".")[2]


def _each_schema(source: CoreSource, statement: str) -> str:
    used = [_table(source), source.results]
    used += [source.outbox] if source.mode == VIEW else []
    used += [source.get_batch, source.set_state] if source.mode == PROCEDURES else []
    schemas = dict.fromkeys(quoted(name.partition(".")[0]) for name in used if name)
    before, after = re.split(r"(?<=EXISTS )mgate|(?<=SCHEMA )mgate", statement)
    rights = _ROLE.sub(lambda found: f"{found[1]} {quoted(source.user)}", after)
    return "\n".join(f"{before}{schema}{rights}" for schema in schemas)
