"""An outbox is judged: each row has one end, and whatever is wrong with one is said."""

import msgspec
import pytest

from mgate.peers.fingerprint import Fingerprint
from mgate.peers.torture.outbox import Ends, Happened, Known, Row, Written, judge
from mgate.peers.traffic import Maker, Mix

MAKER = Maker(3, Mix(classes={"otp": 1.0}, parts={1: 1.0}), Fingerprint(b"k"))
DRAFT = MAKER.make()
GOOD = Written(DRAFT, 0.0, "", False)
UNFIT = Written(DRAFT, 0.0, "", True)
SHORT = Written(DRAFT, 1_000_030.0, "", False)
TAKEN = Row("1", "taken", "delivered", "m1")
REFUSED = Row("1", "refused", "refused", "", "not_a_number", "to: no number")
KNOWN = Known("m1", "1", "delivered", "1970-01-12T13:46:40.000Z", events=(Happened(4, "accepted"), Happened(5, "sent")))
BEGAN = 1_000_000.0


def ends(written: Written, *rows: Row, known: tuple[Known, ...] = (KNOWN,)) -> Ends:
    return judge({"1": written}, rows, {"1": known}, BEGAN)


def test_a_taken_row_becomes_a_line_of_what_was_told() -> None:
    found = ends(GOOD, TAKEN)
    (told,) = found.told
    assert (told.ref, told.id, told.accepted, told.answered_at, told.life) == ("1", "m1", True, BEGAN, 180.0)
    assert (told.to, told.texts) == (DRAFT.to, DRAFT.texts)
    assert found.says["1"][0].state == "delivered"
    assert (found.findings, found.counts) == ([], {"rows taken": 1})


def test_a_row_that_expires_lives_no_longer_than_that() -> None:
    assert ends(SHORT, TAKEN).told[0].life == 30.0


def test_a_taken_row_that_mgate_does_not_know_is_told_as_accepted_for_the_comparison_to_find() -> None:
    found = ends(GOOD, msgspec.structs.replace(TAKEN, state="taken"), known=())
    assert found.told[0].accepted
    assert found.says["1"] == ()


def test_what_nobody_can_send_is_refused_with_its_reason_and_is_nothing_to_the_operator() -> None:
    found = ends(UNFIT, REFUSED, known=())
    assert (found.told, found.findings) == ([], [])
    assert ends(SHORT, REFUSED, known=()).findings == []


@pytest.mark.parametrize(
    ("written", "rows", "known", "words"),
    [
        (GOOD, (), (), "not in the outbox"),
        (GOOD, (Row("1", "claimed"),), (), "no end: status claimed"),
        (GOOD, (Row("1", "new"),), (KNOWN,), "no end: status new"),
        (GOOD, (Row("1", "taken"),), (KNOWN,), "without a result"),
        (GOOD, (Row("1", "taken", "sent", "m1"),), (KNOWN,), "the results say sent, and mgate delivered"),
        (GOOD, (REFUSED,), (), "good, and refused with not_a_number"),
        (UNFIT, (TAKEN,), (KNOWN,), "nobody can send it"),
        (UNFIT, (Row("1", "refused", "refused"),), (), "without a reason"),
        (UNFIT, (Row("1", "refused", "taken", "", "r", "e"),), (), "refused, and the results say taken"),
        (UNFIT, (REFUSED,), (KNOWN,), "mgate has a message of it"),
        (GOOD, (TAKEN, Row("2", "new")), (KNOWN,), "1 rows that nobody wrote"),
    ],
)
def test_whatever_is_wrong_with_a_row_is_said(
    written: Written, rows: tuple[Row, ...], known: tuple[Known, ...], words: str
) -> None:
    assert any(words in finding for finding in ends(written, *rows, known=known).findings)


def test_the_rows_of_a_customer_are_taken_in_their_order() -> None:
    def of(first: int, second: int, customer: str) -> list[str]:
        written = {key: GOOD._replace(customer=customer) for key in ("9", "10")}
        rows = [Row("9", "taken", "delivered", "a"), Row("10", "taken", "delivered", "b")]
        known = {
            key: (msgspec.structs.replace(KNOWN, events=(Happened(place, "accepted"),)),)
            for key, place in (("9", first), ("10", second))
        }
        return list(judge(written, rows, known, BEGAN).findings)

    assert of(4, 5, "c1") == []
    assert of(5, 4, "") == []
    assert of(5, 4, "c1") == ["the rows of 1 customers were not taken in their order, such as c1"]
