"""What the daemon has found out about operators that no profile says: how ids pair, and what it could not read."""

from __future__ import annotations

from collections.abc import Mapping

from mgate.channels.smpp.channel import SmppChannel
from mgate.channels.smpp.learning import IdForms
from mgate.control.operator_views import OperatorRow, OperatorsView


def found_out(accounts: Mapping[str, SmppChannel]) -> OperatorsView:
    """Every account, as it stands now."""
    return OperatorsView(tuple(_row(route.removeprefix("sms:"), account) for route, account in accounts.items()))


def _row(name: str, account: SmppChannel) -> OperatorRow:
    reception = account.reception
    ids = reception.ids
    pairing = ids.pairing.value if ids.pairing is not None else ""
    return OperatorRow(name, account.profile.name, _state(ids), pairing, ids.votes.total(), reception.unread)


def _state(ids: IdForms) -> str:
    if ids.pinned:
        return "pinned"
    return "learnt" if ids.pairing is not None else "open" if ids.idle else "learning"
