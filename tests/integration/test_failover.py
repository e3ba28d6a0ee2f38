"""Two operators: one is cut and comes back under load; an account comes and goes while the daemon runs."""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from mgate.peers.fingerprint import Fingerprint
from mgate.peers.smsc.ledger import Submitted
from tests.integration.instance import CALM, House, Operator, batch, free_port, message, until

CUT = 20.0
LATEST, AT_ONCE = 11.0, 2.0
BUSY = 4.0
"""Seconds that a machine may need which does much else beside."""
EVERY = 0.25
SLOW = "[latency]\nsubmit = 0.05\n" + CALM
fingerprint = Fingerprint().text


class Pair:
    """An instance with a second operator beside its own; messages go to the first while it is there."""

    def __init__(self, house: House) -> None:
        self.house, self.first = house, house.operator
        folder = house.folder / "b"
        folder.mkdir()
        self.second = Operator(folder, free_port())

    @property
    def section(self) -> str:
        """The second account, as the configuration has it."""
        return (
            f'\n[sms.op-b]\nhost = "127.0.0.1"\nport = {self.second.port}\nsystem_id = "mgate"\nwindow = 10\n'
            f'password_file = "{self.house.folder / "password"}"\nplain_tcp = "a test"\n'
        )

    def begin(self, script: str = CALM) -> None:
        """Both operators and the daemon, bound to both."""
        self.second.start(script)
        self.house.operator.start(script)
        self.house.make(sms='reconnect_max = "2s"', more=self.section)
        self.house.start()
        self.house.wait_bound()

    def by_text(self) -> dict[str, list[tuple[str, Submitted]]]:
        """What each operator took of each message, in order."""
        found: dict[str, list[tuple[str, Submitted]]] = defaultdict(list)
        for route, operator in (("sms:op-a", self.first), ("sms:op-b", self.second)):
            for submit in operator.submits():
                found[submit.text].append((route, submit))
        return {text: sorted(submits, key=lambda one: one[1].at) for text, submits in found.items()}

    def hup(self) -> None:
        before = len(self.house.events("config_read", "config_refused"))
        self.house.daemon.signal(signal.SIGHUP)
        until(lambda: len(self.house.events("config_read", "config_refused")) > before, "the configuration is read")
        assert not self.house.events("config_refused")


@pytest.fixture
def pair(house: House) -> Iterator[Pair]:
    made = Pair(house)
    try:
        yield made
    finally:
        if made.second.process is not None and made.second.process.alive:
            made.second.process.kill()


def pushed(house: House, count: int, traffic: str, mark: str) -> dict[str, str]:
    """Push so many at once; the id of each by its text."""
    lines = [message(f"{mark}-{traffic}-{n}", traffic, text=f"Hello {mark} {traffic} {n}") for n in range(count)]
    return {
        str(line["text"]): answer["id"] for line, answer in zip(lines, batch(house.push_socket, lines), strict=True)
    }


