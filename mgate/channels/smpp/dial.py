"""How a bind connects: what ``ClientService`` is given, and what it keeps to itself."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from mgate.channels.smpp.link import Link


class Links(Factory):
    """Gives each connection its link."""

    noisy = False

    def __init__(self, make: Callable[[], Link]) -> None:
        self._make = make

    def buildProtocol(self, addr: IAddress | None) -> Link:
        """The link of a new connection."""
        return self._make()


class Barred(Exception):
    """The bind must not be tried now."""


@implementer(IStreamClientEndpoint)
class Dial:
    """An endpoint that tells of its tries, because ClientService keeps their failures to itself.

    Args:
        begin: says whom to call, or None for nobody now.
        failed: told why a call came to nothing.
    """

    def __init__(self, begin: Callable[[], IStreamClientEndpoint | None], failed: Callable[[str], None]) -> None:
        self._begin = begin
        self._failed = failed

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803  # Twisted's name
        """Connect, as any endpoint does."""
        endpoint = self._begin()
        if endpoint is None:
            return fail(Barred())
        connecting = endpoint.connect(protocolFactory)
        connecting.addErrback(self._tell)
        return connecting

    def _tell(self, failure: Failure) -> Failure:
        self._failed(failure.getErrorMessage())
        return failure
