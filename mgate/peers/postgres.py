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
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from mgate.peers.house import HouseError, free_port
from mgate.peers.pki import Authority, Files

HOST: Final = "127.0.0.1"
DATABASE: Final = "postgres"
SOURCE: Final = "core"
"""What a source of ours is called, and so the client of its messages."""
ROLE: Final = "mgate"
DDL: Final = Path(__file__).resolve().parents[2] / "etc" / "sql" / "postgresql"
_DEBIAN: Final = Path("/usr/lib/postgresql")
_START_LIMIT: Final = 60.0
_GONE: Final = 20.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")

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


def source_sections(cluster: Cluster, folder: Path, hosts: Sequence[str] = (), more: str = "") -> str:
    """Sections of a configuration for a source of this cluster; its certificate is put into ``folder``.

    Args:
        hosts: instead of the cluster's own. ``more``: further lines of [sources.core].
    """
    certificate = cluster.authority.issue(ROLE, names=(f"dns:{ROLE}.bank.example",), usage=("client",))
    files = certificate.write(folder, ROLE)
    authority = cluster.authority.write(folder)
    listed = ", ".join(f'"{host}"' for host in hosts or (cluster.host,))
    return (
        f'\n[tls.bank]\nauthority = "{authority}"\ncertificate = "{files.certificate}"\nkey_file = "{files.key}"\n'
        f"\n[sources.{SOURCE}]\nhosts = [{listed}]\n"
        f'database = "{DATABASE}"\nuser = "{ROLE}"\ntls = "bank"\ntime_zone = "UTC"\n{more}'
    )


