"""A PostgreSQL of Debian's as a bank has it: clusters of our own, with TLS and a private authority, and their faults.

Whoever connects over TCP must show a certificate whose common name is the role (``clientcert=verify-full``). The
superuser comes by the UNIX socket. Nothing is faked but the disk: fsync is off, so a killed server keeps what it
committed and a machine that loses power would not.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.integration.instance import free_port, until
from tests.pki import Authority, Files

HOST: Final = "127.0.0.1"
ROLE: Final = "mgate"
DDL: Final = Path(__file__).resolve().parents[2] / "etc" / "sql" / "postgresql"
_DEBIAN: Final = Path("/usr/lib/postgresql")

_SETTINGS: Final = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
max_connections = 60
ssl = on
ssl_cert_file = '{folder}/server.pem'
ssl_key_file = '{folder}/server.key'
ssl_ca_file = '{folder}/authority.pem'
ssl_min_protocol_version = 'TLSv1.2'
fsync = off
full_page_writes = off
shared_buffers = '128MB'
max_wal_size = '1GB'
wal_level = replica
hot_standby = on
log_line_prefix = '%m [%p] %u '
log_statement_stats = off
"""
_WHO: Final = """
local   all          postgres                trust
local   replication  postgres                trust
hostssl all          all       127.0.0.1/32  cert clientcert=verify-full
"""


def programs() -> Path:
    """Where Debian keeps the newest server's programs."""
    found = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parents[1].name))
    assert found, "PostgreSQL is not installed; tools/check installs the Debian package postgresql"
    return found[-1].parent


class Cluster:
    """One server, its data and its certificates in a folder of its own.

    Attributes:
        authority: of its certificate, and of those that it believes. ``authority_file``: the same as a PEM file.
        port: of 127.0.0.1; ``folder``: with the UNIX socket in it.
    """

    def __init__(self, authority: Authority | None = None) -> None:
        self.authority = authority or Authority()
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.authority_file = self.folder / "authority.pem"
        self._data = self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """As the configuration names it."""
        return f"{HOST}:{self.port}"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def make(self) -> Cluster:
        """Make its data and start it; itself."""
        self._own(self.folder)
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self._settle()
        self.start()
        return self

    def start(self) -> None:
        """Start it, and wait until it answers."""
        user, group = _somebody()
        with self.log.open("ab") as words:
            self._process = subprocess.Popen(
                [str(programs() / "postgres"), "-D", str(self._data)],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,
                user=user,
                group=group,
            )
        until(self._answers, f"PostgreSQL; it says: {self.log.read_text()[-500:]}", 60)

    def stop(self) -> None:
        """End it as Debian does: whoever is connected is thrown out."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL to it and all its children: what was not committed is gone."""
        assert self._process is not None
        for pid in self._pids():
            _signal(pid, signal.SIGKILL)
        self._process.wait(20)

    def freeze(self) -> None:
        """It hangs: nothing answers, connections stay."""
        for pid in self._pids():
            _signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        for pid in self._pids():
            _signal(pid, signal.SIGCONT)

    def remove(self) -> None:
        """End it whatever it does, and leave nothing."""
        if self.alive:
            self.kill()
        shutil.rmtree(self.folder)

    def psql(self, sql: str, database: str = "postgres", variables: Mapping[str, str] | None = None) -> str:
        """Run statements as the superuser; what they print, without headings. AssertionError with what psql says."""
        given = [word for name, value in (variables or {}).items() for word in ("-v", f"{name}={value}")]
        who = ["-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-d", database]
        done = subprocess.run(
            [str(programs() / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", *given, *who],
            input=sql, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def apply(self, *names: str, database: str = "postgres") -> None:
        """Run files of ``etc/sql/postgresql`` as they stand."""
        for name in names:
            self.psql((DDL / name).read_text(), database)

    def client(self, role: str = ROLE) -> Files:
        """A certificate that lets this role in."""
        return self.authority.issue(role, names=(f"dns:{role}.bank.example",), usage=("client",)).write(
            self.folder / "clients", role
        )

    def replica(self) -> Cluster:
        """A second server that follows this one, with certificates of the same authority."""
        other = Cluster(self.authority)
        other._own(other.folder)
        self._run(
            "pg_basebackup", "-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-D", str(other._data),
            "-R", "-X", "stream", "-c", "fast", "-N",
        )  # fmt: skip
        other._settle()
        other.start()
        return other

    def promote(self) -> None:
        """A replica becomes primary."""
        self.psql("SELECT pg_promote()")
        until(lambda: self.psql("SELECT pg_is_in_recovery()") == "f", "the promotion")

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    def _settle(self) -> None:
        files = self.authority.issue(
            "db1.bank.example", names=("dns:localhost", f"ip:{HOST}"), usage=("server",)
        ).write(self.folder, "server")
        self.authority.write(self.folder)
        for path in (files.certificate, files.key):
            self._own(path)
        (self._data / "postgresql.conf").write_text(_SETTINGS.format(port=self.port, folder=self.folder))
        (self._data / "pg_hba.conf").write_text(_WHO)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(60)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()[-2000:]
        asked = [str(programs() / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def _pids(self) -> Sequence[int]:
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return [pid, *map(int, children.read_text().split())] if children.exists() else []

    def _run(self, program: str, *arguments: str) -> None:
        user, group = _somebody()
        command = [str(programs() / program), *arguments]
        done = subprocess.run(command, capture_output=True, timeout=120, check=False, cwd="/", user=user, group=group)
        assert done.returncode == 0, done.stderr.decode()

    def _own(self, path: Path) -> None:
        user, group = _somebody()
        if user is not None and group is not None:
            os.chown(path, user, group)


def _somebody() -> tuple[int, int] | tuple[None, None]:
    """User and group that the server runs as, because it refuses root; None: as we do."""
    if os.geteuid() != 0:
        return None, None
    account = pwd.getpwnam("postgres")
    return account.pw_uid, account.pw_gid


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # A backend came to its end by itself.
