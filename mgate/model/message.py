"""The message: its id, its class, and a text that will not print itself."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NewType

MessageId = NewType("MessageId", int)
"""63 bits: 43 of milliseconds since 1970, 20 of a count inside the millisecond. Part n of a message has the id of the
message plus n - 1, so a message is a range of ids and part 1 is its head."""

COUNT_BITS: Final = 20
MAX_PARTS: Final = 255

_CROCKFORD: Final = "0123456789abcdefghjkmnpqrstvwxyz"
# Two characters at a time: an id is shown in every answer, and this is three times as fast as one by one.
_PAIRS: Final = [first + second for first in _CROCKFORD for second in _CROCKFORD]
_VALUE: Final = {letter: index for index, letter in enumerate(_CROCKFORD)}


def show_id(message: int) -> str:
    """The id as people and programs outside see it: ``m`` and 13 Crockford base-32 characters."""
    return (
        f"m{_CROCKFORD[message >> 60 & 7]}{_PAIRS[message >> 50 & 1023]}{_PAIRS[message >> 40 & 1023]}"
        f"{_PAIRS[message >> 30 & 1023]}{_PAIRS[message >> 20 & 1023]}{_PAIRS[message >> 10 & 1023]}"
        f"{_PAIRS[message & 1023]}"
    )


def read_id(text: str) -> MessageId | None:
    """The id behind ``show_id``'s form, in either case; None when it is not one."""
    if len(text) != 14 or text[0] not in "mM":
        return None
    value = 0
    for letter in text[1:].lower():
        digit = _VALUE.get(letter)
        if digit is None:
            return None
        value = value << 5 | digit
    return MessageId(value) if value < 1 << 63 else None


class IdSource:
    """Gives ids that only grow, whatever the wall clock does.

    A clock that steps back, or a start within the last id's millisecond, must not give an id twice: the source goes on
    from the greatest id it knows.
    """

    def __init__(self, after: int = 0) -> None:
        self._next = after + MAX_PARTS + 1

    def go_on(self, after: int) -> None:
        """Go on from another greatest id, if it is greater."""
        self._next = max(self._next, after + MAX_PARTS + 1)

    def take(self, now_ms: int, parts: int) -> MessageId:
        """The id of a message of ``parts`` parts, made at ``now_ms`` (milliseconds since 1970)."""
        self._next = first = max(self._next, now_ms << COUNT_BITS)
        self._next += parts
        return MessageId(first)


class TrafficClass(IntEnum):
    """What a message is for; ``policy.classes`` says what follows from it. Stored: do not renumber."""

    OTP = 1
    FRAUD = 2
    TRANSACTION = 3
    SERVICE = 4
    MARKETING = 5

    @property
    def word(self) -> str:
        """The class as it is written outside: ``otp``, ``fraud``, ``transaction``, ``service``, ``marketing``."""
        return self.name.lower()


CLASS_BY_WORD: Final = {traffic.word: traffic for traffic in TrafficClass}


class Secret:
    """A text that will not print itself: bodies, codes, passwords."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Search the code for this word to see everywhere that a secret is opened."""
        return self._text

    def __len__(self) -> int:
        return len(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"Secret({len(self._text)} characters)"


class State(IntEnum):
    """Where a part, or a message folded of its parts, stands: ``spool.lifecycle``. Stored: do not renumber.

    READY is also *waiting*: one stored state, and the moment it is due tells them apart.
    """

    READY = 1
    LEASED = 2
    SENT = 3
    UNCERTAIN = 4
    DELIVERED = 5
    UNDELIVERED = 6
    EXPIRED = 7
    NO_RECEIPT = 8
    CANCELLED = 9

    @property
    def word(self) -> str:
        """The state as it is written outside: ``ready``, ``no_receipt``..."""
        return self.name.lower()


ENDED: Final = frozenset({State.DELIVERED, State.UNDELIVERED, State.EXPIRED, State.NO_RECEIPT, State.CANCELLED})


class Fate(IntEnum):
    """What became of one attempt. Stored: do not renumber. The rules of its moves are in ``spool.lifecycle``."""

    OPEN = 1
    ACCEPTED = 2
    REFUSED = 3
    IN_DOUBT = 4
    DELIVERED = 5
    UNDELIVERED = 6

    @property
    def word(self) -> str:
        """The fate as it is written outside: ``open``, ``in_doubt``..."""
        return self.name.lower()


class Outgoing:
    """One part on its way out: what a channel needs to make one try, and nothing of how it is kept.

    Attributes:
        part: the part's id; ``attempt``: which try of it this is, counted from 1. Together they name the attempt.
        bind: the index of the configured bind whose slot was reserved for it.
        reference: 16 bits, the attempt's own ``user_message_reference``.
        n, parts: part n of how many; ``text`` is the whole message's, which the channel cuts.
        expires: the end of the message's life, seconds since 1970.
        traffic: its class.
        route: the route that it leaves by.
        period, created: what the spool needs to seal the operator's id beside it; channels let them be.
        client, tags: whose it is, and its words, which a choice of another route looks at.
    """

    __slots__ = (
        "attempt", "bind", "client", "created", "expires", "n", "part", "parts", "period", "reference", "route",
        "sender", "tags", "text", "to", "traffic",
    )  # fmt: skip

    def __init__(  # one flat value of the hot path
        self,
        part: int,
        attempt: int,
        bind: int,
        reference: int,
        n: int,
        parts: int,
        to: str,
        sender: str,
        text: Secret,
        expires: float,
        traffic: TrafficClass,
        route: str = "",
        period: int = 0,
        created: int = 0,
        client: str = "",
        tags: tuple[str, ...] = (),
    ) -> None:
        self.part = part
        self.attempt = attempt
        self.bind = bind
        self.reference = reference
        self.n = n
        self.parts = parts
        self.to = to
        self.sender = sender
        self.text = text
        self.expires = expires
        self.traffic = traffic
        self.route = route
        self.period = period
        self.created = created
        self.client = client
        self.tags = tags

    def __repr__(self) -> str:
        return (
            f"Outgoing({show_id(self.part)}, attempt {self.attempt}, bind {self.bind}, part {self.n} of {self.parts})"
        )


def concatenation_reference(message: int) -> int:
    """The 16-bit reference that ties the parts of one message together on the phone (3GPP TS 23.040, 9.2.3.24.8).

    Drawn from the id, so that a repeat of one part, days or restarts later, still fits its siblings; multiplied by an
    odd constant, because the low bits of an id are mostly zero.
    """
    return (message * 0x9E3779B97F4A7C15 >> 40) & 0xFFFF
