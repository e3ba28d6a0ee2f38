"""The session on a virtual clock; the numbers in brackets are rows of the collected operator behaviours."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.channels.smpp import pdu
from mgate.channels.smpp.events import (
    Arrived,
    BindRefused,
    Bound,
    Close,
    Ended,
    Late,
    Note,
    Noted,
    Pause,
    Refusal,
)
from mgate.channels.smpp.pdu import Address, Frame, Framer
from mgate.channels.smpp.receipt import UsualReceipt
from mgate.channels.smpp.session import Credentials, Session, SessionState
from mgate.config.operators import GENERIC, Profile
from mgate.config.statuses import STATUSES
from mgate.model.message import Secret
from mgate.model.outcome import Accepted, Deferred, Elsewhere, NotWritten, Outcome, Rejected, Uncertain
from mgate.policy.step import backs_off

WHO = Credentials("example", Secret("not-a-real-secret"), "bank")
CUSTOMER, BANK = Address(1, 1, "375291110001"), Address(5, 0, "ExampleBank")
BODY = pdu.SubmitTemplate(BANK).body(b"375291110001", b"", b"Code 482913")
RESP = pdu.pack_submit_sm_resp
TIMED_OUT = Uncertain("response_timeout", link_alive=True)


class Desk:
    """A session and its operator's end: what was taken is read back as frames."""

    def __init__(self, now: float = 100.0, **options: Any) -> None:
        self.session: Session[str] = Session(WHO, **options)
        self.now = now
        self._framer = Framer()

    def bind(self) -> "Desk":
        self.session.open(self.now)
        (request,) = self.taken()
        assert self.hear(pdu.pack_bind_resp(pdu.BIND_TRANSCEIVER, request.sequence, 0, "SMSC")) == [Bound("SMSC", 0x34)]
        return self

    def taken(self) -> list[Frame]:
        return self._framer.feed(self.session.take())

    def hear(self, *octets: bytes) -> list[Any]:
        return list(self.session.receive(b"".join(octets), self.now))

    def submit(self, *tokens: str) -> list[int]:
        """Submits and takes."""
        sequences = self.ask(*tokens)
        self.session.take()
        return sequences

    def ask(self, *tokens: str) -> list[int]:
        """Submits, and takes nothing."""
        sequences = self.session.submit(tokens, [BODY] * len(tokens), self.now)
        assert not isinstance(sequences, NotWritten)
        return list(sequences)

    def wait(self, seconds: float) -> list[Any]:
        self.now += seconds
        return list(self.session.expire(self.now))


def a_receipt(sequence: int, text: bytes = b"id:7 stat:DELIVRD") -> bytes:
    return pdu.pack_deliver_sm(sequence, CUSTOMER, BANK, esm_class=4, short_message=text)


def broken_deliver_sm(sequence: int, fill: bytes = b"x") -> bytes:
    return pdu.HEADER.pack(16 + 10 * len(fill), pdu.DELIVER_SM, 0, sequence) + fill * 10


# ---- binding


def test_a_session_binds_as_transceiver_and_says_who_it_is() -> None:
    desk = Desk()
    desk.session.open(desk.now)
    (request,) = desk.taken()
    said = pdu.parse_bind(request.body)
    assert (request.command, said.system_id, said.password) == (9, "example", "not-a-real-secret")
    assert desk.hear(pdu.pack_bind_resp(9, request.sequence, 0, "SMSC")) == [Bound("SMSC", 0x34)]
    assert desk.session.state is SessionState.BOUND


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (pdu.ESME_RALYBND, Refusal.ALREADY_BOUND),
        (pdu.ESME_RINVPASWD, Refusal.BAD_CREDENTIALS),
        (pdu.ESME_RINVSYSID, Refusal.BAD_CREDENTIALS),
        (pdu.ESME_RBINDFAIL, Refusal.OTHER),
        (0x400, Refusal.OTHER),
    ],
)
def test_a_refused_bind_says_why_and_closes(status: int, why: Refusal) -> None:  # [35] [36] [37]
    desk = Desk()
    desk.session.open(desk.now)
    refused, close = desk.hear(pdu.pack_bind_resp(9, desk.taken()[0].sequence, status, ""))
    assert (refused.why, close.orderly, desk.session.state) == (why, False, SessionState.CLOSED)
    assert pdu.status_name(status) in refused.reason
    assert "not-a-real-secret" not in f"{refused} {close} {WHO}"


def test_a_generic_nack_of_the_bind_refuses_it() -> None:
    desk = Desk()
    desk.session.open(desk.now)
    events = desk.hear(pdu.pack_simple(pdu.GENERIC_NACK, desk.taken()[0].sequence, 3))
    assert [type(event) for event in events] == [BindRefused, Close]


