"""One configured bind: it keeps a session up, and says how it stands.

Connecting again is ``ClientService``'s work, when to do so is ``reconnect``'s. An administrator's pause and the pause
that an operator asks for by throttling both stop new submits here, and leave the session and its answers alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol, assert_never

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint

from mgate.channels.smpp.dial import Dial, Links
from mgate.channels.smpp.events import (
    Arrival,
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
from mgate.channels.smpp.link import Link
from mgate.channels.smpp.reconnect import STEADY, Spacing, reconnect_wait
from mgate.channels.smpp.session import Credentials, Session
from mgate.channels.smpp.suspicion import GIVEN_UP_AFTER, SUSPECT_AFTER, Suspicion
from mgate.config.tree import Sms
from mgate.model.message import Outgoing, Secret
from mgate.model.outcome import Accepted, NotWritten, Outcome, Uncertain
from mgate.telemetry import Event as Logged
from mgate.telemetry import Log

_FIRST_THROTTLE: Final = 1.0
_LONGEST_THROTTLE: Final = 30.0
_UNBIND_LIMIT: Final = 2.0

Results = Sequence[tuple[Outgoing, Outcome]]


class BindState(Enum):
    """How a bind stands. PAUSED is by an administrator; its session may be up or not."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    BOUND = "bound"
    REFUSED = "refused"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class BindStatus:
    """A bind at one moment.

    Attributes:
        since: when it came into that state, seconds since 1970.
        in_flight: submits without an answer.
        throttled: whether it rests because the operator asked to slow down.
        last_error: what ended the last connection or refused the last bind; empty for nothing.
        suspect: whether it takes submits and answers none (`suspicion`).
    """

    bind: int
    state: BindState
    since: float
    in_flight: int
    throttled: bool
    last_error: str
    suspect: bool = False


@dataclass(slots=True)
class BindCounts:
    """Plain counts since the start, for whoever shows them. ``outcomes`` by their class, ``notes`` by their kind."""

    submits: int = 0
    outcomes: Counter[type[Outcome]] = field(default_factory=Counter)
    late: int = 0
    throttles: int = 0
    connects: int = 0
    arrivals: int = 0
    notes: Counter[Note] = field(default_factory=Counter)


class Owner(Protocol):
    """The account, as its binds see it."""

    def ended(self, results: Results) -> None:
        """Attempts ended."""

    def late(self, results: Results) -> None:
        """Answers came after their time-out."""

    def arrived(self, link: Link, arrivals: Sequence[Arrival]) -> None:
        """Inbound PDUs wait for their answer."""

    def changed(self) -> None:
        """A bind opened, closed, was paused or resumed."""


_VERSIONS: Final = {"3.3": 0x33, "3.4": 0x34, "5.0": 0x50}


def credentials_of(sms: Sms, password: Secret) -> Credentials:
    """What a bind of this account says of us."""
    return Credentials(sms.system_id, password, sms.system_type, _VERSIONS[sms.profile.connection.version])


