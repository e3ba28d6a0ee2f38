"""What the clock has to say: lapse, repeat, erasure, patience, the way to history; and the sweep at a start."""

import pytest

from mgate.model.entry import Told
from mgate.model.message import Fate, State, TrafficClass
from mgate.model.outcome import Rejected
from mgate.model.ready import Ask
from mgate.policy.classes import NO_RECEIPT_STAY, RECEIPT_PATIENCE
from mgate.spool.verbs import Forget, Trim, Wake
from tests.conformance.player import HOUR, NOW, OK, ROUTE, Player, hearing, message, number_of
from tests.conformance.store_acceptance import Played
from tests.conformance.store_answers import LATE, LOST, NOT_WRITTEN, doubtful, repeated

PATIENCE = int(RECEIPT_PATIENCE * 1000)
STAY = int(NO_RECEIPT_STAY * 1000)
OTP = TrafficClass.OTP


class TimeClaims(Played):
    # ---- the end of life -------------------------------------------------------------------------------------------

    def test_what_never_left_expires_at_the_end_of_its_life(self, player: Player) -> None:
        head = player.ready(message(1, parts=2, life=HOUR))
        player.pass_time(HOUR - 1)
        assert player.wake() == 0
        player.pass_time(1)
        player.wake_until_quiet()
        assert player.states(head) == [State.EXPIRED] * 2
        last = player.record(head).journal[-1]
        assert (last.event, last.reason, last.may_have_been_sent) == ("expired", "life_over", False)

    def test_what_was_accepted_before_the_clock_was_set_back_leaves_and_a_code_of_then_is_over(
        self, player: Player
    ) -> None:
        later = player.ready(message(1, due=NOW + HOUR, life=5 * HOUR))
        at_once = player.ready(message(2))
        code = player.ready(message(3, traffic=TrafficClass.OTP))
        player.reopen()
        player.now = NOW - 2 * HOUR
        player.store.sweep(player.now)
        assert (player.row(at_once).due, player.row(later).due) == (player.now, NOW + HOUR)
        assert [header.part for header in player.reader.ready(Ask(ROUTE, 2, 10, frozenset()), player.now).headers] == [
            at_once
        ]
        assert player.state(code) is State.EXPIRED
        assert player.record(code).journal[-1].reason == "clock_set_back"

    def test_a_wake_does_no_more_than_it_was_asked(self, player: Player) -> None:
        heads = [player.ready(message(count, life=HOUR + count)) for count in range(1, 6)]
        player.pass_time(2 * HOUR)
        assert player.wake(limit=2) == 2
        assert [player.state(head) for head in heads] == [State.EXPIRED] * 2 + [State.READY] * 3

    def test_one_part_in_doubt_keeps_the_message_from_having_expired(self, player: Player) -> None:
        head = player.ready(message(1, parts=2, life=HOUR))
        player.lease(head)
        player.end(head, LOST)
        player.pass_time(HOUR)
        player.wake_until_quiet()
        assert player.states(head) == [State.UNCERTAIN, State.EXPIRED]
        assert player.events(head) == ["accepted", "uncertain"]

    def test_a_repeat_that_waits_at_the_end_of_life_goes_back_into_doubt(self, player: Player) -> None:
        head = doubtful(player, life=HOUR)
        player.pass_time(HOUR - 1)
        player.wake_until_quiet()
        assert player.state(head) is State.READY
        player.pass_time(1)
        player.wake_until_quiet()
        assert player.state(head) is State.UNCERTAIN
        assert player.events(head) == ["accepted", "uncertain", "uncertain"]

    def test_what_is_leased_at_the_end_of_life_waits_for_its_outcome(self, player: Player) -> None:
        head = player.leased(message(1, life=HOUR))
        player.pass_time(HOUR)
        player.wake_until_quiet()
        assert player.state(head) is State.LEASED
        player.end(head, OK, operator_id="a")
        assert player.state(head) is State.SENT

    def test_a_sibling_of_what_expired_expires_with_it(self, player: Player) -> None:
        head = player.leased(message(1, parts=2, life=HOUR))
        player.end(head, NOT_WRITTEN)
        player.pass_time(HOUR)
        player.end(head + 1, NOT_WRITTEN)
        assert player.states(head) == [State.EXPIRED] * 2

    # ---- repeats ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("traffic", "link_lives", "wait"),
        [
            (TrafficClass.OTP, True, 5_000),
            (TrafficClass.OTP, False, 0),
            (TrafficClass.FRAUD, True, 5_000),
            (TrafficClass.FRAUD, False, 0),
            (TrafficClass.TRANSACTION, True, 600_000),
            (TrafficClass.TRANSACTION, False, 600_000),
            (TrafficClass.SERVICE, True, HOUR),
            (TrafficClass.SERVICE, False, HOUR),
        ],
    )
    def test_a_doubtful_part_is_repeated_once_as_its_class_says(
        self, player: Player, traffic: TrafficClass, link_lives: bool, wait: int
    ) -> None:
        head = player.leased(message(1, traffic=traffic))
        player.end(head, LATE if link_lives else LOST)
        if wait:
            player.pass_time(wait - 1)
            player.wake_until_quiet()
            assert player.state(head) is State.UNCERTAIN
            player.pass_time(1)
        player.wake_until_quiet()
        assert (player.state(head), player.row(head).due) == (State.READY, player.now)
        player.lease(head)
        player.end(head, LATE if link_lives else LOST)
        player.pass_time(wait)
        player.wake_until_quiet()
        assert (player.state(head), len(player.fates(head))) == (State.UNCERTAIN, 2)

    def test_marketing_is_never_repeated_and_ends_without_a_receipt(self, player: Player) -> None:
        head = doubtful(player, traffic=TrafficClass.MARKETING, life=HOUR)
        for moment in (HOUR - 1, 1, PATIENCE - 1):
            player.pass_time(moment)
            player.wake_until_quiet()
            assert player.state(head) is State.UNCERTAIN
        player.pass_time(1)
        player.wake_until_quiet()
        assert player.state(head) is State.NO_RECEIPT
        assert player.events(head) == ["accepted", "uncertain", "no_receipt"]
        assert player.record(head).journal[-1].may_have_been_sent

    @pytest.mark.parametrize(("life", "repeats"), [(30_000, True), (29_999, False)])
    def test_an_otp_is_repeated_only_if_enough_of_its_life_remains(
        self, player: Player, life: int, repeats: bool
    ) -> None:
        head = doubtful(player, traffic=OTP, life=life)
        player.wake_until_quiet()
        assert player.state(head) is (State.READY if repeats else State.UNCERTAIN)

    def test_refusals_do_not_count_as_submits(self, player: Player) -> None:
        head = player.leased(message(1))
        player.end(head, NOT_WRITTEN)
        player.lease(head)
        player.end(head, LOST)
        player.pass_time(600_000)
        player.wake_until_quiet()
        assert player.state(head) is State.READY

    def test_only_the_part_in_doubt_is_repeated(self, player: Player) -> None:
        head = player.leased(message(1, parts=2))
        player.end(head, OK)
        player.end(head + 1, LOST)
        player.pass_time(600_000)
        player.wake_until_quiet()
        assert player.states(head) == [State.SENT, State.READY]

    # ---- the text of an otp ----------------------------------------------------------------------------------------

    def test_the_text_of_an_otp_goes_when_it_is_delivered(self, player: Player) -> None:
        head = player.sent(message(1, traffic=OTP))
        assert player.has_text(head)
        player.hear("op-1-1")
        assert not player.has_text(head)
        assert player.record(head).envelope

    def test_the_text_of_an_otp_never_waits_for_a_receipt(self, player: Player) -> None:
        head = player.sent(message(1, traffic=OTP))
        player.pass_time(180_000)
        player.wake_until_quiet()
        assert (player.state(head), player.has_text(head)) == (State.SENT, False)

    @pytest.mark.parametrize("outcomes", [[LATE], [LATE, OK], [LOST, OK], [OK], [NOT_WRITTEN], []])
    @pytest.mark.parametrize("wakes", [0, 1])
    def test_the_text_of_an_otp_goes_at_the_end_of_its_life_wherever_it_stands(
        self, player: Player, outcomes: list[object], wakes: int
    ) -> None:
        head = player.leased(message(1, traffic=OTP))
        for outcome in outcomes:
            player.end(head, outcome)  # type: ignore[arg-type]  # each is an outcome
        for _ in range(wakes):
            player.pass_time(10_000)
            player.wake_until_quiet()
        player.now = NOW + 179_999
        player.wake_until_quiet()
        assert player.has_text(head)
        player.pass_time(1)
        player.wake_until_quiet()
        assert not player.has_text(head)

    def test_the_text_of_a_long_otp_goes_with_its_head(self, player: Player) -> None:
        head = player.sent(message(1, traffic=OTP, parts=2))
        player.hear("op-1-2")
        assert player.has_text(head)
        player.hear("op-1-1")
        assert not player.has_text(head)

    @pytest.mark.parametrize("traffic", [kind for kind in TrafficClass if kind is not OTP])
    def test_other_texts_stay_until_history_takes_them(self, player: Player, traffic: TrafficClass) -> None:
        head = player.sent(message(1, traffic=traffic))
        player.hear("op-1-1")
        player.pass_time(24 * HOUR)
        player.wake_until_quiet()
        assert player.has_text(head)

    # ---- patience --------------------------------------------------------------------------------------------------

    def test_a_receipt_is_awaited_for_three_days_after_the_life(self, player: Player) -> None:
        head = player.sent(message(1, life=HOUR))
        player.pass_time(HOUR + PATIENCE - 1)
        player.wake_until_quiet()
        assert player.state(head) is State.SENT
        player.pass_time(1)
        player.wake_until_quiet()
        assert player.state(head) is State.NO_RECEIPT
        assert player.events(head) == ["accepted", "sent", "no_receipt"]

    def test_a_late_receipt_corrects_no_receipt_and_says_so(self, player: Player) -> None:
        head = self.without_receipt(player)
        assert player.hear("op-1-1") == "matched"
        assert player.state(head) is State.DELIVERED
        last = player.record(head).journal[-1]
        assert (last.event, last.reason) == ("delivered", "corrects")

    def test_a_late_receipt_of_failure_corrects_nothing(self, player: Player) -> None:
        head = self.without_receipt(player)
        player.hear("op-1-1", told=Told.UNDELIVERED)
        assert (player.state(head), player.events(head)[-1]) == (State.NO_RECEIPT, "no_receipt")

    def test_a_late_answer_changes_nothing_but_makes_the_receipt_fit(self, player: Player) -> None:
        head = doubtful(player, life=HOUR)
        player.pass_time(HOUR + PATIENCE)
        player.wake_until_quiet()
        player.end(head, OK, operator_id="a")
        assert player.state(head) is State.NO_RECEIPT
        player.hear("a")
        assert player.state(head) is State.DELIVERED

    def test_a_correction_of_one_part_leaves_the_message_without_receipt_until_the_other_has_one(
        self, player: Player
    ) -> None:
        head = self.without_receipt(player, parts=2)
        player.hear("op-1-1")
        assert player.events(head)[-1] == "no_receipt"
        player.hear("op-1-2")
        assert player.events(head)[-2:] == ["no_receipt", "delivered"]

    def without_receipt(self, player: Player, parts: int = 1) -> int:
        head = player.sent(message(1, parts=parts, life=HOUR))
        player.pass_time(HOUR + PATIENCE)
        player.wake_until_quiet()
        assert player.state(head) is State.NO_RECEIPT
        return head

    # ---- the way to history ----------------------------------------------------------------------------------------

    def test_an_ended_message_may_move_at_once(self, player: Player) -> None:
        delivered, failed, gone = player.sent(message(1)), player.leased(message(2)), player.ready(message(3))
        player.hear("op-1-1")
        player.end(failed, Rejected("ESME_RINVDSTADR"))
        player.cancel(gone)
        player.ready(message(4))
        assert player.ended() == [delivered, failed, gone]

    def test_no_receipt_stays_seven_days(self, player: Player) -> None:
        head = self.without_receipt(player)
        player.pass_time(STAY - 1)
        assert player.ended() == []
        player.pass_time(1)
        assert player.ended() == [head]

    def test_what_was_corrected_may_move_at_once(self, player: Player) -> None:
        head = self.without_receipt(player)
        player.hear("op-1-1")
        assert player.ended() == [head]

    def test_a_message_moves_when_all_its_parts_have_ended(self, player: Player) -> None:
        head = player.sent(message(1, parts=2))
        player.hear("op-1-1")
        assert player.ended() == []
        player.hear("op-1-2")
        assert player.ended() == [head]

    def test_messages_that_are_half_ended_do_not_stand_in_the_way(self, player: Player) -> None:
        for count in (1, 2, 3):
            player.sent(message(count, parts=2))
            player.hear(f"op-{count}-1")
        player.pass_time(1_000)
        whole = player.sent(message(4))
        player.hear("op-4-1")
        assert player.ended() == [whole]

    def test_a_forgotten_message_is_gone_and_its_neighbours_are_not(self, player: Player) -> None:
        heads = [player.sent(message(count, parts=2)) for count in (1, 2)]
        player.hear("op-1-1")
        player.hear("op-1-2")
        player.forget((heads[0], player.record(heads[0]).rows[0].event))
        assert player.reader.records(heads[:1]) == []
        assert player.states(heads[1]) == [State.SENT, State.SENT]
        assert player.hear("op-1-1") == "early"
        assert player.reader.by_ref([("local", message(1).ref_tag)]) == []
        assert player.ended() == []

    def test_a_forgotten_message_takes_its_earlier_attempts_with_it(self, player: Player) -> None:
        head = repeated(player)
        player.end(head, OK, attempt=1, operator_id="a")
        player.end(head, OK, attempt=2, operator_id="b")
        player.hear("b")
        player.forget((head, player.record(head).rows[0].event))
        assert [player.hear("a"), player.hear("b")] == ["early", "early"]

    def test_what_was_corrected_between_copy_and_forget_stays(self, player: Player) -> None:
        head = self.without_receipt(player)
        copied = player.record(head).rows[0].event
        player.hear("op-1-1")
        player.forget((head, copied))
        assert player.state(head) is State.DELIVERED
        player.forget((head, player.record(head).rows[0].event))
        assert player.reader.records([head]) == []

    def test_what_is_corrected_in_the_commit_that_forgets_it_stays(self, player: Player) -> None:
        head = self.without_receipt(player)
        copied = player.record(head).rows[0].event
        player.commit(Forget(((head, copied),)), hearing("op-1-1"))
        assert player.state(head) is State.DELIVERED

    def test_forgetting_twice_is_forgetting_once(self, player: Player) -> None:
        head = player.ready(message(1))
        player.cancel(head)
        event = player.record(head).rows[0].event
        player.forget((head, event), (head, event), (number_of(9), 1))
        player.forget((head, event))
        assert player.reader.records([head]) == []

    # ---- what is kept for a while ----------------------------------------------------------------------------------

    def test_early_receipts_are_let_go_by_age(self, player: Player) -> None:
        head = player.leased(message(1))
        player.hear("a")
        player.pass_time(10)
        player.hear("b", told=Told.UNDELIVERED)
        player.commit(Trim(player.now, 0, 100))
        player.end(head, OK, operator_id="a")
        assert player.state(head) is State.SENT
        other = player.leased(message(2))
        player.commit(Trim(player.now, 0, 100))
        assert player.hear("b", told=Told.UNDELIVERED) == "early"
        player.end(other, OK, operator_id="b")
        assert player.state(other) is State.UNDELIVERED

    def test_the_journal_is_let_go_by_age_and_its_sequences_are_not_given_again(self, player: Player) -> None:
        head = player.sent(message(1))
        last = player.record(head).journal[-1].sequence
        player.pass_time(10)
        player.commit(Trim(0, player.now, 100))
        player.reopen()
        player.hear("op-1-1")
        assert player.record(head).journal[-1].sequence == last + 1
        assert player.reader.last_event() == last + 1

    def test_a_trim_leaves_what_is_younger(self, player: Player) -> None:
        head = player.sent(message(1))
        player.commit(Trim(player.now, player.now, 100))
        assert player.events(head) == ["accepted", "sent"]

    # ---- a start after a crash -------------------------------------------------------------------------------------

    def test_at_a_start_what_was_open_is_in_doubt(self, player: Player) -> None:
        leased, sent, ready = player.leased(message(1, parts=2)), player.sent(message(2)), player.ready(message(3))
        player.reopen()
        assert player.store.sweep(player.now) == 2
        assert player.states(leased) == [State.UNCERTAIN] * 2
        assert [player.state(sent), player.state(ready)] == [State.SENT, State.READY]
        assert [attempt.reason for attempt in player.record(leased).attempts] == ["crash", "crash"]
        assert player.events(leased) == ["accepted", "uncertain"]
        assert player.store.sweep(player.now) == 0

    def test_at_a_start_an_accepted_first_attempt_speaks_for_the_open_second(self, player: Player) -> None:
        head = repeated(player)
        player.end(head, OK, attempt=1)
        player.reopen()
        player.store.sweep(player.now)
        assert (player.state(head), player.fates(head)) == (State.SENT, [Fate.ACCEPTED, Fate.IN_DOUBT])

    def test_at_a_start_a_delivered_part_with_an_open_attempt_may_move(self, player: Player) -> None:
        head = repeated(player)
        player.end(head, OK, attempt=1, operator_id="a")
        player.hear("a")
        player.reopen()
        player.store.sweep(player.now)
        assert (player.state(head), player.fates(head)) == (State.DELIVERED, [Fate.DELIVERED, Fate.IN_DOUBT])
        assert player.ended() == [head]

    def test_after_a_crash_an_otp_goes_again_at_once(self, player: Player) -> None:
        head = player.leased(message(1, traffic=OTP))
        player.store.sweep(player.now)
        player.commit(Wake(10))
        assert player.state(head) is State.READY
