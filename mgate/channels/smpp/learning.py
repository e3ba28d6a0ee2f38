"""How an operator writes the id of one message in its response and in its receipt: pinned by its profile, or learnt.

As long as it is not known, a receipt's id may stand for up to three ids of responses (`receipt.id_forms`), and those of
two messages can collide. So matches are watched that only one pairing explains, and when enough of them say the same,
that pairing holds alone. What is learnt lasts as long as the process: a few messages teach it again, and an operator
that changed its ways meanwhile is not believed to be the old one.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from mgate.channels.smpp.receipt import Pairing, canonical_id, is_hex, pairing_of

ENOUGH: Final = 20
"""Matches that prove a pairing, when none speaks for another."""

_LONG_ENOUGH: Final = 5000
"""Receipts after which an operator whose ids prove nothing, such as UUIDs, is not watched any more."""

_MOST_RECENT: Final = 4096
"""Ids of responses that are remembered while it is learnt."""

PINNED: Final = {
    "same": Pairing.SAME, "hex_then_decimal": Pairing.HEX_THEN_DECIMAL, "decimal_then_hex": Pairing.DECIMAL_THEN_HEX,
}  # fmt: skip
"""The pairings as a profile names them."""


class IdForms:
    """The pairing of one account. ``word``: as the profile says it, ``learn`` for not known.

    Attributes:
        pairing: what is known; None for nothing.
        learning: whether `sent` and `heard` are to be told what comes.
        idle: whether there is nothing to do: nothing is known, and nothing can be learnt.
    """

    def __init__(self, word: str) -> None:
        self.pairing = PINNED.get(word)
        self.pinned = self.pairing is not None
        self.learning = not self.pinned
        self.idle = False
        self.votes: Counter[Pairing] = Counter()
        self._heard = 0
        self._recent: dict[str, None] = {}

    def sent(self, operator_ids: Iterable[str]) -> None:
        """These ids came in responses. Ask it only while ``learning``."""
        recent = self._recent
        for operator_id in operator_ids:
            recent[canonical_id(operator_id)] = None
        while len(recent) > _MOST_RECENT:
            del recent[next(iter(recent))]

    def heard(self, forms: tuple[str, ...]) -> tuple[str, ...]:
        """What a receipt's forms (`receipt.id_forms` without a pairing) still stand for, once the pairing is known."""
        if self.pairing is not None:
            return narrowed(forms, self.pairing)
        if self.learning:
            self._learn(forms)
        return forms

    def _learn(self, forms: tuple[str, ...]) -> None:
        self._heard += 1
        known = [form for form in forms if form in self._recent]
        if len(known) == 1 and (pairing := pairing_of(known[0], forms[0])) is not None:
            del self._recent[known[0]]  # a receipt that comes again proves nothing more
            self.votes[pairing] += 1
        if self.votes.total() >= ENOUGH or self._heard >= _LONG_ENOUGH:
            # An operator that does both, such as two centres behind one account, is never pinned.
            sure = len(self.votes) == 1 and self.votes.total() >= ENOUGH
            self.pairing = next(iter(self.votes)) if sure else None
            self.learning, self.idle = False, not sure
            self._recent.clear()


_AT: Final = {Pairing.SAME: 0, Pairing.DECIMAL_THEN_HEX: 1, Pairing.HEX_THEN_DECIMAL: 2}


def narrowed(forms: tuple[str, ...], pairing: Pairing) -> tuple[str, ...]:
    """The form that the pairing leaves; all of them, when they are not those of one id (text and TLV may differ).

    A decimal id of two digits and more has three forms, one with letters two; so that many are of the first id alone.
    """
    same, count = forms[0] if forms else "", len(forms)
    if count == 3 and len(same) > 1 and same.isdecimal():
        return (forms[_AT[pairing]],)
    if count == 2 and not same.isdecimal() and is_hex(same):
        return forms[1:] if pairing is Pairing.DECIMAL_THEN_HEX else forms[:1]
    return forms
