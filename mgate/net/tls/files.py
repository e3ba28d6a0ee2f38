"""The files of one identity: what stands in them, and everything that is wrong with them, in one go.

A key is as libpq wants its own: of the daemon's account and for nobody else, or of root and for at most one group.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from mgate.config.tls import GRACE, Tls
from mgate.net.tls.refusal import Word
from mgate.net.tls.revocation import Revocation, RevocationList, read_list
from mgate.net.tls.words import common_name

_LISTS: Final = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)
_MOST: Final = 64 << 20
"""Octets that a file of certificates or lists may have: more is none of these."""

_T = TypeVar("_T")


class Stamp(NamedTuple):
    """By what a file is known to be the same: another one was put in its place, or it was written to."""

    inode: int
    changed_ns: int
    size: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the files: what, where, whose fault and what to do.

    ``dated``: only the clock makes it wrong, so that the files can be used, for what it is worth.
    """

    word: Word
    text: str
    dated: bool = False

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Material:
    """What was read.

    Attributes:
        own: our certificate and the intermediates behind it; empty when we show none.
        authorities: everything in the authority file.
        problems: what is wrong; with any that is not ``dated`` the rest must not be used.
        files: the very octets that were looked at, by the keys of [tls.NAME], for drivers that want files. OpenSSL has
            the key in this process's memory anyway.
    """

    own: tuple[x509.Certificate, ...]
    authorities: tuple[x509.Certificate, ...]
    revocation: Revocation
    problems: tuple[Problem, ...]
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def usable(self) -> bool:
        """Whether contexts can be made of it."""
        return all(problem.dated for problem in self.problems)


def stamps(tls: Tls) -> dict[Path, Stamp | None]:
    """What the files are known by now; None for one that cannot be looked at."""
    return {path: _stamp(path) for path in tls.files}


def read_material(tls: Tls, now: float) -> Material:
    """Read and check every file of an identity. ``now``: seconds since 1970."""
    return _Reading(tls, now).material()


class _Reading:
    """One reading; problems gather here."""

    def __init__(self, tls: Tls, now: float) -> None:
        self._tls = tls
        self._now = now
        self._problems: list[Problem] = []
        self._files: dict[str, bytes] = {}

    def material(self) -> Material:
        tls = self._tls
        authorities = self._certificates("authority", tls.authority)
        self._check_authorities(tls.authority, authorities)
        own = self._certificates("certificate", tls.certificate) if tls.certificate else ()
        if tls.certificate and tls.key_file:
            self._check_own(tls.certificate, own, tls.key_file)
        lists = self._lists(tls.crl) if tls.crl else ()
        revocation = Revocation(lists, tls.crl_grace if tls.stale_crl == GRACE else 0.0)
        for each in revocation.unsigned((*authorities, *own)):
            whose = common_name(each.issuer)
            self._wrong("crl", f"{tls.crl}: the list of {whose} does not bear its signature; ask for it again")
        return Material(own, authorities, revocation, tuple(self._problems), self._files)

    # ---- certificates ----

    def _certificates(self, key: str, path: Path) -> tuple[x509.Certificate, ...]:
        octets = self._octets(key, path)
        if octets is None:
            return ()
        found = self._parsed(key, path, "certificates", lambda: x509.load_pem_x509_certificates(octets))
        return tuple(found or ())

    def _check_authorities(self, path: Path, found: tuple[x509.Certificate, ...]) -> None:
        if found and not any(_is_authority(each) and each.issuer == each.subject for each in found):
            self._wrong(
                "authority",
                f"{path}: holds no root of an authority (self-issued, CA:TRUE), but"
                f" {', '.join(common_name(each.subject) for each in found)}; ask the security team for the root",
            )

    def _check_own(self, path: Path, own: tuple[x509.Certificate, ...], key_path: Path) -> None:
        key = self._key(key_path)
        if not own:
            return
        leaf = own[0]
        if key is not None and _public(key.public_key()) != _public(leaf.public_key()):
            self._wrong(
                "key_file",
                f"{key_path}: is not the key of {path}, which is {common_name(leaf.subject)}:"
                " after a renewal both files must be put in place",
                Word.KEY_MISMATCH,
            )
        if self._now > leaf.not_valid_after_utc.timestamp():
            ended = f"{path}: ended {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; peers refuse it: renew it"
            self._problems.append(Problem(Word.EXPIRED, f"[tls.{self._tls.name}] certificate: {ended}", dated=True))
        if self._now < leaf.not_valid_before_utc.timestamp():
            begins = f"{path}: begins {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; until then peers refuse it"
            word = Word.NOT_YET_VALID
            self._problems.append(Problem(word, f"[tls.{self._tls.name}] certificate: {begins}", dated=True))

    # ---- the key ----

    def _key(self, path: Path) -> PrivateKeyTypes | None:
        octets = self._octets("key_file", path)
        if octets is None:
            return None
        for problem in _exposed(path):
            self._wrong("key_file", f"{path}: {problem}")
        try:
            return serialization.load_pem_private_key(octets, password=None)
        except TypeError:
            self._wrong("key_file", f"{path}: is encrypted; mgate starts alone: give it a key without a pass phrase")
        except (ValueError, UnsupportedAlgorithm):
            self._wrong("key_file", f"{path}: holds no private key in PEM form")
        return None

    # ---- lists ----

    def _lists(self, path: Path) -> tuple[RevocationList, ...]:
        octets = self._octets("crl", path)
        if octets is None:
            return ()
        blocks = _LISTS.findall(octets)
        if not blocks:
            self._wrong("crl", f"{path}: holds no revocation list in PEM form (BEGIN X509 CRL)")
        return self._parsed("crl", path, "lists", lambda: tuple(_one_list(block) for block in blocks)) or ()

    # ---- any file ----

    def _octets(self, key: str, path: Path) -> bytes | None:
        try:
            with path.open("rb") as file:
                octets = file.read(_MOST + 1)
        except OSError as error:
            self._wrong(key, f"{path}: cannot be read: {error.strerror}; the daemon's account must be able to")
            return None
        if len(octets) > _MOST:
            self._wrong(key, f"{path}: is over {_MOST >> 20} MiB")
            return None
        self._files[key] = octets
        return octets

    def _parsed(self, key: str, path: Path, what: str, parse: Callable[[], _T]) -> _T | None:
        try:
            return parse()
        except ValueError as error:
            self._wrong(key, f"{path}: its {what} cannot be read ({error}); it must be PEM, as openssl x509 writes it")
            return None

    def _wrong(self, key: str, text: str, word: Word = Word.OTHER) -> None:
        self._problems.append(Problem(word, f"[tls.{self._tls.name}] {key}: {text}"))


def _one_list(block: bytes) -> RevocationList:
    return read_list(x509.load_pem_x509_crl(block))


def _exposed(path: Path) -> Iterator[str]:
    """Why others may know the key."""
    try:
        status = path.stat()
    except OSError:
        return
    mode = stat.S_IMODE(status.st_mode)
    if mode & (0o037 if status.st_uid == 0 else 0o077):
        yield f"mode {mode:04o} lets others read or change it: chmod 0400, and think whether it must be drawn anew"
    if status.st_uid not in (0, os.geteuid()):
        yield "belongs to another account than root or the daemon's: chown it"


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _public(key: object) -> bytes:
    """The public half in its one form; ``key`` is what `cryptography` has for it."""
    return key.public_bytes(  # type: ignore[attr-defined,no-any-return]  # every kind of key that a certificate has
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(status.st_ino, status.st_mtime_ns, status.st_size)
