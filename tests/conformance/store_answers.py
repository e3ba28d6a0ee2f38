"""Outcomes and receipts: each is written on its own attempt, and the attempts fold."""

import pytest

from mgate.model.entry import Told
from mgate.model.message import Fate, State, TrafficClass
from mgate.model.outcome import Accepted, Deferred, NotWritten, Outcome, Rejected, Uncertain
from mgate.spool.verbs import Ends, Fit, Hear, KeepInbound, NewInbound
from tests.conformance.player import (
    HOUR,
    NOW,
    NUMBER,
    OK,
    OTHER_NUMBER,
    OTHER_ROUTE,
    ROUTE,
    Player,
    hearing,
    message,
    number_of,
    tag,
)
from tests.conformance.store_acceptance import Played

LOST = Uncertain("link_lost", link_alive=False)
LATE = Uncertain("response_timeout", link_alive=True)
THROTTLED = Deferred("ESME_RTHROTTLED")
REFUSED = Rejected("ESME_RINVDSTADR")
NOT_WRITTEN = NotWritten("link_lost")


def doubtful(player: Player, count: int = 1, **what: object) -> int:
    """A part whose first attempt is in doubt."""
    head = player.leased(message(count, **what))  # type: ignore[arg-type]  # handed on as they are
    player.end(head, LOST)
    return head


def repeated(player: Player, count: int = 1, reference: int = 2, **what: object) -> int:
    """A part whose first attempt is in doubt and whose second is open."""
    head = doubtful(player, count, **what)
    player.pass_time(600_000)
    player.wake_until_quiet()
    assert player.lease(head, reference=reference) != [None]
    return head


