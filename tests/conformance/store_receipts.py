"""Receipts: early, late, repeated, contradicting; each finds its own attempt, or waits for it."""

import pytest

from mgate.model.entry import Told
from mgate.model.message import Fate, State
from mgate.model.outcome import Accepted, Outcome
from mgate.spool.verbs import Fit, Hear, KeepInbound, NewInbound
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
from tests.conformance.store_answers import LOST, NOT_WRITTEN, THROTTLED, doubtful, repeated


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

    def test_receipts_of_one_commit_follow_the_id_that_the_first_of_them_taught(self, player: Player) -> None:
        head = player.leased(message(1))
        player.reopen()
        player.store.sweep(player.now)
        underway = hearing("a", told=Told.ENROUTE, reference=1, number=NUMBER)
        player.commit(underway, hearing("a", reference=1, number=NUMBER))
        assert player.state(head) is State.DELIVERED

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

    def test_a_receipt_found_by_its_reference_teaches_the_operators_id(self, player: Player) -> None:
        head = doubtful(player)
        assert player.hear("a", told=Told.ENROUTE, reference=1, number=NUMBER) == "matched"
        assert player.fates(head) == [Fate.ACCEPTED]
        assert player.hear("a") == "matched"
        assert player.state(head) is State.DELIVERED

    def test_the_id_of_a_late_answer_stands_above_one_that_a_receipt_taught(self, player: Player) -> None:
        head = doubtful(player)
        player.hear("a", told=Told.ENROUTE, reference=1, number=NUMBER)
        player.end(head, OK, operator_id="b")
        assert player.hear("b") == "matched"
        assert player.state(head) is State.DELIVERED

    def test_the_id_of_a_late_answer_is_known_after_a_restart_too(self, player: Player) -> None:
        head = doubtful(player)
        player.hear("a", told=Told.ENROUTE, reference=1, number=NUMBER)
        player.reopen()
        player.end(head, OK, operator_id="b")
        player.reopen()
        assert player.hear("b") == "matched"
        assert player.state(head) is State.DELIVERED

    def test_an_open_attempt_named_by_a_receipt_is_known_by_its_answer(self, player: Player) -> None:
        head = player.leased(message(1))
        assert player.hear("a", told=Told.ENROUTE, reference=1, number=NUMBER) == "repeat"
        player.end(head, OK, operator_id="b")
        player.reopen()
        assert player.hear("b") == "matched"
        assert player.state(head) is State.DELIVERED

    def test_an_early_receipt_is_found_by_an_id_that_a_later_receipt_teaches(self, player: Player) -> None:
        head = doubtful(player)
        assert player.hear("a") == "early"
        player.hear("a", told=Told.ENROUTE, reference=1, number=NUMBER)
        assert player.state(head) is State.DELIVERED

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

    @pytest.mark.parametrize("last", [NOT_WRITTEN, THROTTLED])
    def test_a_receipt_of_failure_is_final_whatever_becomes_of_the_repeat(self, player: Player, last: Outcome) -> None:
        head = repeated(player)
        player.end(head, OK, attempt=1, operator_id="a")
        player.hear("a", told=Told.UNDELIVERED)
        assert player.state(head) is State.LEASED
        player.end(head, last, attempt=2)
        assert player.state(head) is State.UNDELIVERED

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
        assert player.ended() == []
        player.end(head, LOST, attempt=2)
        assert player.state(head) is State.DELIVERED
        assert player.ended() == [head]

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

    def test_the_reason_of_a_failed_message_is_that_of_the_part_that_failed(self, player: Player) -> None:
        """The last part to end told its own reason: a delivered one has none, and the bank read an empty word."""
        head = player.sent(message(1, parts=3))
        player.hear("op-1-2", told=Told.UNDELIVERED, reason="UNDELIV err:011")
        player.hear("op-1-1", reason="DELIVRD")
        player.hear("op-1-3")
        assert player.record(head).journal[-1].reason == "UNDELIV err:011"

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
