"""Between what rooms speak of and what rows hold: sealing, opening, tagging. On the reactor's thread.

Not on the store's: the cipher gives up the interpreter's lock at every call, and 200 seals beside a busy reactor take
156 ms there instead of 1.

The columns and tables have numbers, which every sealed record is bound to; ``docs/sealed-format.md`` lists them. The
text of a class that erases it early is sealed apart, so that it can go alone; any other text is sealed with the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from mgate.model.entry import Inbound, Receipt, Submission
from mgate.model.message import IdSource, Outgoing, Secret
from mgate.model.outcome import Accepted, Outcome
from mgate.model.ports import Slot
from mgate.policy.classes import RULES
from mgate.seal.errors import SealError
from mgate.seal.keyring import Keyring
from mgate.seal.record import Place, Sealer
from mgate.seal.tags import Tags
from mgate.spool.journal import Box
from mgate.spool.rows import Attempt, Row
from mgate.spool.verbs import End, Heard, Leased, NewInbound, NewMessage
from mgate.spool.words import Envelope

PART, INBOUND, JOURNAL, HISTORY = 1, 3, 4, 16
"""Numbers of tables, in the associated data of every record. Stored: do not renumber."""

ENVELOPE, BODY, OPERATOR_ID, BLOCK, RUN = 1, 2, 3, 4, 5
"""Numbers of sealed columns. Stored: do not renumber."""

JOURNAL_GROUP: Final = "journal"
"""The retention group of the journal."""

INBOUND_GROUP: Final = "notice"
"""The retention group of inbound messages."""


class _Body(msgspec.Struct, frozen=True, array_like=True, gc=False):
    text: str

    def __repr__(self) -> str:
        return "Body(sealed)"


class _OperatorId(msgspec.Struct, frozen=True, array_like=True, gc=False):
    attempt: int
    operator_id: str


class Sealing:
    """Opens and closes the records of one spool.

    Args:
        ids: gives the ids of messages, before they are sealed.
        stored_id: the form of an operator's id under which it is stored and looked up.
    """

    def __init__(
        self, keyring: Keyring, sealer: Sealer, tags: Tags, ids: IdSource, stored_id: Callable[[str], str]
    ) -> None:
        self._keyring = keyring
        self._sealer = sealer
        self._tags = tags
        self._ids = ids
        self._stored_id = stored_id
        encoder = msgspec.msgpack.Encoder()
        self._encode = encoder.encode
        self._read_envelope = msgspec.msgpack.Decoder(Envelope).decode
        self._read_body = msgspec.msgpack.Decoder(_Body).decode
        self._read_operator_id = msgspec.msgpack.Decoder(_OperatorId).decode

    # ---- the way in ------------------------------------------------------------------------------------------------

    def message(self, asked: Submission, route: str, parts: int, slots: tuple[Slot, ...], now: float) -> NewMessage:
        """The row of a new message, sealed, with its id; ``now`` in seconds since 1970."""
        rules = RULES[asked.traffic]
        created = int(now * 1000)
        expires = int(asked.expires * 1000)
        message = self._ids.take(created, parts)
        period = self._keyring.period_at(rules.group, now).number
        apart = rules.erase_text
        text = asked.text.reveal()
        envelope = Envelope(
            asked.to.e164,
            asked.sender,
            asked.ref,
            "" if apart else text,
            asked.group,
            asked.tags,
            asked.meta,
            asked.not_before,
            asked.peer_uid,
        )
        place = Place(PART, ENVELOPE, message, period, asked.traffic, expires // 1000, created // 1000)
        seal = self._sealer.seal
        body = b""
        if apart:
            beside = Place(PART, BODY, message, period, asked.traffic, expires // 1000, created // 1000)
            body = seal(beside, self._encode(_Body(text)))
        return NewMessage(
            message,
            asked.client,
            asked.traffic,
            route,
            parts,
            created,
            max(created, int(asked.not_before * 1000)),
            expires,
            period,
            self._tags.ref_tag(asked.client, asked.ref),
            self._tags.content_tag(asked.client, asked.canonical),
            self._tags.phone_tag(period, asked.to.e164),
            self._group_tag(asked) if asked.group else b"",
            seal(place, self._encode(envelope)),
            body,
            slots,
            asked.ref,
            asked.meta,
        )

    def _group_tag(self, asked: Submission) -> bytes:
        # A reference bears no NUL, so a group's tag is never that of a reference.
        return self._tags.ref_tag(asked.client, f"{asked.group}\0{asked.to.e164}")

    def heard(self, receipt: Receipt) -> Heard:
        """A receipt as the store looks it up."""
        tag = self._tags.operator_id_tag
        tags = tuple(tag(receipt.account, form) for form in receipt.ids)
        return Heard(receipt.account, tags, receipt.told, receipt.reason, receipt.reference, receipt.numbers)

    def inbound(self, entry: Inbound, now: float) -> NewInbound:
        """An inbound SMS, sealed as it came."""
        created = int(now * 1000)
        number = self._ids.take(created, 1)
        period = self._keyring.period_at(INBOUND_GROUP, now).number
        place = Place(INBOUND, BODY, number, period, 0, 0, created // 1000)
        return NewInbound(
            number, entry.account, created, period, self._sealer.seal(place, self._encode([entry.sender, entry.raw]))
        )

    # ---- the way out -----------------------------------------------------------------------------------------------

    def outgoing(self, leased: Leased, slot: Slot) -> Outgoing:
        """A leased part, opened.

        Raises:
            mgate.seal.errors.SealError: the record is damaged or its key is gone.
        """
        head = leased.part - leased.n + 1
        place = Place(
            PART, ENVELOPE, head, leased.period, leased.traffic, leased.expires // 1000, leased.created // 1000
        )
        envelope = self._read_envelope(self._sealer.unseal(place, leased.envelope))
        text = envelope.text
        if leased.body:
            beside = Place(
                PART, BODY, head, leased.period, leased.traffic, leased.expires // 1000, leased.created // 1000
            )
            text = self._read_body(self._sealer.unseal(beside, leased.body)).text
        return Outgoing(
            leased.part,
            leased.attempt,
            slot.bind,
            slot.reference,
            leased.n,
            leased.parts,
            envelope.to,
            envelope.sender,
            Secret(text),
            leased.expires / 1000,
            leased.traffic,
            slot.route,
            leased.period,
            leased.created,
            leased.client,
            envelope.tags,
        )

    def end(self, out: Outgoing, outcome: Outcome) -> End:
        """How an attempt ended, as the store writes it."""
        if not isinstance(outcome, Accepted) or not outcome.operator_id:
            return End(out.part, out.attempt, outcome, b"", b"")
        tag = self._tags.operator_id_tag(out.route, self._stored_id(outcome.operator_id))
        place = Place(PART, OPERATOR_ID, out.part, out.period, out.traffic, int(out.expires), out.created // 1000)
        sealed = self._sealer.seal(place, self._encode(_OperatorId(out.attempt, outcome.operator_id)))
        return End(out.part, out.attempt, outcome, tag, sealed)

    # ---- questions -------------------------------------------------------------------------------------------------

    def envelope(self, head: Row, sealed: bytes) -> Envelope:
        """The sensitive fields of a message, without a text that is sealed apart.

        Raises:
            mgate.seal.errors.SealError: the record is damaged or its key is gone.
        """
        return self._read_envelope(self._sealer.unseal(_place(head, ENVELOPE), sealed))

    def text(self, head: Row, envelope: Envelope, body: bytes | None) -> Secret:
        """The text of a message whose envelope is open; ``body``: where it is sealed apart, None when it is erased.

        Raises:
            mgate.seal.errors.SealError: the record is damaged or its key is gone.
        """
        if not body:
            return Secret(envelope.text)
        return Secret(self._read_body(self._sealer.unseal(_place(head, BODY), body)).text)

    def words(self, head: Row, sealed: bytes) -> tuple[str, bytes]:
        """The client's own reference and meta in a sealed envelope; empty ones when it cannot be opened."""
        try:
            envelope = self.envelope(head, sealed)
        except SealError:
            return "", b""  # whoever needs the whole envelope says that it is damaged
        return envelope.ref, envelope.meta

    def operator_id(self, row: Row, attempt: Attempt) -> str:
        """The operator's own id of an attempt in the live spool; empty when it has none."""
        if attempt.operator_id is None:
            return ""
        return self._read_operator_id(self._sealer.unseal(_place(row, OPERATOR_ID), attempt.operator_id)).operator_id

    def ref_tag(self, client: str, ref: str) -> bytes:
        """The tag of a client's reference."""
        return self._tags.ref_tag(client, ref)

    def phone_tags(self, number: str) -> list[bytes]:
        """The tags of a number in every period whose keys exist, newest first."""
        periods = sorted((period.number for period in self._keyring.periods), reverse=True)
        return [self._tags.phone_tag(period, number) for period in periods]

    # ---- blocks ----------------------------------------------------------------------------------------------------

    def box(self) -> Box:
        """How the journal's runs are sealed."""
        unseal = self._sealer.unseal
        return Box(
            lambda now: self._keyring.period_at(JOURNAL_GROUP, now / 1000).number,
            lambda first, period, plain: self._sealer.seal(_block(JOURNAL, RUN, first, period), plain),
            lambda first, period, sealed: unseal(_block(JOURNAL, RUN, first, period), sealed),
        )


def _place(row: Row, column: int) -> Place:
    return Place(PART, column, row.id, row.period, row.traffic, row.expires // 1000, row.created // 1000)


def _block(table: int, column: int, number: int, period: int) -> Place:
    return Place(table, column, number, period, 0, 0, 0)


class Blocks:
    """Seals and opens the blocks of history. Each thread has its own."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def seal(self, period: int, number: int, plain: bytes) -> bytes:
        """The stories of one block."""
        return self._sealer.seal(_block(HISTORY, BLOCK, number, period), plain)

    def unseal(self, period: int, number: int, sealed: bytes) -> bytes:
        """What ``seal`` sealed.

        Raises:
            mgate.seal.errors.SealError: the block is damaged or its key is gone.
        """
        return self._sealer.unseal(_block(HISTORY, BLOCK, number, period), sealed)
