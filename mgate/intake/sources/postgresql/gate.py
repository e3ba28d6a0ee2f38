"""TLS for libpq: its parameters, and a handshake of our own that goes before each of its connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ConnectError

from mgate.intake.sources.postgresql.errors import UNKNOWN_CA, CertificateRefused
from mgate.model.source import SourceError
from mgate.net.tls import POSTGRESQL, Identity, TlsRefused, Word

_BROKEN_OFF: Final = "see whether the server runs, what its log says of this moment, and what stands between"
_NO_TLS: Final = "set ssl = on, with ssl_cert_file and ssl_key_file, in the server's postgresql.conf, and restart it"
_ROOM: Final = "make room in the folder that [push] folder names, or let mgated's account write there"
_MEND: Final = "mend or renew the certificate that this names"


class IdentityGate:
    """See ``session.Gate``."""

    def __init__(self, identity: Identity, reactor: object, seconds: Callable[[], float] = time.monotonic) -> None:
        self._identity = identity
        self._reactor = reactor
        self._seconds = seconds
        self._right: dict[tuple[str, int], tuple[float, int]] = {}

    @contextmanager
    def parameters(self) -> Iterator[Mapping[str, str]]:
        """See ``session.Gate``."""
        with ExitStack() as lent:
            try:
                found = lent.enter_context(self._identity.libpq())
            except TlsRefused as refused:
                raise self._meant(refused, str(refused)) from refused
            except OSError as error:
                said = f"the copies of certificate and key cannot be written: {error}"
                raise CertificateRefused("mgate", said, _ROOM) from error
            yield found

    async def probe(self, host: str, port: int, recent: float = 0.0) -> None:
        """See ``session.Gate``."""
        at, readings = self._right.pop((host, port), (float("-inf"), 0))
        now, reading = self._seconds(), self._identity.readings
        if now - at >= recent or readings != reading:
            await self._look_at(host, port)
            at = now
        self._right[host, port] = at, reading

    async def _look_at(self, host: str, port: int) -> None:
        asked = ensureDeferred(self._identity.probe(self._reactor, host, port, POSTGRESQL))
        try:
            await asked.asFuture(asyncio.get_running_loop())
        except TlsRefused as refused:
            raise self._meant(refused, f"{host}:{port}: {refused}") from refused
        except (ConnectError, OSError) as error:
            todo = "see whether the server runs and a firewall lets mgate through to this port"
            said = str(error).rstrip(".") or type(error).__name__
            raise SourceError("unreachable", f"{host}:{port}: {said}", todo) from error

    def _meant(self, refused: TlsRefused, said: str) -> SourceError:
        """Whose affair a refusal is: ours where our own files are at fault, the database's where it does not know us,
        and the network's where no certificate was found wrong and the line just ended."""
        if not self._identity.usable:
            todo = "; ".join(map(str, self._identity.problems)) or "mend the files that [tls.NAME] names"
            return CertificateRefused("mgate", said, todo)
        theirs = "the peer refused us" in refused.detail
        if theirs and refused.word is Word.WRONG_AUTHORITY:
            return CertificateRefused("dba", said, UNKNOWN_CA)
        if refused.word is not Word.OTHER or theirs:
            return CertificateRefused("security", said, _MEND)
        if "no TLS here" in refused.detail:
            return SourceError("refused", said, _NO_TLS)
        # Most often the server went away, and a proxy before it still listens.
        return SourceError("unreachable", said, _BROKEN_OFF)
