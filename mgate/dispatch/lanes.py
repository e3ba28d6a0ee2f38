"""The lanes: ready headers in memory, and who goes next.

Between lanes the order is strict, but one pick in 32 goes to the lane that has waited longest, so that a busy day of
codes does not stop everything else for good. Inside a lane clients take turns, so that one client's backlog delays
nobody but itself. The parts of a message follow one another: once its first part is picked, its client keeps the turn
until the rest is gone.

Messages of one part are picked in runs, as long as the lane cannot change: a run is the same picks, made at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from mgate.model.message import TrafficClass
from mgate.model.ready import Header
from mgate.policy.classes import LANES, RULES, URGENT

URGENT_LANES: Final = frozenset(RULES[traffic].lane for traffic in URGENT)
LANE_OF: Final[dict[TrafficClass, int]] = {traffic: rules.lane for traffic, rules in RULES.items()}

_SHARE: Final = 32


class _Turn:
    """The headers of one client, oldest first."""

    __slots__ = ("client", "headers")

    def __init__(self, client: str) -> None:
        self.client = client
        self.headers: deque[Header] = deque()


class Lane:
    """The headers of one lane, by client."""

    __slots__ = ("_clients", "_turns", "number", "picked_at", "queued", "urgent")

    def __init__(self, number: int) -> None:
        self.number = number
        self.urgent = number in URGENT_LANES
        self.queued = 0
        self.picked_at = 0
        self._clients: dict[str, _Turn] = {}
        self._turns: deque[_Turn] = deque()

    def add(self, headers: Iterable[Header]) -> None:
        """Queue headers, each behind those of its client, one that had left before the younger of them; a client new to
        the lane gets its turn last."""
        for header in headers:
            queue = self._queue(header.client)
            if header.attempts and queue and header.part < queue[-1].part:
                _insert(queue, header)
            else:
                queue.append(header)
            self.queued += 1

    def add_new(self, headers: Iterable[Header]) -> None:
        """Queue headers of messages that have just been accepted: what is urgent is committed first, so an older one
        may come later."""
        for header in headers:
            queue = self._queue(header.client)
            if queue and header.part < queue[-1].part:
                _insert(queue, header)
            else:
                queue.append(header)
            self.queued += 1

    def put_back(self, headers: Sequence[Header]) -> None:
        """Queue again, in front, parts of one message that were picked and did not leave."""
        queue = self._queue(headers[0].client)
        queue.extendleft(reversed(headers))
        turn = self._clients[headers[0].client]
        self._turns.remove(turn)
        self._turns.appendleft(turn)
        self.queued += len(headers)

    def clear(self) -> list[int]:
        """Queue nothing any more; the parts that were."""
        parts = [header.part for turn in self._turns for header in turn.headers]
        self._clients.clear()
        self._turns.clear()
        self.queued = 0
        return parts

    def take(self, room: int, run: int) -> list[Header]:
        """Up to ``room`` parts of the message whose turn it is; if it has but one, up to ``run`` such messages."""
        turns = self._turns
        if turns[0].headers[0].parts > 1:
            taken = self._take_parts(room)
        elif len(turns) == 1:
            taken = self._take_of_one(run)
        else:
            taken = self._take_in_turn(run)
        self.queued -= len(taken)
        return taken

    def _take_parts(self, most: int) -> list[Header]:
        queue = self._turns[0].headers
        taken = [queue.popleft()]
        head = taken[0].head
        while queue and len(taken) < most and queue[0].head == head:
            taken.append(queue.popleft())
        if not queue:
            self._forget_first()
        elif queue[0].head != head:
            self._turns.rotate(-1)
        return taken

    def _take_of_one(self, most: int) -> list[Header]:
        """The messages of the only client that is here."""
        queue = self._turns[0].headers
        taken: list[Header] = []
        for _ in range(min(most, len(queue))):
            if queue[0].parts > 1:
                break
            taken.append(queue.popleft())
        if not queue:
            self._forget_first()
        return taken

    def _take_in_turn(self, most: int) -> list[Header]:
        turns = self._turns
        taken: list[Header] = []
        while turns and len(taken) < most:
            queue = turns[0].headers
            if queue[0].parts > 1:
                break
            taken.append(queue.popleft())
            if queue:
                turns.rotate(-1)
            else:
                self._forget_first()
        return taken

    def _forget_first(self) -> None:
        del self._clients[self._turns.popleft().client]

    def _queue(self, client: str) -> deque[Header]:
        turn = self._clients.get(client)
        if turn is None:
            turn = self._clients[client] = _Turn(client)
            self._turns.append(turn)
        return turn.headers

    def well_fed(self, enough: int) -> frozenset[str]:
        """The clients of whom at least ``enough`` headers are here."""
        return frozenset(turn.client for turn in self._turns if len(turn.headers) >= enough)


def _insert(queue: deque[Header], header: Header) -> None:
    """Before the first that is younger."""
    queue.insert(next(at for at, other in enumerate(queue) if header.part < other.part), header)


class Lanes:
    """All lanes of one route."""

    def __init__(self) -> None:
        self.lanes: dict[int, Lane] = {number: Lane(number) for number in LANES}
        self._order = tuple(self.lanes.values())
        self._picks = 0

    @property
    def queued(self) -> int:
        """All headers here."""
        queued = 0
        for lane in self._order:
            queued += lane.queued
        return queued

    def add(self, lane: int, headers: Iterable[Header]) -> None:
        """Queue headers, in order."""
        self.lanes[lane].add(headers)

    def put_back(self, lane: int, headers: Sequence[Header]) -> None:
        """Queue again, in front, what was picked in one run and did not leave."""
        end = len(headers)
        while end:
            head = headers[end - 1].head
            start = end - 1
            while start and headers[start - 1].head == head:
                start -= 1
            self.lanes[lane].put_back(headers[start:end])
            end = start

    def pick(
        self, urgent_room: int, bulk_room: int, urgent_run: int = 1, bulk_run: int = 1
    ) -> tuple[int, list[Header]]:
        """The next lane, and who goes: parts of one message, at most as many as its kind has room for, or a run of
        messages of one part, as many as both its room and its ``run`` say. No parts when nothing may go.

        A room or a run of 0 shuts the lanes of that kind.
        """
        able = [
            lane
            for lane in self._order
            if lane.queued and (urgent_room and urgent_run if lane.urgent else bulk_room and bulk_run)
        ]
        if not able:
            return 0, []
        self._picks += 1
        lane = able[0]
        if len(able) == 1:
            ahead = lane.queued
        elif self._picks % _SHARE:
            ahead = _SHARE - self._picks % _SHARE  # the pick after these is the share's
        else:
            lane, ahead = min(able, key=lambda waiting: waiting.picked_at), 1
        room, run = (urgent_room, urgent_run) if lane.urgent else (bulk_room, bulk_run)
        taken = lane.take(room, min(room, run, ahead))
        if taken[0].parts == 1:
            self._picks += len(taken) - 1
        lane.picked_at = self._picks
        return lane.number, taken

    def holds(self, urgent: bool) -> bool:
        """Whether headers of that kind wait here."""
        return any(lane.queued and lane.urgent == urgent for lane in self._order)
