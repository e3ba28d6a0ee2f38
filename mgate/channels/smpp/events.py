"""What a session has to say: the closed set of its events. One read gives a few of them, most of them batches."""

from enum import Enum
from typing import Generic, NamedTuple, TypeVar

from mgate.channels.smpp.pdu import DeliverSm, PduError
from mgate.channels.smpp.receipt import UsualReceipt
from mgate.model.outcome import Outcome

Token = TypeVar("Token")


class Ended(NamedTuple, Generic[Token]):
    """These submits ended, each once: answered, timed out, or lost with the link. Always the first event of a read."""

    results: list[tuple[Token, Outcome]]


class Late(NamedTuple, Generic[Token]):
    """Answers to submits that had ended as Uncertain: they touch no slot, but carry the operator's id."""

    results: list[tuple[Token, Outcome]]


class Pause(NamedTuple):
    """The operator asks to slow down: submit nothing for a while, and how long is the caller's business.

    `reason` is a status by name that the operator's profile calls `throttled`; nothing else pauses a bind.
    """

    reason: str


class Bound(NamedTuple):
    """The operator took the bind. `version` is the one it says it speaks (0x34), None when it does not say."""

    system_id: str
    version: int | None


class Refusal(Enum):
    """Why a bind was refused, as far as it matters for the next try."""

    ALREADY_BOUND = "already bound"  # an old session still stands over there: transient
    BAD_CREDENTIALS = "bad system id or password"  # trying again may lock the account
    OTHER = "other"


class BindRefused(NamedTuple):
    """The operator refused the bind; a Close follows. `reason` names the status."""

    why: Refusal
    reason: str


class Arrival(NamedTuple):
    """One deliver_sm or data_sm that waits for `Session.answer`, which may only come when it is on the disk.

    `message` is already read when it is a receipt in the usual form. It is a PduError when the body cannot be read,
    which is to be kept raw, and answered all the same, or the operator sends it for days.
    """

    command: int
    sequence: int
    message: UsualReceipt | DeliverSm | PduError
    body: bytes


class Arrived(NamedTuple):
    """The deliver_sm and data_sm of one read, in order."""

    arrivals: list[Arrival]


class Note(Enum):
    """What is worth counting, and changes nothing."""

    UNKNOWN_COMMAND = "unknown command"
    STRAY_NACK = "generic_nack of nothing that is open"
    STRAY_RESPONSE = "response to nothing that is open"
    MISFIT_RESPONSE = "response of another type than its request"
    MALFORMED = "malformed PDU"
    ALERT = "alert_notification"
    OUTBIND = "outbind"


class Noted(NamedTuple):
    """Something odd came; `detail` says what, without a text or a number of a customer."""

    what: Note
    detail: str


class Close(NamedTuple):
    """Write what `take` gives, close the connection, then ask `Session.closed`. `orderly`: an unbind agreed it."""

    reason: str
    orderly: bool


Event = Ended[Token] | Late[Token] | Pause | Bound | BindRefused | Arrived | Noted | Close


class Turn(Generic[Token]):
    """What one read or one expiry found, to be told in the order that matters: answers to submits before all else."""

    __slots__ = ("arrivals", "close", "late", "others", "pause", "results")

    def __init__(self) -> None:
        self.results: list[tuple[Token, Outcome]] = []
        self.late: list[tuple[Token, Outcome]] = []
        self.pause: Pause | None = None
        self.others: list[Event[Token]] = []
        self.arrivals: list[Arrival] = []
        self.close: Close | None = None

    def events(self) -> list[Event[Token]]:
        """All of it, in that order."""
        told: list[Event[Token]] = []
        if self.results:
            told.append(Ended(self.results))
        if self.late:
            told.append(Late(self.late))
        if self.pause:
            told.append(self.pause)
        told += self.others
        if self.arrivals:
            told.append(Arrived(self.arrivals))
        if self.close:
            told.append(self.close)
        return told
