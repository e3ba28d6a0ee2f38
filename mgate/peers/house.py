"""The whole house as processes: an instance in a folder of its own, the daemon, the operator.

Everything is watched from outside: by its sockets, its ledger and /proc. Nothing here reaches into the daemon.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from mgate.peers.audit import Says

SYSTEM_ID: Final = "mgate"
PASSWORD: Final = "demopass"  # noqa: S105  # of an operator that delivers nothing to anybody
STOP_LIMIT: Final = 20.0
DAEMON: Final = ("-c", "import sys; from mgate.daemon.main import main; sys.exit(main())")
_T = TypeVar("_T")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class HouseError(Exception):
    """A process of the house did not do what it must; the text says which, and where its words are."""


class Usage(NamedTuple):
    """What a process has used: CPU seconds since its start, and resident memory in bytes now."""

    cpu: float
    resident: int


class Running:
    """A process, its words in a file."""

    def __init__(
        self, name: str, command: list[str], folder: Path, environment: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.words = folder / f"{name}.log"
        self._name = name
        with self.words.open("ab") as words:
            self._process = subprocess.Popen(  # noqa: S603  # our own programs
                [*before, sys.executable, *command],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its number for the kernel."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def stands_still(self) -> bool:
        """Whether a SIGSTOP holds it."""
        try:
            return Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        except OSError:
            return False

    @property
    def status(self) -> int | None:
        """Its exit status, minus the signal that killed it; None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing when it is gone."""
        self._process.send_signal(number)

    def usage(self) -> Usage:
        """From /proc; HouseError when it is gone."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError as error:
            raise self.fault("is gone") from error
        return Usage((int(fields[11]) + int(fields[12])) / _TICKS, int(fields[21]) * _PAGE)

    def wait(self) -> int:
        """Wait for its own end; its exit status. Killed when it needs too long: -9."""
        try:
            return self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.returncode

    def kill(self) -> None:
        """SIGKILL, and gone when this returns."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; its exit status. Killed when it needs too long: -9."""
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def fault(self, sentence: str) -> HouseError:
        """An error about this process, with the last of its words."""
        last = self.words.read_text(errors="replace")[-2000:]
        return HouseError(f"{self._name} {sentence}; its words are in {self.words}:\n{last}")


class Smsc(Running):
    """The scripted operator under a script, on a free port."""

    def __init__(self, folder: Path, script: str, key_file: Path) -> None:
        path = folder / "smsc.toml"
        path.write_text(script)
        self.ledger = folder / "smsc.ledger"
        command = ["-m", "mgate.peers.smsc.main", str(path), "--port", "0", "--ledger", str(self.ledger)]
        super().__init__("smsc", [*command, "--hash-key-file", str(key_file)], folder)
        try:
            self.port = self._port()
        except BaseException:
            self.kill()  # whoever interrupts us has nothing yet to stop it by
            raise

    def _port(self) -> int:
        for _ in range(500):
            first, newline, _ = self.words.read_text().partition("\n")
            if newline and first.startswith("listening on "):
                return int(first.rpartition(":")[2])
            if not self.alive:
                break
            time.sleep(0.02)
        raise self.fault("does not listen")


UNGUARDED: Final = """\
# Invented numbers are few, and get more messages an hour than any customer; invented texts mix all alphabets.
[guards]
cards = "allow"
tricks = "allow"
pumping = "off"
duty_numbers = ["+375291110001", "+375291110003"]
[guards.otp]
different = 0
identical = 0
[guards.fraud]
different = 0
identical = 0
[guards.transaction]
different = 0
identical = 0
[guards.service]
different = 0
identical = 0
[guards.marketing]
different = 0
identical = 0
frequency = []
hours = ""
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

"""


