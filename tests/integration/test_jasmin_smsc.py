"""Real messages through Jasmin, an SMSC that nobody here wrote, to an operator behind it, and its receipts back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from mgate.peers.fingerprint import Fingerprint
from mgate.peers.traffic import Draft, Maker, Mix
from tests.integration.instance import PASSWORD, House, batch, until
from tests.peers import jasmin

MESSAGES = 300
MIX = Mix(parts={1: 0.5, 2: 0.3, 3: 0.2})
BEHIND = "[receipts]\ndelay = 0.1\n[receipts.states]\nDELIVRD = 0.9\nUNDELIV = 0.1\n"


@pytest.fixture
def behind_jasmin(house: House) -> Iterator[House]:
    """A house whose operator stands behind Jasmin; mgate binds to Jasmin, twice."""
    if reason := jasmin.missing():
        pytest.skip(reason)
    house.operator.start(BEHIND)
    behind = house.operator.port
    with jasmin.running(house.folder / "jasmin", behind, PASSWORD) as port:
        house.operator.port = port
        house.make(binds=2, window=20)
        house.operator.port = behind
        house.start()
        house.wait_bound()
        yield house
        house.stop()


def test_every_text_arrives_whole_behind_jasmin_and_every_receipt_comes_back(behind_jasmin: House) -> None:
    house = behind_jasmin
    maker = Maker(482913, MIX, Fingerprint())
    drafts = [maker.make() for _ in range(MESSAGES)]
    taken = batch(house.push_socket, [draft.line for draft in drafts])
    ids = {line["ref"]: line["id"] for line in taken}

    wanted = Counter((draft.to, text) for draft in drafts for text in draft.texts)
    until(lambda: len(house.operator.submits()) >= wanted.total(), "the operator has all parts", 60)
    assert Counter((row.to, row.text) for row in house.operator.submits()) == wanted
    states = Counter(_end(house, ids, draft) for draft in drafts)
    assert set(states) == {"delivered", "undelivered"}
    assert 10 < states["undelivered"] < MESSAGES / 2


def _end(house: House, ids: dict[str, str], draft: Draft) -> str:
    return str(house.wait_state(ids[draft.ref], "delivered", "undelivered", limit=60)["state"])