class Bind:
    """One configured bind of an account.

    Args:
        wall: seconds since 1970, for ``since``; ``chance``: from [0, 1).
    """

    def __init__(
        self, index: int, sms: Sms, password: Secret, owner: Owner, endpoint: IStreamClientEndpoint, spacing: Spacing,
        clock: IReactorTime, wall: Callable[[], float], chance: Callable[[], float], log: Log,
    ) -> None:  # fmt: skip
        self.index = index
        self.counts = BindCounts()
        self._sms = sms
        self._credentials = credentials_of(sms, password)
        self._owner = owner
        self._spacing = spacing
        self._clock = clock
        self._wall = wall
        self._chance = chance
        self._log = log
        self._link: Link | None = None
        self._state = BindState.WAITING
        self._since = wall()
        self._paused = self._resting = self._stopping = self._over = False
        self._last_error = self._given_up = ""
        self._failures = 0
        self._refusal: Refusal | None = None
        self._bound_at: float | None = None
        self._throttle = 0.0
        self._throttled: IDelayedCall | None = None
        self._start: IDelayedCall | None = None
        self._told: set[Note] = set()
        self._dial = Dial(endpoint, self._dialling, self._not_connected)
        self._service = ClientService(self._dial, Links(self._new_link), self._wait, clock)
        self._stopped: Deferred[None] | None = None
        self._suspicion = Suspicion(clock, self._doubted, self._give_up)

    # ---- what the account asks ----

    @property
    def open(self) -> bool:
        """Whether it takes parts now."""
        link = self._link
        return (
            not (self._paused or self._resting or self._stopping or self._throttled) and link is not None and link.bound
        )

    @property
    def suspect(self) -> bool:
        """Whether it has taken submits for a while and answered none: nothing that is urgent belongs there."""
        return self._suspicion.suspect

    def status(self) -> BindStatus:
        """How it stands."""
        in_flight = self._link.session.outstanding if self._link else 0
        state = BindState.PAUSED if self._paused else self._state
        throttled = self._throttled is not None
        return BindStatus(self.index, state, self._since, in_flight, throttled, self._last_error, self.suspect)

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

    def pause(self) -> None:
        """An administrator's wish: nothing more leaves; what was written is still answered."""
        self._set_paused(True)

    def resume(self) -> None:
        """Let it leave again, and forget what the operator asked for by throttling."""
        self._unthrottle()
        self._throttle = 0.0
        self._set_paused(False)

    def start(self) -> None:
        """Connect, as soon as the account's spacing lets it."""
        now = self._clock.seconds()
        self._start = self._clock.callLater(self._spacing.plan(now, now) - now, self._service.startService)

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

    def renew(self, password: Secret, endpoint: IStreamClientEndpoint) -> Deferred[None]:
        """Unbind in order and sign on by other settings, however the last try went; fires when the old connection is
        gone. A ``stop`` that comes meanwhile holds."""

        def begin(_: object) -> None:
            if self._over:
                return
            self._credentials = credentials_of(self._sms, password)
            self._dial.endpoint = endpoint
            self._resting = self._stopping = False
            self._failures, self._refusal, self._last_error, self._throttle = 0, None, "", 0.0
            self.start()

        return self._leave().addCallback(begin)

    def _leave(self) -> Deferred[None]:
        self._stopping = True
        self._owner.changed()
        for call in (self._start, self._throttled):
            if call is not None and call.active():
                call.cancel()
        self._throttled = None
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
                self._refusal, self._last_error = why, reason
                self._enter(BindState.REFUSED)
                self._log(Logged.BIND_REFUSED, route=self._sms.route, bind=self.index, reason=reason)
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
        if accepted and self._throttle and self._throttled is None:
            self._throttle = 0.0
        lost = kinds.count(Uncertain)
        if accepted or lost + kinds.count(NotWritten) < len(kinds):
            self._suspicion.answered(link.session.outstanding > 0)
        if lost:
            self._log(Logged.ANSWERS_LOST, route=self._sms.route, bind=self.index, count=lost)
        self._owner.ended(results)

    def _bound(self) -> None:
        self._refusal, self._last_error = None, ""
        self._bound_at = self._clock.seconds()
        self._enter(BindState.BOUND)
        self._log(Logged.BIND_OPENED, route=self._sms.route, bind=self.index)
        self._owner.changed()

    def _noted(self, what: Note, detail: str) -> None:
        """Each kind is logged once a connection: a peer that repeats itself must not fill the log."""
        self.counts.notes[what] += 1
        if what not in self._told and what not in {Note.ALERT, Note.OUTBIND}:
            self._told.add(what)
            self._log(
                Logged.OPERATOR_BROKE_PROTOCOL, route=self._sms.route, bind=self.index, reason=what.value, detail=detail
            )  # fmt: skip

    def _gone(self, link: Link, reason: str, orderly: bool) -> None:
        self._link = None
        reason, self._given_up = self._given_up or reason, ""
        self._suspicion.over()
        steady = self._bound_at is not None and self._clock.seconds() - self._bound_at >= STEADY
        self._bound_at = None
        if steady:
            self._failures = 0
        if self._state is not BindState.REFUSED:
            self._enter(BindState.WAITING)
            self._last_error = "" if self._stopping else reason
            self._log(Logged.BIND_CLOSED, route=self._sms.route, bind=self.index, reason=reason)
        self._owner.changed()
        if self._stopped is not None:
            self._stop_service()

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
        """The operator asks to slow down. A window's worth of such answers is one wish: the pause doubles only when
        the first submits after it are throttled again."""
        if self._throttled is not None or self._stopping:
            return
        self.counts.throttles += 1
        self._throttle = min(max(self._throttle * 2, _FIRST_THROTTLE), _LONGEST_THROTTLE)
        self._throttled = self._clock.callLater(self._throttle, self._throttle_over)
        self._log(
            Logged.BIND_THROTTLED, route=self._sms.route, bind=self.index, reason=reason, seconds=self._throttle
        )  # fmt: skip
        self._owner.changed()

    def _throttle_over(self) -> None:
        self._throttled = None
        self._owner.changed()

    def _unthrottle(self) -> None:
        if self._throttled is not None:
            self._throttled.cancel()
            self._throttled = None

    # ---- connecting ----

    def _dialling(self) -> None:
        self.counts.connects += 1
        self._enter(BindState.CONNECTING)
        self._log(Logged.BIND_CONNECTING, route=self._sms.route, bind=self.index)

    def _not_connected(self, reason: str) -> None:
        self._last_error = reason
        self._enter(BindState.WAITING)

    def _new_link(self) -> Link:
        self._told = set()
        session: Session[Outgoing] = Session(
            self._credentials,
            enquire_every=self._sms.enquire_link,
            response_limit=self._sms.response_limit,
            profile=self._sms.profile,
        )
        self._link = Link(session, self._clock, self._heard, self._gone)
        return self._link

    def _wait(self, _attempts: int) -> float:
        """ClientService counts connects; a connect that is refused at the bind is no success, so we count ourselves."""
        self._failures += 1
        sms, now = self._sms, self._clock.seconds()
        wait = reconnect_wait(
            self._failures, self._refusal, sms.reconnect_min, sms.reconnect_max, sms.bad_password_wait, self._chance()
        )
        return self._spacing.plan(now, now + wait) - now

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
