"""What a reader answers, and the journal's chains."""

from mgate.model.message import State, TrafficClass
from mgate.model.outcome import Deferred, Uncertain
from mgate.model.ready import Ask
from mgate.spool.engine import Count
from tests.conformance.player import (
    HOUR,
    NOW,
    NUMBER,
    OTHER_NUMBER,
    OTHER_ROUTE,
    ROUTE,
    Player,
    message,
    number_of,
    phone_tag,
    tag,
)
from tests.conformance.store_acceptance import Played
from tests.conformance.store_answers import repeated

LANE = 2


def ask(limit: int = 10, *, route: str = ROUTE, lane: int = LANE, skip: frozenset[str] = frozenset()) -> Ask:
    return Ask(route, lane, limit, skip)


class QuestionClaims(Played):
    # ---- what is ready ---------------------------------------------------------------------------------------------

    def test_an_empty_spool_has_nothing_to_say(self, player: Player) -> None:
        answer = player.reader.ready(ask(), NOW)
        assert (answer.headers, answer.next_due) == ((), 0.0)
        assert player.reader.clients() == []
        assert player.reader.counts(NOW) == []
        assert player.reader.records([number_of(1)]) == []

    def test_ready_parts_come_by_client_in_the_order_they_are_due(self, player: Player) -> None:
        player.pass_time(100)
        for count, due, client in [(1, 30, "local"), (2, 10, "local"), (3, 20, "cards"), (4, 10, "local")]:
            player.ready(message(count, due=NOW + due, client=client))
        headers = player.reader.ready(ask(), player.now).headers
        by_client = {header.client: [] for header in headers}  # type: dict[str, list[int]]
        for header in headers:
            by_client[header.client].append(header.part)
        assert by_client == {"local": [number_of(2), number_of(4), number_of(1)], "cards": [number_of(3)]}
        runs = [header.client for header in headers]
        assert runs == sorted(runs, key=runs.index)

    def test_a_header_says_what_the_dispatcher_needs(self, player: Player) -> None:
        head = player.ready(message(1, parts=2, life=HOUR))
        player.lease(head)
        player.end(head, Deferred("ESME_RTHROTTLED"))
        player.pass_time(1_000)
        one, two = sorted(player.reader.ready(ask(), player.now).headers, key=lambda header: header.part)
        assert (one.part, one.n, one.parts, one.client, one.attempts) == (head, 1, 2, "local", 1)
        assert (two.part, two.n, two.parts, two.head, two.attempts) == (head + 1, 2, 2, head, 0)
        assert one.expires == (NOW + HOUR) / 1000

    def test_only_so_many_of_each_client(self, player: Player) -> None:
        for count in range(1, 7):
            player.ready(message(count, client="local" if count < 5 else "cards"))
        headers = player.reader.ready(ask(limit=3), player.now).headers
        assert sorted(header.part for header in headers) == [number_of(count) for count in (1, 2, 3, 5, 6)]

    def test_a_client_of_whom_enough_is_known_is_skipped(self, player: Player) -> None:
        player.accept(
            message(1, client="local"), message(2, client="cards", due=NOW), message(3, client="cards", due=NOW + 5)
        )
        answer = player.reader.ready(ask(skip=frozenset({"cards"})), player.now)
        assert [header.part for header in answer.headers] == [number_of(1)]
        assert answer.next_due == (NOW + 5) / 1000

    def test_another_route_and_another_lane_are_not_asked(self, player: Player) -> None:
        player.accept(message(1, route=OTHER_ROUTE), message(2, traffic=TrafficClass.OTP))
        assert player.reader.ready(ask(), player.now).headers == ()
        assert len(player.reader.ready(ask(route=OTHER_ROUTE), player.now).headers) == 1
        assert len(player.reader.ready(ask(lane=1), player.now).headers) == 1
        assert player.reader.ready(ask(route="sms:unheard-of"), player.now).headers == ()

    def test_classes_of_one_lane_are_asked_together(self, player: Player) -> None:
        player.accept(message(1, traffic=TrafficClass.FRAUD), message(2, traffic=TrafficClass.OTP))
        assert len(player.reader.ready(ask(lane=1), player.now).headers) == 2

    def test_what_is_not_due_or_over_is_not_ready(self, player: Player) -> None:
        player.accept(message(1, due=NOW + 20), message(2, due=NOW + 10), message(3, life=5))
        player.pass_time(5)
        answer = player.reader.ready(ask(), player.now)
        assert (answer.headers, answer.next_due) == ((), (NOW + 10) / 1000)

    def test_what_was_leased_is_not_ready(self, player: Player) -> None:
        player.leased(message(1))
        assert player.reader.ready(ask(), player.now).headers == ()

    # ---- who and where ---------------------------------------------------------------------------------------------

    def test_messages_are_found_by_their_reference(self, player: Player) -> None:
        mine = player.ready(message(1, ref="r", client="local"))
        player.ready(message(2, ref="r", client="cards"))
        assert player.reader.by_ref([("local", tag("ref r"))]) == [mine]
        assert player.reader.by_ref([("local", tag("ref s")), ("nobody", tag("ref r"))]) == []

    def test_messages_are_found_by_their_number_newest_first(self, player: Player) -> None:
        for count in (1, 2, 3, 4):
            player.ready(message(count, number=OTHER_NUMBER if count == 2 else NUMBER, parts=2))
        tags = [phone_tag(6, NUMBER), phone_tag(7, NUMBER)]
        assert player.reader.by_phone(tags, 2) == [number_of(4), number_of(3)]
        assert player.reader.by_phone(tags, 10) == [number_of(count) for count in (4, 3, 1)]

    def test_the_messages_of_a_client_are_read_in_the_order_of_their_acceptance(self, player: Player) -> None:
        for count in (1, 2, 3, 4, 5):
            player.ready(message(count, parts=2, client="cards" if count == 3 else "local"))
        accepted = player.reader.accepted
        assert accepted("local", 0, number_of(5), 2) == [number_of(1), number_of(2)]
        assert accepted("local", number_of(2), number_of(5), 2) == [number_of(4)]
        assert accepted("cards", 0, number_of(9), 9) == [number_of(3)]
        assert accepted("nobody", 0, number_of(9), 9) == []

    def test_every_client_that_ever_had_a_message_is_known(self, player: Player) -> None:
        player.accept(message(1, client="local"), message(2, client="cards"))
        assert sorted(player.reader.clients()) == ["cards", "local"]

    def test_live_parts_are_counted(self, player: Player) -> None:
        player.accept(message(1, parts=2), message(2, due=NOW + 10), message(3, client="cards"))
        player.sent(message(4, traffic=TrafficClass.OTP))
        kind = TrafficClass.TRANSACTION
        assert set(player.reader.counts(player.now)) == {
            Count(ROUTE, kind, "local", State.READY, True, 2, NOW),
            Count(ROUTE, kind, "local", State.READY, False, 1, NOW),
            Count(ROUTE, kind, "cards", State.READY, True, 1, NOW),
            Count(ROUTE, TrafficClass.OTP, "local", State.SENT, False, 1, NOW),
        }

    # ---- records and the journal -----------------------------------------------------------------------------------

    def test_records_are_asked_in_batches_and_parts_are_no_messages(self, player: Player) -> None:
        heads = [player.ready(message(count, parts=3)) for count in (1, 2)]
        assert sorted(record.rows[0].id for record in player.reader.records([*heads, number_of(9)])) == heads
        assert [len(record.rows) for record in player.reader.records(heads)] == [3, 3]

    def test_a_record_shows_every_attempt_in_order(self, player: Player) -> None:
        head = repeated(player, traffic=TrafficClass.FRAUD)
        player.end(head, Uncertain("link_lost", link_alive=False, routes=(OTHER_ROUTE,)))
        assert player.release(head, 2)
        player.lease(head, reference=3, route=OTHER_ROUTE)
        attempts = player.record(head).attempts
        assert [(one.n, one.reference, one.route, one.repeat) for one in attempts] == [
            (1, 1, ROUTE, False),
            (2, 2, ROUTE, True),
            (3, 3, OTHER_ROUTE, True),
        ]

    def test_the_journal_grows_by_one_for_each_change_of_a_message(self, player: Player) -> None:
        heads = [player.sent(message(count, parts=count)) for count in (1, 2, 3)]
        player.cancel(player.ready(message(4)))
        for n in (1, 2):
            player.hear(f"op-2-{n}")
        rows = [row for head in [*heads, number_of(4)] for row in player.record(head).journal]
        assert sorted(row.sequence for row in rows) == list(range(1, len(rows) + 1))
        for head in [*heads, number_of(4)]:
            assert player.record(head).rows[0].event == player.record(head).journal[-1].sequence
        assert player.reader.last_event() == len(rows)
        assert player.events(heads[1]) == ["accepted", "sent", "delivered"]

    def test_the_sequence_goes_on_after_a_new_start(self, player: Player) -> None:
        first = player.ready(message(1))
        player.reopen()
        second = player.ready(message(2))
        assert [player.record(head).journal[0].sequence for head in (first, second)] == [1, 2]
