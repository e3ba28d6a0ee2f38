"""What a bind says of us when it signs on."""

from __future__ import annotations

from typing import Final

from mgate.channels.smpp.pdu import BIND_RECEIVER, BIND_TRANSCEIVER, BIND_TRANSMITTER
from mgate.channels.smpp.session import Credentials
from mgate.channels.smpp.standing import BindKind
from mgate.config.tree import Sms
from mgate.model.message import Secret

_VERSIONS: Final = {"3.3": 0x33, "3.4": 0x34, "5.0": 0x50}


_COMMANDS: Final = {
    BindKind.TRANSCEIVER: BIND_TRANSCEIVER,
    BindKind.TRANSMITTER: BIND_TRANSMITTER,
    BindKind.RECEIVER: BIND_RECEIVER,
}


def credentials_of(sms: Sms, password: Secret, kind: BindKind = BindKind.TRANSCEIVER) -> Credentials:
    """What a bind of this account says of us."""
    version = _VERSIONS[sms.profile.connection.version]
    return Credentials(sms.system_id, password, sms.system_type, version, _COMMANDS[kind])
