"""A part on its way out, as a submit_sm. Pure.

What is peculiar about an operator its profile says (`config.operators`). Unless it says else, a sender's type (SMPP
3.4, sections 5.2.5 and 5.2.6) follows from its look: a name is alphanumeric (5/0); a number with a plus sign, or of
nine digits and more, is international (1/1); up to eight digits without one are a short code, which belongs to the
operator's network (3/0). Destinations are international.

What holds for all messages of an account is decided once, when its `Rendering` is made; what is left for each is one
short way, and a profile that asks for nothing unusual pays nothing for those that do.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Final

from mgate.channels.smpp.alphabets import UDHI, write
from mgate.channels.smpp.pdu import (
    ESME_RINVDSTADR,
    ESME_RINVSRCADR,
    TLV_MESSAGE_PAYLOAD,
    Address,
    PduError,
    SubmitTemplate,
    pack_message_reference,
    pack_tlv,
    status_name,
)
from mgate.config.operators import GENERIC, Numbers, Profile
from mgate.model.message import Outgoing, concatenation_reference
from mgate.model.outcome import Rejected
from mgate.policy.segments import Alphabet, Segments, TooLong, split, split_ucs2, udh

_UCS2: Final = Alphabet.UCS2
_LONGEST_VALIDITY: Final = 30 * 86_400
"""Seconds. The relative form has months, whose length is anybody's guess, and no operator keeps a message for one."""

_MOST_TEMPLATES: Final = 1000
_DEST_ADDR_SUBUNIT, _SAR_MSG_REF_NUM, _SAR_TOTAL_SEGMENTS, _SAR_SEGMENT_SEQNUM = 0x0005, 0x020C, 0x020E, 0x020F
_HEADERS: Final = {"udh16": 7, "udh8": 6, "sar": 0}
_FLASH_CLASS, _FLASH_CLASS_UCS2, _FLASH_F0 = 0x10, 0x18, 0xF0  # TS 23.038 section 4: class 0, shown at once
_DISPLAY: Final = b"\x01"  # dest_addr_subunit, SMPP 3.4 section 5.3.2.1


def source_address(
    sender: str, ton: int | None = None, npi: int | None = None, by: Numbers = GENERIC.numbers
) -> Address:
    """The sender as the wire has it, by the profile's rule; ``ton`` and ``npi`` overrule it.

    PduError when the operator takes no name that long.
    """
    digits = sender.removeprefix("+")
    if not digits.isdecimal():
        if len(sender) > by.longest_name:
            raise PduError(ESME_RINVSRCADR, f"source_addr: a name of {len(sender)} characters, not {by.longest_name}")
        look = Address(by.name_ton, by.name_npi, sender)
    elif sender.startswith("+") or len(digits) > by.short_digits:
        look = Address(by.number_ton, by.number_npi, by.sender_prefix + digits)
    else:
        look = Address(by.short_ton, by.short_npi, digits)
    return Address(look.ton if ton is None else ton, look.npi if npi is None else npi, look.digits)


