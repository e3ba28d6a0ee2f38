"""What the operator owes its client: receipts and inbound messages, each until a deliver_sm_resp says ok.

A delivery goes out on the bind that brought its message, or on any other of the account; with none up it waits, and
what a lost session left unanswered waits again.
"""

from collections import deque
from collections.abc import Callable, Mapping
from itertools import cycle
from typing import Final

from mgate.channels.smpp.pdu import ESME_ROK
from mgate.peers.smsc.behaviour import Promise
from mgate.peers.smsc.content import Submit
from mgate.peers.smsc.ids import form
from mgate.peers.smsc.ledger import Acknowledged, Delivered, Ledger
from mgate.peers.smsc.receipts import ReceiptWriter, deliver_body
from mgate.peers.smsc.script import Script, State
from mgate.peers.smsc.session import Session
from mgate.peers.smsc.wheel import Wheel

SWEEP_EVERY: Final = 1.0
INBOUND: Final = "MO"


class Delivery:
    """A deliver_sm that is owed.

    Attributes:
        id: the message's id as its response wrote it; `state`: the receipt's word, or `MO`.
        body: packed, ready for any session.
        home: the session that brought the message; `elsewhere`: it shall go to another one where there is one.
        attempt: how often it was sent.
    """

    __slots__ = ("attempt", "body", "elsewhere", "home", "id", "state")

    def __init__(self, name: str, state: str, body: bytes, home: Session | None, elsewhere: bool) -> None:
        self.id = name
        self.state = state
        self.body = body
        self.home = home
        self.elsewhere = elsewhere
        self.attempt = 0


class _Due:
    """A receipt whose moment has not come: its body bears the moment, so it is written then."""

    __slots__ = ("elsewhere", "home", "number", "state", "submit", "submitted")

    def __init__(
        self, number: int, state: State, submit: Submit, submitted: float, home: Session, elsewhere: bool
    ) -> None:
        self.number = number
        self.state: State = state
        self.submit = submit
        self.submitted = submitted
        self.home = home
        self.elsewhere = elsewhere


class Owed:
    """The deliveries of one account. `sessions` are its bound ones, kept by the operator; `moment` gives monotonic
    seconds and those since 1970.

    Attributes:
        waiting: what found no bind, or no room on one, oldest first.
        sent, acknowledged: totals, for `--stats`.
    """

    def __init__(
        self, script: Script, ledger: Ledger, wheel: Wheel, moment: Callable[[], tuple[float, float]],
        sessions: Mapping[int, Session],
    ) -> None:  # fmt: skip
        self.waiting: deque[Delivery] = deque()
        self.sent = self.acknowledged = 0
        self._rules = script.receipts
        self._inbound = script.inbound
        self._ledger = ledger
        self._wheel = wheel
        self._moment = moment
        self._sessions = sessions
        self._writer = ReceiptWriter(script.receipts.dialect, script.receipts.reference)
        self._told_form = form(script.ids.response, script.ids.width)
        self._receipt_form = form(script.ids.receipt, script.ids.width)
        self._numbers = cycle(script.inbound.numbers)
        self._inbound_count = 0
        self._later(SWEEP_EVERY, self._sweep)
        if script.inbound.every and script.inbound.numbers:
            self._later(script.inbound.every, self._write_in)

    def promise(
        self, session: Session, submit: Submit, promise: Promise, number: int, wall: float, now: float
    ) -> None:  # fmt: skip
        """Owe the receipts of one accepted submit: `wall` is its moment since 1970, `now` the same on the reactor."""
        last = len(promise.states)
        for place, (state, delay) in enumerate(promise.states, 1):
            due = _Due(number, state, submit, wall, session, promise.other_bind)
            if promise.early and place == last:
                self._due(due)
            else:
                self._wheel.at(now + delay, self._due, due)

    def answered(self, session: Session, delivery: Delivery, status: int) -> None:
        """A deliver_sm_resp came: the debt is paid, or the same goes out again after the pause."""
        if status == ESME_ROK:
            self.acknowledged += 1
            self._ledger.add(Acknowledged(self._moment()[1], delivery.id, delivery.state, session.number))
            if self.waiting:
                self.pump()
        else:
            self._wheel.at(self._moment()[0] + self._rules.retry, self._offer, delivery)

    def take_back(self, session: Session) -> None:
        """A session has ended: what it left unanswered is owed again, before anything newer."""
        self.waiting.extendleft(delivery for delivery, _ in reversed(session.unanswered.values()))
        session.unanswered.clear()
        self.pump()

    def pump(self) -> None:
        """Send what waits, as far as there is a bind with room."""
        waiting = self.waiting
        while waiting and self._send(waiting[0]):
            waiting.popleft()

    def _due(self, due: _Due) -> None:
        submit = due.submit
        name, now = self._receipt_form(due.number), self._moment()[1]
        body = self._writer.body(
            name, due.state, submit.source, submit.destination, due.submitted, now, submit.reference
        )  # fmt: skip
        self._offer(Delivery(self._told_form(due.number), due.state, body, due.home, due.elsewhere))

    def _offer(self, delivery: Delivery) -> None:
        if self.waiting or not self._send(delivery):
            self.waiting.append(delivery)

    def _send(self, delivery: Delivery) -> bool:
        home = delivery.home
        if home is not None and not delivery.elsewhere and home.receives and self._has_room(home):
            session = home
        else:
            roomy = [one for one in self._sessions.values() if one.receives and self._has_room(one)]
            if not roomy:
                return False
            session = next((one for one in roomy if one is not home), roomy[0])
        delivery.attempt += 1
        self.sent += 1
        now, wall = self._moment()
        sequence = session.deliver(delivery, now)
        self._ledger.add(Delivered(wall, delivery.id, delivery.state, session.number, sequence, delivery.attempt))
        return True

    def _has_room(self, session: Session) -> bool:
        return len(session.unanswered) < self._rules.window

    def _sweep(self, _: None) -> None:
        """Send again what has had no answer for the pause."""
        oldest = self._moment()[0] - max(self._rules.retry, SWEEP_EVERY)
        for session in tuple(self._sessions.values()):
            late = [number for number, (__, sent) in session.unanswered.items() if sent < oldest]
            for number in late:
                delivery, __ = session.unanswered.pop(number)
                self._offer(delivery)
        self.pump()
        self._later(SWEEP_EVERY, self._sweep)

    def _write_in(self, _: None) -> None:
        """A customer writes."""
        self._inbound_count += 1
        source = b"\x01\x01" + next(self._numbers).encode() + b"\0"
        destination = b"\0\x01" + self._inbound.to.encode() + b"\0"
        text = self._inbound.text
        octets, coding = (text.encode(), 0) if text.isascii() else (text.encode("utf-16-be"), 8)
        body = deliver_body(source, destination, 0, coding, octets)
        self._offer(Delivery(f"mo-{self._inbound_count}", INBOUND, body, None, False))
        self._later(self._inbound.every, self._write_in)

    def _later(self, delay: float, act: Callable[[None], None]) -> None:
        self._wheel.at(self._moment()[0] + delay, act, None)
