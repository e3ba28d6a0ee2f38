"""The copies of an identity's files: what a driver that reads files itself is given, while somebody renews them."""

from __future__ import annotations

import stat
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from twisted.internet.task import Clock

from mgate.config.tls import Tls
from mgate.net.tls import Copies, Identity, TlsRefused
from tests import pki
from tests.conformance.tls import Bank, bank

__all__ = ["bank"]

FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")


@pytest.fixture
def folder(bank: Bank) -> Path:
    return bank.folder / "run" / "copies"


def identity_of(tls: Tls, folder: Path) -> Identity:
    return Identity(tls, Clock(), time.time, lambda seen: None, Copies(folder))


def read(tls: Mapping[str, str]) -> list[bytes]:
    return [Path(tls[name]).read_bytes() for name in FILES if name in tls]


def sets(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


def renew(bank: Bank) -> pki.Issued:
    return bank.issuing.issue("gateway.bank.example")


def test_libpq_is_told_all_that_it_can_check(bank: Bank, folder: Path) -> None:
    with identity_of(bank.tls(), folder).libpq() as tls:
        places = {name: place for name, place in tls.items() if name in FILES}
        assert {name: word for name, word in tls.items() if name not in FILES} == {
            "sslmode": "verify-full",
            "sslcertmode": "require",
            "ssl_min_protocol_version": "TLSv1.2",
            "gssencmode": "disable",
        }
        assert all(Path(place).is_relative_to(folder) for place in places.values())
        of_the_bank = (bank.authority, bank.files.certificate, bank.files.key, bank.crl)
        assert read(tls) == [file.read_bytes() for file in of_the_bank]


def test_libpq_knows_no_grace_so_it_is_given_no_list_then(bank: Bank, folder: Path) -> None:
    tls = bank.tls()
    graced = Tls(name=tls.name, authority=tls.authority, crl=tls.crl, stale_crl="grace")
    with identity_of(graced, folder).libpq() as shown:
        assert "sslcrl" not in shown
        assert shown["sslcertmode"] == "disable"


def test_nobody_but_the_daemon_can_look_at_a_copy(bank: Bank, folder: Path) -> None:
    with identity_of(bank.tls(), folder).libpq() as tls:
        modes = {stat.S_IMODE(Path(tls[name]).stat().st_mode) for name in FILES}
        folders = {stat.S_IMODE(each.stat().st_mode) for each in (folder, Path(tls["sslkey"]).parent)}
    assert (modes, folders) == ({0o600}, {0o700})


def test_nothing_is_copied_before_a_driver_asks(bank: Bank, folder: Path) -> None:
    identity_of(bank.tls(), folder)
    assert sets(folder) == []


def test_between_the_two_files_of_a_renewal_the_old_pair_is_given(bank: Bank, folder: Path) -> None:
    identity = identity_of(bank.tls(), folder)
    pki.put(bank.files.certificate, renew(bank).pem())
    for _ in ("not seen yet", "seen"):
        with identity.libpq() as tls:
            _, certificate, key, _ = read(tls)
        shown = x509.load_pem_x509_certificates(certificate)[0].public_key()
        own = serialization.load_pem_private_key(key, None).public_key()
        assert shown == own
        assert "is not the key of" in identity.reload()[0]


def test_what_is_being_read_stays_whole_over_a_renewal_and_goes_after_it(bank: Bank, folder: Path) -> None:
    identity = identity_of(bank.tls(), folder)
    with identity.libpq() as before:
        old = read(before)
        renew(bank).write(bank.folder, "ours")
        assert identity.reload() == []
        with identity.libpq() as after:
            assert read(before) == old
            assert read(after) != old
        assert len(sets(folder)) == 2
    assert sets(folder) == [Path(after["sslkey"]).parent.name]


def test_a_set_is_made_once_however_many_ask(bank: Bank, folder: Path) -> None:
    identity = identity_of(bank.tls(), folder)
    with identity.libpq() as one, identity.libpq() as other:
        assert one == other
    assert len(sets(folder)) == 1


def test_a_copy_that_somebody_took_away_is_made_again(bank: Bank, folder: Path) -> None:
    identity = identity_of(bank.tls(), folder)
    with identity.libpq() as tls:
        Path(tls["sslkey"]).unlink()
    with identity.libpq() as tls:
        assert len(read(tls)) == 4
    assert len(sets(folder)) == 1


def test_what_a_crash_left_is_taken_away_and_what_is_not_ours_stays(bank: Bank, folder: Path) -> None:
    with identity_of(bank.tls(), folder).libpq():
        pass
    theirs = folder / "theirs" / "notes"
    theirs.parent.mkdir()
    theirs.write_text("not ours")
    Copies(folder)
    assert sets(folder) == ["theirs"]
    assert theirs.exists()


def test_at_the_end_nothing_is_left(bank: Bank, folder: Path) -> None:
    copies = Copies(folder)
    with Identity(bank.tls(), Clock(), time.time, lambda seen: None, copies).libpq():
        pass
    copies.clear()
    assert not folder.exists()


def test_files_that_cannot_be_used_are_not_copied(bank: Bank, folder: Path) -> None:
    bank.files.key.unlink()
    with pytest.raises(TlsRefused, match="our own files are at fault"), identity_of(bank.tls(), folder).libpq():
        pass
    assert sets(folder) == []


def test_a_set_that_cannot_be_written_whole_leaves_nothing(bank: Bank, folder: Path) -> None:
    folder.mkdir(parents=True)
    copies = Copies(folder)
    with pytest.raises(OSError, match="name too long"):
        copies.make("core", {"authority": b"root", "x" * 300: b"key"})
    assert sets(folder) == []


def test_settings_that_are_taken_up_without_their_files_change_no_set(bank: Bank, folder: Path) -> None:
    identity = identity_of(bank.tls(), folder)
    nowhere = bank.folder / "nowhere.pem"
    assert identity.reload(msgspec.structs.replace(bank.tls(), certificate=nowhere, key_file=nowhere)) != []
    with identity.libpq() as tls:
        assert len(read(tls)) == 4
