"""The line to a database against false servers: refused before libpq says who we are, whatever libpq believes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import psycopg
import psycopg.conninfo
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from mgate.intake.sources.postgresql.errors import CertificateRefused
from mgate.intake.sources.postgresql.gate import IdentityGate
from mgate.intake.sources.postgresql.session import connect_to
from mgate.model.source import SourceError
from mgate.net.tls import POSTGRESQL, Copies, Identity, Prelude, TlsRefused, Word
from tests.conformance.tls import MISUSES, Bank, Call, CallerClaims, Case, FalseServer, bank

__all__ = ["bank"]

LET_THROUGH_BY_LIBPQ = {Case.NO_SAN}
"""What libpq takes for right although it is not: a common name where there is no subjectAltName."""


@dataclass(frozen=True)
class Address:
    """Where the false server is."""

    hosts: tuple[str, ...]
    name: str = "core"
    database: str = "core"
    user: str = "mgate"
    statement_limit: float = 2.0
    time_zone: str = "UTC"


class TestDatabase(CallerClaims):
    @pytest.fixture
    def prelude(self) -> Prelude | None:
        return POSTGRESQL

    @pytest.fixture
    def call(self, bank: Bank) -> Call:
        copies = Copies(bank.folder / "copies")
        gate = IdentityGate(Identity(bank.tls(), reactor, time.time, lambda seen: None, copies), reactor)

        async def call(port: int) -> Word | None:
            host = f"localhost:{port}"
            trying = connect_to(host, Address((host,)), gate, writes=True)
            try:
                await Deferred.fromFuture(asyncio.ensure_future(trying))
            except CertificateRefused as error:
                return error.__cause__.word if isinstance(error.__cause__, TlsRefused) else Word.OTHER
            except SourceError:
                return None
            raise AssertionError("a false server was taken for a database")

        return call


@pytest.mark.parametrize("case", MISUSES, ids=lambda case: case.value)
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_what_libpq_lets_through_is_known(bank: Bank, case: Case) -> None:
    """Why the probe goes first. The day this fails, libpq has learnt something, or forgotten it."""
    identity = Identity(bank.tls(), reactor, time.time, lambda seen: None, Copies(bank.folder / "copies"))

    def connect(port: int) -> None:
        with identity.libpq() as tls, pytest.raises(psycopg.OperationalError):
            psycopg.connect(
                psycopg.conninfo.make_conninfo(
                    host="localhost", port=port, dbname="core", user="mgate", connect_timeout=5, **tls
                )
            )

    with FalseServer(bank.context(case, "server"), POSTGRESQL) as server:
        await deferToThread(connect, server.port)
    await server.over()
    assert (server.heard != b"") is (case in LET_THROUGH_BY_LIBPQ)
