"""Receipts as operators write them: the bodies of deliver_sm, packed once and sent as often as it takes.

Source: SMPP 3.4 section 5.2.28 (states), 5.3.2.12 and 5.3.2.35 (TLVs), appendix B (the text form).
"""

import time
from struct import Struct
from typing import Final, Literal

from mgate.channels.smpp.pdu import (
    TLV_MESSAGE_STATE,
    TLV_NETWORK_ERROR_CODE,
    TLV_RECEIPTED_MESSAGE_ID,
    TLV_USER_MESSAGE_REFERENCE,
    pack_tlv,
)
from mgate.peers.smsc.script import State

RECEIPT: Final = 0x04
INTERMEDIATE: Final = 0x20
MINUTES_KEPT: Final = 100

_STATE: Final[dict[State, int]] = {
    "ENROUTE": 1, "DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "ACCEPTD": 6, "UNKNOWN": 7, "REJECTD": 8,
}  # fmt: skip
_ERROR: Final[dict[State, int]] = {"EXPIRED": 27, "DELETED": 3, "UNDELIV": 11, "UNKNOWN": 99, "REJECTD": 34}
_GSM_NETWORK: Final = b"\x03"
_ID_HEAD: Final = TLV_RECEIPTED_MESSAGE_ID.to_bytes(2, "big")
_LENGTH: Final = Struct(">H")
_REFERENCE: Final = Struct(">HHH")


class ReceiptWriter:
    """Writes receipts of one dialect; `reference` says whether they return user_message_reference."""

    def __init__(self, dialect: Literal["text", "tlv", "both"], reference: bool) -> None:
        self._text = dialect != "tlv"
        self._tlvs = dialect != "text"
        self._reference = reference
        self._tails = {state: self._tail(state) for state in _STATE}
        self._dates: dict[int, str] = {}
        self._ends: dict[tuple[State, int, int], bytes] = {}

    def body(
        self, number: str, state: State, source: bytes, destination: bytes, submitted: float, now: float, umr: int
    ) -> bytes:
        """A deliver_sm's body. `number` is the id in the receipt's form; `source` and `destination` are the submit_sm's
        own address fields, and stand here the other way round; times are seconds since 1970."""
        name = number.encode()
        pieces = [b"\0", destination, source, b""]
        size = 0
        if self._text:
            key = state, int(submitted) // 60, int(now) // 60
            end = self._ends.get(key) or self._end(*key)
            pieces += (b"id:", name, end)
            size = 3 + len(name) + len(end)
        # Flags as in `deliver_body`, which is not asked because a receipt is written thousands of times a second.
        esm_class = INTERMEDIATE if state == "ENROUTE" else RECEIPT
        pieces[3] = b"%c\0\0\0\0\0\0\0\0%c" % (esm_class, size)
        if self._tlvs:
            pieces += (_ID_HEAD, _LENGTH.pack(len(name) + 1), name, b"\0", self._tails[state])
        if self._reference and umr >= 0:
            pieces.append(_REFERENCE.pack(TLV_USER_MESSAGE_REFERENCE, 2, umr))
        return b"".join(pieces)

    def _end(self, state: State, submitted: int, now: int) -> bytes:
        """What follows the id in the text form; moments in minutes since 1970."""
        if len(self._ends) > MINUTES_KEPT:
            self._ends.clear()
        done = "001" if state == "DELIVRD" else "000"
        dates = f"submit date:{self._day(submitted)} done date:{self._day(now)}"
        end = f" sub:001 dlvrd:{done} {dates} stat:{state} err:{_ERROR.get(state, 0):03d} text:".encode()
        self._ends[state, submitted, now] = end
        return end

    def _tail(self, state: State) -> bytes:
        tail = pack_tlv(TLV_MESSAGE_STATE, bytes((_STATE[state],)))
        failed = _ERROR.get(state)
        return (
            tail
            if failed is None
            else tail + pack_tlv(TLV_NETWORK_ERROR_CODE, _GSM_NETWORK + failed.to_bytes(2, "big"))
        )

    def _day(self, minute: int) -> str:
        date = self._dates.get(minute)
        if date is None:
            if len(self._dates) > MINUTES_KEPT:
                self._dates.clear()
            date = self._dates[minute] = time.strftime("%y%m%d%H%M", time.gmtime(minute * 60))
        return date


def deliver_body(
    source: bytes, destination: bytes, esm_class: int, coding: int, message: bytes, tlvs: bytes = b""
) -> bytes:
    """A deliver_sm's body (section 4.6.1) from address fields as they stand on the wire (ton, npi, digits, NUL)."""
    flags = bytes((esm_class, 0, 0, 0, 0, 0, 0, coding, 0, len(message)))
    return b"".join((b"\0", source, destination, flags, message, tlvs))
