"""What a delivery receipt says, whatever dialect its operator writes.

SMPP 3.4 leaves the text of a receipt to the vendor (appendix B gives an example), and most imitate the example badly:
fields missing, empty or in another order, dates of any length, words of their own. So only an id is needed (or our own
reference), everything else is taken when it is there, and a word that nobody knows leaves the message open.

A receipt must be marked as one: by a message type in esm_class (section 5.2.12) or by the TLVs receipted_message_id or
message_state. Text alone proves nothing, because a customer can type it; only for an operator whose profile says that
it marks none, a text that says both an id and a state is believed.
"""

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from mgate.channels.smpp.pdu import (
    TLV_MESSAGE_PAYLOAD,
    TLV_MESSAGE_STATE,
    TLV_NETWORK_ERROR_CODE,
    TLV_RECEIPTED_MESSAGE_ID,
    TLV_USER_MESSAGE_REFERENCE,
    DeliverSm,
)
from mgate.model.entry import Told


class ReceiptRead(NamedTuple):
    """A receipt, read.

    Attributes:
        operator_id: the id to match by: the TLV's, else the text's; empty when only `user_message_reference` tells.
        told: what it means for the message.
        state: the operator's word, in capitals, up to 32 characters; empty when it gave none.
        error: its `err` field or network_error_code, as text up to 32 characters; empty when it gave none.
        text_id, tlv_id: both ids as they came, because operators let them differ; empty when missing.
        user_message_reference: the attempt's own reference, 0 to 65535, or -1.
        submit_date, done_date: as they came, up to 32 characters, never interpreted.
        numbers: source and destination digits, which operators swap or leave out: only for a weak check.
        truncated: its last TLV was cut; worth counting.
    """

    operator_id: str
    told: Told
    state: str
    error: str
    text_id: str
    tlv_id: str
    user_message_reference: int
    submit_date: str
    done_date: str
    numbers: tuple[str, ...]
    truncated: bool

    @property
    def reason(self) -> str:
        """State and error in one line, such as `UNDELIV err:011`."""
        return _reason(self.state, self.error)

    def ids(self, pairing: "Pairing | None" = None) -> tuple[str, ...]:
        """The forms under which the response's id may be stored, best first: those of the TLV's id, then the text's."""
        if not self.text_id or self.text_id == self.tlv_id or not self.tlv_id:
            return id_forms(self.operator_id, pairing) if self.operator_id else ()
        return _forms_of_both(self.tlv_id, self.text_id, pairing)


class UsualReceipt(NamedTuple):
    """A receipt in the usual form: only what the house needs of it, as `ReceiptRead` has it."""

    ids: tuple[str, ...]
    told: Told
    reason: str
    user_message_reference: int
    numbers: tuple[str, ...]


class NotAReceipt(NamedTuple):
    """Nothing marks it as a receipt: a customer's message."""


class Unreadable(NamedTuple):
    """It is marked as a receipt, and says neither id nor reference. Keep it raw, answer it, count it."""

    reason: str


_RECEIPT, _ACKNOWLEDGEMENT, _INTERMEDIATE, _TYPE, _UDHI = 0x04, 0x08, 0x20, 0x3C, 0x40
_LONGEST_ID: Final = 255
_LONGEST_WORD: Final = 32
_LONGEST_TEXT: Final = 512  # octets; no receipt says more, and looking for fields in 64 KiB of anything takes 30 ms

# Section 5.2.28, and 0 and 9 of SMPP 5.0. The words are appendix B's.
_CODES: Final = {
    0: "SCHEDULED", 1: "ENROUTE", 2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 6: "ACCEPTD", 7: "UNKNOWN",
    8: "REJECTD", 9: "SKIPPED",
}  # fmt: skip
_MEANINGS: Final[dict[Told, tuple[str, ...]]] = {
    Told.DELIVERED: ("DELIVRD", "DELIVERED"),
    Told.UNDELIVERED: (
        "EXPIRED", "DELETED", "UNDELIV", "UNDELIVERED", "UNDELIVERABLE", "REJECTD", "REJECTED", "FAILED", "SKIPPED",
    ),
    Told.ENROUTE: (
        "ENROUTE", "ACCEPTD", "ACCEPTED", "ACKED", "BUFFRED", "BUFFERD", "BUFFERED", "SCHEDULED", "SUBMITD",
    ),
    Told.UNKNOWN: ("UNKNOWN",),
}  # fmt: skip
_WORDS: Final = {word: told for told, words in _MEANINGS.items() for word in words}

