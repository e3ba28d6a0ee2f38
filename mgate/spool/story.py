"""The story of a message: what is kept of it when it has ended, and how it is shown, live or ended alike.

A story holds the sealed envelope as it was accepted: a message is sealed once. Its rows are those of the live spool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from mgate.model.address import Msisdn
from mgate.model.message import ENDED, State, show_id
from mgate.model.view import AttemptView, EventView, MessageView, PartView
from mgate.spool.engine import Ending
from mgate.spool.lifecycle import fold_parts
from mgate.spool.rows import Attempt, Head, Row
from mgate.spool.words import Envelope


class StoredStory(msgspec.Struct, frozen=True, array_like=True):
    """A message as its history file keeps it: its sealed envelope, and its rows as they last stood."""

    envelope: bytes
    rows: list[Row]

    def __repr__(self) -> str:
        return f"StoredStory({show_id(self.rows[0].id)})"


OpenId = Callable[[Row, Attempt], str]
"""The operator's own id of an attempt; empty when it has none."""

_encode: Final = msgspec.msgpack.Encoder().encode

read_stories: Final = msgspec.msgpack.Decoder(list[StoredStory]).decode
"""The stories of one sealed block of history, opened."""


def ending_of(head: Head, rows: Sequence[Row]) -> Ending:
    """A message that has ended, as history takes it."""
    first = rows[0]
    last = first.events[-1]
    return Ending(
        first.id,
        first.parts,
        first.client,
        first.traffic,
        first.state if len(rows) == 1 else fold_parts([row.state for row in rows]),
        first.created,
        last.at,
        first.period,
        head.ref_tag,
        head.content_tag,
        first.phone_tag,
        last.sequence,
        _encode((head.envelope, rows)),
    )


def view_of(  # all that a view is made of
    rows: Sequence[Row], envelope: Envelope, operator_id: OpenId, now: int, *, in_history: bool, admin: bool
) -> MessageView:
    """A message as a client may see it; an administrator sees the operator's ids too. ``now`` in milliseconds."""
    head = rows[0]
    fold = fold_parts([row.state for row in rows])
    return MessageView(
        id=show_id(head.id),
        ref=envelope.ref,
        client=head.client,
        traffic=head.traffic.word,
        to=Msisdn(envelope.to).mask(),
        sender=envelope.sender,
        state=_word(fold, max(row.due for row in rows), now),
        reason=next((row.reason for row in rows if row.state is fold), ""),
        parts=len(rows),
        accepted_at=moment(head.created),
        not_before=moment(int(envelope.not_before * 1000)),
        expires_at=moment(head.expires),
        ended_at=moment(head.events[-1].at) if head.events and fold in ENDED else "",
        may_have_been_sent=any(row.burned > 0 for row in rows),
        in_history=in_history,
        tags=envelope.tags,
        part_states=tuple(PartView(row.n, _word(row.state, row.due, now), row.reason, _due(row, now)) for row in rows),
        attempts=tuple(
            _attempt_view(row, attempt, operator_id(row, attempt) if admin else "")
            for row in rows
            for attempt in row.tries
        ),
        events=tuple(
            EventView(event.sequence, event.event, moment(event.at), event.reason, event.may_have_been_sent)
            for event in head.events
        ),
    )


def moment(at: int) -> str:
    """A moment as RFC 3339 in UTC with milliseconds; empty for 0."""
    if not at:
        return ""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _attempt_view(row: Row, attempt: Attempt, operator_id: str) -> AttemptView:
    return AttemptView(
        row.n,
        attempt.n,
        attempt.route,
        attempt.bind,
        attempt.fate.word,
        moment(attempt.leased),
        moment(attempt.answered),
        moment(attempt.heard),
        attempt.reason,
        attempt.repeat,
        operator_id,
    )


def _word(state: State, due: int, now: int) -> str:
    return "waiting" if state is State.READY and due > now else state.word


def _due(row: Row, now: int) -> str:
    """When a part that waits will leave, or be repeated; empty for what does not wait."""
    return moment(row.due) if row.state in (State.READY, State.UNCERTAIN) and row.due > now else ""
