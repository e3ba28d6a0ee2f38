"""Connections to a push socket, as a program of the bank would hold them: one endless batch, or single pushes.

HTTP/1.1 over a UNIX socket. A link that is lost gives back what had no answer; whoever holds it pushes that again.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import httptools
import msgspec
from msgspec import Struct

from mgate.peers.traffic import Draft

_BATCH: Final = (
    b"POST /v1/messages:batch HTTP/1.1\r\nHost: mgate\r\nContent-Type: application/x-ndjson\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_SINGLE: Final = (
    b"POST /v1/messages HTTP/1.1\r\nHost: mgate\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
)
LONGEST_PAUSE: Final = 1.0
_COME_AGAIN: Final = frozenset((429, 503))
_LATER: Final = frozenset(("busy", "not_kept", "stopping"))


class Answer(Struct, frozen=True, gc=False):
    """What the daemon says about one message; in a batch with the number of its line."""

    ref: str = ""
    id: str = ""
    state: str = ""
    parts: int = 0
    duplicate: bool = False
    error: str = ""
    field: str = ""
    detail: str = ""
    line: int = 0


class Supply(Protocol):
    """Where a link takes drafts from and brings answers to."""

    def take(self, most: int) -> list[Draft]:
        """Up to `most` drafts that are due now."""

    def told(self, draft: Draft, answer: Answer) -> None:
        """The daemon has answered."""

    def back(self, drafts: list[Draft], pause: float) -> None:
        """These had no answer, or "come again": push them after so many seconds."""

    def exhausted(self) -> bool:
        """Whether nothing will ever be due again."""


class BrokeProtocol(Exception):
    """The daemon answered what its documentation does not allow; the text says what."""


class Link(asyncio.Protocol):
    """What both kinds of link share: the response parser, and the drafts without an answer, oldest first."""

    def __init__(self, supply: Supply, ended: Callable[[BaseException | None], None]) -> None:
        self._supply = supply
        self._ended = ended
        self._parser = httptools.HttpResponseParser(self)
        self._decoder = msgspec.json.Decoder(Answer)
        self._transport: asyncio.Transport | None = None
        self._outstanding: deque[Draft] = deque()
        self._paused = False
        self._pause = 0.0
        self._fault: BaseException | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin at once."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back what has no answer."""
        self._transport = None
        if self._outstanding:
            self._supply.back(list(self._outstanding), self._pause)
            self._outstanding.clear()
        self._ended(self._fault)

    def abandon(self) -> None:
        """Give back what has no answer, and hang up."""
        self._supply.back(list(self._outstanding), 0.0)
        self._outstanding.clear()
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse; then there may be room for more."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._fail(cause if isinstance(cause, BrokeProtocol) else BrokeProtocol(f"no HTTP: {error}"))
            return
        self.pump()

    def pause_writing(self) -> None:
        """The daemon does not read."""
        self._paused = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._paused = False
        self.pump()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Only Retry-After is of interest."""
        if name.lower() == b"retry-after" and value.isdigit():
            self._pause = min(float(value), LONGEST_PAUSE)

    def begin(self) -> None:
        """The connection stands."""
        self.pump()

    def pump(self) -> None:
        """Write what may be written now."""

    def _write(self, drafts: list[Draft], octets: bytes) -> None:
        now = time.time()
        for draft in drafts:
            draft.tries += 1
            draft.pushed = draft.pushed or now
        self._outstanding.extend(drafts)
        if self._transport is not None:
            self._transport.write(octets)

    def _decode(self, body: bytes) -> Answer:
        try:
            return self._decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise BrokeProtocol(f"an answer that cannot be read ({error}): {body[:200]!r}") from error

    def _fail(self, fault: BaseException) -> None:
        self._fault = fault
        if self._transport is not None:
            self._transport.abort()


class BatchLink(Link):
    """One request whose body goes on as long as there are drafts; at most `window` lines are without an answer."""

    def __init__(self, supply: Supply, ended: Callable[[BaseException | None], None], window: int) -> None:
        super().__init__(supply, ended)
        self._window = window
        self._rest = b""
        self._refused = b""
        self._line = 0
        self._over = False

    def begin(self) -> None:
        """Open the request."""
        if self._transport is not None:
            self._transport.write(_BATCH)
        self.pump()

    def pump(self) -> None:
        """One chunk with all that is due and has room; the last chunk when nothing will come."""
        if self._paused or self._over or self._transport is None:
            return
        room = self._window - len(self._outstanding)
        # Portions, not drops: a chunk for each single answer would measure the kernel.
        drafts = self._supply.take(room) if room * 4 >= self._window else []
        if drafts:
            lines = b"\n".join([draft.line for draft in drafts])
            self._write(drafts, b"%x\r\n%s\n\r\n" % (len(lines) + 1, lines))
        elif not self._outstanding and self._supply.exhausted():
            self._over = True
            self._transport.write(b"0\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Result lines, in the order of the drafts."""
        if self._parser.get_status_code() != 200:
            self._refused += body
            return
        whole, _, self._rest = (self._rest + body).rpartition(b"\n")
        try:
            answers = self._decoder.decode_lines(whole)
        except msgspec.MsgspecError as error:
            raise BrokeProtocol(f"an answer that cannot be read ({error}) among: {whole[:300]!r}") from error
        for answer in answers:
            self._result(answer)

    def on_message_complete(self) -> None:
        """The whole batch is answered, or refused."""
        status = self._parser.get_status_code()
        if status in _COME_AGAIN:
            self._pause = self._pause or LONGEST_PAUSE
        elif status != 200:
            raise BrokeProtocol(f"the batch was answered {status}: {self._refused[:300]!r}")
        if self._transport is not None:
            self._transport.close()

    def _result(self, answer: Answer) -> None:
        self._line += 1
        if answer.error and not answer.ref:
            # The daemon ends the batch, after a silence or because it stops: nothing from this line on was taken.
            self._over = True
            return
        if not self._outstanding:
            raise BrokeProtocol(f"a result for line {answer.line}, and nothing is unanswered")
        draft = self._outstanding.popleft()
        if answer.line != self._line or (answer.ref and answer.ref != draft.ref):
            told, expected = f"line {answer.line}, ref {answer.ref}", f"line {self._line}, ref {draft.ref}"
            self._outstanding.appendleft(draft)
            raise BrokeProtocol(f"results are out of order: {told} came where {expected} was due")
        if answer.error in _LATER:
            self._supply.back([draft], LONGEST_PAUSE)
        else:
            self._supply.told(draft, answer)


class SingleLink(Link):
    """One push after the other over a kept connection."""

    def __init__(self, supply: Supply, ended: Callable[[BaseException | None], None]) -> None:
        super().__init__(supply, ended)
        self._body = b""

    def pump(self) -> None:
        """The next push, when the last one is answered."""
        if self._outstanding or self._transport is None:
            return
        drafts = self._supply.take(1)
        if drafts:
            line = drafts[0].line
            self._write(drafts, _SINGLE % (len(line), line))
        elif self._supply.exhausted():
            self._transport.close()

    def on_body(self, body: bytes) -> None:
        """A piece of the answer."""
        self._body += body

    def on_message_complete(self) -> None:
        """The push is answered."""
        status = self._parser.get_status_code()
        body, self._body = self._body, b""
        if not self._outstanding:
            raise BrokeProtocol(f"an answer {status}, and nothing was asked")
        draft = self._outstanding.popleft()
        if status in _COME_AGAIN:
            self._supply.back([draft], self._pause or LONGEST_PAUSE)
        else:
            self._supply.told(draft, self._decode(body))
        if not self._parser.should_keep_alive() and self._transport is not None:
            self._transport.close()
