"""Probes of an operator: a few messages to a telephone of the bank's own, and what their fates say of its profile.

Nothing is changed here: what follows is proposed, as a line of the profile and why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from mgate.control.operator_views import OperatorRow
from mgate.control.pushing import FINAL
from mgate.model.view import AttemptView, MessageView


class Probe(NamedTuple):
    """One message to send.

    Attributes:
        question: what the person at the telephone is asked; ``if_not``: what is proposed after a no.
    """

    word: str
    text: str
    question: str
    if_not: str


PROBES: Final = (
    Probe(
        "plain", "mgate probe: abc 123", "Did it come?", "nothing came: ask the operator whether the number is served"
    ),
    Probe(
        "gsm",
        "mgate probe: @ $ _ [ ] { } é ü Ä £ €",
        "Does it read, letter for letter, mgate probe: @ $ _ [ ] { } é ü Ä £ € ?",
        '[text] alphabet = "latin1": letters beyond ASCII came wrong; try it, then "ascii", and probe again',
    ),
    Probe(
        "ucs2",
        "mgate probe: Код Ω 漢字",
        "Does it read, letter for letter, mgate probe: Код Ω 漢字 ?",
        "[text] ucs2_coding: a text in UCS-2 came wrong; ask the operator for its data_coding",
    ),
    Probe(
        "long",
        f"mgate probe: {'0123456789 ' * 17}end",
        "Did it come as one message, from 'mgate probe' to 'end'?",
        '[text] concatenation = "udh8": the parts came apart; try it, then "sar", and probe again',
    ),
)

_AFTER_STATUS: Final = {
    "ESME_RINVSRCADR": "[numbers] name_ton, name_npi, or [[senders]]: the operator refuses the sender",
    "ESME_RINVSRCTON": "[numbers] name_ton or number_ton: the operator wants another type of sender",
    "ESME_RINVSRCNPI": "[numbers] name_npi or number_npi: the operator wants another plan of sender",
    "ESME_RINVDSTADR": '[numbers] to_prefix: the operator refuses the number as we write it; try "+" or "00"',
    "ESME_RINVDSTTON": "[numbers] to_ton: the operator wants another type of destination",
    "ESME_RINVDSTNPI": "[numbers] to_npi: the operator wants another plan of destination",
    "ESME_RINVEXPIRY": '[submit] validity = "absolute" or "none": the operator refuses the end of the life so',
    "ESME_RINVREGDLVFLG": "[submit] registered_delivery: the operator refuses to be asked for receipts so",
    "ESME_RINVSERTYP": "[submit] service_type: the operator wants one",
    "ESME_RINVESMCLASS": '[text] concatenation = "sar": the operator refuses a header in the text',
    "ESME_RINVOPTPARSTREAM": "[submit] reference = false: the operator refuses TLVs",
    "ESME_ROPTPARNOTALLWD": "[submit] reference = false: the operator refuses a TLV",
    "ESME_RINVMSGLEN": '[text] field = "message_payload", or concatenation: the operator refuses the length',
}
_PIN: Final = {
    "same": 'ids = "same"',
    "hex then decimal": 'ids = "hex_then_decimal"',
    "decimal then hex": 'ids = "decimal_then_hex"',
}


class Answered(NamedTuple):
    """What became of one probe: its fate, and what the person saw; None where nobody was asked."""

    probe: Probe
    view: MessageView
    right: bool | None


def settle(
    ask: Callable[[], MessageView], patience: float, now: Callable[[], float], sleep: Callable[[float], None]
) -> MessageView:
    """Ask until the message has ended, or ``patience`` seconds are over."""
    until = now() + patience
    while (view := ask()).state not in FINAL and now() < until:
        sleep(0.5)
    return view


def proposals(route: str, answered: Sequence[Answered], before: OperatorRow, after: OperatorRow) -> list[str]:
    """What the fates say of the profile, a line each: a setting and why.

    Args:
        route: the account's, such as ``sms:op-a``.
        before, after: what the daemon had found out before and after the probes.
    """
    lines: dict[str, None] = {}
    for probe, view, right in answered:
        for attempt in view.attempts:
            if attempt.route != route:
                lines[f"the probe {probe.word} left by {attempt.route}: let no rule of [routes] stand between"] = None
            lines |= dict.fromkeys(_of_refusal(attempt))
        if right is False:
            lines[probe.if_not] = None
        lines |= dict.fromkeys(_of_receipts(probe, view))
    if after.unread > before.unread:
        lines["[receipts] dialect, forms: receipts came that could not be read; ask the operator how they read"] = None
    if after.ids == "learnt" and after.pairing in _PIN:
        lines[f"[receipts] {_PIN[after.pairing]}: learnt by {after.votes} matches"] = None
    return list(lines)


def _of_refusal(attempt: AttemptView) -> list[str]:
    if attempt.fate != "refused":
        return []
    status = next((name for name in _AFTER_STATUS if name in attempt.reason), "")
    said = _AFTER_STATUS.get(status, "[errors]: say what it means")
    return [f"{said} ({attempt.reason})"]


def _of_receipts(probe: Probe, view: MessageView) -> list[str]:
    """Which parts were told of."""
    told = [part.part for part in view.part_states if part.state in ("delivered", "undelivered")]
    accepted = {attempt.part for attempt in view.attempts if attempt.fate != "refused"}
    if not accepted or len(told) == view.parts:
        return []
    if not told:
        return [
            f"no receipt came for the probe {probe.word}: ask the operator whether receipts are on, and wait longer"
        ]
    if view.parts > 1 and told in ([1], [view.parts]):
        word = "first" if told == [1] else "last"
        return [f'[receipts] per_part = "{word}": only that part of {view.parts} was told of']
    return [f"receipts came for parts {', '.join(map(str, told))} of {view.parts} only: wait longer, or ask"]
