"""Whose matter it is that a message is late, or did not arrive: decided from its record alone. Pure.

What ended a message says whose matter that is. A message that arrived, or that is still under way, is asked where its
time went: the longest stretch of it decides, once it took longer than anybody would call prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from mgate.control.meanings import Fault, of_answer, of_not_written, of_receipt
from mgate.model.message import CLASS_BY_WORD
from mgate.model.view import AttemptView, MessageView
from mgate.policy.classes import URGENT

PROMPT: Final = 60.0
PROMPT_URGENT: Final = 10.0
"""Seconds from acceptance to the phone within which nobody asks why; of a code or a warning fewer."""


class Blame(NamedTuple):
    """``why`` is a sentence without its full stop."""

    fault: Fault
    why: str


class Stretch(NamedTuple):
    """``seconds`` of a message's time that went to ``what``."""

    seconds: float
    fault: Fault
    what: str


def blame(message: MessageView, now: float, shut: Mapping[str, str]) -> Blame:
    """Whose matter it is.

    Args:
        now: seconds since 1970.
        shut: the routes that have no open bind now, each with what its binds say.
    """
    match message.state:
        case "undelivered":
            return _of_failure(message)
        case "expired":
            return _of_lapse(message, shut)
        case "cancelled":
            return _of_cancellation(message.reason)
        case "no_receipt":
            return Blame(Fault.OPERATOR, "it took the message and never said what became of it")
        case _:
            return _of_time(message, now, shut)


def _of_failure(message: MessageView) -> Blame:
    for attempt in reversed(message.attempts):
        if attempt.fate == "undelivered":
            meaning = of_receipt(attempt.reason)
            return Blame(meaning.fault, f"its receipt said: {meaning.words}")
        if attempt.fate == "refused":
            meaning = of_not_written(attempt.reason) or of_answer(attempt.reason)
            return Blame(meaning.fault, f"it was refused: {meaning.words}")
    return Blame(Fault.OPERATOR, "it could not be delivered, and the record does not say why")


def _of_lapse(message: MessageView, shut: Mapping[str, str]) -> Blame:
    if message.may_have_been_sent:
        return Blame(Fault.OPERATOR, "it never said whether it had taken the message")
    longest = max(stretches(message, at(message.ended_at or message.expires_at), shut), key=lambda one: one.seconds)
    return Blame(longest.fault, f"its life was over before it could leave, and most of it went to {longest.what}")


def _of_cancellation(reason: str) -> Blame:
    match reason:
        case "cancelled_by_client":
            return Blame(Fault.BANK, "the bank's own program took it back before it left")
        case "superseded":
            return Blame(Fault.BANK, "a newer message of the same group took its place before it left")
        case "cancelled_by_operator":
            return Blame(Fault.BANK, "a person who runs mgate took it back before it left")
        case _:
            return Blame(Fault.BANK, "it was taken back before it left")


def _of_time(message: MessageView, now: float, shut: Mapping[str, str]) -> Blame:
    over = max((at(attempt.receipt_at) for attempt in message.attempts if attempt.receipt_at), default=now)
    end = over if message.state == "delivered" else now
    took = end - at(message.accepted_at)
    prompt = PROMPT_URGENT if CLASS_BY_WORD.get(message.traffic) in URGENT else PROMPT
    if took <= prompt:
        return Blame(Fault.NOBODY, "it was prompt" if message.state == "delivered" else "it has only just come")
    longest = max(stretches(message, end, shut), key=lambda one: one.seconds)
    return Blame(longest.fault, f"most of the time went to {longest.what}")


# ---- where the time went ---------------------------------------------------------------------------------------------


def stretches(message: MessageView, end: float, shut: Mapping[str, str]) -> list[Stretch]:
    """The time of a message from acceptance to ``end``, of its slowest part; never empty."""
    parts = range(1, message.parts + 1)
    tries = [[attempt for attempt in message.attempts if attempt.part == part] for part in parts]
    slowest = max(tries, key=lambda each: max((_last(attempt) for attempt in each), default=end))
    found = [*_before(message, slowest, end, shut), *_of_tries(slowest, end)]
    return found or [Stretch(0.0, Fault.NOBODY, "nothing")]


def _before(
    message: MessageView, tries: list[AttemptView], end: float, shut: Mapping[str, str]
) -> Iterator[Stretch]:  # fmt: skip
    accepted, left = at(message.accepted_at), at(tries[0].leased_at) if tries else end
    hour = min(at(message.not_before), left) if message.not_before else accepted
    if hour > accepted:
        yield Stretch(hour - accepted, Fault.BANK, "waiting for the hour from which it might leave")
    if not tries and shut:
        yield Stretch(left - max(hour, accepted), Fault.OPERATOR, "waiting while no connection of its route was open")
    else:
        yield Stretch(left - max(hour, accepted), Fault.MGATE, "waiting in mgate for its turn to leave")


def _of_tries(tries: list[AttemptView], end: float) -> Iterator[Stretch]:
    for place, attempt in enumerate(tries):
        last = place + 1 == len(tries)
        until = end if last else at(tries[place + 1].leased_at)
        begun, answered = at(attempt.leased_at), at(attempt.answered_at) if attempt.answered_at else until
        yield Stretch(answered - begun, Fault.OPERATOR, "waiting for the operator's answer")
        match attempt.fate:
            case "refused":
                meaning = of_not_written(attempt.reason) or of_answer(attempt.reason)
                yield Stretch(until - answered, meaning.fault, f"waiting after a try that failed: {meaning.words}")
            case "in_doubt":
                fault = of_answer(attempt.reason).fault
                yield Stretch(until - answered, fault, "waiting after a try whose answer never came")
            case _:
                heard = at(attempt.receipt_at) if attempt.receipt_at else until
                yield Stretch(heard - answered, Fault.BEYOND, "waiting for the phone, after the operator had taken it")


def _last(attempt: AttemptView) -> float:
    return max(at(moment) for moment in (attempt.leased_at, attempt.answered_at, attempt.receipt_at) if moment)


def at(moment: str) -> float:
    """A moment of a view, in seconds since 1970."""
    return datetime.fromisoformat(moment).timestamp()
