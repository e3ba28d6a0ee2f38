"""One operator account: a channel over all its binds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint

from mgate.channels.smpp.bind import Bind
from mgate.channels.smpp.events import Arrival
from mgate.channels.smpp.hosts import Hosts
from mgate.channels.smpp.link import Link
from mgate.channels.smpp.owner import Results
from mgate.channels.smpp.pdu import ESME_ROK, ESME_RX_T_APPN
from mgate.channels.smpp.reception import Reception
from mgate.channels.smpp.rendering import Rendering
from mgate.channels.smpp.siblings import Siblings
from mgate.channels.smpp.standing import BindKind, BindState, BindStatus
from mgate.channels.smpp.trace import Trace
from mgate.config.operators import Profile
from mgate.config.tree import Sms
from mgate.model.entry import Entry, Receipt
from mgate.model.message import Outgoing, Secret
from mgate.model.outcome import Accepted, Outcome, Rejected
from mgate.model.ports import Channel, Outcomes, Receiver
from mgate.telemetry import Log

_COMING_LIMIT: Final = 20.0
"""Seconds that a bind which is to take another's place may need to be bound."""


class _Coming(NamedTuple):
    """A bind that is to take another's place, who waits for that, and what gives up on it."""

    fresh: Bind
    done: Deferred[bool]
    late: IDelayedCall


