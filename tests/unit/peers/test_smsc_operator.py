"""The whole operator on a string transport and a Clock."""

from collections.abc import Callable
from pathlib import Path

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection

from mgate.channels.smpp.pdu import (
    BIND_TRANSCEIVER,
    DELIVER_SM,
    DELIVER_SM_RESP,
    ENQUIRE_LINK,
    ESME_RALYBND,
    ESME_RBINDFAIL,
    ESME_RINVBNDSTS,
    ESME_RINVDSTADR,
    ESME_RINVPASWD,
    ESME_RINVSYSID,
    ESME_RTHROTTLED,
    GENERIC_NACK,
    SUBMIT_SM_RESP,
    TLV_RECEIPTED_MESSAGE_ID,
    TLV_USER_MESSAGE_REFERENCE,
    UNBIND,
    UNBIND_RESP,
    Address,
    DeliverSm,
    Frame,
    Framer,
    pack_bind,
    pack_deliver_sm_resp,
    pack_message_reference,
    pack_simple,
    pack_submit_sm,
    parse_deliver_sm,
    parse_message_id,
)
from mgate.peers.fingerprint import Fingerprint
from mgate.peers.smsc.ledger import Acknowledged, Delivered, Ledger, Row, Submitted, read
from mgate.peers.smsc.operator import Operator
from mgate.peers.smsc.script import read as read_script
from mgate.peers.smsc.session import Session

START = 1_700_000_000.0


