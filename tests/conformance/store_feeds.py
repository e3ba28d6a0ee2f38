"""Claims about what a store tells of itself: the cursors of feeds, and the news of each commit."""

from __future__ import annotations

from mgate.model.entry import Told as Heard
from mgate.model.message import State, TrafficClass
from mgate.model.outcome import NotWritten, Rejected, Uncertain
from mgate.policy.classes import NO_RECEIPT_STAY, RECEIPT_PATIENCE
from mgate.spool.engine import News, Told
from mgate.spool.verbs import (
    Accept,
    Ack,
    Acked,
    Bury,
    Cancel,
    DeadRun,
    KeepInbound,
    Lease,
    NewInbound,
    Trim,
    Verb,
    Wake,
    Wish,
)
from tests.conformance.player import HOUR, NOW, OK, ROUTE, Player, hearing, kind_of, message, number_of, slot

PATIENCE, STAY = int(RECEIPT_PATIENCE * 1000), int(NO_RECEIPT_STAY * 1000)
MINUTE = 60_000


def ack(player: Player, cursor: int, feed: str = "ledger", client: str = "local") -> Acked:
    (answer,) = player.commit(Ack(client, feed, cursor))
    return kind_of(answer, Acked)


class FeedClaims:
    """Acknowledging (``states.md``, rule 14)."""

    def test_a_cursor_only_grows_and_an_older_one_is_answered_with_the_durable_one(self, player: Player) -> None:
        player.accept(*(message(count) for count in range(1, 6)))
        assert player.reader.cursor("local", "ledger") == 0
        assert ack(player, 3) == Acked("acked", 3)
        assert ack(player, 2) == Acked("acked", 3)
        assert ack(player, 0) == Acked("acked", 3)
        assert ack(player, 5) == Acked("acked", 5)
        assert player.reader.cursor("local", "ledger") == 5

    def test_one_beyond_the_journal_is_refused_and_changes_nothing(self, player: Player) -> None:
        assert ack(player, 1) == Acked("beyond", 0)
        player.ready(message(1))
        player.ready(message(2))
        assert ack(player, 1) == Acked("acked", 1)
        assert ack(player, 3) == Acked("beyond", 2)
        assert player.reader.cursor("local", "ledger") == 1
        assert ack(player, 3, feed="new") == Acked("beyond", 2)
        assert player.reader.cursor("local", "new") == 0

    def test_a_client_has_at_most_sixteen_feeds_and_those_it_has_go_on(self, player: Player) -> None:
        player.ready(message(1))
        player.ready(message(2))
        for n in range(16):
            assert ack(player, 1, feed=f"feed {n}").word == "acked"
        assert ack(player, 1, feed="one more") == Acked("too_many", 0)
        assert player.reader.cursor("local", "one more") == 0
        assert ack(player, 2, feed="feed 15") == Acked("acked", 2)
        assert ack(player, 1, feed="one more", client="cards").word == "acked"

    def test_feeds_that_begin_in_one_commit_are_counted_together(self, player: Player) -> None:
        player.ready(message(1))
        wishes = [Ack("local", f"feed {n}", 1) for n in range(17)] + [Ack("cards", "feed", 1)]
        words = [kind_of(answer, Acked).word for answer in player.commit(*wishes)]
        assert words == ["acked"] * 16 + ["too_many", "acked"]

    def test_feeds_of_mgates_own_are_not_counted_and_always_have_room(self, player: Player) -> None:
        player.ready(message(1))
        for n in range(16):
            assert ack(player, 1, feed=f"webhook.{n}").word == "acked"
        for n in range(16):
            assert ack(player, 1, feed=f"feed {n}").word == "acked"
        assert ack(player, 1, feed="webhook.crm").word == "acked"
        assert ack(player, 1, feed="one more") == Acked("too_many", 0)

    def test_what_a_feed_gives_up_stays_listed_until_it_takes_it_up_again(self, player: Player) -> None:
        one = DeadRun("crm", "webhook.crm", 7, 9, 3, "http_422", NOW)
        two = DeadRun("crm", "webhook.crm", 12, 12, 1, "too_old", NOW + 1)
        other = DeadRun("cards", "webhook.cards", 7, 8, 2, "http_400", NOW)
        assert player.commit(Bury("crm", "webhook.crm", (two, one)), Bury("cards", "webhook.cards", (other,))) == [2, 1]
        player.commit(Bury("crm", "webhook.crm", (one,)))
        player.reopen()
        assert player.reader.dead() == [other, one, two]
        assert player.commit(Bury("crm", "webhook.crm", raised=(7, 8))) == [2]
        assert player.reader.dead() == [other, two]

    def test_acknowledgements_of_one_commit_see_each_other(self, player: Player) -> None:
        player.accept(*(message(count) for count in range(1, 4)))
        answers = player.commit(Ack("local", "ledger", 3), Ack("local", "ledger", 2))
        assert answers == [Acked("acked", 3), Acked("acked", 3)]
        assert player.reader.cursor("local", "ledger") == 3

    def test_feeds_and_clients_do_not_mix(self, player: Player) -> None:
        player.accept(*(message(count) for count in range(1, 4)))
        ack(player, 3)
        ack(player, 2, client="cards")
        ack(player, 1, feed="other")
        found = [player.reader.cursor(*key) for key in (("local", "ledger"), ("cards", "ledger"), ("local", "other"))]
        assert found == [3, 2, 1]
        assert ack(player, 1, client="cards") == Acked("acked", 2)

    def test_cursors_survive_an_end_of_the_process_and_outlive_the_journal(self, player: Player) -> None:
        player.accept(*(message(count) for count in range(1, 4)))
        ack(player, 2)
        player.commit(Trim(0, NOW + 1, 10))
        player.reopen()
        assert player.reader.cursor("local", "ledger") == 2
        assert ack(player, 1) == Acked("acked", 2)
        assert ack(player, 4).word == "beyond"


