"""Connections of a listener whose peer somebody has looked at already: behind TLS its certificate says who it is."""

from __future__ import annotations

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from mgate.net.http import Connection, Listener
from mgate.net.peers import Peer


class Guests(Factory):
    """Makes connections of this listener for one peer. No port of its own: the listener watches them."""

    noisy = False

    def __init__(self, listener: Listener, peer: Peer) -> None:
        self._listener = listener
        self._peer = peer

    def buildProtocol(self, addr: IAddress | None) -> Connection:
        return Connection(self._listener, self._peer)
