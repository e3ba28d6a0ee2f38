"""Calling others over HTTP/1.1: one kind of request, kept connections, no redirect followed, no answer waited for long.

The octets are Twisted's (``twisted.web.client``). What the answer says beside its status is read and thrown away, so
that the connection can be used again, and only so much of it: a peer that talks without end is hung up on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Final, NamedTuple

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, FileBodyProducer, HTTPConnectionPool, ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IResponse
from zope.interface import implementer

KEPT: Final = 2
"""Connections that are kept open to one host."""

IDLE: Final = 60
"""Seconds after which one that is not used is closed."""

MOST_SAID: Final = 64 << 10
"""Octets of an answer's body after which the connection is dropped."""

LONGEST_ASKED: Final = 86_400.0
"""Seconds that a Retry-After is believed for."""


class Answered(NamedTuple):
    """The peer's answer. ``retry_after``: seconds, 0.0 when it does not say."""

    status: int
    retry_after: float


class Unanswered(Exception):
    """No answer: the network, TLS, or the time limit; the words say which."""


@implementer(IAgentEndpointFactory)
class _Ways:
    def __init__(self, way: Callable[[str, int], IStreamClientEndpoint]) -> None:
        self._way = way

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: N802  # Twisted's name
        return self._way(uri.host.decode(), uri.port)


class Caller:
    """Posts to one place.

    Args:
        reactor: the reactor.
        way: the endpoint to a host and port, TLS within it.
        wall: seconds since 1970, for a Retry-After that names a moment.
    """

    def __init__(
        self, reactor: IReactorTime, way: Callable[[str, int], IStreamClientEndpoint], wall: Callable[[], float]
    ) -> None:
        self._reactor = reactor
        self._wall = wall
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = KEPT
        self._pool.cachedConnectionTimeout = IDLE
        # Whether a request may be repeated is the caller's to decide: it waits between two tries, and counts them.
        self._pool.retryAutomatically = False
        self._agent = Agent.usingEndpointFactory(reactor, _Ways(way), self._pool)

    def post(self, url: str, headers: Mapping[str, str], body: bytes, limit: float) -> Deferred[Answered]:
        """Post, and read the whole answer within so many seconds. Fails with `Unanswered`."""
        said = Headers({name: [value] for name, value in headers.items()})
        asked: Deferred[IResponse] = self._agent.request(
            b"POST", url.encode("ascii"), said, FileBodyProducer(BytesIO(body))
        )
        answered = asked.addCallback(self._heard)
        answered.addTimeout(limit, self._reactor, lambda *_: _too_late(limit))
        return answered.addErrback(_unanswered)

    def close(self) -> Deferred[None]:
        """Let the kept connections go."""
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed

    def _heard(self, response: IResponse) -> Deferred[Answered]:
        wanted = response.headers.getRawHeaders("retry-after", [""])[0]
        answer = Answered(response.code, retry_after(wanted, self._wall()))
        rest = _Rest(answer)
        response.deliverBody(rest)
        return rest.done


class _Rest(Protocol):
    """The body of an answer, which nobody reads."""

    def __init__(self, answer: Answered) -> None:
        self._answer = answer
        self._octets = 0
        self.done: Deferred[Answered] = Deferred(lambda _: self._hang_up())

    def dataReceived(self, data: bytes) -> None:  # Twisted's name
        self._octets += len(data)
        if self._octets > MOST_SAID:
            self._hang_up()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # Twisted's name
        """The status came whole: however the rest ended, it is the answer."""
        if not self.done.called:
            self.done.callback(self._answer)

    def _hang_up(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.abortConnection()
        elif self.transport is not None:
            self.transport.loseConnection()


def retry_after(text: str, now: float) -> float:
    """Seconds of a Retry-After (RFC 9110 section 10.2.3): a number of them, or a moment; 0.0 for anything else."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), LONGEST_ASKED)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError):
        return 0.0
    at = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max(at.timestamp() - now, 0.0), LONGEST_ASKED)


def _too_late(limit: float) -> Failure:
    return Failure(Unanswered(f"no answer within {limit:.0f} s"))


def _unanswered(failure: Failure) -> Failure:
    error = failure.value
    if isinstance(error, Unanswered | CancelledError):
        return failure
    reasons = getattr(error, "reasons", None)
    if reasons:  # one wrapping of Twisted's: the last of them is why
        inner = next((one.value for one in reversed(reasons) if not one.check(ResponseDone)), error)
        return Failure(Unanswered(_words(inner)))
    return Failure(Unanswered(_words(error)))


def _words(error: BaseException | None) -> str:
    return str(error) or type(error).__name__
