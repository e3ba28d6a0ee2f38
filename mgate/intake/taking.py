"""Claimed rows to acceptance, and what to tell the database of each. One batch at a time, several at once.

A row that is refused may be one that was taken before: its answer was lost, and meanwhile its life is over or a setting
has changed. So whatever is refused here is looked for first, and what is known is taken. A row that the bank cancels is
looked for too, once the batches before it have their answers: it may be among them.

A row that was taken before is claimed again when the database was restored, or its rows were rewound. What became of
its message was told once, and nobody else tells it twice: so a duplicate is answered with the state of now as well.

Rows of one customer go to acceptance in their order: those of one run share its fate, and the next run with rows of
his waits until the first has been answered. If one is given back, those behind it are too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Final, Protocol, TypeVar

from mgate.intake.rows import CANCELLED, Reading, Refused, RowRules, reference, told
from mgate.intake.unread import UnreadRows
from mgate.model.entry import Submission
from mgate.model.message import MessageId, TrafficClass, read_id, show_id
from mgate.model.ports import Acceptor, Answer, NoAnswer, Refusal, Taken
from mgate.model.source import Result, Row
from mgate.model.view import MessageView
from mgate.telemetry import Number

RUN: Final = 200
"""Rows that go to acceptance together: what one verb of the spool carries."""

_NOT_NOW: Final = (429, 503)
_LATE: Final = {
    "left": "too late to cancel: the operator has taken it",
    "may_have_left": "too late to be sure: it may have been sent; it will not be repeated",
    "ended": "nothing to cancel: it has ended",
}

_T = TypeVar("_T")


class Memory(Protocol):
    """What the spool and the history know of a source's messages: part of ``spool.desk.Desk``."""

    def known(
        self, client: str, refs: Sequence[str], answer: Callable[[Mapping[str, MessageId] | NoAnswer], None]
    ) -> None:  # fmt: skip
        """The messages of those references that are remembered."""

    def by_ref(self, client: str, ref: str, answer: Callable[[Sequence[MessageView] | NoAnswer], None]) -> None:
        """See ``model.ports.Desk``."""

    def cancel(self, client: str, message: MessageId, answer: Callable[[str], None]) -> None:
        """See ``model.ports.Desk``."""


@dataclass(slots=True)
class Outcome:
    """What came of a batch.

    Attributes:
        results: one for each row, behind the state of now where it was known.
        duplicates: how many of the taken were known.
        no_room: why acceptance took nothing more for now; None when it did.
    """

    results: list[Result] = field(default_factory=list)
    duplicates: int = 0
    no_room: Refusal | None = None