def programs() -> Path:
    """Where Debian keeps the newest server's programs; HouseError when it has none."""
    found = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parents[1].name))
    if not found:
        raise HouseError("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1].parent


class Cluster:
    """One server, its data and its certificates in a folder of its own. Whatever fails is a HouseError.

    Attributes:
        authority: of its certificate, and of those that it believes. ``authority_file``: the same as a PEM file.
        port: of 127.0.0.1; ``folder``: with the UNIX socket in it.
    """

    def __init__(self, authority: Authority | None = None, port: int = 0) -> None:
        self.authority = authority or Authority()
        self.port = port or free_port()
        # A short path of its own, which the server's user may walk through: sockets live in it.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # mode 0700, never shared
        self.authority_file = self.folder / "authority.pem"
        self._data = self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """As the configuration names it."""
        return f"{HOST}:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether it runs, or hangs."""
        return self._process is not None and self._process.poll() is None

    def make(self) -> Cluster:
        """Make its data and start it; itself."""
        self._own(self.folder)
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self._settle()
        self.start()
        return self

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start it, and wait until it answers."""
        user, group = _somebody()
        with self.log.open("ab") as words:
            self._process = subprocess.Popen(  # noqa: S603  # Debian's
                [str(programs() / "postgres"), "-D", str(self._data)],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                user=user,
                group=group,
            )
        self._until(self._answers, "to answer", _START_LIMIT)

    def stop(self) -> None:
        """End it as Debian does: whoever is connected is thrown out."""
        running = self._running()
        running.send_signal(signal.SIGINT)
        running.wait(60)

    def kill(self) -> None:
        """SIGKILL to it and all its children, gone when this returns: what was not committed is lost."""
        running = self._running()
        running.send_signal(signal.SIGSTOP)  # so that it makes no child meanwhile
        children = self._children()
        for pid in (running.pid, *children):
            _signal(pid, signal.SIGKILL)
        running.wait(_GONE)
        # A child that has not ended yet holds the shared memory, and the next start fails.
        self._until(lambda: not any(_runs(pid) for pid in children), "to be gone", _GONE)

    def freeze(self) -> None:
        """It hangs: nothing answers, connections stay."""
        for pid in (self._running().pid, *self._children()):
            _signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        for pid in (self._running().pid, *self._children()):
            _signal(pid, signal.SIGCONT)

    def remove(self) -> None:
        """End it whatever it does, and leave nothing."""
        if self.alive:
            self.kill()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def psql(
        self, sql: str, database: str = "postgres", variables: Mapping[str, str] | None = None, limit: float = 120.0
    ) -> str:
        """Run statements as the superuser; what they print, without headings. HouseError with what psql says."""
        given = [word for name, value in (variables or {}).items() for word in ("-v", f"{name}={value}")]
        try:
            done = subprocess.run(  # noqa: S603  # Debian's
                [*self.psql_command(database), *given],
                input=sql, capture_output=True, text=True, timeout=limit, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise HouseError(f"psql: no answer within {limit:g} s") from error
        if done.returncode:
            raise HouseError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def psql_command(self, database: str = "postgres") -> list[str]:
        """The command of a superuser's psql that reads statements from its standard input, and ends at an error."""
        who = ["-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-d", database]
        return [str(programs() / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", *who]

    def apply(self, *names: str, database: str = "postgres") -> None:
        """Run files of ``etc/sql/postgresql`` as they stand."""
        for name in names:
            self.psql((DDL / name).read_text(), database)

    def client(self, role: str = ROLE) -> Files:
        """A certificate that lets this role in."""
        return self.authority.issue(role, names=(f"dns:{role}.bank.example",), usage=("client",)).write(
            self.folder / "clients", role
        )

    def replica(self, port: int = 0) -> Cluster:
        """A second server that follows this one, with certificates of the same authority."""
        other = Cluster(self.authority, port)
        try:
            self._own(other.folder)
            self._run(
                "pg_basebackup", "-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-D",
                str(other._data), "-R", "-X", "stream", "-c", "fast", "-N",
            )  # fmt: skip
            other._settle()
            other.start()
        except BaseException:
            other.remove()
            raise
        return other

    def promote(self) -> None:
        """A replica becomes primary."""
        self.psql("SELECT pg_promote()")
        self._until(lambda: self.psql("SELECT pg_is_in_recovery()") == "f", "to be promoted", _START_LIMIT)

    def cpu(self) -> float:
        """CPU seconds that the server and whoever serves in it now have used."""
        return sum(map(_cpu, (self._running().pid, *self._children())))

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

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise HouseError("PostgreSQL was not started")
        return self._process

    def _answers(self) -> bool:
        if not self.alive:
            raise HouseError(f"PostgreSQL ended; it says: {self._words()}")
        asked = [str(programs() / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0  # noqa: S603  # Debian's

    def _children(self) -> Sequence[int]:
        pid = self._running().pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return [*map(int, children.read_text().split())] if children.exists() else []

    def _until(self, question: Callable[[], bool], what: str, limit: float) -> None:
        deadline = time.monotonic() + limit
        while not question():
            if time.monotonic() > deadline:
                raise HouseError(f"PostgreSQL needed more than {limit:g} s {what}; it says: {self._words()}")
            time.sleep(0.02)

    def _words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def _run(self, program: str, *arguments: str) -> None:
        user, group = _somebody()
        command = [str(programs() / program), *arguments]
        done = subprocess.run(  # noqa: S603  # Debian's
            command, capture_output=True, timeout=120, check=False, cwd="/", user=user, group=group
        )
        if done.returncode:
            raise HouseError(f"{program}: {done.stderr.decode()}")

    def _own(self, path: Path) -> None:
        user, group = _somebody()
        if user is not None and group is not None:
            os.chown(path, user, group)


class Held:
    """A session of somebody's in the bank, in the middle of a transaction that he leaves open."""

    def __init__(self, cluster: Cluster, sql: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # Debian's
            cluster.psql_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        if self._process.stdin is not None:
            self._process.stdin.write(f"BEGIN; {sql}; SELECT 'held';\n")
            self._process.stdin.flush()
        if self._process.stdout is None or self._process.stdout.readline().strip() != "held":
            self.end()
            raise HouseError(f"psql does not take: {sql}")

    def end(self) -> None:
        """Roll back, and go."""
        self._process.kill()
        self._process.communicate()


def _somebody() -> tuple[int, int] | tuple[None, None]:
    """User and group that the server runs as, because it refuses root; None: as we do."""
    if os.geteuid() != 0:
        return None, None
    account = pwd.getpwnam("postgres")
    return account.pw_uid, account.pw_gid


def _runs(pid: int) -> bool:
    """Whether it has not ended; what nobody has waited for has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, IndexError):
        return False


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # A backend came to its end by itself.