# A value stands right after its colon, or after one blank unless a field begins there: `done date: stat:DELIVRD`.
_FIELD: Final = re.compile(
    r"(?<![\w-])(id|stat|err|submit[ _]?date|done[ _]?date|text)\s*:"
    r"(?:([^\s,;]+)| (?!submit|done)([^\s,;:]+)(?![^\s,;]))?",
    re.IGNORECASE,
)
# The example of appendix B to the letter, which most receipts are; eight times as fast as looking for each field.
_USUAL: Final = re.compile(
    r"id:([^\s,;]+) sub:\S* dlvrd:\S* submit date:([^\s,;]*) done date:([^\s,;]*) stat:([^\s,;]+) err:([^\s,;]*) text:",
    re.IGNORECASE,
)
_USUAL_NAMES: Final = ("id", "submitdate", "donedate", "stat", "err")
_NAMES: Final = {"state": "stat", "error": "err", "submitted": "submitdate", "done": "donedate"}


def read_receipt(
    message: DeliverSm, fields: Mapping[str, str] | None = None, *, unmarked: bool = False
) -> ReceiptRead | NotAReceipt | Unreadable:
    """Reads a deliver_sm or data_sm as a receipt. It raises nothing.

    Args:
        fields: what its text says, when somebody has read it (`id`, `state`, `error`, `submitted`, `done`).
        unmarked: this operator may leave out every mark; then the text itself must say an id and a state.
    """
    tlvs, marked = message.tlvs, _marked(message)
    if not (marked or unmarked):
        return NotAReceipt()
    fields = _fields(message) if fields is None else {_NAMES.get(name, name): text for name, text in fields.items()}
    if not (marked or (fields.get("id") and fields.get("stat"))):
        return NotAReceipt()
    text_id = _short(fields.get("id", ""), _LONGEST_ID)
    tlv_id = _short(tlvs.get(TLV_RECEIPTED_MESSAGE_ID, b"").split(b"\0")[0].decode("latin-1").strip(), _LONGEST_ID)
    reference = tlvs.get(TLV_USER_MESSAGE_REFERENCE, b"")
    if not (text_id or tlv_id or 0 < len(reference) <= 2):
        return Unreadable("it is marked as a receipt, but has neither an id nor a user_message_reference")
    state = _CODES.get(_number(tlvs.get(TLV_MESSAGE_STATE, b"")), "") or fields.get("stat", "").upper()[:_LONGEST_WORD]
    return ReceiptRead(
        operator_id=tlv_id or text_id,
        told=_told(state),
        state=state,
        error=fields.get("err", "")[:_LONGEST_WORD] or _network_error(tlvs.get(TLV_NETWORK_ERROR_CODE, b"")),
        text_id=text_id,
        tlv_id=tlv_id,
        user_message_reference=_number(reference) if len(reference) <= 2 else -1,
        submit_date=fields.get("submitdate", "")[:_LONGEST_WORD],
        done_date=fields.get("donedate", "")[:_LONGEST_WORD],
        numbers=tuple(filter(None, (message.source.digits, message.destination.digits))),
        truncated=tlvs.truncated,
    )


def _marked(message: DeliverSm) -> bool:
    kind = message.esm_class & _TYPE
    by_type = kind & (_RECEIPT | _INTERMEDIATE) or kind == _ACKNOWLEDGEMENT
    return bool(by_type) or TLV_RECEIPTED_MESSAGE_ID in message.tlvs or TLV_MESSAGE_STATE in message.tlvs


# ---- the usual form, at once ---------------------------------------------------------------------------------------

