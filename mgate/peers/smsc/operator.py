"""The operator: its account, its sessions, and what it does with a submit_sm."""

import time
from collections.abc import Callable
from itertools import cycle
from typing import Final, TypeVar

from mgate.channels.smpp.pdu import (
    ENQUIRE_LINK,
    ESME_RALYBND,
    ESME_RINVPASWD,
    ESME_RINVSYSID,
    ESME_ROK,
    HEADER,
    OUTBIND,
    SUBMIT_SM_RESP,
    Bind,
    Frame,
    PduError,
    pack_simple,
    status_name,
)
from mgate.peers.fingerprint import Fingerprint
from mgate.peers.smsc import oddities
from mgate.peers.smsc.behaviour import Behaviour
from mgate.peers.smsc.content import Body, Submit, read_body, read_submit
from mgate.peers.smsc.ids import form
from mgate.peers.smsc.ledger import Happened, Ledger, Submitted
from mgate.peers.smsc.owed import Owed
from mgate.peers.smsc.script import Script, status_number
from mgate.peers.smsc.session import Session
from mgate.peers.smsc.wheel import Reactor, Wheel

WIDE: Final = 1 << 64
Argument = TypeVar("Argument")


class Counts:
    """What `--stats` shows: totals since the start."""

    __slots__ = ("binds", "refused", "silent", "submits")

    def __init__(self) -> None:
        self.submits = self.refused = self.silent = self.binds = 0


