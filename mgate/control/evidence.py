"""Evidence of one message, for a dispute: JSON lines, signed as a whole (``seal.signature``). Pure.

The first line says what was asked for and where it stands, then comes a line for each part, each try and each change of
its state, and last the signature. The number is masked, and no text is in it: the operator's own id names the message
to the operator. Of a receipt mgate keeps the state and error that it told and the moment it came, not its octets; the
first line says so, lest anybody take what is missing for hidden.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from mgate.model.view import AttemptView, EventView, MessageView, PartView
from mgate.seal.signature import SignedLines, Signer, check_lines

KIND: Final = "evidence 1"
"""What is signed, and the version of its form."""

NOT_KEPT: Final = (
    "the octets of receipts",
    "the octets that were sent",
    "the routes that were looked at and not taken",
)


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line. Moments are RFC 3339 in UTC; an empty one has not happened.

    Attributes:
        evidence: the version of this form.
        instance, database: which mgate says it: its name, and the uuid of its database, hexadecimal.
        to: the number, masked.
        not_kept: what mgate does not know of any message.
    """

    evidence: int = 1
    instance: str
    database: str
    version: str
    made_at: str
    message: str
    ref: str
    client: str
    traffic: str = msgspec.field(name="class")
    to: str
    sender: str
    parts: int
    state: str
    reason: str
    may_have_been_sent: bool
    accepted_at: str
    not_before: str
    expires_at: str
    ended_at: str
    not_kept: tuple[str, ...]


class PartLine(msgspec.Struct, frozen=True):
    """Where a part stands."""

    part: PartView


class TryLine(msgspec.Struct, frozen=True):
    """One try: when it left, by which account, what the operator answered, its id for it, and what its receipt told."""

    attempt: AttemptView


class EventLine(msgspec.Struct, frozen=True):
    """What the journal told the bank."""

    event: EventView


class EvidenceView(msgspec.Struct, frozen=True):
    """The answer of ``GET /v1/messages/{id}/evidence``: the document, with its line ends."""

    document: str


class Witness(msgspec.Struct, frozen=True):
    """Who says it: the instance's name, its database's uuid (hexadecimal), and the version that runs."""

    instance: str
    database: str
    version: str


def document(message: MessageView, witness: Witness, made_at: str, signer: Signer) -> str:
    """All lines, signed."""
    lines, encode = SignedLines(signer, KIND), msgspec.json.Encoder().encode
    signed = b"".join(lines.line(encode(each)) for each in _lines(message, witness, made_at))
    return (signed + lines.last()).decode()


def _lines(message: MessageView, witness: Witness, made_at: str) -> Iterator[msgspec.Struct]:
    yield Head(
        instance=witness.instance,
        database=witness.database,
        version=witness.version,
        made_at=made_at,
        message=message.id,
        ref=message.ref,
        client=message.client,
        traffic=message.traffic,
        to=message.to,
        sender=message.sender,
        parts=message.parts,
        state=message.state,
        reason=message.reason,
        may_have_been_sent=message.may_have_been_sent,
        accepted_at=message.accepted_at,
        not_before=message.not_before,
        expires_at=message.expires_at,
        ended_at=message.ended_at,
        not_kept=NOT_KEPT,
    )
    yield from map(PartLine, message.part_states)
    yield from map(TryLine, message.attempts)
    yield from map(EventLine, message.events)


def check_document(path: Path, public: bytes) -> Head:
    """See that a file is as the instance with this key signed it; its first line.

    Raises:
        mgate.seal.signature.NotSigned: it is not.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        check_lines(KIND, file, public)
        file.seek(0)
        return msgspec.json.decode(file.readline(), type=Head)