class OutcomeClaims(Played):
    @pytest.mark.parametrize(
        ("outcome", "state", "fate", "event"),
        [
            (OK, State.SENT, Fate.ACCEPTED, "sent"),
            (LOST, State.UNCERTAIN, Fate.IN_DOUBT, "uncertain"),
            (LATE, State.UNCERTAIN, Fate.IN_DOUBT, "uncertain"),
            (REFUSED, State.UNDELIVERED, Fate.REFUSED, "undelivered"),
            (THROTTLED, State.READY, Fate.REFUSED, ""),
            (NOT_WRITTEN, State.READY, Fate.REFUSED, ""),
        ],
    )
    def test_an_outcome_moves_its_part(
        self, player: Player, outcome: Outcome, state: State, fate: Fate, event: str
    ) -> None:
        head = player.leased(message(1))
        player.pass_time(40)
        player.end(head, outcome)
        assert player.state(head) is state
        (attempt,) = player.record(head).attempts
        assert (attempt.fate, attempt.answered) == (fate, NOW + 40)
        assert player.events(head) == ["accepted", event] if event else ["accepted"]

    def test_the_reason_of_a_refusal_is_kept_and_journalled(self, player: Player) -> None:
        head = player.leased(message(1))
        player.end(head, REFUSED)
        record = player.record(head)
        assert [record.rows[0].reason, record.attempts[0].reason, record.journal[-1].reason] == [REFUSED.reason] * 3
        assert not record.journal[-1].may_have_been_sent

    def test_what_may_have_left_is_journalled_so(self, player: Player) -> None:
        head = player.leased(message(1))
        player.end(head, LOST)
        assert [row.may_have_been_sent for row in player.record(head).journal] == [False, True]

    def test_a_deferral_backs_off_and_burns_nothing(self, player: Player) -> None:
        head = player.ready(message(1))
        dues = []
        for _ in range(5):
            player.lease(head)
            player.end(head, THROTTLED)
            dues.append(player.row(head).due - player.now)
            player.now = player.row(head).due
        assert dues == [1_000, 5_000, 30_000, 120_000, 120_000]
        assert (player.row(head).attempts, player.row(head).burned) == (5, 0)

    def test_what_was_not_written_may_leave_at_once(self, player: Player) -> None:
        head = player.leased(message(1))
        player.pass_time(40)
        player.end(head, NOT_WRITTEN)
        assert (player.row(head).due, player.row(head).burned) == (player.now, 0)
        assert player.lease(head) != [None]

    def test_what_was_not_written_and_is_over_expires(self, player: Player) -> None:
        head = player.leased(message(1, life=HOUR))
        player.pass_time(HOUR)
        player.end(head, NOT_WRITTEN)
        assert player.state(head) is State.EXPIRED
        assert player.events(head) == ["accepted", "expired"]
        assert not player.record(head).journal[-1].may_have_been_sent

    def test_a_late_answer_settles_an_uncertain_part(self, player: Player) -> None:
        head = doubtful(player)
        player.end(head, OK, operator_id="a")
        assert (player.state(head), player.fates(head)) == (State.SENT, [Fate.ACCEPTED])
        assert player.hear("a") == "matched"
        assert player.events(head) == ["accepted", "uncertain", "sent", "delivered"]

    def test_a_late_answer_is_not_taken_for_the_repeat(self, player: Player) -> None:
        head = repeated(player)
        player.end(head, OK, attempt=1, operator_id="a")
        assert (player.state(head), player.fates(head)) == (State.LEASED, [Fate.ACCEPTED, Fate.OPEN])
        player.end(head, LOST, attempt=2)
        assert (player.state(head), player.fates(head)) == (State.SENT, [Fate.ACCEPTED, Fate.IN_DOUBT])

    def test_a_late_answer_stops_a_repeat_that_waits(self, player: Player) -> None:
        head = doubtful(player)
        player.pass_time(600_000)
        player.wake_until_quiet()
        assert player.state(head) is State.READY
        player.end(head, OK)
        assert player.state(head) is State.SENT
        assert player.lease(head) == [None]

    def test_a_late_refusal_of_the_first_leaves_the_second_alone(self, player: Player) -> None:
        head = repeated(player)
        player.end(head, REFUSED, attempt=1)
        assert (player.state(head), player.fates(head)) == (State.LEASED, [Fate.REFUSED, Fate.OPEN])
        player.end(head, OK, attempt=2)
        assert player.state(head) is State.SENT

    def test_a_late_and_final_refusal_ends_an_uncertain_part(self, player: Player) -> None:
        head = doubtful(player)
        player.end(head, REFUSED)
        assert player.state(head) is State.UNDELIVERED

    def test_a_late_throttling_lets_an_uncertain_part_go_again(self, player: Player) -> None:
        head = doubtful(player, traffic=TrafficClass.MARKETING)
        player.end(head, THROTTLED)
        assert (player.state(head), player.row(head).burned) == (State.READY, 0)

    def test_a_refused_repeat_leaves_the_first_in_doubt(self, player: Player) -> None:
        head = repeated(player)
        player.end(head, REFUSED)
        assert (player.state(head), player.fates(head)) == (State.UNCERTAIN, [Fate.IN_DOUBT, Fate.REFUSED])

    def test_a_repeat_not_written_goes_back_to_be_written(self, player: Player) -> None:
        head = repeated(player)
        player.end(head, NOT_WRITTEN)
        assert (player.state(head), player.row(head).due) == (State.READY, player.now)

    def test_a_repeat_not_written_before_the_end_of_life_leaves_the_doubt(self, player: Player) -> None:
        head = repeated(player, life=HOUR)
        player.pass_time(HOUR)
        player.end(head, NOT_WRITTEN)
        assert player.state(head) is State.UNCERTAIN
        player.wake_until_quiet()
        assert player.lease(head) == [None]

    def test_a_repeat_not_written_whose_first_was_accepted_meanwhile_is_sent(self, player: Player) -> None:
        head = repeated(player)
        player.end(head, OK, attempt=1)
        player.end(head, NOT_WRITTEN, attempt=2)
        assert player.state(head) is State.SENT

    def test_the_second_attempt_of_a_doubtful_part_is_marked_as_a_repeat(self, player: Player) -> None:
        head = repeated(player)
        assert [attempt.repeat for attempt in player.record(head).attempts] == [False, True]
        assert [attempt.reference for attempt in player.record(head).attempts] == [1, 2]

    def test_the_second_attempt_after_a_certain_refusal_is_not(self, player: Player) -> None:
        head = player.leased(message(1))
        player.end(head, NOT_WRITTEN)
        player.lease(head)
        assert [attempt.repeat for attempt in player.record(head).attempts] == [False, False]

    def test_an_outcome_told_twice_is_one(self, player: Player) -> None:
        head = player.sent(message(1))
        before = player.record(head)
        for outcome in (OK, REFUSED, LOST, THROTTLED):
            player.end(head, outcome)
        after = player.record(head)
        assert (player.state(head), after.journal) == (State.SENT, before.journal)
        assert (after.rows[0].burned, after.rows[0].deferrals) == (1, 0)

    def test_an_outcome_of_an_attempt_that_never_was_is_nothing(self, player: Player) -> None:
        head = player.leased(message(1))
        player.end(head, OK, attempt=2)
        player.commit(Ends(()), player.ending(head, OK, attempt=5))
        assert player.state(head) is State.LEASED

    def test_a_failed_part_stops_the_siblings_that_have_not_left(self, player: Player) -> None:
        head = player.ready(message(1, parts=3))
        player.lease(head, head + 1)
        player.end(head, REFUSED)
        assert player.states(head) == [State.UNDELIVERED, State.LEASED, State.UNDELIVERED]
        player.end(head + 1, THROTTLED)
        assert player.states(head)[1] is State.UNDELIVERED
        assert player.events(head) == ["accepted", "undelivered"]

    def test_a_sibling_that_was_not_written_beside_a_failed_part_fails_too(self, player: Player) -> None:
        head = player.leased(message(1, parts=2))
        player.end(head, REFUSED)
        player.end(head + 1, NOT_WRITTEN)
        assert player.states(head) == [State.UNDELIVERED, State.UNDELIVERED]

    def test_a_sibling_in_doubt_beside_a_failed_part_is_never_repeated(self, player: Player) -> None:
        head = player.leased(message(1, parts=2))
        player.end(head + 1, LOST)
        player.end(head, REFUSED)
        assert player.states(head) == [State.UNDELIVERED, State.UNCERTAIN]
        player.pass_time(HOUR)
        player.wake_until_quiet()
        assert player.states(head) == [State.UNDELIVERED, State.UNCERTAIN]
        assert not player.release(head + 1, 1)

    def test_a_sibling_whose_repeat_waits_beside_a_part_that_fails_goes_back_into_doubt(self, player: Player) -> None:
        head = player.leased(message(1, parts=2))
        player.end(head + 1, LOST)
        player.pass_time(600_000)
        player.wake_until_quiet()
        assert player.states(head) == [State.LEASED, State.READY]
        player.end(head, REFUSED)
        assert player.states(head) == [State.UNDELIVERED, State.UNCERTAIN]
        player.end(head + 1, OK, operator_id="b")
        player.hear("b")
        assert player.events(head)[-1] == "undelivered"


