"""What a connection may cost, and what it stands on: its limits, the memory it shares with others, its transport."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twisted.internet.interfaces import IPushProducer


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may cost. Times in seconds.

    Attributes:
        connections: at once, of one listener; one more is answered 503.
        pipeline: requests of one connection that wait for their answers; then reading pauses.
        backlog: octets of a streamed answer that the client has not read; then reading pauses.
        first_header: from the connection to the first header's end; ``header``: from a request's first octet.
        body: a whole body must come within it; a streamed one may not be silent for longer.
        idle: between two requests.
        stuck: a client that we wait for does not read what we wrote.
        linger: how long what a refused client still sends is read, so that it can see why.
    """

    connections: int = 256
    pipeline: int = 64
    backlog: int = 4 * 1024 * 1024
    first_header: int = 10
    header: int = 10
    body: int = 30
    idle: int = 120
    stuck: int = 30
    linger: int = 5


class Regulated(Protocol):
    """Something that stops reading when there is no room."""

    def regulate(self) -> None:
        """Look again whether there is room."""


class Room:
    """Octets in memory that several connections share. Over its limit they stop reading until half of it is free."""

    __slots__ = ("_waiting", "limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._waiting: dict[Regulated, None] = {}

    @property
    def full(self) -> bool:
        """Whether more has been taken than there is."""
        return self.used > self.limit

    def wait(self, connection: Regulated) -> None:
        """Wake this connection when there is room again."""
        self._waiting[connection] = None

    def give_back(self, octets: int) -> None:
        """These octets are free."""
        self.used -= octets
        if self._waiting and self.used <= self.limit // 2:
            waiting, self._waiting = self._waiting, {}
            for connection in waiting:
                connection.regulate()


class Wire(Protocol):
    """What a connection needs of its transport."""

    def write(self, data: bytes) -> None: ...
    def pauseProducing(self) -> None: ...
    def resumeProducing(self) -> None: ...
    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None: ...
    def unregisterProducer(self) -> None: ...
    def loseConnection(self) -> None: ...
    def loseWriteConnection(self) -> None: ...  # noqa: N802
    def abortConnection(self) -> None: ...
    def getHandle(self) -> object: ...  # noqa: N802
