"""What a client or a person may wish: to cancel, to supersede, to let go again."""

from mgate.model.entry import Told
from mgate.model.message import State, TrafficClass
from mgate.model.outcome import Rejected
from mgate.spool.verbs import Accept, Cancel, Clash
from tests.conformance.player import HOUR, OK, OTHER_NUMBER, Player, message, number_of
from tests.conformance.store_acceptance import Played
from tests.conformance.store_answers import LOST, NOT_WRITTEN, THROTTLED, doubtful, repeated


class CancelClaims(Played):
    def test_what_has_not_left_is_cancelled(self, player: Player) -> None:
        head = player.ready(message(1, parts=2))
        assert player.cancel(head) == "cancelled"
        assert player.states(head) == [State.CANCELLED] * 2
        last = player.record(head).journal[-1]
        assert (last.event, last.reason, last.may_have_been_sent) == ("cancelled", "called_off", False)
        assert player.lease(head) == [None]

    def test_a_second_cancel_is_answered_as_the_first(self, player: Player) -> None:
        head = player.ready(message(1))
        assert [player.cancel(head), player.cancel(head)] == ["cancelled", "cancelled"]
        assert player.events(head) == ["accepted", "cancelled"]

    def test_a_message_may_be_cancelled_in_the_commit_that_accepts_it(self, player: Player) -> None:
        new = message(1)
        player.commit(Cancel(new.id, "local", "called_off"), Accept((new,)))
        assert (player.state(new.id), player.record(new.id).rows[0].reason) == (State.CANCELLED, "called_off")

    def test_what_was_refused_for_now_may_be_cancelled(self, player: Player) -> None:
        head = player.leased(message(1))
        player.end(head, THROTTLED)
        assert player.cancel(head) == "cancelled"

    def test_a_client_cancels_its_own_only(self, player: Player) -> None:
        head = player.ready(message(1, client="cards"))
        assert player.cancel(head, client="local") == "unknown"
        assert player.state(head) is State.READY
        assert player.cancel(head, client="") == "cancelled"

    def test_what_is_not_there_is_unknown(self, player: Player) -> None:
        head = player.ready(message(1, parts=2))
        assert player.cancel(number_of(9)) == "unknown"
        assert player.cancel(head + 1) == "unknown"

    def test_what_is_leaving_is_not_cancelled(self, player: Player) -> None:
        head = player.ready(message(1, parts=2))
        player.lease(head)
        assert player.cancel(head) == "leaving"
        assert player.states(head) == [State.LEASED, State.READY]

    def test_what_has_left_is_not_cancelled(self, player: Player) -> None:
        head = player.sent(message(1))
        assert player.cancel(head) == "left"
        assert player.state(head) is State.SENT

    def test_what_has_left_in_part_has_left(self, player: Player) -> None:
        head = player.ready(message(1, parts=2))
        player.lease(head)
        player.end(head, OK, operator_id="a")
        assert player.cancel(head) == "left"
        player.hear("a")
        assert player.cancel(head) == "left"
        assert player.states(head) == [State.DELIVERED, State.READY]

    def test_what_has_ended_is_not_cancelled(self, player: Player) -> None:
        head = player.sent(message(1))
        player.hear("op-1-1")
        assert player.cancel(head) == "ended"
        failed = player.leased(message(2))
        player.end(failed, Rejected("ESME_RINVDSTADR"))
        assert player.cancel(failed) == "ended"

    def test_what_may_have_left_is_never_repeated_once_called_off(self, player: Player) -> None:
        head = doubtful(player)
        assert player.cancel(head) == "may_have_left"
        player.pass_time(HOUR)
        player.wake_until_quiet()
        assert player.state(head) is State.UNCERTAIN
        assert player.events(head) == ["accepted", "uncertain"]

    def test_a_repeat_that_waits_goes_back_into_doubt_when_called_off(self, player: Player) -> None:
        head = doubtful(player)
        player.pass_time(600_000)
        player.wake_until_quiet()
        assert player.state(head) is State.READY
        assert player.cancel(head) == "may_have_left"
        assert player.state(head) is State.UNCERTAIN
        player.pass_time(HOUR)
        player.wake_until_quiet()
        assert player.lease(head) == [None]

    def test_a_repeat_on_its_way_is_not_written_again_once_called_off(self, player: Player) -> None:
        head = repeated(player)
        assert player.cancel(head) == "leaving"
        player.end(head, NOT_WRITTEN)
        assert player.state(head) is State.UNCERTAIN
        player.wake_until_quiet()
        assert player.lease(head) == [None]

    def test_one_doubtful_part_beside_one_that_waits_may_have_left(self, player: Player) -> None:
        head = player.ready(message(1, parts=2))
        player.lease(head)
        player.end(head, LOST)
        assert player.cancel(head) == "may_have_left"
        player.pass_time(HOUR)
        player.wake_until_quiet()
        assert player.states(head) == [State.UNCERTAIN, State.READY]

    def test_a_cancelled_otp_loses_its_text(self, player: Player) -> None:
        head = player.ready(message(1, traffic=TrafficClass.OTP))
        player.cancel(head)
        assert not player.has_text(head)


