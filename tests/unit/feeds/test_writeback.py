"""The write-back, told by a clock: what a database is told of the journal, in which transactions, and after what."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from mgate.feeds.bookmarks import Bookmarks
from mgate.feeds.results import newest, results_of
from mgate.feeds.tap import Tap
from mgate.feeds.writeback import BATCH, FEED, GATHER, LONGEST_PAUSE, READ, WriteBack
from mgate.model.message import show_id
from mgate.model.source import Result, SourceError
from mgate.policy.cost import Price
from mgate.spool.journal import FeedEvent
from mgate.spool.verbs import Ack, Acked, NotKept
from tests.conformance.memory_source import MemorySource
from tests.unit.feeds.conftest import AT, World

AWAY = SourceError("unreachable", "db1.bank.example:5432 does not answer", "look at the network")
MISFIT = SourceError("mismatch", "a value is too long for its column", "widen the column")


class Cursors:
    """The spool, as far as cursors go."""

    def __init__(self) -> None:
        self.acks: list[int] = []
        self.full = False

    def acknowledge(self, ack: Ack, done: Callable[[Acked | NotKept], None]) -> None:
        if self.full:
            done(NotKept("no room"))
            return
        assert (ack.client, ack.feed) == ("core", FEED)
        self.acks.append(ack.cursor)
        done(Acked("acked", ack.cursor))


class Notes:
    """Notes what the write-back tells."""

    def __init__(self) -> None:
        self.written = 0
        self.lag = 0.0
        self.failures: list[tuple[str, float]] = []
        self.refusals: list[int] = []
        self.losses: list[tuple[int, int]] = []

    def wrote(self, results: int) -> None:
        self.written += results

    def lags(self, seconds: float) -> None:
        self.lag = seconds

    def failed(self, error: Exception, pause: float) -> None:
        self.failures.append((getattr(error, "reason", type(error).__name__), pause))

    def refused(self, result: Result, error: SourceError) -> None:
        self.refusals.append(result.sequence)

    def lost(self, after: int, place: int) -> None:
        self.losses.append((after, place))


class Choosy(MemorySource):
    """Refuses every batch with a result that does not fit."""

    def __init__(self, fits: Callable[[Result], bool]) -> None:
        super().__init__()
        self.fits = fits

    async def ack(self, results: object) -> None:
        if not all(self.fits(result) for result in results):  # type: ignore[attr-defined]
            raise MISFIT
        await super().ack(results)  # type: ignore[arg-type]


def run(verb: Coroutine[object, object, None]) -> Deferred[None]:
    """As ``Bridge.run``: the source in memory waits for nothing."""
    return Deferred.fromCoroutine(cast("Coroutine[Deferred[object], object, None]", verb))


class House:
    """A journal, a database and the write-back between them."""

    def __init__(self, source: MemorySource | None = None, cursor: int | None = None, *, begin: bool = True) -> None:
        self.world = World()
        if cursor is not None:
            self.world.reader.rows.append(("core", FEED, cursor))
        self.source = source or MemorySource()
        self.spool = Cursors()
        self.notes = Notes()
        if begin:
            self.begin()

    def begin(self) -> None:
        """A new life of the daemon, on the same disk."""
        bookmarks = Bookmarks(self.world.journal, self.spool)
        tap = Tap("core", FEED, self.world.stream, bookmarks, self.world.clock)
        prices = {"sms:op-a": Price("0.014", "BYN")}
        clock = self.world.clock
        wall = lambda: AT / 1000 + clock.seconds()  # noqa: E731
        self.feed = WriteBack(self.source, tap, run, prices, clock, wall, self.notes, versioned=False)
        self.feed.start()

    def commit(self, *clients: str) -> None:
        self.world.commit(*clients)

    def tell(self, *events: FeedEvent) -> None:
        self.world.reader.keep(events)
        self.world.stream.wake()

    def run(self, seconds: float = 1.0) -> None:
        self.world.clock.pump([0.05] * round(seconds / 0.05))

    def told(self) -> list[int]:
        return [result.sequence for batch in self.source.acks for result in batch]


def told(sequence: int, message: int, word: str, *, route: str = "sms:op-a", may: bool = True) -> FeedEvent:
    return FeedEvent(sequence, message, "core", f"pay-{message}", word, "", may, AT + sequence, 2, b"", route)


# ---- results ---------------------------------------------------------------------------------------------------------


def test_a_result_says_what_became_of_a_row_and_what_it_cost() -> None:
    events = [replace(told(9, 1 << 60, "undelivered"), reason="UNDELIV err:011")]
    assert results_of(events, {"sms:op-a": Price("0.014", "BYN")}, versioned=False) == [
        Result(
            key=f"pay-{1 << 60}", version="", sequence=9, state="undelivered", message=show_id(1 << 60),
            reason="UNDELIV err:011", may_have_been_sent=True, at=(AT + 9) / 1000, channel="sms", operator="op-a",
            parts=2, cost="0.028", currency="BYN",
        )
    ]  # fmt: skip


def test_without_a_price_no_cost_is_told_and_what_never_left_costs_nothing() -> None:
    (unpriced,) = results_of([told(1, 1, "sent")], {"sms:op-b": Price("1", "EUR")}, versioned=False)
    assert (unpriced.cost, unpriced.currency) == ("", "")
    (unsent,) = results_of([told(1, 1, "expired", may=False)], {"sms:op-a": Price("0.014", "BYN")}, versioned=False)
    assert (unsent.cost, unsent.currency) == ("0.000", "BYN")


@pytest.mark.parametrize(
    ("ref", "versioned", "identity"),
    [
        ("a/b", False, ("a/b", "")), ("a/b/3", True, ("a/b", "3")), ("a/", True, ("a", "")),
        ("a", True, ("a", "")), ("/", True, ("", "")),
    ],
)  # fmt: skip
def test_key_and_version_are_those_of_the_row(ref: str, versioned: bool, identity: tuple[str, str]) -> None:
    (result,) = results_of([replace(told(1, 1, "sent"), ref=ref)], {}, versioned=versioned)
    assert (result.key, result.version) == identity


@given(st.lists(st.integers(1, 6), max_size=40))
def test_of_each_message_the_newest_event_is_told_in_the_journals_order(messages: list[int]) -> None:
    events = [told(n, message, "sent") for n, message in enumerate(messages, 1)]
    kept = newest(events)
    assert [one.sequence for one in kept] == sorted(one.sequence for one in kept)
    assert {one.message: one.sequence for one in kept} == {one.message: one.sequence for one in events}
    assert len(kept) == len(set(messages))


# ---- the feed --------------------------------------------------------------------------------------------------------


def test_events_of_the_source_and_no_others_are_written_and_then_the_cursor_moves() -> None:
    house = House()
    house.commit("core", "local", "core")
    house.run()
    assert house.told() == [1, 3]
    assert house.spool.acks == [3]
    assert house.notes.written == 2


def test_the_cursor_does_not_move_before_the_databases_commit() -> None:
    house = House()
    house.source.fail("ack", AWAY, 3)
    house.commit("core")
    house.run(0.5)
    assert house.spool.acks == []
    house.run(10)
    assert house.told() == [1]
    assert house.spool.acks == [1]
    assert house.notes.failures == [("unreachable", 1.0), ("unreachable", 2.0), ("unreachable", 4.0)]


def test_a_life_that_ended_between_the_database_and_the_cursor_tells_again_and_changes_nothing() -> None:
    house = House()
    house.spool.full = True
    house.commit("core")
    house.run()
    before = dict(house.source.results)
    house.feed.stop()
    house.spool.full = False
    house.begin()
    house.run()
    assert house.told() == [1, 1]
    assert house.source.results == before
    assert house.spool.acks == [1]


def test_it_goes_on_from_the_durable_cursor() -> None:
    house = House(cursor=2)
    house.commit("core", "core", "core")
    house.run()
    assert house.told() == [3]


def test_a_message_that_is_sent_and_delivered_meanwhile_is_told_once() -> None:
    house = House()
    house.run()
    house.tell(told(1, 7, "accepted"))
    house.run(GATHER / 2)  # this one woke the poll; the next ones gather
    house.tell(told(2, 7, "sent"), told(3, 8, "accepted"))
    house.tell(told(4, 7, "delivered"))
    house.run()
    assert [[(one.key, one.state) for one in batch] for batch in house.source.acks] == [
        [("pay-7", "accepted")],
        [("pay-8", "accepted"), ("pay-7", "delivered")],
    ]


def test_few_events_make_few_transactions() -> None:
    house = House()
    house.run()
    for _ in range(200):
        house.commit("core")
        house.run(0.05)
    house.run()
    assert len(house.told()) == 200
    assert len(house.source.acks) <= 10 / GATHER + 1


def test_a_backlog_is_written_in_batches_that_follow_one_another_without_a_pause() -> None:
    house = House(begin=False)
    for _ in range(5 * READ // 100):
        house.commit(*["core"] * 100)
    house.begin()
    house.world.clock.pump([0.001] * 190)
    assert len(house.told()) >= 4 * READ
    assert max(len(batch) for batch in house.source.acks) == BATCH
    house.run(5)
    assert sorted(set(house.told())) == list(range(1, 5 * READ + 1))


def test_a_backlog_opens_each_run_once() -> None:
    house = House()
    for _ in range(40):
        house.world.reader.append(*["core"] * 100)
    house.commit("core")
    house.run(5)
    assert len(house.told()) == 4001
    assert len(house.world.box.opened) == len(set(house.world.box.opened)) == 41


def test_a_database_that_is_away_for_days_loses_nothing_and_its_lag_is_known() -> None:
    house = House()
    house.source.fail("ack", AWAY, 1_000)
    house.commit("core")
    for _ in range(100):
        house.commit("core", "local")
        house.world.clock.pump([0.5] * 120)
    assert house.told() == []
    assert house.notes.lag == pytest.approx(100 * 60, abs=2 * LONGEST_PAUSE)
    assert max(pause for _, pause in house.notes.failures) == LONGEST_PAUSE
    assert len(house.notes.failures) <= 110  # once a minute
    house.source._failing.clear()
    house.run(2 * LONGEST_PAUSE)
    assert len(set(house.told())) == 101
    assert house.notes.lag == 0.0


def test_what_the_journals_retention_overtook_is_told_and_the_rest_goes_on() -> None:
    house = House(cursor=1, begin=False)
    for _ in range(4):
        house.commit("core", "core")
    del house.world.reader.runs[:2]
    house.begin()
    house.run()
    assert house.notes.losses == [(1, 4)]
    assert house.notes.failures == []
    assert house.told() == [5, 6, 7, 8]
    assert house.spool.acks[-1] == 8


def test_a_source_that_is_new_has_lost_nothing() -> None:
    house = House(begin=False)
    for _ in range(3):
        house.commit("core", "core")
    del house.world.reader.runs[:1]
    house.begin()
    house.run()
    assert house.notes.losses == []
    assert house.told() == [3, 4, 5, 6]


def test_a_result_that_does_not_fit_is_left_out_and_the_others_are_told() -> None:
    house = House(Choosy(lambda result: result.sequence % 5 != 0))
    house.commit(*["core"] * 12)
    house.run()
    assert house.told() == [1, 2, 3, 4, 6, 7, 8, 9, 11, 12]
    assert house.notes.refusals == [5, 10]
    assert house.spool.acks == [12]


def test_when_none_fits_the_mapping_is_wrong_and_everything_waits() -> None:
    choosy = Choosy(lambda _: False)
    house = House(choosy)
    house.commit(*["core"] * 100)
    house.run(30)
    assert (house.told(), house.notes.refusals, house.spool.acks) == ([], [], [])
    assert {reason for reason, _ in house.notes.failures} == {"mismatch"}
    choosy.fits = lambda _: True
    house.run(LONGEST_PAUSE)
    assert len(house.told()) == 100


def test_one_alone_that_does_not_fit_waits_for_another_that_does() -> None:
    house = House(Choosy(lambda result: result.sequence != 1))
    house.commit("core")
    house.run(10)
    assert house.notes.refusals == []
    house.commit("core")
    house.run(LONGEST_PAUSE)
    assert house.told() == [2]
    assert house.notes.refusals == [1]


def test_a_journal_that_cannot_be_read_is_asked_again() -> None:
    house = House()
    house.world.journal.broken = True
    house.feed.stop()
    house.begin()
    house.run(5)
    assert {reason for reason, _ in house.notes.failures} == {"Unread"}
    house.world.journal.broken = False
    house.commit("core")
    house.run(10)
    assert house.told() == [1]


def test_a_quiet_source_beside_a_busy_one_keeps_its_cursor_young() -> None:
    house = House()
    house.run()
    for _ in range(100):
        house.commit("local")
        house.run(1.0)
    assert house.told() == []
    assert house.spool.acks[-1] >= 90
    assert len(house.spool.acks) <= 6


def test_after_the_stop_nothing_is_told_any_more() -> None:
    house = House()
    house.run()
    house.feed.stop()
    house.commit("core")
    house.run(60)
    assert house.told() == []
    assert not house.world.clock.getDelayedCalls() or house.world.stream.waiting <= 1


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["away", "kept", "die", ""])), max_size=25))
@settings(max_examples=60, deadline=None)
def test_whatever_fails_the_database_ends_with_the_newest_of_each_message(steps: list[tuple[int, str]]) -> None:
    house = House()
    newest_of: dict[str, int] = {}
    for sequence, (message, fault) in enumerate(steps, 1):
        house.spool.full = fault == "kept"
        if fault == "away":
            house.source.fail("ack", AWAY)
        house.tell(told(sequence, message, "sent"))
        newest_of[f"pay-{message}"] = sequence
        house.run(0.3)
        if fault == "die":
            house.feed.stop()
            house.begin()
    house.spool.full = False
    house.run(2 * LONGEST_PAUSE)
    assert {key: result.sequence for (key, _), result in house.source.results.items()} == newest_of
