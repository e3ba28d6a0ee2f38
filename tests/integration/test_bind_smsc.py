"""The dispatcher and an account's binds, over TCP, against the scripted operator as a process of its own.

Only the spool is a small fake in memory: its commits take a millisecond each, so that slots, marks and outcomes
interleave as they do with a disk.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from pathlib import Path

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.task import LoopingCall, deferLater

from mgate.channels.smpp.channel import SmppChannel
from mgate.config.tree import Sms
from mgate.dispatch.dispatcher import Dispatcher, RoutePlan
from mgate.dispatch.foreign import Foreign
from mgate.dispatch.router import Network, Router
from mgate.model.entry import Entry, Receipt, Told
from mgate.model.message import Outgoing, Secret, State, TrafficClass
from mgate.model.outcome import Outcome
from mgate.peers.smsc.ledger import Acknowledged, Submitted, read
from mgate.policy.routing_table import Table, Target, WeekClock
from mgate.telemetry import Log
from tests.unit.dispatch.world import FOREVER, FakeSpool, Pending, Row

WINDOW = 10


class House:
    """A dispatcher, a channel and a fake spool on the real reactor."""

    def __init__(self, port: int, binds: int) -> None:
        self.spool = FakeSpool(time.time, (WINDOW,) * binds)
        self.receipts: list[Receipt] = []
        self.outcomes: Counter[str] = Counter()
        sms = Sms(
            name="op-a", host="127.0.0.1", port=port, system_id="mgate", plain_tcp="a test",
            password_file=Path("unused"), binds=binds, window=WINDOW, response_limit=1.0, reconnect_min=1.0,
        )  # fmt: skip
        made: list[SmppChannel] = []

        def build(outcomes: object) -> SmppChannel:
            endpoint = HostnameEndpoint(reactor, sms.host, sms.port)
            channel = SmppChannel(
                sms, Secret("demopass"), self, self, endpoint, reactor, time.time, Log(lambda _: None)
            )
            made.append(channel)
            return channel

        plan = RoutePlan("sms:op-a", (WINDOW,) * binds, 0.0, build)
        network = Network(Table.of_accounts([Target(plan.name)]), (plan.name,), WeekClock(UTC))
        router = Router(network, Foreign(86_400.0, bytes(16)), reactor.seconds, time.time)
        self.dispatcher = Dispatcher([plan], router, self.spool, reactor, time.time)
        self.channel = made[0]
        self._next = int(time.time() * 1000) << 20
        self._disk = LoopingCall(self._commit)

    # ---- Outcomes and Receiver, passed on

    def ended(self, route: str, results: Sequence[tuple[Outgoing, Outcome]]) -> None:
        self.outcomes.update(type(outcome).__name__ for _, outcome in results)
        self.dispatcher.ended(route, results)

    def late(self, route: str, results: Sequence[tuple[Outgoing, Outcome]]) -> None:
        self.dispatcher.late(route, results)

    def binds_changed(self, route: str) -> None:
        self.dispatcher.binds_changed(route)

    def receive(self, entries: Sequence[Entry], done: Callable[[bool], None]) -> None:
        self.receipts += [entry for entry in entries if isinstance(entry, Receipt)]
        reactor.callLater(0.001, done, True)

    # ---- the test's own wishes

    def accept(self, traffic: TrafficClass, parts: int) -> None:
        rows = [Row(self._next + n, n + 1, parts, "local", traffic, 0.0, FOREVER) for n in range(parts)]
        self._next += parts
        self.spool.accepts.append(Pending(rows, self.dispatcher.offer("sms:op-a", traffic, "local", parts), False))

    def _commit(self) -> None:
        self.spool.commit(False, self.dispatcher)
        self.spool.answer_reads()

    def start(self) -> None:
        self._disk.start(0.001)
        self.channel.start()

    async def until(self, true: Callable[[], bool], within: float) -> None:
        deadline = time.monotonic() + within
        while not true():
            assert time.monotonic() < deadline, (self.outcomes, self.states())
            await pause(0.02)

    def states(self) -> Counter[State]:
        return Counter(row.state for row in self.spool.rows.values())

    async def stop(self) -> None:
        drained: Deferred[bool] = Deferred()
        self.dispatcher.drain(drained.callback, within=3.0)
        await drained
        await self.channel.stop()
        await pause(0.01)
        self._disk.stop()


def pause(seconds: float) -> Awaitable[None]:
    return deferLater(reactor, seconds, lambda: None)


@asynccontextmanager
async def house(folder: Path, script: str, binds: int = 1) -> AsyncIterator[House]:
    """A house with its operator; both end in order."""
    (folder / "script.toml").write_text(f'port = 0\norder = "shuffled"\n[account]\npassword = "demopass"\n{script}')
    command = [
        sys.executable,
        "-m",
        "mgate.peers.smsc.main",
        str(folder / "script.toml"),
        "--ledger",
        str(folder / "ledger"),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:  # noqa: ASYNC220  # once
        assert process.stdout is not None
        made = House(int(process.stdout.readline().rpartition(":")[2]), binds)
        made.start()
        try:
            yield made
            await made.stop()
        finally:
            process.terminate()
            process.wait(timeout=10)


def submitted(folder: Path) -> list[Submitted]:
    return [row for row in read(folder / "ledger") if isinstance(row, Submitted)]


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # the plugin has no types
async def test_everything_leaves_once_and_every_receipt_comes_whatever_the_order(tmp_path: Path) -> None:
    script = """
