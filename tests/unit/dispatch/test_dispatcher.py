import pytest

from mgate.model.message import State, TrafficClass
from mgate.model.outcome import Accepted, Deferred, Uncertain
from mgate.spool.verbs import NotKept
from tests.unit.dispatch.world import ROUTE, START, World

OTP, MARKETING, SERVICE = TrafficClass.OTP, TrafficClass.MARKETING, TrafficClass.SERVICE


def settled(windows: tuple[int, ...] = (10,), rate: float = 0.0) -> World:
    """A world whose dispatcher has looked into an empty spool."""
    world = World(windows, rate)
    world.dispatcher.binds_changed(ROUTE)
    world.settle()
    return world


def test_a_message_that_finds_a_free_slot_leaves_with_the_accepting_commit() -> None:
    world = settled()
    part = world.accept(OTP)
    assert world.written == []
    world.commit()
    assert world.written == [part]
    assert world.spool.leases == []


def test_before_the_first_look_into_the_spool_nothing_is_offered() -> None:
    world = World()
    old = world.stored(OTP)
    young = world.accept(OTP)
    world.commit()
    assert world.written == []
    world.settle()
    assert world.written == [old, young]


def test_a_slot_is_free_only_when_the_outcome_is_on_the_disk() -> None:
    world = settled((1,))
    first, second = world.accept(OTP), world.accept(OTP)
    world.settle()
    world.channel.answer(Accepted("1"))
    world.clock.advance(0)
    assert world.written == [first]
    assert world.way.slots.used == 1
    world.settle()
    assert world.written == [first, second]


def test_a_slot_offered_to_a_duplicate_goes_back_after_its_commit() -> None:
    world = settled((1,), rate=10)
    world.accept(OTP, known=True)
    assert world.way.slots.used == 1
    world.commit()
    assert world.way.slots.used == 0
    world.accept(OTP)
    world.commit()
    assert len(world.written) == 1


def test_a_long_message_is_offered_a_slot_for_each_part_or_none() -> None:
    world = settled((4,))
    world.accept(OTP, parts=2)
    assert world.way.slots.used == 2
    world.accept(OTP, parts=3)
    assert world.way.slots.used == 2


def test_the_young_do_not_overtake_the_old_of_their_lane() -> None:
    world = settled((1,))
    parts = [world.accept(OTP), world.accept(OTP)]
    world.settle()
    world.channel.answer(Accepted("1"))
    for _ in range(3):
        parts.append(world.accept(OTP))
        world.settle()
        world.channel.answer(Accepted("1"))
    assert world.written == parts[:4]


def test_a_read_that_began_before_a_message_came_does_not_hide_it() -> None:
    world = settled((1,))
    world.accept(OTP)
    world.settle()
    world.clock.advance(2)  # the usual look into an empty spool is asked for...
    second = world.accept(OTP)
    world.commit()  # ...the message comes...
    world.spool.answer_reads()  # ...and the answer says that there is none
    world.channel.answer(Accepted("1"))
    world.commit()
    world.accept(OTP)
    world.settle()
    assert world.written[1] == second


def test_an_otp_finds_a_slot_though_all_of_bulks_are_taken() -> None:
    world = settled((10,))
    for _ in range(30):
        world.accept(MARKETING)
    world.settle()
    assert len(world.written) == 8
    codes = [world.accept(OTP), world.accept(OTP)]
    world.commit()
    assert world.written[8:] == codes
    world.accept(OTP)
    world.settle()
    assert len(world.written) == 10


@pytest.mark.parametrize(("window", "bulk"), [(1, 1), (2, 1), (3, 2), (5, 4), (6, 4), (10, 8), (300, 240)])
def test_bulk_uses_at_most_four_fifths_of_a_window(window: int, bulk: int) -> None:
    world = World((window,))
    for _ in range(window + 5):
        world.stored(MARKETING)
    world.dispatcher.binds_changed(ROUTE)
    world.settle()
    assert len(world.written) == bulk


def test_lanes_are_strict() -> None:
    world = World((1,))
    marketing, service, otp = world.stored(MARKETING), world.stored(SERVICE), world.stored(OTP)
    world.dispatcher.binds_changed(ROUTE)
    for _ in range(3):
        world.settle()
        world.channel.answer(Accepted("1"))
    assert world.written == [otp, service, marketing]


def test_the_parts_of_a_message_leave_together_in_order_and_on_one_bind() -> None:
    world = World((4, 7))
    long = world.stored(SERVICE, parts=5)
    world.dispatcher.binds_changed(ROUTE)
    world.settle()
    assert world.written == [long + n for n in range(5)]
    assert {outgoing.bind for outgoing in world.channel.written} == {1}


