"""Which attempt a receipt means, when an operator gives an id more than once. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mgate.model.message import Fate
from mgate.spool.lifecycle import may_become
from mgate.spool.rows import Hit
from mgate.spool.verbs import Heard


def newer(learnt: Sequence[Hit] | None, at_hand: Hit | None) -> Hit | None:
    """Of what has just learnt an id and what is at hand with it, the one leased last, which its receipt means.

    None when several have learnt it, or it waits for no receipt: then everything that bears the id is looked at. What
    is not at hand was leased before.
    """
    if learnt is None:
        return at_hand
    if len(learnt) > 1 or learnt[0][1].fate is not Fate.ACCEPTED:
        return None
    return learnt[0] if at_hand is None or at_hand[1].leased <= learnt[0][1].leased else at_hand


def best(receipt: Heard, known: Mapping[tuple[str, bytes], list[Hit]]) -> Hit | None:
    """The attempt that bears the best form of the receipt's id; of several, the one leased last that still waits."""
    for tag in receipt.tags:
        same = known.get((receipt.account, tag))
        if same:
            waiting = [hit for hit in same if may_become(hit[1].fate, Fate.DELIVERED)]
            return max(waiting or same, key=lambda hit: hit[1].leased)
    return None