def test_the_bind_limit_runs_whatever_else_comes_in() -> None:  # [44]
    desk = Desk()
    desk.session.open(desk.now)
    desk.taken()
    for sequence in range(9):
        assert desk.wait(1.0) == []
        assert desk.hear(pdu.pack_simple(pdu.ENQUIRE_LINK, sequence)) == []
        assert desk.taken() == [Frame(pdu.ENQUIRE_LINK_RESP, 0, sequence, b"")]
    assert desk.session.next_deadline() == 110.0
    assert desk.wait(1.0) == [Close("no answer to bind within 10 s", orderly=False)]


def test_messages_before_the_bind_response_are_kept_until_it_comes() -> None:  # [43]
    desk = Desk()
    desk.session.open(desk.now)
    bind = desk.taken()[0].sequence
    assert desk.hear(a_receipt(1), a_receipt(2)) == []
    assert desk.taken() == []
    bound, arrived = desk.hear(pdu.pack_bind_resp(9, bind, 0, "SMSC"), a_receipt(3))
    assert isinstance(bound, Bound)
    assert [arrival.sequence for arrival in arrived.arrivals] == [1, 2, 3]


def test_a_flood_before_the_bind_response_is_bounded_and_asked_for_again() -> None:
    desk = Desk()
    desk.session.open(desk.now)
    bind = desk.taken()[0].sequence
    desk.hear(*(a_receipt(n) for n in range(1003)))
    assert desk.taken() == [Frame(pdu.DELIVER_SM_RESP, pdu.ESME_RX_T_APPN, n, b"\0") for n in (1000, 1001, 1002)]
    _, arrived = desk.hear(pdu.pack_bind_resp(9, bind, 0, ""))
    assert len(arrived.arrivals) == 1000


def test_a_session_is_opened_once() -> None:
    desk = Desk().bind()
    desk.hear(b"HTTP/1.1 400 Bad Request")
    with pytest.raises(RuntimeError, match="opened once"):
        desk.session.open(desk.now)


@pytest.mark.parametrize("state", ["new", "binding", "unbinding", "closed"])
def test_nothing_is_submitted_on_a_session_that_is_not_bound(state: str) -> None:
    desk = Desk()
    if state != "new":
        desk.session.open(desk.now)
    if state in {"unbinding", "closed"}:
        desk = Desk().bind()
        desk.session.unbind(desk.now)
    if state == "closed":
        desk.session.closed(desk.now)
    assert isinstance(desk.session.submit(["a"], [BODY], desk.now), NotWritten)
    assert desk.session.closed(desk.now) == []


# ---- submit and response


@given(st.permutations([f"part {n}" for n in range(10)]))
def test_responses_in_any_order_meet_their_own_requests(order: list[str]) -> None:  # [21]
    desk = Desk().bind()
    sequences = dict(zip(sorted(order), desk.submit(*sorted(order)), strict=True))
    (ended,) = desk.hear(*(RESP(sequences[token], 0, f"id of {token}") for token in order))
    assert ended == Ended([(token, Accepted(f"id of {token}")) for token in order])
    assert desk.session.outstanding == 0


def test_all_answers_of_one_read_come_as_one_batch_before_anything_else() -> None:
    desk = Desk().bind()
    first, second, third = desk.submit("a", "b", "c")
    events = desk.hear(
        a_receipt(5), RESP(first, 0, "1"), pdu.pack_simple(0x99, 6), RESP(second, pdu.ESME_RTHROTTLED, ""),
        a_receipt(7), RESP(third, 0x400, ""),
    )  # fmt: skip
    ended, pause, noted, arrived = events
    expected: list[tuple[str, Outcome]] = [
        ("a", Accepted("1")), ("b", Deferred("ESME_RTHROTTLED")), ("c", Deferred("status 0x00000400")),
    ]  # fmt: skip
    assert ended == Ended(expected)
    assert pause == Pause("ESME_RTHROTTLED")
    assert noted == Noted(Note.UNKNOWN_COMMAND, "command 0x00000099")
    assert [arrival.sequence for arrival in arrived.arrivals] == [5, 7]


def test_every_status_is_an_outcome_and_none_costs_the_link() -> None:  # [26] [27]
    desk = Desk().bind()
    for status in (*range(1, 0x500), 0xFFFFFFFF):
        (sequence,) = desk.submit("a")
        ended, *rest = desk.hear(pdu.HEADER.pack(16, pdu.SUBMIT_SM_RESP, status, sequence))
        name = pdu.status_name(status)
        weather = status in {0x58, 0x14, 0x08}
        final = status in STATUSES.values() and not weather and status != pdu.ESME_RX_T_APPN
        assert ended == Ended([("a", Rejected(name) if final else Deferred(name))])
        assert rest == ([Pause(name)] if weather else [])
    assert desk.session.state is SessionState.BOUND