[latency]
submit = [0.0, 0.02]
[receipts]
delay = [0.0, 0.05]
before_response = 0.3
other_bind = 0.5
[ids]
response = "hex"
"""
    async with house(tmp_path, script, binds=2) as built:
        await built.until(lambda: len(built.channel.open_binds()) == 2, 10)
        for number in range(300):
            built.accept(list(TrafficClass)[number % 5], 1 + number % 3)
        await built.until(lambda: built.states()[State.SENT] == 600, 20)
        await built.until(lambda: len(built.receipts) == 600, 10)
        await pause(0.05)
    rows = submitted(tmp_path)
    assert len(rows) == 600
    assert all(row.status == 0 and row.validity.endswith("R") for row in rows)
    assert {receipt.told for receipt in built.receipts} == {Told.DELIVERED}
    acknowledged = [row for row in read(tmp_path / "ledger") if isinstance(row, Acknowledged)]
    assert len(acknowledged) == 600
    by_message = Counter((row.reference, row.part, row.parts) for row in rows if row.parts)
    assert len(by_message) == 500
    assert built.outcomes == {"Accepted": 600}


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # the plugin has no types
async def test_a_link_that_is_reset_loses_nothing_and_doubts_no_more_than_its_window(tmp_path: Path) -> None:
    script = "[latency]\nsubmit = 0.02\n[disconnects]\nafter = 60\n"
    async with house(tmp_path, script) as built:
        await built.until(lambda: built.channel.open_binds() == (0,), 10)
        for _ in range(150):
            built.accept(TrafficClass.OTP, 1)
        await built.until(lambda: built.states()[State.SENT] + built.states()[State.UNCERTAIN] == 150, 20)
    rows = submitted(tmp_path)
    doubtful = built.states()[State.UNCERTAIN]
    resets = built.channel.binds[0].counts.connects - 1
    assert resets >= 2
    assert 0 < doubtful <= WINDOW * resets
    assert built.states()[State.SENT] + doubtful == 150
    assert max(Counter(row.umr for row in rows).values()) == 1
    assert built.states()[State.SENT] <= len(rows) <= 150


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # the plugin has no types
async def test_an_operator_that_throttles_gets_everything_in_the_end(tmp_path: Path) -> None:
    async with house(tmp_path, "[throttling]\nqueue_full = 0.05\n[latency]\nsubmit = 0.005\n") as built:
        await built.until(lambda: built.channel.open_binds() == (0,), 10)
        for _ in range(60):
            built.accept(TrafficClass.TRANSACTION, 1)
        await built.until(lambda: built.states()[State.SENT] == 60, 30)
    assert built.outcomes["Deferred"] > 0
    assert set(built.outcomes) <= {"Accepted", "Deferred", "NotWritten"}
    assert sum(row.status == 0 for row in submitted(tmp_path)) == 60


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]  # the plugin has no types
async def test_submits_that_are_never_answered_end_in_doubt_after_their_limit(tmp_path: Path) -> None:
    async with house(tmp_path, "[silence]\nsubmits = 1.0\nreceipts = false\n") as built:
        await built.until(lambda: built.channel.open_binds() == (0,), 10)
        for _ in range(5):
            built.accept(TrafficClass.OTP, 1)
        await built.until(lambda: built.states()[State.UNCERTAIN] == 5, 5)
        await built.until(lambda: built.dispatcher.ways["sms:op-a"].slots.used == 0, 1)
    assert built.outcomes == {"Uncertain": 5}
