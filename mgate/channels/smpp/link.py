"""One connection to an operator: a session's coat. Octets in, events out; it decides nothing.

Twisted gathers what is written within one turn of the reactor into one send, so an answer may be written as it comes.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mgate.channels.smpp.events import Arrival, Arrived, Close, Event
from mgate.channels.smpp.pdu import ESME_ROK
from mgate.channels.smpp.session import Session, SessionState
from mgate.channels.smpp.trace import Tap
from mgate.model.message import Outgoing
from mgate.model.outcome import NotWritten

_USER_TIMEOUT_MS: Final = 20_000
"""What was sent and not acknowledged by the peer's kernel for so long means that the line is dead (RFC 5482)."""

_CLOSE_LIMIT: Final = 2.0
"""Seconds for the last octets to leave before the connection is dropped."""

_MOST_OWED: Final = 2000
"""Inbound PDUs that may wait for their commit; beyond it the peer is not read, so that memory stays bounded."""

_SHORTEST_SLEEP: Final = 0.001


@implementer(IPushProducer)
class Link(Protocol):
    """One connection, from connect to its loss.

    ``tell`` is given every event; ``gone`` comes last, once, with the reason and whether the end was orderly. ``tap``
    is shown all that comes and goes, while somebody looks.
    """

    def __init__(
        self, session: Session[Outgoing], clock: IReactorTime, tell: Callable[[Link, Event[Outgoing]], None],
        gone: Callable[[Link, str, bool], None],
    ) -> None:  # fmt: skip
        self.session = session
        self._clock = clock
        self._tell = tell
        self._gone = gone
        self._timer: IDelayedCall | None = None
        self._choked = False
        self._owed = 0
        self._deaf = False
        self._end: Close | None = None
        self._over = False
        self.tap: Tap | None = None

    @property
    def bound(self) -> bool:
        """Whether it takes submits."""
        return self.session.state is SessionState.BOUND

    # ---- asking to say something ----

    def submit(self, parts: Sequence[Outgoing], bodies: Sequence[bytes]) -> NotWritten | None:
        """Ask for a submit_sm for each; they leave with ``flush``. None: their outcomes come as events."""
        said = self.session.submit(parts, bodies, self._clock.seconds())
        return said if isinstance(said, NotWritten) else None

    def answer(self, arrivals: Sequence[Arrival], status: int = ESME_ROK) -> None:
        """Answer inbound PDUs; does nothing once the connection is over."""
        if self._over:
            return
        self.session.answer(arrivals, status)
        self._owed -= len(arrivals)
        if self._owed <= _MOST_OWED // 2:
            self._read_on(True)
        self.flush()

    def unbind(self) -> None:
        """End it in order, or drop it when it is not bound."""
        if self.bound:
            self.session.unbind(self._clock.seconds())
            self.flush()
        else:
            self.drop()

    def drop(self) -> None:
        """End it now."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.abortConnection()
        elif self.transport is not None:
            self.transport.loseConnection()

    def flush(self) -> None:
        """Write what there is to say, unless the peer does not take it; then set the timer."""
        if not self._choked and not self._over:
            self._write()
        self._arm()

    # ---- Twisted ----

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
            handle: socket.socket = self.transport.getHandle()  # type: ignore[attr-defined]  # it is an ISystemHandle
            handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
        if self.transport is not None:
            self.transport.registerProducer(self, True)  # type: ignore[attr-defined]  # any stream has it
        self.session.open(self._clock.seconds())
        self.flush()

    def dataReceived(self, data: bytes) -> None:
        if self.tap is not None:
            self.tap.heard(data)
        self._act(self.session.receive(data, self._clock.seconds()))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._over = True
        # Some operators end a session after so many messages, at night, or when they restart, and do not unbind.
        clean = self.bound and reason.check(ConnectionDone) is not None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for event in self.session.closed(self._clock.seconds()):
            self._tell(self, event)
        end = self._end or Close("the operator closed the connection" if clean else reason.getErrorMessage(), clean)
        self._gone(self, end.reason, end.orderly)

    def pauseProducing(self) -> None:
        self._choked = True

    def resumeProducing(self) -> None:
        self._choked = False
        self.flush()

    def stopProducing(self) -> None:
        self._choked = True

    # ---- within ----

    def _act(self, events: Sequence[Event[Outgoing]]) -> None:
        for event in events:
            if isinstance(event, Close):
                self._close(event)
                self._tell(self, event)
                return
            if isinstance(event, Arrived):
                self._owed += len(event.arrivals)
                if self._owed > _MOST_OWED:
                    self._read_on(False)
            self._tell(self, event)
        self.flush()

    def _close(self, end: Close) -> None:
        """Say the last words, then close; a peer that does not take them is dropped."""
        self._end = end
        self._write()
        if self.transport is not None:
            self.transport.unregisterProducer()  # type: ignore[attr-defined]  # any stream has it
            self.transport.loseConnection()
        if not self._over:
            self._sleep(_CLOSE_LIMIT, self.drop)

    def _write(self) -> None:
        octets = self.session.take()
        if octets and self.transport is not None:
            if self.tap is not None:
                self.tap.said(octets)
            self.transport.write(octets)

    def _read_on(self, go: bool) -> None:
        """Read the peer, or let it wait."""
        if go is not self._deaf:
            return
        transport, self._deaf = self.transport, not go
        if ITCPTransport.providedBy(transport):
            if go:
                transport.resumeProducing()  # type: ignore[attr-defined]  # a TCP transport is a push producer too
            else:
                transport.pauseProducing()  # type: ignore[attr-defined]  # the same

    def _arm(self) -> None:
        if self._over or self._end is not None:
            return
        deadline = self.session.next_deadline()
        if deadline is None or (self._timer is not None and self._timer.getTime() <= deadline):
            return
        self._sleep(max(deadline - self._clock.seconds(), _SHORTEST_SLEEP), self._expire)

    def _sleep(self, seconds: float, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.callLater(seconds, self._wake, then)

    def _wake(self, then: Callable[[], None]) -> None:
        self._timer = None
        then()

    def _expire(self) -> None:
        self._act(self.session.expire(self._clock.seconds()))