def by_errors(**words: str) -> Profile:
    return msgspec.structs.replace(GENERIC, errors=tuple((STATUSES[name], word) for name, word in words.items()))


@pytest.mark.parametrize(
    ("word", "outcome", "pauses"),
    [
        ("final", Rejected("ESME_RSUBMITFAIL"), False),
        ("later", Deferred("ESME_RSUBMITFAIL"), False),
        ("throttled", Deferred("throttled by ESME_RSUBMITFAIL"), True),
        ("other_route", Elsewhere("ESME_RSUBMITFAIL", "other_route"), False),
        ("quota", Elsewhere("ESME_RSUBMITFAIL", "quota"), False),
        ("foreign_network", Elsewhere("ESME_RSUBMITFAIL", "foreign_network"), False),
        ("blocked_subscriber", Rejected("blocked_subscriber ESME_RSUBMITFAIL"), False),
    ],
)
def test_the_profile_says_what_a_status_means(word: str, outcome: Outcome, pauses: bool) -> None:  # [26] [27]
    desk = Desk(profile=by_errors(ESME_RSUBMITFAIL=word)).bind()
    (sequence,) = desk.submit("a")
    ended, *rest = desk.hear(RESP(sequence, STATUSES["ESME_RSUBMITFAIL"], ""))
    assert ended == Ended([("a", outcome)])
    assert rest == ([Pause("ESME_RSUBMITFAIL")] if pauses else [])


def test_a_throttle_that_the_profile_calls_late_weather_backs_off_and_does_not_come_again_at_once() -> None:
    desk = Desk(profile=by_errors(ESME_RSYSERR="later")).bind()
    (sequence,) = desk.submit("a")
    assert desk.hear(RESP(sequence, pdu.ESME_RSYSERR, "")) == [Ended([("a", Deferred("later ESME_RSYSERR"))])]
    assert backs_off("later ESME_RSYSERR")
    assert not backs_off("throttled by ESME_RSUBMITFAIL")


def test_already_bound_is_a_bind_only_where_the_profile_says_so() -> None:  # [36]
    quirks = msgspec.structs.replace(GENERIC.quirks, already_bound_is_bound=True)
    refusal = pdu.pack_bind_resp(pdu.BIND_TRANSCEIVER, 1, pdu.ESME_RALYBND, "")
    for profile, state in (
        (GENERIC, SessionState.CLOSED),
        (msgspec.structs.replace(GENERIC, quirks=quirks), SessionState.BOUND),
    ):
        desk = Desk(profile=profile)
        desk.session.open(desk.now)
        desk.session.take()
        desk.hear(refusal)
        assert desk.session.state is state


def test_an_operator_with_a_dialect_of_its_own_is_never_read_in_the_usual_form() -> None:
    receipts = msgspec.structs.replace(GENERIC.receipts, dialect="tlv")
    desk = Desk(profile=msgspec.structs.replace(GENERIC, receipts=receipts)).bind()
    (arrived,) = desk.hear(a_receipt(5))
    assert isinstance(arrived.arrivals[0].message, pdu.DeliverSm)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (0, b"7F3A\0", Accepted("7F3A")),
        (0, b"", Accepted("")),
        (0, b"\0", Accepted("")),
        (0, b"7F3A\0surplus", Accepted("7F3A")),
        (0x45, b"7F3A\0", Rejected("ESME_RSUBMITFAIL")),
        (0x45, b"", Rejected("ESME_RSUBMITFAIL")),
    ],
)
def test_bodies_are_there_or_not_whatever_the_status(status: int, body: bytes, outcome: Outcome) -> None:  # [24]
    desk = Desk().bind()
    (sequence,) = desk.submit("a")
    octets = pdu.HEADER.pack(16 + len(body), pdu.SUBMIT_SM_RESP, status, sequence) + body
    assert desk.hear(octets) == [Ended([("a", outcome)])]


def test_an_absurd_id_is_noted_and_the_submit_is_still_accepted() -> None:
    desk = Desk().bind()
    (sequence,) = desk.submit("a")
    ended, noted = desk.hear(pdu.HEADER.pack(16 + 300, pdu.SUBMIT_SM_RESP, 0, sequence) + b"9" * 300)
    assert (ended, noted.what) == (Ended([("a", Accepted(""))]), Note.MALFORMED)


