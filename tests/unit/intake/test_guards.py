"""The guards at the door: what passes, what is refused by which code, and what is counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from mgate.config.guards import Guards as Settings
from mgate.config.guards import MarketingGuards, OtpGuards, OwnGuards, ServiceGuards, Texts
from mgate.intake.codes import Code, refusal
from mgate.intake.counts import Counts
from mgate.intake.guards import Guarded, Guards
from mgate.intake.pumping import Watch
from mgate.model.address import Msisdn
from mgate.model.entry import Submission
from mgate.model.message import MessageId, Secret, State, TrafficClass
from mgate.model.ports import Answer, NoAnswer, Refusal, Taken
from mgate.policy.guards.counting import Limit
from mgate.policy.guards.pumping import Marks

OTP, FRAUD, TRANSACTION, SERVICE, MARKETING = TrafficClass
MONDAY = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()  # 15:00 in Minsk
EVENING = datetime(2026, 11, 21, 18, 30, tzinfo=UTC).timestamp()  # Saturday, 21:30 in Minsk
NUMBER = "+375291110001"
DAY = 86_400.0


def asked(
    traffic: TrafficClass = TRANSACTION, text: str = "Code 482913", to: str = NUMBER, ref: str = "r", **more: Any
) -> Submission:
    fields: dict[str, Any] = {"expires": MONDAY + DAY, "not_before": 0.0, "canonical": b"{}", "client": "core", **more}
    return Submission(
        ref=ref, to=Msisdn(to), traffic=traffic, text=Secret(text), sender="EXBANK", group="", tags=(), meta=b"",
        peer_uid=-1, **fields,
    )  # fmt: skip


class House:
    """Guards by these settings; ``told``: what the watch told."""

    def __init__(self, settings: Settings | None = None, texts: Texts | None = None, *holidays: date) -> None:
        self.told: list[tuple[str, int, float]] = []
        self.counts = Counts(1_000)
        self.watch = Watch(Marks(100, 5), MONDAY, lambda *words: self.told.append(words))
        self.guards = Guards(
            settings or Settings(), texts or Texts(), frozenset(holidays), self.counts, self.watch, _key
        )  # fmt: skip

    def code(self, one: Submission, now: float = MONDAY) -> str:
        """The code of the refusal; empty when it passes."""
        judged = self.guards.judge(one, now)
        return judged.code if isinstance(judged, Refusal) else ""


def _key(e164: str) -> int:
    return int(e164) * 0x9E37_79B9_7F4A_7C15 & (1 << 64) - 1


# ---- texts and countries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Card 4111 1111 1111 1111", "pan_in_text"),
        ("see https://evil.example", "link_not_allowed"),
        ("a\x07b", "control_character"),
        ("a\u200bb", "invisible_character"),
        ("a\u202eb", "direction_character"),
        ("P\u0430ypal", "mixed_scripts"),
        ("Code 482913", ""),
    ],
)
@pytest.mark.parametrize("traffic", TrafficClass)
def test_a_text_that_may_not_leave_is_refused_by_its_name_whatever_its_class(
    text: str, code: str, traffic: TrafficClass
) -> None:
    judged = House().guards.judge(asked(traffic, text), MONDAY)
    if code:
        assert isinstance(judged, Refusal)
        assert (judged.code, judged.field, judged.status) == (code, "text", 422)
        assert "4111" not in judged.detail
    else:
        assert isinstance(judged, Submission)


def test_links_are_allowed_by_class() -> None:
    house = House(Settings(marketing=MarketingGuards(links=("bank.example",))))
    assert house.code(asked(MARKETING, "see https://bank.example")) == ""
    assert house.code(asked(OTP, "see https://bank.example")) == "link_not_allowed"


@pytest.mark.parametrize(
    ("to", "code"),
    [
        (NUMBER, ""),
        ("+998901110001", ""),
        ("+77011110001", ""),  # Kazakhstan shares its code with Russia, which is not allowed
        ("+79161110001", "country_not_allowed"),
        ("+48501110001", "country_not_allowed"),
        ("+88216111000", "country_not_allowed"),  # of no country
    ],
)
def test_only_numbers_of_the_countries_that_are_allowed_are_written_to(to: str, code: str) -> None:
    house = House(Settings(countries=("BY", "UZ", "KZ")))
    assert house.code(asked(to=to)) == code
    assert House().code(asked(to=to)) == ""


# ---- quiet hours ---------------------------------------------------------------------------------------------------


def test_marketing_waits_for_the_recipients_morning_and_ends_with_its_evening() -> None:
    judged = House().guards.judge(asked(MARKETING, expires=EVENING + 3 * DAY), EVENING)
    assert isinstance(judged, Submission)
    assert judged.not_before == datetime(2026, 11, 23, 6, 0, tzinfo=UTC).timestamp()  # Monday, 09:00 in Minsk
    assert judged.expires == datetime(2026, 11, 23, 17, 0, tzinfo=UTC).timestamp()


def test_the_clock_is_the_recipients() -> None:
    vienna, tashkent = asked(MARKETING, to="+436641110001"), asked(MARKETING, to="+998901110001")
    now = datetime(2026, 11, 23, 15, 30, tzinfo=UTC).timestamp()  # 16:30 in Vienna, 20:30 in Tashkent
    evening, morning = House().guards.judge(vienna, now), House().guards.judge(tashkent, now)
    assert isinstance(evening, Submission)
    assert isinstance(morning, Submission)
    assert evening.not_before == 0.0
    assert morning.not_before == datetime(2026, 11, 24, 4, 0, tzinfo=UTC).timestamp()


def test_of_several_zones_the_banks_word_counts_and_without_it_all_of_them() -> None:
    russian = asked(MARKETING, to="+79161110001", expires=MONDAY + 2 * DAY)
    with_word = House(Settings(zones=("RU=Europe/Moscow",))).guards.judge(russian, MONDAY)
    without = House().guards.judge(russian, MONDAY)
    assert isinstance(with_word, Submission)
    assert isinstance(without, Submission)
    assert with_word.not_before == 0.0
    # From 09:00 in Kaliningrad, UTC+2, until 20:00 in Kamchatka, UTC+12.
    assert without.not_before == datetime(2026, 11, 24, 7, 0, tzinfo=UTC).timestamp()
    assert without.expires == datetime(2026, 11, 24, 8, 0, tzinfo=UTC).timestamp()


def test_a_number_whose_zone_nobody_knows_goes_by_the_bank() -> None:
    abroad = asked(MARKETING, to="+88216111000")
    assert House(Settings(time_zone="Europe/Minsk")).guards.judge(abroad, MONDAY) != abroad  # its life is cut
    judged = House(Settings(time_zone="Asia/Tokyo")).guards.judge(abroad, MONDAY)  # 21:00 there
    assert isinstance(judged, Submission)
    assert judged.not_before == datetime(2026, 11, 24, 0, 0, tzinfo=UTC).timestamp()


def test_holidays_are_quiet() -> None:
    judged = House(Settings(), Texts(), date(2026, 11, 23)).guards.judge(asked(MARKETING), MONDAY)
    assert isinstance(judged, Submission)
    assert judged.not_before == datetime(2026, 11, 24, 6, 0, tzinfo=UTC).timestamp()


def test_a_named_end_before_the_morning_is_refused_and_a_length_of_life_waits_with_the_message() -> None:
    short = asked(MARKETING, expires=EVENING + 3_600.0)
    judged = House().guards.judge(short, EVENING)
    assert isinstance(judged, Submission)
    assert judged.expires - judged.not_before == 3_600.0
    named = msgspec.structs.replace(short, canonical=b'{"not_after":"2026-11-21T19:30:00Z"}')
    assert House().code(named, EVENING) == "quiet_hours"


@pytest.mark.parametrize("traffic", [OTP, FRAUD, TRANSACTION, SERVICE])
def test_other_classes_never_wait(traffic: TrafficClass) -> None:
    one = asked(traffic)
    assert House().guards.judge(one, EVENING) is one


def test_a_class_that_can_wait_waits_when_the_bank_wants_it() -> None:
    house = House(Settings(service=ServiceGuards(hours="08:00-21:00")))
    judged = house.guards.judge(asked(SERVICE), EVENING)
    assert isinstance(judged, Submission)
    assert judged.not_before == datetime(2026, 11, 22, 5, 0, tzinfo=UTC).timestamp()


# ---- counting ------------------------------------------------------------------------------------------------------


def test_a_number_gets_two_offers_a_day_and_four_a_week() -> None:
    house = House()
    found = [
        house.code(asked(MARKETING, f"Offer {n}", expires=MONDAY + 40 * DAY), MONDAY + n * 0.4 * DAY) for n in range(8)
    ]
    assert found.count("") == 4
    assert set(found) == {"", "too_frequent"}
    assert house.code(asked(MARKETING, to="+375291110002")) == ""


def test_a_refused_message_counts_for_nothing() -> None:
    house = House(Settings(service=ServiceGuards(frequency=(Limit(5, DAY), Limit(1, 7 * DAY)), identical=0)))
    assert house.code(asked(SERVICE)) == ""
    assert [house.code(asked(SERVICE)) for _ in range(9)] == ["too_frequent"] * 9
    house.guards.apply(
        Settings(service=ServiceGuards(frequency=(Limit(5, DAY), Limit(9, 7 * DAY)), identical=0)),
        Texts(), frozenset(),
    )  # fmt: skip
    assert [house.code(asked(SERVICE)) for _ in range(5)] == ["", "", "", "", "too_frequent"]


def test_a_flood_of_one_class_does_not_silence_another() -> None:
    house = House()
    found = [house.code(asked(TRANSACTION, f"Payment {n}")) for n in range(25)]
    assert found == [""] * 20 + ["flood"] * 5
    assert house.code(asked(FRAUD)) == ""
    assert house.code(asked(TRANSACTION, to="+375291110002")) == ""


def test_the_same_text_passes_six_times_an_hour_and_codes_have_their_own_limit() -> None:
    house = House()
    assert [house.code(asked()) for _ in range(8)] == [""] * 6 + ["flood"] * 2
    assert [house.code(asked(OTP, f"Code {n}")) for n in range(12)] == [""] * 10 + ["flood"] * 2
    assert house.code(asked(), MONDAY + 2 * 3_600) == ""


def test_limits_can_be_lifted() -> None:
    house = House(Settings(transaction=OwnGuards(different=0, identical=0)))
    assert not any(house.code(asked(text=f"Payment {n % 90}")) for n in range(900))


# ---- ranges --------------------------------------------------------------------------------------------------------


def codes(house: House, number: int, now: float, begin: str = "+3752911") -> list[str]:
    return [house.code(asked(OTP, to=f"{begin}{n:05}", ref=str(n)), now) for n in range(number)]


def test_a_range_that_is_pumped_is_blocked_told_and_let_go() -> None:
    house = House(Settings(otp=OtpGuards(different=0, identical=0)))
    later = MONDAY + 8 * DAY
    assert codes(house, 105, later) == [""] * 100 + ["range_blocked"] * 5
    assert house.told == [("+3752911", 100, later + 3_600.0)]
    assert codes(house, 3, later, "+3752912") == [""] * 3
    assert codes(house, 1, later + 3_500.0) == ["range_blocked"]
    assert codes(house, 1, later + 3_600.0) == [""]


def test_in_its_first_week_the_watch_blocks_nothing_and_tells_once_an_hour() -> None:
    house = House(Settings(otp=OtpGuards(different=0, identical=0)))
    assert not any(codes(house, 150, MONDAY + 6 * DAY))
    assert house.told == [("+3752911", 100, 0.0)]


def test_a_range_that_always_gets_many_is_not_pumped() -> None:
    house = House(Settings(otp=OtpGuards(different=0, identical=0)))
    for day in range(9):
        assert not any(codes(house, 90, MONDAY + day * DAY))
    assert not any(codes(house, 400, MONDAY + 9 * DAY))
    assert codes(house, 60, MONDAY + 9 * DAY).count("range_blocked") == 10


def test_a_person_can_release_a_range() -> None:
    house = House(Settings(otp=OtpGuards(different=0, identical=0)))
    later = MONDAY + 8 * DAY
    codes(house, 101, later)
    assert house.watch.release("+3752911")
    assert not house.watch.release("+3752911")
    assert not any(codes(house, 300, later))


def test_a_watch_goes_on_after_a_restart() -> None:
    house, after = House(), House()
    later = MONDAY + 8 * DAY
    codes(house, 101, later)
    after.watch.go_on(
        msgspec.json.decode(msgspec.json.encode(house.watch.put_aside()), type=type(house.watch.put_aside())),
        later + 60,
    )
    assert codes(after, 1, later + 60) == ["range_blocked"]
    assert not after.watch.is_learning(later)


# ---- restarts ------------------------------------------------------------------------------------------------------


def test_counts_go_on_after_a_restart() -> None:
    house, after = House(), House()
    for n in range(20):
        house.code(asked(text=f"Payment {n}"))
    house.code(asked(MARKETING, "Offer 1"))
    house.code(asked(MARKETING, "Offer 2"))
    assert after.counts.load(house.counts.dump()) == []
    assert after.code(asked(text="Payment 21")) == "flood"
    assert after.code(asked(MARKETING, "Offer 3")) == "too_frequent"


def test_what_does_not_fit_any_more_is_left_out_by_name() -> None:
    other = Counts(100_000)
    assert set(other.load(House().counts.dump())) >= {"flood/numbers", "marketing/86400"}


# ---- other letters -------------------------------------------------------------------------------------------------


def test_a_text_is_written_in_other_letters_when_the_class_wants_it_and_that_saves_parts() -> None:
    house = House(texts=Texts(service="ru"))
    judged = house.guards.judge(asked(SERVICE, "Ваш счет пополнен. " * 5), MONDAY)
    assert isinstance(judged, Submission)
    assert judged.text.reveal().startswith("Vash schet popolnen.")
    short = asked(SERVICE, "Привет", ref="s")
    assert house.guards.judge(short, MONDAY) is short


# ---- the door ------------------------------------------------------------------------------------------------------


class Behind:
    """Acceptance and the desk behind the guards: what is known, and what came through."""

    def __init__(self) -> None:
        self.known_refs: set[str] = set()
        self.busy = False
        self.full = False
        self.got: list[Submission] = []

    def accept(self, submissions: Sequence[Submission], answer: Callable[[Sequence[Answer]], None]) -> None:
        self.got += submissions
        answer([self._answer(one) for one in submissions])

    def _answer(self, one: Submission) -> Answer:
        if self.full:
            return refusal(Code.NOT_KEPT, retry_after=5)
        known = one.ref in self.known_refs
        self.known_refs.add(one.ref)
        return Taken(MessageId(7), 1, known, State.READY)

    def known(
        self, client: str, refs: Sequence[str], answer: Callable[[Mapping[str, MessageId] | NoAnswer], None]
    ) -> None:
        answer(NoAnswer.LATER if self.busy else {ref: MessageId(7) for ref in refs if ref in self.known_refs})


class Door:
    def __init__(self, settings: Settings | None = None) -> None:
        self.behind = Behind()
        self.refused: list[str] = []
        self.guarded = Guarded(
            self.behind, House(settings).guards, self.behind, lambda: MONDAY,
            lambda one, why: self.refused.append(f"{one.ref} {why.code}"),
        )  # fmt: skip

    def push(self, *submissions: Submission) -> list[str]:
        got: list[Sequence[Answer]] = []
        self.guarded.accept(submissions, got.append)
        (answers,) = got
        return [one.code if isinstance(one, Refusal) else "known" if one.duplicate else "taken" for one in answers]


def test_answers_come_in_order_and_what_is_refused_gets_no_further() -> None:
    door = Door()
    told = door.push(asked(ref="1"), asked(ref="2", text="evil.com"), asked(ref="3", client="crm", text="a\x07"))
    assert told == ["taken", "link_not_allowed", "control_character"]
    assert [one.ref for one in door.behind.got] == ["1"]
    assert door.refused == ["2 link_not_allowed", "3 control_character"]
    assert door.push() == []


def test_a_repeat_of_what_was_taken_is_known_whatever_the_guards_think_now() -> None:
    door = Door()
    door.behind.known_refs.add("old")
    assert door.push(asked(ref="old", text="evil.com"), asked(ref="new", text="evil.com")) == [
        "known",
        "link_not_allowed",
    ]


def test_while_nobody_can_say_what_is_known_a_refusal_waits() -> None:
    door = Door()
    door.behind.busy = True
    assert door.push(asked(text="evil.com"), asked(ref="2")) == ["busy", "taken"]


def test_repeats_are_not_counted() -> None:
    door = Door()
    assert [*door.push(asked()), *(word for _ in range(30) for word in door.push(asked()))] == ["taken"] + [
        "known"
    ] * 30
    assert [word for n in range(7) for word in door.push(asked(ref=f"n{n}"))] == ["taken"] * 5 + ["flood"] * 2


def test_what_could_not_be_kept_is_not_counted() -> None:
    door = Door()
    door.behind.full = True
    assert [word for n in range(30) for word in door.push(asked(MARKETING, ref=str(n)))] == ["not_kept"] * 30
    door.behind.full = False
    assert [word for n in range(3) for word in door.push(asked(MARKETING, ref=str(n)))] == [
        "taken",
        "taken",
        "too_frequent",
    ]


def test_the_many_of_one_call_count_against_each_other() -> None:
    assert Door().push(*(asked(ref=str(n)) for n in range(8))) == ["taken"] * 6 + ["flood"] * 2
