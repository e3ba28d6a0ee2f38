"""The bank's side: a PostgreSQL and its replica, a program that writes rows whatever befalls them, and a proxy between.

The daemon finds the first server behind the proxy and the second beside it. The tables are those of `etc/sql` as they
stand; a trigger of ours keeps every version of each result, so that it can be seen whether one ever went back.
"""

import asyncio
import time
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from mgate.peers.house import HouseError, free_port
from mgate.peers.pki import Authority
from mgate.peers.postgres import DATABASE, HOST, Cluster, Held, source_sections
from mgate.peers.torture.outbox import Row, Written
from mgate.peers.torture.proxy import Proxy
from mgate.peers.traffic import LIVES, Maker

CHANNEL: Final = "mgate_outbox"
FILES: Final = ("1-role.sql", "2-outbox.sql", "3-results.sql", "4-notify.sql")
_WATCH: Final = """
CREATE SCHEMA watch;
CREATE TABLE watch.story (n bigserial PRIMARY KEY, key text, sequence bigint, state text);
CREATE FUNCTION watch.keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO watch.story (key, sequence, state) VALUES (NEW.key, NEW.sequence, NEW.state);
    RETURN NULL;
END;
$$;
CREATE TRIGGER watched AFTER INSERT OR UPDATE ON mgate.results FOR EACH ROW EXECUTE FUNCTION watch.keep();
"""
_BACK: Final = """
SELECT count(*) FROM (SELECT sequence, state, lag(sequence) OVER w AS older, lag(state) OVER w AS former
    FROM watch.story WINDOW w AS (PARTITION BY key ORDER BY n)) s
WHERE sequence < older OR (former = 'delivered' AND state <> 'delivered')
"""
_ROWS: Final = """
SELECT coalesce(json_agg(x), '[]') FROM (
    SELECT o.id::text AS key, o.status, coalesce(r.state, '') AS state, coalesce(r.message, '') AS message,
        coalesce(r.reason, '') AS reason, coalesce(r.error, '') AS error
    FROM mgate.outbox o LEFT JOIN mgate.results r ON r.key = o.id::text AND r.version = o.version ORDER BY o.id) x
"""
_STRAY: Final = """
SELECT count(*) FROM mgate.results r WHERE NOT EXISTS (SELECT FROM mgate.outbox o WHERE o.id::text = r.key)
"""
_COLUMNS: Final = "id, recipient, body, traffic, sender, customer, expires"
_AT_ONCE: Final = 200
_TICK: Final = 0.1
_RETRY: Final = 0.1
_GIVEN_UP: Final = 240.0
"""Seconds after which the bank's own program gives its database up: longer than any fault."""

_CUSTOMERS: Final = 40
_UNFIT: Final = 0.02


class Bank:
    """Everything of the bank's that a round may break.

    Attributes:
        primary: the server that rows are written into now. ``standby``: the one that follows it, while there is one.
        proxy: before the first server.
    """

    def __init__(self, random: Random) -> None:
        self._ports = (free_port(), free_port())
        self.primary = Cluster(Authority(), self._ports[0])
        self.standby: Cluster | None = None
        self.proxy = Proxy(self._ports[0], random)
        self._port = 0

    async def open(self) -> None:
        """Make the first server and its tables, and stand before it."""
        await asyncio.to_thread(self._make)
        self._port = await self.proxy.open()

    async def close(self) -> None:
        """Leave nothing."""
        await self.proxy.close()
        for cluster in (self.primary, self.standby):
            if cluster is not None:
                await asyncio.to_thread(cluster.remove)

    def settings(self, folder: Path, *, notify: bool) -> str:
        """The sections of the configuration; the certificate's files are put into this folder."""
        hosts = (f"{HOST}:{self._port}", f"{HOST}:{self._ports[1]}")
        more = 'lease = "10s"\n' + (f'notify = "{CHANNEL}"\n' if notify else "")
        return source_sections(self.primary, folder, hosts, more)

    async def ask(self, sql: str, limit: float = 60.0) -> str:
        """What the primary answers to its superuser."""
        return await asyncio.to_thread(self.primary.psql, sql, DATABASE, None, limit)

    async def follow(self) -> None:
        """A replica of the primary on the other's place, without which nothing is committed from now on."""
        other = next(port for port in self._ports if port != self.primary.port)
        self.standby = await asyncio.to_thread(self.primary.replica, other)
        await self.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await self.ask("SELECT pg_reload_conf()")
        await self.until("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", "1")

    async def promote(self) -> None:
        """The primary dies, and its replica takes its place."""
        before, standby = self.primary, self.standby
        if standby is None:
            raise HouseError("there is no replica to promote")
        await asyncio.to_thread(before.kill)
        await asyncio.to_thread(standby.promote)
        self.primary, self.standby = standby, None
        await asyncio.to_thread(before.remove)

    async def until(self, sql: str, answer: str, limit: float = 30.0) -> None:
        """Ask until it answers so; HouseError when it does not."""
        deadline = time.monotonic() + limit
        while (said := await self.ask(sql)) != answer:
            if time.monotonic() > deadline:
                raise HouseError(f"PostgreSQL: {sql} is {said}, not {answer}, after {limit:g} s")
            await asyncio.sleep(0.02)

    async def rows(self) -> list[Row]:
        """The outbox and its results."""
        return msgspec.json.decode(await self.ask(_ROWS), type=list[Row])

    async def oddities(self) -> list[str]:
        """What is wrong with the results as a whole."""
        back, stray = int(await self.ask(_BACK)), int(await self.ask(_STRAY))
        found = [f"{back} results went back to an older word"] if back else []
        return found + ([f"{stray} results of rows that nobody wrote"] if stray else [])

    async def hold(self, sql: str) -> Held:
        """Say this in a transaction that stays open."""
        return await asyncio.to_thread(Held, self.primary, sql)

    def _make(self) -> None:
        self.primary.make()
        self.primary.apply(*FILES)
        self.primary.psql(_WATCH)