@pytest.mark.parametrize("late_by", [1.0, 60.0, 600.0])
@pytest.mark.parametrize(
    ("status", "outcome"),
    [(0, Accepted("7F3A")), (0x45, Rejected("ESME_RSUBMITFAIL")), (0x58, Deferred("ESME_RTHROTTLED"))],
)
def test_an_answer_after_its_time_out_still_tells_its_outcome(late_by: float, status: int, outcome: Outcome) -> None:
    desk = Desk(enquire_every=10_000.0).bind()  # [22]
    (sequence,) = desk.submit("a")
    assert desk.session.next_deadline() == 110.0
    assert desk.wait(9.999) == []
    assert desk.wait(0.001) == [Ended([("a", TIMED_OUT)])]
    desk.hear(pdu.pack_simple(pdu.ENQUIRE_LINK_RESP, 1))
    assert desk.wait(late_by) == []
    assert desk.hear(RESP(sequence, status, "7F3A"))[0] == Late([("a", outcome)])
    assert desk.hear(RESP(sequence, status, "7F3A"))[0].what is Note.STRAY_RESPONSE  # only once


def test_only_what_was_taken_counts_as_written_when_the_link_is_lost() -> None:  # [23]
    desk = Desk().bind()
    desk.submit("written")
    desk.ask("not written")
    (ended,) = desk.session.closed(desk.now)
    assert ended == Ended(
        [("written", Uncertain("link_lost", link_alive=False)), ("not written", NotWritten("link_lost"))]
    )
    assert desk.session.state is SessionState.CLOSED
    assert desk.session.closed(desk.now) == []
    assert desk.session.take() == b""


def test_a_submit_that_was_never_taken_times_out_as_not_written_and_never_leaves() -> None:
    desk = Desk().bind()
    desk.ask("a")
    assert desk.wait(10.0) == [Ended([("a", NotWritten("response_timeout"))])]
    assert desk.taken() == []


def test_an_answer_to_what_was_not_written_yet_is_none() -> None:
    desk = Desk().bind()
    (sequence,) = desk.ask("a")
    (noted,) = desk.hear(RESP(sequence, 0, "7F3A"))
    assert noted.what is Note.STRAY_RESPONSE
    assert desk.hear(pdu.pack_simple(pdu.GENERIC_NACK, sequence, 8))[0].what is Note.STRAY_NACK
    assert desk.session.outstanding == 1


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (3, Rejected("generic_nack ESME_RINVCMDID")),
        (0, Rejected("generic_nack ESME_ROK")),
        (0x58, Deferred("ESME_RTHROTTLED")),
    ],
)
def test_a_generic_nack_of_a_live_submit_fails_that_one_only(status: int, outcome: Outcome) -> None:  # [25]
    desk = Desk().bind()
    first, second = desk.submit("a", "b")
    assert desk.hear(pdu.pack_simple(pdu.GENERIC_NACK, first, status))[0] == Ended([("a", outcome)])
    assert desk.hear(RESP(second, 0, "2")) == [Ended([("b", Accepted("2"))])]


@pytest.mark.parametrize("sequence", [0, 4711, 0xFFFFFFFF])
def test_a_generic_nack_of_nothing_open_is_only_noted(sequence: int) -> None:  # [25]
    desk = Desk().bind()
    desk.submit("a")
    (noted,) = desk.hear(pdu.pack_simple(pdu.GENERIC_NACK, sequence, 2))
    assert (noted.what, desk.session.outstanding) == (Note.STRAY_NACK, 1)


@pytest.mark.parametrize("command", [0x80000005, 0x80000103, 0x80000009, 0x80000015, 0x80000006, 0x80000021])
def test_a_response_of_another_type_leaves_the_submit_in_doubt_and_the_link_up(command: int) -> None:  # [30]
    desk = Desk().bind()
    (sequence,) = desk.submit("a")
    ended, noted = desk.hear(pdu.pack_simple(command, sequence))
    assert ended == Ended([("a", Uncertain("nonsense_answer", link_alive=True))])
    assert (noted.what, desk.session.state) == (Note.MISFIT_RESPONSE, SessionState.BOUND)
    assert desk.hear(RESP(sequence, 0, "7F3A")) == [Late([("a", Accepted("7F3A"))])]


def test_a_window_that_is_filled_twice_at_one_moment_times_out_with_one_deadline_and_one_batch() -> None:
    desk = Desk().bind()
    desk.submit("a", "b")
    desk.now += 1.0
    desk.submit("c")
    (ended,) = desk.wait(9.0)
    assert ended == Ended([("a", TIMED_OUT), ("b", TIMED_OUT)])
    assert desk.session.next_deadline() == 111.0
    assert desk.wait(1.0)[0] == Ended([("c", TIMED_OUT)])


