"""The push API on a real UNIX socket, asked by curl: a program that nobody here wrote."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import wraps
from pathlib import Path
from typing import ParamSpec, cast

import pytest
import pytest_twisted
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IReactorTime, IReactorUNIX
from twisted.internet.threads import deferToThread

from mgate.intake.codes import BY_WORD
from mgate.intake.gathering import Gathering
from mgate.intake.push import PushApi
from mgate.model.entry import Submission
from mgate.model.ports import Answer
from mgate.net.http import Listener
from mgate.net.local import listen
from mgate.net.routing import Routes
from mgate.telemetry import Telemetry
from tests.unit.intake.conftest import LOCAL, NOW, AsTheyAre, LaterAcceptor, OneMessageDesk, message

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


DOCUMENT = Path("docs/push-api.md").read_text("utf-8")

Arguments = ParamSpec("Arguments")


def on_the_reactor(
    test: Callable[Arguments, Coroutine[Deferred[object], object, None]],
) -> Callable[Arguments, Deferred[None]]:
    """A coroutine as a test: pytest-twisted waits for the Deferred that a test returns."""

    @wraps(test)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Deferred[None]:
        return Deferred.fromCoroutine(test(*args, **kwargs))

    return run


class SoonAcceptor(LaterAcceptor):
    """Answers in a later turn of the real reactor."""

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__()
        self._clock = clock
        self.uids: set[int] = set()

    def accept(self, submissions: Sequence[Submission], answer: Callable[[Sequence[Answer]], None]) -> None:
        super().accept(submissions, answer)
        self.uids |= {submission.peer_uid for submission in submissions}
        self._clock.callLater(0.001, self.commit)


class PushSocket:
    def __init__(self, path: Path) -> None:
        self.path = path
        clock = cast("IReactorTime", installed)
        self.acceptor = SoonAcceptor(clock)
        gathering = Gathering(self.acceptor, lambda act: clock.callLater(0, act))
        numbers = Telemetry("0", {}, BY_WORD).push
        self.api = PushApi(LOCAL, self.acceptor, gathering, OneMessageDesk(), clock, lambda: NOW, numbers, AsTheyAre())
        self.listener = Listener(Routes(self.api.routes()), clock)
        self.port: IListeningPort = listen(cast("IReactorUNIX", installed), path, self.listener, 50, 0o600)

    async def curl(self, *arguments: str, sent: bytes = b"") -> tuple[int, str]:
        """What curl printed and the status that it saw; it runs beside the reactor, as a client does."""
        command = [
            "curl",
            "-sS",
            "--max-time",
            "20",
            "--unix-socket",
            str(self.path),
            "-w",
            "\n%{http_code}",
            *arguments,
        ]
        done = await deferToThread(subprocess.run, command, input=sent, capture_output=True, timeout=30, check=True)
        body, _, status = done.stdout.decode().rpartition("\n")
        return int(status), body

    async def stop(self) -> None:
        stopped = self.port.stopListening()
        if stopped is not None:
            await stopped
        drained: Deferred[None] = Deferred()
        self.listener.drain(lambda: drained.callback(None))
        await drained


@pytest.fixture
def push(tmp_path: Path) -> Iterator[PushSocket]:
    (tmp_path / "run").mkdir()
    running = PushSocket(tmp_path / "run" / "push.sock")
    yield running
    pytest_twisted.blockon(Deferred.fromCoroutine(running.stop()))


@on_the_reactor
async def test_curl_pushes_one_message_and_is_known_by_its_uid(push: PushSocket) -> None:
    status, body = await push.curl("http://mgate/v1/messages", "-d", message().decode())
    assert (status, json.loads(body)["state"]) == (202, "accepted")
    again = await push.curl("http://mgate/v1/messages", "-d", message().decode())
    assert (again[0], json.loads(again[1])["duplicate"]) == (200, True)
    assert push.acceptor.uids == {os.getuid()}


@on_the_reactor
async def test_curl_sends_a_big_batch_and_reads_every_result_in_order(push: PushSocket) -> None:
    count = 20_000
    body = b"".join(message(f"r{n}") + b"\n" for n in range(count))
    status, results = await push.curl(
        "http://mgate/v1/messages:batch", "-T", "-", "-X", "POST", "-H", "Content-Type: application/x-ndjson", sent=body
    )
    assert status == 200
    rows = [json.loads(line) for line in results.splitlines()]
    assert [(row["line"], row["ref"], row["state"]) for row in rows] == [
        (n + 1, f"r{n}", "accepted") for n in range(count)
    ]
    assert len(push.acceptor.calls) < count / 10, "what one read brings is one call"


@on_the_reactor
async def test_curl_that_expects_100_continue_does_not_wait_for_it_in_vain(push: PushSocket) -> None:
    seconds = "%{time_total}"
    body = message(text="x" * 8_000).decode()
    _, printed = await push.curl(
        "http://mgate/v1/messages", "-H", "Expect: 100-continue", "-w", f"\n{seconds}\n%{{http_code}}", "-d", body
    )
    assert float(printed.rpartition("\n")[2]) < 0.9, "curl waits for a second when nobody answers it"


@on_the_reactor
async def test_curl_sees_why_a_body_is_too_large(push: PushSocket) -> None:
    status, body = await push.curl("http://mgate/v1/messages", "--data-binary", "@-", sent=b"x" * 3_000_000)
    assert (status, json.loads(body)["error"]) == (413, "body_too_large")


@on_the_reactor
async def test_a_client_that_half_closes_reads_its_answer_to_the_end(push: PushSocket) -> None:
    def talk() -> bytes:
        with socket.socket(socket.AF_UNIX) as plain:
            plain.settimeout(10)
            plain.connect(str(push.path))
            body = message()
            head = b"POST /v1/messages HTTP/1.1\r\nHost: mgate\r\nContent-Length: %d\r\n\r\n" % len(body)
            plain.sendall(head + body)
            plain.shutdown(socket.SHUT_WR)
            received = b""
            while data := plain.recv(65_536):
                received += data
            return received

    assert (await deferToThread(talk)).startswith(b"HTTP/1.1 202 Accepted\r\n")


@on_the_reactor
async def test_every_command_of_the_document_does_what_it_says(push: PushSocket) -> None:
    environment = {**os.environ, "MGATE_DIR": str(push.path.parent.parent)}
    # Beyond that heading a whole instance is needed: test_docs has one.
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT.partition("## Over mTLS")[0], re.DOTALL)
    printed = []
    for block in blocks:
        command = ["bash", "-euo", "pipefail", "-c", block]
        done = await deferToThread(
            subprocess.run, command, env=environment, capture_output=True, timeout=30, check=True
        )
        printed.append(done.stdout.decode())
    pushed, found, again, batch, cancelled, *_ = printed
    assert json.loads(pushed)["state"] == "accepted"
    assert json.loads(found).keys() == {"messages"}
    assert json.loads(again) == {**json.loads(pushed), "duplicate": True}
    assert [json.loads(line)["ref"] for line in batch.splitlines()] == ["a1", "a2"]
    assert json.loads(cancelled)["error"] == "unknown_message", "the desk of this test knows one message only"