def test_a_message_longer_than_the_window_leaves_as_slots_come_free_before_its_lane_goes_on() -> None:
    world = World((2,))
    long, short = world.stored(OTP, parts=5), world.stored(OTP, client="other")
    world.dispatcher.binds_changed(ROUTE)
    for _ in range(5):
        world.settle()
        world.channel.answer(Accepted("1"), 1)
    assert world.written == [*(long + n for n in range(5)), short]


def test_a_message_begun_on_one_bind_goes_on_there() -> None:
    world = World((2, 2))
    for _ in range(2):
        world.stored(OTP)
    long = world.stored(OTP, parts=4)
    world.dispatcher.binds_changed(ROUTE)
    world.settle()
    binds = {outgoing.part: outgoing.bind for outgoing in world.channel.written}
    assert len(binds) == 4
    for _ in range(2):
        world.channel.answer(Accepted("1"))
        world.settle()
    binds |= {outgoing.part: outgoing.bind for outgoing in world.channel.written}
    assert binds[long + 1] == binds[long + 2] == binds[long + 3]


def test_a_failed_lease_gives_its_slots_back_and_nothing_is_tried_for_a_second() -> None:
    world = World((2,), rate=10)
    parts = [world.stored(OTP), world.stored(OTP)]
    world.dispatcher.binds_changed(ROUTE)
    world.clock.advance(0)
    world.spool.answer_reads()
    assert len(world.spool.leases) == 1
    world.commit(fails=True)
    assert world.way.slots.used == 0
    world.clock.advance(0.9)
    world.settle()
    assert world.dispatcher.offer(ROUTE, OTP, "local", 1) == ()
    assert world.written == []
    for _ in range(3):
        world.clock.advance(0.11)
        world.settle()
    assert world.written == parts


def test_what_died_while_its_lease_was_committed_is_not_written() -> None:
    world = settled()
    part = world.accept(OTP, expires=START + 5)
    world.clock.advance(5)
    world.commit()
    assert world.written == []
    world.settle()
    assert world.spool.rows[part].state is State.READY
    assert world.way.slots.used == 0
    assert world.way.overdue == 1


def test_what_a_lost_link_left_in_doubt_holds_its_slot_until_that_is_written_down() -> None:
    world = settled((1,))
    world.accept(OTP)
    world.settle()
    world.channel.drop(0)
    world.channel.rise(0)
    world.accept(OTP)
    world.clock.advance(0)
    assert len(world.written) == 1
    world.settle()
    assert len(world.written) == 2


def test_an_outcome_that_the_spool_cannot_take_costs_its_own_slot_and_no_other() -> None:
    world = settled((5,))
    for _ in range(3):
        world.accept(OTP)
    world.settle()
    world.channel.answer(Accepted("1"))
    (batch, done), world.spool.ends = world.spool.ends[0], []
    done(NotKept("a bug of mgate"))
    (_, first_done), *rest = world.spool.ends
    world.spool.ends = rest
    first_done(NotKept("a bug of mgate"))
    world.settle()
    assert len(batch) == 3
    assert world.way.slots.used == 1
    assert world.way.failed == 1


def test_a_late_answer_touches_no_slot() -> None:
    world = settled((1,))
    world.accept(OTP)
    world.settle()
    late = world.channel.flying[0]
    world.channel.answer(Uncertain("response_timeout", True))
    world.commit()
    world.accept(OTP)
    world.commit()
    world.dispatcher.late(ROUTE, [(late, Accepted("9"))])
    world.commit()
    assert world.way.slots.used == 1
    assert world.spool.rows[late.part].state is State.SENT


def test_throttling_pauses_and_burns_nothing() -> None:
    world = settled((10,))
    parts = [world.accept(MARKETING) for _ in range(8)]
    world.settle()
    world.channel.up.clear()
    world.channel.answer(Deferred("ESME_RTHROTTLED"))
    for _ in range(50):
        world.clock.advance(0.1)
        world.settle(2)
    assert len(world.written) == 8
    world.channel.rise(0)
    world.run(2.0)
    assert sorted(world.written[8:]) == parts


@pytest.mark.parametrize("younger", [1, 10, 300])
def test_a_throttled_part_leaves_before_the_younger_ones_that_were_read_ahead(younger: int) -> None:
    world = settled((2,))
    old = [world.accept(OTP) for _ in range(2)]
    world.settle()
    young = [world.accept(OTP) for _ in range(younger)]
    world.settle()
    assert world.way.queued > 0
    world.channel.up.clear()
    world.channel.answer(Deferred("ESME_RTHROTTLED"))
    world.settle()
    world.channel.rise(0)
    world.run(15.0)
    assert world.written == [*old, *old, *young]


