"""HTTP/1.1 server over httptools: connections, their order, their bounds and their time limits.

A connection is a line of exchanges. Requests join it as they are read, answers leave it in the same order, and what has
gathered in one turn is written in one piece. Everything that a client can make us keep is bounded: the header, the
body, the requests it has in line, the answers it does not read. When a bound is reached we stop reading, so that the
client feels it; when it does not move on for its time limit, the connection is dropped.

There is no timer, Deferred or log line for a request. One sweep a second walks over all connections of a listener and
counts the seconds that each has been waited for, so every limit here is kept to within a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, cast

from twisted.internet import protocol
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from mgate.net.bounds import Limits, Room, Wire
from mgate.net.exchange import CONTINUE, Fault, Head, Request, Stream, header
from mgate.net.heads import Heads
from mgate.net.peers import NOBODY, Peer, peer_of
from mgate.net.reading import Event, Phase, Reader
from mgate.net.routing import Routes

_PIECE: Final = 256 * 1024
_DISCARDED_MOST: Final = 4 * 1024 * 1024
_REQUEST_COST: Final = 1024
_SWEEP_S: Final = 1.0

_FULL: Final = Fault(
    503, "too_many_connections", "too many connections; use fewer and keep them open", header("Retry-After", 1)
)
_SLOW_HEADER: Final = Fault(408, "too_slow", "the header did not come within its time limit")
_SLOW_BODY: Final = Fault(408, "too_slow", "the body stopped coming, or came too slowly")


class Listener(protocol.Factory):
    """Makes and watches the connections of one socket.

    Args:
        routes: who answers what.
        clock: the reactor, or a ``Clock``.
        requests: room for bodies of requests that are not answered yet; may be shared by listeners.
        answers: room for streamed answers that are not read yet; may be shared by listeners.
        places: room for connections; may be shared by listeners.

    Attributes:
        connections: those that are open.
        dropped: how many were dropped for being slow, silent or broken.
    """

    noisy = False

    def __init__(
        self,
        routes: Routes,
        clock: IReactorTime,
        limits: Limits | None = None,
        requests: Room | None = None,
        answers: Room | None = None,
        places: Room | None = None,
    ) -> None:
        self.routes = routes
        self.limits = limits or Limits()
        self.requests = requests or Room(32 * 1024 * 1024)
        self.answers = answers or Room(32 * 1024 * 1024)
        self.places = places or Room(self.limits.connections)
        self.heads = Heads()
        self.connections: set[Connection] = set()
        self.dropped = 0
        self._clock = clock
        self._sweep: IDelayedCall | None = None
        self._drained: Callable[[], None] | None = None

    def startFactory(self) -> None:
        self._sweep = self._clock.callLater(_SWEEP_S, self._sweep_all)

    def stopFactory(self) -> None:
        # Connections outlive their port, and their time limits with them; the last one ends the sweep.
        self._rest()

    def buildProtocol(self, addr: IAddress | None) -> Connection:
        return Connection(self)

    @property
    def draining(self) -> bool:
        """Whether ``drain`` was called."""
        return self._drained is not None

    def drain(self, done: Callable[[], None]) -> None:
        """Answer what has been asked, take no more, close; ``done`` is called once, when no connection is left.

        The caller stops the port first, and calls ``abort`` when it has waited long enough.
        """
        self._drained = done
        for connection in tuple(self.connections):
            connection.drain()
        self._tell_drained()

    def abort(self) -> None:
        """Drop every connection at once."""
        for connection in tuple(self.connections):
            connection.abort()

    def forget(self, connection: Connection) -> None:
        """This connection is gone."""
        self.connections.discard(connection)
        self.places.give_back(1)
        if not self.connections:
            self._tell_drained()
            if self.numPorts == 0:
                self._rest()

    def _tell_drained(self) -> None:
        if self._drained is not None and not self.connections:
            done, self._drained = self._drained, _nothing
            done()

    def _sweep_all(self) -> None:
        self._sweep = self._clock.callLater(_SWEEP_S, self._sweep_all)
        for connection in tuple(self.connections):
            connection.second_passed()

    def _rest(self) -> None:
        if not self.connections and self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None


def _nothing() -> None:
    """Told already."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class Connection(protocol.Protocol):
    """One client's connection. ``peer``: who it is, when somebody has looked already."""

    def __init__(self, listener: Listener, peer: Peer | None = None) -> None:
        self._listener = listener
        self._known = peer
        self._limits = listener.limits
        self._requests = listener.requests
        self._answers = listener.answers
        self._line: deque[Request | Stream] = deque()
        self._out: list[bytes] = []
        self._in_read = False
        self._blocked = False
        self._held = False
        self._spoke = False
        self._ending = False
        self._closing = False
        self._linger = False
        self._dropped = False
        self._stuck = 0
        self._discarded = 0

    # ---- what Twisted calls ----

    def connectionMade(self) -> None:
        self._wire = cast("Wire", self.transport)
        self._speak: Callable[[bytes], None] = getattr(self._wire, "write_at_once", self._wire.write)
        self.peer = self._known or peer_of(self._wire.getHandle())
        self._reader = Reader(self._listener.routes, self._listener.heads, self, self.peer)
        self._listener.connections.add(self)
        self._listener.places.used += 1
        full = self._listener.places.full or len(self._listener.connections) > self._limits.connections
        self._wire.registerProducer(self, True)
        if full or self._listener.draining:
            self._in_read = True
            self._take(_FULL)
            self._in_read = self._linger = False
            self._flush()

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            self._discarded += len(data)
            if self._discarded > _DISCARDED_MOST:
                self._wire.abortConnection()
            return
        self._in_read = True
        self._spoke = True
        for event in self._reader.feed(data):
            self._take(event)
        self._in_read = False
        self._flush()

    def readConnectionLost(self) -> None:  # Twisted's name
        """The client has sent all that it will; it may still read its answers."""
        self._ending = True
        if self._reader.phase in (Phase.HEADER, Phase.BODY) or self._closing:
            self._wire.abortConnection()
        else:
            self._reader.stop()
            self._flush()

    def writeConnectionLost(self) -> None:  # Twisted's name
        """We have said all; the client may still be sending."""

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self._closing = True
        for exchange in self._line:
            exchange.abandon()
            if isinstance(exchange, Request):
                self._requests.give_back(len(exchange.body) + _REQUEST_COST)
            else:
                self._answers.give_back(exchange.backlog)
        streams = [exchange for exchange in self._line if isinstance(exchange, Stream)]
        self._line.clear()
        self._reader.stop()
        self._listener.forget(self)
        for stream in streams:
            if stream.sink is not None:
                stream.sink.gone()

    def pauseProducing(self) -> None:
        """The client does not read: the socket's buffer and Twisted's are full."""
        self._blocked = True

    def resumeProducing(self) -> None:
        """Everything that was written has left."""
        self._blocked = False
        self._stuck = 0
        self._flush()

    def stopProducing(self) -> None:
        """The connection is lost; ``connectionLost`` comes too."""

    # ---- what the exchanges and the listener call ----

    def answered(self) -> None:
        """An exchange somewhere in the line has its answer."""
        if not self._in_read:
            self._flush()

    def written(self, octets: int) -> None:
        """A stream of the line has so many octets more to send."""
        self._answers.used += octets
        if not self._in_read:
            self._flush()

    def regulate(self) -> None:
        """Read on, or stop reading, as the bounds say."""
        if self._closing:
            return
        held = self._must_hold()
        if held != self._held:
            self._held = held
            if held:
                self._wire.pauseProducing()
            else:
                self._wire.resumeProducing()

    def drain(self) -> None:
        """Answer what has been asked, then close."""
        self._reader.last = True
        if self._reader.phase is Phase.IDLE:
            self._reader.stop()
            if self._line:
                self._line[-1].keep = False
            self._ending = True
            self._flush()

    def abort(self) -> None:
        """Drop it now."""
        self._wire.abortConnection()

    def second_passed(self) -> None:
        """Count the seconds that the client has been waited for, and drop it when they are too many."""
        reader, limits = self._reader, self._limits
        if self._closing:
            reader.waited += 1
            if reader.waited > (limits.stuck if self._blocked else limits.linger):
                self._drop()
            return
        if self._blocked and (self._held or reader.phase is Phase.IDLE or reader.phase is Phase.DEAF):
            self._stuck += 1
            if self._stuck > limits.stuck:
                self._drop()
            return
        if self._held or reader.phase is Phase.DEAF or (reader.phase is Phase.IDLE and self._line):
            return
        reader.waited += 1
        self._judge_silence(reader)

    def _judge_silence(self, reader: Reader) -> None:
        limits = self._limits
        match reader.phase:
            case Phase.IDLE if reader.waited > (limits.idle if self._spoke else limits.first_header):
                if not self._spoke:
                    self._count_drop()
                self._close()
            case Phase.HEADER if reader.waited > limits.header:
                self._take(_SLOW_HEADER)
                self._flush()
            case Phase.BODY if reader.waited > limits.body:
                self._take(_SLOW_BODY)
                self._flush()
            case _:
                pass

    def _drop(self) -> None:
        self._count_drop()
        self._wire.abortConnection()

    def _count_drop(self) -> None:
        self._listener.dropped += not self._dropped
        self._dropped = True

    # ---- the line ----

    def _take(self, event: Event) -> None:
        if isinstance(event, Request):
            self._line.append(event)
            self._requests.used += len(event.body) + _REQUEST_COST
            event.head.responder(event)
        elif isinstance(event, Stream):
            self._take_stream(event)
        else:
            self._take_fault(event)

    def _take_stream(self, stream: Stream) -> None:
        if stream.sink is None:
            self._line.append(stream)
            self._continue()
            stream.sink = stream.opener(stream)
        data = b"".join(stream.arrived)
        stream.arrived.clear()
        if stream.finished:
            return  # its reader had heard enough
        if data:
            stream.sink.receive(data)
        if stream.complete and not stream.finished:
            stream.sink.end()

    def _take_fault(self, fault: Fault) -> None:
        stream = self._reader.stream
        self._reader.stop()
        self._linger = True
        self._count_drop()
        if stream is not None:
            if stream.sink is not None and not stream.finished:
                stream.sink.cut(fault.code, fault.detail)
            return
        refused = Request(self, _NO_HEAD, NOBODY)
        refused.keep = False
        self._line.append(refused)
        self._requests.used += _REQUEST_COST
        refused.refuse(fault)

    def _flush(self) -> None:
        """Write what is ready, as far as the client takes it; then close, if that was the last."""
        if self._closing:
            return
        self._collect()
        while self._out:
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out.clear()
            if not self._line:
                # Nothing else is asked: what is said now need not wait for more.
                self._speak(data)
                break
            self._wire.write(data)
            self._collect()
        if self._ending and not self._line:
            self._close()
            return
        if self._reader.expects:
            self._continue()
        if self._held or self._line or self._blocked:
            self.regulate()

    def _collect(self) -> None:
        line, out = self._line, self._out
        while line:
            first = line[0]
            if isinstance(first, Request):
                if first.answer is None:
                    return
                out.append(first.answer)
                self._requests.give_back(len(first.body) + _REQUEST_COST)
            else:
                if self._blocked or not first.backlog:
                    return
                before = first.backlog
                out.append(first.take(_PIECE))
                self._answers.give_back(before - first.backlog)
                if first.backlog or not first.finished:
                    return
            line.popleft()
            if isinstance(first, Stream) and not first.complete:
                self._ending = self._linger = True
            elif not first.keep:
                self._ending = True

    def _continue(self) -> None:
        """Say ``100 Continue`` if the client waits for it and it is its turn (RFC 9110, 10.1.1)."""
        reader = self._reader
        if reader.expects and (not self._line or self._line[0] is reader.stream):
            reader.expects = False
            self._wire.write(CONTINUE)

    def _close(self) -> None:
        self._closing = True
        self._wire.unregisterProducer()
        self._reader.stop()
        self._reader.waited = 0
        if self._held:
            self._held = False
            self._wire.resumeProducing()
        if self._linger:
            # A client that is still sending would lose our answer to a reset; it is read out for a while instead.
            self._wire.loseWriteConnection()
        else:
            self._wire.loseConnection()

    def _must_hold(self) -> bool:
        streaming = self._reader.stream
        if len(self._line) >= self._limits.pipeline or (self._reader.deaf and self._line):
            return True
        if self._requests.full:
            self._requests.wait(self)
            return True
        if streaming is None:
            return self._blocked
        if streaming.held or streaming.backlog > (self._limits.backlog // 2 if self._held else self._limits.backlog):
            return True
        if self._answers.full and streaming.backlog:
            self._answers.wait(self)
            return True
        return False


def _never(_request: Request) -> None:
    raise AssertionError("a refusal has no responder")


_NO_HEAD: Final = Head(_never, "", b"")
