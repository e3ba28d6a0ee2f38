"""One whole instance as processes: its folder, the scripted operator, the daemon, and a bank's program beside them.

Everything is watched from outside: by the sockets, the ledger, the log. Whoever waits asks again until a limit; nobody
sleeps for a while and hopes. Every process that was started is gone when `end` returns.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from mgate.control.instance import Account, make_instance
from mgate.peers.house import UNGUARDED
from mgate.peers.smsc.ledger import Acknowledged, Submitted, read

ROOT: Final = Path(__file__).resolve().parents[2]
PASSWORD: Final = "pw-9d41c"
LIMIT: Final = 20.0
CALM: Final = "[receipts]\ndelay = 0.02\n"
_DAEMON: Final = ("-c", "from mgate.daemon.main import main; main()")
_CONTROL: Final = ("-c", "from mgate.control.cli import main; main()")
_T = TypeVar("_T")


def until(question: Callable[[], _T], what: str = "it", limit: float = LIMIT) -> _T:
    """Ask until the answer is true; that answer. AssertionError when the limit passes."""
    deadline = time.monotonic() + limit
    while not (answer := question()):
        assert time.monotonic() < deadline, f"{what}: not within {limit:g} s; the last answer was {answer!r}"
        time.sleep(0.01)
    return answer


def free_port() -> int:
    """A TCP port of loopback where nobody listens now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Process:
    """A program of ours, its words in a file of its own."""

    def __init__(self, arguments: Sequence[str], words: Path, environment: Mapping[str, str] | None = None) -> None:
        self.words = words
        with words.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def said(self) -> str:
        return self.words.read_text(errors="replace")

    def wait(self, limit: float = LIMIT) -> int:
        """Wait for its own end; its exit status."""
        return self._process.wait(limit)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL; it is gone when this returns."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()


class Answer(NamedTuple):
    """What an HTTP server said; `body` is its JSON, or its text in a dict under `text`."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("mgate", timeout=LIMIT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(path: Path, method: str, target: str, body: object = None) -> Answer:
    """One request over a UNIX socket. OSError when nobody answers there."""
    connection = _Connection(path)
    try:
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, target, sent, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read().decode()
        return Answer(
            response.status, json.loads(text) if text.startswith("{") else {"text": text}, dict(response.headers)
        )
    finally:
        connection.close()


def batch(path: Path, lines: Sequence[object]) -> list[dict[str, Any]]:
    """Push a batch; its result lines."""
    connection = _Connection(path)
    try:
        body = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
        connection.request("POST", "/v1/messages:batch", body, {"Content-Type": "application/x-ndjson"})
        response = connection.getresponse()
        assert response.status == 200, response.read()
        return [json.loads(line) for line in response.read().splitlines()]
    finally:
        connection.close()


class Operator:
    """The scripted operator under a script; started again it listens on the same port and goes on in its ledger."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self.port = port
        self.ledger = folder / "smsc.ledger"
        self._starts = 0
        self.process: Process | None = None

    def start(self, script: str = CALM) -> None:
        """Start, and wait until it listens."""
        self._starts += 1
        path = self._folder / "smsc.toml"
        path.write_text(f'{script}\n[account]\nsystem_id = "mgate"\npassword = "{PASSWORD}"\n')
        command = ["-m", "mgate.peers.smsc.main", str(path), "--port", str(self.port), "--ledger", str(self.ledger)]
        process = self.process = Process(command, self._folder / f"smsc{self._starts}.log")
        until(lambda: process.said().startswith("listening on ") or not process.alive, "the operator listens")
        assert process.alive, process.said()

    def stop(self) -> None:
        """SIGTERM, and gone."""
        assert self.process is not None
        assert self.process.stop() == 0, self.process.said()

    def submits(self) -> list[Submitted]:
        """Every submit_sm that it did not refuse, in order."""
        return [row for row in self._rows() if isinstance(row, Submitted) and row.status == 0]

    def acknowledged(self) -> list[Acknowledged]:
        """Every receipt that the daemon has taken."""
        return [row for row in self._rows() if isinstance(row, Acknowledged)]

    def _rows(self) -> list[object]:
        return list(read(self.ledger)) if self.ledger.exists() else []


