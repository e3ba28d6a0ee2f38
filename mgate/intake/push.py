"""The push API of one client: what its socket serves, on top of ``net.http``, an ``Acceptor`` and a ``Desk``.

Which socket it is says who asks; the kernel's word on the peer's uid is only noted. Every answer that says *accepted*
is given by acceptance, after the commit. A client sees its own messages and no others, and cannot tell a message of
another client from one that does not exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import msgspec
from twisted.internet.interfaces import IReactorTime

from mgate.intake import openapi
from mgate.intake.answers import RETRY_WHEN_STOPPING, refused_body, taken_body
from mgate.intake.batch import Batch, Surroundings
from mgate.intake.client import PushClient, RateBucket
from mgate.intake.codes import BY_WORD, Code, refusal
from mgate.intake.gathering import Gathering
from mgate.intake.preview import TextRules, look
from mgate.intake.quick import Reading
from mgate.model.entry import Submission
from mgate.model.message import MessageId, read_id, show_id
from mgate.model.ports import Acceptor, Answer, Desk, NoAnswer, Refusal, Taken
from mgate.model.view import MessageView
from mgate.net.exchange import JSON, Request, Stream, header
from mgate.net.routing import AnyRoute, Route, StreamRoute
from mgate.telemetry import PushNumbers

_ENCODE = msgspec.json.Encoder().encode


class PushApi:
    """Answers one client.

    Args:
        client: whose socket it is.
        acceptor: where batches go; ``gathering``: where single messages go, shared by all clients.
        desk: answers questions about messages.
        clock: the reactor, or a ``Clock``; ``wall``: seconds since 1970.
        numbers: what is counted.
        texts: what is done to texts, for previews.
    """

    def __init__(
        self,
        client: PushClient,
        acceptor: Acceptor,
        gathering: Gathering,
        desk: Desk,
        clock: IReactorTime,
        wall: Callable[[], float],
        numbers: PushNumbers,
        texts: TextRules,
    ) -> None:
        self._client = client
        self._texts = texts
        self._gathering = gathering
        self._desk = desk
        self._clock = clock
        self._wall = wall
        self._numbers = numbers
        self._bucket = None if client.rate is None else RateBucket(client.rate, clock.seconds())
        self._read = Reading(client).read
        self._around = Surroundings(self._read, acceptor, clock, wall, self._bucket, numbers)
        self._batches: set[Batch] = set()
        self._stopping = False

    def routes(self) -> list[AnyRoute]:
        """What the socket serves."""
        return [
            Route("POST", "/v1/messages", self._push),
            StreamRoute("POST", "/v1/messages:batch", self._open_batch),
            Route("GET", "/v1/messages", self._find),
            Route("GET", "/v1/messages/{}", self._show),
            Route("DELETE", "/v1/messages/{}", self._cancel),
            Route("POST", "/v1/preview", self._preview),
            Route("GET", "/v1/openapi.json", _describe),
        ]

    def admin_routes(self, duty: Callable[[], Collection[str]]) -> list[AnyRoute]:
        """What the admin socket serves of it, for mgatectl: single messages go to duty numbers only (E.164)."""
        return [
            Route("POST", "/v1/messages", lambda request: self._take(request, duty())),
            StreamRoute("POST", "/v1/messages:batch", self._open_batch),
            Route("POST", "/v1/preview", self._preview),
        ]

    def apply(self, client: PushClient) -> None:
        """Go on by these rules, batches that are open too. A rate that stays the same keeps its tokens."""
        if client.rate != self._client.rate:
            self._bucket = None if client.rate is None else RateBucket(client.rate, self._clock.seconds())
        self._client = client
        self._read = Reading(client).read
        self._around = replace(self._around, read=self._read, bucket=self._bucket)
        for batch in self._batches:
            batch.apply(self._around)

    def close(self) -> None:
        """Take no more messages: 503 from now on; batches are broken off with a last line. Questions are answered."""
        self._stopping = True
        for batch in tuple(self._batches):
            batch.stop()

    def _push(self, request: Request) -> None:
        self._take(request, None)

    def _take(self, request: Request, only_to: Collection[str] | None) -> None:
        refused = self._not_now()
        if refused is None:
            read = self._read(request.body, request.peer.uid, self._wall())
            if isinstance(read, Submission) and only_to is not None and read.to.e164 not in only_to:
                read = refusal(Code.NO_DUTY_NUMBER, "to", "not among the duty_numbers of [guards]")
            if isinstance(read, Submission):
                if self._bucket is not None:
                    self._bucket.take(1, self._clock.seconds())
                self._gathering.add(read, _Single(request, read, self._numbers).told)
                return
            refused = read
        self._numbers.refused[refused.code].n += 1
        _refuse(request, refused)

    def _not_now(self) -> Refusal | None:
        if self._stopping:
            return refusal(Code.STOPPING, retry_after=RETRY_WHEN_STOPPING)
        if self._bucket is not None:
            wait = self._bucket.wait_for_one(self._clock.seconds())
            if wait > 0.0:
                return refusal(Code.RATE, retry_after=math.ceil(wait))
        return None

    def _open_batch(self, stream: Stream) -> Batch | _Turned:
        if self._stopping:
            stream.start(Code.STOPPING.status, JSON + header("Retry-After", RETRY_WHEN_STOPPING))
            stream.write(refused_body(refusal(Code.STOPPING)))
            stream.finish()
            return _Turned()
        batch = Batch(stream, self._around, self._batches.discard)
        self._batches.add(batch)
        return batch

    def _preview(self, request: Request) -> None:
        view = look(request.body, self._texts)
        if isinstance(view, Refusal):
            _refuse(request, view)
        else:
            request.reply(200, _ENCODE(view))

    def _find(self, request: Request) -> None:
        ref = request.query("ref")
        if not ref:
            _refuse(request, refusal(Code.MISSING, "ref", "say which: ?ref=..., percent-encoded UTF-8"))
            return

        def answer(views: Sequence[MessageView] | NoAnswer) -> None:
            if isinstance(views, NoAnswer):
                _refuse(request, refusal(Code.BUSY, retry_after=1))
            else:
                request.reply(200, _ENCODE({"messages": views}))

        self._desk.by_ref(self._client.name, ref, answer)

    def _show(self, request: Request) -> None:
        message = _id_of(request)
        if message is None:
            return

        def answer(view: MessageView | NoAnswer | None) -> None:
            if view is None:
                _refuse(request, refusal(Code.UNKNOWN_MESSAGE))
            elif isinstance(view, NoAnswer):
                _refuse(request, refusal(Code.BUSY, retry_after=1))
            else:
                request.reply(200, _ENCODE(view))

        self._desk.show(self._client.name, message, answer)

    def _cancel(self, request: Request) -> None:
        message = _id_of(request)
        if message is None:
            return

        def answer(word: str) -> None:
            if word == "cancelled":
                request.reply(200, _ENCODE({"id": show_id(message), "state": word}))
            elif word == "unknown":
                _refuse(request, refusal(Code.UNKNOWN_MESSAGE))
            elif word == "busy":
                _refuse(request, refusal(Code.BUSY, retry_after=1))
            else:
                _refuse(request, refusal(BY_WORD[word]))

        self._desk.cancel(self._client.name, message, answer)


class _Single:
    """One pushed message that waits for its answer."""

    __slots__ = ("_numbers", "_request", "_submission")

    def __init__(self, request: Request, submission: Submission, numbers: PushNumbers) -> None:
        self._request = request
        self._submission = submission
        self._numbers = numbers

    def told(self, answer: Answer) -> None:
        if isinstance(answer, Taken):
            counted = self._numbers.duplicates if answer.duplicate else self._numbers.accepted[self._submission.traffic]
            counted.n += 1
            self._request.reply(200 if answer.duplicate else 202, taken_body(self._submission.ref, answer))
        else:
            self._numbers.refused[answer.code].n += 1
            _refuse(self._request, answer)


class _Turned:
    """The sink of a batch that was turned away: it reads nothing."""

    def receive(self, data: bytes) -> None:
        """Nothing is taken."""

    def end(self) -> None:
        """It has been answered."""

    def cut(self, code: str, detail: str) -> None:
        """It has been answered."""

    def gone(self) -> None:
        """It has been answered."""


def _id_of(request: Request) -> MessageId | None:
    """The id in the path; when there is none, the request is answered: no message has such an id."""
    message = read_id(request.params[0])
    if message is None:
        _refuse(request, refusal(Code.UNKNOWN_MESSAGE))
    return message


def _refuse(request: Request, refused: Refusal) -> None:
    headers = JSON + header("Retry-After", refused.retry_after) if refused.retry_after else JSON
    request.reply(refused.status, refused_body(refused), headers)


def _describe(request: Request) -> None:
    request.reply(200, openapi.document())
