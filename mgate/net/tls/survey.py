"""What ends when: our certificates, the authorities, the revocation lists, and the peers' as they were last seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from cryptography import x509

from mgate.config.tls import Tls
from mgate.net.tls.files import Material
from mgate.net.tls.words import common_name, fingerprint, names_of

_MOST_PEERS: Final = 256


class Role(Enum):
    """Whose it is: a closed set, which labels the metric."""

    OURS = "ours"
    AUTHORITY = "authority"
    CRL = "crl"
    PEER = "peer"


@dataclass(frozen=True, slots=True)
class CertificateView:
    """One certificate or list.

    Attributes:
        identity: NAME of [tls.NAME].
        subject: whom it names; of a list, its authority.
        starts, ends: seconds since 1970; of a peer, the first end in the chain that it showed; ``ends`` of a list that
            does not say it is None.
        where: the file, or where the peer was seen.
        seen: when the peer was last seen, seconds since 1970; None for files.
        fingerprint: empty for a list.
    """

    identity: str
    role: Role
    subject: str
    issuer: str
    names: tuple[str, ...]
    fingerprint: str
    starts: float
    ends: float | None
    where: str
    seen: float | None = None


def view_of(identity: str, role: Role, certificate: x509.Certificate, where: str) -> CertificateView:
    """One certificate of a file."""
    return CertificateView(
        identity,
        role,
        common_name(certificate.subject).strip('"'),
        common_name(certificate.issuer).strip('"'),
        names_of(certificate),
        fingerprint(certificate),
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
        where,
    )


def views_of(tls: Tls, material: Material) -> Iterator[CertificateView]:
    """Everything in the files of an identity."""
    for certificate in material.own:
        yield view_of(tls.name, Role.OURS, certificate, str(tls.certificate))
    for certificate in material.authorities:
        yield view_of(tls.name, Role.AUTHORITY, certificate, str(tls.authority))
    for each in material.revocation.lists:
        authority = common_name(each.issuer).strip('"')
        yield CertificateView(
            tls.name, Role.CRL, authority, authority, (), "", each.starts, each.ends, str(tls.crl)
        )  # fmt: skip


class Peers:
    """The peers' certificates as last seen, one for each place that we called and each name that called us."""

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._views: dict[str, CertificateView] = {}

    def saw(self, place: str, chain: Sequence[x509.Certificate], now: float) -> None:
        """A handshake went well. ``place``: ``host:port`` of whom we called; empty when we were called."""
        leaf = chain[0]
        key = place or "|".join((common_name(leaf.subject), *names_of(leaf)))
        self._views.pop(key, None)
        ends = min(each.not_valid_after_utc for each in chain[: max(1, len(chain) - 1)]).timestamp()
        shown = view_of(self._identity, Role.PEER, leaf, place or "called us")
        self._views[key] = CertificateView(
            self._identity, Role.PEER, shown.subject, shown.issuer, shown.names, shown.fingerprint, shown.starts, ends,
            shown.where, now,
        )  # fmt: skip
        if len(self._views) > _MOST_PEERS:
            del self._views[next(iter(self._views))]

    def views(self) -> tuple[CertificateView, ...]:
        """Everybody who is remembered, the last one seen last."""
        return tuple(self._views.values())
