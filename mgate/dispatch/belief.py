"""What the dispatcher believes of one lane in the spool, and when it must look again.

A new message may leave in the commit that accepts it only when nothing of its lane waits, so believing too early that
nothing does would let the young overtake the old. The belief "more waits than is in memory" is dropped only by a read
that saw the whole lane, and only if nobody said otherwise since it was asked for: a read sees the spool as it was then.
"""

from __future__ import annotations

from typing import Final

from mgate.model.ready import Header, Ready

LOOK_AGAIN: Final = 1.0
"""Seconds after which even a lane believed empty is read: rows come back by ways that nobody tells of, and one small
read a second is cheaper than a row forgotten."""

_REST: Final = 0.02
"""Seconds before a read is repeated that brought nothing but what was known."""


class Belief:
    """One lane's belief. A moment called ``now`` is monotonic seconds, one called ``wall`` seconds since 1970."""

    __slots__ = (
        "_asked_at", "_contradicted", "_gone", "_known", "_rest_until", "asking", "may_wait", "next_due", "returned",
    )  # fmt: skip

    def __init__(self) -> None:
        self.may_wait = True
        self.asking = False
        self.next_due = 0.0
        self.returned = False
        self._contradicted = False
        self._asked_at = 0.0
        self._rest_until = 0.0
        self._known: set[int] = set()
        self._gone: set[int] = set()

    def told_of_return(self) -> None:
        """A part that had left came back: it may be older than all that was read ahead."""
        self.told()
        self.returned = True

    def told(self) -> None:
        """Somebody put a part into this lane of the spool."""
        self.may_wait = True
        self._contradicted = True
        self._rest_until = 0.0

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
        self._asked_at = now

    def heard(self, answer: Ready, whole: bool, now: float, wall: float) -> list[Header]:
        """The read's answer came: the headers that are new. ``whole``: it left out nothing that was due."""
        self.asking = False
        alive = [header for header in answer.headers if header.expires > wall]
        new = [header for header in alive if header.part not in self._known and header.part not in self._gone]
        self.next_due = answer.next_due
        self.may_wait = not whole or self._contradicted
        if not new and not self._contradicted:
            self._rest_until = now + _REST
        self._gone.clear()
        self._known.update(header.part for header in new)
        return new

    def left(self, part: int) -> None:
        """The part is ready no more, or is out of our hands. A read under way may still show it as it was."""
        self._known.discard(part)
        if self.asking:
            self._gone.add(part)
