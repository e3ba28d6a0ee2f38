"""What a status other than 0 says of a submit: by the operator's profile, since half of them are the vendor's own."""

from typing import get_args

from mgate.channels.smpp.pdu import ESME_RMSGQFUL, ESME_RSYSERR, ESME_RTHROTTLED, status_name
from mgate.config.operators import BLOCKED_SUBSCRIBER, ERROR_WORDS, LATER, THROTTLED, Profile
from mgate.model.outcome import Deferred, Elsewhere, Rejected, Why
from mgate.policy.step import THROTTLED_BY

_THROTTLES = frozenset({ESME_RTHROTTLED, ESME_RMSGQFUL, ESME_RSYSERR})
"""Whose names alone say that the bind is to slow down (`policy.step`)."""

Refused = Deferred | Rejected | Elsewhere


def verdict(status: int, profile: Profile) -> Refused:
    """What a status means for the message. The status stays by name in the reason."""
    name, word = status_name(status), profile.meaning(status)
    if word == THROTTLED:
        return Deferred(name if status in _THROTTLES else THROTTLED_BY + name)
    if word == LATER:
        return Deferred(f"later {name}" if status in _THROTTLES else name)
    if word == BLOCKED_SUBSCRIBER:
        return Rejected(f"{BLOCKED_SUBSCRIBER} {name}")
    why = _WHY.get(word)
    return Rejected(name) if why is None else Elsewhere(name, why)


def slows(status: int, profile: Profile) -> bool:
    """Whether it asks the bind to slow down."""
    return profile.meaning(status) == THROTTLED


_WHY: dict[str, Why] = {why: why for why in get_args(Why) if why in ERROR_WORDS and why != THROTTLED}
