"""What each class of traffic means: its lane, its life, and what follows when a submit is uncertain.

The table of the product's promise to the bank. OTP and fraud notices are worth a second copy and worthless late; a
debit must arrive but not twice if a late answer can still settle it; marketing is never sent twice.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgate.model.message import TrafficClass

URGENT: Final = frozenset({TrafficClass.OTP, TrafficClass.FRAUD})
"""The classes that the reserve of slots and tokens is kept for."""

LANES: Final = (1, 2, 3, 4)
"""Every lane, most urgent first."""


class ClassRules(NamedTuple):
    """The rules of one class. All times in seconds.

    Attributes:
        lane: 1 is served first.
        life: how long a message lives when its sender did not say.
        repeat_after: how long an uncertain attempt waits for its answer while the link that bore it stands; the count
            begins at the response time limit. None: never repeated.
        repeat_after_loss: the same when the link was lost or the daemon was killed.
        repeat_needs: the life that must be left for a repeat to make sense.
        submits: at most so many attempts that may have been sent.
        erase_text: the text is erased when it is delivered or its life ends, whichever comes first.
        group: the retention group that its records belong to (``sealed-format``).
    """

    lane: int
    life: float
    repeat_after: float | None
    repeat_after_loss: float | None
    repeat_needs: float
    submits: int
    erase_text: bool
    group: str


RULES: Final[dict[TrafficClass, ClassRules]] = {
    TrafficClass.OTP: ClassRules(1, 180.0, 5.0, 0.0, 30.0, 2, True, "otp"),
    TrafficClass.FRAUD: ClassRules(1, 900.0, 5.0, 0.0, 30.0, 2, False, "notice"),
    TrafficClass.TRANSACTION: ClassRules(2, 43_200.0, 600.0, 600.0, 0.0, 2, False, "notice"),
    TrafficClass.SERVICE: ClassRules(3, 86_400.0, 3_600.0, 3_600.0, 0.0, 2, False, "notice"),
    TrafficClass.MARKETING: ClassRules(4, 86_400.0, None, None, 0.0, 1, False, "marketing"),
}

RECEIPT_PATIENCE: Final = 72 * 3600.0
"""How long after the end of a message's life a receipt is awaited."""

NO_RECEIPT_STAY: Final = 7 * 86_400.0
"""How long ``no_receipt`` stays in the live spool, because a late receipt may still correct it."""

EARLY_STAY: Final = 72 * 3600.0
"""How long a receipt that fits no message is kept."""
