"""The story of one message, in order and in words: what ``mgatectl message trace`` tells."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mgate.model.view import AttemptView, EventView, MessageView


class Step(msgspec.Struct, frozen=True):
    """One thing that happened, and when (RFC 3339)."""

    at: str
    what: str


class Story(msgspec.Struct, frozen=True):
    """A message's id, and all that happened to it so far."""

    id: str
    state: str
    steps: tuple[Step, ...]


_FATES = {
    "accepted": "the operator took it",
    "refused": "the operator refused it",
    "in_doubt": "no answer came; it may have been sent",
    "open": "",
}
_EVENTS = {
    "sent": "the message is with the operator",
    "uncertain": "nobody knows whether it was sent",
    "delivered": "the message is delivered",
    "undelivered": "the message is undelivered",
    "expired": "its life ended before it left",
    "no_receipt": "no receipt came in time",
    "cancelled": "cancelled before it left",
}


def tell(message: MessageView) -> Story:
    """All steps, by their moment; what has the same moment stays in the order of cause and effect."""
    steps = sorted([*_of_attempts(message), *_of_events(message)], key=lambda step: step.at)
    # It may have been leased in the very commit that took it.
    return Story(message.id, message.state, (Step(message.accepted_at, _taken(message)), *steps))


def _of_events(message: MessageView) -> Iterator[Step]:
    for event in message.events:
        if event.event != "accepted":
            yield Step(event.at, _event(event))


def _event(event: EventView) -> str:
    words = _EVENTS.get(event.event, event.event)
    reason = f" ({event.reason})" if event.reason else ""
    doubt = "; it may have been sent" if event.may_have_been_sent and event.event in {"expired", "cancelled"} else ""
    return f"{words}{reason}{doubt}"


def _taken(message: MessageView) -> str:
    parts = "1 part" if message.parts == 1 else f"{message.parts} parts"
    words = f"taken from client {message.client}: class {message.traffic}, {parts}, to {message.to}"
    later = f", not to leave before {message.not_before}" if message.not_before else ""
    return f"{words}{later}"


def _of_attempts(message: MessageView) -> Iterator[Step]:
    for attempt in message.attempts:
        name = f"try {attempt.attempt}" if message.parts == 1 else f"part {attempt.part}, try {attempt.attempt}"
        again = ", once more, because the try before may or may not have been sent" if attempt.repeat else ""
        yield Step(attempt.leased_at, f"{name}: leaves on {attempt.route}/{attempt.bind}{again}")
        if attempt.answered_at:
            yield Step(attempt.answered_at, f"{name}: {_answer(attempt)}")
        if attempt.receipt_at:
            yield Step(attempt.receipt_at, f"{name}: {_receipt(attempt)}")


def _answer(attempt: AttemptView) -> str:
    # A fate told by the receipt hides what the answer was: that it came at all means that the operator took it.
    told = _FATES.get(attempt.fate, _FATES["accepted"])
    known = f" as {attempt.operator_id}" if attempt.operator_id and told == _FATES["accepted"] else ""
    reason = f" ({attempt.reason})" if attempt.reason and not attempt.receipt_at else ""
    return f"{told}{known}{reason}"


def _receipt(attempt: AttemptView) -> str:
    reason = f" ({attempt.reason})" if attempt.reason else ""
    return f"a receipt says {attempt.fate}{reason}"
