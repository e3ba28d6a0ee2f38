"""The slots of a route's configured binds.

A slot stands for one part that is leased or about to be, so the slots in use bound the leases (``states.md``, rule 1).
They belong to the configured bind and outlive its sessions: what a lost link left unanswered holds its slots until its
outcome is on the disk. Each slot lends its part a 16-bit reference that no other slot of the account holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mgate.model.ports import Slot
from mgate.policy.pacing import bulk_slots

_LAST_REFERENCE: Final = 0xFFFF


class Slots:
    """Counts who holds which slot of one route."""

    def __init__(self, route: str, windows: Sequence[int], first_reference: int = 1) -> None:
        """``windows``: of each configured bind. ``first_reference``: where to begin, so that a new start does not lend
        at once the references that the last one left in doubt."""
        if not windows or min(windows) < 1 or sum(windows) >= _LAST_REFERENCE:
            raise ValueError(f"{route}: windows {list(windows)}: each must be 1 or more, and their sum under 65535")
        self.route = route
        self._windows = tuple(windows)
        self._bulk_windows = tuple(bulk_slots(window) for window in windows)
        self._used = [0] * len(windows)
        self._bulk = [0] * len(windows)
        self._holders: dict[int, Slot] = {}
        self._reference = first_reference - 1

    @property
    def total(self) -> int:
        """All slots of all configured binds."""
        return sum(self._windows)

    @property
    def used(self) -> int:
        """The slots in use."""
        return len(self._holders)

    def used_on(self, bind: int) -> int:
        """The slots in use on one bind."""
        return self._used[bind]

    def room(self, binds: Sequence[int], urgent: bool) -> int:
        """How many slots of these binds such traffic may still take."""
        return sum(self._room_on(bind, urgent) for bind in binds)

    def reserve(self, parts: int, binds: Sequence[int], urgent: bool, begun_on: int = -1) -> tuple[Slot, ...]:
        """A slot for each of up to ``parts`` parts of one message, as many as there is room for.

        A second bind would reorder the parts, so they go to the bind that the message was ``begun_on`` while it has
        room, else to the emptiest; only what finds no room there goes to another.
        """
        taken: list[Slot] = []
        while len(taken) < parts:
            bind = begun_on
            if bind not in binds or self._room_on(bind, urgent) < 1:
                bind = max(binds, key=lambda index: self._room_on(index, urgent), default=-1)
            room = self._room_on(bind, urgent) if bind >= 0 else 0
            if room < 1:
                break
            taken.extend(self._take(bind, urgent) for _ in range(min(room, parts - len(taken))))
        return tuple(taken)

    def free(self, reference: int) -> None:
        """Give back the slot that lent this reference. KeyError when none did: a slot was freed twice, a bug."""
        slot = self._holders.pop(reference)
        self._used[slot.bind] -= 1
        if not slot.urgent:
            self._bulk[slot.bind] -= 1

    def _room_on(self, bind: int, urgent: bool) -> int:
        room = self._windows[bind] - self._used[bind]
        return room if urgent else min(room, self._bulk_windows[bind] - self._bulk[bind])

    def _take(self, bind: int, urgent: bool) -> Slot:
        reference = self._reference
        while True:
            reference = reference % _LAST_REFERENCE + 1
            if reference not in self._holders:
                break
        self._reference = reference
        slot = Slot(self.route, bind, reference, urgent)
        self._holders[reference] = slot
        self._used[bind] += 1
        if not urgent:
            self._bulk[bind] += 1
        return slot
