"""What a reckoning is written down as: JSON lines, signed as a whole.

The first line says whose day it is and what it comes to, each line after it one thing that differs, the last one signs
them all (``seal.signature``). ``docs/core-banking.md`` tells an auditor how to check it with openssl alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from mgate.model.message import show_id
from mgate.policy.reckoning import Sums, word_of
from mgate.reckoning.sheet import Difference
from mgate.seal.signature import SignedLines, Signer

KIND: Final = "reckoning 1"
"""What is signed, and the version of its form."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line.

    Attributes:
        reckoning: the version of this form.
        instance, database: which mgate says it: its name, and the uuid of its database, hexadecimal.
        core: where the rows came from: ``source``, or the name of the file.
        begin, end, made_at: moments in UTC; ``end`` is no part of the day.
        late_after: seconds.
        balances: whether every row of the core and every message is accounted for, and everything could be read.
    """

    reckoning: int = 1
    instance: str
    database: str
    client: str
    core: str
    day: str
    time_zone: str
    begin: str
    end: str
    made_at: str
    late_after: int
    balances: bool
    sums: Sums


class Differs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line for one thing that differs.

    Attributes:
        differs: a word of ``policy.reckoning.Gap``.
        ref: the reference: the row's key, with its version where rows have one.
        message, state, reason: of mgate's message; ``state`` is the word of its last event; where
            mgate has no message, the last word of the core's table.
        written_at, accepted_at, sent_at: moments in UTC; left out where there is none.
    """

    differs: str
    ref: str
    message: str = ""
    state: str = ""
    reason: str = ""
    written_at: str = ""
    accepted_at: str = ""
    sent_at: str = ""


class Document:
    """The lines of one reckoning."""

    def __init__(self, signer: Signer) -> None:
        self._lines = SignedLines(signer, KIND)
        self._encode = msgspec.json.Encoder().encode

    def head(self, head: Head) -> bytes:
        """The first line."""
        return self._lines.line(self._encode(head))

    def differences(self, found: Sequence[Difference]) -> bytes:
        """More lines."""
        return b"".join(self._lines.line(self._encode(_shown(one))) for one in found)

    def last(self) -> bytes:
        """The last line."""
        return self._lines.last()


def _shown(one: Difference) -> Differs:
    kept = one.kept
    if kept is None:
        return Differs(differs=one.gap.value, ref=one.ref, state=one.final, written_at=moment(one.written))
    return Differs(
        differs=one.gap.value,
        ref=one.ref,
        message=show_id(kept.message),
        state=word_of(kept),
        reason=kept.reason,
        written_at=moment(one.written),
        accepted_at=moment(kept.accepted),
        sent_at=moment(kept.sent),
    )


def moment(at: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC; empty for 0."""
    if not at:
        return ""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
