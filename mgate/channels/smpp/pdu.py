"""SMPP 3.4 on the wire: the PDUs of the hot path, packed and parsed by `struct` and one regular expression.

Reading is lenient where operators are known to stray and a meaning is left (surplus octets, missing bodies, a cut or
unknown TLV), and strict where it would guess: an unterminated string or a length beyond the PDU is refused.
Writing is strict: a value that does not fit its field is refused, never cut. Nothing here raises anything but PduError.

C-octet strings are decoded as Latin-1, which loses nothing and cannot fail; written ones must be ASCII.
Source: SMPP Protocol Specification v3.4 issue 1.2, sections 3 to 5.
"""

import re
from struct import Struct
from typing import Final, NamedTuple

from msgspec import Struct as Record
from smpplib import consts as _smpplib
from smpplib.command_codes import commands as _commands

from mgate.channels.smpp.framing import HEADER as HEADER
from mgate.channels.smpp.framing import LONGEST_PDU
from mgate.channels.smpp.framing import Frame as Frame
from mgate.channels.smpp.framing import Framer as Framer
from mgate.channels.smpp.framing import PduError as PduError

GENERIC_NACK: Final = 0x80000000
BIND_RECEIVER: Final = 0x00000001
BIND_TRANSMITTER: Final = 0x00000002
SUBMIT_SM: Final = 0x00000004
DELIVER_SM: Final = 0x00000005
UNBIND: Final = 0x00000006
BIND_TRANSCEIVER: Final = 0x00000009
OUTBIND: Final = 0x0000000B
ENQUIRE_LINK: Final = 0x00000015
ALERT_NOTIFICATION: Final = 0x00000102
DATA_SM: Final = 0x00000103
RESPONSE: Final = 0x80000000  # a response's command id is its request's with this bit
SUBMIT_SM_RESP: Final = RESPONSE | SUBMIT_SM
DELIVER_SM_RESP: Final = RESPONSE | DELIVER_SM
UNBIND_RESP: Final = RESPONSE | UNBIND
BIND_TRANSCEIVER_RESP: Final = RESPONSE | BIND_TRANSCEIVER
ENQUIRE_LINK_RESP: Final = RESPONSE | ENQUIRE_LINK
DATA_SM_RESP: Final = RESPONSE | DATA_SM

ESME_ROK: Final = 0x00
ESME_RINVMSGLEN: Final = 0x01
ESME_RINVCMDLEN: Final = 0x02
ESME_RINVCMDID: Final = 0x03
ESME_RINVBNDSTS: Final = 0x04
ESME_RALYBND: Final = 0x05
ESME_RSYSERR: Final = 0x08
ESME_RINVSRCADR: Final = 0x0A
ESME_RINVDSTADR: Final = 0x0B
ESME_RBINDFAIL: Final = 0x0D
ESME_RINVPASWD: Final = 0x0E
ESME_RINVSYSID: Final = 0x0F
ESME_RMSGQFUL: Final = 0x14
ESME_RINVSERTYP: Final = 0x15
ESME_RINVSYSTYP: Final = 0x53
ESME_RTHROTTLED: Final = 0x58
ESME_RINVSCHED: Final = 0x61
ESME_RINVEXPIRY: Final = 0x62
ESME_RX_T_APPN: Final = 0x64
ESME_RX_P_APPN: Final = 0x65
ESME_RINVPARLEN: Final = 0xC2

TLV_RECEIPTED_MESSAGE_ID: Final = 0x001E
TLV_USER_MESSAGE_REFERENCE: Final = 0x0204
TLV_SC_INTERFACE_VERSION: Final = 0x0210
TLV_NETWORK_ERROR_CODE: Final = 0x0423
TLV_MESSAGE_PAYLOAD: Final = 0x0424
TLV_MESSAGE_STATE: Final = 0x0427

VERSION_34: Final = 0x34
LARGEST_SEQUENCE: Final = 0x7FFFFFFF

_TLV_HEAD: Final = Struct(">HH")
_MOST_TLVS: Final = 256
_MESSAGE_REFERENCE: Final = Struct(">HHH")
_DELIVERED: Final = Struct(">IIIIx")
_OCTET: Final = tuple(bytes((n,)) for n in range(256))

