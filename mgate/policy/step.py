"""What follows: one page that tells what happens to a message next, and why.

The state machine (``spool.lifecycle``) knows no guards. Whether a refusal is worth another try, and whether an
uncertain attempt may be repeated, is decided here and arrives there as a different event.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgate.model.message import TrafficClass
from mgate.policy.backoff import next_due
from mgate.policy.classes import RULES

THROTTLES: Final = frozenset({"ESME_RTHROTTLED", "ESME_RMSGQFUL", "ESME_RSYSERR"})
"""The statuses that ask the whole bind to slow down (SMPP 3.4, section 5.1.3): nothing is wrong with the message."""


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
    return reason not in THROTTLES


def after_deferral(facts: Facts, reason: str, now: float) -> Defer | KeepPlace:
    """After a certain refusal that another try may mend: a throttled message waits for its bind only, any other backs
    off; the end of the life ends the waiting."""
    if not backs_off(reason):
        return KeepPlace()
    return Defer(min(next_due(facts.deferrals, now), facts.expires))


def after_refusal(reason: str) -> Exhaust:
    """After a final refusal or a receipt of failure: with one route there is nothing else to try."""
    return Exhaust(reason)


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