# A deliver_sm whose text is `_USUAL` with values of plain ASCII, or empty: from its first octet to `text:`, or to the
# length 0. The type bits of esm_class say receipt or intermediate, and no header is announced. No value can hold the
# blank that ends it, so there is only one way to match.
_VALUE: Final = rb"[!-+\--:<-~]"  # printable, no comma and no semicolon
_USUAL_BODY: Final = re.compile(
    rb"[^\0]*\0..([^\0]*)\0..([^\0]*)\0[\x04\x20]..\0\0....(?:(.)id:(%b+) sub:[!-~]* dlvrd:[!-~]* "
    rb"submit date:%b* done date:%b* stat:(%b+) err:(%b*) text:|\0)" % ((_VALUE,) * 5),
    re.DOTALL,
)
# receipted_message_id, message_state, network_error_code and user_message_reference, each at most once, in this order.
_USUAL_TLVS: Final = re.compile(
    rb"(?:\x00\x1e\x00(.)([!-~]*)\x00)?(?:\x04\x27\x00\x01(.))?(?:\x04\x23\x00\x03.(..))?(?:\x02\x04\x00\x02(..))?",
    re.DOTALL,
)
_NO_TLVS: Final = (None, b"", None, None, None)
_new: Final = tuple.__new__  # half the price of calling a NamedTuple


def usual_receipt(body: bytes) -> UsualReceipt | None:
    """Reads a deliver_sm's body as a receipt in the form that nearly all have, in a fifth of the time.

    None when anything about it is unusual, which says nothing: then `parse_deliver_sm` and `read_receipt` decide. What
    it does give is what those two would give.
    """
    found = _USUAL_BODY.match(body)
    if found is None:
        return None
    source, destination, size, text_id, word, error = found.groups(b"")
    end = found.end(3) + size[0] if size else found.end()
    if end > len(body):
        return None
    length, tlv_id, code, network, number = _NO_TLVS
    if end < len(body):  # a length that ends inside the fields leaves a letter here, with which no TLV begins
        tail = _USUAL_TLVS.fullmatch(body, end)
        if tail is None:
            return None
        length, tlv_id, code, network, number = tail.groups()
    if length and length[0] != len(tlv_id) + 1:
        return None
    if length and tlv_id and text_id and tlv_id != text_id:
        ids = _forms_of_both(tlv_id.decode(), text_id.decode())
    elif given := text_id or tlv_id:
        ids = id_forms(given.decode())
    else:
        return None
    told, reason = _meaning(word, error, code, network)
    numbers: tuple[str, ...] = source.decode("latin-1"), destination.decode("latin-1")
    if not (source and destination):
        numbers = tuple(filter(None, numbers))
    reference = int.from_bytes(number, "big") if number else -1
    return _new(UsualReceipt, (ids, told, reason, reference, numbers))


def no_receipt(_: bytes) -> UsualReceipt | None:
    """In the place of `usual_receipt`, for an operator that writes in another way."""
    return None


@lru_cache(maxsize=4096)
def _meaning(word: bytes, error: bytes, code: bytes | None, network: bytes | None) -> tuple[Told, str]:
    """What the state's word and code mean, and the reason: operators say the same few things all day."""
    state = (_CODES.get(code[0], "") if code else "") or word.decode().upper()[:_LONGEST_WORD]
    known = error.decode()[:_LONGEST_WORD] or (str(_number(network)) if network else "")
    return _told(state), _reason(state, known)


# ---- any form ------------------------------------------------------------------------------------------------------


def _short(given: str, most: int) -> str:
    """An id that no operator would give counts as none: it would only fill the index."""
    return given if len(given) <= most else ""


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, "big") if octets else -1


def _network_error(octets: bytes) -> str:
    """network_error_code (section 5.3.2.31): one octet of network type, then two of the code, which people know."""
    return str(_number(octets[1:])) if len(octets) == 3 else ""


def _reason(state: str, error: str) -> str:
    return f"{state} err:{error}" if error.strip("0") else state


def _told(word: str) -> Told:
    """The meaning of a state word. A word cut short counts when all that it could be mean the same."""
    known = _WORDS.get(word)
    if known is None and len(word) >= 4:
        meanings = {told for whole, told in _WORDS.items() if whole.startswith(word)}
        known = meanings.pop() if len(meanings) == 1 else None
    return known or Told.UNKNOWN