class House:
    """An operator under a script, on a clock of ours."""

    def __init__(self, toml: str = "", ledger: Path | None = None) -> None:
        self.clock = Clock()
        self.path = ledger
        self.ledger = Ledger(ledger)
        fingerprint = Fingerprint(b"key")
        self.operator = Operator(
            read_script(toml), self.ledger, fingerprint, self.clock, lambda: START + self.clock.seconds()
        )

    def client(self, bound: bool = True, system_id: str = "mgate", password: str = "") -> "Client":
        client = Client(self.operator.new_session())
        if bound:
            client.say(pack_bind(BIND_TRANSCEIVER, 1, system_id, password))
        return client

    def later(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.clock.advance(0.01)

    def rows(self) -> list[Row]:
        assert self.path is not None
        return list(read(self.path))


class Wire(StringTransportWithDisconnection):
    """A transport in memory, with types."""

    def __init__(self, session: Session) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's testing module has no types
        self.protocol = session
        self.before: Callable[[], None] = lambda: None

    def write(self, data: bytes) -> None:
        self.before()
        super().write(data)  # type: ignore[no-untyped-call]  # as above

    def taken(self) -> bytes:
        data: bytes = self.value()  # type: ignore[no-untyped-call]  # as above
        self.clear()  # type: ignore[no-untyped-call]  # as above
        return data

    def lose(self) -> None:
        self.loseConnection()  # type: ignore[no-untyped-call]  # as above


class Client:
    """What a client writes and hears."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.transport = Wire(session)
        self._framer = Framer()
        session.makeConnection(self.transport)  # type: ignore[no-untyped-call]  # Twisted's Protocol has no types here

    def say(self, *pdus: bytes) -> None:
        self.session.dataReceived(b"".join(pdus))

    def hear(self, command: int | None = None) -> list[Frame]:
        frames = self._framer.feed(self.transport.taken())
        return [frame for frame in frames if command in (None, frame.command)]

    def receipts(self, answer: int | None = 0) -> list[DeliverSm]:
        frames = self.hear(DELIVER_SM)
        if answer is not None:
            self.say(*(pack_deliver_sm_resp(frame.sequence, answer) for frame in frames))
        return [parse_deliver_sm(frame.body) for frame in frames]

    def submit(self, count: int = 1, number: str = "375291110001", text: bytes = b"Code 482913", **fields: int) -> None:
        self.say(*(submit_sm(number, text, sequence, **fields) for sequence in range(2, count + 2)))


def submit_sm(number: str, text: bytes, sequence: int, esm_class: int = 0, registered_delivery: int = 1) -> bytes:
    source, destination = Address(5, 0, "Example"), Address(1, 1, number)
    return pack_submit_sm(
        sequence, source, destination, short_message=text, tlvs=pack_message_reference(77), validity="000000000300000R",
        esm_class=esm_class, registered_delivery=registered_delivery,
    )  # fmt: skip


def statuses(frames: list[Frame]) -> list[int]:
    return [frame.status for frame in frames]


def test_a_submit_is_answered_and_its_receipt_comes_later() -> None:
    house = House("[receipts]\ndelay = 1.0\n[ids]\nstart = 4711")
    client = house.client()
    client.hear()
    client.submit()
    (answer,) = client.hear()
    assert (answer.command, answer.status, answer.sequence) == (SUBMIT_SM_RESP, 0, 2)
    assert parse_message_id(answer.body) == "4711"
    house.later(0.9)
    assert client.hear() == []
    house.later(0.2)
    (receipt,) = client.receipts()
    assert receipt.esm_class == 0x04
    assert receipt.short_message.startswith(
        b"id:4711 sub:001 dlvrd:001 submit date:2311142213 done date:2311142213 stat:"
    )
    assert receipt.tlvs[TLV_RECEIPTED_MESSAGE_ID] == b"4711\0"
    assert receipt.tlvs[TLV_USER_MESSAGE_REFERENCE] == b"\x00\x4d"
    assert (receipt.source.digits, receipt.destination.digits) == ("375291110001", "Example")
    house.later(20)
    assert client.hear() == []


def test_no_receipt_is_sent_that_was_not_asked_for() -> None:
    house = House()
    client = house.client()
    client.submit(registered_delivery=0)
    house.later(1)
    assert client.hear(DELIVER_SM) == []


def test_one_read_of_many_submits_is_answered_in_one_write() -> None:
    house = House()
    client = house.client()
    client.hear()
    writes: list[int] = []
    client.transport.before = lambda: writes.append(1)
    client.submit(50)
    assert writes == [1]
    assert [frame.sequence for frame in client.hear()] == list(range(2, 52))


def test_the_ledger_has_the_row_before_the_answer_is_written(tmp_path: Path) -> None:
    house = House(ledger=tmp_path / "ledger")
    client = house.client()
    seen: list[int] = []
    client.transport.before = lambda: seen.append(sum(isinstance(row, Submitted) for row in house.rows()))
    client.submit(3)
    assert seen == [3]


def test_the_ledger_tells_all_but_number_and_text(tmp_path: Path) -> None:
    house = House("[ids]\nstart = 10\n[receipts]\ndelay = 0.5", tmp_path / "ledger")
    client = house.client()
    client.submit(text=b"\x06\x08\x04\x12\x34\x02\x01Code 482913", esm_class=0x40)
    house.later(1)
    client.receipts()
    (row,) = (row for row in house.rows() if isinstance(row, Submitted))
    fingerprint = Fingerprint(b"key")
    assert row.to == fingerprint.number(b"375291110001") != Fingerprint().number(b"375291110001")
    assert row.text == fingerprint.text("Code 482913", 1)
    assert (row.id, row.status, row.silent, row.bind, row.sequence, row.umr) == ("10", 0, False, 1, 2, 77)
    assert (row.reference, row.part, row.parts, row.length) == (0x1234, 1, 2, 18)
    assert (row.validity, row.esm_class, row.data_coding, row.at) == ("000000000300000R", 0x40, 0, START)
    (sent,) = (row for row in house.rows() if isinstance(row, Delivered))
    assert (sent.id, sent.state, sent.attempt) == ("10", "DELIVRD", 1)
    assert [row.id for row in house.rows() if isinstance(row, Acknowledged)] == ["10"]
    plain = (tmp_path / "ledger").read_bytes()
    assert b"375291110001" not in plain
    assert b"482913" not in plain


def test_a_last_line_cut_by_a_kill_is_left_out(tmp_path: Path) -> None:
    house = House(ledger=tmp_path / "ledger")
    house.client().submit(2)
    with (tmp_path / "ledger").open("ab") as file:
        file.write(b'{"kind":"submit","at"')
    assert sum(isinstance(row, Submitted) for row in house.rows()) == 2


def test_a_receipt_is_sent_until_the_answer_is_ok() -> None:
    house = House("[receipts]\ndelay = 0.1\nretry = 2.0")
    client = house.client()
    client.submit()
    house.later(0.2)
    assert len(client.receipts(answer=0x64)) == 1
    house.later(2.5)
    assert len(client.receipts(answer=None)) == 1
    house.later(3.5)
    assert len(client.receipts()) == 1
    house.later(10)
    assert client.receipts() == []


def test_a_receipt_left_unanswered_by_a_lost_session_comes_on_the_next_bind() -> None:
    house = House("[receipts]\ndelay = 0.1")
    first = house.client()
    first.submit(3)
    house.later(0.2)
    assert len(first.receipts(answer=None)) == 3
    first.transport.lose()
    assert len(house.operator.owed.waiting) == 3
    assert len(house.client().receipts()) == 3


def test_a_receipt_whose_session_is_gone_takes_another_bind_of_the_account() -> None:
    house = House("[receipts]\ndelay = 0.5")
    first, second = house.client(), house.client()
    first.submit()
    first.transport.lose()
    house.later(1)
    assert len(second.receipts()) == 1


def test_no_more_receipts_are_unanswered_than_the_window_says() -> None:
    house = House("[receipts]\ndelay = 0.1\nwindow = 2\nretry = 60.0")
    client = house.client()
    client.submit(5)
    house.later(1)
    frames = client.hear(DELIVER_SM)
    assert len(frames) == 2
    client.say(pack_deliver_sm_resp(frames[0].sequence))
    assert len(client.hear(DELIVER_SM)) == 1


def test_a_receipt_can_come_before_its_answer_and_on_another_bind_and_twice() -> None:
    house = House("[latency]\nsubmit = 1.0\n[receipts]\nbefore_response = 1.0\nother_bind = 1.0\nduplicates = 1.0")
    first, second = house.client(), house.client()
    first.hear()
    second.hear()
    first.submit()
    assert first.hear() == []
    assert len(second.receipts()) == 1
    house.later(1.1)
    assert [frame.command for frame in first.hear()] == [SUBMIT_SM_RESP]
    assert len(second.receipts()) == 1


def test_the_forms_of_an_id_differ_as_the_script_says() -> None:
    house = House(
        '[ids]\nstart = 255\nresponse = "hex-upper"\nreceipt = "padded"\nwidth = 10\n[receipts]\ndialect = "text"'
    )
    client = house.client()
    client.hear()
    client.submit()
    assert parse_message_id(client.hear()[0].body) == "FF"
    house.later(1)
    (receipt,) = client.receipts()
    assert receipt.short_message.startswith(b"id:0000000255 ")
    assert TLV_RECEIPTED_MESSAGE_ID not in receipt.tlvs


def test_an_answer_without_an_id_is_written_down_with_it(tmp_path: Path) -> None:
    house = House("[ids]\nstart = 9\nempty = 1.0", tmp_path / "ledger")
    client = house.client()
    client.hear()
    client.submit()
    assert [(frame.status, frame.body) for frame in client.hear()] == [(0, b"\0")]
    assert [(row.id, row.nameless) for row in house.rows() if isinstance(row, Submitted)] == [("9", True)]


def test_a_wide_id_passes_64_bits() -> None:
    house = House("[ids]\nstart = 5\nwide = true")
    client = house.client()
    client.hear()
    client.submit()
    assert int(parse_message_id(client.hear()[0].body)) == 2**64 + 5


def test_over_the_rate_a_submit_is_throttled_over_all_binds() -> None:
    house = House("[throttling]\nrate = 4\ntolerance = 0.0")
    first, second = house.client(), house.client()
    first.hear()
    second.hear()
    first.submit(3)
    second.submit(3)
    assert statuses(first.hear()) == [0, 0, 0]
    assert statuses(second.hear()) == [0, ESME_RTHROTTLED, ESME_RTHROTTLED]
    house.later(1)
    first.submit()
    assert statuses(first.hear(SUBMIT_SM_RESP)) == [0]


def test_errors_follow_the_number_and_the_shares(tmp_path: Path) -> None:
    toml = '[errors]\nprefixes = { "37544" = "ESME_RINVDSTADR" }\nshares = { "0x400" = 0.5 }'
    house = House(toml, tmp_path / "ledger")
    client = house.client()
    client.hear()
    client.submit(number="375441110001")
    assert statuses(client.hear()) == [ESME_RINVDSTADR]
    client.submit(1000)
    refused = statuses(client.hear()).count(0x400)
    assert 400 < refused < 600
    assert sum(isinstance(row, Submitted) and row.status == 0x400 and not row.id for row in house.rows()) == refused


def test_silence_keeps_the_answer_and_not_the_receipt(tmp_path: Path) -> None:
    house = House("[silence]\nafter = 2\nenquire_link = true\n[receipts]\ndelay = 0.1", tmp_path / "ledger")
    client = house.client()
    client.hear()
    client.submit(4)
    client.say(pack_simple(ENQUIRE_LINK, 99))
    assert len(client.hear()) == 2
    house.later(0.5)
    assert len(client.receipts()) == 4
    assert [row.silent for row in house.rows() if isinstance(row, Submitted)] == [False, False, True, True]


def test_a_session_ends_after_so_many_submits_and_the_rest_of_the_read_is_not_taken(tmp_path: Path) -> None:
    house = House('[disconnects]\nafter = 3\nhow = "reset"', tmp_path / "ledger")
    client = house.client()
    client.hear()
    client.submit(5)
    assert not client.transport.connected
    assert client.hear() == []
    assert sum(isinstance(row, Submitted) for row in house.rows()) == 3


def test_a_session_ends_in_time_with_unbind() -> None:
    house = House('[disconnects]\nevery = 2.0\nhow = "unbind"')
    client = house.client()
    client.hear()
    house.later(1.9)
    assert client.transport.connected
    house.later(0.2)
    assert [frame.command for frame in client.hear()] == [UNBIND]
    assert not client.transport.connected


def test_binds_are_refused_for_the_name_the_password_and_the_script() -> None:
    house = House('[account]\npassword = "right"\n[binds]\nrefuse_times = 1')
    for password, system_id, status in (
        ("right", "mgate", ESME_RBINDFAIL), ("wrong", "mgate", ESME_RINVPASWD),
        ("right", "other", ESME_RINVSYSID), ("right", "mgate", 0),
    ):  # fmt: skip
        assert statuses(house.client(system_id=system_id, password=password).hear()) == [status]


def test_a_session_lost_without_unbind_holds_its_place_for_a_while() -> None:
    house = House("[account]\nsessions = 1\n[binds]\nhold = 3.0")
    house.client().transport.lose()
    assert statuses(house.client().hear()) == [ESME_RALYBND]
    house.later(3.1)
    last = house.client()
    assert statuses(last.hear()) == [0]
    last.say(pack_simple(UNBIND, 9))
    assert [frame.command for frame in last.hear()] == [UNBIND_RESP]
    assert statuses(house.client().hear()) == [0]


def test_a_submit_before_the_bind_is_refused() -> None:
    house = House()
    client = house.client(bound=False)
    client.submit()
    assert statuses(client.hear()) == [ESME_RINVBNDSTS]


def test_octets_that_are_no_smpp_end_the_session() -> None:
    client = House().client()
    client.hear()
    client.say(b"GET / HTTP/1.1\r\n\r\n")
    assert [frame.command for frame in client.hear()] == [GENERIC_NACK]
    assert not client.transport.connected


def test_answers_of_one_write_can_be_reversed() -> None:
    house = House('order = "reversed"')
    client = house.client()
    client.hear()
    client.submit(4)
    assert [frame.sequence for frame in client.hear()] == [5, 4, 3, 2]


def test_garbage_comes_among_the_answers() -> None:
    house = House("[garbage]\noutbind = true\nevery = 1\n")
    client = house.client(bound=False)
    assert len(client.hear()) == 1
    client.say(pack_bind(BIND_TRANSCEIVER, 1, "mgate", ""))
    client.hear()
    client.submit(7)
    assert len(client.hear()) == 14


def test_a_customer_writes_until_he_is_heard() -> None:
    house = House('[inbound]\nevery = 1.0\nnumbers = ["375291110001"]\ntext = "STOP"\n[receipts]\nretry = 3.0')
    client = house.client()
    house.later(1.1)
    (inbound,) = client.receipts(answer=0x08)
    assert (inbound.short_message, inbound.esm_class, inbound.source.digits) == (b"STOP", 0, "375291110001")
    house.later(3.2)
    assert len(client.receipts()) == 4  # the first again, and three new ones


def test_deliver_sm_resp_for_nothing_is_ignored() -> None:
    client = House().client()
    client.hear()
    client.say(pack_simple(DELIVER_SM_RESP, 4711))
    assert client.hear() == []


def test_stopping_says_goodbye() -> None:
    house = House()
    client = house.client()
    client.hear()
    house.operator.stop()
    assert [frame.command for frame in client.hear()] == [UNBIND]
