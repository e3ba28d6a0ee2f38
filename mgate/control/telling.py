"""A message's story in sentences that a call centre can read aloud: one paragraph a message. Pure.

Only what the record holds is said. Why a message waited before it left for the first time the record does not hold; so
of the past we say that it waited in mgate, and of now what the binds of its route say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Final, NamedTuple

from mgate.control.blame import at, blame
from mgate.control.meanings import Fault, of_answer, of_not_written, of_receipt
from mgate.model.view import AttemptView, MessageView, PartView
from mgate.policy.classes import NO_RECEIPT_STAY, RECEIPT_PATIENCE

_KINDS: Final = {
    "otp": "A one-time code",
    "fraud": "A fraud warning",
    "transaction": "A transaction notice",
    "service": "A service message",
    "marketing": "A marketing message",
}
_ENDS: Final = {
    "delivered": "So it is delivered.",
    "undelivered": "So it is not delivered.",
    "expired": "Its life ended before it left, so nothing was sent.",
    "cancelled": "It was taken back before it left, so nothing was sent.",
    "no_receipt": "The operator took it, and no receipt ever came: nobody knows whether the phone has it.",
}
_IN_DOUBT: Final = "so nobody knows whether the operator took it"
_AT_ONCE: Final = 2.0
"""Seconds that need no explanation."""


class Facts(NamedTuple):
    """What a story is told with.

    Attributes:
        zone: whose clock the times are read from.
        now: seconds since 1970.
        quiet: the classes that hours of their own or a pace may hold back.
        routes: every route; ``shut``: those of them that have no open bind now, each with what its binds say.
    """

    zone: tzinfo
    now: float
    quiet: frozenset[str]
    routes: frozenset[str]
    shut: Mapping[str, str]


class Words(NamedTuple):
    """``told``: sentences, in order; ``fault``: whose matter it is; ``next``: what will happen."""

    told: tuple[str, ...]
    fault: Fault
    next: str


def words_of(message: MessageView, facts: Facts) -> Words:
    """The story of one message."""
    clock = _Clock(facts.zone, message.accepted_at)
    found = blame(message, facts.now, _of_route(message, facts))
    next_step = _next(message, clock)
    took = _took(message)
    told = (
        _came(message, clock),
        *_wait(message, facts, clock),
        *_parts(message, clock),
        *_end(message),
        *([took] if took else []),
        f"Whose matter it is: {_blamed(found.fault)}; {found.why}.",
        f"What is next: {next_step}.",
    )
    return Words(told, found.fault, next_step)


class _Clock:
    """Says moments as people do: the date only where it is another than that of the first moment."""

    def __init__(self, zone: tzinfo, first: str) -> None:
        self._zone = zone
        self._day = self._read(first).date()

    def _read(self, moment: str) -> datetime:
        return datetime.fromisoformat(moment).astimezone(self._zone)

    def first(self, moment: str) -> str:
        there = self._read(moment)
        return f"on {there:%A} {there.day} {there:%B %Y} at {there:%H:%M:%S}"

    def __call__(self, moment: str) -> str:
        there = self._read(moment)
        day = "" if there.date() == self._day else f"on {there.day} {there:%B} "
        return f"{day}at {there:%H:%M:%S}"

    def bare(self, moment: str) -> str:
        """Without the word before it."""
        return self(moment).removeprefix("at ").removeprefix("on ")

    def later(self, moment: str, seconds: float) -> str:
        """So long after a moment, as RFC 3339."""
        return (self._read(moment) + timedelta(seconds=seconds)).isoformat()


def span(seconds: float) -> str:
    """A length of time, as one would say it."""
    for unit, name, most in ((1.0, "second", 120.0), (60.0, "minute", 7200.0), (3600.0, "hour", 172_800.0)):
        if seconds < most:
            count = round(seconds / unit)
            return "less than a second" if count < 1 else f"{count} {name}{'' if count == 1 else 's'}"
    return f"{round(seconds / 86_400)} days"


# ---- how it came, and why it waited ----------------------------------------------------------------------------------


def _came(message: MessageView, clock: _Clock) -> str:
    kind = _KINDS.get(message.traffic, "A message")
    parts = f", in {message.parts} parts," if message.parts > 1 else ""
    came = clock.first(message.accepted_at)
    return f"{kind} to {message.to}{parts} from {message.sender} came from {message.client} {came}, as {message.ref}."


def _wait(message: MessageView, facts: Facts, clock: _Clock) -> Iterator[str]:
    left = min((at(attempt.leased_at) for attempt in message.attempts), default=None)
    accepted = at(message.accepted_at)
    hour = at(message.not_before) if message.not_before else 0.0
    if hour > accepted:
        either = "either the bank asked for that, or the quiet hours or the pace of its class did"
        why = either if message.traffic in facts.quiet else "the bank asked for that"
        yield f"It was not to leave before {clock.bare(message.not_before)}: {why}."
    end = left or (at(message.ended_at) if message.ended_at else facts.now)
    waited = end - max(hour, accepted)
    if waited < _AT_ONCE:
        return
    if left is not None:
        yield (
            f"It waited {span(waited)} in mgate for its turn: for a connection, a free place in its window,"
            " or the rate that the operator allows; which of them the record does not keep."
        )
    elif message.ended_at:
        yield f"It waited {span(waited)} in mgate and never left."
    else:
        yield f"It has waited {span(waited)} by now. {_why_now(message, facts)}"


def _why_now(message: MessageView, facts: Facts) -> str:
    moved = next((part for part in message.part_states if part.reason in {"no_bind", "account_gone"}), None)
    before = f"It was moved from another route, because {of_answer(moved.reason).words}. " if moved else ""
    closed = [f"No connection of {_route(route)} is open now: {said}." for route, said in facts.shut.items()]
    open_ones = "Connections are open; so others go first, or the window or the rate is used up."
    return before + " ".join(closed or [open_ones])


def _of_route(message: MessageView, facts: Facts) -> Mapping[str, str]:
    """The shut routes that surely are why this message does not leave: its last one, or all that there are."""
    if message.state not in {"ready", "waiting"}:
        return {}
    wanted = {message.attempts[-1].route} if message.attempts else facts.routes
    return facts.shut if wanted and wanted <= facts.shut.keys() else {}


# ---- the tries -------------------------------------------------------------------------------------------------------


def _parts(message: MessageView, clock: _Clock) -> Iterator[str]:
    for part in range(1, message.parts + 1):
        tries = [attempt for attempt in message.attempts if attempt.part == part]
        it = "It" if message.parts == 1 else f"Part {part}"
        for before, attempt in zip([None, *tries], tries, strict=False):
            yield from _try(it, before, attempt, clock)


def _try(it: str, before: AttemptView | None, attempt: AttemptView, clock: _Clock) -> Iterator[str]:
    route = _route(attempt.route)
    if before is None:
        yield f"{it} left {clock(attempt.leased_at)} by {route}, which the routing rules chose."
    else:
        way = f"by {route} again" if before.route == attempt.route else f"by another route, {route}"
        again = ", marked as a repeat" if attempt.repeat else ""
        yield f"{it} left once more {clock(attempt.leased_at)} {way}{again}, because {_why_again(before)}."
    yield _answer(attempt)
    if attempt.receipt_at:
        yield _receipt(attempt, clock)


def _why_again(before: AttemptView) -> str:
    if before.fate == "refused":
        return "the try before surely did not go through"
    return "nobody knows whether the try before went through"


def _answer(attempt: AttemptView) -> str:
    after = span(at(attempt.answered_at) - at(attempt.leased_at)) if attempt.answered_at else ""
    match attempt.fate:
        case "open":
            return "The operator has not answered yet."
        case "in_doubt":
            return f"After {after or 'that'} {of_answer(attempt.reason).words}, {_IN_DOUBT}."
        case "refused":
            ours = of_not_written(attempt.reason)
            if ours is not None:
                return f"It was not sent after all, because {ours.words}."
            why = of_answer(attempt.reason).words
            return f"The operator refused it after {after}, because {why} ({attempt.reason})."
        case _:
            name = f", and calls it {attempt.operator_id}" if attempt.operator_id else ""
            return f"The operator took it after {after}{name}." if after else "The operator must have taken it."


def _receipt(attempt: AttemptView, clock: _Clock) -> str:
    taken = attempt.answered_at or attempt.leased_at
    later = span(at(attempt.receipt_at) - at(taken))
    # Which words mean delivered is the operator's profile to say: the fate is what it said.
    words = "the phone has it" if attempt.fate == "delivered" else of_receipt(attempt.reason).words
    its_own = f" ({attempt.reason})" if attempt.reason else ""
    return f"Its receipt came {clock(attempt.receipt_at)}, {later} later, and says that {words}{its_own}."


def _route(route: str) -> str:
    """``sms:op-a`` as one would say it."""
    return f"the operator account {route.partition(':')[2] or route}"


# ---- where it stands, and what is next -------------------------------------------------------------------------------


def _end(message: MessageView) -> Iterator[str]:
    if message.state == "expired" and message.may_have_been_sent:
        yield "Its life ended with nobody knowing whether it was sent."
    elif message.state == "cancelled" and message.may_have_been_sent:
        yield "It was taken back, with nobody knowing whether it had been sent."
    elif message.state in _ENDS:
        yield _ENDS[message.state]


def _took(message: MessageView) -> str:
    heard = [at(attempt.receipt_at) for attempt in message.attempts if attempt.receipt_at]
    if message.state != "delivered" or not heard:
        return ""
    return f"From the bank to the phone it took {span(max(heard) - at(message.accepted_at))}."


def _blamed(fault: Fault) -> str:
    return "nobody's" if fault is Fault.NOBODY else fault.value


def _next(message: MessageView, clock: _Clock) -> str:
    until = clock.bare(message.expires_at)
    due = _due(message.part_states)
    match message.state:
        case "waiting":
            return f"it will leave {clock(due)}, if it can until {until}" if due else f"it will be tried until {until}"
        case "ready":
            return f"it leaves as soon as its turn comes, and is given up if it has not left by {until}"
        case "leased":
            return "it is leaving at this moment, and the operator's answer is awaited"
        case "sent":
            last = clock(clock.later(message.expires_at, RECEIPT_PATIENCE))
            return f"the operator's receipt is awaited, and given up {last}"
        case "uncertain" if due:
            return f"it will be sent once more {clock(due)}, unless an answer or a receipt comes before"
        case "uncertain":
            return "it is not sent again; a late answer or a receipt may still tell what became of it"
        case "no_receipt":
            last = clock.bare(clock.later(message.ended_at or message.expires_at, NO_RECEIPT_STAY))
            return f"nothing; but if a receipt comes after all, until {last}, that counts"
        case "delivered":
            return "nothing; this is the end of it"
        case _:
            return "nothing; mgate does not try it again, and the bank may send it anew"


def _due(parts: Sequence[PartView]) -> str:
    return min((part.due for part in parts if part.due), default="")
