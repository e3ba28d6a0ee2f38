"""A kind of messages that has a pace of its own waits in the spool for its turn; others go by."""

from __future__ import annotations

from tests.integration.instance import CALM, House, batch, message


def test_messages_with_a_tag_leave_at_their_pace_and_others_at_once(house: House) -> None:
    house.operator.start(CALM)
    house.make(more='[paces.spring]\nrate = 5\nclasses = ["service"]\ntags = ["spring"]\n')
    house.start()
    house.wait_bound()
    lines = [message(f"s{n}", tags=["spring"]) for n in range(16)]
    paced = [answer["id"] for answer in batch(house.push_socket, lines)]
    other = house.pushed("other")
    house.wait_state(other, "delivered")
    assert house.state(paced[-1]) == "waiting"
    for name in paced:
        house.wait_state(name, "delivered")
    moments = sorted(submit.at for submit in house.operator.submits())
    assert moments[-1] - moments[0] > 1.7, "sixteen at five a second, of which six leave at once, take two seconds"
