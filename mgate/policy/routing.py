"""By which routes a message may leave, best first, and why: the one decision.

One rule of the table decides (``policy.routing_table`` says which): what it does not name is not used, however bad
things stand. Of what it names, in its order, the routes that must not have the message are left out; and those that can
take nothing now, or not this number, go behind those that can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, NamedTuple

from mgate.policy.classes import URGENT
from mgate.policy.routing_table import Choice, Register, Table, Wanted, Why


class Standing(NamedTuple):
    """How a route stands. Moments are of the clock that a decision is given, 0.0 for none.

    Attributes:
        down_since: since when no bind of it is open.
        poor: fewer of its messages arrive, or later, than is bearable (``policy.quality``).
        held: a person has closed it for a while.
        quota_until: its operator takes nothing more before then.
    """

    down_since: float = 0.0
    poor: bool = False
    held: bool = False
    quota_until: float = 0.0


WELL: Final = Standing()
"""A route that nothing is wrong with."""


class Barred(Enum):
    """Why a route must not have a message: what its operator has not approved."""

    SENDER = "sender_not_registered"
    CLASS = "class_not_registered"
    ENDED = "registration_ended"
    TEXT = "text_not_approved"


class Decision(NamedTuple):
    """Choices best first, what was left out, and the name of the rule; the empty name for none."""

    rule: str
    choices: tuple[Choice, ...]
    barred: tuple[tuple[str, Barred], ...] = ()


def plan(table: Table, wanted: Wanted, standing: Mapping[str, Standing], now: float) -> tuple[Choice, ...]:
    """Every route that the message may leave by, best first. A route without a standing is well."""
    return decide(table, wanted, standing, now).choices


def decide(table: Table, wanted: Wanted, standing: Mapping[str, Standing], now: float) -> Decision:
    """The order of decisions: one rule, in which order it names routes, who must not have the message, and who can take
    it now."""
    line = table.line_for(wanted)
    if line is None:
        return NO_RULE
    choices, barred = line.in_order(wanted.to), NOBODY
    if table.registers:
        choices, barred = _sift(choices, wanted, table.registers)
    patience = table.patience.urgent if wanted.traffic in URGENT else table.patience.others
    places = [_place(standing.get(choice.route), now, patience) for choice in choices]
    if wanted.foreign:
        places = [
            _FOREIGN if choice.route in wanted.foreign else place for choice, place in zip(choices, places, strict=True)
        ]
    if any(places):
        choices = _put_behind(choices, places)
    return Decision(line.name, choices, barred)


NOBODY: Final[tuple[tuple[str, Barred], ...]] = ()
NO_RULE: Final = Decision("", (), NOBODY)
"""No rule is for this message. The configuration sees to it that there is always one."""

_WHYS: Final = (None, Why.POOR, Why.DOWN, Why.QUOTA, Why.HELD, Why.FOREIGN)
"""Why a route is put behind, by the place that it is put to: the greatest harm last. 0: it keeps its place."""

_POOR, _DOWN, _QUOTA, _HELD, _FOREIGN = range(1, len(_WHYS))


def _place(standing: Standing | None, now: float, patience: float) -> int:
    """Where a route is put that stands so."""
    if standing is None or standing is WELL:
        return 0
    if standing.held:
        return _HELD
    if standing.quota_until > now:
        return _QUOTA
    if standing.down_since and now - standing.down_since >= patience:
        return _DOWN
    return _POOR if standing.poor else 0


def _put_behind(choices: Sequence[Choice], places: Sequence[int]) -> tuple[Choice, ...]:
    """The same choices: first who can take the message, last who surely cannot."""
    found = []
    for index in sorted(range(len(places)), key=places.__getitem__):
        choice, why = choices[index], _WHYS[places[index]]
        found.append(choice if why is None else Choice(choice.route, why, why is Why.POOR, choice.price))
    return tuple(found)


def _sift(
    choices: Sequence[Choice], wanted: Wanted, registers: Mapping[str, Register]
) -> tuple[tuple[Choice, ...], tuple[tuple[str, Barred], ...]]:
    """Whom the message may have, and who is left out."""
    allowed: list[Choice] = []
    barred: list[tuple[str, Barred]] = []
    for choice in choices:
        register = registers.get(choice.route)
        why = register.allows(wanted.sender, wanted.traffic, wanted.text.reveal(), wanted.day) if register else ""
        if why:
            barred.append((choice.route, Barred(why)))
        else:
            allowed.append(choice)
    return tuple(allowed), tuple(barred)
