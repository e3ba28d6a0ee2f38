"""An identity: what is wrong with its files, how it goes on by new ones, and what it hands to others."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from mgate.config.tls import Tls
from mgate.net.tls import POSTGRESQL, Identity, Prelude, Role, TlsRefused, Word
from tests import pki
from tests.conformance.tls import Bank, Case, FalseServer, bank

__all__ = ["bank"]


def identity_of(tls: Tls, wall: Callable[[], float] = time.time) -> Identity:
    return Identity(tls, Clock(), wall, lambda seen: None)


def problems(tls: Tls) -> str:
    return "\n".join(str(problem) for problem in identity_of(tls).problems)


# ---- what is wrong with the files -----------------------------------------------------------------------------------


def test_good_files_have_no_problem(bank: Bank) -> None:
    assert problems(bank.tls()) == ""


def test_a_key_of_another_certificate_is_told(bank: Bank) -> None:
    pki.put(bank.files.key, pki.key_pem(pki.new_key()), 0o400)
    assert "is not the key of" in problems(bank.tls())
    assert identity_of(bank.tls()).problems[0].word is Word.KEY_MISMATCH


@pytest.mark.parametrize("mode", [0o404, 0o602, 0o660])
def test_a_key_that_others_can_read_or_change_is_told(bank: Bank, mode: int) -> None:
    bank.files.key.chmod(mode)
    assert f"mode {mode:04o} lets others read or change it: chmod 0400" in problems(bank.tls())


def test_a_key_of_root_may_be_read_by_one_group(bank: Bank) -> None:
    if bank.files.key.stat().st_uid != 0:
        pytest.skip("only root's files")
    bank.files.key.chmod(0o640)
    assert problems(bank.tls()) == ""


def test_a_file_that_is_not_there_is_told_and_so_is_every_other_mistake(bank: Bank) -> None:
    bank.authority.unlink()
    bank.crl.write_text("nothing")
    bank.files.key.chmod(0o444)
    said = problems(bank.tls())
    assert "authority.pem: cannot be read: No such file or directory" in said
    assert "crl.pem: holds no revocation list" in said
    assert "mode 0444" in said


def test_a_weak_key_of_our_own_is_told(bank: Bank) -> None:
    bank.issuing.issue("gateway.bank.example", key=pki.weak_key()).write(bank.folder, "ours")
    [problem] = identity_of(bank.tls()).problems
    assert (problem.word, identity_of(bank.tls()).usable) == (Word.WEAK_KEY, False)


def test_a_certificate_in_the_place_of_the_authority_is_told(bank: Bank) -> None:
    pki.put(bank.authority, bank.issuing.issue("smsc.example").pem(chain=False))
    assert 'holds no root of an authority (self-issued, CA:TRUE), but "smsc.example"' in problems(bank.tls())


def test_a_list_that_its_authority_did_not_sign_is_told(bank: Bank) -> None:
    pki.put(bank.crl, bank.root.crl() + pki.Authority("Example Bank Issuing").crl())
    assert 'the list of "Example Bank Issuing" does not bear its signature' in problems(bank.tls())


def test_a_certificate_of_ours_that_has_ended_is_told_but_used(bank: Bank) -> None:
    ended = pki.now() - timedelta(hours=1)
    bank.issuing.issue("gateway.bank.example", starts=ended - pki.DAY, ends=ended).write(bank.folder, "ours")
    identity = identity_of(bank.tls())
    assert ([problem.word for problem in identity.problems], identity.usable) == ([Word.EXPIRED], True)


# ---- going on by new files ------------------------------------------------------------------------------------------


def test_a_change_of_a_file_is_seen_once(bank: Bank) -> None:
    identity = identity_of(bank.tls())
    assert not identity.changed()
    bank.issuing.issue("gateway.bank.example").write(bank.folder, "ours")
    assert identity.changed()
    assert identity.reload() == []
    assert not identity.changed()


def test_bad_files_leave_the_old_in_use_until_they_are_mended(bank: Bank) -> None:
    identity = identity_of(bank.tls())
    before = _ours(identity)
    new = bank.issuing.issue("gateway.bank.example")
    pki.put(bank.files.certificate, new.pem())
    [problem] = identity.reload()
    assert "is not the key of" in problem
    assert (_ours(identity), identity.usable) == (before, True)
    new.write(bank.folder, "ours")
    assert identity.reload() == []
    assert _ours(identity) != before


def test_a_new_certificate_that_has_not_begun_leaves_the_old_in_use(bank: Bank) -> None:
    identity = identity_of(bank.tls())
    before = _ours(identity)
    bank.issuing.issue("gateway.bank.example", starts=pki.now() + pki.DAY).write(bank.folder, "ours")
    assert "until then peers refuse it" in identity.reload()[0]
    assert _ours(identity) == before


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_files_that_cannot_be_used_refuse_every_connection_and_say_why(bank: Bank) -> None:
    bank.authority.unlink()
    identity = Identity(bank.tls(), reactor, time.time, lambda seen: None)
    with pytest.raises(TlsRefused, match=r"our own files are at fault: .*authority\.pem: cannot be read"):
        await identity.probe(reactor, "localhost", 1)


# ---- revocation lists -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stale_crl", "hours", "word"),
    [
        ("refuse", -1, None),
        ("refuse", 1, Word.STALE_CRL),
        ("grace", 1, None),
        ("grace", 71, None),
        ("grace", 73, Word.STALE_CRL),
    ],
)
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_a_stale_list_is_refused_or_believed_for_the_grace(
    bank: Bank, stale_crl: str, hours: int, word: Word | None
) -> None:
    ends = pki.now() - timedelta(hours=hours)
    lists = [each.crl(starts=pki.now() - 9 * pki.DAY, ends=ends) for each in (bank.root, bank.issuing)]
    pki.put(bank.crl, b"".join(lists))
    assert await _probed(bank, stale_crl=stale_crl) is word


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_who_is_revoked_is_refused_within_the_grace_too(bank: Bank) -> None:
    ends = pki.now() - timedelta(hours=1)
    lists = [
        each.crl(bank.revoked.values(), starts=pki.now() - pki.DAY, ends=ends) for each in (bank.root, bank.issuing)
    ]
    pki.put(bank.crl, b"".join(lists))
    assert await _probed(bank, Case.REVOKED, stale_crl="grace") is Word.REVOKED


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_an_authority_without_a_list_is_refused_when_there_are_lists(bank: Bank) -> None:
    pki.put(bank.crl, bank.root.crl())
    assert await _probed(bank) is Word.STALE_CRL


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_a_revoked_intermediate_takes_everybody_below_it_along(bank: Bank) -> None:
    issuing = pki.Issued(bank.issuing.certificate, b"", ())
    pki.put(bank.crl, bank.root.crl([issuing]) + bank.issuing.crl())
    assert await _probed(bank) is Word.REVOKED


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_without_lists_nobody_is_looked_up(bank: Bank) -> None:
    assert await _probed(bank, Case.REVOKED, crl=None) is None


# ---- what it hands to others ----------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_the_survey_knows_files_and_peers(bank: Bank) -> None:
    identity = Identity(bank.tls(), reactor, time.time, lambda seen: None)
    with FalseServer(bank.context(Case.NONE, "server")) as server:
        await identity.probe(reactor, "localhost", server.port)
    await server.over()
    shown = {(view.role, view.subject) for view in identity.survey()}
    assert shown == {
        (Role.OURS, "gateway.bank.example"),
        (Role.OURS, "Example Bank Issuing"),
        (Role.AUTHORITY, "Example Bank Root"),
        (Role.CRL, "Example Bank Root"),
        (Role.CRL, "Example Bank Issuing"),
        (Role.PEER, "localhost"),
    }
    [peer] = [view for view in identity.survey() if view.role is Role.PEER]
    assert (peer.where, peer.names) == (f"localhost:{server.port}", ("dns:localhost", "ip:127.0.0.1"))


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_a_server_that_says_more_than_yes_before_tls_is_not_believed(bank: Bank) -> None:
    identity = Identity(bank.tls(), reactor, time.time, lambda seen: None)
    talkative = Prelude(POSTGRESQL.say, b"SELECT")
    with (
        FalseServer(bank.context(Case.NONE, "server"), talkative) as server,
        pytest.raises(TlsRefused, match="does no TLS here"),
    ):
        await identity.probe(reactor, "localhost", server.port, POSTGRESQL)
    await server.over()


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # it has no types
async def test_a_client_of_tls_1_2_that_takes_up_its_session_is_known_again(bank: Bank) -> None:
    identity = Identity(bank.tls(), reactor, time.time, lambda seen: None)
    met: list[str] = []

    def factory_for(peer: object) -> Factory:
        met.append(str(peer))
        return Factory.forProtocol(_Greeter)

    port = reactor.listenTCP(0, identity.listen(factory_for), interface="127.0.0.1")
    context = bank.context(Case.NONE, "client")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    at = port.getHost()
    assert isinstance(at, IPv4Address)
    session, reused = await deferToThread(_greeted, at.port, context, None)
    again, reused_again = await deferToThread(_greeted, at.port, context, session)
    await maybeDeferred(port.stopListening)
    assert (reused, len(met), len(set(met))) == (False, 2, 1)
    assert reused_again
    assert again is not None


# ---- tools ----------------------------------------------------------------------------------------------------------


class _Greeter(Protocol):
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"welcome")
        self.transport.loseConnection()


def _greeted(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool]:
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, session=session) as wrapped,
    ):
        assert wrapped.recv(100) == b"welcome"
        return wrapped.session, bool(wrapped.session_reused)


class _Speaker(Protocol):
    def __init__(self) -> None:
        self.over: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"hello")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.over.callback(None)


async def _probed(bank: Bank, case: Case = Case.NONE, **changed: object) -> Word | None:
    """Connect to a false server by our settings with these changes."""
    tls = bank.tls()
    given = {field: getattr(tls, field) for field in tls.__struct_fields__} | changed
    identity = Identity(Tls(**given), reactor, time.time, lambda seen: None)
    assert not identity.problems
    with FalseServer(bank.context(case, "server")) as server:
        endpoint = HostnameEndpoint(reactor, "127.0.0.1", server.port)
        host = "127.0.0.1" if case is Case.NONE else "localhost"
        try:
            speaker = await identity.client(endpoint, host).connect(Factory.forProtocol(_Speaker))
        except TlsRefused as refusal:
            return refusal.word
        assert isinstance(speaker, _Speaker)
        await speaker.over
    await server.over()
    return None


def _ours(identity: Identity) -> str:
    return next(view.fingerprint for view in identity.survey() if view.role is Role.OURS)
