"""A bank with an outbox in PostgreSQL, as ``etc/sql`` makes it, and the source in front of it."""

from __future__ import annotations

import json
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Final, TypeVar, cast

import msgspec
import psycopg
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import Deferred

from mgate.config.sources import CoreSource, SourceCall
from mgate.config.tls import Tls
from mgate.intake.sources.postgresql import PostgreSQL
from mgate.intake.sources.postgresql.gate import IdentityGate
from mgate.model.source import Row
from mgate.net.bridge import Bridge
from mgate.net.tls import Copies, Identity
from tests.conformance.source import Bank, Told
from tests.integration.postgres import ROLE, Cluster

REACTOR: Final = cast("AsyncioSelectorReactor", reactor)
LIMIT: Final = 30.0
_T = TypeVar("_T")


class Databases:
    """Databases of one cluster: one for each choice of files of ``etc/sql``, applied as they stand."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._made: set[str] = set()
        cluster.apply("1-role.sql")

    def empty(self, *files: str) -> str:
        """The one with these, its tables empty; its name."""
        name = "core_" + "_".join(each[0] for each in files)
        if name not in self._made:
            self.cluster.psql(f"CREATE DATABASE {name}")
            self.cluster.apply(*files, database=name)
            self._made.add(name)
        self.cluster.psql("TRUNCATE mgate.outbox, mgate.results", name)
        return name


class OutboxBank(Bank):
    """See ``Bank``: its hands are psql's."""

    table = "mgate.outbox"

    def __init__(self, cluster: Cluster, database: str, hosts: tuple[str, ...] = (), **settings: object) -> None:
        self.cluster = cluster
        self.database = database
        files = cluster.client()
        given: dict[str, object] = {
            "name": "core", "hosts": hosts or (cluster.host,), "database": database, "user": ROLE, "tls": "core",
            "time_zone": "UTC", "window": 3600.0, **settings,
        }  # fmt: skip
        self.settings = CoreSource(**given)  # type: ignore[arg-type]  # each by its own kind
        tls = Tls(name="core", authority=cluster.authority_file, certificate=files.certificate, key_file=files.key)
        self.copies = Copies(files.certificate.parent / f"copies-{id(self)}")
        self.identity = Identity(tls, REACTOR, time.time, lambda seen: None, self.copies)
        self.moved = 0.0
        self.bridge = Bridge(REACTOR)
        self._opened: list[PostgreSQL] = []
        self.source = self.open()

    def open(self, holder: str = "mgate-1") -> PostgreSQL:
        """Another source, as after a restart."""
        gate = IdentityGate(self.identity, REACTOR)
        made = PostgreSQL(self.settings, gate, holder, time.time, lambda: REACTOR.seconds() + self.moved)
        self._opened.append(made)
        return made

    def end(self) -> None:
        """Nothing is left running."""
        for each in self._opened:
            pytest_twisted.blockon(self.run(each.close()))
        assert pytest_twisted.blockon(self.bridge.stop()) == 0

    def run(self, claim: Coroutine[object, object, _T]) -> Deferred[_T]:
        return self.bridge.run(claim).addTimeout(LIMIT, REACTOR)

    def sql(self, statement: str) -> str:
        """As the superuser."""
        return self.cluster.psql(statement, self.database)

    def put(self, *rows: Row) -> None:
        said = [
            {
                "id": int(row.key), "version": row.version, "recipient": row.to, "body": row.text.reveal(),
                "traffic": row.traffic, "sender": row.sender, "expires": row.expires or None,
                "not_before": row.not_before or None, "customer": row.customer, "batch": row.group,
                "meta": json.loads(row.meta) if row.meta else None, "created": row.created, "cancel": row.cancel,
            }
            for row in rows
        ]  # fmt: skip
        document = json.dumps(said).replace("'", "''")
        self.sql(
            "INSERT INTO mgate.outbox (id, version, recipient, body, traffic, sender, expires, not_before, customer,"
            " batch, meta, created, cancel) SELECT id, version, recipient, body, traffic, sender,"
            " to_timestamp(expires), to_timestamp(not_before), customer, batch, meta, to_timestamp(created), cancel"
            f" FROM json_to_recordset('{document}') AS r(id bigint, version text, recipient text, body text,"
            " traffic text, sender text, expires float8, not_before float8, customer text, batch text, meta jsonb,"
            " created float8, cancel boolean)"
        )

    def cancel(self, key: str) -> None:
        self.sql(f"UPDATE {self.table} SET cancel = true WHERE id = {key}")

    def delete(self, key: str) -> None:
        self.sql(f"DELETE FROM {self.table} WHERE id = {key}")

    def locked(self, key: str) -> AbstractContextManager[None]:
        return self.holding(f"SELECT FROM {self.table} WHERE id = {key} FOR UPDATE")

    @contextmanager
    def holding(self, statement: str) -> Iterator[None]:
        """Somebody has said this in a transaction that stays open."""
        with psycopg.connect(
            host=str(self.cluster.folder), port=self.cluster.port, user="postgres", dbname=self.database
        ) as other:
            other.execute(statement)
            yield

    def lapse(self) -> None:
        self.sql(f"UPDATE {self.table} SET leased_until = now() - interval '1 second' WHERE leased_until IS NOT NULL")

    def results(self) -> Mapping[str, Told]:
        return told(self.sql("SELECT json_agg(r) FROM mgate.results r"))

    def answering(self, sql: str) -> str:
        call = SourceCall(name="answer", sql=sql, limit=2.0, at_once=1)
        self.settings = msgspec.structs.replace(self.settings, calls=(call,))
        self.source = self.open()
        return "answer"


class ViewBank(OutboxBank):
    """A view that can only be read: leases are the source's own."""

    locks = False

    def lapse(self) -> None:
        self.moved += self.settings.lease + 1


def told(document: str) -> Mapping[str, Told]:
    """The result table as psql prints it."""
    return {
        each["key"]: Told(
            each["sequence"], each["state"], each["reason"], each["may_have_been_sent"], each["message"],
            _seconds(each["at"]), each["channel"], each["operator"], each["parts"],
            "" if each["cost"] is None else f"{each['cost']:.4f}", each["currency"], each["error"],
        )
        for each in json.loads(document or "[]")
    }  # fmt: skip


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
