"""[push.mtls] and the names of clients' certificates: what is read, what is refused, and what changes while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.config import differences, taken_up
from mgate.config.kinds import NotAllowed
from mgate.config.mtls import Address, Addresses, Known, PushMtls, certificate_name, mistakes_of
from mgate.config.tls import Tls
from tests.unit.config.test_changes import config

CORE = Known("core", ("dns:core.bank.example",))
OPEN = PushMtls(listen=(Address("10.0.0.5", 8443),), tls="api")


def said(mtls: PushMtls, *clients: Known) -> list[str]:
    api = Tls(name="api", authority=Path("a"), certificate=Path("c"), key_file=Path("k"))
    return [" ".join(wrong) for wrong in mistakes_of(mtls, [api, Tls(name="calls", authority=Path("a"))], clients)]


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("10.0.0.5:8443", ["10.0.0.5:8443"]),
        ("[FD00::5]:8443", ["[fd00::5]:8443"]),
        (["10.0.0.5:8443", "[::1]:1"], ["10.0.0.5:8443", "[::1]:1"]),
        ([], []),
    ],
)
def test_addresses_are_read_alone_and_in_lists(given: object, read: list[str]) -> None:
    assert Addresses().show(Addresses().read(given, Path()), Path()) == read


@pytest.mark.parametrize(
    "given",
    ["8443", ":8443", "10.0.0.5", "10.0.0.5:0", "10.0.0.5:65536", "core.bank.example:8443", "::1:8443", "[10.0.0.5:1",
     "10.0.0.5:08443", "10.0.0.5:８443", 8443, None, "", ["10.0.0.5:1", "10.0.0.5:1"], [["10.0.0.5:1"]]],
)  # fmt: skip
def test_what_is_no_address_is_refused(given: object) -> None:
    with pytest.raises(NotAllowed):
        Addresses().read(given, Path())


def test_an_address_that_stands_for_all_knows_it() -> None:
    assert [Address(host, 1).everywhere for host in ("0.0.0.0", "::", "10.0.0.5", "::1")] == [True, True, False, False]


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("dns:Core.Bank.Example", "dns:core.bank.example"),
        ("uri:spiffe://bank.example/Core", "uri:spiffe://bank.example/Core"),
        ("ip:FD00:0::5", "ip:fd00::5"),
        ("sha256:" + ":".join(["AB"] * 32), "sha256:" + "ab" * 32),
        ("sha256:" + "ab" * 32, "sha256:" + "ab" * 32),
    ],
)
def test_a_certificates_name_has_one_form(given: str, read: str) -> None:
    assert certificate_name(given) == read


@pytest.mark.parametrize(
    "given",
    ["core.bank.example", "dns:*.bank.example", "dns:", "dns:a b", "dns:.a", "dns:a.", "DNS:a", "cn:core", "uri:core",
     "uri:spiffe://a b", "ip:10.0.0", "sha256:ab", "sha1:" + "ab" * 20, "sha256:" + "g" * 64, 7, None, ""],
)  # fmt: skip
def test_what_is_no_name_of_a_certificate_is_refused(given: object) -> None:
    with pytest.raises(NotAllowed):
        certificate_name(given)


@given(st.text(max_size=80))
def test_a_name_that_is_read_reads_as_itself(text: str) -> None:
    try:
        read = certificate_name(text)
    except NotAllowed:
        return
    assert certificate_name(read) == read


def test_a_listener_that_lacks_nothing_has_no_mistake() -> None:
    assert said(OPEN, CORE) == []
    assert said(PushMtls()) == []
    assert said(PushMtls(tls="api"), CORE) == []


def test_what_a_listener_lacks_is_told() -> None:
    nameless, strange = PushMtls(listen=OPEN.listen), PushMtls(listen=OPEN.listen, tls="apo")
    mute = PushMtls(listen=OPEN.listen, tls="calls")
    assert said(nameless, CORE) == [
        "push.mtls tls is missing: which [tls.NAME] says who we are? Those that there are: api, calls"
    ]
    assert said(strange, CORE) == ['push.mtls tls there is no section [tls.apo]; those that there are: "api", "calls"']
    assert said(mute, CORE) == ["push.mtls tls [tls.calls] has no certificate and key_file, which this link must show"]
    assert said(OPEN, Known("local", ())) == [
        "push.mtls listen nobody could come in: give a client its certificates, under [push.clients.NAME]"
    ]


def test_a_name_that_leads_to_two_clients_is_named_with_both() -> None:
    assert said(OPEN, CORE, Known("cards", ("uri:spiffe://bank.example/cards", *CORE.certificates))) == [
        (
            'push.clients.cards certificates "dns:core.bank.example" names the client core too;'
            " a certificate leads to one client"
        )
    ]


def test_clients_and_their_certificates_change_while_it_runs(tmp_path: Path) -> None:
    running = config(tmp_path)
    wanted = config(
        tmp_path, '[push.mtls]\nhandshakes = 9\n[push.clients.core]\ncertificates = ["dns:core.bank.example"]\n'
    )
    again = config(tmp_path, '[push.clients.core]\ncertificates = ["sha256:' + "AB" * 32 + '"]\nconnections = 3\n')
    assert [str(change) for change in differences(running, wanted)] == [
        "[push.mtls] handshakes: 64 -> 9: at once",
        "[push.clients.core] is new: at once",
    ]
    assert [change.when.value for change in differences(wanted, again)] == ["at once"] * 3
    assert taken_up(taken_up(running, wanted), again) == again