def test_a_cut_of_an_operator_under_load_loses_nothing_and_codes_leave_by_the_other(pair: Pair) -> None:
    house = pair.house
    pair.begin(SLOW)
    begun, cut_at = time.time(), 0.0
    ids: dict[str, str] = {}
    accepted: dict[str, float] = {}
    codes: set[str] = set()
    turn = 0
    while (now := time.time()) < begun + 5 + CUT + 3:
        if not cut_at and now > begun + 5:
            cut_at = now
            pair.first.stop()
        if cut_at and now > cut_at + CUT and not (pair.first.process and pair.first.process.alive):
            pair.first.start(SLOW)
        new = pushed(house, 30, "otp", str(turn))
        codes.update(new)
        ids |= new | pushed(house, 20, "transaction", str(turn))
        accepted |= dict.fromkeys(ids.keys() - accepted.keys(), now)
        turn += 1
        time.sleep(max(EVERY - (time.time() - now), 0.0))
    stand = {
        text: house.wait_state(name, "delivered", "sent", "uncertain", limit=60.0)["state"]
        for text, name in ids.items()
    }
    taken = pair.by_text()
    doubtful = [text for text, state in stand.items() if state == "uncertain"]
    assert len(doubtful) <= 10, "more is in doubt than a window holds"
    lost = [text for text in ids.keys() - doubtful if fingerprint(text) not in taken]
    assert not lost, f"{len(lost)} of {len(ids)} never left"
    late = {text: taken[fingerprint(text)][0][1].at - accepted[text] for text in codes}
    assert max(late.values()) <= LATEST + BUSY
    print(f"{len(ids)} messages, {len(doubtful)} in doubt, latest code after {max(late.values()):.1f} s")
    during = [text for text in codes if cut_at + 0.5 < accepted[text] < cut_at + CUT - 1]
    assert {route for text in during for route, _ in taken[fingerprint(text)]} == {"sms:op-b"}
    assert max(late[text] for text in during) < AT_ONCE + BUSY, "a code waited for a route that was known to be down"
    check_repeats(house, ids, taken)
    after = pushed(house, 20, "otp", "after")
    until(lambda: all(fingerprint(text) in pair.by_text() for text in after), "the first operator serves again")
    assert {route for text in after for route, _ in pair.by_text()[fingerprint(text)]} == {"sms:op-a"}


def check_repeats(house: House, ids: dict[str, str], taken: dict[str, list[tuple[str, Submitted]]]) -> None:
    """Whatever was submitted twice is marked so in its trace, attempt by attempt."""
    for text, name in ids.items():
        submits = taken.get(fingerprint(text), [])  # none: in doubt, and the operator was gone before it read it
        if len(submits) > 1:
            attempts = house.show(name)["attempts"]
            marked = [one for one in attempts if one.get("repeat")]
            assert len(marked) >= len(submits) - 1, f"{text}: {len(submits)} submits, {attempts}"


def test_an_account_comes_and_goes_while_the_daemon_runs(pair: Pair) -> None:
    house = pair.house
    house.begin("[latency]\nsubmit = 0.3\n" + CALM)
    pair.second.start()
    plain = house.config.read_text()
    house.config.write_text(plain + pair.section)
    pair.hup()
    house.wait_bound()
    assert {bind["route"] for bind in house.binds()} == {"sms:op-a", "sms:op-b"}

    waiting = pushed(house, 100, "service", "many")
    head, _, tail = (plain + pair.section).partition("[sms.op-a]")
    _, _, rest = tail.partition("\n[sms.op-b]")
    house.config.write_text(f"{head}[sms.op-b]{rest}")
    pair.hup()
    until(lambda: house.events("account_gone"), "the first account is gone")
    assert {bind["route"] for bind in house.binds()} == {"sms:op-b"}
    for name in waiting.values():
        house.wait_state(name, "delivered", limit=30.0)
    taken = pair.by_text()
    assert all(len(taken[fingerprint(text)]) == 1 for text in waiting), "nothing was in doubt, and nothing left twice"
    assert {route for submits in taken.values() for route, _ in submits} == {"sms:op-a", "sms:op-b"}
    assert house.events("route_emptied")

    house.config.write_text(plain + pair.section)
    pair.hup()
    house.wait_bound()
    name = house.pushed("again")
    house.wait_state(name, "delivered")
    shown: list[dict[str, Any]] = house.show(name)["attempts"]
    assert [one["route"] for one in shown] == ["sms:op-a"]


def test_rows_of_an_account_that_was_taken_out_before_a_start_leave_by_another(pair: Pair) -> None:
    house = pair.house
    house.make(sms="")
    house.start()
    names = [house.pushed(f"left-{n}") for n in range(3)]
    house.stop()
    pair.second.start()
    text = house.config.read_text()
    head, _, _ = text.partition("[sms.op-a]")
    house.config.write_text(head + pair.section)
    house.start()
    for name in names:
        house.wait_state(name, "delivered")
