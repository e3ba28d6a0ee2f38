"""Single messages of one turn of the reactor, from all connections and clients, as one call to acceptance.

A call costs a verb, a callback and a place in the writer's queue, whatever it carries; a hundred clients that push one
message each at the same moment should cost one, not a hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mgate.model.entry import Submission
from mgate.model.ports import Acceptor, Answer

Told = Callable[[Answer], None]
Turn = Callable[[Callable[[], None]], object]
"""Calls back when everything that this turn of the reactor has read has been handled: ``reactor.callLater(0, ...)``."""


class Gathering:
    """Gathers until the turn's end, then hands on. One for all clients."""

    def __init__(self, acceptor: Acceptor, turn: Turn) -> None:
        self._acceptor = acceptor
        self._turn = turn
        self._submissions: list[Submission] = []
        self._told: list[Told] = []

    def add(self, submission: Submission, told: Told) -> None:
        """Hand this on with the others of this turn; ``told`` gets its answer."""
        self._submissions.append(submission)
        self._told.append(told)
        if len(self._told) == 1:
            self._turn(self._hand_on)

    def _hand_on(self) -> None:
        submissions, waiting = self._submissions, self._told
        self._submissions, self._told = [], []

        def answer(answers: Sequence[Answer]) -> None:
            for told, one in zip(waiting, answers, strict=True):
                told(one)

        self._acceptor.accept(submissions, answer)
