"""One streamed batch: a message a line in, a result a line out, in order, each after its own commit.

What one read brings goes to acceptance in one call, and many calls may be out at once; their results wait in groups
until all groups before them are complete. How much may be out is bounded, and a client's rate is kept, in one way: the
body is not read on, and the client feels it. The results that the client does not read are bounded by ``net``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mgate.intake.answers import RETRY_WHEN_STOPPING, refused_line, taken_line
from mgate.intake.client import RateBucket
from mgate.intake.codes import BY_WORD, Code, refusal
from mgate.intake.lines import Lines, NumberedLine
from mgate.intake.request import read_ref
from mgate.model.entry import Submission
from mgate.model.ports import Acceptor, Answer, Refusal, Taken
from mgate.net.exchange import Stream
from mgate.telemetry import PushNumbers

MOST_OUT: Final = 4_096
"""Messages of one batch that may wait for their commit."""

MOST_OCTETS_OUT: Final = 1024 * 1024
"""Octets of these messages."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every batch of one client works with.

    Attributes:
        read: one line to a message (``quick.Reading``).
        wall: seconds since 1970; ``clock``: the reactor, or a ``Clock``.
        bucket: the client's rate; None for no limit.
    """

    read: Callable[[bytes, int, float], Submission | Refusal]
    acceptor: Acceptor
    clock: IReactorTime
    wall: Callable[[], float]
    bucket: RateBucket | None
    numbers: PushNumbers


class _Group:
    """What one read brought: a result for each line, empty where the answer is still out, and what was handed on.

    ``places``: of each submission, the index of its result and the number of its line.
    """

    __slots__ = ("complete", "octets", "places", "results", "submissions")

    def __init__(self) -> None:
        self.results: list[bytes] = []
        self.submissions: list[Submission] = []
        self.places: list[tuple[int, int]] = []
        self.octets = 0
        self.complete = False


class Batch:
    """Reads one batch and writes its results: a ``Sink``.

    Args:
        over: called once, when the batch has finished or its client has gone.
    """

    def __init__(self, stream: Stream, around: Surroundings, over: Callable[[Batch], None]) -> None:
        self._stream = stream
        self._around = around
        self._over = over
        self._lines = Lines()
        self._groups: deque[_Group] = deque()
        self._out = 0
        self._octets_out = 0
        self._debt: IDelayedCall | None = None
        self._last: Refusal | None = None
        self._closing = False
        self._done = False
        stream.start(200)

    def apply(self, around: Surroundings) -> None:
        """Read what comes from now on by these rules."""
        self._around = around

    def receive(self, data: bytes) -> None:
        """Take the lines that have come."""
        if not self._closing:
            self._take(self._lines.feed(data))
            self._regulate()

    def end(self) -> None:
        """The body is complete."""
        if not self._closing:
            self._take(self._lines.end())
            self._closing = True
            self._emit()

    def cut(self, code: str, detail: str) -> None:
        """The body broke off: what came before is answered, and the last line says why."""
        self._break_off(refusal(BY_WORD[code], "", f"{detail}; nothing from this line on was taken"))

    def stop(self) -> None:
        """The service stops: take no more, let the answers go out, and say so in a last line."""
        detail = "the service is stopping; nothing from this line on was taken"
        self._break_off(refusal(Code.STOPPING, "", detail, RETRY_WHEN_STOPPING))

    def gone(self) -> None:
        """The client has gone; what it sent is accepted or not, and it will ask again."""
        self._closing = True
        self._finish()

    def _break_off(self, last: Refusal) -> None:
        if not self._closing:
            self._closing = True
            self._last = last
            self._emit()

    def _take(self, lines: Sequence[NumberedLine]) -> None:
        if not lines:
            return
        around, now, uid = self._around, self._around.wall(), self._stream.peer.uid
        read, group = around.read, _Group()
        results, submissions, places = group.results, group.submissions, group.places
        for number, octets in lines:
            found = refusal(Code.LINE_TOO_LONG) if octets is None else read(octets, uid, now)
            if isinstance(found, Refusal):
                around.numbers.refused[found.code].n += 1
                results.append(refused_line(number, read_ref(octets or b""), found))
            else:
                places.append((len(results), number))
                results.append(b"")
                submissions.append(found)
                group.octets += len(octets or b"")
        self._groups.append(group)
        if submissions:
            self._hand_on(group)
        else:
            group.complete = True
            self._emit()

    def _hand_on(self, group: _Group) -> None:
        def answer(answers: Sequence[Answer]) -> None:
            self._out -= len(answers)
            self._octets_out -= group.octets
            self._note(group, answers)
            self._emit()
            self._regulate()

        messages = len(group.submissions)
        self._out += messages
        self._octets_out += group.octets
        self._pay(messages)
        self._around.acceptor.accept(group.submissions, answer)

    def _note(self, group: _Group, answers: Sequence[Answer]) -> None:
        """Write the answers into the group, each in its place, and count them."""
        numbers, results = self._around.numbers, group.results
        for (place, line), submission, one in zip(group.places, group.submissions, answers, strict=True):
            if isinstance(one, Taken):
                counted = numbers.duplicates if one.duplicate else numbers.accepted[submission.traffic]
                counted.n += 1
                results[place] = taken_line(line, submission.ref, one)
            else:
                numbers.refused[one.code].n += 1
                results[place] = refused_line(line, submission.ref, one)
        group.complete = True

    def _emit(self) -> None:
        """Write the results that are complete, as far as those before them are."""
        if self._done:
            return
        ready: list[bytes] = []
        while self._groups and self._groups[0].complete:
            ready += self._groups.popleft().results
        if ready:
            self._stream.write(b"".join(ready))
        if self._closing and not self._groups:
            if self._last is not None:
                self._stream.write(refused_line(self._lines.next_number, "", self._last))
            self._stream.finish()
            self._finish()

    def _pay(self, messages: int) -> None:
        bucket = self._around.bucket
        if bucket is None:
            return
        wait = bucket.take(messages, self._around.clock.seconds())
        if wait > 0.0:
            if self._debt is not None:
                self._debt.cancel()
            self._debt = self._around.clock.callLater(wait, self._paid)

    def _paid(self) -> None:
        self._debt = None
        self._regulate()

    def _regulate(self) -> None:
        if self._debt is not None or self._out >= MOST_OUT or self._octets_out >= MOST_OCTETS_OUT:
            self._stream.pause()
        elif self._out < MOST_OUT // 2 and self._octets_out < MOST_OCTETS_OUT // 2:
            self._stream.resume()

    def _finish(self) -> None:
        if not self._done:
            self._done = True
            if self._debt is not None:
                self._debt.cancel()
                self._debt = None
            self._over(self)