class Operator:
    """One account of the scripted operator, over all its sessions. `wall` gives seconds since 1970."""

    def __init__(
        self, script: Script, ledger: Ledger, fingerprint: Fingerprint, reactor: Reactor,
        wall: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.script = script
        self.behaviour = Behaviour(script)
        self.counts = Counts()
        self._ledger = ledger
        self._fingerprint = fingerprint
        self._reactor = reactor
        self._wall = wall
        self._wheel = Wheel(reactor, self.turned)
        self._sessions: dict[int, Session] = {}
        self._moment: tuple[float, float] | None = None
        self.owed = Owed(script, ledger, self._wheel, self.moment, self._sessions)
        self._moment = None  # the sweep's first moment is not that of the first turn
        self._next_id = (script.ids.start or int(wall() * 1e6)) + (WIDE if script.ids.wide else 0)
        self._response_form = form(script.ids.response, script.ids.width)
        self._held: list[float] = []
        self._speaking: list[Session] = []
        self._connections = 0
        self._began = reactor.seconds()
        self._garbage = bool(script.garbage.every or script.garbage.bytes_after)
        self._oddities = cycle(script.garbage.kinds or ("nack-zero",))

    def new_session(self) -> Session:
        """A protocol for a new connection."""
        self._connections += 1
        return Session(self, self._connections)

    def later(self, delay: float, act: Callable[[Argument], object], argument: Argument) -> None:
        """Do it after so many seconds; at once for 0."""
        if delay <= 0.0:
            act(argument)
        else:
            self._wheel.at(self._reactor.seconds() + delay, act, argument)

    def moment(self) -> tuple[float, float]:
        """Monotonic seconds, and seconds since 1970, of this turn: what one read brought came at one moment."""
        moment = self._moment
        if moment is None:
            moment = self._moment = self._reactor.seconds(), self._wall()
        return moment

    def turned(self) -> None:
        """The end of a turn: the ledger first, then what the sessions say."""
        self._moment = None
        self._ledger.flush()
        for session in self._speaking:
            session.flush()
        self._speaking.clear()

    def has_words(self, session: Session) -> None:
        """The session has something to write when this turn ends."""
        self._speaking.append(session)

    def stop(self) -> None:
        """End every session and forget what is owed."""
        self._wheel.stop()
        for session in list(self._sessions.values()):
            session.end("unbind", "the operator stops")
        self.turned()

    # Sessions

    def connected(self, session: Session) -> None:
        """A client has connected and not bound yet."""
        if self.script.garbage.outbind:
            session.ask(OUTBIND, self.script.account.system_id.encode() + b"\0\0")

    def bound(self, session: Session, bind: Bind) -> int:
        """Whether the session may bind: a status. An accepted one counts from now on."""
        now = self._reactor.seconds()
        self.counts.binds += 1
        status = self._bind_status(bind, now)
        if status == ESME_ROK:
            self._sessions[session.number] = session
        else:
            self._note(session, "refused", status_name(status))
        return status

    def ready(self, session: Session) -> None:
        """The session's bind was answered: its time runs, and what is owed may go out on it."""
        self._note(session, "bound")
        session.last_submit = self.behaviour.last_submit()
        lifetime = self.behaviour.lifetime()
        if lifetime:
            self.later(lifetime, self._end_of_time, session)
        if self.script.enquire_every:
            self.later(self.script.enquire_every, self._enquire, session)
        self.owed.pump()

    def unbound(self, session: Session) -> None:
        """The client unbound in good order."""
        self._forget(session)
        self._note(session, "unbound")

    def ended(self, session: Session, how: str, why: str) -> None:
        """We end the session."""
        self._forget(session)
        self._note(session, "dropped", f"{how}: {why}")

    def gone(self, session: Session) -> None:
        """The connection is closed. Lost without unbind, it may count as bound for a while."""
        if self._forget(session):
            self._note(session, "lost")
            if self.script.binds.hold:
                self._held.append(self._reactor.seconds() + self.script.binds.hold)

    def _bind_status(self, bind: Bind, now: float) -> int:
        script = self.script
        refused = self.counts.binds <= script.binds.refuse_times or now - self._began < script.binds.refuse_for
        if refused:
            return status_number(script.binds.refuse_status)
        if bind.system_id != script.account.system_id:
            return ESME_RINVSYSID
        if script.account.password and bind.password != script.account.password:
            return ESME_RINVPASWD
        self._held = [until for until in self._held if until > now]
        if 0 < script.account.sessions <= len(self._sessions) + len(self._held):
            return ESME_RALYBND
        return ESME_ROK

    def _forget(self, session: Session) -> bool:
        """Take the session out; what it left unanswered is owed again. False when it was not in."""
        if self._sessions.pop(session.number, None) is None:
            return False
        session.kind = 0
        self.owed.take_back(session)
        return True

    def _end_of_time(self, session: Session) -> None:
        session.end(self.script.disconnects.how, "disconnects.every")

    def _enquire(self, session: Session) -> None:
        if session.kind:
            session.ask(ENQUIRE_LINK)
            self.later(self.script.enquire_every, self._enquire, session)

    def _note(self, session: Session, event: str, detail: str = "") -> None:
        self._ledger.add(Happened(self.moment()[1], session.number, event, detail))

    # Submits

    def submitted(self, session: Session, frame: Frame) -> None:
        """Take one submit_sm: decide, note it, promise its receipts, answer."""
        try:
            submit = read_submit(frame.body)
        except PduError as error:
            session.say(pack_simple(SUBMIT_SM_RESP, frame.sequence, error.status))
            return
        behaviour = self.behaviour
        now, wall = self._moment or self.moment()
        number = self._next_id
        if behaviour.plain:
            status, silent, nameless = ESME_ROK, False, False
        else:
            status = behaviour.status(submit.digits, now)
            silent = behaviour.silent(session.submits)
            nameless = not status and behaviour.nameless()
        name = "" if status else self._response_form(number)
        body = self._enter(wall, name, status, silent, nameless, session.number, frame.sequence, submit)
        self.counts.submits += 1
        if status:
            self.counts.refused += 1
            response = HEADER.pack(16, SUBMIT_SM_RESP, status, frame.sequence)
        else:
            self._next_id = number + 1
            octets = b"\0" if nameless else name.encode() + b"\0"
            response = HEADER.pack(16 + len(octets), SUBMIT_SM_RESP, ESME_ROK, frame.sequence) + octets
            if submit.registered & 1 or self.script.receipts.always:
                promise = behaviour.promise(body.part, body.parts, silent)
                if promise.states:
                    self.owed.promise(session, submit, promise, number, wall, now)
        if silent:
            self.counts.silent += 1
        else:
            self._answer(session, response, now)
        if session.last_submit or self._garbage:
            self._disturb(session)

    def _enter(
        self,
        wall: float,
        name: str,
        status: int,
        silent: bool,
        nameless: bool,
        bind: int,
        sequence: int,
        submit: Submit,
    ) -> Body:
        """Write the ledger's row; the text's place among its parts."""
        body = read_body(submit.esm_class, submit.coding, submit.octets)
        fingerprint = self._fingerprint
        self._ledger.add(
            Submitted(
                wall, name, status, silent, bind, sequence, submit.reference, fingerprint.number(submit.digits),
                fingerprint.text(body.text, body.part), body.reference, body.part, body.parts, submit.validity,
                submit.esm_class, submit.coding, len(submit.octets), nameless,
            )
        )  # fmt: skip
        return body

    def _answer(self, session: Session, response: bytes, now: float) -> None:
        latency = self.behaviour.submit_latency()
        if latency > 0.0:
            self._wheel.at(now + latency, session.say, response)
        else:
            session.say(response)

    def _disturb(self, session: Session) -> None:
        """What the script breaks after a submit."""
        garbage = self.script.garbage
        if garbage.every and self.counts.submits % garbage.every == 0:
            session.say(oddities.pdu(next(self._oddities)))
        if garbage.bytes_after and session.submits == garbage.bytes_after:
            session.say(oddities.STRANGER)
        if session.last_submit and session.submits >= session.last_submit:
            session.end(self.script.disconnects.how, "disconnects.after")
