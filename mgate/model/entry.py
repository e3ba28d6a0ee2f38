"""Entries: facts from outside. A submission from the bank, a receipt or an inbound SMS from an operator."""

from __future__ import annotations

from enum import Enum

import msgspec

from mgate.model.address import Msisdn
from mgate.model.message import Secret, TrafficClass


class Submission(msgspec.Struct, frozen=True):
    """What the bank asked for, checked and in one form.

    Attributes:
        client: who asked: the socket's name.
        ref: the bank's own reference, unique for the client.
        to: the customer's number.
        traffic: the class.
        text: what the customer must read.
        sender: who the message says it is from; a name of 1 to 11 characters, or a number with or without a plus sign.
        expires: the end of its life, seconds since 1970.
        not_before: the moment before which it must not leave, seconds since 1970; 0.0 for at once.
        group: a newer message of the same group and number cancels the unsent older one; empty for none.
        tags: words for reports.
        meta: the caller's own JSON, given back in events; empty for none.
        canonical: the request as it was given, in canonical form, for telling a repeat from a conflict.
        peer_uid: the kernel's word on who was at the other end of the socket; -1 where there is none.
    """

    client: str
    ref: str
    to: Msisdn
    traffic: TrafficClass
    text: Secret
    sender: str
    expires: float
    not_before: float
    group: str
    tags: tuple[str, ...]
    meta: bytes
    canonical: bytes
    peer_uid: int

    def __repr__(self) -> str:
        return f"Submission(client {self.client}, {self.traffic.word}, {self.to.mask()}, {self.text!r})"


class Told(Enum):
    """What a receipt says of its message. UNKNOWN and ENROUTE leave it open."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    ENROUTE = "enroute"
    UNKNOWN = "unknown"


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """A delivery receipt, read.

    Attributes:
        account: the operator account it came on; ids mean nothing outside it.
        ids: the forms under which the operator's id may have been stored, best first (``channels.smpp.receipt``).
        told: what it says.
        reason: the operator's state and error as words, such as ``UNDELIV err:011``.
        reference: the attempt's own ``user_message_reference`` when the receipt bears it, else -1.
        numbers: the phone numbers it bears (digits), for the weak check beside a reference.
    """

    account: str
    ids: tuple[str, ...]
    told: Told
    reason: str
    reference: int
    numbers: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Receipt({self.account}, {self.told.value}, {self.reason})"


class Inbound(msgspec.Struct, frozen=True, gc=False):
    """An SMS from a customer, or a PDU that could not be read, kept as it came until replies have their room.

    Attributes:
        account: the operator account it came on.
        sender: the customer's number as the operator wrote it.
        raw: the whole body of the PDU.
    """

    account: str
    sender: str
    raw: bytes

    def __repr__(self) -> str:
        return f"Inbound({self.account}, {len(self.raw)} octets)"


Entry = Receipt | Inbound