_COMMAND_NAMES: Final[dict[int, str]] = {code: name for name, code in _commands.items()}
_STATUS_NAMES: Final[dict[int, str]] = {
    value: name.removeprefix("SMPP_")
    for name, value in vars(_smpplib).items()
    if name.startswith("SMPP_ESME_") and isinstance(value, int)
}


class Address(NamedTuple):
    """A source or destination as the wire has it: type of number, numbering plan, and up to 20 ASCII characters."""

    ton: int
    npi: int
    digits: str


class Tlvs(dict[int, bytes]):
    """Optional parameters, raw, by tag; the first of a repeated tag. `truncated`: the PDU ended inside the last one."""

    __slots__ = ("truncated",)

    def __init__(self) -> None:
        self.truncated = False


class SubmitSm(Record, frozen=True, gc=False):
    """A submit_sm as parsed (section 4.4.1). Times are the wire's strings."""

    service_type: str
    source: Address
    destination: Address
    esm_class: int
    protocol_id: int
    priority: int
    schedule: str
    validity: str
    registered_delivery: int
    replace: int
    data_coding: int
    default_message_id: int
    short_message: bytes
    tlvs: Tlvs

    @property
    def octets(self) -> bytes:
        """The user data wherever it stands: short_message, else the TLV message_payload. A UDH is still in it."""
        return self.short_message or self.tlvs.get(TLV_MESSAGE_PAYLOAD, b"")


class DeliverSm(SubmitSm, frozen=True, gc=False):
    """A deliver_sm (section 4.6.1), or a data_sm (4.7.1) whose missing fields are empty or zero."""


class Bind(Record, frozen=True, gc=False):
    """A bind request (section 4.1). It does not print its password."""

    system_id: str
    password: str
    system_type: str
    version: int
    address_range: Address

    def __repr__(self) -> str:
        secret = f"<{len(self.password)} characters>"
        return f"Bind(system_id={self.system_id!r}, password={secret}, version={self.version:#x})"


class BindResp(NamedTuple):
    """A bind response; after a refusal often empty. `version` is sc_interface_version, None when not said."""

    system_id: str
    version: int | None
    tlvs: Tlvs


def command_name(command: int) -> str:
    """The specification's word, such as `submit_sm_resp`; `command 0x00000099` for an id it does not know."""
    return _COMMAND_NAMES.get(command) or f"command {command:#010x}"


def status_name(status: int) -> str:
    """The specification's word, such as `ESME_RTHROTTLED`; `status 0x00000400` for a number it does not know."""
    return _STATUS_NAMES.get(status) or f"status {status:#010x}"


def status_text(status: int) -> str:
    """A short English text of a status, for people."""
    text = _smpplib.DESCRIPTIONS.get(status)
    return str(text) if text else "a status of this operator's own"


def _c_octets(value: str, most: int, field: str, status: int) -> bytes:
    """`value` and its NUL; refused when it is no ASCII, holds a NUL, or has over `most` characters."""
    if len(value) > most or not value.isascii() or "\0" in value:
        raise PduError(status, f"{field}: {len(value)} characters given; allowed are at most {most} of ASCII, no NUL")
    return value.encode() + b"\0"


def _octets(fields: str, *values: int) -> bytes:
    try:
        return bytes(values)
    except ValueError:
        raise PduError(ESME_RSYSERR, f"{fields}: one of {values} does not fit one octet") from None


def _address(address: Address, field: str, status: int, most: int = 20) -> bytes:
    return _octets(f"{field} ton, npi", address.ton, address.npi) + _c_octets(address.digits, most, field, status)


def _whole(command: int, sequence: int, status: int, body: bytes) -> bytes:
    length = 16 + len(body)
    if length > LONGEST_PDU or not 0 <= sequence <= 0xFFFFFFFF or not 0 <= status <= 0xFFFFFFFF:
        fields = f"length {length}, sequence {sequence}, status {status}"
        raise PduError(ESME_RINVCMDLEN, f"{command_name(command)}: {fields}: one does not fit the header")
    return HEADER.pack(length, command, status, sequence) + body


def pack_tlv(tag: int, value: bytes) -> bytes:
    """One optional parameter (section 5.3)."""
    if not (0 <= tag <= 0xFFFF and len(value) <= 0xFFFF):
        raise PduError(ESME_RINVPARLEN, f"TLV {tag:#06x} of {len(value)} octets: tag and length have 16 bits")
    return _TLV_HEAD.pack(tag, len(value)) + value


