"""What a handshake is refused for, in words that are the same for every link, and how OpenSSL's errors come to them."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from cryptography import x509

from mgate.net.tls.words import common_name, names_of


class Word(Enum):
    """Why. The words stand in logs, metrics and answers, so they are a closed set."""

    WRONG_AUTHORITY = "wrong_authority"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    REVOKED = "revoked"
    WRONG_NAME = "wrong_name"
    NO_SAN = "no_san"
    WRONG_USAGE = "wrong_usage"
    SELF_SIGNED = "self_signed"
    WEAK_KEY = "weak_key"
    OLD_PROTOCOL = "old_protocol"
    MISSING_CHAIN = "missing_chain"
    KEY_MISMATCH = "key_mismatch"
    STALE_CRL = "stale_crl"
    NO_CERTIFICATE = "no_certificate"
    UNKNOWN_PEER = "unknown_peer"
    OTHER = "other"


class TlsRefused(Exception):
    """There is no TLS with this peer. ``str()`` says whose fault it is and what to do.

    Attributes:
        word: why.
        detail: in a sentence.
    """

    def __init__(self, word: Word, detail: str) -> None:
        super().__init__(f"TLS refused ({word.value}): {detail}")
        self.word = word
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Seen:
    """One refusal, for whoever counts and logs. ``identity``: NAME of [tls.NAME]; ``peer``: where it is."""

    identity: str
    peer: str
    refusal: TlsRefused


class Told(Protocol):
    """Who hears of refusals."""

    def __call__(self, seen: Seen) -> None:
        """A handshake was refused, by us or by the peer."""


# Codes of OpenSSL's x509_vfy.h; Python has no names for them.
_VERIFY: Final = {
    7: Word.WRONG_AUTHORITY,
    9: Word.NOT_YET_VALID,
    10: Word.EXPIRED,
    18: Word.SELF_SIGNED,
    19: Word.WRONG_AUTHORITY,
    24: Word.WRONG_AUTHORITY,
    26: Word.WRONG_USAGE,
    62: Word.WRONG_NAME,
    64: Word.WRONG_NAME,
    66: Word.WEAK_KEY,
    67: Word.WEAK_KEY,
    68: Word.WEAK_KEY,
    79: Word.WRONG_AUTHORITY,
}
_NO_ISSUER: Final = frozenset({2, 20, 21})

# Reasons of OpenSSL's sslerr.h: what we found in the handshake itself.
_OURS: Final = {
    "UNSUPPORTED_PROTOCOL": (Word.OLD_PROTOCOL, "it offers only TLS 1.1 or older; it must be taught TLS 1.2 or 1.3"),
    "VERSION_TOO_LOW": (Word.OLD_PROTOCOL, "it offers only TLS 1.1 or older; it must be taught TLS 1.2 or 1.3"),
    "WRONG_SSL_VERSION": (Word.OLD_PROTOCOL, "it offers only TLS 1.1 or older; it must be taught TLS 1.2 or 1.3"),
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": (Word.NO_CERTIFICATE, "it showed no certificate; it must be given one"),
    "BAD_SIGNATURE": (Word.KEY_MISMATCH, "it showed a certificate whose key it does not have"),
    "EE_KEY_TOO_SMALL": (Word.WEAK_KEY, "its key is too weak; it needs RSA of 2048 bits or more, or P-256"),
    "DH_KEY_TOO_SMALL": (Word.WEAK_KEY, "its Diffie-Hellman group is too weak; it needs 2048 bits or more"),
    "WRONG_VERSION_NUMBER": (Word.OTHER, "what it says is not TLS: is this the right port, and is TLS on over there?"),
    "HTTP_REQUEST": (Word.OTHER, "it speaks HTTP without TLS on this port"),
}

# The peer's alerts (RFC 8446 section 6.2) as OpenSSL calls them: what it has against us.
_THEIRS: Final = {
    "TLSV1_ALERT_UNKNOWN_CA": (Word.WRONG_AUTHORITY, "it does not know the authority of our certificate"),
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": (Word.EXPIRED, "it says that our certificate is past its end, or its clock is"),
    "SSLV3_ALERT_CERTIFICATE_REVOKED": (Word.REVOKED, "it says that our certificate is revoked"),
    "SSLV3_ALERT_BAD_CERTIFICATE": (Word.OTHER, "it does not accept our certificate"),
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": (Word.WRONG_USAGE, "our certificate is not for this usage, it says"),
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": (Word.OTHER, "it does not accept our certificate"),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": (Word.NO_CERTIFICATE, "it wants a certificate of ours: set certificate"),
    "TLSV1_ALERT_PROTOCOL_VERSION": (Word.OLD_PROTOCOL, "it does not speak TLS 1.2 or later"),
    "TLSV1_ALERT_DECRYPT_ERROR": (Word.KEY_MISMATCH, "it says that our certificate and our key do not belong together"),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (Word.OTHER, "it found no cipher, or wants a certificate that we did not show"),
}


def refusal_of(
    error: ssl.SSLError, partial: Sequence[x509.Certificate], ours: Collection[x509.Name], host: str
) -> TlsRefused:
    """What an error of the handshake means.

    Args:
        partial: the peer's certificate and what OpenSSL could put above it; may be empty.
        ours: subjects of the intermediates that stand behind our own certificate.
        host: whom we called; empty when we were called.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _unbelieved(error.verify_code, error.verify_message, partial, ours, host)
    reason = error.reason or ""
    if reason in _OURS:
        return TlsRefused(_OURS[reason][0], f"the peer is at fault: {_OURS[reason][1]}")
    if reason in _THEIRS:
        return TlsRefused(_THEIRS[reason][0], f"the peer refused us: {_THEIRS[reason][1]}")
    return TlsRefused(Word.OTHER, reason.lower().replace("_", " ") or str(error))


