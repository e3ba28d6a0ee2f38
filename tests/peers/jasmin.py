"""Jasmin as the operator: an SMSC that nobody here wrote, with its broker (RabbitMQ) and its store (Redis).

Jasmin only passes on: what it takes from mgate it sends to an operator of its own, here the scripted one, and what that
one reports it reports to mgate. So a message goes through two foreign codecs, and its text is checked behind them.

`tools/interop install` puts Jasmin into `.check/peers/jasmin` and the two Debian packages onto the machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from tests.integration.instance import ROOT, free_port, until

VENV: Final = ROOT / ".check" / "peers" / "jasmin"
_BROKER: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_BROKER_START: Final = 60.0

_CONFIG: Final = """
[smpp-server]
bind = 127.0.0.1
port = {smpp}
[amqp-broker]
port = {amqp}
spec = {spec}
[redis-client]
port = {redis}
[dlr]
dlr_lookup_retry_delay = 1
[router]
bind = 127.0.0.1
port = {router}
[client-management]
bind = 127.0.0.1
port = {clients}
[jcli]
port = {console}
[smpp-server-pb]
bind = 127.0.0.1
port = {server}
"""
# What an administrator of Jasmin would type: a user, the operator behind it, and a route to that operator.
_TYPED: Final = """jcliadmin
jclipwd
group -a
gid bank
ok
user -a
uid bank
gid bank
username mgate
password {password}
ok
smppccm -a
cid behind
host 127.0.0.1
port {upstream}
username mgate
password {password}
submit_throughput 0
con_loss_delay 1
con_fail_delay 1
dlr_msgid 0
ok
smppccm -1 behind
mtrouter -a
type defaultroute
connector smppc(behind)
rate 0.0
ok
"""


def missing() -> str:
    """What is not installed, as a sentence that says what to do; empty when all is there."""
    wanted = {"Jasmin": VENV / "bin" / "jasmind.py", "RabbitMQ": _BROKER}
    absent = [name for name, path in wanted.items() if not path.exists()]
    absent += [] if shutil.which("redis-server") else ["Redis"]
    return f"{', '.join(absent)} not installed: run tools/interop install" if absent else ""


@contextmanager
def running(folder: Path, upstream: int, password: str) -> Iterator[int]:
    """Jasmin with what it needs, in `folder`; the port where it takes binds. All of it ends after.

    Args:
        upstream: the port of the operator behind it.
        password: of `mgate`, for both binds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = ("smpp", "amqp", "redis", "router", "clients", "console", "server", "epmd", "dist")
    ports = {name: free_port() for name in names}
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.append(_redis(folder, ports["redis"]))
        # RabbitMQ would start this name server by itself, and leave it behind.
        started.append(_start(folder, "epmd", ["epmd", "-port", str(ports["epmd"]), "-address", "127.0.0.1"], {}))
        until(lambda: _listens(ports["epmd"]), "the name server listens")
        started.append(_broker(folder, ports))
        started.append(_jasmin(folder, ports))
        for name in ("redis", "smpp", "console"):
            until(partial(_listens, ports[name]), f"{name} listens")
        _type(ports["console"], _TYPED.format(password=password, upstream=upstream).splitlines())
        yield ports["smpp"]
    finally:
        for process in reversed(started):
            _end(process)


def _redis(folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    return _start(folder, "redis", command, {})


def _broker(folder: Path, ports: Mapping[str, int]) -> subprocess.Popen[bytes]:
    """RabbitMQ as a process of ours."""
    plugins = folder / "plugins"
    plugins.write_text("[].\n")
    environment = {
        "HOME": str(folder),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_NODENAME": f"mgate{ports['amqp']}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(ports["amqp"]),
        "RABBITMQ_DIST_PORT": str(ports["dist"]),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }
    return _start(folder, "rabbitmq", [str(_BROKER)], environment)


def _jasmin(folder: Path, ports: Mapping[str, int]) -> subprocess.Popen[bytes]:
    until(lambda: _listens(ports["amqp"]), "the broker listens", _BROKER_START)
    for needed in ("etc/jasmin/store", "etc/jasmin/resource", "var/log/jasmin"):
        (folder / needed).mkdir(parents=True, exist_ok=True)
    # The package leaves out the file of the broker's protocol; the library that reads it has it too.
    (spec,) = VENV.glob("lib/python*/site-packages/txamqp/specs/standard/amqp0-9-1.stripped.xml")
    config = folder / "jasmin.cfg"
    config.write_text(_CONFIG.format(spec=spec, **ports))
    flags = ["--enable-dlr-lookup", "--enable-dlr-thrower", "--disable-http-api"]
    command = [str(VENV / "bin" / "python"), str(VENV / "bin" / "jasmind.py"), "-c", str(config), *flags]
    return _start(folder, "jasmin", command, {"ROOT_PATH": str(folder)})


def _start(folder: Path, name: str, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.words").open("wb") as words:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            cwd=folder,
            env={**os.environ, **environment},
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Jasmin must end by itself: killed, it would leave a lock among the temporary files that stops the next one."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def _type(port: int, lines: Sequence[str]) -> None:
    """Type into Jasmin's console, each line when its prompt stands there. AssertionError when it finds fault."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as console:
        _prompt(console)
        for line in lines:
            console.sendall(line.encode() + b"\r\n")
            said = _prompt(console)
            assert not any(word in said for word in (b"rror", b"nknown", b"ncorrect", b"ailed")), (line, said)


def _prompt(console: socket.socket) -> bytes:
    said = b""
    while not said.rstrip().endswith((b"required.", b"Password:", b"jcli :", b">")):
        piece = console.recv(4096)
        assert piece, f"the console has hung up after {said!r}"
        said += piece
    return said
