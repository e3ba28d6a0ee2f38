"""One configured bind: it keeps a session up, and says how it stands.

Connecting again is ``ClientService``'s work, when to do so is ``reconnect``'s. An administrator's pause and the pause
that an operator asks for by throttling both stop new submits here, and leave the session and its answers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, assert_never

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint

from mgate.channels.smpp.dial import Dial, Links
from mgate.channels.smpp.events import (
    Arrived,
    BindRefused,
    Bound,
    Close,
    Ended,
    Event,
    Late,
    Note,
    Noted,
    Pause,
    Refusal,
)
from mgate.channels.smpp.hosts import Hosts
from mgate.channels.smpp.link import Link
from mgate.channels.smpp.owner import Owner, Results
from mgate.channels.smpp.reconnect import STEADY, reconnect_wait
from mgate.channels.smpp.session import Session
from mgate.channels.smpp.signing import credentials_of
from mgate.channels.smpp.standing import BindCounts, BindKind, BindState, BindStatus
from mgate.channels.smpp.suspicion import GIVEN_UP_AFTER, SUSPECT_AFTER, Suspicion
from mgate.channels.smpp.throttle import Throttle
from mgate.channels.smpp.trace import Trace
from mgate.config.tree import Sms
from mgate.model.message import Outgoing, Secret
from mgate.model.outcome import Accepted, NotWritten, Uncertain
from mgate.telemetry import Event as Logged
from mgate.telemetry import Log

_UNBIND_LIMIT: Final = 2.0
_LOOK_EVERY: Final = 0.05
_ACCOUNTS_OWN: Final = frozenset({Refusal.BAD_CREDENTIALS, Refusal.ALREADY_BOUND})
"""Refusals that say nothing about the host: another one would refuse as well."""


class Bind:
    """One configured bind of an account.

    Args:
        wall: seconds since 1970, for ``since``; ``chance``: from [0, 1).
    """

    def __init__(
        self, index: int, sms: Sms, password: Secret, owner: Owner, hosts: Hosts, clock: IReactorTime,
        wall: Callable[[], float], chance: Callable[[], float], log: Log, kind: BindKind = BindKind.TRANSCEIVER,
    ) -> None:  # fmt: skip
        self.index = index
        self.counts = BindCounts()
        self._sms = sms
        self._kind = kind
        self._credentials = credentials_of(sms, password, kind)
        self._owner = owner
        self._hosts = hosts
        self._host = 0
        self._clock = clock
        self._wall = wall
        self._chance = chance
        self._log = log
        self._link: Link | None = None
        self._trace: Trace | None = None
        self._state = BindState.WAITING
        self._since = wall()
        self._paused = self._resting = self._stopping = self._over = self._barred = False
        self._last_error = self._given_up = ""
        self._failures = 0
        self._refusal: Refusal | None = None
        self._bound_at: float | None = None
        self._taken_before = 0
        self._throttle = Throttle(clock, owner.changed)
        self._start: IDelayedCall | None = None
        self._moving: IDelayedCall | None = None
        self._moves = False
        self._told: set[Note] = set()
        dial = Dial(self._dialling, self._not_connected)
        self._service = ClientService(dial, Links(self._new_link), self._wait, clock)
        self._stopped: Deferred[None] | None = None
        self._suspicion = Suspicion(clock, self._doubted, self._give_up)

    # ---- what the account asks ----

    @property
    def open(self) -> bool:
        """Whether it takes parts now."""
        link = self._link
        return (
            self._kind is not BindKind.RECEIVER
            and not (self._paused or self._resting or self._stopping or self._throttle.rests)
            and link is not None
            and link.bound
        )

    @property
    def bound(self) -> bool:
        """Whether it has a session, whatever else keeps it from taking parts."""
        return self._link is not None and self._link.bound

    @property
    def suspect(self) -> bool:
        """Whether it has taken submits for a while and answered none: nothing that is urgent belongs there."""
        return self._suspicion.suspect

    def status(self) -> BindStatus:
        """How it stands."""
        in_flight = self._link.session.outstanding if self._link else 0
        state = BindState.PAUSED if self._paused else self._state
        peer = self._hosts[self._host].name if self.counts.connects else ""
        return BindStatus(
            self.index, state, self._since, in_flight, self._throttle.rests, self._last_error, self.suspect, peer,
            self._kind,
        )  # fmt: skip

    def submit(self, parts: Sequence[Outgoing], bodies: Sequence[bytes]) -> NotWritten | None:
        """Ask for a submit_sm for each, which leave with ``flush``; NotWritten when the bind takes none."""
        if not self.open or self._link is None:
            return NotWritten("bind_not_open")
        self.counts.submits += len(parts)
        self._suspicion.asked()
        return self._link.submit(parts, bodies)

    def flush(self) -> None:
        """Write what was submitted."""
        if self._link is not None:
            self._link.flush()

    def trace(self, trace: Trace | None) -> None:
        """Show every PDU to this one from now on; None: to nobody."""
        self._trace = trace
        self._tap()

    def _tap(self) -> None:
        if self._link is not None:
            name = f"{self.index}" if self._kind is not BindKind.RECEIVER else f"{self.index} receiver"
            begun = self._link.session.framer.rest
            self._link.tap = self._trace.tap(name, begun) if self._trace is not None else None

    def pause(self) -> None:
        """An administrator's wish: nothing more leaves; what was written is still answered."""
        self._set_paused(True)

    def resume(self) -> None:
        """Let it leave again, and forget what the operator asked for by throttling, and that it refused the password:
        whoever says so has spoken with it."""
        self._throttle.lift()
        self._set_paused(False)
        if self._refusal is Refusal.BAD_CREDENTIALS and self._link is None and self._service.running:
            self._hosts.lockout.lift()
            self._refusal = None
            self._service.stopService()
            self.start()

    def start(self) -> None:
        """Connect, as soon as the host's spacing lets it."""
        now = self._clock.seconds()
        at, self._host = self._hosts.plan(now, now)
        self._start = self._clock.callLater(at - now, self._service.startService)

    def stop(self) -> Deferred[None]:
        """Unbind in order and connect no more; fires when the connection is gone."""
        self._over = True
        return self._leave()

    def apply(self, sms: Sms) -> None:
        """Go on by these settings; those of a connection hold from the next one."""
        self._sms = sms

    def rest(self) -> None:
        """Take nothing more until ``renew``; what was written is still answered."""
        self._resting = True
        self._owner.changed()

    def retire(self) -> Deferred[None]:
        """Take nothing more, and stop when what was written is answered; fires when the connection is gone."""
        gone: Deferred[None] = Deferred()
        self.rest()
        self._drain(lambda: self.stop().chainDeferred(gone))
        return gone

    def renew(self, password: Secret, hosts: Hosts, kind: BindKind) -> Deferred[None]:
        """Unbind in order and sign on by other settings, however the last try went; fires when the old connection is
        gone. A ``stop`` that comes meanwhile holds."""

        def begin(_: object) -> None:
            if self._over:
                return
            self._kind = kind
            self._credentials = credentials_of(self._sms, password, kind)
            self._hosts = hosts
            self._resting = self._stopping = False
            self._failures, self._refusal, self._last_error = 0, None, ""
            self._throttle.lift()
            self.start()

        return self._leave().addCallback(begin)

    def _leave(self) -> Deferred[None]:
        self._stopping = True
        self._owner.changed()
        for call in (self._start, self._moving):
            if call is not None and call.active():
                call.cancel()
        self._throttle.lift()
        stopped = self._stopped = Deferred()
        if self._link is None:
            self._stop_service()
        else:
            drop = self._clock.callLater(_UNBIND_LIMIT, self._link.drop)
            stopped.addBoth(lambda _: drop.cancel() if drop.active() else None)
            self._link.unbind()
        return stopped

    # ---- what a link tells ----

    def _heard(self, link: Link, event: Event[Outgoing]) -> None:
        match event:
            case Ended(results):
                self._ended(link, results)
            case Late(results):
                self.counts.late += len(results)
                self._suspicion.answered(link.session.outstanding > 0)
                self._owner.late(results)
            case Pause(reason):
                self._pause_for(reason)
            case Bound():
                self._bound()
            case BindRefused(why, reason):
                self._refused(why, reason)
            case Arrived(arrivals):
                self.counts.arrivals += len(arrivals)
                self._owner.arrived(link, arrivals)
            case Noted(what, detail):
                self._noted(what, detail)
            case Close():
                self._owner.changed()  # the link closes itself, and its end comes by `_gone`
            case _:
                assert_never(event)

    def _ended(self, link: Link, results: Results) -> None:
        kinds = [outcome.__class__ for _, outcome in results]
        counts, accepted = self.counts.outcomes, kinds.count(Accepted)
        counts[Accepted] += accepted
        if accepted != len(kinds):
            counts.update(kind for kind in kinds if kind is not Accepted)
        if accepted:
            self._throttle.taken()
        lost = kinds.count(Uncertain)
        if accepted or lost + kinds.count(NotWritten) < len(kinds):
            self._suspicion.answered(link.session.outstanding > 0)
        if lost:
            self._log(Logged.ANSWERS_LOST, route=self._sms.route, bind=self.index, count=lost)
        self._owner.ended(results)

    def _refused(self, why: Refusal, reason: str) -> None:
        self._refusal, self._last_error = why, reason
        self.counts.refusals[why] += 1
        if why is Refusal.BAD_CREDENTIALS:
            self._hosts.lockout.refused(self._clock.seconds(), self._sms.bad_password_wait)
        self._enter(BindState.REFUSED)
        self._log(Logged.BIND_REFUSED, route=self._sms.route, bind=self.index, reason=reason)

    def _bound(self) -> None:
        self._refusal, self._last_error = None, ""
        self._bound_at = self._clock.seconds()
        self._taken_before = self.counts.outcomes[Accepted]
        self._hosts.lockout.taken()
        self._resting = self._resting and not self._moves
        self._moves = False
        self._fail_back()
        self._enter(BindState.BOUND)
        self._log(Logged.BIND_OPENED, route=self._sms.route, bind=self.index)
        self._owner.changed()

    def _noted(self, what: Note, detail: str) -> None:
        """Each kind is logged once a connection: a peer that repeats itself must not fill the log."""
        self.counts.notes[what] += 1
        if what not in self._told:
            self._told.add(what)
            lawful = what in {Note.ALERT, Note.OUTBIND}
            word = Logged.OPERATOR_CALLED if lawful else Logged.OPERATOR_BROKE_PROTOCOL
            self._log(word, route=self._sms.route, bind=self.index, reason=what.value, detail=detail)

    def _gone(self, link: Link, reason: str, orderly: bool) -> None:
        """A session that lasted, or took messages until the operator ended it as it may, is no failure."""
        self._link = None
        if self._bound_at is None and self._refusal is not Refusal.BAD_CREDENTIALS:
            self._hosts.lockout.not_tried()
        given_up, self._given_up = self._given_up, ""
        reason = given_up or reason
        self._suspicion.over()
        if self._moving is not None and self._moving.active():
            self._moving.cancel()
        now, bound_at, self._bound_at = self._clock.seconds(), self._bound_at, None
        taken = self.counts.outcomes[Accepted] > self._taken_before
        lasted = bound_at is not None and (now - bound_at >= STEADY or (orderly and taken)) and not given_up
        if lasted:
            self._failures = 0
        elif not self._stopping and self._refusal not in _ACCOUNTS_OWN and not self._moves:
            self._hosts.failed(self._host, now)
        if self._state is not BindState.REFUSED:
            self._enter(BindState.WAITING)
            self._last_error = "" if self._stopping else reason
            fine = orderly and lasted
            self.counts.orderly += fine and not self._stopping
            word = Logged.BIND_ENDED if fine else Logged.BIND_CLOSED
            self._log(word, route=self._sms.route, bind=self.index, reason=reason)
        self._owner.changed()
        if self._stopped is not None:
            self._stop_service()

    # ---- back to the host that is preferred ----

    def _fail_back(self) -> None:
        """Bound on another host than the first: look again when one before it may be tried."""
        wait = self._hosts.comes_back(self._host, self._clock.seconds())
        if wait is not None:
            self._moving = self._clock.callLater(max(wait, _LOOK_EVERY), self._move)

    def _move(self) -> None:
        """Take nothing more, wait for the answers that are open, then unbind: the next call goes to the best host."""
        link = self._link
        if link is None or not link.bound or self._stopping:
            return
        if self._hosts.best(self._clock.seconds()) >= self._host:
            self._fail_back()
            return
        self._moves = True
        self.rest()
        self._drain(link.unbind)

    def _drain(self, then: Callable[[], object], until: float | None = None) -> None:
        """Do it when no submit is open, or after a while."""
        now = self._clock.seconds()
        until = now + self._sms.response_limit if until is None else until
        if self._link is not None and self._link.session.outstanding and now < until:
            self._moving = self._clock.callLater(_LOOK_EVERY, self._drain, then, until)
        else:
            then()

    # ---- suspicion ----

    def _doubted(self) -> None:
        """It is suspect now, or is not any more."""
        word = Logged.BIND_SUSPECT if self.suspect else Logged.BIND_TRUSTED
        self._log(word, route=self._sms.route, bind=self.index, seconds=SUSPECT_AFTER)
        self._owner.changed()

    def _give_up(self) -> None:
        """Another connection may fare better. What is open on this one ends as it would on any that is lost."""
        if self._link is not None:
            self._given_up = f"no answer to any submit for {SUSPECT_AFTER + GIVEN_UP_AFTER:g} s"
            self._link.unbind()

    # ---- pauses ----

    def _set_paused(self, paused: bool) -> None:
        if paused is not self._paused:
            self._paused = paused
            self._since = self._wall()
            word = Logged.BIND_PAUSED if paused else Logged.BIND_RESUMED
            self._log(word, route=self._sms.route, bind=self.index)
        self._owner.changed()

    def _pause_for(self, reason: str) -> None:
        """The operator asks to slow down."""
        seconds = 0.0 if self._stopping else self._throttle.asked()
        if seconds:
            self.counts.throttles += 1
            self._log(Logged.BIND_THROTTLED, route=self._sms.route, bind=self.index, reason=reason, seconds=seconds)
            self._owner.changed()

    # ---- connecting ----

    def _dialling(self) -> IStreamClientEndpoint | None:
        self._barred = not self._hosts.lockout.may_try(self._clock.seconds())
        if self._barred:
            self._last_error = self._last_error or "waits until the operator has taken the account's password"
            return None
        self.counts.connects += 1
        self._refusal = None
        self._enter(BindState.CONNECTING)
        self._log(Logged.BIND_CONNECTING, route=self._sms.route, bind=self.index)
        return self._hosts[self._host].endpoint

    def _not_connected(self, reason: str) -> None:
        self._last_error = reason
        self._enter(BindState.WAITING)
        self._hosts.failed(self._host, self._clock.seconds())
        self._hosts.lockout.not_tried()

    def _new_link(self) -> Link:
        self._told = set()
        session: Session[Outgoing] = Session(
            self._credentials,
            enquire_every=self._sms.enquire_link,
            response_limit=self._sms.response_limit,
            profile=self._sms.profile,
        )
        self._link = Link(session, self._clock, self._heard, self._gone)
        self._tap()
        return self._link

    def _wait(self, _attempts: int) -> float:
        """ClientService counts connects; a connect that is refused at the bind is no success, so we count ourselves."""
        self._failures += not self._barred
        sms, now, hosts = self._sms, self._clock.seconds(), self._hosts
        wait = reconnect_wait(
            max(self._failures, 1), self._refusal, sms.reconnect_min, sms.reconnect_max, sms.bad_password_wait,
            self._chance(), sms.profile.connection.already_bound_wait,
        )  # fmt: skip
        at, self._host = hosts.plan(now, now + max(wait, hosts.lockout.left(now)))
        return at - now

    def _enter(self, state: BindState) -> None:
        if state is not self._state:
            self._state = state
            self._since = self._wall()

    def _stop_service(self) -> None:
        done, self._stopped = self._stopped, None
        if done is not None:
            stopping: Deferred[None] = self._service.stopService() if self._service.running else _done()
            stopping.addBoth(lambda _: done.callback(None))


def _done() -> Deferred[None]:
    done: Deferred[None] = Deferred()
    done.callback(None)
    return done
