"""The account, as its binds see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mgate.channels.smpp.events import Arrival
from mgate.channels.smpp.link import Link
from mgate.model.message import Outgoing
from mgate.model.outcome import Outcome

Results = Sequence[tuple[Outgoing, Outcome]]


class Owner(Protocol):
    """The account, as its binds see it."""

    def ended(self, results: Results) -> None:
        """Attempts ended."""

    def late(self, results: Results) -> None:
        """Answers came after their time-out."""

    def arrived(self, link: Link, arrivals: Sequence[Arrival]) -> None:
        """Inbound PDUs wait for their answer."""

    def changed(self) -> None:
        """A bind opened, closed, was paused or resumed."""
