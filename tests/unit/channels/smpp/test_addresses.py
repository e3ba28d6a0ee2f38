"""Which way round a receipt has its addresses is nobody's rule: row 67 of the operators' habits."""

from __future__ import annotations

import pytest

from mgate.channels.smpp import pdu
from mgate.channels.smpp.pdu import Address
from mgate.model.entry import Receipt, Told
from tests.unit.channels.smpp.line import started

THEIRS, OURS, NOBODY = Address(1, 1, "375291110001"), Address(5, 0, "Example"), Address(0, 0, "")
TEXT = b"id:a1 sub:001 dlvrd:001 submit date:2611220510 done date:2611220511 stat:DELIVRD err:000 text:"


@pytest.mark.parametrize(
    ("source", "destination"), [(THEIRS, OURS), (OURS, THEIRS), (NOBODY, NOBODY)], ids=["as said", "swapped", "empty"]
)
def test_a_receipt_says_the_same_whichever_way_round_its_addresses_stand(source: Address, destination: Address) -> None:
    line, call = started()
    call.say(pdu.pack_deliver_sm(11, source, destination, esm_class=4, short_message=TEXT))
    (entry,) = line.ear.entries
    assert isinstance(entry, Receipt)
    assert (entry.account, entry.ids[0], entry.told) == ("sms:op-a", "a1", Told.DELIVERED)
