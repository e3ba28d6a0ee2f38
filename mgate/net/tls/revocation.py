"""Revocation lists (RFC 5280 section 5): read once, believed when their authority signed them, and while fresh.

OpenSSL could look at lists itself, but it cannot be told of a grace for stale ones without a callback. So the chain
that it has verified is gone through here, before the first octet of application data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtensionOID

from mgate.net.tls.refusal import TlsRefused, Word
from mgate.net.tls.words import common_name

_UNDERSTOOD: Final = frozenset({ExtensionOID.AUTHORITY_KEY_IDENTIFIER, ExtensionOID.CRL_NUMBER})


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One list: whose, from and until when (seconds since 1970; ``ends`` None: it does not say), what it revokes."""

    crl: x509.CertificateRevocationList
    issuer: x509.Name
    starts: float
    ends: float | None
    serials: frozenset[int]


def read_list(crl: x509.CertificateRevocationList) -> RevocationList:
    """Take up one list.

    Raises:
        ValueError: it is of a kind that we do not understand, and must not be taken for a whole one.
    """
    for extension in crl.extensions:
        if extension.oid == ExtensionOID.DELTA_CRL_INDICATOR or (
            extension.critical and extension.oid not in _UNDERSTOOD
        ):
            raise ValueError("it is a delta or a part of a list; ask for the whole one")
    ends = crl.next_update_utc
    return RevocationList(
        crl,
        crl.issuer,
        crl.last_update_utc.timestamp(),
        None if ends is None else ends.timestamp(),
        frozenset(entry.serial_number for entry in crl),
    )


class Revocation:
    """Every list of one identity.

    Args:
        grace: seconds for which a list is believed past its next update.
    """

    def __init__(self, lists: Sequence[RevocationList], grace: float) -> None:
        self.lists = tuple(lists)
        self._grace = grace
        self._signed: dict[tuple[int, bytes], bool] = {}

    def check(self, chain: Sequence[x509.Certificate], now: float) -> None:
        """Look up every certificate of a verified chain but its root.

        Raises:
            TlsRefused: one is revoked, or no list says that it is not.
        """
        if not self.lists:
            return
        for certificate, issuer in pairwise(chain):
            self._check(certificate, issuer, now)

    def _check(self, certificate: x509.Certificate, issuer: x509.Certificate, now: float) -> None:
        signed = [each for each in self.lists if each.issuer == issuer.subject and self.is_signed(each, issuer)]
        authority = common_name(issuer.subject)
        if any(certificate.serial_number in each.serials for each in signed):
            raise TlsRefused(
                Word.REVOKED, f"{authority} has revoked the certificate of {common_name(certificate.subject)}"
            )
        if not signed:
            raise TlsRefused(
                Word.STALE_CRL, f"our crl file holds no list signed by {authority}: ask the security team for it"
            )
        newest = max(signed, key=lambda each: each.starts)
        if newest.starts > now:
            raise TlsRefused(Word.STALE_CRL, f"the list of {authority} begins in the future: is our clock right?")
        if newest.ends is not None and now > newest.ends + self._grace:
            raise TlsRefused(
                Word.STALE_CRL, f"the list of {authority} is past its next update: get a new one into our crl file"
            )

    def is_signed(self, each: RevocationList, issuer: x509.Certificate) -> bool:
        """Whether this authority signed it. Remembered, because a list may hold a hundred thousand entries."""
        key = issuer.public_key()
        if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
                          | ed448.Ed448PublicKey):  # fmt: skip
            return False
        known = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        place = (id(each), known)
        if place not in self._signed:
            try:
                self._signed[place] = each.crl.is_signature_valid(key)
            except (InvalidSignature, UnsupportedAlgorithm, ValueError):
                self._signed[place] = False
        return self._signed[place]

    def unsigned(self, authorities: Sequence[x509.Certificate]) -> Sequence[RevocationList]:
        """The lists of known authorities that none of them signed: forged, or of a namesake."""
        found = []
        for each in self.lists:
            known = [authority for authority in authorities if authority.subject == each.issuer]
            if known and not any(self.is_signed(each, authority) for authority in known):
                found.append(each)
        return found