def test_a_deferred_part_leaves_when_it_is_due_again() -> None:
    world = settled()
    part = world.accept(OTP)
    world.settle()
    world.channel.answer(Deferred("link_weather"))
    world.settle()
    world.clock.advance(0.99)
    world.settle()
    assert world.written == [part]
    world.clock.advance(0.011)
    world.settle()
    assert world.written == [part, part]


def test_a_message_for_later_waits_and_holds_up_nobody() -> None:
    world = settled()
    later = world.accept(OTP, due=START + 60)
    world.settle()
    now = world.accept(OTP)
    world.commit()
    assert world.written == [now]
    for _ in range(601):
        world.clock.advance(0.1)
        world.settle(2)
    assert world.written == [now, later]


def test_a_row_that_nobody_told_of_is_found_within_a_second() -> None:
    world = settled()
    part = world.stored(OTP)
    world.clock.advance(1)
    world.settle()
    assert world.written == [part]


def test_a_read_that_is_older_than_a_lease_does_not_cost_a_slot() -> None:
    world = World((100,))
    for _ in range(60):
        world.stored(OTP)
    world.dispatcher.binds_changed(ROUTE)
    world.clock.advance(0)
    world.spool.answer_reads()  # sixty are picked, and their lease is asked for
    world.dispatcher.waits(ROUTE, OTP, 0, (), START)
    world.clock.advance(0)  # so the lane is read, as it was before that lease
    world.commit()
    world.spool.answer_reads()
    world.settle()
    assert len(world.written) == 60
    assert world.way.missed == 0


def test_memory_holds_a_few_windows_of_headers_whatever_waits() -> None:
    world = World((10,))
    for _ in range(2000):
        world.stored(MARKETING)
    world.dispatcher.binds_changed(ROUTE)
    most = 0
    for _ in range(200):
        world.settle(1)
        world.channel.answer(Accepted("1"), 3)
        most = max(most, world.way.queued)
    assert 0 < most <= 128


def test_an_idle_dispatcher_reads_each_lane_once_a_second() -> None:
    world = settled()
    before = world.spool.read_count
    for _ in range(1000):
        world.clock.advance(0.01)
        world.spool.answer_reads()
    assert world.spool.read_count - before <= 4 * 10 + 4


def test_a_full_window_with_a_backlog_does_not_make_the_reader_spin() -> None:
    world = World((2,))
    for _ in range(100):
        world.stored(OTP)
    world.dispatcher.binds_changed(ROUTE)
    world.settle()
    before = world.spool.read_count
    for _ in range(100):
        world.clock.advance(0.01)
        world.settle(2)
    assert world.spool.read_count - before <= 8


def test_draining_leases_nothing_more_and_ends_when_every_slot_is_free() -> None:
    world = settled((2,))
    for _ in range(4):
        world.accept(OTP)
    world.settle()
    told: list[bool] = []
    world.dispatcher.drain(told.append)
    world.channel.answer(Accepted("1"))
    world.settle()
    assert told == [True]
    assert len(world.written) == 2
    assert world.clock.getDelayedCalls() == []


def test_draining_gives_up_after_its_time() -> None:
    world = settled()
    world.accept(OTP)
    world.settle()
    told: list[bool] = []
    world.dispatcher.drain(told.append, within=10)
    world.clock.advance(9.9)
    assert told == []
    world.clock.advance(0.2)
    assert told == [False]
    world.channel.drop(0)
    world.settle()
    assert told == [False]
    assert world.way.slots.used == 0


def test_draining_an_idle_dispatcher_is_done_at_once() -> None:
    told: list[bool] = []
    settled().dispatcher.drain(told.append)
    assert told == [True]


def test_a_code_leaves_by_a_bind_that_is_not_suspect_and_the_rest_by_any() -> None:
    world = settled((4, 4))
    world.channel.deaf = {0}
    codes = [world.accept(OTP) for _ in range(3)]
    world.commit()
    others = [world.accept(SERVICE) for _ in range(2)]
    world.settle()
    binds = {outgoing.part: outgoing.bind for outgoing in world.channel.flying}
    assert [binds[part] for part in codes] == [1, 1, 1]
    assert {binds[part] for part in others} == {0}


def test_codes_that_wait_leave_by_a_bind_that_is_not_suspect() -> None:
    world = settled((1, 1))
    first = [world.accept(OTP) for _ in range(4)]
    world.channel.deaf = {0}
    world.settle()
    assert [outgoing.part for outgoing in world.channel.flying] == first[:2]
    world.channel.answer(Accepted("1"))
    world.settle()
    assert [(outgoing.part, outgoing.bind) for outgoing in world.channel.flying] == [(first[2], 1)]
