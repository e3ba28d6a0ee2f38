"""Webhooks, called over mutual TLS at a real HTTPS server; and the examples of the documentation, run as they stand."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from twisted.internet import reactor
from twisted.internet.endpoints import HostnameEndpoint

from mgate.feeds.signature import sign
from mgate.net.calling import Caller, Unanswered
from mgate.net.tls import Identity, Word
from tests import pki
from tests.conformance.tls import Bank, Call, CallerClaims, bank
from tests.integration.instance import House, until

__all__ = ["bank"]

SECRET = "a-shared-secret-of-the-tests"
DOC = Path(__file__).resolve().parents[2] / "docs" / "push-api.md"


class Request(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes
    connection: tuple[str, int]

    @property
    def events(self) -> list[dict[str, Any]]:
        return list(json.loads(self.body)["events"])


class Crm:
    """An HTTPS server that asks for a client's certificate; ``answer`` says what it answers."""

    def __init__(self, folder: Path) -> None:
        self.authority = pki.Authority()
        self.requests: list[Request] = []
        self.answer: Callable[[Request], tuple[int, dict[str, str]]] = lambda request: (204, {})
        ours = self.authority.issue("crm.bank.example", usage=("server",)).write(folder, "crm")
        self.client = self.authority.issue("gateway.bank.example", usage=("client",)).write(folder, "gateway")
        self.trusted = self.authority.write(folder)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(ours.certificate, ours.key)
        self._context.load_verify_locations(self.trusted)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        crm = self

        class Told(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = Request(self.path, dict(self.headers), body, self.client_address)
                crm.requests.append(request)
                status, headers = crm.answer(request)
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None: ...

        self._server = Server(("127.0.0.1", self.port), Told)
        self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def told(self) -> list[tuple[str, str]]:
        return [(event["ref"], event["event"]) for request in self.requests for event in request.events]


@pytest.fixture
def crm(house: House) -> Iterator[Crm]:
    server = Crm(house.folder / "crm")
    server.start()
    yield server
    server.stop()


def begin(house: House, crm: Crm, more: str = "") -> None:
    (house.folder / "secret").write_text(SECRET + "\n")
    section = f"""
[tls.crm]
authority = "{crm.trusted}"
certificate = "{crm.client.certificate}"
key_file = "{crm.client.key}"
[webhooks.crm]
client = "local"
url = "https://localhost:{crm.port}/sms-events?v=1"
tls = "crm"
secret_file = "{house.folder / "secret"}"
{more}
"""
    house.begin(more=section)


def listed(house: House) -> dict[str, Any]:
    (one,) = json.loads(house.mgatectl("webhook", "list", "--json").stdout)["webhooks"]
    return dict(one)


# ---- the whole way ---------------------------------------------------------------------------------------------------


def test_events_are_called_signed_over_one_kept_connection(house: House, crm: Crm) -> None:
    begin(house, crm)
    for n in range(5):
        house.pushed(f"hook-{n}", meta={"branch": n})
        until(lambda n=n: (f"hook-{n}", "delivered") in crm.told(), "it is told")  # type: ignore[misc]
    wanted = {(f"hook-{n}", word) for n in range(5) for word in ("accepted", "sent", "delivered")}
    assert set(crm.told()) == wanted
    assert len(crm.told()) == len(wanted)
    first = crm.requests[0]
    assert first.path == "/sms-events?v=1"
    assert (first.headers["Content-Type"], first.headers["Mgate-Webhook"]) == ("application/json", "crm")
    assert first.headers["User-Agent"].startswith("mgate/")
    for request in crm.requests:
        at = int(re.match(r"t=([0-9]+),v1=", request.headers["Mgate-Signature"])[1])  # type: ignore[index]
        assert abs(time.time() - at) < 60
        assert request.headers["Mgate-Signature"] == sign(SECRET.encode(), at, request.body)
    assert len({request.connection for request in crm.requests}) == 1
    house.stop()


def test_a_server_that_was_away_is_told_all_of_it_in_order_when_it_is_back(house: House, crm: Crm) -> None:
    begin(house, crm)
    crm.stop()
    for n in range(3):
        house.wait_state(house.pushed(f"away-{n}"), "delivered")
    until(lambda: house.events("webhook_failed"), "the trouble is said")
    assert listed(house)["state"] == "failing"
    crm.start()
    house.mgatectl("webhook", "resume", "crm")
    until(lambda: len(crm.told()) == 9, "all is told")
    sequences = [event["sequence"] for request in crm.requests for event in request.events]
    assert sequences == sorted(set(sequences))
    until(lambda: listed(house)["state"] == "running", "it is well")
    house.stop()


def test_what_is_refused_is_listed_and_replayed(house: House, crm: Crm) -> None:
    begin(house, crm, "batch = 1")
    crm.answer = lambda request: (422, {}) if request.events[0]["ref"] == "bad" else (200, {})
    house.wait_state(house.pushed("bad"), "delivered")
    house.wait_state(house.pushed("good"), "delivered")
    until(lambda: ("good", "delivered") in crm.told(), "the feed goes on")
    dead = json.loads(house.mgatectl("webhook", "dead", "crm", "--json").stdout)["dead"]
    assert [(run["events"], run["reason"]) for run in dead] == [(1, "http_422")] * 3
    until(lambda: [one for one in house.events("alarm_raised") if one["alarm"] == "webhook_dead"], "the alarm")
    house.daemon.kill()
    house.start()
    done = json.loads(house.mgatectl("webhook", "replay", "crm", "--dry-run", "--json").stdout)
    assert (done["runs"], done["events"], done["begun"]) == (3, 3, False)
    crm.answer = lambda request: (200, {})
    before = len(crm.requests)
    assert json.loads(house.mgatectl("webhook", "replay", "crm", "--json").stdout)["begun"]
    until(lambda: len(crm.requests) == before + 3, "they are called again")
    assert [ref for ref, _ in crm.told()[-3:]] == ["bad"] * 3
    until(lambda: "nothing was given up" in house.mgatectl("webhook", "dead", "crm").stderr, "the list is empty")
    house.stop()


def test_a_redirect_is_not_followed_and_retry_after_is_waited_for(house: House, crm: Crm) -> None:
    answers = iter([(307, {"Location": f"https://localhost:{crm.port}/elsewhere"}), (503, {"Retry-After": "2"})])
    moments: list[float] = []

    def answer(_: Request) -> tuple[int, dict[str, str]]:
        moments.append(time.monotonic())
        return next(answers, (200, {}))

    crm.answer = answer
    begin(house, crm)
    house.pushed("once")
    until(lambda: ("once", "accepted") in crm.told() and len(moments) >= 3, "it is taken")
    assert {request.path for request in crm.requests} == {"/sms-events?v=1"}
    assert len({request.body for request in crm.requests[:3]}) == 1
    assert moments[2] - moments[1] >= 2.0
    house.stop()


def test_an_unknown_webhook_and_one_without_a_secret_are_named(house: House, crm: Crm) -> None:
    begin(house, crm)
    assert "there is no such webhook; known: crm" in house.mgatectl("webhook", "pause", "other").stderr
    (house.folder / "secret").write_text("short\n")
    house.stop()
    house.start()
    house.pushed("unsigned")
    until(lambda: house.events("webhook_failed"), "it is said")
    assert "holds no secret" in house.events("webhook_failed")[0]["reason"]
    assert crm.requests == [] or ("unsigned", "accepted") not in crm.told()
    house.stop()


# ---- TLS -------------------------------------------------------------------------------------------------------------


class TestWebhook(CallerClaims):
    """A webhook's first words are its POST."""

    @pytest.fixture
    def call(self, bank: Bank) -> Call:
        words: list[Word] = []
        identity = Identity(bank.tls(), reactor, time.time, lambda seen: words.append(seen.refusal.word))

        async def call(port: int) -> Word | None:
            caller = Caller(
                reactor, lambda host, at: identity.client(HostnameEndpoint(reactor, "127.0.0.1", at), host), time.time
            )
            with suppress(Unanswered):
                await caller.post(f"https://localhost:{port}/", {}, b"{}", 5.0)
            await caller.close()
            return words[0] if words else None

        return call


# ---- the documentation -----------------------------------------------------------------------------------------------


def example(language: str) -> str:
    found = re.search(
        rf"^```{language}\n(.*?)^```$", DOC.read_text().partition("## Webhooks")[2], re.MULTILINE | re.DOTALL
    )
    assert found is not None
    return found[1]


def cases() -> list[tuple[bool, str, bytes]]:
    """Whether it is ours, the header and the body."""
    now, body = int(time.time()), '{"events":[{"ref":"Ж \\"1\\""}]}'.encode()
    good, secret = sign(SECRET.encode(), now, body), SECRET.encode()
    return [
        (True, good, body),
        (False, good, body + b" "),
        (False, good[:-1] + ("0" if good[-1] != "0" else "1"), body),
        (False, sign(b"another secret", now, body), body),
        (False, sign(secret, now - 3600, body), body),
        (False, good.replace(f"t={now}", f"t={now - 1}"), body),
    ]


def test_the_example_in_python_tells_ours_from_others() -> None:
    known: dict[str, Any] = {}
    exec(example("python"), known)  # it is our own page
    assert [known["is_ours"](SECRET.encode(), header, body) for _, header, body in cases()] == [
        wanted for wanted, _, _ in cases()
    ]


def test_the_example_in_node_tells_ours_from_others() -> None:
    asked = [[header, body.decode()] for _, header, body in cases()]
    program = example("javascript") + (
        f"console.log(JSON.stringify({json.dumps(asked)}.map(([h, b]) => isOurs({json.dumps(SECRET)}, h, b))));"
    )
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [wanted for wanted, _, _ in cases()]
