"""What is ready to leave, as the dispatcher sees it: headers only, never a text or a number."""

from __future__ import annotations

import msgspec


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
