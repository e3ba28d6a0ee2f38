"""The push API over mutual TLS with a whole instance, and with the programs that banks call it by."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mgate.peers.pki import Authority, Files, Issued, put
from tests.integration.instance import ROOT, House, ask, free_port, message, until

PEERS = ROOT / "tests" / "peers"
CORE = "dns:core.bank.example"
PASSPHRASE = "of-a-test"


class Bank:
    """An authority, an instance that listens for its programs, and one client `core` with a certificate."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.port = free_port()
        self.connections: list[http.client.HTTPSConnection] = []
        self.authority = Authority()
        self.folder = house.folder / "tls"
        self.root = self.authority.write(self.folder)
        self.authority.issue("mgate.bank.example").write(self.folder, "mgate")
        self.crl = put(self.folder / "crl.pem", self.authority.crl())
        self.core = self.authority.issue("core", names=(CORE,), usage=("client",))
        self.files = self.core.write(self.folder, "core")

    def begin(self, more: str = "") -> None:
        self.house.begin(more=self.settings(more))

    def settings(self, more: str = "") -> str:
        own = f'certificate = "{self.folder}/mgate.pem"\nkey_file = "{self.folder}/mgate.key"\ncrl = "{self.crl}"\n'
        return (
            f'[tls.api]\nauthority = "{self.root}"\n{own}[push.mtls]\nlisten = "127.0.0.1:{self.port}"\ntls = "api"\n'
            f'[push.clients.core]\ncertificates = ["{CORE}"]\nclasses = ["otp", "service"]\nrate = 0\n{more}'
        )

    def context(self, files: Files | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.root)
        files = files or self.files
        context.load_cert_chain(files.certificate, files.key)
        return context

    def connection(self, files: Files | None = None) -> http.client.HTTPSConnection:
        made = http.client.HTTPSConnection("localhost", self.port, context=self.context(files), timeout=20)
        self.connections.append(made)
        return made

    def issued(self, name: str, *names: str) -> tuple[Issued, Files]:
        issued = self.authority.issue(name, names=names, usage=("client",))
        return issued, issued.write(self.folder, name)

    def reload(self) -> dict[str, Any]:
        return ask(self.house.admin_socket, "POST", "/v1/reload").body

    def pkcs12(self) -> Path:
        path = self.folder / "core.p12"
        command = ["openssl", "pkcs12", "-export", "-in", str(self.files.certificate), "-inkey", str(self.files.key)]
        subprocess.run([*command, "-out", str(path), "-passout", f"pass:{PASSPHRASE}"], check=True)
        return path

    def events(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.house.daemon.said().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]


@pytest.fixture
def bank(house: House) -> Iterator[Bank]:
    bank = Bank(house)
    yield bank
    for connection in bank.connections:
        connection.close()


def pushed(connection: http.client.HTTPSConnection, ref: str, **fields: Any) -> tuple[int, dict[str, Any]]:
    connection.request("POST", "/v1/messages", json.dumps(message(ref, **fields)))
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_a_client_is_the_same_by_its_socket_and_by_its_certificate(bank: Bank) -> None:
    bank.begin()
    connection = bank.connection()
    status, first = pushed(connection, "one", traffic="otp")
    assert (status, first["state"]) == (202, "accepted")
    # The same client: its references, its classes, its events.
    by_socket = ask(bank.house.path / "run" / "push-core.sock", "POST", "/v1/messages", message("one", "otp"))
    assert (by_socket.status, by_socket.body["id"]) == (200, first["id"])
    assert pushed(connection, "two", traffic="fraud")[1]["error"] == "class_not_allowed"
    bank.house.wait_state(str(first["id"]), "delivered")
    connection.request("GET", "/v1/events?wait=20")
    told = [json.loads(line) for line in connection.getresponse().read().splitlines()]
    assert {each["ref"] for each in told} == {"one"}
    # And nobody else: another client's message does not exist for it.
    connection.request("GET", f"/v1/messages/{bank.house.pushed('of-local')}")
    assert connection.getresponse().status == 404
    (came,) = bank.events("client_came")
    assert (came["client"], came["peer"]) == ("core", "core")
    status_view = ask(bank.house.admin_socket, "GET", "/v1/status").body
    (core,) = [door for door in status_view["doors"] if door["client"] == "core"]
    assert (core["certificates"], core["by_tls"]) == ([CORE], 1)
    assert status_view["gates"] == [{"address": f"127.0.0.1:{bank.port}", "tls": "api"}]