def _fields(message: DeliverSm) -> dict[str, str]:
    """The fields of the first reading that has an id; else of the first that has any."""
    if not message.esm_class & _UDHI and (usual := _USUAL.match(message.short_message.decode("latin-1"))):
        return dict(zip(_USUAL_NAMES, usual.groups(), strict=True))
    best: dict[str, str] = {}
    for text in _readings(message):
        fields: dict[str, str] = {}
        for found in _FIELD.finditer(text):
            name = found[1].lower().replace(" ", "").replace("_", "")
            if name == "text":  # the message's own words follow, and may hold anything
                break
            fields.setdefault(name, found[2] or found[3] or "")
        if fields.get("id"):
            return fields
        best = best or fields
    return best


def _readings(message: DeliverSm) -> Iterator[str]:
    """The texts that the octets may mean, likeliest first: operators mislabel the coding and the header flag."""
    codings = ("utf-16-be", "latin-1") if message.data_coding & 0x0C == 0x08 else ("latin-1", "utf-16-be")
    for octets in (message.short_message, message.tlvs.get(TLV_MESSAGE_PAYLOAD, b"")):
        if not octets:
            continue
        bodies = [octets[octets[0] + 1 :], octets] if message.esm_class & _UDHI else [octets]
        for body in bodies:
            for coding in codings:
                yield body[:_LONGEST_TEXT].decode(coding, "replace")


# ---- ids -----------------------------------------------------------------------------------------------------------

is_hex: Final = re.compile(r"[0-9a-f]+").fullmatch


class Pairing(Enum):
    """How an operator writes the id of one message in its response and in its receipt."""

    SAME = "same"
    HEX_THEN_DECIMAL = "hex then decimal"
    DECIMAL_THEN_HEX = "decimal then hex"


def canonical_id(given: str) -> str:
    """The one form under which a response's id is stored: lower case, and without leading zeros when it is a number.

    Ids with other characters (UUIDs, prefixes) are only folded. No width is too great: these are texts, not integers.
    """
    folded = given.strip().lower()
    return (folded.lstrip("0") or "0") if is_hex(folded) else folded


def id_forms(given: str, pairing: Pairing | None = None) -> tuple[str, ...]:
    """The stored forms (`canonical_id` of a response's id) that a receipt's id may stand for, best first.

    For an account whose pairing is known, exactly one. Else up to three: the same id; the id read as hexadecimal, for a
    decimal response; the id read as decimal, for a hexadecimal response.

    Forms of two messages can collide: "16" is also "10" in hexadecimal. The caller looks the forms up in this order and
    takes the first that is known, so the exact form wins. That is wrong now and then with an operator that does
    convert, so: check the destination where the receipt gives one, learn the account's pairing from matches that only
    one pairing explains (`pairing_of`), and hand it in from then on. With it there are no collisions.
    """
    same = given.strip().lower()
    if not is_hex(same):
        return (same,)
    same = same.lstrip("0") or "0"
    if pairing is None:
        if not same.isdecimal():
            return same, str(int(same, 16))
        # Of two digits and more no two forms are the same: the first is less than the second and more than the third.
        return (same, str(int(same, 16)), format(int(same), "x")) if len(same) > 1 else (same,)
    if pairing is Pairing.SAME:
        return (same,)
    if pairing is Pairing.DECIMAL_THEN_HEX:
        return (str(int(same, 16)),)
    return (format(int(same), "x") if same.isdecimal() else same,)


def _forms_of_both(tlv_id: str, text_id: str, pairing: Pairing | None = None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(id_forms(tlv_id, pairing) + id_forms(text_id, pairing)))


def pairing_of(response_id: str, receipt_id: str) -> Pairing | None:
    """The pairing that a match proves; None when several explain it (as with "7"), or none does."""
    stored = canonical_id(response_id)
    explaining = [pairing for pairing in Pairing if id_forms(receipt_id, pairing) == (stored,)]
    return explaining[0] if len(explaining) == 1 else None
