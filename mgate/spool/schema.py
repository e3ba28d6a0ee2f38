"""Tables of the live spool, as numbered migrations, applied in order at start.

``user_version`` counts the migrations applied. A file with a greater number was written by a newer mgate and is not
touched. Within a major version migrations only add.

What is in clear, and why, stands in ``docs/sealed-format.md``: ids, states, moments, classes, names of clients and
routes. Everything else is sealed or a keyed tag.

Two columns tell of time: ``wake`` (live parts: when the clock has something to say) and ``retire`` (ended parts: when
they may move to history). They are apart so that a change of state alone touches neither index. Indexes on random tags
lead with a bucket that grows with time: with plain tag indexes the spool falls to a third of its rate.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from mgate.spool.engine import ForeignSpool, NewerSpool, StoreBroken

MIGRATIONS: Final[tuple[str, ...]] = (
    """
    CREATE TABLE name (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (kind, name)) STRICT;

    CREATE TABLE part (
        id INTEGER PRIMARY KEY,
        bucket INTEGER NOT NULL,
        n INTEGER NOT NULL,
        parts INTEGER NOT NULL,
        client INTEGER NOT NULL,
        class INTEGER NOT NULL,
        lane INTEGER NOT NULL,
        route INTEGER NOT NULL,
        state INTEGER NOT NULL,
        created INTEGER NOT NULL,
        due INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        wake INTEGER,
        retire INTEGER,
        period INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        burned INTEGER NOT NULL,
        deferrals INTEGER NOT NULL DEFAULT 0,
        repeats_off INTEGER NOT NULL DEFAULT 0,
        reason TEXT NOT NULL DEFAULT '',
        event INTEGER NOT NULL,
        fate INTEGER NOT NULL,
        reference INTEGER NOT NULL,
        bind INTEGER NOT NULL,
        attempt_route INTEGER NOT NULL,
        leased INTEGER NOT NULL,
        answered INTEGER NOT NULL DEFAULT 0,
        heard INTEGER NOT NULL DEFAULT 0,
        attempt_reason TEXT NOT NULL DEFAULT '',
        repeat INTEGER NOT NULL DEFAULT 0,
        op_bucket INTEGER NOT NULL DEFAULT 0,
        op_tag BLOB,
        op_id BLOB,
        phone_tag BLOB,
        ref_tag BLOB,
        content_tag BLOB,
        group_tag BLOB,
        envelope BLOB,
        body BLOB
    ) STRICT;
    CREATE UNIQUE INDEX part_ref ON part (bucket, client, ref_tag) WHERE ref_tag IS NOT NULL;
    CREATE INDEX part_phone ON part (bucket, phone_tag) WHERE ref_tag IS NOT NULL;
    CREATE INDEX part_group ON part (group_tag) WHERE group_tag IS NOT NULL;
    CREATE INDEX part_ready ON part (route, lane, client, due) WHERE state = 1;
    CREATE INDEX part_wake ON part (wake) WHERE wake IS NOT NULL;
    CREATE INDEX part_retire ON part (retire) WHERE state >= 5;
    CREATE INDEX part_op ON part (op_bucket, op_tag) WHERE op_tag IS NOT NULL;
    CREATE INDEX part_open ON part (reference) WHERE fate IN (1, 4);

    CREATE TABLE attempt (
        part INTEGER NOT NULL,
        n INTEGER NOT NULL,
        fate INTEGER NOT NULL,
        reference INTEGER NOT NULL,
        bind INTEGER NOT NULL,
        route INTEGER NOT NULL,
        leased INTEGER NOT NULL,
        answered INTEGER NOT NULL,
        heard INTEGER NOT NULL,
        reason TEXT NOT NULL,
        repeat INTEGER NOT NULL,
        op_bucket INTEGER NOT NULL,
        op_tag BLOB,
        op_id BLOB,
        PRIMARY KEY (part, n)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX attempt_op ON attempt (op_bucket, op_tag) WHERE op_tag IS NOT NULL;
    CREATE INDEX attempt_open ON attempt (reference) WHERE fate IN (1, 4);

    CREATE TABLE journal (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        message INTEGER NOT NULL,
        previous INTEGER NOT NULL,
        client INTEGER NOT NULL,
        event TEXT NOT NULL,
        reason TEXT NOT NULL,
        at INTEGER NOT NULL,
        may_have_been_sent INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE early (
        id INTEGER PRIMARY KEY,
        account INTEGER NOT NULL,
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
        account INTEGER NOT NULL,
        created INTEGER NOT NULL,
        period INTEGER NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT;

    CREATE TABLE fact (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
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
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        for statement in filter(str.strip, script.split(";")):
            connection.execute(statement)
        if number == 1:
            connection.execute("INSERT INTO fact VALUES ('database', ?)", (database,))
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise NewerSpool(
            f"the spool has schema {version}, and this version of mgate knows {len(MIGRATIONS)}: install the newer one"
        )
    return int(version)


def database_of(connection: sqlite3.Connection) -> bytes:
    """The uuid of the keyring that this spool was made with."""
    (value,) = connection.execute("SELECT value FROM fact WHERE name = 'database'").fetchone()
    return bytes(value)