class ReceiptClaims(Played):
    @pytest.mark.parametrize(
        ("told", "state", "fate"),
        [
            (Told.DELIVERED, State.DELIVERED, Fate.DELIVERED),
            (Told.UNDELIVERED, State.UNDELIVERED, Fate.UNDELIVERED),
        ],
    )
    def test_a_receipt_ends_its_part(self, player: Player, told: Told, state: State, fate: Fate) -> None:
        head = player.sent(message(1))
        player.pass_time(900)
        assert player.hear("op-1-1", told=told, reason="err:011") == "matched"
        (attempt,) = player.record(head).attempts
        assert (player.state(head), attempt.fate, attempt.heard) == (state, fate, NOW + 900)
        assert attempt.reason == "err:011"
        assert player.events(head) == ["accepted", "sent", state.word]

    @pytest.mark.parametrize("told", [Told.ENROUTE, Told.UNKNOWN])
    def test_a_receipt_that_leaves_it_open_moves_nothing(self, player: Player, told: Told) -> None:
        head = player.sent(message(1))
        assert player.hear("op-1-1", told=told) == "repeat"
        assert player.state(head) is State.SENT

    @pytest.mark.parametrize("told", [Told.ENROUTE, Told.UNKNOWN])
    def test_a_receipt_that_leaves_it_open_still_says_that_it_was_taken(self, player: Player, told: Told) -> None:
        head = doubtful(player)
        assert player.hear(told=told, reference=1, number=NUMBER) == "matched"
        assert (player.state(head), player.fates(head)) == (State.SENT, [Fate.ACCEPTED])

    def test_any_form_of_the_id_will_do(self, player: Player) -> None:
        head = player.sent(message(1))
        assert player.hear("hex", "padded", "op-1-1") == "matched"
        assert player.state(head) is State.DELIVERED

    def test_the_best_form_goes_first(self, player: Player) -> None:
        first, second = player.sent(message(1)), player.sent(message(2))
        player.hear("op-2-1", "op-1-1")
        assert [player.state(first), player.state(second)] == [State.SENT, State.DELIVERED]

    def test_an_id_means_nothing_on_another_account(self, player: Player) -> None:
        head = player.sent(message(1))
        assert player.hear("op-1-1", account=OTHER_ROUTE) == "early"
        assert player.state(head) is State.SENT

    def test_a_receipt_in_the_commit_of_its_answer_is_matched(self, player: Player) -> None:
        head = player.leased(message(1))
        player.commit(hearing("a"), player.ending(head, OK, operator_id="a"))
        assert player.state(head) is State.DELIVERED

    def test_a_receipt_that_comes_before_its_answer_is_matched(self, player: Player) -> None:
        head = player.leased(message(1))
        assert player.hear("hex", "a") == "early"
        player.reopen()
        player.end(head, OK, operator_id="a")
        assert player.state(head) is State.DELIVERED
        assert player.events(head) == ["accepted", "sent", "delivered"]

    def test_an_early_receipt_is_used_once(self, player: Player) -> None:
        first, second = player.leased(message(1)), player.leased(message(2))
        player.hear("a")
        player.end(first, OK, operator_id="a")
        player.end(second, OK, operator_id="a")
        assert [player.state(first), player.state(second)] == [State.DELIVERED, State.SENT]

    def test_an_early_receipt_told_twice_is_one(self, player: Player) -> None:
        assert [player.hear("a"), player.hear("a")] == ["early", "early"]
        first, second = player.leased(message(1)), player.leased(message(2))
        player.end(first, OK, operator_id="a")
        player.end(second, OK, operator_id="a")
        assert [player.state(first), player.state(second)] == [State.DELIVERED, State.SENT]

    def test_an_early_receipt_of_failure_and_one_of_delivery_are_two(self, player: Player) -> None:
        head = player.leased(message(1))
        player.hear("a", told=Told.ENROUTE)
        player.hear("a", told=Told.DELIVERED)
        player.end(head, OK, operator_id="a")
        assert player.state(head) is State.DELIVERED

    def test_an_early_receipt_from_before_the_lease_is_of_somebody_else(self, player: Player) -> None:
        player.hear("a")
        player.pass_time(1)
        head = player.leased(message(1))
        player.end(head, OK, operator_id="a")
        assert player.state(head) is State.SENT

    def test_a_repeated_receipt_is_only_a_note(self, player: Player) -> None:
        head = player.sent(message(1))
        assert [player.hear("op-1-1"), player.hear("op-1-1")] == ["matched", "repeat"]
        assert player.events(head) == ["accepted", "sent", "delivered"]

    @pytest.mark.parametrize(
        ("first", "second"), [(Told.DELIVERED, Told.UNDELIVERED), (Told.UNDELIVERED, Told.DELIVERED)]
    )
    def test_of_two_contradicting_receipts_the_first_stands(self, player: Player, first: Told, second: Told) -> None:
        head = player.sent(message(1))
        player.hear("op-1-1", told=first)
        assert player.hear("op-1-1", told=second) == "repeat"
        assert player.state(head).word == first.value

    def test_two_receipts_of_one_batch_contradict_each_other_the_same_way(self, player: Player) -> None:
        head = player.sent(message(1))
        (both,) = player.commit(Hear((*hearing("op-1-1").receipts, *hearing("op-1-1", told=Told.UNDELIVERED).receipts)))
        assert both == (Fit("matched"), Fit("repeat"))
        assert player.state(head) is State.DELIVERED

    def test_a_receipt_with_the_attempts_reference_settles_a_lost_answer(self, player: Player) -> None:
        head = doubtful(player)
        assert player.hear("unheard-of", reference=1, number=NUMBER) == "matched"
        assert player.state(head) is State.DELIVERED

    def test_a_reference_counts_while_the_attempt_is_open(self, player: Player) -> None:
        head = player.leased(message(1))
        assert player.hear(reference=1, number=NUMBER) == "matched"
        assert player.state(head) is State.DELIVERED

    @pytest.mark.parametrize(
        ("reference", "number", "account"),
        [
            (1, OTHER_NUMBER, OTHER_ROUTE),
            (1, OTHER_NUMBER, "sms:op-a"),
            (2, NUMBER, "sms:op-a"),
            (1, NUMBER, OTHER_ROUTE),
        ],
    )
    def test_a_reference_needs_its_account_and_number(
        self, player: Player, reference: int, number: str, account: str
    ) -> None:
        head = doubtful(player)
        assert player.hear("a", reference=reference, number=number, account=account) == "early"
        assert player.state(head) is State.UNCERTAIN

    def test_a_reference_that_two_attempts_bear_is_kept_as_early(self, player: Player) -> None:
        first, second = doubtful(player, 1), doubtful(player, 2)
        assert player.hear("a", reference=1, number=NUMBER) == "early"
        player.end(second, OK, operator_id="a")
        assert [player.state(first), player.state(second)] == [State.UNCERTAIN, State.DELIVERED]

    def test_a_reference_of_an_earlier_attempt_is_found(self, player: Player) -> None:
        head = repeated(player)
        assert player.hear(reference=1, number=NUMBER) == "matched"
        assert player.fates(head) == [Fate.DELIVERED, Fate.OPEN]

    def test_an_answered_attempt_is_known_by_its_id_alone(self, player: Player) -> None:
        head = player.sent(message(1))
        assert player.hear("other", reference=1, number=NUMBER) == "early"
        assert player.state(head) is State.SENT

    def test_a_receipt_is_written_on_the_attempt_that_it_is_of(self, player: Player) -> None:
        head = repeated(player)
        player.end(head, OK, attempt=1, operator_id="a")
        player.end(head, OK, attempt=2, operator_id="b")
        player.hear("a", told=Told.UNDELIVERED)
        assert (player.state(head), player.fates(head)) == (State.SENT, [Fate.UNDELIVERED, Fate.ACCEPTED])
        player.hear("b")
        assert (player.state(head), player.fates(head)) == (State.DELIVERED, [Fate.UNDELIVERED, Fate.DELIVERED])

    def test_a_part_is_delivered_when_any_attempt_is(self, player: Player) -> None:
        head = repeated(player)
        player.end(head, OK, attempt=2, operator_id="b")
        player.end(head, OK, attempt=1, operator_id="a")
        player.hear("a")
        assert player.hear("b", told=Told.UNDELIVERED) == "matched"
        assert player.state(head) is State.DELIVERED
        assert player.events(head)[-1] == "delivered"

    def test_a_receipt_while_the_repeat_is_on_its_way_delivers_and_keeps_the_lease_countable(
        self, player: Player
    ) -> None:
        head = repeated(player)
        player.end(head, OK, attempt=1, operator_id="a")
        player.hear("a")
        assert (player.state(head), player.fates(head)) == (State.DELIVERED, [Fate.DELIVERED, Fate.OPEN])
        assert player.reader.ended(player.now + HOUR, 10) == []
        player.end(head, LOST, attempt=2)
        assert player.state(head) is State.DELIVERED
        assert player.reader.ended(player.now, 10) == [head]

    def test_an_id_that_the_operator_uses_again_is_the_newest_that_waits(self, player: Player) -> None:
        old = player.leased(message(1))
        player.end(old, OK, operator_id="a")
        player.pass_time(10)
        new = player.leased(message(2))
        player.end(new, OK, operator_id="a")
        player.hear("a")
        assert [player.state(old), player.state(new)] == [State.SENT, State.DELIVERED]
        player.hear("a")
        assert [player.state(old), player.state(new)] == [State.DELIVERED, State.DELIVERED]

    def test_the_newest_is_the_one_leased_last_not_the_one_accepted_last(self, player: Player) -> None:
        early, late = player.ready(message(1)), player.ready(message(2))
        for part in (late, early):
            player.lease(part)
            player.end(part, OK, operator_id="a")
            player.pass_time(10)
        player.hear("a")
        assert [player.state(early), player.state(late)] == [State.DELIVERED, State.SENT]

    def test_parts_fold_to_delivered_when_the_last_one_is(self, player: Player) -> None:
        head = player.sent(message(1, parts=2))
        player.hear("op-1-2")
        assert player.events(head) == ["accepted", "sent"]
        player.hear("op-1-1")
        assert player.events(head) == ["accepted", "sent", "delivered"]

    def test_one_undelivered_part_makes_the_message_undelivered_when_the_rest_has_ended(self, player: Player) -> None:
        head = player.sent(message(1, parts=2))
        player.hear("op-1-2", told=Told.UNDELIVERED)
        assert player.events(head) == ["accepted", "sent"]
        player.hear("op-1-1")
        assert player.events(head) == ["accepted", "sent", "undelivered"]

    @pytest.mark.parametrize("told", list(Told))
    def test_a_late_answer_and_its_receipt_leave_an_expired_part_as_it_is(self, player: Player, told: Told) -> None:
        head = player.leased(message(1, life=HOUR))
        player.pass_time(HOUR)
        player.end(head, NOT_WRITTEN)
        player.end(head, OK, attempt=1, operator_id="a")
        player.hear("a", told=told)
        assert (player.state(head), player.events(head)) == (State.EXPIRED, ["accepted", "expired"])

    def test_inbound_messages_are_kept_once_and_journalled(self, player: Player) -> None:
        (kept,) = player.commit(KeepInbound((NewInbound(number_of(5), ROUTE, NOW, 7, b"sealed"),)))
        assert kept == 1
        head = player.ready(message(6))
        assert player.record(head).journal[0].sequence == 2
        assert player.store.greatest_id() >= number_of(5)

    def test_the_sealed_operator_id_is_kept_beside_its_tag(self, player: Player) -> None:
        head = player.leased(message(1))
        player.end(head, Accepted("a"), operator_id="a")
        (attempt,) = player.record(head).attempts
        assert (attempt.operator_tag, attempt.operator_id) == (tag("a"), b"sealed a")