class Taking:
    """Takes batches of one source.

    Args:
        wall: seconds since 1970.
        unread: keeps the rows whose numbers could not be read.
        accepted: counts new messages, by class.
    """

    def __init__(
        self, rules: RowRules, acceptor: Acceptor, memory: Memory, wall: Callable[[], float], unread: UnreadRows,
        accepted: Mapping[TrafficClass, Number],
    ) -> None:  # fmt: skip
        self._reading = Reading(rules)
        self._acceptor = acceptor
        self._memory = memory
        self._wall = wall
        self._unread = unread
        self._accepted = accepted

    @property
    def rules(self) -> RowRules:
        """By what rows are read."""
        return self._reading.rules

    def apply(self, rules: RowRules) -> None:
        """Read by these from now on."""
        self._reading = Reading(rules)

    async def take(self, rows: Sequence[Row], before: Collection[asyncio.Task[None]]) -> Outcome:
        """Take these; ``before`` are done when the batches before this one have their answers."""
        outcome, now = Outcome(), self._wall()
        good: list[tuple[Row, Submission]] = []
        bad: list[tuple[Row, Refused]] = []
        cancelled: list[Row] = []
        reading = self._reading
        for row in rows:
            if row.cancel:
                cancelled.append(row)
                continue
            read = reading.read(row, now)
            if isinstance(read, Refused):
                bad.append((row, read))
            else:
                good.append((row, read))
        if good:
            await self._accept(good, outcome)
        if bad:
            await self._refuse(bad, outcome, now)
        if cancelled:
            if before:
                await asyncio.wait(before)
            outcome.results += chain.from_iterable(await asyncio.gather(*map(self._cancel, cancelled)))
        return outcome

    # ---- good ones -------------------------------------------------------------------------------------------------

    async def _accept(self, good: Sequence[tuple[Row, Submission]], outcome: Outcome) -> None:
        waiting_behind: set[str] = set()
        for wave in waves([row.customer for row, _ in good], RUN):
            runs = [[good[index] for index in run if good[index][0].customer not in waiting_behind] for run in wave]
            behind = [good[index][0] for run in wave for index in run if good[index][0].customer in waiting_behind]
            outcome.results += [self._returned(row) for row in behind]
            for run, answers in zip(runs, await asyncio.gather(*map(self._answers, runs)), strict=True):
                if all(map(_is_new, answers)):
                    outcome.results += self._all_taken(run, answers)
                    continue
                known = [row for (row, _), answer in zip(run, answers, strict=True) if _is_known(answer)]
                states = dict(zip(map(id, known), await asyncio.gather(*map(self._state, known)), strict=True))
                for (row, asked_for), answer in zip(run, answers, strict=True):
                    outcome.results += states.get(id(row)) or [self._result(row, answer)]
                    if isinstance(answer, Taken):
                        self._count(asked_for, answer, outcome)
                    elif answer.status in _NOT_NOW:
                        outcome.no_room = answer
                        waiting_behind |= {row.customer} - {""}

    def _all_taken(self, run: Sequence[tuple[Row, Submission]], answers: Sequence[Answer]) -> list[Result]:
        """What most runs come to, in one pass."""
        now, accepted = self._wall(), self._accepted
        results = []
        for (row, submission), answer in zip(run, answers, strict=True):
            if isinstance(answer, Taken):
                accepted[submission.traffic].n += 1
                results.append(_taken(row, answer.message, answer.parts, now))
        return results

    def _count(self, submission: Submission, taken: Taken, outcome: Outcome) -> None:
        if taken.duplicate:
            outcome.duplicates += 1
        else:
            self._accepted[submission.traffic].n += 1

    async def _answers(self, run: Sequence[tuple[Row, Submission]]) -> Sequence[Answer]:
        if not run:
            return ()
        return await asked(partial(self._acceptor.accept, [submission for _, submission in run]))

    async def _state(self, row: Row) -> list[Result]:
        """For a row that was taken before: its message's last event, and that it is taken; nothing if it is not found.

        With the event's own number, so that the write-back neither falls behind it nor overwrites it with less.
        """
        name = reference(row, self.rules)
        if isinstance(name, Refused):
            return []
        found = await asked(partial(self._memory.by_ref, self.rules.client.name, name))
        if isinstance(found, NoAnswer):
            return [self._returned(row)]
        message = read_id(found[0].id) if found else None
        if message is None:
            return []
        return [*_now(row, found[0]), self._taken(row, message, found[0].parts)]

    def _result(self, row: Row, answer: Answer) -> Result:
        match answer:
            case Taken():
                return self._taken(row, answer.message, answer.parts)
            case Refusal(status=status) if status in _NOT_NOW:
                return self._returned(row)
            case Refusal():
                return self._refused(row, told(answer))

    # ---- bad ones --------------------------------------------------------------------------------------------------

    async def _refuse(self, bad: Sequence[tuple[Row, Refused]], outcome: Outcome, now: float) -> None:
        names = [reference(row, self.rules) for row, _ in bad]
        wanted = [name for name in names if isinstance(name, str) and name]
        known = await asked(partial(self._memory.known, self.rules.client.name, wanted))
        for (row, refused), name in zip(bad, names, strict=True):
            if isinstance(known, NoAnswer):
                outcome.results.append(self._returned(row))
            elif isinstance(name, str) and name in known:
                outcome.duplicates += 1
                outcome.results += await self._state(row) or [self._taken(row, known[name], 0)]
            else:
                self._unread.add(row, refused, now)
                outcome.results.append(self._refused(row, refused))

    # ---- cancelled ones --------------------------------------------------------------------------------------------

    async def _cancel(self, row: Row) -> list[Result]:
        name = reference(row, self.rules)
        if isinstance(name, Refused):
            return [self._refused(row, name)]
        client = self.rules.client.name
        found = await asked(partial(self._memory.by_ref, client, name))
        if isinstance(found, NoAnswer):
            return [self._returned(row)]
        message = read_id(found[0].id) if found else None
        if message is None:
            return [self._refused(row, CANCELLED)]
        word = await asked(partial(self._memory.cancel, client, message))
        # What is leaving at this moment may yet be deferred by the operator: the bank's wish comes again with the row.
        if word in {"busy", "leaving"}:
            return [self._returned(row)]
        ended = _now(row, found[0]) if word == "ended" else []
        return [*ended, self._taken(row, message, found[0].parts, word)]

    # ---- results ---------------------------------------------------------------------------------------------------

    def _taken(self, row: Row, message: MessageId, parts: int, word: str = "") -> Result:
        """``word``: what became of the wish to cancel it; the message's own states come with the write-back."""
        return _taken(row, message, parts, self._wall(), word)

    def _refused(self, row: Row, why: Refused) -> Result:
        return Result(
            key=row.key, version=row.version, sequence=0, state="refused", reason=why.reason, at=self._wall(),
            error=why.sentence,
        )  # fmt: skip

    def _returned(self, row: Row) -> Result:
        return returned(row, self._wall())


