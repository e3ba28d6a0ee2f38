"""The lanes: ready headers in memory, and who goes next.

Between lanes the order is strict, but one pick in 32 goes to the lane that has waited longest, so that a busy day of
codes does not stop everything else for good. Inside a lane clients take turns, so that one client's backlog delays
nobody but itself. The parts of a message follow one another: once its first part is picked, its client keeps the turn
until the rest is gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from mgate.model.message import TrafficClass
from mgate.model.ready import Header
from mgate.policy.classes import LANES, RULES, URGENT

URGENT_LANES: Final = frozenset(RULES[traffic].lane for traffic in URGENT)
LANE_OF: Final[dict[TrafficClass, int]] = {traffic: rules.lane for traffic, rules in RULES.items()}

_SHARE: Final = 32


class Lane:
    """The headers of one lane, by client."""

    __slots__ = ("_clients", "number", "picked_at", "queued", "urgent")

    def __init__(self, number: int) -> None:
        self.number = number
        self.urgent = number in URGENT_LANES
        self.queued = 0
        self.picked_at = 0
        self._clients: dict[str, deque[Header]] = {}

    def add(self, header: Header) -> None:
        """Queue a header behind those of its client, one that had left before the younger of them; a client new to the
        lane gets its turn last."""
        queue = self._clients.setdefault(header.client, deque())
        if header.attempts and queue and header.part < queue[-1].part:
            queue.insert(next(at for at, other in enumerate(queue) if header.part < other.part), header)
        else:
            queue.append(header)
        self.queued += 1

    def put_back(self, headers: list[Header]) -> None:
        """Queue again, in front, parts of one message that were picked and did not leave."""
        queue = self._clients.pop(headers[0].client, deque())
        queue.extendleft(reversed(headers))
        self._clients = {headers[0].client: queue, **self._clients}
        self.queued += len(headers)

    def take(self, most: int) -> list[Header]:
        """Up to ``most`` parts of the message whose turn it is."""
        client, queue = next(iter(self._clients.items()))
        first = queue.popleft()
        taken = [first]
        if first.parts > 1:
            while queue and len(taken) < most and queue[0].head == first.head:
                taken.append(queue.popleft())
        self.queued -= len(taken)
        if not queue:
            del self._clients[client]
        elif len(self._clients) > 1 and (first.parts == 1 or queue[0].head != first.head):
            self._clients[client] = self._clients.pop(client)
        return taken

    def well_fed(self, enough: int) -> frozenset[str]:
        """The clients of whom at least ``enough`` headers are here."""
        return frozenset(client for client, queue in self._clients.items() if len(queue) >= enough)


class Lanes:
    """All lanes of one route."""

    def __init__(self) -> None:
        self.lanes: dict[int, Lane] = {number: Lane(number) for number in LANES}
        self._picks = 0

    @property
    def queued(self) -> int:
        """All headers here."""
        queued = 0
        for lane in self.lanes.values():
            queued += lane.queued
        return queued

    def add(self, lane: int, headers: Iterable[Header]) -> None:
        """Queue headers, in order."""
        for header in headers:
            self.lanes[lane].add(header)

    def put_back(self, lane: int, headers: list[Header]) -> None:
        """Queue again, in front, what was picked and did not leave."""
        self.lanes[lane].put_back(headers)

    def pick(self, urgent_room: int, bulk_room: int) -> tuple[int, list[Header]]:
        """The next message's lane and parts, at most as many as its kind has room for; no parts when nothing may go.

        A room of 0 shuts the lanes of that kind.
        """
        able = [lane for lane in self.lanes.values() if lane.queued and (urgent_room if lane.urgent else bulk_room)]
        if not able:
            return 0, []
        self._picks += 1
        lane = able[0]
        if self._picks % _SHARE == 0:
            lane = min(able, key=lambda waiting: waiting.picked_at)
        lane.picked_at = self._picks
        return lane.number, lane.take(urgent_room if lane.urgent else bulk_room)

    def holds(self, urgent: bool) -> bool:
        """Whether headers of that kind wait here."""
        return any(lane.queued and lane.urgent == urgent for lane in self.lanes.values())