class Instance:
    """An instance of mgate in `folder`/instance, made by `mgatectl init`, and its daemon."""

    def __init__(self, folder: Path, port: int, *, window: int, binds: int, rate: int = 0) -> None:
        """An instance for an operator at this port of loopback. HouseError when mgatectl makes none."""
        self._folder = folder
        self.path = folder / "instance"
        self.push_socket = self.path / "run" / "push.sock"
        password = folder / "password"
        password.write_text(PASSWORD + "\n")
        password.chmod(0o600)
        command = ["-c", "from mgate.control.cli import main; main()", "init", str(self.path)]
        command += ["--smsc", f"127.0.0.1:{port}", "--system-id", SYSTEM_ID, "--password-file", str(password)]
        command += ["--window", str(window), "--binds", str(binds), "--rate", str(rate)]
        init = Running("init", command, folder)
        if init.wait():
            raise init.fault("failed")
        config = self.path / "mgate.toml"
        config.write_text(UNGUARDED + config.read_text())

    @classmethod
    def existing(cls, folder: Path) -> "Instance":
        """The instance that is in ``folder``/instance already."""
        self = cls.__new__(cls)
        self._folder = folder
        self.path = folder / "instance"
        self.push_socket = self.path / "run" / "push.sock"
        return self

    def settle(self, lines: str) -> None:
        """Add lines to the account's section of the configuration, which is the last; a new section may follow."""
        with (self.path / "mgate.toml").open("a") as file:
            file.write(lines)

    def start(
        self, environment: Mapping[str, str] | None = None, launcher: Sequence[str] = DAEMON, before: Sequence[str] = ()
    ) -> Running:
        """Start the daemon; it is not ready yet. ``launcher``: the interpreter's arguments that run another build of
        it; ``before``: a program that runs the interpreter, such as a tracer."""
        command = [*launcher, "--config", str(self.path / "mgate.toml")]
        return Running("mgated", command, self._folder, environment, before)

    def ready(self) -> bool:
        """Whether the push socket takes a connection."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
            try:
                one.connect(str(self.push_socket))
            except OSError:
                return False
            return True

    def wait_ready(self, daemon: Running, limit: float = 20.0) -> float:
        """Wait for the push socket; how many seconds it took. HouseError when the daemon ends or the limit passes."""
        began = time.monotonic()
        while not self.ready():
            if not daemon.alive:
                raise daemon.fault("ended before it was ready")
            if time.monotonic() - began > limit:
                raise daemon.fault(f"is not ready after {limit:g} s")
            time.sleep(0.01)
        return time.monotonic() - began


class Asker:
    """Asks the daemon over one of its sockets, as a program of the bank would."""

    def __init__(self, push_socket: Path) -> None:
        self._connection = _UnixConnection(str(push_socket))
        self._decoder = msgspec.json.Decoder(dict[str, tuple[Says, ...]])

    def ask(self, ref: str) -> tuple[Says, ...]:
        """What it says about a ref, nothing when it does not know it. HouseError for any answer but 200 and 404."""
        self._connection.request("GET", f"/v1/messages?ref={ref}")
        response = self._connection.getresponse()
        body = response.read()
        if response.status == http.client.NOT_FOUND:
            return ()
        if response.status != http.client.OK:
            raise HouseError(f"mgated answers {response.status} to ?ref={ref}: {body[:500]!r}")
        return self._decoder.decode(body)["messages"]

    def get(self, path: str, shape: type[_T]) -> _T:
        """What it answers to a path, as the `shape` that is wanted of it. HouseError for any answer but 200."""
        return self._asked("GET", path, shape)

    def post(self, path: str, shape: type[_T]) -> _T:
        """The same, of what is to be done."""
        return self._asked("POST", path, shape)

    def _asked(self, method: str, path: str, shape: type[_T]) -> _T:
        self._connection.request(method, path)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != http.client.OK:
            raise HouseError(f"mgated answers {response.status} to {path}: {body[:500]!r}")
        return msgspec.json.decode(body, type=shape)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("mgate", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def free_port() -> int:
    """A TCP port of this machine that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def fdatasync_ms(folder: Path, times: int = 40) -> float:
    """The median time of an fdatasync of 4 KiB in this folder, milliseconds: what a commit cannot be faster than."""
    path = folder / "fdatasync"
    taken = []
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for _ in range(times):
            os.write(file, b"\0" * 4096)
            began = time.perf_counter()
            os.fdatasync(file)
            taken.append(time.perf_counter() - began)
    finally:
        os.close(file)
        path.unlink()
    return sorted(taken)[times // 2] * 1000
