"""What follows: one page that tells what happens to a message next, and why.

The state machine (``spool.lifecycle``) knows no guards. Whether a refusal is worth another try, and whether an
uncertain attempt may be repeated, is decided here and arrives there as a different event.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum
from typing import Final, NamedTuple, assert_never

from mgate.model.message import TrafficClass
from mgate.model.outcome import Why
from mgate.policy.backoff import next_due
from mgate.policy.classes import RULES, URGENT

_FOR_SIBLINGS: Final = 1.0
"""Seconds until a refused part is tried again whose siblings are still without an answer: theirs may take it along."""

THROTTLES: Final = frozenset({"ESME_RTHROTTLED", "ESME_RMSGQFUL", "ESME_RSYSERR"})
"""The statuses that ask the whole bind to slow down (SMPP 3.4, section 5.1.3): nothing is wrong with the message."""

THROTTLED_BY: Final = "throttled by "
"""What stands before any other status by which an operator asks the same."""


class Facts(NamedTuple):
    """What a decision may look at.

    Attributes:
        expires: the end of the message's life, seconds since 1970.
        burned: attempts that may have been sent; ``deferrals``: refusals that it backed off after.
        repeats_off: called off, or beside a failed part.
    """

    traffic: TrafficClass
    expires: float
    burned: int
    deferrals: int
    repeats_off: bool


class Defer(NamedTuple):
    """Try again at ``due`` (seconds since 1970)."""

    due: float


class KeepPlace(NamedTuple):
    """Ready at once, in the place that its age gives it: the bind's pause holds it, and nothing else does."""


class MoveTo(NamedTuple):
    """Ready at once on this other route, with all of its message, in the place that its age gives it there."""

    route: str


class Siblings(Enum):
    """What the other parts of a message mean for a change of its route: none has left or may have; one has no answer
    yet; one is accepted, or in doubt, and binds all to its account."""

    FREE = "free"
    OPEN = "open"
    BOUND = "bound"


class Exhaust(NamedTuple):
    """No other try: the message ends undelivered for this reason."""

    reason: str


class RepeatAt(NamedTuple):
    """Send it once more at ``due`` if no answer and no receipt has come by then."""

    due: float


class NoRepeat(NamedTuple):
    """It stays uncertain until a late answer, a receipt, a person or its patience ends it."""


def backs_off(reason: str) -> bool:
    """Whether a certain refusal that another try may mend makes its message wait by itself."""
    return not throttles(reason)


def throttles(reason: str) -> bool:
    """Whether a refusal is a wish of the operator that its bind slow down."""
    return reason in THROTTLES or reason.startswith(THROTTLED_BY)


def after_deferral(facts: Facts, reason: str, now: float) -> Defer | KeepPlace:
    """After a certain refusal that another try may mend: a throttled message waits for its bind only, any other backs
    off; the end of the life ends the waiting."""
    if not backs_off(reason):
        return KeepPlace()
    return Defer(min(next_due(facts.deferrals, now), facts.expires))


def after_refusal(reason: str) -> Exhaust:
    """After a final refusal or a receipt of failure: no other route would do better."""
    return Exhaust(reason)


def after_elsewhere(
    facts: Facts, why: Why, reason: str, left: Sequence[str], siblings: Siblings, now: float
) -> MoveTo | Defer | KeepPlace | Exhaust:  # fmt: skip
    """After a certain refusal that another route may mend: to the best route that is ``left``. Where none is, or where
    a sibling is bound to this one, a throttled message waits for its bind, one beyond the quota backs off, and for any
    other there is nothing else to try."""
    if left and siblings is Siblings.FREE:
        return MoveTo(left[0])
    match why:
        case "throttled":
            return KeepPlace()
        case "quota":
            return Defer(min(next_due(facts.deferrals, now), facts.expires))
        case "other_route" | "foreign_network":
            if left and siblings is Siblings.OPEN:
                return Defer(min(now + _FOR_SIBLINGS, facts.expires))
            return Exhaust(reason)
        case _:
            assert_never(why)


def repeats_elsewhere(traffic: TrafficClass, parts: int) -> bool:
    """Whether a repeat may take another route than the one in doubt. The parts of a message stay together: a phone puts
    together what came from one sender by one operator."""
    return traffic in URGENT and parts == 1


def repeat_route(here: str, routes: Sequence[str], barred: Collection[str], doubtful: Collection[str]) -> str:
    """The route of a repeat that may change it: one that is not in doubt and has not sent the message away, as far as
    there is one."""
    left = [route for route in (*routes, here) if route not in barred]
    return next((route for route in left if route not in doubtful), left[0] if left else here)


def after_doubt(facts: Facts, link_alive: bool, now: float) -> RepeatAt | NoRepeat:
    """After a submit whose answer never came: the class decides, and never silently."""
    rules = RULES[facts.traffic]
    wait = rules.repeat_after if link_alive else rules.repeat_after_loss
    if wait is None or facts.repeats_off or facts.burned >= rules.submits:
        return NoRepeat()
    due = now + wait
    return RepeatAt(due) if facts.expires - due >= max(rules.repeat_needs, 1.0) else NoRepeat()


def over_when_set_back(traffic: TrafficClass) -> bool:
    """Whether a message is over that was accepted at a moment which, by the clock that was set back since, is to come.

    How long it has still to live nobody can say: a code may not come late, anything else is better late than lost.
    """
    return RULES[traffic].erase_text
