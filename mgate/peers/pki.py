"""A private authority made on the spot: roots, intermediates, certificates with any defect, revocation lists.

Names are invented, keys are drawn anew in each run and live as long as its folder. Certificates are as a bank's
own authority makes them: a critical basicConstraints, key usages, names in subjectAltName (RFC 5280 section 4.2).
"""

from __future__ import annotations

import base64
import ipaddress
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

DAY: Final = timedelta(days=1)
BOTH: Final = ("server", "client")
_USAGES: Final = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
_POINT: Final = 65
"""Octets of an uncompressed point of P-256 (SEC 1 section 2.3.3)."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where an issued certificate was written: with its chain, its key (mode 0400), both PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate, its key, and the certificates between it and the root.

    ``key_pem`` is what is written as its key: another one where somebody else's key is pretended.
    """

    certificate: x509.Certificate
    key_pem: bytes
    chain: tuple[x509.Certificate, ...]

    def pem(self, chain: bool = True) -> bytes:
        """The certificate, and with ``chain`` the intermediates behind it."""
        return b"".join(_pem(each) for each in (self.certificate, *(self.chain if chain else ())))

    def write(self, folder: Path, name: str, chain: bool = True) -> Files:
        """Write ``NAME.pem`` and ``NAME.key`` as a renewal does: new files put in the place of the old."""
        folder.mkdir(parents=True, exist_ok=True)
        files = Files(folder / f"{name}.pem", folder / f"{name}.key")
        put(files.certificate, self.pem(chain))
        put(files.key, self.key_pem, 0o400)
        return files


class Authority:
    """A certificate authority; without ``parent`` a root, with one an intermediate below it."""

    def __init__(self, name: str = "Example Bank Root", parent: Authority | None = None) -> None:
        self.name = _name(name)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.parent = parent
        signer = parent or self
        builder = _builder(self.name, signer.name, self.key.public_key(), now() - 30 * DAY, now() + 3650 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(authority=True), critical=True)
        self.certificate = signer.sign(builder)

    def below(self, name: str = "Example Bank Issuing") -> Authority:
        """An intermediate below this one."""
        return Authority(name, self)

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """What a peer must be sent to come from here to the root, which is not sent."""
        return () if self.parent is None else (self.certificate, *self.parent.chain)

    @property
    def root(self) -> Authority:
        """The one at the top."""
        return self if self.parent is None else self.parent.root

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """Sign this, with our key's identifier."""
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return builder.add_extension(identifier, critical=False).sign(self.key, hashes.SHA256())

    def issue(
        self,
        subject: str = "core.bank.example",
        *,
        names: Sequence[str] = ("dns:localhost", "ip:127.0.0.1"),
        usage: Sequence[str] = BOTH,
        starts: datetime | None = None,
        ends: datetime | None = None,
        key: Key | None = None,
    ) -> Issued:
        """A certificate with these names (``dns:``, ``ip:``, ``uri:``); no name at all leaves subjectAltName out."""
        own = key or new_key()
        starts = starts or now() - DAY
        builder = _builder(_name(subject), self.name, own.public_key(), starts, ends or now() + 365 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(_purposes(usage))), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(_names(names))), critical=False)
        return Issued(self.sign(builder), key_pem(own), self.chain)

    def crl(
        self, revoked: Iterable[Issued] = (), *, starts: datetime | None = None, ends: datetime | None = None
    ) -> bytes:
        """A revocation list of ours, PEM."""
        starts = starts or now() - DAY
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        builder = builder.last_update(starts).next_update(ends or now() + 30 * DAY)
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(starts).build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def write(self, folder: Path, name: str = "authority") -> Path:
        """Write the root's certificate as ``NAME.pem``."""
        folder.mkdir(parents=True, exist_ok=True)
        return put(folder / f"{name}.pem", _pem(self.root.certificate))


def self_signed(subject: str = "core.bank.example", names: Sequence[str] = ("dns:localhost", "ip:127.0.0.1")) -> Issued:
    """A certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(subject), _name(subject), key.public_key(), now() - DAY, now() + 365 * DAY)
    builder = builder.add_extension(x509.ExtendedKeyUsage(list(_purposes(BOTH))), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName(list(_names(names))), critical=False)
    return Issued(builder.sign(key, hashes.SHA256()), key_pem(key), ())


def stolen(victim: Issued) -> Issued:
    """Somebody else's certificate with a key that is not its own, dressed so that OpenSSL loads the pair.

    An EC key file carries its public point beside the secret number (RFC 5915), and that point is believed: here it is
    the victim's, so only the handshake's signature tells.
    """
    point = victim.certificate.public_key()
    if not isinstance(point, ec.EllipticCurvePublicKey):
        raise TypeError("only a certificate with an EC key can be stolen so")
    own = ec.generate_private_key(ec.SECP256R1())
    der = own.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    if not der.endswith(_point(own.public_key())):
        raise ValueError("this version of cryptography writes EC keys otherwise")
    pem = _armour("EC PRIVATE KEY", der[:-_POINT] + _point(point))
    return Issued(victim.certificate, pem, victim.chain)


def with_other_key(victim: Issued) -> Issued:
    """A certificate beside a whole key that belongs to another: as after a renewal that replaced one file of two."""
    return Issued(victim.certificate, key_pem(new_key()), victim.chain)


def new_key() -> Key:
    """A key as an authority of today wants it."""
    return ec.generate_private_key(ec.SECP256R1())


def weak_key() -> Key:
    """RSA of 1024 bits: 80 bits of strength, which security level 2 of OpenSSL refuses."""
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  # the defect that is wanted


def key_pem(key: Key) -> bytes:
    """A key as PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def put(path: Path, octets: bytes, mode: int = 0o644) -> Path:
    """Put a file in the place of another at once; the path again."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    new.write_bytes(octets)
    new.chmod(mode)
    return new.replace(path)


def now() -> datetime:
    """This moment, whole seconds, as certificates have it."""
    return datetime.now(UTC).replace(microsecond=0)


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Bank"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    starts: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(starts).not_valid_after(ends)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _purposes(usage: Sequence[str]) -> Iterable[ObjectIdentifier]:
    return (_USAGES[each] for each in usage)


def _names(names: Sequence[str]) -> Iterable[x509.GeneralName]:
    for each in names:
        kind, _, value = each.partition(":")
        if kind == "dns":
            yield x509.DNSName(value)
        elif kind == "ip":
            yield x509.IPAddress(ipaddress.ip_address(value))
        else:
            yield x509.UniformResourceIdentifier(value)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _armour(label: str, der: bytes) -> bytes:
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()
