"""The slots of a route's configured binds.

A slot stands for one part that is leased or about to be, so the slots in use bound the leases (``states.md``, rule 1).
They belong to the configured bind and outlive its sessions: what a lost link left unanswered holds its slots until its
outcome is on the disk. Each slot lends its part a 16-bit reference that no other slot of the account holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heapreplace
from typing import Final

from mgate.model.ports import Slot
from mgate.policy.pacing import bulk_slots

_LAST_REFERENCE: Final = 0xFFFF

_SPARE_OF: Final = 2
"""Slots that the reserve must have, so that one of them is kept free."""


class Slots:
    """Counts who holds which slot of one route."""

    def __init__(self, route: str, windows: Sequence[int], first_reference: int = 1) -> None:
        """``windows``: of each configured bind. ``first_reference``: where to begin, so that a new start does not lend
        at once the references that the last one left in doubt."""
        if not windows or min(windows) < 1 or sum(windows) >= _LAST_REFERENCE:
            raise ValueError(f"{route}: windows {list(windows)}: each must be 1 or more, and their sum under 65535")
        self.route = route
        self.total = sum(windows)
        self._windows = tuple(windows)
        self._free = list(windows)
        self._bulk_free = [bulk_slots(window) for window in windows]
        self._reserves = [window - bulk_slots(window) for window in windows]
        self._holders: dict[int, Slot] = {}
        self._reference = first_reference - 1

    def apply(self, windows: Sequence[int]) -> None:
        """Lend by these windows from now on. What is held stays held: over a smaller window nothing more is lent until
        enough came free, and a bind that is configured no more has a window of 0."""
        if not windows or min(windows) < 0 or not 1 <= sum(windows) < _LAST_REFERENCE:
            raise ValueError(f"{self.route}: windows {list(windows)}: their sum must be 1 or more and under 65535")
        more = len(windows) - len(self._windows)
        before = (*self._windows, *[0] * more)
        after = (*windows, *[0] * -more)
        self._free = [
            now - was + free for was, now, free in zip(before, after, [*self._free, *[0] * more], strict=True)
        ]
        bulk_free = [*self._bulk_free, *[0] * more]
        self._bulk_free = [
            bulk_slots(now) - bulk_slots(was) + free for was, now, free in zip(before, after, bulk_free, strict=True)
        ]
        self._windows = after
        self._reserves = [window - bulk_slots(window) for window in after]
        self.total = sum(after)

    def window_of(self, bind: int) -> int:
        """The window of one bind."""
        return self._windows[bind]

    @property
    def used(self) -> int:
        """The slots in use."""
        return len(self._holders)

    def used_on(self, bind: int) -> int:
        """The slots in use on one bind."""
        return self._windows[bind] - self._free[bind]

    def room(self, binds: Sequence[int], urgent: bool) -> int:
        """How many slots of these binds such traffic may still take.

        Where the reserve has two slots or more, bulk leaves one slot free even when urgent traffic fills the reserve:
        the next code would have to wait for an answer of the operator.
        """
        room = free = reserve = 0
        for bind in binds:
            room += self._room_on(bind, urgent)
            free += self._free[bind]
            reserve += self._reserves[bind]
        return room if urgent or reserve < _SPARE_OF else max(min(room, free - 1), 0)

    def reserve(self, parts: int, binds: Sequence[int], urgent: bool, begun_on: int = -1) -> tuple[Slot, ...]:
        """A slot for each of up to ``parts`` parts of one message, as many as there is room for.

        A second bind would reorder the parts, so they go to the bind that the message was ``begun_on`` while it has
        room, else to the emptiest; only what finds no room there goes to another.
        """
        taken: list[Slot] = []
        parts = min(parts, self.room(binds, urgent))
        while len(taken) < parts:
            bind = begun_on
            room = self._room_on(bind, urgent) if bind in binds else 0
            if not room:
                bind, room = self._emptiest(binds, urgent)
            if not room:
                break
            taken += self._take(bind, urgent, min(room, parts - len(taken)))
        return tuple(taken)

    def reserve_each(self, messages: int, binds: Sequence[int], urgent: bool) -> list[Slot]:
        """A slot for each of so many messages of one part, each on the bind that is the emptiest then; as many as there
        is room for."""
        messages = min(messages, self.room(binds, urgent))
        if len(binds) == 1:
            return self._take(binds[0], urgent, messages)
        emptiest = [(-room, place) for place, bind in enumerate(binds) if (room := self._room_on(bind, urgent))]
        heapify(emptiest)
        taken: list[Slot] = []
        while emptiest and len(taken) < messages:
            less_room, place = emptiest[0]
            taken += self._take(binds[place], urgent, 1)
            if less_room < -1:
                heapreplace(emptiest, (less_room + 1, place))
            else:
                heappop(emptiest)
        return taken

    def free(self, reference: int) -> None:
        """Give back the slot that lent this reference. KeyError when none did: a slot was freed twice, a bug."""
        slot = self._holders.pop(reference)
        self._free[slot.bind] += 1
        if not slot.urgent:
            self._bulk_free[slot.bind] += 1

    def _room_on(self, bind: int, urgent: bool) -> int:
        free = self._free[bind]
        if not urgent:
            free = min(free, self._bulk_free[bind])
        if free < 0:  # the window has shrunk under what is held
            return 0
        return free

    def _emptiest(self, binds: Sequence[int], urgent: bool) -> tuple[int, int]:
        """The bind with the most room, and that room."""
        best, most = -1, 0
        for bind in binds:
            room = self._room_on(bind, urgent)
            if room > most:
                best, most = bind, room
        return best, most

    def _take(self, bind: int, urgent: bool, count: int) -> list[Slot]:
        """So many slots of a bind that has room for them."""
        route, reference, holders = self.route, self._reference, self._holders
        taken: list[Slot] = []
        while len(taken) < count:
            reference = reference % _LAST_REFERENCE + 1
            if reference not in holders:
                slot = holders[reference] = Slot(route, bind, reference, urgent)
                taken.append(slot)
        self._reference = reference
        self._free[bind] -= count
        if not urgent:
            self._bulk_free[bind] -= count
        return taken
