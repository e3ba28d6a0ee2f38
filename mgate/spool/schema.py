"""Tables of the live spool, as numbered migrations, applied in order at start.

``user_version`` counts the migrations applied, from ``FIRST``. A file with a greater number was written by a newer
mgate and is not touched; one with a smaller number than ``FIRST`` by a trial version that nobody runs. Within a major
version migrations only add.

What is in clear, and why, stands in ``docs/sealed-format.md``: ids, states, moments, classes, names of clients and
routes. Everything else is sealed or a keyed tag.

A part is one value beside the columns that questions need; writing it whole is one step of one tree. What must be found
in another way stands in a table of its own, keyed by the part, so that a change of state alone touches no index:
``ready`` (what may leave, by lane), ``wake`` (when the clock has something to say), ``open`` (attempts under way, for
the sweep at start), ``doubt`` and ``op`` (attempts by our reference, and by the operator's id). Indexes on random tags
lead with a bucket that grows with time: with plain tag indexes the spool falls to a third of its rate.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from mgate.spool.engine import ForeignSpool, NewerSpool, StoreBroken

FIRST: Final = 2

MIGRATIONS: Final[tuple[str, ...]] = (
    """
    CREATE TABLE message (
        id INTEGER PRIMARY KEY,
        bucket INTEGER NOT NULL,
        client TEXT NOT NULL,
        ref_tag BLOB NOT NULL,
        content_tag BLOB NOT NULL,
        phone_tag BLOB NOT NULL,
        group_tag BLOB,
        envelope BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX message_ref ON message (bucket, client, ref_tag);
    CREATE INDEX message_phone ON message (bucket, phone_tag);
    CREATE INDEX message_group ON message (group_tag) WHERE group_tag IS NOT NULL;

    CREATE TABLE client (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

    CREATE TABLE body (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT;

    CREATE TABLE part (
        id INTEGER PRIMARY KEY,
        state INTEGER NOT NULL,
        class INTEGER NOT NULL,
        client TEXT NOT NULL,
        route TEXT NOT NULL,
        period INTEGER NOT NULL,
        row BLOB NOT NULL
    ) STRICT;

    CREATE TABLE ready (
        route TEXT NOT NULL,
        lane INTEGER NOT NULL,
        client TEXT NOT NULL,
        due INTEGER NOT NULL,
        id INTEGER NOT NULL,
        class INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        n INTEGER NOT NULL,
        parts INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        PRIMARY KEY (route, lane, client, due, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE wake (at INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (at, id)) STRICT, WITHOUT ROWID;

    CREATE TABLE open (id INTEGER PRIMARY KEY) STRICT;

    CREATE TABLE doubt (
        account TEXT NOT NULL,
        reference INTEGER NOT NULL,
        part INTEGER NOT NULL,
        n INTEGER NOT NULL,
        PRIMARY KEY (account, reference, part, n)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE op (
        id INTEGER PRIMARY KEY,
        bucket INTEGER NOT NULL,
        account TEXT NOT NULL,
        tag BLOB NOT NULL,
        part INTEGER NOT NULL,
        n INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX op_tag ON op (bucket, tag);

    CREATE TABLE journal (
        first INTEGER PRIMARY KEY,
        count INTEGER NOT NULL,
        at INTEGER NOT NULL,
        greatest INTEGER NOT NULL,
        period INTEGER NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT;

    CREATE TABLE feed (
        client TEXT NOT NULL,
        name TEXT NOT NULL,
        cursor INTEGER NOT NULL,
        PRIMARY KEY (client, name)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE early (
        id INTEGER PRIMARY KEY,
        account TEXT NOT NULL,
        key BLOB NOT NULL,
        told TEXT NOT NULL,
        reason TEXT NOT NULL,
        reference INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        UNIQUE (account, key, reference, told)
    ) STRICT;
    CREATE TABLE early_tag (tag BLOB NOT NULL, early INTEGER NOT NULL, PRIMARY KEY (tag, early)) STRICT, WITHOUT ROWID;
    CREATE INDEX early_seen ON early (seen);

    CREATE TABLE inbound (
        id INTEGER PRIMARY KEY,
        account TEXT NOT NULL,
        created INTEGER NOT NULL,
        period INTEGER NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT;

    CREATE TABLE fact (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE dead (
        client TEXT NOT NULL,
        feed TEXT NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        events INTEGER NOT NULL,
        reason TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (client, feed, first)
    ) STRICT, WITHOUT ROWID;
    """,
)


def examine(path: Path, database: bytes) -> None:
    """See, without touching it, that the spool at ``path`` may be opened by this code with this keyring.

    Args:
        path: absolute; where nothing is yet, all is well.
        database: the uuid of the keyring.

    Raises:
        NewerSpool, ForeignSpool: another mgate, or another keyring, is needed.
        StoreBroken: it is no spool any more.
    """
    if not path.exists():
        return
    # Any other way of opening would write: the journal's mode, what is left of a log, or files beside it.
    way = "mode=ro" if path.with_name(path.name + "-wal").exists() else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?{way}", uri=True)) as connection:
            version = _version(connection)
            made_with = database_of(connection) if version else database
    except sqlite3.Error as error:
        raise StoreBroken(f"{path}: cannot be read as a spool: {error}; restore it, or mend its disk") from error
    if made_with != database:
        raise ForeignSpool(
            f"{path}: was sealed under another keyring ({made_with.hex()}) than the one that is here"
            f" ({database.hex()}): put the keyring and the spool of one instance together"
        )


def migrate(connection: sqlite3.Connection, database: bytes) -> None:
    """Bring the file to the newest form; a new file learns the uuid of its keyring.

    Raises:
        NewerSpool: the file has migrations that this code does not know; it was not touched.
    """
    version = _version(connection)
    done = version - FIRST + 1 if version else 0
    for number, script in enumerate(MIGRATIONS[done:], start=FIRST + done):
        connection.execute("BEGIN IMMEDIATE")
        for statement in filter(str.strip, script.split(";")):
            connection.execute(statement)
        if number == FIRST:
            connection.execute("INSERT INTO fact VALUES ('database', ?)", (database,))
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    newest = FIRST + len(MIGRATIONS) - 1
    if version > newest:
        raise NewerSpool(
            f"the spool has schema {version}, and this version of mgate knows {newest}: install the newer one"
        )
    if 0 < version < FIRST:
        raise ForeignSpool(f"the spool has schema {version}, of a trial version: move it away, and begin a new one")
    return int(version)


def database_of(connection: sqlite3.Connection) -> bytes:
    """The uuid of the keyring that this spool was made with."""
    (value,) = connection.execute("SELECT value FROM fact WHERE name = 'database'").fetchone()
    return bytes(value)
