"""The PostgreSQL of the tests is what a bank's is: it believes certificates and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.integration.instance import until
from tests.integration.postgres import HOST, ROLE, Cluster
from tests.pki import Authority, Files


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    try:
        yield made.make()
    finally:
        made.remove()


def connect(cluster: Cluster, files: Files, host: str = HOST) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=host,
        port=cluster.port,
        dbname="postgres",
        user=ROLE,
        sslmode="verify-full",
        sslrootcert=str(cluster.authority_file),
        sslcert=str(files.certificate),
        sslkey=str(files.key),
        connect_timeout=5,
    )


def test_a_role_comes_in_with_its_certificate_and_nobody_else(cluster: Cluster) -> None:
    cluster.psql(f"CREATE ROLE {ROLE} LOGIN")
    with connect(cluster, cluster.client()) as session:
        assert session.execute("SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (
            ROLE,
            True,
        )
    with pytest.raises(psycopg.OperationalError, match="certificate authentication failed"):
        connect(cluster, cluster.client("somebody-else"))
    foreign = Authority().issue(ROLE, usage=("client",)).write(cluster.folder / "clients", "foreign")
    with pytest.raises(psycopg.OperationalError, match="unknown ca"):
        connect(cluster, foreign)


def test_a_killed_server_keeps_what_it_committed(cluster: Cluster) -> None:
    cluster.psql("CREATE TABLE kept (n int); INSERT INTO kept SELECT generate_series(1, 1000)")
    cluster.kill()
    assert not cluster.alive
    cluster.start()
    assert cluster.psql("SELECT count(*) FROM kept") == "1000"


def test_a_replica_follows_and_is_promoted(cluster: Cluster) -> None:
    cluster.psql("CREATE TABLE followed (n int)")
    replica = cluster.replica()
    try:
        cluster.psql("INSERT INTO followed VALUES (7)")
        until(lambda: replica.psql("SELECT n FROM followed") == "7", "the replica")
        assert replica.psql("SELECT pg_is_in_recovery()") == "t"
        replica.promote()
        replica.psql("INSERT INTO followed VALUES (8)")
    finally:
        replica.remove()