def pack_message_reference(reference: int) -> bytes:
    """The TLV user_message_reference: an attempt's own number, 0 to 65535."""
    if not 0 <= reference <= 0xFFFF:
        raise PduError(ESME_RINVPARLEN, f"user_message_reference: {reference} does not fit 16 bits")
    return _MESSAGE_REFERENCE.pack(TLV_USER_MESSAGE_REFERENCE, 2, reference)


def parse_tlvs(body: bytes, offset: int) -> Tlvs:
    """The optional parameters from `offset` on, known or not, raw. A cut tail is dropped and said in `truncated`; so is
    what follows the first 256, which would keep us busy for nothing."""
    tlvs = Tlvs()
    size = len(body)
    for _ in range(_MOST_TLVS):
        value = offset + 4
        if value > size:
            break
        tag, length = _TLV_HEAD.unpack_from(body, offset)
        if value + length > size:
            break
        offset = value + length
        if tag not in tlvs:
            tlvs[tag] = body[value:offset]
    tlvs.truncated = offset < size
    return tlvs


# An address is one group: two octets of type and plan, then the digits.
_SHORT_MESSAGE: Final = re.compile(
    rb"([^\0]*)\0(..[^\0]*)\0(..[^\0]*)\0(...)([^\0]*)\0([^\0]*)\0(.....)", re.DOTALL
)  # fmt: skip
_DATA: Final = re.compile(rb"([^\0]*)\0(..[^\0]*)\0(..[^\0]*)\0(...)", re.DOTALL)
_new: Final = tuple.__new__  # half the price of calling a NamedTuple
_FLAGS: Final = "esm_class, protocol_id, priority_flag"
_REST: Final = "registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id"
_CUT: Final = "{}: the body of {} octets ends before its fields do, or a string in it has no end"


class SubmitTemplate:
    """What does not change between the messages of one sender, packed once; the checks of it are made once, too.

    One template for each (source, esm_class, data_coding). `body()` makes a body for `Session.submit`, which adds the
    header. It costs about a third of `pack_submit_sm`, and gives the same octets.
    """

    __slots__ = ("_head", "_middle", "_tail")

    def __init__(
        self, source: Address, *, destination_ton: int = 1, destination_npi: int = 1, esm_class: int = 0,
        protocol_id: int = 0, priority: int = 0, schedule: str = "", registered_delivery: int = 1, replace: int = 0,
        data_coding: int = 0, service_type: str = "",
    ) -> None:  # fmt: skip
        self._head = (
            _c_octets(service_type, 5, "service_type", ESME_RINVSERTYP)
            + _address(source, "source_addr", ESME_RINVSRCADR)
            + _octets("destination_addr ton, npi", destination_ton, destination_npi)
        )
        self._middle = (
            b"\0"
            + _octets(_FLAGS, esm_class, protocol_id, priority)
            + _c_octets(schedule, 16, "schedule_delivery_time", ESME_RINVSCHED)
        )
        self._tail = b"\0" + _octets(_REST, registered_delivery, replace, data_coding, 0)

    def body(self, digits: bytes, validity: bytes, short_message: bytes, tlvs: bytes = b"") -> bytes:
        """A body for a destination's digits (1 to 20, ASCII) and a validity (ASCII, b"" for the operator's default).

        `digits` and `validity` are made by our own code and are checked for length only. PduError when one is too long,
        or the short message has over 254 octets (section 5.2.22).
        """
        size = len(short_message)
        if size > 254 or not 0 < len(digits) <= 20 or len(validity) > 16:
            raise _misfit(digits, validity, size)
        return b"".join((self._head, digits, self._middle, validity, self._tail, _OCTET[size], short_message, tlvs))


def _misfit(digits: bytes, validity: bytes, size: int) -> PduError:
    if size > 254:
        return PduError(ESME_RINVMSGLEN, f"short_message: {size} octets, allowed are 254")
    if len(validity) > 16:
        return PduError(ESME_RINVEXPIRY, f"validity_period: {len(validity)} characters, allowed are 16")
    return PduError(ESME_RINVDSTADR, f"destination_addr: {len(digits)} characters, allowed are 1 to 20")


