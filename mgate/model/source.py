"""A source: a database of the bank from which messages are taken, and to which what became of each is given back.

A ``Source`` speaks one dialect to one database. It is asked in batches, each verb is one short transaction of its own
(none stays open in the bank's database for more than two seconds), and nothing here decides anything: whether a row may
be sent is acceptance's word, and the order of verbs is the poller's.

Exactly once: a row is known by its key and version, and these are the message's reference. A row that was claimed and
not marked, because we or the line died, comes again when its lease is over, and is recognised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from mgate.model.message import Secret

REFUSED: Final = "refused"
FINAL: Final = ("delivered", "undelivered", "expired", "cancelled", "no_receipt", REFUSED)
"""States of a `Result` after which nothing is expected any more."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the bank's outbox, claimed for us and not read yet: values as the database has them, times in seconds.

    Attributes:
        key: the row's identity in its table, as text; with ``version`` it names the message for ever.
        version: of a row that is written anew for another message; empty where rows are written once.
        to: the customer's number, as somebody once typed it. ``text``: what the customer must read.
        traffic: the word of its class; empty for the source's own. ``sender``: empty for the source's own.
        expires, not_before: seconds since 1970; 0.0 where the row says nothing.
        customer: rows of one customer keep their order; empty where the source names none.
        group: see ``entry.Submission``. ``meta``: the bank's own JSON, given back with each result; empty for none.
        created: when the row was written, seconds since 1970, 0.0 where that is not known: for lag and reckoning.
        cancel: the bank wants it cancelled: it must not be sent if that can still be helped.
    """

    key: str
    version: str = ""
    to: str
    text: Secret
    traffic: str = ""
    sender: str = ""
    expires: float = 0.0
    not_before: float = 0.0
    customer: str = ""
    group: str = ""
    meta: bytes = b""
    created: float = 0.0
    cancel: bool = False

    def __repr__(self) -> str:
        return f"Row({self.key!r} version {self.version!r})"


def reference_of(key: str, version: str, *, versioned: bool) -> str | None:
    """The reference of a row's message: its key, or key and version where rows of the source have versions, an empty
    one too. No two rows of a source share one; None for a version with a slash, which would let them."""
    if not versioned:
        return key
    return None if "/" in version else f"{key}/{version}"


def identity_of(reference: str, *, versioned: bool) -> tuple[str, str]:
    """The key and version behind a reference."""
    if not versioned or "/" not in reference:
        return reference, ""  # without a slash it is of the time before its source had versions
    key, _, version = reference.rpartition("/")
    return key, version


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a row, as the result table is told it. It is written once or often, the outcome is the same.

    As JSON it leaves out what is empty.

    Attributes:
        sequence: the journal's number of the event, growing: an older one never overwrites a newer. 0 for what the
            journal never saw, a row that was refused or given back.
        state: ``taken``, ``refused``, ``returned`` (nothing happened to it, it may be claimed again), or the event of
            the journal: ``accepted``, ``sent``, ``delivered``, ``undelivered``, ``expired``, ``cancelled``,
            ``uncertain``, ``no_receipt`` and what the push API's document names besides.
        message: the id as the bank sees it (``show_id``); empty when there is none.
        reason: a word of a closed list, or the operator's own state and error; never the text or the whole number.
        at: seconds since 1970.
        channel, operator: such as ``sms`` and ``op-a``; empty before there is one.
        cost: in ``currency``, as a decimal number; empty when the operator's price is not configured.
        error: a sentence for a person, for ``refused``.
    """

    key: str
    version: str
    sequence: int
    state: str
    message: str = ""
    reason: str = ""
    may_have_been_sent: bool = False
    at: float = 0.0
    channel: str = ""
    operator: str = ""
    parts: int = 0
    cost: str = ""
    currency: str = ""
    error: str = ""


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """How far a source is behind: rows that wait, the age of the oldest, in seconds, and the clock's difference.

    ``clock_difference``: the database's clock less ours, seconds.
    """

    waiting: int
    oldest: float
    clock_difference: float


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that ``mgatectl source check`` found.

    Attributes:
        step: ``network``, ``certificate``, ``login``, ``rights``, ``clock``, ``mapping`` or ``read``.
        who: who mends it: ``network``, ``dba``, ``security`` or ``mgate``.
        problem: what is wrong, where; ``todo``: what to do, as one sentence or one SQL statement.
        fatal: False for a warning.
    """

    step: str
    who: str
    problem: str
    todo: str
    fatal: bool = True


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the core for the daily reckoning: its identity, when it was written (seconds since 1970).

    ``final``: the last word that the database has of it, one of `FINAL`; empty where it has none.
    """

    key: str
    version: str
    created: float
    final: str = ""


class SourceError(Exception):
    """The database did not do what it was asked; nothing was changed by the verb that failed.

    Attributes:
        reason: ``unreachable``, ``refused`` (login, certificate, rights), ``busy`` (locked, too slow, cancelled) or
            ``mismatch`` (a column, type or procedure is not as the mapping says: asking again does not help until
            somebody mends it).
        todo: what to do, for the log and the operator.
    """

    def __init__(self, reason: str, sentence: str, todo: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.todo = todo


class Source(Protocol):
    """One database.

    Every verb is a coroutine for an asyncio task, raises ``SourceError`` and nothing else, is given up after its time
    limit, and holds no transaction open when it returns. Verbs of one source do not overlap, but for ``wait``, ``call``
    and ``survey``.
    """

    async def claim(self, most: int) -> Sequence[Row]:
        """Take up to so many rows that nobody has, oldest first; nobody else is given them while their lease lasts.

        Rows of one customer come in their order: none comes while an older one of the same customer is neither taken
        nor refused nor among these. Rows to be cancelled come too, whether they were taken before or not, once.
        """

    async def ack(self, results: Sequence[Result]) -> None:
        """Write these down, in one transaction.

        In the outbox ``taken``, ``refused`` and ``returned``; in the result table everything but ``returned``.
        Idempotent; a result never goes back to an older sequence.
        """

    async def wait(self, most: float) -> bool:
        """Until new rows are announced (NOTIFY), at most so many seconds; whether they were."""

    async def call(self, name: str, arguments: Mapping[str, object], limit: float) -> Sequence[Mapping[str, object]]:
        """Run a named procedure or statement of the bank's with these parameters; its rows, at most 1,000."""

    async def lag(self) -> Lag:
        """How far it is behind."""

    async def survey(self) -> Sequence[Problem]:
        """Everything that is wrong with it, all at once; empty when it is fit."""

    async def rewind(self, since: float, dry_run: bool) -> tuple[int, int]:
        """Make rows written since then claimable again that have no final result: after a restore, or a lost site.

        Returns how many those are, and how many have a final result, which stay as they are.
        """

    async def written(self, begin: float, end: float, after: str, most: int) -> Sequence[Count]:
        """For the reckoning: the rows written in [begin, end), by key, those behind the key ``after``."""

    async def close(self) -> None:
        """Let go of the database. Comes back within a second."""
