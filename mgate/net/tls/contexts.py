"""The contexts of OpenSSL: the only place where one is made, and all that is asked of it."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mgate.config.tls import Tls
from mgate.net.tls.files import Material
from mgate.net.tls.refusal import TlsRefused, Word
from mgate.net.tls.words import common_name

CIPHERS: Final = "DEFAULT:@SECLEVEL=2"
"""Level 2 asks for 112 bits everywhere: RSA and Diffie-Hellman from 2048, no SHA-1 in certificates."""

_MOST_CHAINS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Contexts:
    """Both contexts of one reading of the files; ``server`` is None when we show no certificate.

    Attributes:
        intermediates: subjects of those behind our own certificate.
        chains: the verified chain of each peer, by the peer's own certificate. A client of TLS 1.2 may take up a
            session again, and then OpenSSL verifies nothing and knows the peer's own certificate only.
    """

    material: Material
    client: ssl.SSLContext
    server: ssl.SSLContext | None
    intermediates: frozenset[x509.Name]
    chains: dict[bytes, tuple[x509.Certificate, ...]] = field(default_factory=dict)


def make_contexts(tls: Tls, material: Material) -> Contexts:
    """Make both.

    Raises:
        ssl.SSLError, OSError: OpenSSL does not take our certificate or key (`ours_refused` says it in words).
    """
    client = _context(ssl.PROTOCOL_TLS_CLIENT, tls, material)
    # A name is in subjectAltName or nowhere (RFC 9525 section 2).
    client.hostname_checks_common_name = False
    server: ssl.SSLContext | None = None
    if tls.certificate is not None:
        server = _context(ssl.PROTOCOL_TLS_SERVER, tls, material)
        server.verify_mode = ssl.CERT_REQUIRED
        server.num_tickets = 0
        # Whoever listens here speaks HTTP, and a client that asks is told which: by C, not by a callback of Python.
        server.set_alpn_protocols(["http/1.1"])
    return Contexts(material, client, server, frozenset(each.subject for each in material.own[1:]))


def ours_refused(error: Exception) -> tuple[Word, str]:
    """Why OpenSSL does not take our own files."""
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if reason.endswith("KEY_TOO_SMALL"):
        return Word.WEAK_KEY, "our key is too weak for any peer: have one of RSA 2048 bits or more, or of P-256"
    if reason == "KEY_VALUES_MISMATCH":
        return Word.KEY_MISMATCH, "key_file is not the key of certificate: after a renewal both must be put in place"
    if reason == "CA_MD_TOO_WEAK":
        return Word.WEAK_KEY, "our certificate is signed with SHA-1 or MD5: have it issued anew with SHA-256"
    return Word.OTHER, f"OpenSSL does not take the certificate and key: {error}"


def verified_chain(contexts: Contexts, tls: ssl.SSLObject, now: float) -> tuple[x509.Certificate, ...]:
    """The peer's chain, from its own certificate to the root, as OpenSSL has verified it.

    Raises:
        TlsRefused: a session was taken up again whose chain is not known, or has ended meanwhile.
    """
    octets = tls.getpeercert(True)
    if octets is None:
        raise TlsRefused(Word.NO_CERTIFICATE, "the peer is at fault: it showed no certificate")
    if not tls.session_reused:
        chain = partial_chain(tls)
        if len(contexts.chains) >= _MOST_CHAINS:
            contexts.chains.clear()
        contexts.chains[octets] = chain
    chain = contexts.chains.get(octets, ())
    if not chain:
        raise TlsRefused(Word.OTHER, "its session is forgotten here; it must begin a new one")
    check_dates(chain, now)
    return chain


def check_dates(chain: Sequence[x509.Certificate], now: float) -> None:
    """Look whether every certificate is valid at this moment.

    Raises:
        TlsRefused: one is not.
    """
    for each in chain:
        if not each.not_valid_before_utc.timestamp() <= now <= each.not_valid_after_utc.timestamp():
            raise TlsRefused(Word.EXPIRED, f"the certificate of {common_name(each.subject)} is not valid any more")


def partial_chain(tls: ssl.SSLObject) -> tuple[x509.Certificate, ...]:
    """What OpenSSL made of the peer's chain: whole after a good handshake, else as far as it came; may be empty."""
    # Public from Python 3.13 on, as SSLObject.get_verified_chain.
    found = tls._sslobj.get_verified_chain() or ()  # type: ignore[attr-defined]  # not in the stubs  # noqa: SLF001
    form = ssl._ssl.ENCODING_DER  # type: ignore[attr-defined]  # the same  # noqa: SLF001
    return tuple(x509.load_der_x509_certificate(each.public_bytes(form)) for each in found)


def _context(protocol: int, tls: Tls, material: Material) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Before our certificate is loaded, which is held to the same level.
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.load_verify_locations(
        cadata=b"".join(each.public_bytes(serialization.Encoding.DER) for each in material.authorities)
    )
    if tls.certificate is not None and tls.key_file is not None:
        context.load_cert_chain(tls.certificate, tls.key_file, _no_pass_phrase)
    return context


def _no_pass_phrase() -> str:
    """OpenSSL would ask at the terminal."""
    raise ssl.SSLError("the key is encrypted")
