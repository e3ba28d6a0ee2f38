"""The story of one message: what ``mgatectl message trace`` tells. The steps are for programs, in the order of what
happened, with the moments in UTC; the sentences are for people (``telling``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

import msgspec

from mgate.config import Config
from mgate.control.telling import Facts, words_of
from mgate.control.views import BindView
from mgate.model.view import AttemptView, EventView, MessageView


class Step(msgspec.Struct, frozen=True):
    """One thing that happened, and when (RFC 3339)."""

    at: str
    what: str


class Story(msgspec.Struct, frozen=True):
    """A message's id, and all that happened to it so far.

    Attributes:
        told: the same in sentences, to be read aloud; times by the bank's clock.
        fault: a word of ``meanings.Fault``: whose matter it is. ``next``: what will happen.
    """

    id: str
    state: str
    steps: tuple[Step, ...]
    told: tuple[str, ...]
    fault: str
    next: str


class Stories(msgspec.Struct, frozen=True):
    """The newest messages to one number, the newest first; ``more`` when there are others."""

    stories: tuple[Story, ...]
    more: bool


_MAY_BE_QUIET = frozenset({"service", "marketing"})
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


def tell(message: MessageView, facts: Facts) -> Story:
    """All steps, by their moment; what has the same moment stays in the order of cause and effect."""
    words = words_of(message, facts)
    steps = sorted([*_of_attempts(message), *_of_events(message)], key=lambda step: step.at)
    # It may have been leased in the very commit that took it.
    every = (Step(message.accepted_at, _taken(message)), *steps)
    return Story(message.id, message.state, every, words.told, words.fault.value, words.next)


def facts_of(binds: Sequence[BindView], now: float, zone: ZoneInfo) -> Facts:
    """What a story is told with: the binds as they stand, seconds since 1970, and the clock that people look at."""
    of_route: dict[str, list[BindView]] = {}
    for bind in binds:
        of_route.setdefault(bind.route, []).append(bind)
    shut = {route: _said(of_it[0]) for route, of_it in of_route.items() if all(bind.state != "bound" for bind in of_it)}
    return Facts(zone, now, _MAY_BE_QUIET, frozenset(of_route), shut)


def bank_zone(config: Config | None) -> str:
    """The bank's own clock: of the guards, the reckoning or the routes, whichever says one; else UTC."""
    if config is None:
        return "UTC"
    said = (config.guards.time_zone, config.reckoning.time_zone, config.routing.time_zone)
    return next((zone for zone in said if zone != "UTC"), "UTC")


def _said(bind: BindView) -> str:
    return f"it is {bind.state}" + (f" ({bind.last_error})" if bind.last_error else "")


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
