"""The PostgreSQL of the tests, which the demonstration and the torture use too: `mgate.peers.postgres`."""

from mgate.peers.postgres import DDL, HOST, ROLE, Cluster, programs

__all__ = ["DDL", "HOST", "ROLE", "Cluster", "programs"]