def test_a_stranger_gets_no_octet_and_is_counted_and_logged_with_its_fingerprint(bank: Bank) -> None:
    bank.begin()
    _, files = bank.issued("stranger", "dns:stranger.bank.example")
    heard = b""
    with socket.create_connection(("127.0.0.1", bank.port), 20) as plain:
        try:
            with bank.context(files).wrap_socket(plain, server_hostname="localhost") as wrapped:
                wrapped.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: mgate\r\n\r\n")
                while octets := wrapped.recv(65_536):
                    heard += octets
        except OSError:
            pass
    assert heard == b""
    (refused,) = until(lambda: bank.events("tls_refused"), "the refusal is logged")
    assert (refused["source"], refused["reason"]) == ("tls.api", "unknown_peer")
    assert "sha256:" in refused["detail"]
    metrics = ask(bank.house.metrics_socket, "GET", "/metrics").body["text"]
    assert 'mgate_tls_refused_total{reason="unknown_peer"} 1.0' in metrics


def test_clients_and_certificates_change_while_connections_stand(bank: Bank) -> None:
    bank.begin()
    standing = bank.connection()
    assert pushed(standing, "before")[0] == 202
    # Another certificate of ours, and one more client: who stands, stands; who comes sees the new.
    bank.authority.issue("renewed.bank.example").write(bank.folder, "mgate")
    _, cards = bank.issued("cards", "uri:spiffe://bank.example/cards")
    with bank.house.config.open("a") as file:
        file.write('[push.clients.cards]\ncertificates = ["uri:spiffe://bank.example/cards"]\n')
    assert bank.reload()["problems"] == []
    assert pushed(standing, "after")[0] == 202
    fresh = bank.connection(cards)
    assert pushed(fresh, "of-cards")[0] == 202
    shown: Any = fresh.sock.getpeercert()
    assert dict(part[0] for part in shown["subject"])["commonName"] == "renewed.bank.example"
    # Revoked: at once, and never again.
    put(bank.crl, bank.authority.crl([bank.core]))
    bank.reload()
    with pytest.raises((OSError, http.client.HTTPException)):
        pushed(standing, "too-late")
    with pytest.raises((OSError, http.client.HTTPException)):
        pushed(bank.connection(), "never")
    assert pushed(fresh, "goes-on")[0] == 202
    assert bank.house.find("too-late") == []


def test_a_port_that_is_taken_is_told_at_a_reload_and_everything_else_goes_on(bank: Bank) -> None:
    bank.begin()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        text = bank.house.config.read_text()
        listen = f'listen = "127.0.0.1:{bank.port}"'
        bank.house.config.write_text(text.replace(listen, f'listen = ["127.0.0.1:{bank.port}", "{where}"]'))
        (problem,) = bank.reload()["problems"]
    assert where in problem
    assert pushed(bank.connection(), "still")[0] == 202


def test_a_client_in_node_pushes_over_one_connection(bank: Bank) -> None:
    node = shutil.which("node")
    assert node, "node is missing: install it (Debian: apt-get install nodejs)"
    bank.begin()
    said = run(
        [node, PEERS / "push.js", "localhost", bank.port, bank.root, bank.pkcs12(), PASSPHRASE, "n1", "n2", "n1"]
    )
    answers = [json.loads(line) for line in said.splitlines()]
    assert [answer["status"] for answer in answers] == [202, 202, 200]
    assert [answer["reused"] for answer in answers] == [False, True, True]


def test_a_client_in_java_pushes_with_nothing_but_the_jdk(bank: Bank) -> None:
    java = shutil.which("java")
    if not java or not shutil.which("javac"):
        pytest.skip("no JDK here (Debian: apt-get install openjdk-17-jdk-headless)")
    bank.begin()
    url = f"https://localhost:{bank.port}"
    said = run([java, PEERS / "PushMtls.java", url, bank.root, bank.pkcs12(), PASSPHRASE, "j1", "j2"])
    assert [line.split()[:2] for line in said.splitlines()] == [["202", "HTTP_1_1"]] * 2


def test_the_traffic_maker_pushes_batches_and_singles(bank: Bank) -> None:
    bank.begin()
    maker = [sys.executable, "-m", "mgate.peers.push", f"https://127.0.0.1:{bank.port}", "--ca", bank.root]
    maker += ["--cert", bank.files.certificate, "--key", bank.files.key, "--classes", "otp=0.5,service=0.5"]
    assert "300 accepted" in run([*maker, "--messages", 300])
    assert "40 accepted" in run([*maker, "--messages", 40, "--single", "--connections", 4, "--seed", 2])


def run(command: Sequence[object]) -> str:
    """What a program says; it must end well."""
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