def _unbelieved(
    code: int, message: str, partial: Sequence[x509.Certificate], ours: Collection[x509.Name], host: str
) -> TlsRefused:
    if not partial:
        return TlsRefused(_VERIFY.get(code, Word.OTHER), message)
    who, last = f"the certificate of {common_name(partial[0].subject)}", partial[-1]
    if code in _NO_ISSUER:
        return _no_issuer(who, partial, ours)
    word = _VERIFY.get(code, Word.OTHER)
    match word:
        case Word.WRONG_NAME if not names_of(partial[0]):
            return TlsRefused(
                Word.NO_SAN, f"{who} has no subjectAltName; its owner needs one that names {host}, a CN counts nothing"
            )
        case Word.WRONG_NAME:
            shown = ", ".join(names_of(partial[0]))
            return TlsRefused(word, f"{who} is for {shown} and not for {host}: is host right, or is it another's?")
        case Word.EXPIRED | Word.NOT_YET_VALID:
            dates = " and ".join(
                f"{common_name(each.subject)} from {each.not_valid_before_utc:%Y-%m-%d %H:%M} to"
                f" {each.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
                for each in partial
            )
            return TlsRefused(
                word, f"{who}: {message}; valid are: {dates}. Its owner must renew it, or a clock is wrong"
            )
        case Word.WRONG_AUTHORITY:
            return TlsRefused(
                word, f"{who} comes from {common_name(last.issuer)}, which does not stand in our authority file"
            )
        case Word.WRONG_USAGE:
            usage = "serverAuth" if host else "clientAuth"
            return TlsRefused(word, f"{who} is not made for this: its extended key usage lacks {usage}")
        case _:
            return TlsRefused(word, f"{who}: {message}")


def _no_issuer(who: str, partial: Sequence[x509.Certificate], ours: Collection[x509.Name]) -> TlsRefused:
    """The chain ends below any root of ours. Whether the peer forgot a part or is of another house shows only where we
    know the part from our own chain; else both are said."""
    issuer = partial[-1].issuer
    if issuer in ours:
        return TlsRefused(
            Word.MISSING_CHAIN,
            f"{who} comes from the intermediate {common_name(issuer)}, which the peer must send along and does not",
        )
    said = f"{who} comes from {common_name(issuer)}, which does not stand in our authority file"
    if len(partial) == 1:
        said += "; if that is an intermediate of our authority, the peer must send it along"
    return TlsRefused(Word.WRONG_AUTHORITY, said)
