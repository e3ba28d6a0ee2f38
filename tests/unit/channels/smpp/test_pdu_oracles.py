"""Every PDU that the codec makes or reads, held against smpplib, aiosmpplib and the npm package smpp.

Kinds are drawn, not parametrized: pytest-twisted wraps a parametrized hypothesis test twice. Valid PDUs are compared.
What the others refuse, cut or misread by a known defect is kept out of the generators, each with its reason; refusals
of damaged PDUs are not compared, because no two implementations agree on them: test_pdu says what ours are.
"""

import re
from datetime import timedelta
from typing import Any, NamedTuple

import aiosmpplib  # type: ignore[import-untyped]  # ships no type marks
import smpplib.command
import smpplib.smpp
from aiosmpplib.state import (  # type: ignore[import-untyped]  # the same
    OptionalParam,
    PduHeader,
    PhoneNumber,
)
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from mgate.channels.smpp import pdu
from mgate.channels.smpp.pdu import Address
from tests.peers.node import NodeOracle

once = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

printable = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
words = st.text(printable, max_size=20)
octet = st.integers(0, 255)
addresses = st.builds(Address, st.integers(0, 6), st.sampled_from([0, 1, 3, 4, 6, 8, 9]), words.filter(len))
ids = st.text(printable, min_size=1, max_size=64)
sequences = st.integers(1, pdu.LARGEST_SEQUENCE)
times = st.sampled_from(["", "000000000300000R", "261122050000000+"])
KINDS = {"bind_receiver": 1, "bind_transmitter": 2, "bind_transceiver": 9}


class Fields(NamedTuple):
    sequence: int
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
    short_message: bytes
    service_type: str


messages = st.builds(
    Fields, sequences, addresses, addresses, octet, octet, octet, times, times, octet, octet, octet,
    st.binary(max_size=254), st.text(printable, max_size=5),
)  # fmt: skip
# One TLV of each wire type: a C-octet string, 16 and 8 bits, octets.
tlv_values = st.tuples(ids, st.integers(0, 0xFFFF), octet, st.binary(min_size=1, max_size=300))


def tlvs_of(values: tuple[str, int, int, bytes]) -> bytes:
    receipted, reference, state, payload = values
    return (
        pdu.pack_tlv(pdu.TLV_USER_MESSAGE_REFERENCE, reference.to_bytes(2, "big"))
        + pdu.pack_tlv(pdu.TLV_MESSAGE_PAYLOAD, payload)
        + pdu.pack_tlv(pdu.TLV_RECEIPTED_MESSAGE_ID, receipted.encode() + b"\0")
        + pdu.pack_tlv(pdu.TLV_MESSAGE_STATE, bytes((state,)))
    )


def ours(f: Fields, tlvs: bytes = b"") -> bytes:
    rest = f._asdict()
    sequence, source, destination = (rest.pop(name) for name in ("sequence", "source", "destination"))
    return pdu.pack_submit_sm(sequence, source, destination, tlvs=tlvs, **rest)


def their_names(f: Fields) -> dict[str, Any]:
    """The specification's names, which smpplib and node share but for the times."""
    return {
        "service_type": f.service_type, "source_addr_ton": f.source.ton, "source_addr_npi": f.source.npi,
        "source_addr": f.source.digits, "dest_addr_ton": f.destination.ton, "dest_addr_npi": f.destination.npi,
        "destination_addr": f.destination.digits, "esm_class": f.esm_class, "protocol_id": f.protocol_id,
        "priority_flag": f.priority, "schedule_delivery_time": f.schedule, "validity_period": f.validity,
        "registered_delivery": f.registered_delivery, "replace_if_present_flag": f.replace,
        "data_coding": f.data_coding, "sm_default_msg_id": 0, "short_message": f.short_message,
    }  # fmt: skip


class Sequence:
    def next_sequence(self) -> int:
        return 1

    sequence = 1


def smpplib_pack(command: str, sequence: int, **fields: object) -> bytes:
    made = smpplib.smpp.make_pdu(command, client=Sequence(), **fields)
    made.sequence = sequence
    return bytes(made.generate())


def smpplib_parse(octets: bytes) -> dict[str, Any]:
    return dict(vars(smpplib.smpp.parse_pdu(octets, client=Sequence(), allow_unknown_opt_params=True)))


