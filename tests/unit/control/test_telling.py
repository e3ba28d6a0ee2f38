"""Stories as they are read aloud: a table of what happened, and what is said of it."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from mgate.channels.smpp.receipt import _WORDS as READ_STATES
from mgate.config.statuses import STATUSES
from mgate.control.blame import blame, stretches
from mgate.control.meanings import Fault, of_answer, of_not_written, of_receipt
from mgate.control.story import facts_of
from mgate.control.telling import Facts, span, words_of
from mgate.control.views import BindView
from mgate.model.entry import Told
from mgate.model.view import AttemptView, MessageView, PartView

TASHKENT = ZoneInfo("Asia/Tashkent")  # five hours before UTC, all the year
NOW = 1_795_324_300.0  # 2026-11-22T05:11:40Z
ROUTE = "sms:op-a"
MGATE = Path(__file__).parents[3] / "mgate"


def at(clock: str, day: str = "2026-11-22") -> str:
    """A moment of that day, UTC."""
    return f"{day}T{clock}Z"


def tried(
    left: str, fate: str, answered: str = "", reason: str = "", *, n: int = 1, part: int = 1, route: str = ROUTE,
    receipt: str = "", repeat: bool = False,
) -> AttemptView:  # fmt: skip
    moments = (at(left), at(answered) if answered else "", at(receipt) if receipt else "")
    operator_id = "4A7F" if fate in {"accepted", "delivered", "undelivered"} else ""
    return AttemptView(part, n, route, 0, fate, *moments, reason, repeat, operator_id)


def message(state: str, *attempts: AttemptView, **given: object) -> MessageView:
    """A message that came at 05:10:08 UTC."""
    view = MessageView(
        id="m0000000000001", ref="ops-1", client="core", traffic="otp", to="+37529*****01", sender="ExampleBank",
        state=state, reason="", parts=1, accepted_at=at("05:10:08"), not_before="", expires_at=at("05:13:08"),
        ended_at="", may_have_been_sent=bool(attempts), in_history=False, tags=(), part_states=(), attempts=attempts,
        events=(),
    )  # fmt: skip
    return msgspec.structs.replace(view, **given)


def facts(**shut: str) -> Facts:
    """Facts at 05:11:40; ``shut``: what the binds of ``sms:NAME`` say."""
    closed = {f"sms:{name}": said for name, said in shut.items()}
    return Facts(TASHKENT, NOW, frozenset({"marketing"}), frozenset({ROUTE, *closed}), closed)


CAME = (
    "A one-time code to +37529*****01 from ExampleBank came from core on Sunday 22 November 2026 at 10:10:08, as ops-1."
)
LEFT = "It left at 10:10:08 by the operator account op-a, which the routing rules chose."


def of(view: MessageView, known: Facts | None = None) -> list[str]:
    """What is told after how it came."""
    first, *rest = words_of(view, known or facts()).told
    assert first.endswith("at 10:10:08, as ops-1.")
    return rest


# ---- the table -----------------------------------------------------------------------------------------------------


def test_a_prompt_code_is_told_in_a_breath() -> None:
    view = message("delivered", tried("05:10:08.1", "delivered", "05:10:08.3", "DELIVRD", receipt="05:10:10"))
    assert list(words_of(view, facts()).told) == [
        CAME,
        LEFT,
        "The operator took it after less than a second, and calls it 4A7F.",
        "Its receipt came at 10:10:10, 2 seconds later, and says that the phone has it (DELIVRD).",
        "So it is delivered.",
        "From the bank to the phone it took 2 seconds.",
        "Whose matter it is: nobody's; it was prompt.",
        "What is next: nothing; this is the end of it.",
    ]


def test_a_code_that_was_sent_again_after_a_silence_says_why_and_whose_matter_that_was() -> None:
    silent = tried("05:10:08.1", "in_doubt", "05:10:18.1", "response_timeout")
    second = tried("05:10:23", "delivered", "05:10:23.2", "DELIVRD", n=2, route="sms:op-b", receipt="05:10:25",
                   repeat=True)  # fmt: skip
    told = of(message("delivered", silent, second))
    assert told[1:3] == [
        "After 10 seconds no answer came in time, so nobody knows whether the operator took it.",
        (
            "It left once more at 10:10:23 by another route, the operator account op-b, marked as a repeat,"
            " because nobody knows whether the try before went through."
        ),
    ]
    assert told[-2] == "Whose matter it is: the operator; most of the time went to waiting for the operator's answer."


def test_a_throttled_try_and_the_wait_after_it_are_the_operators() -> None:
    first = tried("05:10:08.1", "refused", "05:10:08.2", "ESME_RTHROTTLED")
    second = tried("05:10:30", "accepted", "05:10:30.1", n=2)
    told = of(message("sent", first, second))
    assert told[1:3] == [
        (
            "The operator refused it after less than a second, because we were sending faster than it allows at that"
            " moment (ESME_RTHROTTLED)."
        ),
        (
            "It left once more at 10:10:30 by the operator account op-a again, because the try before surely did not go"
            " through."
        ),
    ]
    assert told[-1] == (
        "What is next: the operator's receipt is awaited, and given up on 25 November at 10:13:08."
    )  # fmt: skip


def test_a_wait_before_the_first_try_is_told_with_what_the_record_does_not_keep() -> None:
    view = message("delivered", tried("05:10:50", "delivered", "05:10:50.1", "DELIVRD", receipt="05:10:52"))
    told = of(view)
    assert told[0].startswith("It waited 42 seconds in mgate for its turn: ")
    assert told[0].endswith("which of them the record does not keep.")
    assert told[-2].startswith("Whose matter it is: mgate; most of the time went to waiting in mgate")


@pytest.mark.parametrize(
    ("traffic", "why"),
    [
        ("otp", "the bank asked for that."),
        ("marketing", "either the bank asked for that, or the quiet hours or the pace of its class did."),
    ],
)
def test_an_hour_that_it_may_not_leave_before_is_named_with_who_may_have_wished_it(traffic: str, why: str) -> None:
    view = message("waiting", traffic=traffic, not_before=at("03:00:00", "2026-11-23"),
                   expires_at=at("14:00:00", "2026-11-23"),
                   part_states=(PartView(1, "waiting", due=at("03:00:00", "2026-11-23")),))  # fmt: skip
    told = of(view)
    assert told[0] == f"It was not to leave before 23 November at 08:00:00: {why}"
    assert told[-1] == (
        "What is next: it will leave on 23 November at 08:00:00, if it can until 23 November at 19:00:00."
    )  # fmt: skip


def test_a_message_that_waits_now_says_that_no_connection_is_open() -> None:
    told = of(message("ready"), facts(**{"op-a": "it is refused (bad system id or password)"}))
    assert told == [
        (
            "It has waited 92 seconds by now. No connection of the operator account op-a is open now: it is refused"
            " (bad system id or password)."
        ),
        "Whose matter it is: the operator; most of the time went to waiting while no connection of its route was open.",
        "What is next: it leaves as soon as its turn comes, and is given up if it has not left by 10:13:08.",
    ]


def test_a_message_that_was_moved_away_from_a_dead_route_says_so() -> None:
    told = of(message("ready", part_states=(PartView(1, "ready", "no_bind"),)))
    assert "It was moved from another route, because no connection of the route before was open." in told[0]
    assert "Connections are open; so others go first" in told[0]


def test_a_route_that_is_not_the_messages_own_is_not_blamed() -> None:
    refused = tried("05:10:08", "refused", "05:10:08.1", "ESME_RX_T_APPN")
    known = facts(**{"op-b": "it is waiting"})
    assert blame(message("ready", refused), NOW, known.shut).fault is Fault.OPERATOR
    assert "no connection" not in " ".join(of(message("ready", refused), known))


@pytest.mark.parametrize(
    ("state", "attempts", "given", "fault", "part"),
    [
        ("undelivered", [("undelivered", "UNDELIV err:027")], {}, Fault.HANDSET, "switched off or out of reach"),
        ("undelivered", [("undelivered", "UNDELIV err:001")], {}, Fault.BANK, "the number is not in use"),
        ("undelivered", [("undelivered", "REJECTD err:9x")], {}, Fault.OPERATOR, "the operator's own error 9x"),
        ("undelivered", [("undelivered", "EXPIRED")], {}, Fault.HANDSET, "could not be reached"),
        ("undelivered", [("refused", "ESME_RINVSRCADR")], {}, Fault.BANK, "does not allow the sender's name"),
        ("undelivered", [("refused", "ESME_RINVMSGLEN")], {}, Fault.MGATE, "too long"),
        ("undelivered", [("refused", "status 0x00000455")], {}, Fault.OPERATOR, "only it can explain"),
        ("undelivered", [("refused", "blocked_subscriber ESME_RX_P_APPN")], {}, Fault.HANDSET, "has blocked such"),
        ("expired", [], {"ended_at": at("05:13:08")}, Fault.MGATE, "waiting in mgate"),
        ("expired", [], {"ended_at": at("05:13:08"), "not_before": at("05:13:00")}, Fault.BANK, "the hour from which"),
        ("expired", [("refused", "ESME_RMSGQFUL")], {"ended_at": at("05:13:08"), "may_have_been_sent": False},
         Fault.OPERATOR, "its queue was full"),
        ("expired", [("in_doubt", "link_lost")], {}, Fault.OPERATOR, "never said whether it had taken"),
        ("cancelled", [], {"reason": "cancelled_by_client"}, Fault.BANK, "the bank's own program took it back"),
        ("cancelled", [], {"reason": "superseded"}, Fault.BANK, "a newer message of the same group"),
        ("no_receipt", [("accepted", "")], {"ended_at": at("05:11:00")}, Fault.OPERATOR, "never said what became"),
        ("uncertain", [("in_doubt", "crash")], {}, Fault.MGATE, "whose answer never came"),
        ("sent", [("accepted", "")], {}, Fault.BEYOND, "waiting for the phone"),
        ("leased", [("open", "")], {}, Fault.OPERATOR, "the operator's answer"),
    ],
)  # fmt: skip
def test_whose_matter_it_is(
    state: str, attempts: list[tuple[str, str]], given: dict[str, object], fault: Fault, part: str
) -> None:
    tries = [
        tried("05:10:08", fate, "" if fate == "open" else "05:10:08.1", reason, n=n,
              receipt="05:11:00" if fate == "undelivered" else "")
        for n, (fate, reason) in enumerate(attempts, 1)
    ]  # fmt: skip
    view = message(state, *tries, **given)
    found = blame(view, NOW, {})
    assert found.fault is fault
    assert part in found.why
    assert any(f"Whose matter it is: {fault.value}; " in sentence for sentence in of(view))


@pytest.mark.parametrize(
    ("state", "attempts", "words"),
    [
        ("expired", [], "Its life ended before it left, so nothing was sent."),
        ("expired", [("in_doubt", "link_lost")], "Its life ended with nobody knowing whether it was sent."),
        ("cancelled", [("in_doubt", "link_lost")], "It was taken back, with nobody knowing whether it had been sent."),
        ("undelivered", [("refused", "ESME_RINVDSTADR")], "So it is not delivered."),
    ],
)
def test_an_end_never_says_more_than_is_known(state: str, attempts: list[tuple[str, str]], words: str) -> None:
    tries = [tried("05:10:08", fate, "05:10:08.1", reason) for fate, reason in attempts]
    assert words in of(message(state, *tries, ended_at=at("05:13:08")))


def test_what_was_never_written_to_the_line_is_not_said_to_be_refused_by_the_operator() -> None:
    told = of(message("ready", tried("05:10:08", "refused", "05:10:08.1", "bind_not_open")))
    assert told[1] == "It was not sent after all, because the connection was not open any more."


@pytest.mark.parametrize(
    ("fate", "reason", "words"),
    [
        ("delivered", "", "says that the phone has it."),
        ("delivered", "DONE", "says that the phone has it (DONE)."),
        ("undelivered", "", "says that it could not be delivered, without saying why."),
    ],
)
def test_a_receipt_is_believed_as_the_operators_profile_read_it(fate: str, reason: str, words: str) -> None:
    told = of(message(fate, tried("05:10:08", fate, "05:10:08.1", reason, receipt="05:10:10")))
    assert told[2] == f"Its receipt came at 10:10:10, 2 seconds later, and {words}"


def test_an_uncertain_code_says_when_it_is_sent_again() -> None:
    due = PartView(1, "uncertain", "response_timeout", at("05:11:50"))
    silent = tried("05:10:08", "in_doubt", "05:10:18", "response_timeout")
    told = of(message("uncertain", silent, part_states=(due,)))
    assert told[-1] == (
        "What is next: it will be sent once more at 10:11:50, unless an answer or a receipt comes before."
    )


def test_each_part_of_a_long_message_has_its_own_sentences() -> None:
    first = tried("05:10:08", "delivered", "05:10:08.1", "DELIVRD", receipt="05:10:10")
    second = tried("05:10:08", "delivered", "05:10:08.1", "DELIVRD", part=2, receipt="05:12:10")
    view = message("delivered", first, second, parts=2)
    told = of(view)
    assert [sentence.split(" by ")[0] for sentence in told if " left " in sentence] == [
        "Part 1 left at 10:10:08",
        "Part 2 left at 10:10:08",
    ]
    slowest = max(stretches(view, NOW, {}), key=lambda one: one.seconds)
    assert (round(slowest.seconds), slowest.fault) == (122, Fault.BEYOND)


# ---- what it is told with ------------------------------------------------------------------------------------------


def test_a_route_is_shut_when_all_of_its_binds_are() -> None:
    def bind(route: str, index: int, state: str, error: str = "") -> BindView:
        return BindView(route, index, state, "", "[::1]:2775", 10, 0, 0, error, 0, 0)

    binds = [bind("sms:a", 0, "waiting", "refused"), bind("sms:a", 1, "paused"), bind("sms:b", 0, "bound"),
             bind("sms:b", 1, "waiting")]  # fmt: skip
    known = facts_of(binds, NOW, TASHKENT)
    assert known.shut == {"sms:a": "it is waiting (refused)"}
    assert known.routes == {"sms:a", "sms:b"}


def test_every_status_that_a_submit_may_end_with_has_words() -> None:
    of_others = {
        "ESME_RINVCMDLEN", "ESME_RINVCMDID", "ESME_RALYBND", "ESME_RINVPRTFLG", "ESME_RINVREGDLVFLG", "ESME_RBINDFAIL",
        "ESME_RINVPASWD", "ESME_RINVSYSID", "ESME_RCANCELFAIL", "ESME_RREPLACEFAIL", "ESME_RINVNUMDESTS",
        "ESME_RINVDLNAME", "ESME_RCNTSUBDL", "ESME_RINVREPFLAG", "ESME_RINVNUMMSGS", "ESME_RINVDFTMSGID",
        "ESME_RQUERYFAIL", "ESME_RINVOPTPARSTREAM", "ESME_ROPTPARNOTALLWD", "ESME_RMISSINGOPTPARAM",
        "ESME_RINVOPTPARAMVAL",
    }  # fmt: skip
    unnamed = {name for name in STATUSES if "only it can explain" in of_answer(name).words}
    assert unnamed == of_others
    assert of_answer("throttled by ESME_RSUBMITFAIL") == of_answer("ESME_RTHROTTLED")


def test_every_reason_of_ours_has_words() -> None:
    rooms = [MGATE / room for room in ("channels", "dispatch", "spool")]
    text = "\n".join(path.read_text() for room in rooms for path in room.rglob("*.py"))
    doubts = set(re.findall(r'\bUncertain\(\s*"(\w+)"', text))
    others = set(re.findall(r'\b(?:Rejected|Deferred|NotWritten)\(\s*"(\w+)"', text))
    assert {"response_timeout", "crash"} <= doubts
    assert {"bind_not_open", "operator_lacks_a_letter"} <= others
    assert [word for word in doubts if "only it can explain" in of_answer(word).words] == []
    assert [word for word in others if of_not_written(word) is None] == []
    assert of_not_written("session closed") == of_not_written("bind_not_open")
    assert of_answer("generic_nack ESME_RTHROTTLED") == of_answer("ESME_RTHROTTLED")


def test_a_receipt_of_one_part_that_holds_for_all_says_so() -> None:
    found = of_receipt("UNDELIV err:027 partial: told of part 1 of 3 only")
    assert found.fault is Fault.HANDSET
    assert found.words.endswith("out of reach; it told of part 1 of 3 only, and that is taken to hold for all")


def test_every_state_of_failure_that_is_read_in_a_receipt_has_words() -> None:
    ended = [word for word, told in READ_STATES.items() if told in {Told.DELIVERED, Told.UNDELIVERED}]
    assert [word for word in ended if "only the operator can explain" in of_receipt(word).words] == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "less than a second"), (1.2, "1 second"), (42.4, "42 seconds"), (121, "2 minutes"), (7_300, "2 hours"),
        (200_000, "2 days"),
    ],
)  # fmt: skip
def test_a_length_of_time_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert span(seconds) == words