def _taken(row: Row, message: MessageId, parts: int, now: float, word: str = "") -> Result:
    return Result(
        key=row.key, version=row.version, sequence=0, state="taken", message=show_id(message), reason=word, at=now,
        parts=parts, error=_LATE.get(word, "") if word else "",
    )  # fmt: skip


def _is_new(answer: Answer) -> bool:
    return isinstance(answer, Taken) and not answer.duplicate


def _is_known(answer: Answer) -> bool:
    return isinstance(answer, Taken) and answer.duplicate


def _now(row: Row, view: MessageView) -> list[Result]:
    """Where the message stands by its last event; nothing where its events are not known. The cost is not: what the
    result table has of it stays."""
    if not view.events:
        return []
    last = view.events[-1]
    channel, _, operator = (view.attempts[-1].route if view.attempts else "").partition(":")
    return [
        Result(
            key=row.key,
            version=row.version,
            sequence=last.sequence,
            state=last.event,
            message=view.id,
            reason=last.reason,
            may_have_been_sent=last.may_have_been_sent,
            at=datetime.fromisoformat(last.at).timestamp(),
            channel=channel,
            operator=operator,
            parts=view.parts,
        )
    ]


def returned(row: Row, now: float) -> Result:
    """Nothing happened to it: it may be claimed again."""
    return Result(key=row.key, version=row.version, sequence=0, state="returned", at=now)


async def asked(question: Callable[[Callable[[_T], None]], None]) -> _T:
    """A callback as something to wait for. An answer that comes when nobody waits any more is let go."""
    answer: asyncio.Future[_T] = asyncio.get_running_loop().create_future()

    def hear(what: _T) -> None:
        if not answer.done():
            answer.set_result(what)

    question(hear)
    return await answer


def waves(customers: Sequence[str], most: int) -> list[list[list[int]]]:
    """Which rows go together, by their places: waves, one after the other, of runs of up to ``most`` rows.

    Rows of one customer stand in their order, and within a wave in one run. Rows of no customer are free.
    """
    if not any(customers):
        return [[list(range(start, min(start + most, len(customers)))) for start in range(0, len(customers), most)]]
    found: list[list[list[int]]] = []
    last: dict[str, tuple[int, list[int]]] = {}
    for place, customer in enumerate(customers):
        wave, run = last.get(customer, (-1, None)) if customer else (-1, None)
        if run is None or len(run) == most:
            wave += 1
            if wave == len(found):
                found.append([])
            if not found[wave] or len(found[wave][-1]) == most:
                found[wave].append([])
            run = found[wave][-1]
        run.append(place)
        if customer:
            last[customer] = wave, run
    return found
