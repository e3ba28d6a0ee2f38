"""A part on its way out, as a submit_sm; and what came in, as an entry. Pure.

The sender's type (SMPP 3.4, sections 5.2.5 and 5.2.6) follows from its look, unless the operator's profile says it: a
name is alphanumeric (5/0); a number with a plus sign, or of nine digits and more, is international (1/1); up to eight
digits without one are a short code, which belongs to the operator's network (3/0). Destinations are international.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from mgate.channels.smpp.events import Arrival
from mgate.channels.smpp.pdu import Address, DeliverSm, PduError, SubmitTemplate, pack_message_reference, status_name
from mgate.channels.smpp.receipt import ReceiptRead, UsualReceipt, read_receipt
from mgate.model.entry import Entry, Inbound, Receipt
from mgate.model.message import Outgoing, concatenation_reference
from mgate.model.outcome import Rejected
from mgate.policy.segments import Alphabet, TooLong, split, udh

_SHORT_CODE: Final = 8
_UDHI: Final = 0x40
_UCS2: Final = Alphabet.UCS2
_GSM7_CODING, _UCS2_CODING = 0x00, 0x08
_LONGEST_VALIDITY: Final = 30 * 86_400
"""Seconds. The relative form has months, whose length is anybody's guess, and no operator keeps a message for one."""

_MOST_TEMPLATES: Final = 1000


def source_address(sender: str, ton: int | None = None, npi: int | None = None) -> Address:
    """The sender as the wire has it, by the rule above; ``ton`` and ``npi`` overrule it."""
    digits = sender.removeprefix("+")
    if not digits.isdecimal():
        look = Address(5, 0, sender)
    elif sender.startswith("+") or len(digits) > _SHORT_CODE:
        look = Address(1, 1, digits)
    else:
        look = Address(3, 0, digits)
    return Address(look.ton if ton is None else ton, look.npi if npi is None else npi, look.digits)


@lru_cache(maxsize=4096)
def relative_validity(seconds: int) -> bytes:
    """``validity_period`` in its relative form (section 7.1.1.2): at least a second, since zero means the operator's
    default, and at most 30 days."""
    seconds = min(max(seconds, 1), _LONGEST_VALIDITY)
    hours, rest = divmod(seconds, 3600)
    return b"0000%02d%02d%02d%02d000R" % (hours // 24, hours % 24, rest // 60, rest % 60)


class Rendering:
    """Renders for one account. ``ton`` and ``npi``: of the sender; None for the rule."""

    def __init__(self, ton: int | None = None, npi: int | None = None) -> None:
        self._ton = ton
        self._npi = npi
        self._templates: dict[tuple[str, int, int], SubmitTemplate] = {}
        self._text = ""
        self._octets: tuple[bytes, ...] = (b"",)
        self._coding = _GSM7_CODING

    def body(self, part: Outgoing, wall: float) -> bytes | Rejected:
        """The body of its submit_sm, for a write at ``wall``; Rejected when no operator could take it."""
        text, parts = part.text.reveal(), part.parts
        if text != self._text:
            self._cut(text)
        if len(self._octets) != parts:
            return Rejected("parts_do_not_fit_text")
        octets, esm_class = self._octets[part.n - 1], 0
        if parts > 1:
            octets = udh(concatenation_reference(part.part - part.n + 1), parts, part.n) + octets
            esm_class = _UDHI
        try:
            key = part.sender, esm_class, self._coding
            template = self._templates.get(key) or self._template(key)
            tlvs = pack_message_reference(part.reference)
            return template.body(part.to[1:].encode(), relative_validity(int(part.expires - wall)), octets, tlvs)
        except PduError as error:
            return Rejected(status_name(error.status))

    def _cut(self, text: str) -> None:
        """The parts of one message come one after the other: its text is cut once for all of them."""
        segments = split(text)
        self._text = text
        if isinstance(segments, TooLong):
            self._octets = ()
        else:
            alphabet, self._octets = segments
            self._coding = _UCS2_CODING if alphabet is _UCS2 else _GSM7_CODING

    def _template(self, key: tuple[str, int, int]) -> SubmitTemplate:
        sender, esm_class, coding = key
        if len(self._templates) >= _MOST_TEMPLATES:
            self._templates.clear()
        source = source_address(sender, self._ton, self._npi)
        template = self._templates[key] = SubmitTemplate(source, esm_class=esm_class, data_coding=coding)
        return template

    def forget(self) -> None:
        """Drop the text that the last message left here: an otp must not outlive its message in memory."""
        self._text, self._octets, self._coding = "", (b"",), _GSM7_CODING


def entry_of(account: str, arrival: Arrival) -> Entry:
    """What a deliver_sm or data_sm says. What cannot be read, or is no receipt, is kept whole as it came."""
    message = arrival.message
    if isinstance(message, UsualReceipt):
        ids, told, reason, reference, numbers = message
        return Receipt(account, ids, told, reason, reference, numbers)
    if isinstance(message, DeliverSm):
        read = read_receipt(message)
        if isinstance(read, ReceiptRead):
            reference = read.user_message_reference
            return Receipt(account, read.ids(), read.told, read.reason, reference, read.numbers)
        return Inbound(account, message.source.digits, arrival.body)
    return Inbound(account, "", arrival.body)
