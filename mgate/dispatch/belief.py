"""What the dispatcher believes of one lane in the spool, and when it must look again.

A new message may leave in the commit that accepts it only when nothing of its lane waits, so believing too early that
nothing does would let the young overtake the old. The belief "more waits than is in memory" is dropped only by a read
that saw the whole lane, and only if nobody said otherwise since it was asked for: a read sees the spool as it was then.

While nothing waits but what is in memory, the headers of new messages are queued as acceptance hands them over; no
read is needed. They are held until the turn is done, because in one commit what is urgent comes before what is older;
and while a read is under way until its answer, which may show older ones. When that shows less than the whole lane they
are let go, for the next read shows them in their place; so are they when there is no room: memory is bounded, the spool
is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from mgate.model.ready import Header, Ready

LOOK_AGAIN: Final = 1.0
"""Seconds after which even a lane believed empty is read: rows come back by ways that nobody tells of, and one small
read a second is cheaper than a row forgotten."""

MOST_HELD: Final = 1000
"""Headers of a lane that are held until they may be queued."""

_REST: Final = 0.02
"""Seconds before a read is repeated that brought nothing but what was known."""

_part: Final = attrgetter("part")


class Belief:
    """One lane's belief. A moment called ``now`` is monotonic seconds, one called ``wall`` seconds since 1970."""

    __slots__ = (
        "_asked_at", "_contradicted", "_gone", "_held", "_known", "_later", "_rest_until", "asking", "coming",
        "may_wait", "next_due", "returned",
    )  # fmt: skip

    def __init__(self) -> None:
        self.may_wait = True
        self.asking = False
        self.next_due = 0.0
        self.returned = False
        self.coming = 0
        """Messages that were refused a slot and whose commit has not been heard of."""
        self._contradicted = False
        self._asked_at = 0.0
        self._rest_until = 0.0
        self._known: set[int] = set()
        self._gone: set[int] = set()
        self._held: list[Header] = []
        self._later = 0.0

    def told_of_return(self) -> None:
        """A part that had left came back: it may be older than all that was read ahead."""
        self.told()
        self.returned = True

    def told(self) -> None:
        """Somebody put a part into this lane of the spool."""
        self.may_wait = True
        self._contradicted = True
        self._rest_until = 0.0

    def told_of_later(self, due: float) -> None:
        """A part that is due then was put into this lane."""
        self.next_due = _sooner(self.next_due, due)
        self._later = _sooner(self._later, due)

    def handed(self, headers: Sequence[Header]) -> None:
        """A commit has put these into the spool."""
        if len(self._held) + len(headers) > MOST_HELD:
            self._held.clear()
            self.told()
        else:
            self._held += headers

    def to_queue(self, room: int, wall: float) -> Sequence[Header]:
        """What was handed over and may be queued now, oldest first, at most ``room``."""
        if self.asking or not self._held:
            return ()
        held, self._held = self._held, []
        if self.waits(wall):
            self.told()
            return ()
        held.sort(key=_part)
        if len(held) > room:
            del held[room:]
            self.told()
        self._known.update(map(_part, held))
        return held

    def quiet(self) -> bool:
        """Whether nothing of the lane is on its way into memory or may stand in the spool beyond it, but for what is
        due later."""
        return not (self.may_wait or self.coming or self._held)

    def waits(self, wall: float) -> bool:
        """Whether more may wait in the spool for this lane, due, than is known here."""
        return self.may_wait or 0.0 < self.next_due <= wall

    def wants_read(self, now: float, wall: float) -> bool:
        """Whether it makes sense to read the lane now."""
        if self.asking or now < self._rest_until:
            return False
        return self.waits(wall) or now >= self._asked_at + LOOK_AGAIN

    def wakes_at(self, now: float, wall: float) -> float:
        """When, on the clock of ``now``, ``wants_read`` may turn true by itself."""
        at = self._asked_at + LOOK_AGAIN
        if self.next_due:
            at = min(at, now + max(self.next_due - wall, 0.0))
        if self.may_wait:
            at = min(at, self._rest_until)
        return max(at, now)

    @property
    def known(self) -> int:
        """How many parts of the lane are in the dispatcher's hands and still stand as ready in the spool."""
        return len(self._known)

    def asked(self, now: float) -> None:
        """A read was asked for."""
        self.asking = True
        self.returned = False
        self._contradicted = False
        self._later = 0.0
        self._asked_at = now

    def heard(self, answer: Ready, whole: bool, room: int, now: float, wall: float) -> list[Header]:
        """The read's answer came: the headers that are new, and those that were held for it, as far as there is
        ``room`` beside. ``whole``: it left out nothing that was due."""
        self.asking = False
        alive = [header for header in answer.headers if header.expires > wall]
        new = [header for header in alive if header.part not in self._known and header.part not in self._gone]
        self.next_due = _sooner(answer.next_due, self._later)
        self.may_wait = not whole or self._contradicted
        if not new and not self._contradicted and not self._held:
            self._rest_until = now + _REST
        if self._held:
            new += self._let_go(answer, room - len(new))
        self._gone.clear()
        self._known.update(map(_part, new))
        return new

    def _let_go(self, answer: Ready, room: int) -> list[Header]:
        """What was held for the answer and is not in it, if all of the lane is then in memory."""
        held, self._held = self._held, []
        shown = {header.part for header in answer.headers}
        more = [header for header in held if header.part not in shown]
        if self.may_wait or len(more) > room:
            self.may_wait = True
            self._rest_until = 0.0
            return []
        more.sort(key=_part)
        return more

    def left(self, parts: Sequence[int]) -> None:
        """These parts are ready no more, or are out of our hands. A read under way may still show them as they were."""
        self._known.difference_update(parts)
        if self.asking:
            self._gone.update(parts)


def _sooner(one: float, other: float) -> float:
    """The earlier of two moments, 0 being none."""
    return min(one, other) if one and other else one or other
