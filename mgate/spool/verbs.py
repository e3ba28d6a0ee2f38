"""What can be asked of the store, and what it answers. Each verb is a batch; a commit takes many verbs.

The verbs carry sealed octets and tags, never a text or a number (but for the numbers of a receipt, which are compared
in memory and not kept). Moments are milliseconds since 1970, because that is what the rows hold.

A store answers verbs in this order inside one commit, whatever the order of arrival: outcomes, then leases, receipts,
acceptances, the rest (``states.md``, rules 2 and 8). Verbs of one kind keep their order.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from mgate.model.entry import Told
from mgate.model.message import State, TrafficClass
from mgate.model.outcome import Outcome
from mgate.model.ports import Slot

# ---- acceptance ----------------------------------------------------------------------------------------------------


class NewMessage(msgspec.Struct, frozen=True, gc=False):
    """A message to keep: one row for each part, the sealed records on the first.

    Attributes:
        envelope: sealed: address, sender, reference, group, tags, meta, peer uid.
        body: sealed: the text, apart, because the text of an otp is erased before the rest.
        group_tag: empty when it has no group.
        due: when it may first leave; ``expires``: the end of its life.
        slots: a slot for each part when it is leased in this very commit, else empty.
        ref, meta: the client's own words, for the journal: in memory only, on the disk they are in the envelope.
    """

    id: int
    client: str
    traffic: TrafficClass
    route: str
    parts: int
    created: int
    due: int
    expires: int
    period: int
    ref_tag: bytes
    content_tag: bytes
    phone_tag: bytes
    group_tag: bytes
    envelope: bytes
    body: bytes
    slots: tuple[Slot, ...]
    ref: str = ""
    meta: bytes = b""

    def without_text(self) -> NewMessage:
        """The same, its text erased."""
        return msgspec.structs.replace(self, body=b"")

    def __repr__(self) -> str:
        return f"NewMessage({self.id}, {self.client}, {self.traffic.word})"


class Accept(msgspec.Struct, frozen=True):
    """Keep these messages, each unless its (client, ref) is known."""

    messages: tuple[NewMessage, ...]


class Kept(msgspec.Struct, frozen=True, gc=False):
    """It is kept: now, or by an earlier call with the same content (``duplicate``; then no slot was used).

    Attributes:
        leased: the slots that were given with it are now leases of its parts.
    """

    message: int
    parts: int
    duplicate: bool
    state: State
    leased: bool


class Clash(msgspec.Struct, frozen=True, gc=False):
    """The reference is known with other content: the message that holds it."""

    message: int


# ---- leases and outcomes -------------------------------------------------------------------------------------------


class Wish(msgspec.Struct, frozen=True, gc=False):
    """A wish to lease one part into one slot."""

    part: int
    slot: Slot


class Lease(msgspec.Struct, frozen=True):
    """Mark these parts as leaving. Only what is still ready, due and alive comes back leased."""

    wishes: tuple[Wish, ...]


class Leased(msgspec.Struct, frozen=True, gc=False):
    """The mark is on the disk: the part may be written, as attempt ``attempt``. With what opens its records."""

    part: int
    n: int
    parts: int
    attempt: int
    traffic: TrafficClass
    period: int
    created: int
    expires: int
    envelope: bytes
    body: bytes
    client: str = ""


class End(msgspec.Struct, frozen=True, gc=False):
    """How one attempt ended. ``operator_tag`` and ``operator_id`` (sealed) are empty when the operator gave no id."""

    part: int
    attempt: int
    outcome: Outcome
    operator_tag: bytes
    operator_id: bytes


class Ends(msgspec.Struct, frozen=True):
    """Record these outcomes, late answers among them. Answered by the number of them when they are on the disk."""

    ends: tuple[End, ...]


class Shift(msgspec.Struct, frozen=True, gc=False):
    """A wish to take the message of a ready part from ``route`` to the first of ``routes`` that it may have."""

    part: int
    route: str
    routes: tuple[str, ...]


class Move(msgspec.Struct, frozen=True):
    """Move these to another route, for this reason. Only what is still ready there and bound to no account moves.

    Answered by the number of parts that moved.
    """

    shifts: tuple[Shift, ...]
    reason: str


# ---- receipts and inbound ------------------------------------------------------------------------------------------


class Heard(msgspec.Struct, frozen=True, gc=False):
    """A receipt. ``tags``: of the forms of its operator id, best first; ``reference`` -1 when it bears none."""

    account: str
    tags: tuple[bytes, ...]
    told: Told
    reason: str
    reference: int
    numbers: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Heard({self.account}, {self.told.value}, {self.reason})"


class Hear(msgspec.Struct, frozen=True):
    """Take these receipts: each is written on its attempt, or kept as early."""

    receipts: tuple[Heard, ...]


class Fit(msgspec.Struct, frozen=True, gc=False):
    """What a receipt did: ``matched`` its attempt, was a ``repeat`` of one that had, or was kept ``early``."""

    word: Literal["matched", "repeat", "early"]


class NewInbound(msgspec.Struct, frozen=True, gc=False):
    """An inbound SMS, sealed as it came."""

    id: int
    account: str
    created: int
    period: int
    sealed: bytes


class KeepInbound(msgspec.Struct, frozen=True):
    """Keep these; each is a row of the journal too."""

    messages: tuple[NewInbound, ...]


# ---- feeds ---------------------------------------------------------------------------------------------------------


class Ack(msgspec.Struct, frozen=True):
    """A feed has what the journal holds up to ``cursor``; an older one changes nothing."""

    client: str
    feed: str
    cursor: int


class Acked(msgspec.Struct, frozen=True):
    """The feed's durable cursor. ``word``: ``acked``, ``beyond`` (the journal's end) or ``too_many`` (feeds)."""

    word: Literal["acked", "beyond", "too_many"]
    cursor: int


class DeadRun(msgspec.Struct, frozen=True, gc=False):
    """Events that a feed gave up: ``events`` of its client's from sequence ``first`` to ``last``; the journal has them.

    ``reason``: a word; ``at``: when it gave them up.
    """

    client: str
    feed: str
    first: int
    last: int
    events: int
    reason: str
    at: int


class Bury(msgspec.Struct, frozen=True):
    """List these as given up (the same again changes nothing), and take ``raised`` off the list, by their ``first``.

    Answered by the number of both.
    """

    client: str
    feed: str
    dead: tuple[DeadRun, ...] = ()
    raised: tuple[int, ...] = ()


# ---- a person's or a client's wishes -------------------------------------------------------------------------------


class Cancel(msgspec.Struct, frozen=True):
    """Cancel what has not left. ``client`` empty: an administrator asks, and any client's message is meant."""

    message: int
    client: str
    reason: str