def pack_submit_sm(
    sequence: int, source: Address, destination: Address, *, esm_class: int = 0, protocol_id: int = 0,
    priority: int = 0, schedule: str = "", validity: str = "", registered_delivery: int = 1, replace: int = 0,
    data_coding: int = 0, short_message: bytes, tlvs: bytes = b"", service_type: str = "",
) -> bytes:  # fmt: skip
    """A submit_sm (section 4.4.1). PduError when a value does not fit its field."""
    template = SubmitTemplate(
        source, destination_ton=destination.ton, destination_npi=destination.npi, esm_class=esm_class,
        protocol_id=protocol_id, priority=priority, schedule=schedule, registered_delivery=registered_delivery,
        replace=replace, data_coding=data_coding, service_type=service_type,
    )  # fmt: skip
    digits = _c_octets(destination.digits, 20, "destination_addr", ESME_RINVDSTADR)[:-1]
    moment = _c_octets(validity, 16, "validity_period", ESME_RINVEXPIRY)[:-1]
    return _whole(SUBMIT_SM, sequence, ESME_ROK, template.body(digits, moment, short_message, tlvs))


def pack_deliver_sm(
    sequence: int, source: Address, destination: Address, *, esm_class: int = 0, protocol_id: int = 0,
    priority: int = 0, registered_delivery: int = 0, data_coding: int = 0, short_message: bytes, tlvs: bytes = b"",
    service_type: str = "",
) -> bytes:  # fmt: skip
    """A deliver_sm (section 4.6.1). Unlike in submit_sm, an empty destination is allowed: receipts come so."""
    if len(short_message) > 255:
        raise PduError(ESME_RINVMSGLEN, f"short_message: {len(short_message)} octets, allowed are 255")
    body = (
        _c_octets(service_type, 5, "service_type", ESME_RINVSERTYP)
        + _address(source, "source_addr", ESME_RINVSRCADR)
        + _address(destination, "destination_addr", ESME_RINVDSTADR)
        + _octets(_FLAGS, esm_class, protocol_id, priority)
        + b"\0\0"
        + _octets(_REST, registered_delivery, 0, data_coding, 0)
        + _OCTET[len(short_message)]
        + short_message
        + tlvs
    )
    return _whole(DELIVER_SM, sequence, ESME_ROK, body)


def parse_submit_sm(body: bytes) -> SubmitSm:
    """Reads a submit_sm's body. PduError when a string has no end or sm_length points beyond the body."""
    return SubmitSm(*_short_message(body, "submit_sm"))


def parse_deliver_sm(body: bytes) -> DeliverSm:
    """Reads a deliver_sm's body. PduError when a string has no end or sm_length points beyond the body."""
    return DeliverSm(*_short_message(body, "deliver_sm"))


_Fields = tuple[str, Address, Address, int, int, int, str, str, int, int, int, int, bytes, Tlvs]


def _short_message(body: bytes, name: str) -> _Fields:
    found = _SHORT_MESSAGE.match(body)
    if found is None:
        raise PduError(ESME_RINVCMDLEN, _CUT.format(name, len(body)))
    service, source, destination, flags, schedule, validity, rest = found.groups()
    registered, replace, coding, default, size = rest
    start = found.end()
    end = start + size
    if end > len(body):
        raise PduError(ESME_RINVMSGLEN, f"{name}: sm_length says {size} octets, the body has {len(body) - start} left")
    return (
        service.decode("latin-1"),
        _new(Address, (source[0], source[1], source[2:].decode("latin-1"))),
        _new(Address, (destination[0], destination[1], destination[2:].decode("latin-1"))),
        flags[0], flags[1], flags[2], schedule.decode("latin-1"), validity.decode("latin-1"),
        registered, replace, coding, default, body[start:end], parse_tlvs(body, end),
    )  # fmt: skip


def parse_data_sm(body: bytes) -> DeliverSm:
    """Reads a data_sm's body (section 4.7.1) as the deliver_sm that it could have been."""
    found = _DATA.match(body)
    if found is None:
        raise PduError(ESME_RINVCMDLEN, _CUT.format("data_sm", len(body)))
    service, source, destination, (esm_class, registered, coding) = found.groups()
    return DeliverSm(
        service.decode("latin-1"),
        Address(source[0], source[1], source[2:].decode("latin-1")),
        Address(destination[0], destination[1], destination[2:].decode("latin-1")),
        esm_class, 0, 0, "", "", registered, 0, coding, 0, b"", parse_tlvs(body, found.end()),
    )  # fmt: skip


