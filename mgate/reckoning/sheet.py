"""The sheet: the core's rows of a day beside mgate's messages, in a file without a name that dies with the process.

References stand in it only as tags, and in sealed blocks of 256 for those that must be named in the end; both keys are
made for this sheet and are never written. Statements carry many rows each: this thread wins the interpreter's lock back
once for each, beside a busy reactor.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from mgate.policy.reckoning import Gap, Kept, Tally, Written
from mgate.seal.scratch import Scratch
from mgate.spool.census import Counted

BLOCK: Final = 256
CACHE_KIB: Final = 16_384
"""What the sheet holds in memory, whatever the day."""

_SIZES: Final = (256, 32, 4, 1)
_SCRIPT: Final = """
    CREATE TABLE core (n INTEGER PRIMARY KEY, tag BLOB NOT NULL, at INTEGER NOT NULL, final TEXT NOT NULL,
        again INTEGER NOT NULL) STRICT;
    CREATE INDEX core_tag ON core (tag);
    CREATE TABLE beside (message INTEGER PRIMARY KEY, tag BLOB NOT NULL, word INTEGER NOT NULL, kept BLOB NOT NULL,
        gap TEXT NOT NULL) STRICT;
    CREATE TABLE met (n INTEGER PRIMARY KEY, message INTEGER NOT NULL, kept BLOB NOT NULL) STRICT;
    CREATE TABLE gap (n INTEGER PRIMARY KEY, gap TEXT NOT NULL) STRICT;
    CREATE TABLE other (tag BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE words (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
"""
# A window function would hold all of it in memory.
_TWICE: Final = (
    "UPDATE core SET again = 1 WHERE n IN"
    " (SELECT b.n FROM core AS b WHERE EXISTS (SELECT 1 FROM core AS a WHERE a.tag = b.tag AND a.n < b.n))"
)
_FIND: Final = (
    "SELECT core.tag, core.n, met.message FROM core LEFT JOIN met USING (n)"  # noqa: S608  # question marks only
    f" WHERE NOT core.again AND core.tag IN ({','.join('?' * BLOCK)})"
)
_JUDGED: Final = (
    "SELECT core.n, core.at, core.final, met.kept FROM core LEFT JOIN met USING (n)"
    " WHERE core.n >= ? AND NOT core.again ORDER BY core.n LIMIT ?"
)
_UNMET: Final = "SELECT 1 FROM core WHERE NOT again AND final <> 'refused' AND n NOT IN (SELECT n FROM met) LIMIT 1"
_UNEXPLAINED: Final = "SELECT 1 FROM beside WHERE gap = 'extra' AND tag NOT IN (SELECT tag FROM other) LIMIT 1"
_EXPLAINED: Final = "DELETE FROM beside WHERE gap = 'extra' AND tag IN (SELECT tag FROM other)"
_BESIDE: Final = "SELECT count(*) FROM beside WHERE gap = ?"
_DIFFER: Final = (
    "SELECT gap.n, core.at, core.final, met.kept FROM gap JOIN core USING (n) LEFT JOIN met USING (n)"
    " WHERE gap.gap = ? ORDER BY n"
)
_AGAIN: Final = "SELECT n, at, final, NULL FROM core WHERE again ORDER BY n"
_STAND_BESIDE: Final = "SELECT word, 0, '', kept FROM beside WHERE gap = ? ORDER BY message"

_encode: Final = msgspec.msgpack.Encoder().encode
_read_kept: Final = msgspec.msgpack.Decoder(Kept).decode
_read_words: Final = msgspec.msgpack.Decoder(list[str]).decode


class Line(NamedTuple):
    """A row as the core's side gives it. ``at``, milliseconds since 1970, and ``final``: see ``Written``."""

    ref: str
    at: int
    final: str = ""


class Difference(NamedTuple):
    """One thing that differs. ``written``: 0 where the core has no such row; ``kept``: None where mgate has none."""

    gap: Gap
    ref: str
    written: int
    kept: Kept | None
    final: str = ""


class Sheet:
    """One reckoning's. One thread uses it at a time; the calls come in the order in which they stand here.

    Args:
        folder: whose disk it lies on.
    """

    def __init__(self, folder: Path) -> None:
        handle, name = tempfile.mkstemp(prefix=".reckoning-", dir=folder)
        os.close(handle)
        try:
            self._db = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
            for pragma in (
                "journal_mode = OFF",
                "synchronous = OFF",
                "locking_mode = EXCLUSIVE",
                "temp_store = MEMORY",
            ):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            self._db.executescript(_SCRIPT)
        finally:
            Path(name).unlink()  # SQLite has it open: from here on it lives as long as that
        self._scratch = Scratch()
        self._words: list[str] = []
        self._blocks = 0
        self._opened: tuple[int, list[str]] = (-1, [])
        self._rows = 0
        self._judged = 0

    @property
    def rows(self) -> int:
        """How many rows of the core there are, repeated ones among them."""
        return self._rows

    # ---- the core --------------------------------------------------------------------------------------------------

    def write(self, lines: Sequence[Line]) -> None:
        """Rows of the day."""
        tag = self._scratch.tag
        self._insert(
            "INSERT INTO core",
            [(self._keep(line.ref), tag(line.ref), line.at, line.final, 0) for line in lines],
        )
        self._rows += len(lines)

    def explain(self, lines: Sequence[Line]) -> None:
        """Rows of other days: a message of theirs is none that the core does not know."""
        self._insert("INSERT OR IGNORE INTO other", [(self._scratch.tag(line.ref),) for line in lines])

    def ready(self) -> int:
        """All rows of the day are there; how many of them repeat another."""
        return self._db.execute(_TWICE).rowcount

    # ---- mgate's side ----------------------------------------------------------------------------------------------

    def meet(self, found: Sequence[Counted], begin: int, end: int) -> None:
        """Put messages beside their rows; those accepted from ``begin`` until before ``end`` that have none, apart."""
        for start in range(0, len(found), BLOCK):
            self._meet(found[start : start + BLOCK], begin, end)

    def _meet(self, found: Sequence[Counted], begin: int, end: int) -> None:
        tags = [self._scratch.tag(one.ref) for one in found]
        rows = self._many(tags)
        met: dict[int, Kept] = {}
        beside = []
        for (ref, kept), tag in zip(found, tags, strict=True):
            n, before = rows.get(tag, (None, None))
            first = met[n].message if n in met else before
            if n is not None and first in (None, kept.message):
                met[n] = kept
            elif n is not None:
                beside.append((kept.message, tag, self._keep(ref), _encode(kept), Gap.TWICE.value))
            elif begin <= kept.accepted < end:
                beside.append((kept.message, tag, self._keep(ref), _encode(kept), Gap.EXTRA.value))
        self._insert("REPLACE INTO met", [(n, kept.message, _encode(kept)) for n, kept in met.items()])
        self._insert("REPLACE INTO beside", beside)

    def unmet(self) -> bool:
        """Whether a row of the day has no message yet and should have one."""
        return self._db.execute(_UNMET).fetchone() is not None

    def unexplained(self) -> bool:
        """Whether a message has no row, of this day or of the others that are known."""
        return self._db.execute(_UNEXPLAINED).fetchone() is not None

    # ---- the end ---------------------------------------------------------------------------------------------------

    def judge(self, tally: Tally, most: int) -> int:
        """Count so many rows more; how many there were, 0 when all have been counted."""
        rows = self._db.execute(_JUDGED, (self._judged, most)).fetchall()
        gaps = []
        for n, at, final, packed in rows:
            gap = tally.add(Written(at, final), None if packed is None else _read_kept(packed))
            if gap is not None:
                gaps.append((n, gap.value))
        self._insert("INSERT INTO gap", gaps)
        if rows:
            self._judged = rows[-1][0] + 1
        return len(rows)

    def settle(self, tally: Tally, twice: int) -> None:
        """Count what stands beside the rows. ``twice``: rows that repeat another."""
        self._db.execute(_EXPLAINED)
        for gap, rows in ((Gap.TWICE, twice), (Gap.EXTRA, 0)):
            (messages,) = self._db.execute(_BESIDE, (gap.value,)).fetchone()
            tally.beside(gap, rows + messages)

    def differences(self) -> Iterator[Difference]:
        """All that differs: what is missing first, then what is too much, then what is late."""
        for gap in Gap:
            for query in (_DIFFER, _STAND_BESIDE):
                yield from self._each(gap, self._db.execute(query, (gap.value,)))
            if gap is Gap.TWICE:
                yield from self._each(gap, self._db.execute(_AGAIN))

    def close(self) -> None:
        """Leave nothing."""
        self._db.close()

    def _each(self, gap: Gap, cursor: sqlite3.Cursor) -> Iterator[Difference]:
        while rows := cursor.fetchmany(BLOCK):
            for word, at, final, packed in rows:
                yield Difference(gap, self._word(word), at, None if packed is None else _read_kept(packed), final)

    # ---- references ------------------------------------------------------------------------------------------------

    def _keep(self, ref: str) -> int:
        """Keep a reference; where it will be found."""
        place = self._blocks * BLOCK + len(self._words)
        self._words.append(ref)
        if len(self._words) == BLOCK:
            self._db.execute("INSERT INTO words VALUES (?,?)", (self._blocks, self._sealed()))
            self._words, self._blocks = [], self._blocks + 1
        return place

    def _sealed(self) -> bytes:
        return self._scratch.seal(self._blocks, _encode(self._words))

    def _word(self, place: int) -> str:
        block, at = divmod(place, BLOCK)
        if block == self._blocks:
            return self._words[at]
        if block != self._opened[0]:
            (sealed,) = self._db.execute("SELECT sealed FROM words WHERE id = ?", (block,)).fetchone()
            self._opened = block, _read_words(self._scratch.unseal(block, sealed))
        return self._opened[1][at]

    # ---- statements ------------------------------------------------------------------------------------------------

    def _insert(self, head: str, rows: Sequence[tuple[Any, ...]]) -> None:
        start = 0
        for size in _SIZES:
            while len(rows) - start >= size:
                run = rows[start : start + size]
                self._db.execute(_values(head, len(run[0]), size), tuple(chain.from_iterable(run)))
                start += size

    def _many(self, tags: Sequence[bytes]) -> dict[bytes, tuple[int, int | None]]:
        padded = (*tags, *(None,) * (BLOCK - len(tags)))
        return {tag: (n, message) for tag, n, message in self._db.execute(_FIND, padded)}


@cache
def _values(head: str, columns: int, rows: int) -> str:
    return f"{head} VALUES {','.join(['(' + ','.join('?' * columns) + ')'] * rows)}"
