"""Under MemoryDenyWriteExecute: handshakes in a process to which the kernel gives no writable executable memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.tls import HEARD, Bank, Case, FalseServer, bank

__all__ = ["bank"]

ROOT = Path(__file__).parents[4]

DENY = """
import ctypes, errno
PR_SET_MDWE = 65  # linux/prctl.h, from Linux 6.3 on
if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_MDWE, 1, 0, 0, 0) != 0:
    print("no mdwe" if ctypes.get_errno() == errno.EINVAL else "refused")
    raise SystemExit(77)
"""

OURS = """
import sys, time
from pathlib import Path
from twisted.internet import reactor, task
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from mgate.config.tls import Tls
from mgate.net.tls import Identity

place = Path(sys.argv[1])
tls = Tls(name="bank", authority=place / "authority.pem", certificate=place / "ours.pem", key_file=place / "ours.key",
          crl=place / "crl.pem")
identity = Identity(tls, reactor, time.time, lambda seen: print(seen.refusal))
heard = Deferred()

class Server(Protocol):
    def dataReceived(self, data):
        self.transport.write(data.upper())

class Client(Protocol):
    def connectionMade(self):
        self.transport.write(b"spoken over tls")
    def dataReceived(self, data):
        heard.callback(data)

async def main():
    port = reactor.listenTCP(0, identity.listen(lambda peer: Factory.forProtocol(Server)), interface="127.0.0.1")
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    await identity.client(endpoint, "localhost").connect(Factory.forProtocol(Client))
    heard.addTimeout(5, reactor)
    print((await heard).decode())

task.react(lambda _: ensureDeferred(main()))
"""

STOCK = """
import os, sys
from pathlib import Path
from twisted.internet import reactor, ssl
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory, Protocol

def end(word):
    print(word, flush=True)
    os._exit(0)

class Client(Protocol):
    def connectionMade(self):
        self.transport.write(b"spoken over tls")
    def dataReceived(self, data):
        end(data.decode())

authority = ssl.Certificate.loadPEM((Path(sys.argv[1]) / "authority.pem").read_bytes())
endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", int(sys.argv[2]))
options = ssl.optionsForClientTLS("localhost", authority)
connecting = wrapClientTLS(options, endpoint).connect(Factory.forProtocol(Client))
connecting.addErrback(lambda failure: end("failed"))
reactor.callLater(3, end, "hung")
reactor.run()
"""


def run(script: str, *arguments: str, denied: bool = True) -> subprocess.CompletedProcess[str]:
    code = (DENY if denied else "") + script
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    if ended.returncode == 77:
        pytest.skip(f"this kernel: {ended.stdout.strip()}")
    return ended


def test_both_sides_of_a_handshake_work_without_writable_executable_memory(bank: Bank) -> None:
    ended = run(OURS, str(bank.folder))
    assert ended.stdout.strip() == "SPOKEN OVER TLS", ended.stderr


def test_the_stock_tls_of_twisted_hangs_there_without_a_word(bank: Bank) -> None:
    """Why this room makes no use of it. The day this fails, that may be thought over."""
    with FalseServer(bank.context(Case.NONE, "server")) as server:
        assert run(STOCK, str(bank.folder), str(server.port), denied=False).stdout.strip() == HEARD.decode()
        assert run(STOCK, str(bank.folder), str(server.port)).stdout.strip() == "hung"