def pack_submit_sm_resp(sequence: int, status: int, message_id: str) -> bytes:
    """A submit_sm_resp. With an error status the body is left out, as section 4.4.2 asks."""
    body = b"" if status else _c_octets(message_id, 64, "message_id", ESME_RSYSERR)
    return _whole(SUBMIT_SM_RESP, sequence, status, body)


def parse_message_id(body: bytes) -> str:
    """The message id of a submit_sm_resp or data_sm_resp body; "" when there is none.

    A missing NUL and whatever follows it are forgiven. PduError for over 255 octets: no operator's id is that long.
    """
    octets = body.partition(b"\0")[0]
    if len(octets) > 255:
        raise PduError(ESME_RINVCMDLEN, f"message_id: {len(octets)} octets, expected are at most 64")
    return octets.decode("latin-1")


def pack_deliver_sm_resp(sequence: int, status: int = ESME_ROK, command: int = DELIVER_SM_RESP) -> bytes:
    """A deliver_sm_resp, or by `command` a data_sm_resp, with the empty message_id that section 4.6.2 asks for."""
    return _DELIVERED.pack(17, command, status, sequence)


def pack_simple(command: int, sequence: int, status: int = ESME_ROK) -> bytes:
    """A PDU without a body: enquire_link, unbind, their responses, generic_nack."""
    return HEADER.pack(16, command, status, sequence)


_NO_RANGE: Final = Address(0, 0, "")


def pack_bind(
    kind: int, sequence: int, system_id: str, password: str, system_type: str = "", version: int = VERSION_34,
    address_range: Address = _NO_RANGE,
) -> bytes:  # fmt: skip
    """A bind of the command `kind`. Names and passwords may have 64 characters: some operators exceed the 15 and 8
    of section 4.1."""
    body = (
        _c_octets(system_id, 64, "system_id", ESME_RINVSYSID)
        + _c_octets(password, 64, "password", ESME_RINVPASWD)
        + _c_octets(system_type, 64, "system_type", ESME_RINVSYSTYP)
        + _octets("interface_version", version)
        + _address(address_range, "address_range", ESME_RSYSERR, 40)
    )
    return _whole(kind, sequence, ESME_ROK, body)


_BIND: Final = re.compile(rb"([^\0]*)\0([^\0]*)\0([^\0]*)\0(.)(.)(.)([^\0]*)(?:\0|$)", re.DOTALL)


def parse_bind(body: bytes) -> Bind:
    """Reads a bind request's body. PduError when a string has no end."""
    found = _BIND.match(body)
    if found is None:
        raise PduError(ESME_RINVCMDLEN, _CUT.format("bind", len(body)))
    system_id, password, system_type, version, ton, npi, digits = found.groups()
    return Bind(
        system_id.decode("latin-1"), password.decode("latin-1"), system_type.decode("latin-1"), version[0],
        Address(ton[0], npi[0], digits.decode("latin-1")),
    )  # fmt: skip


def pack_bind_resp(kind: int, sequence: int, status: int, system_id: str, version: int | None = VERSION_34) -> bytes:
    """The response to a bind of the command `kind`. With an error status the body is left out (section 4.1.2)."""
    if status:
        return _whole(kind | RESPONSE, sequence, status, b"")
    tlv = b"" if version is None else pack_tlv(TLV_SC_INTERFACE_VERSION, _octets("sc_interface_version", version))
    body = _c_octets(system_id, 64, "system_id", ESME_RINVSYSID) + tlv
    return _whole(kind | RESPONSE, sequence, status, body)


def parse_bind_resp(body: bytes) -> BindResp:
    """Reads a bind response's body, which a refusal may leave out. It never fails."""
    end = body.find(b"\0")
    tlvs = Tlvs() if end < 0 else parse_tlvs(body, end + 1)
    version = tlvs.get(TLV_SC_INTERFACE_VERSION)
    name = body if end < 0 else body[:end]
    return BindResp(name.decode("latin-1"), version[-1] if version else None, tlvs)
