"""A PostgreSQL as Debian's package leaves it: no TLS, no role, no database of ours. A page is tried on it."""

from __future__ import annotations

from tests.integration.postgres import Cluster


class FreshServer(Cluster):
    """Who comes by the UNIX socket is the superuser; nothing is configured but the places."""

    def _settle(self) -> None:
        settings = f"port = {self.port}\nunix_socket_directories = '{self.folder}'\nlisten_addresses = 'localhost'\n"
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(settings)
