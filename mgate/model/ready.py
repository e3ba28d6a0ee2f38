"""What is ready to leave, as the dispatcher sees it: headers, never a text; a number only where a route is chosen."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from mgate.model.message import Secret, TrafficClass


class Header(msgspec.Struct, frozen=True, gc=False):
    """One part that is ready and due.

    Attributes:
        part: its id; it is part ``n`` of ``parts``.
        client: whose message it is, for fairness.
        attempts: the attempts made of it so far, whatever became of them; 0 when it was never leased.
        expires: the end of its life, seconds since 1970.
    """

    part: int
    n: int
    parts: int
    client: str
    attempts: int
    expires: float

    @property
    def head(self) -> int:
        """The id of the message: that of its first part."""
        return self.part - self.n + 1


class Ask(msgspec.Struct, frozen=True, gc=False):
    """A question for the ready parts of one lane of one route.

    Attributes:
        limit: at most so many headers of each client.
        skip: clients of whom enough is known already.
    """

    route: str
    lane: int
    limit: int
    skip: frozenset[str]


class Ready(msgspec.Struct, frozen=True, gc=False):
    """The answer.

    Attributes:
        headers: parts that are ready, due and alive: grouped by client, by (due, id) within one.
        next_due: the earliest due moment of what is still waiting in this lane, of any client, seconds since 1970;
            0.0 when nothing is.
    """

    headers: tuple[Header, ...]
    next_due: float


class Mark(NamedTuple):
    """A place in a lane of a route: by client, then by moment (milliseconds since 1970), then by part."""

    client: str = ""
    due: int = 0
    part: int = 0


class Stranded(msgspec.Struct, frozen=True, gc=False):
    """A part that is ready and due on a route that cannot serve it, with what a decision on its route may look at.

    Attributes:
        to: E.164.
    """

    mark: Mark
    traffic: TrafficClass
    to: str
    sender: str
    tags: tuple[str, ...]
    text: Secret

    def __repr__(self) -> str:
        return f"Stranded({self.mark.part}, {self.traffic.word})"