@lru_cache(maxsize=4096)
def relative_validity(seconds: int) -> bytes:
    """``validity_period`` in its relative form (section 7.1.1.2): at least a second, since zero means the operator's
    default, and at most 30 days."""
    seconds = min(max(seconds, 1), _LONGEST_VALIDITY)
    hours, rest = divmod(seconds, 3600)
    return b"0000%02d%02d%02d%02d000R" % (hours // 24, hours % 24, rest // 60, rest % 60)


def absolute_validity(moment: float, quarters: int = 0) -> bytes:
    """``validity_period`` in its absolute form (section 7.1.1.1), in whole seconds.

    Args:
        moment: seconds since 1970.
        quarters: the offset of the zone that it is written in, in quarter hours; below 0 to the west.
    """
    local = dt.datetime.fromtimestamp(int(moment) + quarters * 900, dt.UTC)
    sign = "-" if quarters < 0 else "+"
    return f"{local:%y%m%d%H%M%S}0{abs(quarters):02d}{sign}".encode()


class Rendering:
    """Renders for one account.

    Args:
        profile: the operator's.
        ton, npi: of the sender, whatever the profile says; None: as it says.
        flash: the texts show themselves at once and are kept nowhere.
    """

    def __init__(
        self, profile: Profile = GENERIC, ton: int | None = None, npi: int | None = None, *, flash: bool = False
    ) -> None:
        self._profile = profile
        self._ton = ton
        self._npi = npi
        self._flash = flash
        self._templates: dict[tuple[str, int, int], SubmitTemplate] = {}
        self._text = ""
        self._octets: tuple[bytes, ...] = (b"",)
        self._gsm7_coding, self._ucs2_coding = self._codings()
        self._coding = self._gsm7_coding
        self._plain = profile.text.alphabet == "gsm7"
        self._tlvs = self._tlvs_of_all()
        self._usual = self._is_usual()

    def body(self, part: Outgoing, wall: float) -> bytes | Rejected:
        """The body of its submit_sm, for a write at ``wall``; Rejected when this operator could not take it."""
        text, parts = part.text.reveal(), part.parts
        if text != self._text:
            self._cut(text, parts)
        if len(self._octets) != parts:
            return self._unfit(text, parts)
        octets, esm_class = self._octets[part.n - 1], 0
        if parts > 1 and self._usual:
            octets = udh(concatenation_reference(part.part - part.n + 1), parts, part.n) + octets
            esm_class = UDHI
        try:
            if not self._usual:
                return self._unusual(part, octets, wall)
            key = part.sender, esm_class, self._coding
            template = self._templates.get(key) or self._template(key)
            tlvs = pack_message_reference(part.reference)
            return template.body(part.to[1:].encode(), relative_validity(int(part.expires - wall)), octets, tlvs)
        except PduError as error:
            return Rejected(status_name(error.status))

    def _is_usual(self) -> bool:
        """Whether nothing of the profile changes more than what stands in a template, or the octets of the text."""
        body, numbers, submit = self._profile.text, self._profile.numbers, self._profile.submit
        return (
            (body.concatenation, body.field) == ("udh16", "short_message")
            and (numbers.to_prefix, numbers.to_shortest, numbers.to_longest) == ("", 1, 20)
            and (submit.validity, submit.longest_validity) == ("relative", _LONGEST_VALIDITY)
            and submit.reference
            and not self._tlvs
        )

    def _unusual(self, part: Outgoing, octets: bytes, wall: float) -> bytes:
        """The same for a profile that wants it otherwise. PduError when a field does not fit."""
        esm_class, tlvs = 0, pack_message_reference(part.reference) if self._profile.submit.reference else b""
        if part.parts > 1:
            octets, esm_class, tied = self._tied(part, octets)
            tlvs += tied
        tlvs += self._tlvs
        if self._profile.text.field == "message_payload":
            octets, tlvs = b"", tlvs + pack_tlv(TLV_MESSAGE_PAYLOAD, octets)
        key = part.sender, esm_class, self._coding
        template = self._templates.get(key) or self._template(key)
        return template.body(self._number(part.to), self._validity(part, wall), octets, tlvs)

    # ---- the text ----

    def _cut(self, text: str, parts: int) -> None:
        """The parts of one message come one after the other: its text is cut once for all of them."""
        segments = split(text)
        self._text = text
        if isinstance(segments, TooLong):
            self._octets = ()
        elif segments.alphabet is _UCS2:
            self._octets, self._coding = segments.parts, self._ucs2_coding
        else:
            self._octets, self._coding = segments.parts, self._gsm7_coding
            if not self._plain:
                self._write_anew(text, parts)

    def _write_anew(self, text: str, parts: int) -> None:
        """In the operator's own alphabet; or, where that lacks a letter of it, in UCS-2, if the parts are as many."""
        body = self._profile.text
        header = _HEADERS[body.concatenation] if parts > 1 else 0
        written = [write(body.alphabet, septets, header) for septets in self._octets]
        if None not in written:
            self._octets = tuple(octets for octets in written if octets is not None)
        else:
            segments = split_ucs2(text)
            self._octets = segments.parts if isinstance(segments, Segments) else ()
            self._coding = self._ucs2_coding

    def _unfit(self, text: str, parts: int) -> Rejected:
        if not self._plain and isinstance(segments := split(text), Segments) and len(segments.parts) == parts:
            return Rejected("operator_lacks_a_letter")
        return Rejected("parts_do_not_fit_text")

    def _tied(self, part: Outgoing, octets: bytes) -> tuple[bytes, int, bytes]:
        """A part with what ties it to its siblings: octets, esm_class, TLVs."""
        reference = concatenation_reference(part.part - part.n + 1)
        if self._profile.text.concatenation == "udh16":
            return udh(reference, part.parts, part.n) + octets, UDHI, b""
        if self._profile.text.concatenation == "udh8":
            return bytes((5, 0, 3, reference & 0xFF, part.parts, part.n)) + octets, UDHI, b""
        tlvs = (
            pack_tlv(_SAR_MSG_REF_NUM, reference.to_bytes(2, "big"))
            + pack_tlv(_SAR_TOTAL_SEGMENTS, bytes((part.parts,)))
            + pack_tlv(_SAR_SEGMENT_SEQNUM, bytes((part.n,)))
        )
        return octets, 0, tlvs

    def _codings(self) -> tuple[int, int]:
        body = self._profile.text
        if not self._flash or body.flash == "subunit":
            return body.coding, body.ucs2_coding
        return (_FLASH_F0 if body.flash == "coding_f0" else _FLASH_CLASS), _FLASH_CLASS_UCS2

    # ---- what surrounds it ----

    def _tlvs_of_all(self) -> bytes:
        by_subunit = self._flash and self._profile.text.flash == "subunit"
        return pack_tlv(_DEST_ADDR_SUBUNIT, _DISPLAY) if by_subunit else b""

    def _number(self, to: str) -> bytes:
        numbers = self._profile.numbers
        written = numbers.to_prefix + to[1:]
        if not numbers.to_shortest <= len(written) <= numbers.to_longest:
            allowed = f"{numbers.to_shortest} to {numbers.to_longest}"
            raise PduError(ESME_RINVDSTADR, f"destination_addr: {len(written)} characters, allowed are {allowed}")
        return written.encode()

    def _validity(self, part: Outgoing, wall: float) -> bytes:
        submit = self._profile.submit
        left = min(max(int(part.expires - wall), 1), int(submit.longest_validity))
        match submit.validity:
            case "relative":
                return relative_validity(left)
            case "absolute":
                hours, minutes = submit.validity_zone[1:].split(":")
                quarters = int(hours) * 4 + int(minutes) // 15
                return absolute_validity(wall + left, -quarters if submit.validity_zone[0] == "-" else quarters)
            case _:
                return b""

    def _template(self, key: tuple[str, int, int]) -> SubmitTemplate:
        sender, esm_class, coding = key
        if len(self._templates) >= _MOST_TEMPLATES:
            self._templates.clear()
        numbers, submit = self._profile.numbers, self._profile.submit
        template = self._templates[key] = SubmitTemplate(
            source_address(sender, self._ton, self._npi, numbers),
            destination_ton=numbers.to_ton, destination_npi=numbers.to_npi, esm_class=esm_class,
            protocol_id=submit.protocol_id, priority=submit.priority, service_type=submit.service_type,
            registered_delivery=submit.registered_delivery, data_coding=coding,
        )  # fmt: skip
        return template

    def forget(self) -> None:
        """Drop the text that the last message left here: an otp must not outlive its message in memory."""
        self._text, self._octets, self._coding = "", (b"",), self._gsm7_coding