# ---- sequence numbers


def test_our_numbers_wrap_to_one_and_skip_what_is_open_or_in_doubt() -> None:  # [45]
    desk = Desk(first_sequence=pdu.LARGEST_SEQUENCE - 1).bind()
    last, one = desk.submit("a", "b")
    assert (last, one) == (pdu.LARGEST_SEQUENCE, 1)
    desk.wait(10.0)  # both leave tombstones
    desk.session._next = pdu.LARGEST_SEQUENCE - 1
    assert desk.submit("c", "d") == [3, 4]  # the bind, a, b and our enquire_link keep theirs
    desk.session._next = 2
    assert desk.submit("e") == [5]
    assert desk.hear(RESP(one, 0, "late"))[0] == Late([("b", Accepted("late"))])


def test_a_batch_takes_a_run_of_numbers_and_none_that_is_open() -> None:  # [45]
    desk = Desk(first_sequence=pdu.LARGEST_SEQUENCE - 2).bind()
    assert desk.submit("a", "b", "c") == [pdu.LARGEST_SEQUENCE - 1, pdu.LARGEST_SEQUENCE, 1]
    assert desk.submit("d", "e") == [2, 3]
    desk.session._next = pdu.LARGEST_SEQUENCE - 3  # the bind's number, then those of a, b and c
    assert desk.submit("f", "g") == [pdu.LARGEST_SEQUENCE - 3, 4]
    assert desk.session.outstanding == 7


def test_a_batch_times_out_as_one_whatever_of_it_was_answered() -> None:
    desk = Desk().bind()
    first, second, third = desk.submit("a", "b", "c")
    desk.hear(RESP(first, 0, "1"), RESP(third, 0, "3"))
    assert desk.session.next_deadline() == 110.0
    assert desk.wait(10.0) == [Ended([("b", TIMED_OUT)])]
    assert desk.hear(RESP(second, 0, "2")) == [Late([("b", Accepted("2"))])]


def test_an_empty_batch_asks_for_nothing_and_sets_no_deadline() -> None:
    desk = Desk().bind()
    assert desk.submit() == []
    assert desk.session.next_deadline() == 130.0


