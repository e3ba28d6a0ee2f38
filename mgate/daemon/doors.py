"""The doors: a push socket for each client, opened, changed and closed while the daemon runs.

Behind a door stands a listener, to which the gate leads programs of the client on other machines as well. All doors
share the room for connections, for requests and for results. A client that goes is answered 503 at once; what it asked
before is answered, and what it pushed stays in the spool and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort

from mgate.config import LOCAL, Push, PushClient
from mgate.daemon.sockets import SocketError, open_socket, settle
from mgate.feeds.api import FeedApi
from mgate.intake.client import PushClient as Rules
from mgate.intake.push import PushApi
from mgate.model.message import CLASS_BY_WORD
from mgate.net.bounds import Limits, Room
from mgate.net.http import Listener
from mgate.net.routing import Routes
from mgate.telemetry import Event, Log

_LEAVING: Final = 10.0
"""Seconds that a client that is gone has for the answers to what it asked."""


class Door(NamedTuple):
    """One client's: what answers and what listens."""

    api: PushApi
    feeds: FeedApi
    listener: Listener


class Doors:
    """Every client's door.

    Args:
        make: makes what answers a client by its rules; ``feeds``: what tells it what became of its messages.

    Attributes:
        requests, answers: the room that every listener of this process shares.
    """

    def __init__(
        self,
        push: Push,
        make: Callable[[Rules], PushApi],
        feeds: Callable[[str], FeedApi],
        reactor: AsyncioSelectorReactor,
        log: Log,
    ) -> None:
        self.requests = Room(32 << 20)
        self.answers = Room(push.results_total)
        self._places = Room(push.connections)
        self._push = push
        self._make = make
        self._feeds = feeds
        self._reactor = reactor
        self._log = log
        self._dropped = 0
        self._ports: dict[str, IListeningPort] = {}
        self._doors = {client.name: self._new(client) for client in push.clients}

    @property
    def local(self) -> PushApi:
        """What answers the client ``local``."""
        return self._doors[LOCAL].api

    @property
    def listeners(self) -> Sequence[Listener]:
        """Every client's."""
        return [door.listener for door in self._doors.values()]

    @property
    def clients(self) -> Sequence[PushClient]:
        """Every client as it is configured now."""
        return self._push.clients

    def by_client(self) -> Mapping[str, Listener]:
        """The same, by the client's name."""
        return {name: door.listener for name, door in self._doors.items()}

    @property
    def dropped(self) -> int:
        """Connections that were dropped, those of clients that are gone too."""
        return self._dropped + sum(listener.dropped for listener in self.listeners)

    # ---- the day ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open every socket.

        Raises:
            SocketError: said for the operator.
        """
        for client in self._push.clients:
            self._open(client)

    def apply(self, push: Push) -> None:
        """Open what is new, close what is gone, change what is another; let be what is the same.

        Raises:
            SocketError: of every socket that could not be opened or given away; all else was done.
        """
        before = {client.name: client for client in self._push.clients}
        self._push = push
        self.answers.limit, self._places.limit = push.results_total, push.connections
        for name in before.keys() - {client.name for client in push.clients}:
            self._close(before[name])
        wrong: list[str] = []
        for client in push.clients:
            if client.name in self._doors:
                self._doors[client.name].listener.limits = _limits(push, client)
            try:
                self._take_up(before.get(client.name), client)
            except SocketError as error:
                wrong.append(str(error))
        if wrong:
            raise SocketError("\n".join(wrong))

    def close(self) -> None:
        """Take no more messages; questions are answered."""
        for door in self._doors.values():
            door.api.close()
            door.feeds.close()

    def stop_listening(self) -> list[Deferred[object]]:
        """Close every socket; connections stay."""
        return [maybeDeferred(port.stopListening) for port in self._ports.values()]

    def abort(self) -> None:
        """Drop every connection."""
        for door in self._doors.values():
            door.listener.abort()

    # ---- one door --------------------------------------------------------------------------------------------------

    def _new(self, client: PushClient) -> Door:
        api = self._make(_rules(client))
        feeds = self._feeds(client.name)
        routes = Routes([*api.routes(), *feeds.routes()])
        listener = Listener(
            routes, self._reactor, _limits(self._push, client), self.requests, self.answers, self._places
        )
        return Door(api, feeds, listener)

    def _open(self, client: PushClient) -> None:
        listener = self._doors[client.name].listener
        at = client.socket, listener, client.owner, client.group, client.mode
        self._ports[client.name] = open_socket(self._reactor, *at)
        self._log(Event.SOCKET_OPENED, path=str(client.socket))

    def _take_up(self, before: PushClient | None, client: PushClient) -> None:
        if before is None or client.name not in self._ports:
            self._doors[client.name] = self._new(client)
            self._open(client)
        elif before != client:
            self._doors[client.name].api.apply(_rules(client))
            settle(client.socket, client.owner, client.group, client.mode)

    def _close(self, client: PushClient) -> None:
        door, port = self._doors.pop(client.name), self._ports.pop(client.name, None)
        door.api.close()
        door.feeds.close()
        self._dropped += door.listener.dropped
        if port is not None:
            # It takes its socket file away; somebody else may have done so before.
            maybeDeferred(port.stopListening).addErrback(lambda failure: failure.trap(OSError))
        late = self._reactor.callLater(_LEAVING, door.listener.abort)
        door.listener.drain(lambda: late.cancel() if late.active() else None)
        self._log(Event.SOCKET_CLOSED, path=str(client.socket))


def _limits(push: Push, client: PushClient) -> Limits:
    return Limits(connections=client.connections, backlog=push.results, stuck=int(push.stuck_after))


def _rules(client: PushClient) -> Rules:
    return Rules(
        client.name,
        frozenset(CLASS_BY_WORD[word] for word in client.classes),
        None if "*" in client.senders else frozenset(client.senders),
        client.default_sender or None,
        client.default_country or None,
        float(client.rate) if client.rate else None,
    )
