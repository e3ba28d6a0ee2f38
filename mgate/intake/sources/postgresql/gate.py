"""TLS for libpq: its parameters, and a handshake of our own that goes before each of its connections."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ConnectError

from mgate.model.source import SourceError
from mgate.net.tls import POSTGRESQL, Identity, TlsRefused, Word

_BROKEN_OFF: Final = (
    "see whether the server runs, and what stands between; if it does, mgatectl source check lists what is wrong with"
    " the certificates"
)


class IdentityGate:
    """See ``session.Gate``."""

    def __init__(self, identity: Identity, reactor: object) -> None:
        self._identity = identity
        self._reactor = reactor

    def parameters(self) -> Mapping[str, str]:
        """See ``session.Gate``."""
        return self._identity.libpq()

    async def probe(self, host: str, port: int) -> None:
        """See ``session.Gate``."""
        asked = ensureDeferred(self._identity.probe(self._reactor, host, port, POSTGRESQL))
        try:
            await asked.asFuture(asyncio.get_running_loop())
        except TlsRefused as refused:
            if refused.word is Word.OTHER:
                # No certificate was found wrong: most often the server went away, and a proxy before it still listens.
                raise SourceError("unreachable", f"{host}:{port}: {refused}", _BROKEN_OFF) from refused
            todo = "mend the certificate that this names; mgatectl source check lists all that is wrong"
            raise CertificateRefused("refused", f"{host}:{port}: {refused}", todo) from refused
        except (ConnectError, OSError) as error:
            todo = "see whether the server runs and a firewall lets mgate through to this port"
            raise SourceError("unreachable", f"{host}:{port}: {str(error) or type(error).__name__}", todo) from error


class CertificateRefused(SourceError):
    """The server's certificate or ours is not right."""
