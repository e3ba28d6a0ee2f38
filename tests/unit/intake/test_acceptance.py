"""Acceptance: answers in order, after the commit; each slot that was offered comes back; one word to the dispatcher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import pytest

from mgate.intake.acceptance import Acceptance
from mgate.intake.quick import Reading
from mgate.model.entry import Submission
from mgate.model.message import Outgoing, State, TrafficClass
from mgate.model.ports import Answer, Refusal, Slot, Taken
from mgate.model.ready import Header
from mgate.spool.front import AcceptAnswer
from mgate.spool.sealing import Sealing
from mgate.spool.verbs import Clash, Kept, NewMessage, NotKept
from tests.unit.intake.conftest import LOCAL, NOW, message

SLOT = Slot("sms:op-a", 0, 7, urgent=False)


class Spool:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Sequence[NewMessage], bool, Callable[[AcceptAnswer], None]]] = []
        self.run = 200

    def accept(self, messages: Sequence[NewMessage], done: Callable[[AcceptAnswer], None], *, urgent: bool) -> None:
        self.asked.append((messages, urgent, done))

    def commit(self, index: int = 0) -> None:
        """Keep each new message, leased when it came with slots."""
        messages, _, done = self.asked.pop(index)
        done([Kept(one.id, one.parts, False, State.READY, bool(one.slots)) for one in messages])


class Numbering:
    """In the place of sealing: the id is the number in the reference."""

    def message(self, asked: Submission, route: str, parts: int, slots: tuple[Slot, ...], now: float) -> NewMessage:
        created, due, expires = (int(moment * 1000) for moment in (now, max(now, asked.not_before), asked.expires))
        return NewMessage(
            int(asked.ref), asked.client, asked.traffic, route, parts, created, due, expires, 1,
            b"", asked.canonical, b"", b"", b"", b"", slots,
        )  # fmt: skip


class Door:
    """An ``Admission`` that offers what it has and notes what it is told."""

    def __init__(self) -> None:
        self.free = 0
        self.settled: list[tuple[Slot, Outgoing | None]] = []
        self.told: list[TrafficClass] = []
        self.refused = 0
        self.headers: list[Header] = []
        self.later: list[float] = []

    def route_for(self, asked: Submission) -> str:
        return "" if asked.sender == "Nobody" else SLOT.route

    def offer(self, route: str, traffic: TrafficClass, client: str, parts: int) -> tuple[Slot, ...]:
        given = parts if parts <= self.free else 0
        self.free -= given
        self.refused += not given
        return (SLOT,) * given

    def settle(self, results: Sequence[tuple[Slot, Outgoing | None]]) -> None:
        self.settled += results

    def waits(
        self, route: str, traffic: TrafficClass, refused: int, headers: Sequence[Header], later: float
    ) -> None:  # fmt: skip
        self.refused -= refused
        self.headers += headers
        if later:
            self.later.append(later)
        if headers or later:
            self.told.append(traffic)


class House:
    def __init__(self) -> None:
        self.spool, self.door, self.why_not = Spool(), Door(), ""
        sealing = cast("Sealing", Numbering())
        self.acceptance = Acceptance(self.spool, sealing, self.door, lambda: NOW, lambda: self.why_not)
        self.answers: list[Answer] | None = None

    def push(self, *submissions: Submission) -> None:
        def answer(answers: Sequence[Answer]) -> None:
            assert self.answers is None, "answered twice"
            self.answers = list(answers)

        self.acceptance.accept(submissions, answer)

    @property
    def short(self) -> list[int | str]:
        """The id of what was taken, the code of what was not."""
        return [one.message if isinstance(one, Taken) else one.code for one in self.answers or []]


@pytest.fixture
def house() -> House:
    return House()


def submission(number: int, **fields: object) -> Submission:
    found = Reading(LOCAL).read(message(str(number), **fields), 1000, NOW)
    assert isinstance(found, Submission)
    return found


def too_long(number: int) -> Submission:
    """More than 255 parts, as no door lets in: acceptance does not rely on them."""
    text = type(submission(1).text)("x" * 153 * 256)
    return Submission(
        **{name: getattr(submission(number), name) for name in Submission.__struct_fields__} | {"text": text}
    )


def test_answers_come_after_the_commit_and_in_order(house: House) -> None:
    house.push(*map(submission, (3, 1, 2)))
    assert house.answers is None
    house.spool.commit()
    assert house.short == [3, 1, 2]


def test_what_is_refused_has_its_place_among_what_is_taken(house: House) -> None:
    house.push(too_long(9), submission(1), too_long(9), too_long(9), submission(2), too_long(9))
    house.spool.commit()
    assert house.short == ["too_long", 1, "too_long", "too_long", 2, "too_long"]


def test_what_no_account_may_send_is_refused_and_not_kept(house: House) -> None:
    house.push(submission(1, sender="Nobody"), submission(2))
    house.spool.commit()
    assert house.short == ["no_route", 2]


def test_nothing_but_refusals_needs_no_commit(house: House) -> None:
    house.push(too_long(9), too_long(8))
    assert house.short == ["too_long", "too_long"]
    assert house.spool.asked == []


def test_nothing_is_answered_with_nothing(house: House) -> None:
    house.push()
    assert house.answers == []


def test_many_messages_are_many_verbs_and_one_answer(house: House) -> None:
    run = house.spool.run = 30
    house.push(*map(submission, range(1, 2 * run + 2)))
    assert [len(messages) for messages, _, _ in house.spool.asked] == [run, run, 1]
    house.spool.commit(2)
    house.spool.commit(0)
    assert house.answers is None
    house.spool.commit(0)
    assert house.short == list(range(1, 2 * run + 2))


def test_a_leased_message_goes_to_the_wire_after_its_commit(house: House) -> None:
    house.door.free = 1
    house.push(submission(1), submission(2))
    assert house.door.settled == []
    house.spool.commit()
    ((slot, out),) = house.door.settled
    assert slot == SLOT
    assert out is not None
    assert (out.part, out.to, out.text.reveal(), out.reference) == (1, "+375291110001", "Code 482913", 7)
    assert house.door.told == [TrafficClass.OTP], "the second one waits"
    assert [header.part for header in house.door.headers] == [2]


def test_a_message_for_later_is_offered_no_slot(house: House) -> None:
    house.door.free = 1
    house.push(submission(1, not_before="2027-01-15T12:00:00+03:00"))
    assert house.door.free == 1
    house.spool.commit()
    assert house.door.later == [1_800_003_600.0]
    assert house.door.headers == []
    assert house.door.refused == 0


def test_each_part_that_waits_is_handed_over(house: House) -> None:
    house.push(submission(10, text="x" * 200), submission(20, **{"class": "service"}), submission(30))
    house.spool.commit()
    handed = [(header.part, header.n, header.parts, header.client) for header in house.door.headers]
    assert handed == [(10, 1, 2, "local"), (11, 2, 2, "local"), (30, 1, 1, "local"), (20, 1, 1, "local")]


def test_the_slots_of_what_was_not_leased_come_back(house: House) -> None:
    house.door.free = 3
    house.push(submission(1, **{"class": "service"}), submission(2), submission(3))
    _, _, done = house.spool.asked.pop()
    done([Kept(7, 1, True, State.DELIVERED, False), Clash(8), Kept(3, 1, False, State.READY, False)])
    assert house.door.settled == [(SLOT, None)] * 3
    assert house.short == [7, "ref_conflict", 3]
    assert house.answers is not None
    first, _, third = house.answers
    assert isinstance(first, Taken)
    assert isinstance(third, Taken)
    assert (first.duplicate, first.state, third.duplicate) == (True, State.DELIVERED, False)
    assert house.door.told == [TrafficClass.OTP]


def test_a_commit_that_failed_gives_all_slots_back_and_says_when_to_come_again(house: House) -> None:
    house.door.free = 1
    house.push(submission(1), too_long(9), submission(2))
    house.spool.asked.pop()[2](NotKept("the disk is full"))
    assert house.short == ["not_kept", "too_long", "not_kept"]
    assert house.door.settled == [(SLOT, None)]
    assert house.door.told == []
    assert house.door.refused == 0


@pytest.mark.parametrize("duplicate", [True, False])
def test_every_refusal_of_a_slot_comes_back_after_its_commit(house: House, duplicate: bool) -> None:
    house.push(submission(1), submission(2), submission(3, **{"class": "service"}))
    assert house.door.refused == 3
    _, _, done = house.spool.asked.pop()
    done([Kept(1, 1, duplicate, State.READY, False), Clash(2), Kept(3, 1, duplicate, State.READY, False)])
    assert house.door.refused == 0
    assert [header.part for header in house.door.headers] == ([] if duplicate else [1, 3])


def test_the_dispatcher_is_told_once_of_each_class_that_waits(house: House) -> None:
    classes = ("otp", "service", "otp", "marketing", "service")
    house.push(*[submission(number, **{"class": word}) for number, word in enumerate(classes, 1)])
    house.spool.commit()
    assert sorted(house.door.told) == [TrafficClass.OTP, TrafficClass.SERVICE, TrafficClass.MARKETING]


@pytest.mark.parametrize(("word", "urgent"), [("otp", True), ("fraud", True), ("service", False), ("marketing", False)])
def test_one_urgent_message_makes_its_run_urgent(house: House, word: str, urgent: bool) -> None:
    house.push(submission(1, **{"class": "marketing"}), submission(2, **{"class": word}))
    assert house.spool.asked[0][1] is urgent


def test_where_there_is_no_room_nothing_is_sealed_or_asked(house: House) -> None:
    house.why_not = "the disk of the spool is nearly full"
    house.push(submission(1), submission(2))
    assert house.short == ["not_kept", "not_kept"]
    assert house.answers is not None
    assert all(isinstance(one, Refusal) and one.status == 503 and one.retry_after for one in house.answers)
    assert house.spool.asked == []
