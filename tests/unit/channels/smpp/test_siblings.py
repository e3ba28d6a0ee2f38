"""Operators that tell of the first or the last part of a long text only. [19]"""

from __future__ import annotations

import msgspec
import pytest

from mgate.channels.smpp import pdu
from mgate.channels.smpp.pdu import Frame
from mgate.channels.smpp.siblings import Siblings
from mgate.config.operators import GENERIC
from mgate.model.entry import Receipt, Told
from mgate.model.message import Outgoing, Secret, TrafficClass
from tests.unit.channels.smpp.line import START, receipt, started

WAIT = 600.0
HEAD = 0x123456 << 20


def part(n: int, parts: int = 5) -> Outgoing:
    return Outgoing(
        HEAD + n - 1, 1, 0, n, n, parts, "+375291110001", "Example", Secret("x" * 700), START + 86_400.0,
        TrafficClass.TRANSACTION,
    )  # fmt: skip


def told(n: int, word: Told = Told.DELIVERED) -> Receipt:
    return Receipt("sms:op-a", (f"a{n}",), word, "DELIVRD", 7, ())


def sent(telling: str, parts: int = 5) -> Siblings:
    siblings = Siblings(telling, WAIT)
    for n in range(1, parts + 1):
        siblings.sent(part(n, parts), f"A{n}")
    return siblings


@pytest.mark.parametrize(("telling", "n"), [("first", 1), ("last", 5)])
def test_what_was_told_of_one_part_holds_for_the_others_after_the_wait(telling: str, n: int) -> None:
    siblings = sent(telling)
    siblings.heard(told(n), 100.0)
    assert siblings.next_due() == 700.0
    assert siblings.due(699.9) == []
    receipts = siblings.due(700.0)
    assert [each.ids for each in receipts] == [(f"a{other}",) for other in range(1, 6) if other != n]
    assert {(each.told, each.reason, each.reference) for each in receipts} == {
        (Told.DELIVERED, f"DELIVRD partial: told of part {n} of 5 only", -1)
    }
    assert siblings.next_due() is None


def test_a_part_that_was_told_of_after_all_keeps_its_own_receipt() -> None:
    siblings = sent("first")
    siblings.heard(told(1), 100.0)
    siblings.heard(told(3, Told.UNDELIVERED), 101.0)
    assert [each.ids for each in siblings.due(700.0)] == [("a2",), ("a4",), ("a5",)]


def test_another_part_than_the_telling_one_says_nothing_of_its_siblings() -> None:
    siblings = sent("last")
    siblings.heard(told(1), 100.0)
    assert siblings.next_due() is None


def test_what_is_not_final_begins_no_wait() -> None:
    siblings = sent("first")
    siblings.heard(told(1, Told.ENROUTE), 100.0)
    siblings.heard(told(1, Told.UNKNOWN), 100.0)
    assert siblings.next_due() is None


def test_when_every_part_was_told_of_nothing_is_left_in_memory() -> None:
    siblings = sent("first")
    for n in range(1, 6):
        siblings.heard(told(n), 100.0)
    assert siblings.due(1e9) == []
    assert not siblings._messages
    assert not siblings._by_id


def test_a_receipt_that_comes_twice_begins_one_wait() -> None:
    siblings = sent("first")
    siblings.heard(told(1), 100.0)
    siblings.heard(told(1), 200.0)
    assert len(siblings.due(1e9)) == 4


def test_failure_holds_for_the_others_too() -> None:
    siblings = sent("last", 2)
    siblings.heard(told(2, Told.UNDELIVERED), 0.0)
    assert [each.told for each in siblings.due(WAIT)] == [Told.UNDELIVERED]


def test_memory_is_bounded_whatever_is_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgate.channels.smpp.siblings._MOST_MESSAGES", 10)
    siblings = Siblings("first", WAIT)
    for message in range(100):
        one = part(1, 2)
        one.part = HEAD + (message << 10)
        siblings.sent(one, f"b{message}")
    assert (len(siblings._messages), len(siblings._by_id)) == (10, 10)


def test_the_account_hands_on_what_is_told_by_one_part() -> None:
    receipts = msgspec.structs.replace(GENERIC.receipts, per_part="last", per_part_wait=WAIT)
    line, call = started(profile=msgspec.structs.replace(GENERIC, receipts=receipts), window=10, enquire_link=3600.0)
    parts = [part(n, 5) for n in range(1, 6)]
    line.channel.submit(parts)
    frames: list[Frame] = call.heard()
    for n, frame in enumerate(frames, 1):
        call.say(pdu.pack_submit_sm_resp(frame.sequence, 0, f"7a{n}"))
    call.say(receipt(9, "7a5"))
    assert [entry.ids[0] for entry in line.ear.entries if isinstance(entry, Receipt)] == ["7a5"]
    line.clock.advance(WAIT)
    assert [entry.ids[0] for entry in line.ear.entries if isinstance(entry, Receipt)][1:] == [
        "7a1",
        "7a2",
        "7a3",
        "7a4",
    ]