class GroupClaims(Played):
    def test_a_newer_message_of_the_group_cancels_the_unsent_older(self, player: Player) -> None:
        old, new = player.ready(message(1, group="login", parts=2)), player.ready(message(2, group="login"))
        assert [player.state(old), player.state(new)] == [State.CANCELLED, State.READY]
        assert player.record(old).journal[-1].reason == "superseded"

    def test_another_group_another_number_and_another_client_are_left_alone(self, player: Player) -> None:
        old = player.ready(message(1, group="login"))
        player.accept(
            message(2, group="payment"),
            message(3, group="login", number=OTHER_NUMBER),
            message(4, group="login", client="cards"),
            message(5),
        )
        assert player.state(old) is State.READY

    def test_messages_without_a_group_are_strangers(self, player: Player) -> None:
        old, _ = player.ready(message(1)), player.ready(message(2))
        assert player.state(old) is State.READY

    def test_what_is_leaving_or_has_left_goes_on(self, player: Player) -> None:
        leaving, left = player.leased(message(1, group="login")), player.sent(message(2, group="payment"))
        player.accept(message(3, group="login"), message(4, group="payment"))
        assert [player.state(leaving), player.state(left)] == [State.LEASED, State.SENT]

    def test_what_has_left_in_part_goes_on_whole(self, player: Player) -> None:
        head = player.ready(message(1, group="login", parts=2))
        player.lease(head)
        player.end(head, OK)
        player.accept(message(2, group="login"))
        assert player.states(head) == [State.SENT, State.READY]

    def test_what_is_in_doubt_is_not_repeated(self, player: Player) -> None:
        head = doubtful(player, group="login")
        player.accept(message(2, group="login"))
        player.pass_time(600_000)
        player.wake_until_quiet()
        assert player.state(head) is State.UNCERTAIN

    def test_a_duplicate_of_the_older_supersedes_nothing(self, player: Player) -> None:
        player.ready(message(1, ref="one", group="login"))
        new = player.ready(message(2, ref="two", group="login"))
        assert player.accept_one(message(3, ref="one", group="login")).state is State.CANCELLED
        assert player.state(new) is State.READY

    def test_a_clash_supersedes_nothing(self, player: Player) -> None:
        head = player.ready(message(1, ref="one", group="login"))
        assert player.accept(message(2, ref="one", group="login", content="other")) == [Clash(head)]
        assert player.state(head) is State.READY

    def test_of_three_in_one_commit_the_last_stays(self, player: Player) -> None:
        player.accept(*(message(count, group="login") for count in (1, 2, 3)))
        assert [player.state(number_of(count)) for count in (1, 2, 3)] == [
            State.CANCELLED,
            State.CANCELLED,
            State.READY,
        ]


class ReleaseClaims(Played):
    def test_a_person_lets_a_doubtful_part_go_again(self, player: Player) -> None:
        head = doubtful(player, traffic=TrafficClass.MARKETING)
        assert player.release(head, 1)
        assert (player.state(head), player.row(head).due) == (State.READY, player.now)
        (leased,) = player.lease(head)
        assert leased is not None
        assert leased.attempt == 2

    def test_the_second_click_finds_it_gone(self, player: Player) -> None:
        head = doubtful(player)
        assert [player.release(head, 1), player.release(head, 1)] == [True, False]

    def test_a_click_on_an_old_page_does_nothing(self, player: Player) -> None:
        head = repeated(player)
        player.end(head, LOST)
        assert not player.release(head, 1)
        assert player.release(head, 2)

    def test_only_what_is_uncertain_is_released(self, player: Player) -> None:
        ready, sent = player.ready(message(1)), player.sent(message(2))
        assert [player.release(ready, 0), player.release(sent, 1), player.release(number_of(9), 0)] == [False] * 3

    def test_what_its_client_called_off_is_not_released(self, player: Player) -> None:
        head = doubtful(player)
        assert player.cancel(head) == "may_have_left"
        assert not player.release(head, 1)

    def test_nothing_is_released_after_its_life(self, player: Player) -> None:
        head = doubtful(player, life=HOUR)
        player.pass_time(HOUR)
        assert not player.release(head, 1)

    def test_a_late_answer_makes_the_release_needless(self, player: Player) -> None:
        head = doubtful(player)
        player.end(head, OK)
        assert not player.release(head, 1)

    def test_nothing_is_released_beside_a_failed_part(self, player: Player) -> None:
        head = player.leased(message(1, parts=2))
        player.end(head, LOST)
        player.end(head + 1, OK, operator_id="b")
        player.hear("b", told=Told.UNDELIVERED)
        assert not player.release(head, 1)