@pytest.mark.parametrize("sequence", [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_any_number_of_theirs_is_answered_with_itself(sequence: int) -> None:  # [45]
    desk = Desk().bind()
    (arrived,) = desk.hear(pdu.pack_simple(pdu.ENQUIRE_LINK, sequence), a_receipt(sequence), a_receipt(sequence))
    desk.session.answer(arrived.arrivals)
    assert desk.taken() == [
        Frame(pdu.ENQUIRE_LINK_RESP, 0, sequence, b""),
        *[Frame(pdu.DELIVER_SM_RESP, 0, sequence, b"\0")] * 2,
    ]


# ---- life and death of a link


def test_silence_is_asked_after_30_seconds_and_ends_the_link_10_later() -> None:  # [41]
    desk = Desk().bind()
    assert desk.session.next_deadline() == 130.0
    assert desk.wait(29.9) == []
    assert desk.taken() == []
    assert desk.wait(0.1) == []
    (question,) = desk.taken()
    assert question.command == pdu.ENQUIRE_LINK
    assert desk.session.next_deadline() == 140.0
    assert desk.wait(9.9) == []
    (close,) = desk.wait(0.1)
    assert close == Close("enquire_link unanswered for 10 s: the link is dead", orderly=False)
    assert desk.session.next_deadline() is None


def test_a_link_that_dies_at_moment_zero_is_noticed_too() -> None:
    desk = Desk(now=-40.0).bind()
    desk.wait(30.0)
    assert desk.session.next_deadline() == 0.0
    assert isinstance(desk.wait(10.0)[0], Close)


REQUESTS = [a_receipt(1), pdu.pack_simple(pdu.ENQUIRE_LINK, 1), pdu.pack_simple(0x99, 1)]
RESPONSES = [
    pdu.pack_simple(pdu.GENERIC_NACK, 0, 3),
    pdu.pack_simple(pdu.ENQUIRE_LINK_RESP, 4711),
    RESP(4711, 0, ""),
]


@pytest.mark.parametrize("sign", [*REQUESTS, *RESPONSES])
def test_any_pdu_is_a_sign_of_life(sign: bytes) -> None:
    desk = Desk().bind()
    desk.wait(29.0)
    desk.hear(sign)
    assert desk.wait(29.0) == []
    assert desk.session.next_deadline() == 159.0


@pytest.mark.parametrize("answer", RESPONSES)
def test_any_response_shows_that_we_are_heard(answer: bytes) -> None:
    desk = Desk().bind()
    desk.wait(30.0)
    desk.now += 9.0
    desk.hear(answer)
    assert desk.wait(20.0) == []
    assert desk.session.next_deadline() == 169.0
    assert desk.session.state is SessionState.BOUND


@pytest.mark.parametrize("sign", REQUESTS)
def test_a_line_that_speaks_and_does_not_hear_is_dead(sign: bytes) -> None:
    desk = Desk().bind()
    desk.submit("a")
    for _ in range(9):
        desk.now += 1.0
        desk.hear(sign)
    desk.session.take()
    assert desk.wait(1.0) == [Ended([("a", TIMED_OUT)])]
    assert [frame.command for frame in desk.taken()] == [pdu.ENQUIRE_LINK]
    desk.now += 9.0
    desk.hear(sign)
    (close,) = desk.wait(1.0)
    assert close == Close("enquire_link unanswered for 10 s: the link is dead", orderly=False)


def test_many_submits_that_time_out_ask_one_question_at_a_time() -> None:
    desk = Desk().bind()
    desk.submit("a")
    desk.now += 1.0
    desk.submit("b", "c")
    desk.wait(9.0)
    desk.wait(1.0)
    (question,) = desk.taken()
    assert question.command == pdu.ENQUIRE_LINK
    desk.hear(pdu.pack_simple(pdu.ENQUIRE_LINK_RESP, question.sequence))
    assert desk.wait(20.0) == []
    assert desk.taken() == []


def test_octets_that_make_no_pdu_are_no_sign_of_life() -> None:
    desk = Desk().bind()
    desk.wait(30.0)
    desk.hear(b"\0\0\0\x20")
    assert isinstance(desk.wait(10.0)[-1], Close)


def test_an_answer_to_enquire_link_may_carry_a_surplus_body() -> None:  # [49]
    desk = Desk().bind()
    desk.wait(30.0)
    (question,) = desk.taken()
    surplus = pdu.HEADER.pack(20, pdu.ENQUIRE_LINK_RESP, 0, question.sequence) + b"more"
    assert desk.hear(surplus) == []
    assert desk.wait(10.0) == []


def test_a_link_that_answers_nothing_but_enquire_link_leaves_its_submits_in_doubt_and_stays() -> None:  # [42]
    desk = Desk().bind()
    for _ in range(3):
        desk.submit("a")
        assert desk.wait(10.0) == [Ended([("a", TIMED_OUT)])]
        (question,) = desk.taken()
        desk.hear(pdu.pack_simple(pdu.ENQUIRE_LINK_RESP, question.sequence))
    assert desk.session.state is SessionState.BOUND


def test_an_unbind_of_theirs_is_answered_and_their_last_answers_still_count() -> None:  # [41]
    desk = Desk().bind()
    first, second, third = desk.submit("a", "b", "c")
    ended, close = desk.hear(RESP(first, 0, "1"), pdu.pack_simple(pdu.UNBIND, 9), RESP(second, 0, "2"))
    assert ended == Ended([("a", Accepted("1")), ("b", Accepted("2"))])
    assert close == Close("the operator unbound", orderly=True)
    assert desk.taken() == [Frame(pdu.UNBIND_RESP, 0, 9, b"")]
    assert desk.session.closed(desk.now) == [Ended([("c", Uncertain("link_lost", link_alive=False))])]
    assert third > second


def test_what_was_not_taken_does_not_leave_after_their_unbind() -> None:
    desk = Desk().bind()
    desk.ask("a")
    desk.hear(pdu.pack_simple(pdu.UNBIND, 9))
    assert [frame.command for frame in desk.taken()] == [pdu.UNBIND_RESP]
    assert desk.session.closed(desk.now) == [Ended([("a", NotWritten("link_lost"))])]


def test_our_unbind_leaves_after_what_was_submitted_and_ends_with_its_answer() -> None:  # [49]
    desk = Desk().bind()
    (sequence,) = desk.ask("a")
    desk.session.unbind(desk.now)
    sent = desk.taken()
    assert [frame.command for frame in sent] == [pdu.SUBMIT_SM, pdu.UNBIND]
    surplus = pdu.HEADER.pack(17, pdu.UNBIND_RESP, 0, sent[1].sequence) + b"\0"
    ended, close = desk.hear(RESP(sequence, 0, "1"), surplus)
    assert (ended, close) == (Ended([("a", Accepted("1"))]), Close("unbound", orderly=True))


def test_an_unbind_that_nobody_answers_ends_after_its_limit() -> None:
    desk = Desk().bind()
    desk.session.unbind(desk.now)
    desk.taken()
    assert desk.session.next_deadline() == 110.0
    assert desk.wait(10.0) == [Close("no answer to unbind within 10 s", orderly=True)]


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "TLS"),
        (b"\0\0\0\x0f" + bytes(12), "15 octets"),
        (b"\0\1\0\1" + bytes(12), "65537 octets"),
    ],
)
def test_a_bad_length_closes_with_a_reason(octets: bytes, said: str) -> None:  # [47]
    desk = Desk().bind()
    (sequence,) = desk.submit("a")
    ended, close = desk.hear(RESP(sequence, 0, "1"), octets)
    assert ended == Ended([("a", Accepted("1"))])
    assert said in close.reason
    assert desk.hear(RESP(sequence, 0, "1")) == []