class Cancelled(msgspec.Struct, frozen=True):
    """``word``: ``cancelled`` (now or before), ``unknown``, ``leaving``, ``left``, ``may_have_left`` or ``ended``."""

    word: str


class Release(msgspec.Struct, frozen=True):
    """A person lets an uncertain part be repeated. ``attempts``: the number of them that she was shown."""

    part: int
    attempts: int


class Released(msgspec.Struct, frozen=True):
    """``done`` is False when the part has moved on since she looked."""

    done: bool


# ---- time ----------------------------------------------------------------------------------------------------------


class Wake(msgspec.Struct, frozen=True):
    """Do what is due by the clock for at most ``limit`` parts: lapse, repeat, erase, give up waiting."""

    limit: int


class Woken(msgspec.Struct, frozen=True):
    """How many parts were looked at."""

    parts: int


class Forget(msgspec.Struct, frozen=True):
    """Take these messages out of the live spool: history has them on its disk.

    Each with the journal's last row for it when it was copied: one that has moved on since stays, to be copied again.
    """

    messages: tuple[tuple[int, int], ...]


class Trim(msgspec.Struct, frozen=True):
    """Drop what is only kept for a while, older than these moments; at most ``limit`` rows of each kind."""

    early_before: int
    journal_before: int
    limit: int


class NotKept(msgspec.Struct, frozen=True):
    """The commit failed cleanly and nothing of it happened: the disk is full, or read-only. Try again later."""

    reason: str


Verb = Accept | Lease | Ends | Move | Hear | KeepInbound | Ack | Bury | Cancel | Release | Wake | Forget | Trim
Result = (
    tuple[Kept | Clash, ...]
    | tuple[Leased | None, ...]
    | tuple[Fit, ...]
    | int
    | Acked
    | Cancelled
    | Released
    | Woken
    | NotKept
)
