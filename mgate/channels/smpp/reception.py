"""What came in, as an entry: a receipt in the operator's dialect, or what is kept as it came. Pure.

What cannot be read, or is no receipt, is kept whole, and counted when it was marked as a receipt: an operator's habit
that its profile does not know yet shows there.
"""

from __future__ import annotations

from typing import Final

from mgate.channels.smpp.alphabets import text_of
from mgate.channels.smpp.events import Arrival
from mgate.channels.smpp.learning import IdForms
from mgate.channels.smpp.pdu import DeliverSm
from mgate.channels.smpp.receipt import NotAReceipt, ReceiptRead, Unreadable, UsualReceipt, read_receipt
from mgate.config.operator_kinds import Form, FormField
from mgate.config.operators import GENERIC, Profile
from mgate.model.entry import Entry, Inbound, Receipt, Told

_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS: Final = frozenset("0123456789")
_ALPHABETS: Final = {
    "digits": _DIGITS, "hex": _DIGITS | frozenset("abcdefABCDEF"), "letters": _LETTERS,
    "word": _LETTERS | _DIGITS | frozenset("-_"),
}  # fmt: skip
_LONGEST: Final = 512


class Reception:
    """Reads what one account is sent.

    Attributes:
        ids: how the operator's ids pair, pinned or learnt.
        unread: how many were marked as receipts and could not be read.
    """

    def __init__(self, account: str, profile: Profile = GENERIC) -> None:
        receipts = profile.receipts
        self.ids = IdForms(receipts.ids)
        self.unread = 0
        self._account = account
        self._dialect = receipts.dialect
        self._forms = receipts.forms
        self._unflagged = receipts.unflagged
        self._states = {word: Told(told) for word, told in receipts.states}
        self._codings = dict(profile.text.inbound)

    def entry(self, arrival: Arrival) -> Entry:
        """What a deliver_sm or data_sm says."""
        message = arrival.message
        if isinstance(message, UsualReceipt):
            ids, told, reason, reference, numbers = message
            if self._states:
                told = self._states.get(reason.partition(" err:")[0], told)
            if not self.ids.idle:
                ids = self.ids.heard(ids)
            return Receipt(self._account, ids, told, reason, reference, numbers)
        if isinstance(message, DeliverSm):
            read = self._read(message)
            if isinstance(read, ReceiptRead):
                told = self._states.get(read.state, read.told)
                ids = self.ids.heard(read.ids())
                return Receipt(self._account, ids, told, read.reason, read.user_message_reference, read.numbers)
            self.unread += isinstance(read, Unreadable)
            return Inbound(self._account, message.source.digits, arrival.body)
        return Inbound(self._account, "", arrival.body)

    def _read(self, message: DeliverSm) -> ReceiptRead | NotAReceipt | Unreadable:
        if self._dialect == "standard":
            return read_receipt(message, unmarked=self._unflagged)
        if self._dialect == "tlv":
            return read_receipt(message, fields={})
        text = text_of(message, self._codings)[:_LONGEST].strip()
        fields = next((found for form in self._forms if (found := matched(form, text)) is not None), {})
        return read_receipt(message, fields=fields, unmarked=self._unflagged)


def matched(form: Form, text: str) -> dict[str, str] | None:
    """The fields of a text by a form; None when it does not fit. In time linear in the text for each field."""
    found: dict[str, str] = {}
    at = 0
    for piece, behind in zip(form.pieces, (*form.pieces[1:], ""), strict=True):
        if isinstance(piece, str):
            if not text.startswith(piece, at):
                return None
            at += len(piece)
            continue
        end = _end_of(piece, behind, text, at)
        value = text[at:end]
        if not piece.low <= len(value) <= piece.high or not _of_alphabet(value, piece.alphabet):
            return None
        found[piece.name] = value
        at = end
    return found if at == len(text) else None


def _end_of(field: FormField, behind: str | FormField, text: str, at: int) -> int:
    """Where a field ends: by its length, at the literal behind it, or with the text. Before ``at`` for nowhere."""
    if field.fixed:
        return at + field.low
    return text.find(behind, at) if isinstance(behind, str) and behind else len(text)


def _of_alphabet(value: str, name: str) -> bool:
    letters = _ALPHABETS.get(name)
    return value.isprintable() if letters is None else letters.issuperset(value)
