"""Messages that leave at a pace of their own, by client or by tag, whatever the accounts allow.

Each message that a pace is for is given its turn when it is taken, as the moment before which it must not leave; it
waits in the spool like any that was sent for later, and nothing has to be counted when it leaves. A second's worth may
leave at once.

What is sent for later takes turns from its own minute on, apart from what is to leave now: where the two meet, both
paces add up. Nor are turns remembered over a restart: what was taken before keeps its own, and new messages begin anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from mgate.config.paces import Pace
from mgate.intake.codes import Code, refusal
from mgate.model.entry import Submission
from mgate.model.message import CLASS_BY_WORD, TrafficClass
from mgate.model.ports import Acceptor, Answer, Refusal
from mgate.policy.pacing import Turns
from mgate.policy.segments import count

_RETRY: Final = 60


_MOST: Final = 10_000
"""Queues that are remembered before those are forgotten that are over."""


class _Queue(NamedTuple):
    """What takes turns: messages of a pace that may leave from this minute (since 1970) on; 0: now."""

    name: str
    minute: int


class _For(NamedTuple):
    """Whom a pace is for."""

    name: str
    classes: frozenset[TrafficClass]
    clients: frozenset[str]
    tags: frozenset[str]

    def meets(self, asked: Submission) -> bool:
        if asked.traffic not in self.classes or (self.clients and asked.client not in self.clients):
            return False
        return not self.tags or not self.tags.isdisjoint(asked.tags)


class Paced:
    """An ``Acceptor`` behind the paces. ``wall``: seconds since 1970."""

    def __init__(self, acceptor: Acceptor, paces: Sequence[Pace], wall: Callable[[], float]) -> None:
        self._acceptor = acceptor
        self._wall = wall
        self._turns: dict[_Queue, Turns] = {}
        self.apply(paces)

    def apply(self, paces: Sequence[Pace]) -> None:
        """Go on by these paces; whose name stays keeps the turns that were given."""
        self._rates = {pace.name: float(pace.rate) for pace in paces}
        self._for = tuple(
            _For(pace.name, frozenset(CLASS_BY_WORD[word] for word in pace.classes), frozenset(pace.clients),
                 frozenset(pace.tags))
            for pace in paces
        )  # fmt: skip
        self._turns = {
            queue: turns._replace(rate=self._rates[queue.name])
            for queue, turns in self._turns.items()
            if queue.name in self._rates
        }

    def accept(self, submissions: Sequence[Submission], answer: Callable[[Sequence[Answer]], None]) -> None:
        """See ``model.ports.Acceptor``."""
        if not self._for:
            self._acceptor.accept(submissions, answer)
            return
        now = self._wall()
        paced = [self._in_turn(asked, now) for asked in submissions]
        passed = [asked for asked in paced if isinstance(asked, Submission)]
        if not passed:
            answer([asked for asked in paced if isinstance(asked, Refusal)])
            return

        def answered(answers: Sequence[Answer]) -> None:
            in_order = iter(answers)
            answer([asked if isinstance(asked, Refusal) else next(in_order) for asked in paced])

        self._acceptor.accept(passed, answered)

    def _in_turn(self, asked: Submission, now: float) -> Submission | Refusal:
        meant = [each.name for each in self._for if each.meets(asked)]
        if not meant:
            return asked
        parts, moment = count(asked.text.reveal()), max(now, asked.not_before)
        minute = int(moment // 60) if moment > now else 0
        taken: dict[_Queue, Turns] = {}
        for name in meant:
            queue = _Queue(name, minute)
            turns = self._turns.get(queue) or Turns(self._rates[name])
            moment, taken[queue] = turns.take(moment, parts)
        if moment >= asked.expires:
            return refusal(Code.RATE, "", f"by [paces.{meant[0]}] its turn comes after its life", _RETRY)
        self._keep(taken, now)
        return msgspec.structs.replace(asked, not_before=moment) if moment > now else asked

    def _keep(self, taken: Mapping[_Queue, Turns], now: float) -> None:
        self._turns.update(taken)
        if len(self._turns) > _MOST:
            self._turns = {queue: turns for queue, turns in self._turns.items() if turns.next > now - 1.0}