def test_one_pdu_in_single_bytes_and_many_in_one_read_mean_the_same() -> None:  # [47]
    desk, other = Desk().bind(), Desk().bind()
    one, two = desk.submit("a", "b"), other.submit("a", "b")
    octets = RESP(one[0], 0, "1") + RESP(one[1], 0, "2") + a_receipt(1)
    pieces = [event for n in range(len(octets)) for event in desk.hear(octets[n : n + 1])]
    ended, arrived = other.hear(octets)
    assert one == two
    assert pieces == [Ended(ended.results[:1]), Ended(ended.results[1:]), arrived]


def test_three_malformed_messages_in_a_row_close_the_link() -> None:
    desk = Desk().bind()
    desk.hear(broken_deliver_sm(1, b"x"))
    desk.hear(broken_deliver_sm(2, b"y"))
    assert [type(event) for event in desk.hear(a_receipt(3))] == [Arrived]  # a good one between: from the start
    desk.hear(broken_deliver_sm(4, b"x"))
    desk.hear(broken_deliver_sm(5, b"y"))
    *_, close = desk.hear(broken_deliver_sm(6, b"z"))
    assert "3 malformed PDUs one after the other" in close.reason


def test_a_poisoned_message_is_handed_over_raw_answered_and_never_costs_the_link() -> None:
    desk = Desk().bind()
    for sequence in range(50):
        noted, arrived = desk.hear(broken_deliver_sm(sequence))
        (arrival,) = arrived.arrivals
        assert noted.what is Note.MALFORMED
        assert isinstance(arrival.message, pdu.PduError)
        assert arrival.body == b"x" * 10
        desk.session.answer(arrived.arrivals)
        assert desk.taken() == [Frame(pdu.DELIVER_SM_RESP, 0, sequence, b"\0")]


# ---- what else peers send


def test_nothing_inbound_is_answered_before_we_are_told_to() -> None:
    desk = Desk().bind()
    body = b"\0\1\1375291110001\0\5\0ExampleBank\0\x04\0\0" + pdu.pack_tlv(0x1E, b"7\0")
    data_sm = pdu.HEADER.pack(16 + len(body), pdu.DATA_SM, 0, 8) + body
    (arrived,) = desk.hear(a_receipt(7), data_sm)
    assert desk.taken() == []
    assert [arrival.message.esm_class for arrival in arrived.arrivals] == [4, 4]
    desk.session.answer(arrived.arrivals, pdu.ESME_RX_T_APPN)
    assert desk.taken() == [Frame(0x80000005, 0x64, 7, b"\0"), Frame(0x80000103, 0x64, 8, b"\0")]
    desk.session.closed(desk.now)
    desk.session.answer(arrived.arrivals)
    assert desk.taken() == []


def test_a_receipt_in_the_usual_form_comes_read_and_a_data_sm_never_does() -> None:
    desk = Desk().bind()
    text = b"id:7F3A sub:001 dlvrd:001 submit date:2611220510 done date:2611220511 stat:DELIVRD err:000 text:"
    body = a_receipt(7, text)[16:]
    data_sm = pdu.HEADER.pack(16 + len(body), pdu.DATA_SM, 0, 8) + body
    (arrived,) = desk.hear(a_receipt(7, text), data_sm)
    assert [type(arrival.message) for arrival in arrived.arrivals] == [UsualReceipt, pdu.DeliverSm]
    assert [arrival.body for arrival in arrived.arrivals] == [body, body]