class Writer:
    """The core's own program: it inserts rows, and says each insert until it is committed.

    Attributes:
        rows: all that it has begun to write, by key; ``began``: when, seconds since 1970.
        committed: the key of the last row of which that is sure; 0 before.
    """

    def __init__(self, bank: Bank, maker: Maker, rate: float, random: Random) -> None:
        self._bank = bank
        self._maker = maker
        self._rate = rate
        self._random = random
        self._stopped = False
        self._owed = 0.0
        self.rows: dict[str, Written] = {}
        self.committed = 0
        self.began = time.time()

    async def run(self) -> None:
        """Write at the rate until `stop`. HouseError when the database takes nothing for too long."""
        last = time.monotonic()
        while not self._stopped:
            await asyncio.sleep(_TICK)
            now = time.monotonic()
            # A core whose database was away has waited with its operations.
            self._owed += min(now - last, 1.0) * self._rate
            last = now
            rows = int(self._owed)
            if rows:
                self._owed -= rows
                await self.write(rows)

    def stop(self) -> None:
        """Write nothing new; `run` ends when all is committed."""
        self._stopped = True

    def flood(self, rows: int) -> None:
        """So many at once, with the next."""
        self._owed += rows

    async def write(self, rows: int) -> None:
        """Make so many, and say them until they are committed. HouseError when the database takes none for too long."""
        values = [self._made() for _ in range(rows)]
        deadline = time.monotonic() + _GIVEN_UP
        for at in range(0, rows, _AT_ONCE):
            some = values[at : at + _AT_ONCE]
            # Whether a commit without an answer was done nobody can tell: its rows are said again.
            sql = f"INSERT INTO mgate.outbox ({_COLUMNS}) VALUES {', '.join(some)} ON CONFLICT (id) DO NOTHING"  # noqa: S608  # made up by us
            while not await self._say(sql):
                if time.monotonic() > deadline:
                    raise HouseError(f"the bank's database took no row for {_GIVEN_UP:g} s")
                await asyncio.sleep(_RETRY)
        self.committed = len(self.rows)

    async def _say(self, sql: str) -> bool:
        try:
            await self._bank.ask(sql, _GIVEN_UP)
        except HouseError:
            return False
        return True

    def _made(self) -> str:
        draft = self._maker.make()
        draft.pushed = time.time()
        said = msgspec.json.decode(draft.line, type=dict[str, str | float])
        key = len(self.rows) + 1
        unfit = self._random.random() < _UNFIT
        expires = draft.pushed + draft.life if draft.life != LIVES[draft.traffic] else 0.0
        customer = f"c{self._random.randrange(_CUSTOMERS)}" if self._random.random() < 0.5 else ""
        self.rows[str(key)] = Written(draft, expires, customer, unfit)
        to = "see the file" if unfit else said["to"]
        words = ", ".join(_quoted(str(word)) for word in (to, said["text"], said["class"], said["sender"], customer))
        return f"({key}, {words}, {f'to_timestamp({expires})' if expires else 'NULL'})"


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"