def text_of(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def as_read(m: pdu.SubmitSm) -> dict[str, Any]:
    return {
        "service_type": m.service_type, "source_addr_ton": m.source.ton, "source_addr_npi": m.source.npi,
        "source_addr": m.source.digits, "dest_addr_ton": m.destination.ton, "dest_addr_npi": m.destination.npi,
        "destination_addr": m.destination.digits, "esm_class": m.esm_class, "protocol_id": m.protocol_id,
        "priority_flag": m.priority, "schedule_delivery_time": m.schedule, "validity_period": m.validity,
        "registered_delivery": m.registered_delivery, "replace_if_present_flag": m.replace,
        "data_coding": m.data_coding, "sm_default_msg_id": m.default_message_id, "short_message": m.short_message,
    }  # fmt: skip


NAMES = list(as_read(pdu.parse_submit_sm(bytes(17))))

# --- submit_sm and deliver_sm


@once
@given(messages)
def test_submit_sm_is_made_as_smpplib_makes_it(f: Fields) -> None:
    # smpplib writes the integer 0 as one NUL whatever its size, which is right for octets; an empty text is left out.
    assert ours(f) == smpplib_pack("submit_sm", f.sequence, sm_length=len(f.short_message), **their_names(f))


@once
@given(messages, tlv_values)
def test_submit_sm_is_made_as_node_makes_it(node: NodeOracle, f: Fields, values: tuple[str, int, int, bytes]) -> None:
    receipted, reference, state, payload = values
    theirs = node.pack(
        "submit_sm", sequence_number=f.sequence, user_message_reference=reference, message_payload=payload,
        receipted_message_id=receipted, message_state=state, **their_names(f),
    )  # fmt: skip
    assert ours(f, tlvs_of(values)) == theirs


@once
@given(messages, st.integers(0, 0xFFFF))
def test_submit_sm_is_made_as_aiosmpplib_makes_it(f: Fields, reference: int) -> None:
    # It chooses data_coding itself and refuses an empty text; relative times are the only ones it does not reformat.
    f = f._replace(data_coding=0, schedule="", validity="000000000300000R", short_message=b"Code 482913")
    theirs = aiosmpplib.SubmitSm(
        short_message="Code 482913", sequence_num=f.sequence, service_type=f.service_type,
        source=PhoneNumber(f.source.digits, aiosmpplib.TON(f.source.ton), aiosmpplib.NPI(f.source.npi)),
        destination=PhoneNumber(
            f.destination.digits, aiosmpplib.TON(f.destination.ton), aiosmpplib.NPI(f.destination.npi)
        ),
        esm_class=f.esm_class, protocol_id=f.protocol_id, priority_flag=f.priority,
        validity_period=timedelta(minutes=3),
        registered_delivery=f.registered_delivery, replace_if_present_flag=f.replace,
        optional_params=[OptionalParam(pdu.TLV_USER_MESSAGE_REFERENCE, reference)],
    )  # fmt: skip
    assert ours(f, pdu.pack_message_reference(reference)) == theirs.pdu()


def expected_from(found: dict[str, Any]) -> dict[str, Any]:
    return {name: text_of(found[name]) if name != "short_message" else found[name] for name in NAMES}


@once
@given(messages)
def test_submit_sm_is_read_as_smpplib_and_node_read_it(node: NodeOracle, f: Fields) -> None:
    octets = ours(f)
    read = as_read(pdu.parse_submit_sm(octets[16:]))
    assert read == their_names(f)
    command, fields = node.parse(octets)
    assert command == "submit_sm"
    assert read == expected_from(fields)
    if f.short_message:  # smpplib's name for an empty text is None
        assert read == expected_from(smpplib_parse(octets))


def pack_deliver(f: Fields, tlvs: bytes = b"") -> bytes:
    return pdu.pack_deliver_sm(
        f.sequence, f.source, f.destination, esm_class=f.esm_class, protocol_id=f.protocol_id, priority=f.priority,
        registered_delivery=f.registered_delivery, data_coding=f.data_coding, short_message=f.short_message, tlvs=tlvs,
        service_type=f.service_type,
    )  # fmt: skip


@once
@given(messages, tlv_values)
def test_deliver_sm_is_made_and_read_as_node_does(
    node: NodeOracle, f: Fields, values: tuple[str, int, int, bytes]
) -> None:
    f = f._replace(schedule="", validity="", replace=0)
    receipted, reference, state, payload = values
    octets = pack_deliver(f, tlvs_of(values))
    assert octets == node.pack(
        "deliver_sm", sequence_number=f.sequence, user_message_reference=reference, message_payload=payload,
        receipted_message_id=receipted, message_state=state, **their_names(f),
    )  # fmt: skip
    read = pdu.parse_deliver_sm(octets[16:])
    _, fields = node.parse(octets)
    assert as_read(read) == expected_from(fields)
    assert read.tlvs[pdu.TLV_RECEIPTED_MESSAGE_ID] == fields["receipted_message_id"].encode() + b"\0"
    assert int.from_bytes(read.tlvs[pdu.TLV_USER_MESSAGE_REFERENCE], "big") == fields["user_message_reference"]
    assert read.tlvs[pdu.TLV_MESSAGE_STATE][0] == fields["message_state"]
    assert read.tlvs[pdu.TLV_MESSAGE_PAYLOAD] == fields["message_payload"]


@once
@given(messages.filter(lambda f: f.short_message), tlv_values)
def test_deliver_sm_is_read_as_smpplib_reads_it(f: Fields, values: tuple[str, int, int, bytes]) -> None:
    octets = pack_deliver(f, tlvs_of(values))
    read, found = pdu.parse_deliver_sm(octets[16:]), smpplib_parse(octets)
    assert as_read(read) == expected_from(found)
    assert read.tlvs[pdu.TLV_RECEIPTED_MESSAGE_ID] == found["receipted_message_id"] + b"\0"
    assert read.tlvs[pdu.TLV_MESSAGE_PAYLOAD] == found["message_payload"]
    assert read.tlvs[pdu.TLV_MESSAGE_STATE][0] == found["message_state"]


@once
@given(messages, tlv_values)
def test_deliver_sm_is_read_as_aiosmpplib_reads_it(f: Fields, values: tuple[str, int, int, bytes]) -> None:
    # It decodes the text itself and wants one; a UDH flag would make it read a header.
    f = f._replace(data_coding=0, short_message=b"Code 482913", esm_class=f.esm_class & 0xBF)
    octets = pack_deliver(f, tlvs_of((*values[:3], b"x")).replace(pdu.pack_tlv(pdu.TLV_MESSAGE_PAYLOAD, b"x"), b""))
    header = PduHeader(
        len(octets), aiosmpplib.SmppCommand.DELIVER_SM, aiosmpplib.SmppCommandStatus.ESME_ROK, f.sequence
    )
    theirs: Any = aiosmpplib.DeliverSm.from_pdu(octets, header, "gsm0338")
    read = pdu.parse_deliver_sm(octets[16:])
    assert (theirs.source.number, theirs.source.ton, theirs.source.npi) == (read.source.digits, *read.source[:2])
    assert (theirs.esm_class, theirs.priority_flag, theirs.short_message) == (
        read.esm_class,
        read.priority,
        "Code 482913",
    )
    params = {param.tag: param.value for param in theirs.optional_params}
    assert params[pdu.TLV_RECEIPTED_MESSAGE_ID] == values[0]
    assert params[pdu.TLV_USER_MESSAGE_REFERENCE] == values[1]


@once
@given(messages, tlv_values)
def test_data_sm_is_read_as_node_makes_it(node: NodeOracle, f: Fields, values: tuple[str, int, int, bytes]) -> None:
    names = ("protocol_id", "priority_flag", "schedule_delivery_time", "validity_period", "replace_if_present_flag",
             "sm_default_msg_id", "short_message")  # fmt: skip
    kept = {name: value for name, value in their_names(f).items() if name not in names}
    octets = node.pack("data_sm", sequence_number=f.sequence, message_payload=values[3], **kept)
    read = pdu.parse_data_sm(octets[16:])
    assert {name: value for name, value in as_read(read).items() if name not in names} == kept
    assert read.octets == values[3]


# --- refusals


@once
@given(messages.filter(lambda f: f.short_message), tlv_values, st.data())
def test_what_we_refuse_has_one_of_two_faults_and_what_we_take_smpplib_reads_the_same(
    f: Fields, values: tuple[str, int, int, bytes], data: st.DataObject
) -> None:
    octets = bytearray(pack_deliver(f, tlvs_of(values)))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(16, len(octets)))
        octets[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    octets[:4] = len(octets).to_bytes(4, "big")
    try:
        read = as_read(pdu.parse_deliver_sm(bytes(octets[16:])))
    except pdu.PduError as refusal:
        event("refused: " + ("the body ends early" if "ends before" in str(refusal) else "sm_length is too long"))
        assert re.search("ends before its fields do, or a string in it has no end|sm_length says", str(refusal))  # noqa: PT017  # nothing else may be raised
        return
    try:
        found = smpplib_parse(bytes(octets))
    except Exception as theirs:  # noqa: BLE001  # it raises what it likes over damaged TLVs
        event(f"taken, smpplib raises {type(theirs).__name__}")
        return
    event("taken by both")
    for name, value in read.items():
        if found[name] is not None:  # its name for an empty text
            assert value == (found[name] if name == "short_message" else text_of(found[name])), name


# --- responses


@once
@given(sequences, ids)
def test_submit_sm_resp_is_the_same_everywhere(node: NodeOracle, sequence: int, message_id: str) -> None:
    octets = pdu.pack_submit_sm_resp(sequence, 0, message_id)
    assert octets == node.pack("submit_sm_resp", sequence_number=sequence, message_id=message_id)
    assert octets == smpplib_pack("submit_sm_resp", sequence, message_id=message_id)
    assert octets == aiosmpplib.SubmitSmResp(sequence_num=sequence, message_id=message_id).pdu()
    assert pdu.parse_message_id(octets[16:]) == message_id == node.parse(octets)[1]["message_id"]
    assert smpplib_parse(octets)["message_id"] == message_id.encode()


@once
@given(sequences, st.sampled_from([0x08, 0x14, 0x58, 0x400]))
def test_a_refusal_is_the_same_as_nodes(node: NodeOracle, sequence: int, status: int) -> None:
    theirs = node.pack("submit_sm_resp", sequence_number=sequence, command_status=status)
    assert pdu.pack_submit_sm_resp(sequence, status, "") == theirs


@once
@given(sequences)
def test_deliver_and_data_responses_are_the_same_everywhere(node: NodeOracle, sequence: int) -> None:
    octets = pdu.pack_deliver_sm_resp(sequence)
    assert octets == node.pack("deliver_sm_resp", sequence_number=sequence)
    assert octets == smpplib_pack("deliver_sm_resp", sequence, message_id="")
    assert octets == aiosmpplib.DeliverSmResp(sequence_num=sequence).pdu()
    octets = pdu.pack_deliver_sm_resp(sequence, command=pdu.DATA_SM_RESP)
    assert octets == node.pack("data_sm_resp", sequence_number=sequence)


@once
@given(sequences, st.sampled_from(["enquire_link", "enquire_link_resp", "unbind", "unbind_resp", "generic_nack"]))
def test_pdus_without_a_body_are_the_same_everywhere(node: NodeOracle, sequence: int, name: str) -> None:
    command: int = smpplib.command_codes.get_command_code(name)
    octets = pdu.pack_simple(command, sequence)
    assert octets == node.pack(name, sequence_number=sequence) == smpplib_pack(name, sequence)
    theirs = {
        "enquire_link": aiosmpplib.EnquireLink, "enquire_link_resp": aiosmpplib.EnquireLinkResp,
        "unbind": aiosmpplib.Unbind, "unbind_resp": aiosmpplib.UnbindResp, "generic_nack": aiosmpplib.GenericNack,
    }  # fmt: skip
    assert octets == theirs[name](sequence_num=sequence).pdu()
    assert pdu.Framer().feed(octets) == [pdu.Frame(command, 0, sequence, b"")]
    assert pdu.command_name(command) == name


# --- binds

names = st.text(printable, min_size=1, max_size=15)
passwords = st.text(printable, max_size=8)
types = st.text(printable, max_size=12)


@once
@given(st.sampled_from(list(KINDS)), sequences, names, passwords, types)
def test_binds_are_made_and_read_as_by_everybody(
    node: NodeOracle, kind: str, sequence: int, system_id: str, password: str, system_type: str
) -> None:
    octets = pdu.pack_bind(KINDS[kind], sequence, system_id, password, system_type)
    fields = {"system_id": system_id, "password": password, "system_type": system_type, "interface_version": 0x34}
    assert octets == node.pack(kind, sequence_number=sequence, **fields)
    version = {"interface_version": 0x34, "addr_ton": 0, "addr_npi": 0, "address_range": ""}
    assert octets == smpplib_pack(kind, sequence, **(fields | version))
    theirs = {
        "bind_receiver": aiosmpplib.BindReceiver, "bind_transmitter": aiosmpplib.BindTransmitter,
        "bind_transceiver": aiosmpplib.BindTransceiver,
    }[kind](sequence_num=sequence, system_id=system_id, password=password, system_type=system_type)  # fmt: skip
    assert octets == theirs.pdu()
    read, found = pdu.parse_bind(octets[16:]), node.parse(octets)[1]
    assert (read.system_id, read.password, read.system_type) == (system_id, password, system_type)
    assert found["password"] == password
    assert read.version == found["interface_version"]


@once
@given(st.sampled_from(list(KINDS)), sequences, names)
def test_bind_responses_are_made_and_read_as_by_node(
    node: NodeOracle, kind: str, sequence: int, system_id: str
) -> None:
    octets = pdu.pack_bind_resp(KINDS[kind], sequence, 0, system_id)
    theirs = node.pack(f"{kind}_resp", sequence_number=sequence, system_id=system_id, sc_interface_version=0x34)
    assert octets == theirs
    assert pdu.parse_bind_resp(theirs[16:])[:2] == (system_id, 0x34)
    assert smpplib_parse(octets)["system_id"] == system_id.encode()


def test_the_constants_are_those_of_the_others() -> None:
    for name, value in vars(pdu).items():
        if name.startswith("ESME_"):
            assert getattr(smpplib.consts, f"SMPP_{name}") == value
        if name.startswith("TLV_"):
            assert smpplib.consts.OPTIONAL_PARAMS[name.removeprefix("TLV_").lower()] == value
