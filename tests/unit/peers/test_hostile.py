"""Every hostile operator of etc/smsc/hostile beside a healthy one, on one virtual clock and wires in memory.

Nothing may be lost and nothing may be sent twice, whatever an operator does; and what it does must not be felt by the
account beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from mgate.channels.smpp.channel import SmppChannel
from mgate.config.tree import Sms
from mgate.model.entry import Entry
from mgate.model.message import Outgoing, Secret, TrafficClass
from mgate.model.outcome import Accepted, Elsewhere, NotWritten, Outcome, Rejected, Uncertain
from mgate.model.outcome import Deferred as PutOff
from mgate.peers.fingerprint import Fingerprint
from mgate.peers.smsc.ledger import Acknowledged, Ledger, Submitted, read
from mgate.peers.smsc.operator import Operator
from mgate.peers.smsc.script import Script, load
from mgate.peers.smsc.script import read as read_script
from mgate.telemetry import Level, Log

SCRIPTS = sorted((Path(__file__).parents[3] / "etc" / "smsc" / "hostile").glob("*.toml"))
START = 1_700_000_000.0
BINDS, WINDOW, PARTS = 2, 10, 200
FINGERPRINT = Fingerprint(b"key")


class End:
    """One end of a wire in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.protocol: IProtocol | None = None
        self.other: End = self
        self.closed = self.disconnecting = False

    def write(self, data: bytes) -> None:
        if not self.closed and not self.disconnecting:
            self._clock.callLater(0, self.other.heard, data)

    def heard(self, data: bytes) -> None:
        if not self.closed and self.protocol is not None:
            self.protocol.dataReceived(data)

    def loseConnection(self) -> None:  # Twisted's name
        if not self.disconnecting:
            self.disconnecting = True
            self._clock.callLater(0, self._over, ConnectionDone())

    def abortConnection(self) -> None:  # Twisted's name
        self.disconnecting = True
        self._over(ConnectionLost())

    def registerProducer(self, producer: object, streaming: bool) -> None: ...  # Twisted's name

    def unregisterProducer(self) -> None: ...  # Twisted's name

    def _over(self, why: Exception) -> None:
        for end in (self, self.other):
            if not end.closed:
                end.closed = end.disconnecting = True
                self._clock.callLater(0, cast("IProtocol", end.protocol).connectionLost, Failure(why))


@implementer(IStreamClientEndpoint)
class Way:
    """Connects to a scripted operator."""

    def __init__(self, operator: Operator, clock: Clock) -> None:
        self._operator = operator
        self._clock = clock

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803  # Twisted's name
        ours, theirs = End(self._clock), End(self._clock)
        ours.other, theirs.other = theirs, ours
        protocol = protocolFactory.buildProtocol(None)  # type: ignore[arg-type]  # nobody looks at the address
        assert protocol is not None
        ours.protocol, theirs.protocol = protocol, self._operator.new_session()
        theirs.protocol.makeConnection(theirs)  # type: ignore[no-untyped-call]  # Twisted has no type for it
        protocol.makeConnection(ours)  # type: ignore[arg-type]  # the same
        return succeed(protocol)