def test_a_receipt_in_the_usual_form_waits_for_the_bind_response_too() -> None:  # [43]
    desk = Desk()
    desk.session.open(desk.now)
    bind = desk.taken()[0].sequence
    text = b"id:7F3A sub:001 dlvrd:001 submit date:2611220510 done date:2611220511 stat:DELIVRD err:000 text:"
    assert desk.hear(a_receipt(7, text)) == []
    _, arrived = desk.hear(pdu.pack_bind_resp(9, bind, 0, "SMSC"))
    assert [arrival.sequence for arrival in arrived.arrivals] == [7]


KNOWN = {pdu.DELIVER_SM, pdu.DATA_SM, pdu.ENQUIRE_LINK, pdu.UNBIND, pdu.ALERT_NOTIFICATION, pdu.OUTBIND}


def test_an_unknown_request_is_nacked_with_its_number_and_the_link_stays() -> None:  # [46]
    desk = Desk().bind()
    for command in {*range(0x110), 0x200, 0x10000, 0x7FFFFFFF} - KNOWN:
        (noted,) = desk.hear(pdu.pack_simple(command, 77))
        assert desk.taken() == [Frame(pdu.GENERIC_NACK, pdu.ESME_RINVCMDID, 77, b"")]
        assert (noted.what, desk.session.state) == (Note.UNKNOWN_COMMAND, SessionState.BOUND)


def test_a_stray_response_is_never_answered() -> None:  # [46]
    desk = Desk().bind()
    for command in (*range(0x80000001, 0x80000110), 0x80000200, 0xFFFFFFFF):
        events = desk.hear(pdu.pack_simple(command, 4711))
        assert [event.what for event in events] == ([] if command == 0x80000015 else [Note.STRAY_RESPONSE])
        assert (desk.taken(), desk.session.state) == ([], SessionState.BOUND)


@pytest.mark.parametrize(("command", "note"), [(pdu.ALERT_NOTIFICATION, Note.ALERT), (pdu.OUTBIND, Note.OUTBIND)])
def test_alerts_and_outbinds_are_noted_and_need_no_answer(command: int, note: Note) -> None:  # [50]
    desk = Desk().bind()
    (noted,) = desk.hear(pdu.HEADER.pack(20, command, 0, 1) + b"body")
    assert (noted.what, desk.taken(), desk.session.state) == (note, [], SessionState.BOUND)


@given(st.integers(0, 2**32), st.lists(st.binary(max_size=60), max_size=8))
def test_no_octets_raise_and_every_token_ends_exactly_once(seed: int, noise: list[bytes]) -> None:
    """A peer that mixes truth, nonsense and damage; whatever it does, no token is lost and none ends twice."""
    chance, desk = random.Random(seed), Desk().bind()
    ended: list[str] = []
    submitted: dict[str, int] = {}
    statuses = [0, 0, 0x58, 0x45]
    for step in range(40):
        tokens = [f"part {step}.{n}" for n in range(chance.randrange(4))]
        sequences = desk.session.submit(tokens, [BODY] * len(tokens), desk.now)
        if not isinstance(sequences, NotWritten):
            submitted.update(zip(tokens, sequences, strict=True))
        if chance.random() < 0.8:
            desk.session.take()
        known = list(submitted.values()) or [1]
        octets = chance.choice([
            RESP(chance.choice(known), chance.choice(statuses), ""),
            pdu.pack_simple(chance.choice([0x80000000, 0x80000015, 0x80000005, 0x15, 0x99]), chance.choice(known)),
            a_receipt(step), broken_deliver_sm(step), *(pdu.HEADER.pack(16 + len(n), step, 0, 1) + n for n in noise),
        ])  # fmt: skip
        events = desk.hear(octets) + desk.wait(chance.choice([0.0, 0.5, 6.0]))
        ended += [token for event in events if isinstance(event, Ended) for token, _ in event.results]
    ended += [token for event in desk.session.closed(desk.now) for token, _ in event.results]  # type: ignore[union-attr]  # only Ended comes
    assert sorted(ended) == sorted(submitted)


def test_tombstones_are_bounded() -> None:
    desk = Desk().bind()
    sequences = desk.submit(*map(str, range(10_005)))
    desk.wait(10.0)
    assert desk.hear(RESP(sequences[4], 0, "x"))[0].what is Note.STRAY_RESPONSE
    assert desk.hear(RESP(sequences[5], 0, "x")) == [Late([("5", Accepted("x"))])]


def test_the_expiry_queue_holds_no_more_than_what_is_open() -> None:
    desk = Desk().bind()
    for n in range(1000):
        (sequence,) = desk.submit(str(n))
        desk.hear(RESP(sequence, 0, "x"))
    assert len(desk.session._expiries) == 0
    assert desk.session.next_deadline() == 130.0
