"""TLS for the operator: Twisted's own, so that both sides of a line are never the same code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from twisted.internet.protocol import Factory
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    TLSVersion,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOFactory

from mgate.peers.smsc.script import Tls

_BLOCK: Final = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def secured(tls: Tls, sessions: Factory, reactor: object) -> Factory:
    """The same with TLS around it, when the script says so; `reactor` is the one that turns.

    Raises:
        OSError: a file cannot be read.
    """
    if not tls.certificate:
        return sessions
    own, *above = _certificates(tls.certificate)
    pem = 1  # FILETYPE_PEM of OpenSSL, which is not ours to import
    options = CertificateOptions(
        privateKey=KeyPair.load(Path(tls.key_file).read_bytes(), pem).original,
        certificate=own.original,
        extraCertChain=[each.original for each in above],
        trustRoot=trustRootFromCertificates(_certificates(tls.authority)) if tls.authority else None,
        raiseMinimumTo=TLSVersion.TLSv1_2,
    )
    coated: Factory = TLSMemoryBIOFactory(options, False, sessions, reactor)  # type: ignore[assignment,arg-type]  # as good as one
    return coated


def _certificates(path: str) -> list[Certificate]:
    return [Certificate.loadPEM(block) for block in _BLOCK.findall(Path(path).read_text("ascii"))]
