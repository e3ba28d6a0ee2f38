"""What the admin API answers of certificates: what ends when, and what is wrong with the files."""

from __future__ import annotations

import msgspec


class CertificateRow(msgspec.Struct, frozen=True):
    """One certificate or revocation list.

    Attributes:
        tls: NAME of the section [tls.NAME].
        role: ``ours``, ``authority``, ``crl``, or ``peer`` as it was last seen.
        subject: whom it names; of a list, its authority.
        names: subject alternative names, as ``dns:``, ``ip:``, ``uri:``.
        fingerprint: ``sha256:`` and hexadecimal digits; empty for a list.
        starts, ends: moments; of a peer, the first end in the chain that it showed; empty where a list does not say.
        days_left: below 0 when it has ended; None where there is no end.
        where: the file, or where the peer was seen.
        seen: when the peer was last seen; empty for files.
    """

    tls: str
    role: str
    subject: str
    issuer: str
    names: tuple[str, ...]
    fingerprint: str
    starts: str
    ends: str
    days_left: float | None
    where: str
    seen: str


class CertificatesView(msgspec.Struct, frozen=True):
    """GET /v1/certificates: what ends first stands first. ``problems``: what is wrong with the files now."""

    certificates: tuple[CertificateRow, ...]
    problems: tuple[str, ...]
