"""A dispatcher that is held leases nothing, writes down what ends, and goes on where it stood."""

from __future__ import annotations

from mgate.model.message import TrafficClass
from mgate.model.outcome import Accepted
from tests.unit.dispatch.world import ROUTE, World


def test_nothing_is_leased_while_held_and_everything_after() -> None:
    world = World()
    waiting = [world.stored(TrafficClass.SERVICE) for _ in range(3)]
    world.dispatcher.hold()
    world.dispatcher.binds_changed(ROUTE)
    world.settle()
    assert not world.written
    assert not world.way.slots.used
    world.dispatcher.go_on()
    world.settle()
    assert world.written == waiting


def test_no_slot_is_offered_while_held() -> None:
    world = World()
    world.dispatcher.binds_changed(ROUTE)
    world.settle()
    world.dispatcher.hold()
    part = world.accept(TrafficClass.OTP)
    world.settle()
    assert not world.written
    world.dispatcher.go_on()
    world.settle()
    assert world.written == [part]


def test_outcomes_free_their_slots_while_held() -> None:
    world = World()
    for _ in range(15):
        world.stored(TrafficClass.OTP)
    world.dispatcher.binds_changed(ROUTE)
    world.settle()
    assert len(world.written) == 10
    world.dispatcher.hold()
    world.channel.answer(Accepted("1"))
    world.settle()
    assert (len(world.written), world.way.slots.used) == (10, 0)
    world.dispatcher.go_on()
    world.settle()
    assert len(world.written) == 15


def test_what_is_said_again_changes_nothing() -> None:
    world = World()
    world.dispatcher.hold()
    world.dispatcher.hold()
    world.dispatcher.go_on()
    world.dispatcher.go_on()
    part = world.stored(TrafficClass.SERVICE)
    world.settle()
    world.run(1.1, 0.1)
    assert world.written == [part]
