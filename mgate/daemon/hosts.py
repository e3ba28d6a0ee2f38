"""The hosts of the operator accounts: how each is reached, and what accounts that call one host share."""

from __future__ import annotations

from typing import Final

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint

from mgate.channels.smpp.hosts import Host, Hosts
from mgate.channels.smpp.reconnect import Spacing
from mgate.config import Sms
from mgate.daemon.identities import Identities

_CONNECT_LIMIT: Final = 10.0


class OperatorHosts:
    """Makes the hosts of an account, by its settings and its operator's profile.

    The profile's list counts when the account goes by it: when its host and port are the first of the list. An account
    that names a host of its own has that one only.
    """

    def __init__(self, identities: Identities, reactor: AsyncioSelectorReactor) -> None:
        self._identities = identities
        self._reactor = reactor
        self._spacings: dict[str, Spacing] = {}

    def of(self, sms: Sms) -> Hosts:
        """The hosts of this account, the one to prefer first.

        Raises:
            LookupError: its section [tls.NAME] is not there.
        """
        connection = sms.profile.connection
        names = connection.tls_hosts if sms.tls else connection.hosts
        own = f"{sms.host}:{sms.port}"
        return Hosts([self._host(sms, name) for name in (names if own in names[:1] else (own,))], connection.fail_back)

    def _host(self, sms: Sms, name: str) -> Host:
        spacing = self._spacings.setdefault(name, Spacing(sms.reconnect_min))
        return Host(name, self._endpoint(sms, name), spacing)

    def _endpoint(self, sms: Sms, name: str) -> IStreamClientEndpoint:
        host, _, port = name.rpartition(":")
        endpoint = HostnameEndpoint(self._reactor, host, int(port), timeout=_CONNECT_LIMIT)
        if not sms.tls:
            return endpoint
        identity = self._identities.get(sms.tls)
        if identity is None:
            # The configuration was checked for it; without it there is no way, and never one without TLS.
            raise LookupError(f"[sms.{sms.name}] tls: there is no [tls.{sms.tls}]")
        return identity.client(endpoint, host)
