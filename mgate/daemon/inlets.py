"""The ways in as an administrator sees them: each client's door, and where the gate listens."""

from __future__ import annotations

from mgate.control.views import DoorView, GateView
from mgate.daemon.doors import Doors
from mgate.daemon.gate import Gate


class Inlets:
    """Looks at the doors and the gate."""

    def __init__(self, doors: Doors, gate: Gate) -> None:
        self._doors = doors
        self._gate = gate

    def doors(self) -> tuple[DoorView, ...]:
        """Every client's."""
        listeners = self._doors.by_client()
        return tuple(
            DoorView(
                client.name,
                str(client.socket),
                client.certificates,
                sum(not each.peer.certificate for each in listeners[client.name].connections),
                sum(bool(each.peer.certificate) for each in listeners[client.name].connections),
            )
            for client in self._doors.clients
            if client.name in listeners
        )

    def gates(self) -> tuple[GateView, ...]:
        """Every address."""
        return tuple(GateView(str(address), self._gate.identity) for address in self._gate.addresses)