class Account:
    """An account, its operator, and a bank that tries again what surely was not sent, and nothing else."""

    def __init__(self, name: str, script: Script, clock: Clock, folder: Path) -> None:
        self.clock, self.book = clock, folder / name
        self.ledger = Ledger(self.book)
        wall = lambda: START + clock.seconds()  # noqa: E731  # one line of a test
        operator = Operator(script, self.ledger, FINGERPRINT, clock, wall)
        sms = Sms(
            name=name, host="smsc.example", port=2775, system_id="mgate", plain_tcp="a test",
            password_file=Path("unused"), binds=BINDS, window=WINDOW, reconnect_min=1.0, reconnect_max=5.0,
            bad_password_wait=10.0,
        )  # fmt: skip
        self.channel = SmppChannel(
            sms, Secret("demopass"), self, self, Way(operator, clock), clock, wall, Log(lambda _: None, Level.ERROR),
            lambda: 0.5,
        )  # fmt: skip
        self.waiting = list(range(PARTS, 0, -1))
        self.flying: dict[int, int] = {}
        self.results: dict[int, list[Outcome]] = {}
        self.written = self.entries = 0
        self.slow: list[float] = []

    def tick(self) -> None:
        """Submit what there is room for."""
        used, batch = Counter(self.flying.values()), []
        for bind in self.channel.open_binds():
            while self.waiting and used[bind] < WINDOW:
                used[bind] += 1
                batch.append(self._part(self.waiting.pop(), bind))
        if batch:
            self.channel.submit(batch)

    def _part(self, n: int, bind: int) -> Outgoing:
        assert n not in self.flying, "submitted while it is open"
        self.flying[n] = bind
        self.written += 1
        expires, text = START + self.clock.seconds() + 600, Secret(f"Code {n:06d}")
        return Outgoing(n << 20, 1, bind, n, 1, 1, f"+37529111{n:04d}", "Example", text, expires, TrafficClass.OTP)

    def ended(self, route: str, results: Sequence[tuple[Outgoing, Outcome]]) -> None:
        for part, outcome in results:
            n = part.reference
            assert self.flying.pop(n) == part.bind, "ended twice"
            self.results.setdefault(n, []).append(outcome)
            if isinstance(outcome, PutOff | NotWritten | Elsewhere):
                self.waiting.insert(0, n)

    def late(self, route: str, results: Sequence[tuple[Outgoing, Outcome]]) -> None:
        for part, outcome in results:
            assert isinstance(self.results[part.reference][-1], Uncertain)
            self.results[part.reference].append(outcome)

    def binds_changed(self, route: str) -> None: ...

    def receive(self, entries: Sequence[Entry], done: Callable[[bool], None]) -> None:
        self.entries += len(entries)
        self.clock.callLater(0.002, done, True)

    def check(self) -> None:
        """Nothing lost, nothing doubled, nothing thought sent or not sent that was not."""
        self.ledger.flush()
        rows = list(read(self.book))
        taken = Counter(row.text for row in rows if isinstance(row, Submitted) and row.status == 0)
        assert all(count == 1 for count in taken.values()), "sent twice"
        for n, outcomes in self.results.items():
            was_taken = FINGERPRINT.text(f"Code {n:06d}", 0) in taken
            last = outcomes[-1]
            if was_taken:
                assert isinstance(last, Accepted | Uncertain), "sent, and thought not to be"
            else:
                assert not isinstance(last, Accepted), "thought sent, and was not"
        assert len(self.results) + len(set(self.waiting) - set(self.results)) + len(
            set(self.flying) - set(self.results)
        ) == PARTS, "a part was lost"  # fmt: skip
        assert sum(isinstance(row, Acknowledged) for row in rows) <= self.entries, "answered before it was kept"

    def count(self, kind: type[Outcome]) -> int:
        return sum(isinstance(outcomes[-1], kind) for outcomes in self.results.values())


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_hostile_operator_costs_no_message_and_its_neighbour_nothing(path: Path, tmp_path: Path) -> None:
    clock = Clock()
    calm = read_script('[account]\npassword = "demopass"\n[latency]\nsubmit = 0.01')
    hostile, healthy = Account("bad", load(path), clock, tmp_path), Account("good", calm, clock, tmp_path)
    for account in (hostile, healthy):
        account.channel.start()
    for step in range(1500):
        clock.advance(0.02)
        hostile.tick()
        if step >= 750:  # by then the other has shown all that it can do
            healthy.tick()
    for account in (hostile, healthy):
        account.check()
    assert healthy.count(Accepted) == PARTS
    assert healthy.written == PARTS, "the neighbour had to try again"
    assert sum(bind.counts.connects for bind in healthy.channel.binds) == BINDS
    assert hostile.written, "nothing was tried"


def test_there_are_forty_of_them_and_each_says_what_it_does() -> None:
    assert len(SCRIPTS) >= 40
    said = [path.read_text().splitlines()[0] for path in SCRIPTS]
    assert all(line.startswith("# ") for line in said)
    assert len(set(said)) == len(said)


def test_what_an_operator_refused_for_good_is_not_sent_again(tmp_path: Path) -> None:
    clock = Clock()
    script = read_script('[account]\npassword = "demopass"\n[errors]\nshares = { ESME_RINVDSTADR = 1.0 }')
    account = Account("bad", script, clock, tmp_path)
    account.channel.start()
    for _ in range(300):
        clock.advance(0.02)
        account.tick()
    account.check()
    assert (account.count(Rejected), account.written) == (PARTS, PARTS)
