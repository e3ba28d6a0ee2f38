"""What the dispatcher asks of the spool. Every callback comes on the reactor's thread, exactly once, never from inside
the call that asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from mgate.model.message import Outgoing
from mgate.model.outcome import Outcome
from mgate.model.ready import Ask, Mark, Ready, Stranded
from mgate.spool.verbs import Move, NotKept, Wish

LeaseAnswer = Sequence[Outgoing | None] | NotKept


class Spool(Protocol):
    """The spool's service, as far as dispatch needs it."""

    def lease(self, wishes: Sequence[Wish], done: Callable[[LeaseAnswer], None]) -> None:
        """Mark these parts as leaving. After the commit: one answer for each, opened and ready to be written, or None
        for what was no longer ready, due and alive. NotKept: the commit failed cleanly, and none of them is leased."""

    def end(self, results: Sequence[tuple[Outgoing, Outcome]], done: Callable[[int | NotKept], None]) -> None:
        """Write down how these attempts ended. A commit that fails cleanly is tried again by the service, with the
        outcomes first in line; ``done`` comes when they are on the disk."""

    def ready(self, ask: Ask, done: Callable[[Ready], None]) -> None:
        """Read what is ready, on the read-only connection."""

    def stranded(
        self, route: str, lane: int, after: Mark, limit: int, done: Callable[[Sequence[Stranded]], None]
    ) -> None:  # fmt: skip
        """The next parts that are due in a lane, from behind that place on, at most so many; none at its end."""

    def move(self, move: Move, done: Callable[[int | NotKept], None]) -> None:
        """Take messages to other routes; answered by the number of parts that went."""

    def routes(self, done: Callable[[Sequence[str]], None]) -> None:
        """The routes on which anything waits."""
