"""Acceptance, duplicates and leases."""

import pytest

from mgate.model.message import Fate, State
from mgate.model.outcome import Rejected
from mgate.spool.verbs import Accept, Clash, Kept, Lease, Wish
from tests.conformance.player import (
    HOUR,
    NOW,
    NUMBER,
    OK,
    Open,
    Player,
    kind_of,
    message,
    number_of,
    phone_tag,
    slot,
)


class Played:
    """A fresh store for each claim."""

    @pytest.fixture
    def player(self, open_place: Open) -> Player:
        return Player(open_place)


class AcceptanceClaims(Played):
    def test_an_accepted_message_is_kept_whole_and_journalled_once(self, player: Player) -> None:
        new = message(1, parts=2)
        assert player.accept(new) == [Kept(new.id, 2, duplicate=False, state=State.READY, leased=False)]
        record = player.record(new.id)
        assert (record.envelope, record.body) == (new.envelope, new.body)
        assert (record.ref_tag, record.content_tag) == (new.ref_tag, new.content_tag)
        assert [(row.id, row.n, row.parts, row.state) for row in record.rows] == [
            (new.id, 1, 2, State.READY),
            (new.id + 1, 2, 2, State.READY),
        ]
        row = record.rows[0]
        assert (row.client, row.traffic, row.route, row.period) == (new.client, new.traffic, new.route, new.period)
        assert (row.created, row.due, row.expires) == (NOW, NOW, new.expires)
        assert row.phone_tag == phone_tag(7, NUMBER)
        assert record.attempts == ()
        assert [(told.event, told.at, told.may_have_been_sent) for told in record.journal] == [("accepted", NOW, False)]

    def test_what_was_answered_is_there_after_a_new_start(self, player: Player) -> None:
        head = player.sent(message(1, parts=2))
        player.reopen()
        assert player.states(head) == [State.SENT, State.SENT]
        assert player.events(head) == ["accepted", "sent"]
        assert player.accept_one(message(1, parts=2)).duplicate

    def test_ids_go_on_from_the_greatest_ever_kept(self, player: Player) -> None:
        assert player.store.greatest_id() == 0
        head = player.ready(message(3))
        assert player.store.greatest_id() >= head
        player.reopen()
        assert player.store.greatest_id() >= head

    @pytest.mark.parametrize("parts", [1, 3])
    def test_a_duplicate_is_answered_with_the_same_id(self, player: Player, parts: int) -> None:
        head = player.ready(message(1, ref="r", parts=parts))
        again = player.accept_one(message(2, ref="r", parts=parts, slots=[slot(9)] * parts))
        assert again == Kept(head, parts, duplicate=True, state=State.READY, leased=False)
        assert player.reader.records([number_of(2)]) == []
        assert player.events(head) == ["accepted"]

    def test_a_duplicate_in_the_same_batch_is_answered_with_the_first(self, player: Player) -> None:
        first, second = player.accept(message(1, ref="r", parts=2), message(2, ref="r", parts=2))
        assert first == Kept(number_of(1), 2, duplicate=False, state=State.READY, leased=False)
        assert second == Kept(number_of(1), 2, duplicate=True, state=State.READY, leased=False)

    def test_a_duplicate_from_another_connection_in_the_same_commit_is_answered_with_the_first(
        self, player: Player
    ) -> None:
        one, other = player.commit(Accept((message(1, ref="r"),)), Accept((message(2, ref="r"),)))
        assert [kept.message for kept in (*kind_of(one, tuple), *kind_of(other, tuple))] == [number_of(1)] * 2

    def test_a_duplicate_is_told_where_its_message_stands(self, player: Player) -> None:
        head = player.leased(message(1, ref="r", parts=2))
        assert player.accept_one(message(2, ref="r", parts=2)).state is State.LEASED
        player.end(head, OK, operator_id="a")
        player.end(head + 1, Rejected("ESME_RINVDSTADR"))
        assert player.accept_one(message(2, ref="r", parts=2)).state is State.SENT
        player.hear("a")
        assert player.accept_one(message(2, ref="r", parts=2)).state is State.UNDELIVERED

    def test_a_duplicate_in_the_commit_that_settles_its_message_sees_it_settled(self, player: Player) -> None:
        head = player.leased(message(1, ref="r"))
        _, answer = player.commit(player.ending(head, OK), Accept((message(2, ref="r"),)))
        assert kind_of(answer, tuple)[0].state is State.SENT

    def test_a_known_reference_with_other_content_clashes(self, player: Player) -> None:
        head = player.ready(message(1, ref="r"))
        assert player.accept(message(2, ref="r", content="balance 130")) == [Clash(head)]
        both = player.accept(message(3, ref="s"), message(4, ref="s", content="other"))
        assert both[1] == Clash(number_of(3))

    def test_a_reference_belongs_to_its_client(self, player: Player) -> None:
        player.ready(message(1, ref="r", client="local"))
        assert not player.accept_one(message(2, ref="r", client="cards", content="other")).duplicate

    def test_a_message_may_be_leased_in_the_commit_that_accepts_it(self, player: Player) -> None:
        kept = player.accept_one(message(1, parts=2, slots=[slot(11), slot(12)]))
        assert (kept.state, kept.leased) == (State.LEASED, True)
        assert player.states(kept.message) == [State.LEASED, State.LEASED]
        attempts = player.record(kept.message).attempts
        assert [(one.n, one.reference, one.fate, one.leased) for one in attempts] == [
            (1, 11, Fate.OPEN, NOW),
            (1, 12, Fate.OPEN, NOW),
        ]

    def test_what_is_already_over_is_kept_but_not_leased(self, player: Player) -> None:
        player.pass_time(2 * HOUR)
        kept = player.accept_one(message(1, life=HOUR, slots=[slot(11)]))
        assert (kept.state, kept.leased) == (State.READY, False)

    # ---- leases ----------------------------------------------------------------------------------------------------

    def test_a_lease_gives_what_is_needed_to_write_it(self, player: Player) -> None:
        new = message(1, parts=2)
        head = player.ready(new)
        (leased,) = player.lease(head + 1, reference=77)
        assert leased is not None
        assert (leased.part, leased.n, leased.parts, leased.attempt) == (head + 1, 2, 2, 1)
        assert (leased.traffic, leased.period, leased.created, leased.expires) == (new.traffic, 7, NOW, new.expires)
        assert (leased.envelope, leased.body) == (new.envelope, new.body)
        assert player.states(head) == [State.READY, State.LEASED]

    def test_nothing_is_leased_twice(self, player: Player) -> None:
        head = player.ready(message(1))
        first, second = player.lease(head, head)
        assert first is not None
        assert second is None
        assert player.lease(head) == [None]
        assert len(player.fates(head)) == 1

    def test_a_lease_of_what_is_not_there_takes_nothing(self, player: Player) -> None:
        assert player.lease(number_of(9)) == [None]

    def test_a_lease_waits_until_it_is_due(self, player: Player) -> None:
        head = player.ready(message(1, due=NOW + 1_000))
        assert player.lease(head) == [None]
        player.pass_time(1_000)
        assert player.lease(head) != [None]

    def test_nothing_is_leased_after_its_life(self, player: Player) -> None:
        head = player.ready(message(1, life=HOUR))
        player.pass_time(HOUR - 1)
        assert player.lease(head) != [None]
        other = player.accept_one(message(2, life=HOUR)).message
        player.pass_time(1)
        assert player.lease(other) == [None]

    def test_what_has_ended_or_been_sent_is_not_leased(self, player: Player) -> None:
        sent = player.sent(message(1))
        gone = player.ready(message(2))
        player.cancel(gone)
        assert player.lease(sent, gone) == [None, None]

    def test_an_outcome_goes_before_a_lease_of_the_same_commit(self, player: Player) -> None:
        head = player.leased(message(1))
        wish = Lease((Wish(head, slot(2)),))
        leases, _ = player.commit(wish, player.ending(head, OK))
        assert leases == (None,)
        assert player.state(head) is State.SENT

    def test_what_a_commit_accepts_another_verb_of_it_may_cancel_with_its_reason(self, player: Player) -> None:
        first = message(1, group="login")
        player.accept(first, message(2, group="login"))
        record = player.record(first.id)
        assert (record.rows[0].state, record.rows[0].reason) == (State.CANCELLED, "superseded")
        assert [row.event for row in record.journal] == ["accepted", "cancelled"]

    def test_five_hundred_messages_of_one_commit_are_all_kept(self, player: Player) -> None:
        new = [message(count, slots=[slot(count)] if count % 3 == 0 else ()) for count in range(1, 501)]
        assert [kind_of(kept, Kept).message for kept in player.accept(*new)] == [one.id for one in new]
        assert [record.envelope for record in player.reader.records([one.id for one in new])] == [
            one.envelope for one in new
        ]
        assert len(player.accept(*new)) == 500
