"""SMPP over TLS: a bind against false operators, and the daemon against the scripted one behind Twisted's own TLS."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.task import deferLater

from mgate.channels.smpp.channel import SmppChannel
from mgate.config.tree import Sms
from mgate.model.message import Secret
from mgate.net.tls import Identity, Word
from mgate.telemetry import Log
from tests import pki
from tests.conformance.tls import Bank, Call, CallerClaims, bank
from tests.integration.instance import CALM, House, ask, until

__all__ = ["bank"]


class Nobody:
    """Whom the account tells; nothing comes of it here."""

    def ended(self, route: str, results: object) -> None: ...
    def late(self, route: str, results: object) -> None: ...
    def binds_changed(self, route: str) -> None: ...
    def receive(self, entries: object, done: object) -> None: ...


class TestSmpp(CallerClaims):
    """A bind of an account: its first words are system_id and password."""

    @pytest.fixture
    def call(self, bank: Bank) -> Call:
        words: list[Word] = []
        identity = Identity(bank.tls(), reactor, time.time, lambda seen: words.append(seen.refusal.word))

        async def call(port: int) -> Word | None:
            sms = Sms(
                name="op-a", host="localhost", port=port, system_id="mgate", tls="bank", password_file=Path("unused"),
                reconnect_min=1.0,
            )  # fmt: skip
            endpoint = identity.client(HostnameEndpoint(reactor, "127.0.0.1", port), sms.host)
            nobody = Nobody()
            account = SmppChannel(
                sms, Secret("demopass"), nobody, nobody, endpoint, reactor, time.time, Log(lambda _: None)
            )
            account.start()
            try:
                # Refused, or dropped by what it spoke to.
                while not account.status()[0].last_error:
                    await deferLater(reactor, 0.01, lambda: None)
                told = account.status()[0].last_error
                assert not words or words[0].value in told
            finally:
                gone: Deferred[None] = account.stop()
                await gone
            return words[0] if words else None

        return call


class Line:
    """A house whose operator is behind TLS."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.bank = Bank(house.folder / "pki")
        self.operator = self.bank.issuing.issue("smsc.example", names=("dns:localhost",), usage=("server",))
        self.operator.write(self.bank.folder, "smsc")

    def script(self) -> str:
        place = self.bank.folder
        return f"""{CALM}
[tls]
certificate = "{place}/smsc.pem"
key_file = "{place}/smsc.key"
authority = "{self.bank.authority}"
"""

    def begin(self) -> None:
        files = self.bank.files
        self.house.operator.start(self.script())
        self.house.make(
            more=f"""
[tls.bank]
authority = "{self.bank.authority}"
certificate = "{files.certificate}"
key_file = "{files.key}"
crl = "{self.bank.crl}"
"""
        )
        text = self.house.config.read_text()
        lines = [line for line in text.splitlines() if not line.startswith("plain_tcp")]
        text = "\n".join(lines).replace('host = "127.0.0.1"', 'host = "localhost"\ntls = "bank"')
        self.house.config.write_text(text)
        self.house.start()
        self.house.wait_bound()


@pytest.fixture
def line(house: House) -> Line:
    return Line(house)


def test_a_message_goes_over_tls_and_its_receipt_comes_back(line: Line) -> None:
    line.begin()
    name = line.house.pushed("over-tls")
    line.house.wait_state(name, "delivered")
    assert len(line.house.operator.submits()) == 1


def test_a_renewed_certificate_is_taken_by_new_connections_and_drops_no_standing_bind(line: Line) -> None:
    line.begin()
    house = line.house
    stood_since = house.binds()[0]["since"]
    before = _ours(house)
    line.bank.issuing.issue("gateway.bank.example").write(line.bank.folder, "ours")
    assert ask(house.admin_socket, "POST", "/v1/reload").status == 200
    until(lambda: _ours(house) != before, "the new certificate is in use")
    house.wait_state(house.pushed("after-renewal"), "delivered")
    assert house.binds()[0]["since"] == stood_since
    assert len(house.events("bind_opened")) == 1
    house.operator.stop()
    house.operator.start(line.script())
    until(lambda: len(house.events("bind_opened")) == 2, "the bind is up again, by the new certificate")
    house.wait_state(house.pushed("by-the-new-one"), "delivered")


def test_a_bad_renewal_leaves_the_old_in_use_with_an_alarm(line: Line) -> None:
    line.begin()
    house, before = line.house, _ours(line.house)
    other = line.bank.issuing.issue("gateway.bank.example")
    pki.put(line.bank.files.certificate, other.pem())
    foretold = ask(house.admin_socket, "POST", "/v1/reload?dry_run=1")
    assert not house.events("tls_files_wrong")
    answer = ask(house.admin_socket, "POST", "/v1/reload")
    assert answer.body["mistakes"] == foretold.body["mistakes"]
    assert not answer.body["applied"]
    assert any("is not the key of" in mistake["problem"] for mistake in answer.body["mistakes"])
    assert {"tls_files", "config_refused"} <= {*ask(house.admin_socket, "GET", "/v1/status").body["alarms"]}
    [told] = house.events("tls_files_wrong")
    assert "the old files stay in use" in told["detail"]
    assert _ours(house) == before
    house.operator.stop()
    house.operator.start(line.script())
    house.wait_bound()
    other.write(line.bank.folder, "ours")
    assert ask(house.admin_socket, "POST", "/v1/reload").status == 200
    until(lambda: "tls_files" not in ask(house.admin_socket, "GET", "/v1/status").body["alarms"], "no alarm")
    assert _ours(house) != before


def test_mgatectl_shows_what_ends_when(line: Line) -> None:
    line.begin()
    shown = line.house.mgatectl("certificates")
    assert shown.returncode == 0, shown.stderr
    for word in ("gateway.bank.example", "Example Bank Root", "smsc.example", "crl", "peer"):
        assert word in shown.stdout


def _ours(house: House) -> str:
    rows = ask(house.admin_socket, "GET", "/v1/certificates").body["certificates"]
    return str(next(row["fingerprint"] for row in rows if row["role"] == "ours"))