class NewsClaims:
    """What a commit tells of itself when it is on the disk."""

    @staticmethod
    def news(player: Player, *verbs: Verb) -> News:
        player.store.work(verbs, player.now)
        return player.store.flush()

    def over(self, player: Player, *verbs: Verb) -> list[int]:
        return [one.message for one in self.news(player, *verbs).over]

    def test_a_commit_tells_how_many_leave_that_may_have_left_before(self, player: Player) -> None:
        first, second = player.leased(message(1)), player.leased(message(2))
        player.end(first, Uncertain("link_lost", link_alive=False))
        player.end(second, NotWritten("link_lost"))
        player.pass_time(10 * MINUTE)
        player.wake_until_quiet()
        wishes = tuple(Wish(part, slot(place)) for place, part in enumerate((first, second), 1))
        assert self.news(player, Lease(wishes)).repeats == 1
        assert self.news(player, Wake(10)).repeats == 0

    def wake(self, player: Player) -> list[int]:
        """What a clock that looks until it is quiet hears of."""
        return [head for _ in range(3) for head in self.over(player, Wake(100))]

    def test_it_says_which_events_came_how_long_after_acceptance_and_after_the_last_lease(self, player: Player) -> None:
        asked = message(1)
        assert self.news(player, Accept((asked,))).told == [Told(ROUTE, "accepted", 0, asked.traffic, 0)]
        player.pass_time(40)
        player.lease(number_of(1))
        player.pass_time(2)
        assert self.news(player, player.ending(number_of(1), OK, operator_id="x")).told == [
            Told(ROUTE, "sent", 42, asked.traffic, 2)
        ]
        player.pass_time(8)
        assert self.news(player, hearing("x")).told == [Told(ROUTE, "delivered", 50, asked.traffic, 10)]

    def test_it_says_whether_the_journal_grew(self, player: Player) -> None:
        assert self.news(player, Accept((message(1),))).journalled
        assert not self.news(player, Accept((message(1),))).journalled
        assert not self.news(player, Wake(10)).journalled
        assert self.news(player, KeepInbound((NewInbound(number_of(9), ROUTE, NOW, 7, b"sealed"),))).journalled

    def test_an_ending_is_told_once_and_bears_the_message_as_history_keeps_it(self, player: Player) -> None:
        head = player.sent(message(1))
        player.pass_time(9)
        (told,) = self.news(player, hearing("op-1-1")).over
        assert (told.message, told.state, told.created, told.ended, told.event) == (
            head, State.DELIVERED, NOW, NOW + 9, player.record(head).rows[0].event,
        )  # fmt: skip
        (again,) = player.reader.ended(player.now, 0, 10)[0]
        assert (again.message, again.event, again.ref_tag) == (told.message, told.event, told.ref_tag)
        assert self.over(player, hearing("op-1-1")) == []
        assert self.wake(player) == []
        assert self.over(player, Accept((message(1),))) == []

    def test_a_message_of_several_parts_is_told_when_the_last_has_ended_and_once(self, player: Player) -> None:
        head = player.sent(message(1, parts=3))
        assert self.over(player, hearing("op-1-3")) == []
        assert self.over(player, hearing("op-1-1")) == []
        assert self.over(player, hearing("op-1-2")) == [head]
        assert self.wake(player) == []

    def test_a_message_whose_attempt_is_open_is_told_when_that_is_answered(self, player: Player) -> None:
        head = player.leased(message(1, parts=2))
        player.end(head, OK, operator_id="x")
        assert self.over(player, hearing("x")) == []
        player.end(head + 1, OK, operator_id="y")
        assert self.over(player, hearing("y")) == [head]

    def test_every_way_to_an_end_is_told(self, player: Player) -> None:
        cancelled, expired, refused, failed = map(number_of, (1, 2, 3, 4))
        player.accept(message(1), message(2, life=HOUR))
        player.leased(message(3))
        player.sent(message(4))
        assert self.over(player, Cancel(cancelled, "local", "called_off")) == [cancelled]
        assert self.over(player, player.ending(refused, Rejected("ESME_RINVDSTADR"))) == [refused]
        assert self.over(player, hearing("op-4-1", told=Heard.UNDELIVERED)) == [failed]
        player.pass_time(HOUR)
        assert self.wake(player).count(expired) == 1

    def test_what_has_no_receipt_is_told_after_its_stay_and_not_before(self, player: Player) -> None:
        head = player.sent(message(1, life=HOUR))
        player.pass_time(HOUR)
        assert self.wake(player) == []
        player.pass_time(PATIENCE)
        assert self.wake(player) == []
        assert player.state(head) is State.NO_RECEIPT
        player.pass_time(STAY - 1)
        assert self.wake(player) == []
        player.pass_time(1)
        assert self.wake(player) == [head]

    def test_a_receipt_within_the_stay_is_told_at_once(self, player: Player) -> None:
        head = player.sent(message(1, life=HOUR))
        player.pass_time(HOUR)
        player.wake_until_quiet()
        player.pass_time(PATIENCE)
        player.wake_until_quiet()
        assert player.state(head) is State.NO_RECEIPT
        (told,) = self.news(player, hearing("op-1-1")).over
        assert (told.message, told.state) == (head, State.DELIVERED)

    def test_what_was_told_and_not_forgotten_is_told_again_and_then_once_a_minute(self, player: Player) -> None:
        head = player.sent(message(1, traffic=TrafficClass.OTP))
        assert self.over(player, hearing("op-1-1")) == [head]
        player.pass_time(player.row(head).expires - player.now)  # never later than the end of its life
        assert head in self.wake(player)
        assert self.wake(player) == []
        for _ in range(2):
            player.pass_time(MINUTE - 1)
            assert self.wake(player) == []
            player.pass_time(1)
            assert self.wake(player) == [head]
        player.forget((head, player.record(head).rows[0].event))
        player.pass_time(MINUTE)
        assert self.wake(player) == []

    def test_what_the_sweep_finds_in_doubt_is_no_ending(self, player: Player) -> None:
        head = player.leased(message(1))
        player.reopen()
        player.store.sweep(player.now)
        assert player.ended() == []
        assert self.over(player, player.ending(head, Uncertain("late", link_alive=False), attempt=1)) == []
