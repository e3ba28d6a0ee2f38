"""The story of a message: everything that was kept of it, in one value. History seals it whole; the desk shows it.

Fields are only ever added at the end, because files of last year hold stories of last year's form.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from mgate.model.address import Msisdn
from mgate.model.message import ENDED, Fate, State, TrafficClass, show_id
from mgate.model.view import AttemptView, EventView, MessageView, PartView
from mgate.spool.engine import Record
from mgate.spool.lifecycle import fold_parts
from mgate.spool.rows import Attempt, Row
from mgate.spool.sealing import Envelope


class PartStory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a part stood; ``due`` in milliseconds."""

    state: int
    reason: str
    due: int
    may_have_left: bool


class AttemptStory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One try; moments in milliseconds, 0 where it did not happen."""

    n: int
    attempt: int
    route: str
    bind: int
    fate: int
    leased: int
    answered: int
    heard: int
    reason: str
    repeat: bool
    operator_id: str

    def __repr__(self) -> str:
        return f"AttemptStory(part {self.n}, attempt {self.attempt})"


class EventStory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One row of the journal; ``at`` in milliseconds."""

    sequence: int
    event: str
    reason: str
    at: int
    may_have_been_sent: bool


class Story(msgspec.Struct, frozen=True, array_like=True):
    """A whole message; moments in milliseconds. ``text`` is empty when it has been erased."""

    message: int
    client: str
    traffic: int
    created: int
    expires: int
    envelope: Envelope
    text: str
    parts: tuple[PartStory, ...]
    attempts: tuple[AttemptStory, ...]
    events: tuple[EventStory, ...]

    def __repr__(self) -> str:
        return f"Story({show_id(self.message)})"


def story_of(record: Record, envelope: Envelope, text: str, operator_id: Callable[[Row, Attempt], str]) -> Story:
    """The story of a message in the live spool."""
    head = record.rows[0]
    rows = {row.id: row for row in record.rows}
    return Story(
        head.id,
        head.client,
        head.traffic,
        head.created,
        head.expires,
        envelope,
        text,
        tuple(PartStory(row.state, row.reason, row.due, row.burned > 0) for row in record.rows),
        tuple(
            AttemptStory(
                rows[attempt.part].n, attempt.n, attempt.route, attempt.bind, attempt.fate, attempt.leased,
                attempt.answered, attempt.heard, attempt.reason, attempt.repeat,
                operator_id(rows[attempt.part], attempt),
            )
            for attempt in record.attempts
        ), tuple(EventStory(row.sequence, row.event, row.reason, row.at, row.may_have_been_sent) for row in
        record.journal),
    )  # fmt: skip


def view_of(story: Story, now: int, *, in_history: bool, admin: bool) -> MessageView:
    """A story as a client may see it; an administrator sees the operator's ids too. ``now`` in milliseconds."""
    states = [State(part.state) for part in story.parts]
    fold = fold_parts(states)
    last = story.events[-1] if story.events else None
    return MessageView(
        id=show_id(story.message),
        ref=story.envelope.ref,
        client=story.client,
        traffic=TrafficClass(story.traffic).word,
        to=Msisdn(story.envelope.to).mask(),
        sender=story.envelope.sender,
        state=_word(fold, max(part.due for part in story.parts), now),
        reason=next((part.reason for part, state in zip(story.parts, states, strict=True) if state is fold), ""),
        parts=len(story.parts),
        accepted_at=moment(story.created),
        not_before=moment(int(story.envelope.not_before * 1000)),
        expires_at=moment(story.expires),
        ended_at=moment(last.at) if last is not None and fold in ENDED else "",
        may_have_been_sent=any(part.may_have_left for part in story.parts),
        in_history=in_history,
        tags=story.envelope.tags,
        part_states=tuple(
            PartView(n, _word(State(part.state), part.due, now), part.reason, _due(part, now))
            for n, part in enumerate(story.parts, start=1)
        ),
        attempts=tuple(_attempt_view(attempt, admin=admin) for attempt in story.attempts),
        events=tuple(
            EventView(event.sequence, event.event, moment(event.at), event.reason, event.may_have_been_sent)
            for event in story.events
        ),
    )


def moment(at: int) -> str:
    """A moment as RFC 3339 in UTC with milliseconds; empty for 0."""
    if not at:
        return ""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _attempt_view(attempt: AttemptStory, *, admin: bool) -> AttemptView:
    return AttemptView(
        attempt.n,
        attempt.attempt,
        attempt.route,
        attempt.bind,
        Fate(attempt.fate).word,
        moment(attempt.leased),
        moment(attempt.answered),
        moment(attempt.heard),
        attempt.reason,
        attempt.repeat,
        attempt.operator_id if admin else "",
    )


def _word(state: State, due: int, now: int) -> str:
    return "waiting" if state is State.READY and due > now else state.word


def _due(part: PartStory, now: int) -> str:
    """When a part that waits will leave, or be repeated; empty for what does not wait."""
    return moment(part.due) if part.state in (State.READY, State.UNCERTAIN) and part.due > now else ""