class SmppChannel(Channel):
    """The way out by one SMPP account.

    Where the operator wants pairs, each bind is a transmitter and has a receiver beside it; receipts are matched by
    account, so that it does not matter which of them they come by.

    Args:
        endpoint: the way to connect: its hosts, or the only one.
        wall: seconds since 1970, for what is left of a message's life; ``clock`` is for everything else.
        chance: from [0, 1), spreads reconnects.
    """

    def __init__(
        self, sms: Sms, password: Secret, outcomes: Outcomes, receiver: Receiver,
        endpoint: IStreamClientEndpoint | Hosts, clock: IReactorTime, wall: Callable[[], float], log: Log,
        chance: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._sms = sms
        self._outcomes = outcomes
        self._receiver = receiver
        self._wall = wall
        self._open: tuple[int, ...] = ()
        self._trusted: tuple[int, ...] = ()
        self._rendering = Rendering(sms.profile, sms.source_ton, sms.source_npi)
        self.reception = Reception(sms.route, sms.profile)
        self._siblings = _siblings_of(sms.profile)
        self._partial: IDelayedCall | None = None
        self._password, self._hosts = password, _hosts(endpoint, sms)
        self._clock, self._chance, self._log = clock, chance, log
        self._coming: dict[int, _Coming] = {}
        self.binds = [self._new(index) for index in range(sms.binds)]
        self.receivers = {index: self._new_receiver(index) for index in range(sms.binds) if self._pairs}

    # ---- Channel ----

    @property
    def name(self) -> str:
        """The route's name, such as ``sms:op-a``."""
        return self._sms.route

    @property
    def profile(self) -> Profile:
        """The operator's, by which it goes."""
        return self._sms.profile

    def open_binds(self, urgent: bool = False) -> Sequence[int]:
        """The binds that take parts now; ``urgent``: otp and fraud, which a suspect bind gets only if all are."""
        return self._trusted if urgent else self._open

    @property
    def suspect(self) -> bool:
        """Whether binds are open and all of them are suspect: what is urgent belongs on another route."""
        return bool(self._open) and all(self.binds[index].suspect for index in self._open)

    def submit(self, batch: Sequence[Outgoing]) -> None:
        """Write these parts, in one piece for each bind."""
        body, wall = self._rendering.body, self._wall()
        refused: list[tuple[Outgoing, Outcome]] = []
        asked: dict[int, tuple[list[Outgoing], list[bytes]]] = {}
        for part in batch:
            rendered = body(part, wall)
            if isinstance(rendered, Rejected):
                refused.append((part, rendered))
                continue
            index = part.bind
            parts, bodies = asked.get(index) or asked.setdefault(index, ([], []))
            parts.append(part)
            bodies.append(rendered)
        self._rendering.forget()
        for index, (parts, bodies) in asked.items():
            unwritten = self.binds[index].submit(parts, bodies)
            if unwritten is None:
                self.binds[index].flush()
            else:
                refused += [(part, unwritten) for part in parts]
        if refused:
            self._outcomes.ended(self.name, refused)

    # ---- life ----

    def start(self) -> None:
        """Connect every bind."""
        for bind in self._all():
            bind.start()

    def stop(self) -> Deferred[None]:
        """Unbind all; fires when every connection is gone and has told of its attempts. At most about two seconds."""
        if self._partial is not None:
            self._partial.cancel()
            self._partial = None
        coming = [each.fresh for each in self._coming.values()]
        stopped = DeferredList([bind.stop() for bind in (*self._all(), *coming)])
        done: Deferred[None] = Deferred()
        stopped.addCallback(lambda _: done.callback(None))
        return done

    def pause(self, bind: int | None = None) -> None:
        """An administrator's pause of one bind, or of all."""
        for one in self._meant(bind):
            one.pause()

    def resume(self, bind: int | None = None) -> None:
        """The end of that pause."""
        for one in self._meant(bind):
            one.resume()

    # ---- other settings ----

    def apply(self, sms: Sms, password: Secret, endpoint: IStreamClientEndpoint | Hosts) -> None:
        """Go on by these settings, with as many binds at least. What concerns signing on holds for binds that are new,
        and for others from ``renew`` on; what concerns a connection, from its next one."""
        if sms.profile != self._sms.profile:
            self.reception, self._siblings = Reception(sms.route, sms.profile), _siblings_of(sms.profile)
        before, self._hosts = self._hosts, _hosts(endpoint, sms)
        self._sms, self._password = sms, password
        self._rendering = Rendering(sms.profile, sms.source_ton, sms.source_npi)
        before.apply(sms.reconnect_min)
        self._hosts.apply(sms.reconnect_min)
        for bind in self._all():
            bind.apply(sms)
        for index in range(len(self.binds), sms.binds):
            self.binds.append(self._new(index))
            self.binds[index].start()
            if self._pairs:
                self.receivers[index] = self._new_receiver(index)
                self.receivers[index].start()

    def rest(self, binds: Iterable[int]) -> None:
        """Let nothing more leave on these binds; what was written is still answered."""
        for index in binds:
            self.binds[index].rest()

    def renew(self, bind: int) -> Deferred[None]:
        """Unbind, and sign on by the settings of now; fires when the old connection is gone."""
        kind = BindKind.TRANSMITTER if self._pairs else BindKind.TRANSCEIVER
        gone = [self.binds[bind].renew(self._password, self._hosts, kind)]
        receiver = self.receivers.get(bind)
        if receiver is not None and self._pairs:
            gone.append(receiver.renew(self._password, self._hosts, BindKind.RECEIVER))
        elif receiver is not None:
            gone.append(self.receivers.pop(bind).stop())
        elif self._pairs:
            self.receivers[bind] = self._new_receiver(bind)
            self.receivers[bind].start()
        done: Deferred[None] = Deferred()
        DeferredList(gone).addCallback(lambda _: done.callback(None))
        return done

    def replace(self, bind: int) -> Deferred[bool]:
        """Sign on anew by the settings of now, and let the old connection go only when the new one is bound.

        Fires with whether it could be done: the operator's cap of sessions must be known and leave room for one more,
        and it must take it. Where it could not, nothing has changed.
        """
        cap = self._sms.profile.connection.session_cap
        if self._pairs or self.receivers or cap < len(self.binds) + len(self._coming) + 1:
            return succeed(False)
        fresh = self._new(bind)
        done: Deferred[bool] = Deferred()
        fresh.counts = self.binds[bind].counts
        if self.binds[bind].status().state is BindState.PAUSED:
            fresh.pause()
        late = self._clock.callLater(_COMING_LIMIT, self._comes_not, bind)
        self._coming[bind] = _Coming(fresh, done, late)
        fresh.start()
        return done

    def _look_who_came(self) -> None:
        for index, (fresh, done, late) in list(self._coming.items()):
            if fresh.bound:
                late.cancel()
                del self._coming[index]
                old, self.binds[index] = self.binds[index], fresh
                _fire(old.retire(), done, True)
            elif fresh.status().last_error:
                late.cancel()
                self._comes_not(index)

    def _comes_not(self, index: int) -> None:
        fresh, done, _ = self._coming.pop(index)
        _fire(fresh.stop(), done, False)

    def drop(self, count: int) -> Deferred[None]:
        """Give up the last so many binds, which rest and hold no slots; fires when they are gone."""
        left = len(self.binds) - count
        going = self.binds[left:] + [self.receivers.pop(index) for index in list(self.receivers) if index >= left]
        gone = DeferredList([bind.stop() for bind in going])
        done: Deferred[None] = Deferred()

        def forget(_: object) -> None:
            self.binds = [bind for bind in self.binds if bind not in going]
            done.callback(None)

        gone.addCallback(forget)
        return done

    @property
    def _pairs(self) -> bool:
        return self._sms.profile.connection.bind == "pair"

    def _all(self) -> Sequence[Bind]:
        return (*self.binds, *self.receivers.values())

    def _new(self, index: int, kind: BindKind | None = None) -> Bind:
        kind = kind or (BindKind.TRANSMITTER if self._pairs else BindKind.TRANSCEIVER)
        return Bind(
            index, self._sms, self._password, self, self._hosts, self._clock, self._wall, self._chance, self._log, kind
        )  # fmt: skip

    def _new_receiver(self, index: int) -> Bind:
        return self._new(index, BindKind.RECEIVER)

    # ---- how it stands ----

    def trace(self, trace: Trace | None, bind: int | None = None) -> None:
        """Show every PDU of one bind, or of all, to this one from now on; None: to nobody."""
        for one in self._all():
            one.trace(trace if bind in {None, one.index} else None)

    def status(self) -> Sequence[BindStatus]:
        """How every bind stands."""
        return [bind.status() for bind in self.binds]

    def _meant(self, bind: int | None) -> Sequence[Bind]:
        return [one for one in self._all() if bind in {None, one.index}]

    # ---- what binds tell ----

    def ended(self, results: Results) -> None:
        """Attempts ended."""
        if self.reception.ids.learning:
            self.reception.ids.sent(outcome.operator_id for _, outcome in results if isinstance(outcome, Accepted))
        if self._siblings is not None:
            self._taken(results, self._siblings)
        self._outcomes.ended(self.name, results)

    def late(self, results: Results) -> None:
        """Answers came after their time-out."""
        if self._siblings is not None:
            self._taken(results, self._siblings)
        self._outcomes.late(self.name, results)

    def arrived(self, link: Link, arrivals: Sequence[Arrival]) -> None:
        """Keep what came, and answer only then; what could not be kept, the operator shall send again."""
        entry = self.reception.entry
        entries = [entry(arrival) for arrival in arrivals]
        if self._siblings is not None:
            self._heard(entries, self._siblings)
        self._receiver.receive(entries, lambda kept: link.answer(arrivals, ESME_ROK if kept else ESME_RX_T_APPN))

    # ---- operators that tell of one part only ----

    def _taken(self, results: Results, siblings: Siblings) -> None:
        for part, outcome in results:
            if part.parts > 1 and isinstance(outcome, Accepted):
                siblings.sent(part, outcome.operator_id)

    def _heard(self, entries: Sequence[Entry], siblings: Siblings) -> None:
        for entry in entries:
            if isinstance(entry, Receipt):
                siblings.heard(entry, self._clock.seconds())
        self._await_partial()

    def _await_partial(self) -> None:
        due = self._siblings.next_due() if self._siblings is not None else None
        if due is not None and self._partial is None:
            self._partial = self._clock.callLater(max(due - self._clock.seconds(), 0.0), self._tell_partial)

    def _tell_partial(self) -> None:
        """What could not be kept is not told again: those parts then end without a receipt."""
        self._partial = None
        receipts = self._siblings.due(self._clock.seconds()) if self._siblings is not None else []
        if receipts:
            self._receiver.receive(receipts, lambda _: None)
        self._await_partial()

    def changed(self) -> None:
        """The open binds may be others now."""
        if self._coming:
            self._look_who_came()
        self._open = tuple(bind.index for bind in self.binds if bind.open)
        self._trusted = tuple(index for index in self._open if not self.binds[index].suspect) or self._open
        self._outcomes.binds_changed(self.name)


def _hosts(endpoint: IStreamClientEndpoint | Hosts, sms: Sms) -> Hosts:
    if isinstance(endpoint, Hosts):
        return endpoint
    return Hosts.only(endpoint, sms.reconnect_min, f"{sms.host}:{sms.port}")


def _fire(first: Deferred[None], then: Deferred[bool], answer: bool) -> None:
    first.addCallback(lambda _: then.callback(answer))


def _siblings_of(profile: Profile) -> Siblings | None:
    """None for an operator that tells of every part, which costs nothing."""
    receipts = profile.receipts
    return None if receipts.per_part == "all" else Siblings(receipts.per_part, receipts.per_part_wait)