class House:
    """An instance in a folder with a short path.

    Args:
        sms: lines for its [sms.op-a] section; ``more``: further sections.
        stubborn: lines of its log that may say ``bug`` or ``foreign_error``.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mg-", dir="/tmp"))
        self.path = self.folder / "i"
        self.operator = Operator(self.folder, free_port())
        self.daemons: list[Process] = []
        self.others: list[Process] = []
        self.bugs_allowed = False

    # ---- life ------------------------------------------------------------------------------------------------------

    def make(
        self, sms: str = "", more: str = "", *, window: int = 10, binds: int = 1, rate: int = 0, guards: str = UNGUARDED
    ) -> None:
        """Make the instance; `sms` are lines for [sms.op-a], `more` are further sections, `guards` those of guards."""
        password = self.folder / "password"
        password.write_text(PASSWORD + "\n")
        address = Account("127.0.0.1", self.operator.port, "mgate", password, binds, window, rate)
        make_instance(self.path, address)
        made = self.config.read_text()
        self.config.write_text(f"{guards}{made}{sms}\n{more}\n")

    @property
    def config(self) -> Path:
        return self.path / "mgate.toml"

    def launch(
        self, environment: Mapping[str, str] | None = None, command: Sequence[str] = _DAEMON, config: Path | None = None
    ) -> Process:
        """Start the daemon; it is not ready yet."""
        words = self.folder / f"mgated{len(self.daemons) + 1}.log"
        daemon = Process([*command, "--config", str(config or self.config)], words, environment)
        self.daemons.append(daemon)
        return daemon

    def start(self, environment: Mapping[str, str] | None = None, command: Sequence[str] = _DAEMON) -> Process:
        """Start the daemon and wait until it is ready."""
        daemon = self.launch(environment, command)
        until(lambda: '"event":"ready"' in daemon.said() or not daemon.alive, "the daemon is ready")
        assert daemon.alive, daemon.said()
        return daemon

    def begin(self, script: str = CALM, **made: Any) -> Process:
        """Operator, instance and daemon, and the bind is up."""
        self.operator.start(script)
        self.make(**made)
        daemon = self.start()
        self.wait_bound()
        return daemon

    @property
    def daemon(self) -> Process:
        """The last one that was started."""
        return self.daemons[-1]

    def stop(self) -> None:
        """SIGTERM, which it must obey with status 0."""
        assert self.daemon.stop() == 0, self.daemon.said()

    def end(self) -> None:
        """Leave no process and no folder, and see that no daemon spoke of a bug."""
        for process in (*self.daemons, *self.others, *([self.operator.process] if self.operator.process else [])):
            if process.alive:
                process.kill()
        said = [line for daemon in self.daemons for line in daemon.said().splitlines()]
        shutil.rmtree(self.folder)
        if not self.bugs_allowed:
            marks = ('"event":"bug"', '"event":"foreign_error"', "Traceback", "Error:")
            assert not [line for line in said if any(mark in line for mark in marks)]

    # ---- a bank's program ------------------------------------------------------------------------------------------

    @property
    def push_socket(self) -> Path:
        return self.path / "run" / "push.sock"

    @property
    def admin_socket(self) -> Path:
        return self.path / "run" / "admin.sock"

    @property
    def metrics_socket(self) -> Path:
        return self.path / "run" / "metrics.sock"

    def push(self, ref: str, traffic: str = "service", **fields: Any) -> Answer:
        """Push one message as the client `local`."""
        return ask(self.push_socket, "POST", "/v1/messages", message(ref, traffic, **fields))

    def pushed(self, ref: str, traffic: str = "service", **fields: Any) -> str:
        """Push one message that must be accepted; its id."""
        answer = self.push(ref, traffic, **fields)
        assert answer.status == 202, answer
        return str(answer.body["id"])

    def find(self, ref: str) -> list[dict[str, Any]]:
        answer = ask(self.push_socket, "GET", f"/v1/messages?ref={ref}")
        return list(answer.body["messages"]) if answer.status == 200 else []

    def show(self, name: str) -> dict[str, Any]:
        """A message by its id, as an administrator sees it."""
        answer = ask(self.admin_socket, "GET", f"/v1/messages/{name}")
        assert answer.status == 200, answer
        return answer.body

    def state(self, name: str) -> str:
        return str(self.show(name)["state"])

    def wait_state(self, name: str, *states: str, limit: float = LIMIT) -> dict[str, Any]:
        """Wait until a message is in one of these states; what is known of it then."""
        until(lambda: self.state(name) in states, f"{name} becomes {' or '.join(states)}", limit)
        return self.show(name)

    def binds(self) -> list[dict[str, Any]]:
        return list(ask(self.admin_socket, "GET", "/v1/binds").body["binds"])

    def wait_bound(self) -> None:
        until(lambda: all(bind["state"] == "bound" for bind in self.binds()), "every bind is bound")

    def pause(self) -> None:
        assert ask(self.admin_socket, "POST", "/v1/binds/sms:op-a:pause").status == 200

    def resume(self) -> None:
        assert ask(self.admin_socket, "POST", "/v1/binds/sms:op-a:resume").status == 200

    def events(self, *words: str) -> list[dict[str, Any]]:
        """The log lines of all its daemons with one of these events."""
        said = [line for daemon in self.daemons for line in daemon.said().splitlines(keepends=True)]
        lines = [json.loads(line) for line in said if line.endswith("\n")]
        return [line for line in lines if line["event"] in words]

    def mgatectl(self, *arguments: str, limit: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run mgatectl on this instance."""
        return subprocess.run(
            [sys.executable, *_CONTROL, *arguments],
            cwd=ROOT,
            env={**os.environ, "MGATE_CONFIG": str(self.config)},
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )


def message(ref: str, traffic: str = "service", **fields: Any) -> dict[str, Any]:
    """A message as the push API takes it."""
    given = {"ref": ref, "to": "+375291110001", "class": traffic, "sender": "ExampleBank", "text": f"Hello, {ref}"}
    return given | fields
