"""The hosts of one account: which one to call, and when.

The first host that has not failed lately is called; when all have, the one whose failure is the oldest. A host that
failed is left alone for the fail-back time, and then preferred again to those that stand behind it. Operators count
connects by the host, so calls to one host are kept apart, whichever bind or account they are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from twisted.internet.interfaces import IStreamClientEndpoint

from mgate.channels.smpp.reconnect import Lockout, Spacing


class Host(NamedTuple):
    """One of them. ``name``: "host:port", for people; ``spacing``: shared by all who call it."""

    name: str
    endpoint: IStreamClientEndpoint
    spacing: Spacing


class Hosts:
    """What the binds of one account share about its hosts.

    Args:
        hosts: the one to prefer first; at least one.
        fail_back: seconds that one that failed is left alone while there is another.

    Attributes:
        lockout: of the account's password, wherever it is tried.
    """

    def __init__(self, hosts: Sequence[Host], fail_back: float) -> None:
        self._hosts = tuple(hosts)
        self._fail_back = fail_back
        self._failed: dict[int, float] = {}
        self.lockout = Lockout()

    @classmethod
    def only(cls, endpoint: IStreamClientEndpoint, every: float, name: str = "") -> Hosts:
        """One host."""
        return cls((Host(name, endpoint, Spacing(every)),), 0.0)

    def apply(self, every: float) -> None:
        """Keep the calls of each host so many seconds apart from now on."""
        for host in self._hosts:
            host.spacing.apply(every)

    def __getitem__(self, place: int) -> Host:
        return self._hosts[place]

    def best(self, now: float) -> int:
        """The place of the host to call."""
        for place in range(len(self._hosts)):
            failed = self._failed.get(place)
            if failed is None or now - failed >= self._fail_back:
                return place
        return min(self._failed, key=lambda place: self._failed[place])

    def plan(self, now: float, earliest: float) -> tuple[float, int]:
        """The first moment from ``earliest`` on at which the host to call may be called, and its place."""
        place = self.best(earliest)
        return self._hosts[place].spacing.plan(now, earliest), place

    def failed(self, place: int, now: float) -> None:
        """It could not be reached, refused the bind, or gave a session that did not last."""
        self._failed[place] = now

    def comes_back(self, place: int, now: float) -> float | None:
        """Seconds until a host before this one may be tried again; None when there is none before it."""
        waits = [max(self._failed.get(other, 0.0) + self._fail_back - now, 0.0) for other in range(place)]
        return min(waits, default=None)
