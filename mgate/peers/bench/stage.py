"""The house on its stage: an operator, an instance and its daemon for one row, and what they cost."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple, Self

from mgate.peers.bench.watch import BOUND, Watch
from mgate.peers.house import PASSWORD, SYSTEM_ID, HouseError, Instance, Running, fdatasync_ms, free_port

SYNCS: Final = 200
PROFILE: Final = "MGATE_PROFILE"
"""The environment variable that asks the daemon to write a cProfile of itself to this path when it stops."""

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_STEP: Final = 0.002  # a clock that was put forward or back by more makes latencies worthless


class Account(NamedTuple):
    """One operator account: `latency` of its answers in seconds, `rate` PDUs a second (0: no limit, on both sides),
    `binds` of `window` each; `receipts` come so many seconds after the submit."""

    latency: float = 0.0
    rate: int = 0
    window: int = 100
    binds: int = 1
    receipts: float = 0.1

    @property
    def script(self) -> str:
        """The operator's script: never slower than this, and strict about the rate."""
        return (
            f'[account]\nsystem_id = "{SYSTEM_ID}"\npassword = "{PASSWORD}"\n'
            f"[latency]\nsubmit = {self.latency}\n[receipts]\ndelay = {self.receipts}\nwindow = 10000\n"
            f"[throttling]\nrate = {self.rate}\n"
        )


class Spent(NamedTuple):
    """What a process has used since its start: CPU seconds in itself and in the kernel, and its most memory, bytes."""

    user: float
    system: float
    peak: int

    @property
    def cpu(self) -> float:
        """Both together."""
        return self.user + self.system


def spent(process: Running) -> Spent:
    """From /proc; HouseError when it is gone."""
    folder = Path(f"/proc/{process.pid}")
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        lines = (folder / "status").read_text().splitlines()
    except OSError as error:
        raise process.fault("is gone") from error
    peak = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
    return Spent(int(fields[11]) / _TICKS, int(fields[12]) / _TICKS, peak)


class Operator(Running):
    """The scripted operator on a given port, with a ledger."""

    def __init__(self, folder: Path, script: str, port: int) -> None:
        path = folder / "smsc.toml"
        path.write_text(script)
        self.ledger = folder / "smsc.ledger"
        command = ["-m", "mgate.peers.smsc.main", str(path), "--port", str(port), "--ledger", str(self.ledger)]
        super().__init__("smsc", command, folder)
        try:
            self._wait_for_port()
        except BaseException:
            self.kill()
            raise

    def _wait_for_port(self) -> None:
        for _ in range(1000):
            if "listening on " in self.words.read_text():
                return
            if not self.alive:
                break
            time.sleep(0.01)
        raise self.fault("does not listen")


class House:
    """One account, one instance, one daemon, in a folder of their own. A context: leaving it stops what runs."""

    def __init__(self, folder: Path, account: Account) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.account = account
        self.port = free_port()
        self.instance = Instance(folder, self.port, window=account.window, binds=account.binds, rate=account.rate)
        self.socket = self.instance.push_socket
        self.ledger = folder / "smsc.ledger"
        self._operator: Operator | None = None
        self._daemon: Running | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self._daemon, self._operator):
            if process is not None:
                process.stop()

    @property
    def daemon(self) -> Running:
        """The running daemon; HouseError when none was started."""
        if self._daemon is None:
            raise HouseError("the daemon was not started")
        return self._daemon

    @property
    def operator(self) -> Operator:
        """The running operator; HouseError when none was started."""
        if self._operator is None:
            raise HouseError("the operator was not started")
        return self._operator

    def open(self, environment: Mapping[str, str] | None = None) -> Self:
        """Start operator and daemon, and wait until every bind stands."""
        self.start_operator()
        binds = Watch(self.ledger, BOUND)
        self.start_daemon(environment)
        binds.wait(self.account.binds, self.check)
        return self

    def start_operator(self) -> None:
        """Start the operator."""
        self._operator = Operator(self.folder, self.account.script, self.port)

    def start_daemon(self, environment: Mapping[str, str] | None = None) -> float:
        """Start the daemon and wait for its push socket; when it was started, seconds since 1970."""
        began = time.time()
        self._daemon = self.instance.start(environment)
        self.instance.wait_ready(self._daemon, 120.0)
        return began

    def stop_daemon(self) -> None:
        """End the daemon in good order; HouseError when it does not."""
        if self.daemon.stop():
            raise self.daemon.fault("did not end well")

    def spent(self) -> float:
        """The CPU that the daemon has used since its start, seconds."""
        so_far = spent(self.daemon)
        return so_far.user + so_far.system

    def peak(self) -> int:
        """The daemon's most memory since its start, bytes."""
        return spent(self.daemon).peak

    def check(self) -> None:
        """HouseError when one of them has ended by itself."""
        for process in (self.daemon, self.operator):
            if not process.alive:
                raise process.fault("has ended")


class Cost(NamedTuple):
    """CPU seconds that passed between two looks: the daemon's own and in the kernel, the operator's, this process's;
    and the daemon's most memory since its start, bytes."""

    user: float
    system: float
    operator: float
    pusher: float
    peak: int


class Meter:
    """Measures from its making on."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._daemon, self._operator = spent(house.daemon), spent(house.operator)
        self._own = time.process_time()

    def read(self) -> Cost:
        """What was used since."""
        daemon, operator = spent(self._house.daemon), spent(self._house.operator)
        return Cost(
            daemon.user - self._daemon.user, daemon.system - self._daemon.system, operator.cpu - self._operator.cpu,
            time.process_time() - self._own, daemon.peak,
        )  # fmt: skip


class OneClock:
    """The distance of the wall clock, which ledgers bear, from the monotonic one, which schedules follow."""

    def __init__(self) -> None:
        self._distance = _distance()

    def monotonic(self, wall: float) -> float:
        """A ledger's moment as a monotonic one."""
        return wall - self._distance

    def check(self) -> None:
        """HouseError when the wall clock was put forward or back since."""
        step = _distance() - self._distance
        if abs(step) > _STEP:
            raise HouseError(f"the wall clock was moved by {step:.3f} s during the row: its latencies are worthless")


def _distance() -> float:
    """Of the two clocks, read where the reading itself was held up least."""
    readings = []
    for _ in range(50):
        before, wall, after = time.monotonic(), time.time(), time.monotonic()
        readings.append((after - before, wall - (before + after) / 2.0))
    return min(readings)[1]


def commit_ms(folder: Path) -> float:
    """The median fdatasync in this folder, milliseconds."""
    return fdatasync_ms(folder, SYNCS)
