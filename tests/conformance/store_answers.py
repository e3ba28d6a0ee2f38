"""Outcomes: each is written on its own attempt, and the attempts fold."""

import pytest

from mgate.model.message import Fate, State, TrafficClass
from mgate.model.outcome import Deferred, NotWritten, Outcome, Rejected, Uncertain
from mgate.model.ready import Ask
from mgate.spool.verbs import Ends
from tests.conformance.player import (
    HOUR,
    NOW,
    OK,
    ROUTE,
    Player,
    message,
)
from tests.conformance.store_acceptance import Played

LOST = Uncertain("link_lost", link_alive=False)
LATE = Uncertain("response_timeout", link_alive=True)
THROTTLED = Deferred("ESME_RTHROTTLED")
WEATHER = Deferred("link_weather")
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
            player.end(head, WEATHER)
            dues.append(player.row(head).due - player.now)
            player.now = player.row(head).due
        assert dues == [1_000, 5_000, 30_000, 120_000, 120_000]
        assert (player.row(head).attempts, player.row(head).burned) == (5, 0)

    @pytest.mark.parametrize("status", ["ESME_RTHROTTLED", "ESME_RMSGQFUL", "ESME_RSYSERR"])
    def test_a_throttled_part_does_not_wait_by_itself(self, player: Player, status: str) -> None:
        head = player.ready(message(1))
        for _ in range(5):
            player.pass_time(40)
            assert player.lease(head) != [None]
            player.end(head, Deferred(status))
        row = player.row(head)
        assert (row.attempts, row.burned, row.deferrals) == (5, 0, 0)
        player.lease(head)
        player.end(head, WEATHER)
        assert player.row(head).due - player.now == 1_000

    def test_a_throttled_part_leaves_before_the_younger_ones(self, player: Player) -> None:
        old = player.leased(message(1, traffic=TrafficClass.OTP))
        player.pass_time(40)
        young = player.ready(message(2, traffic=TrafficClass.OTP, due=player.now))
        player.pass_time(40)
        player.end(old, THROTTLED)
        headers = player.reader.ready(Ask(ROUTE, 1, 10, frozenset()), player.now).headers
        assert [header.part for header in headers] == [old, young]

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

    @pytest.mark.parametrize("traffic", [TrafficClass.OTP, TrafficClass.MARKETING])
    def test_a_late_throttling_lets_an_uncertain_part_go_again(self, player: Player, traffic: TrafficClass) -> None:
        head = doubtful(player, traffic=traffic)
        player.end(head, THROTTLED)
        assert (player.state(head), player.row(head).burned) == (State.READY, 0)
        assert player.lease(head) != [None]

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
