"""Sockets as a server of small answers wants them: Twisted's, with three detours cut off.

Twisted asks the reactor to tell it when a socket may be written, although it nearly always may: two system calls and a
second event for each answer. Here what is said at once is sent at once, and only what the socket does not take goes
Twisted's way. It reads UNIX sockets with room for file descriptors, which nobody sends us: ``recv`` lets the kernel
drop them. And it builds a context for its old log around each event, which costs as much as reading a message.

What a transport must know of its buffers is Twisted's own; the tests of this module tell when that has changed.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import cast

from twisted.internet import main, tcp, unix
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IReactorTCP, IReactorUNIX
from twisted.internet.protocol import Factory


class Direct(tcp.Connection):
    """A connection without the detours."""

    def startReading(self) -> None:  # noqa: N802  # Twisted's name
        super().startReading()  # type: ignore[no-untyped-call]  # Twisted's
        if isinstance(self.reactor, AsyncioSelectorReactor):
            # In the place of the callback that has just been set; taking it away stays with the reactor.
            act = self.reactor._readOrWrite  # noqa: SLF001  # what the reactor's own callback comes to
            asyncio.get_running_loop().add_reader(self.fileno(), act, self, True)

    def doRead(  # type: ignore[override]  # noqa: N802  # Twisted's, which is said to give None
        self,
    ) -> ConnectionDone | ConnectionLost | None:
        try:
            data = self.socket.recv(self.bufferSize)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not data:
            return main.CONNECTION_DONE
        self.protocol.dataReceived(data)
        return None

    def write_at_once(self, data: bytes) -> None:
        """Write this now, as far as the socket takes it; the rest, or all behind a rest, in the manner of ``write``."""
        if self.connected and not (self._tempDataLen or self.dataBuffer or self.disconnecting):
            try:
                sent = self.socket.send(data)
            except OSError:
                sent = 0  # the socket is full, or broken: the next attempt of ``write`` finds out which
            if sent == len(data):
                return
            data = data[sent:]
        self.write(data)  # type: ignore[no-untyped-call]  # Twisted's


class Server(Direct, unix.Server):
    """The server's end of one connection over a UNIX socket."""


class TcpServer(Direct, tcp.Server):
    """The server's end of one connection over TCP."""


class Port(unix.Port):
    """Listens, and makes such connections."""

    transport = Server


class TcpPort(tcp.Port):
    """Listens, and makes such connections."""

    transport = TcpServer


def listen(reactor: IReactorUNIX, path: Path, factory: Factory, backlog: int, mode: int) -> IListeningPort:
    """Listen on a new UNIX socket, as ``reactor.listenUNIX`` does.

    Raises:
        twisted.internet.error.CannotListenError: the socket cannot be made.
    """
    port = Port(os.fsencode(path), factory, backlog, mode, reactor)
    port.startListening()  # type: ignore[no-untyped-call]  # Twisted's
    return cast("IListeningPort", port)


def listen_tcp(reactor: IReactorTCP, host: str, port: int, factory: IProtocolFactory, backlog: int) -> IListeningPort:
    """Listen on a TCP port, as ``reactor.listenTCP`` does. ``host``: an address.

    Raises:
        twisted.internet.error.CannotListenError: the port is taken, or the address is not ours.
    """
    listening = TcpPort(port, factory, backlog, host, reactor)
    listening.startListening()
    return cast("IListeningPort", listening)
