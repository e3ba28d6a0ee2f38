"""Two operators; the first goes on taking messages and brings nothing to anybody any more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mgate.peers.fingerprint import Fingerprint
from tests.integration.instance import CALM, House, until
from tests.integration.test_failover import Pair, pushed

NOTHING_ARRIVES = CALM + "states = { UNDELIV = 1.0 }\n"
QUALITY = '[quality]\nwindow = "1m"\nin_time = "5s"\nslow_after = "2s"\nleast = 20\n'
fingerprint = Fingerprint().text


@pytest.fixture
def pair(house: House) -> Iterator[Pair]:
    made = Pair(house)
    try:
        yield made
    finally:
        if made.second.process is not None and made.second.process.alive:
            made.second.process.kill()


def test_an_operator_that_delivers_nothing_any_more_is_named_and_the_other_takes_its_messages(pair: Pair) -> None:
    house = pair.house
    pair.begin(CALM)
    house.config.write_text(house.config.read_text() + QUALITY)
    pair.hup()
    for name in pushed(house, 20, "service", "before").values():
        house.wait_state(name, "delivered")
    pair.first.stop()
    pair.first.start(NOTHING_ARRIVES)
    house.wait_bound()
    for name in pushed(house, 60, "service", "lost").values():
        house.wait_state(name, "undelivered")
    poor = until(lambda: house.events("route_poor"), "the account is judged", 30.0)
    assert (poor[0]["route"], poor[0]["reason"]) == ("sms:op-a", "few_delivered")
    after = pushed(house, 10, "service", "after")
    for name in after.values():
        house.wait_state(name, "delivered")
    taken = pair.by_text()
    assert {route for text in after for route, _ in taken[fingerprint(text)]} == {"sms:op-b"}
