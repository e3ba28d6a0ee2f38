"""One route's dispatching: from ready headers to leases, and from outcomes back to free slots.

Everything is driven by events: a slot came free, a part was put into the spool, a bind opened, a token is due. Each
ends in ``turn``, which looks at everything and does all that can be done at once, in one batch. One timer wakes it for
what only time brings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mgate.dispatch.belief import LOOK_AGAIN, Belief
from mgate.dispatch.lanes import LANE_OF, URGENT_LANES, Lane, Lanes
from mgate.dispatch.seam import LeaseAnswer, Spool
from mgate.dispatch.slots import Slots
from mgate.dispatch.tempo import Tempo
from mgate.model.message import Outgoing, TrafficClass
from mgate.model.outcome import Accepted, Deferred, Elsewhere, NotWritten, Outcome
from mgate.model.ports import Channel, Slot
from mgate.model.ready import Ask, Header, Ready
from mgate.policy.classes import LANES
from mgate.policy.step import throttles
from mgate.spool.verbs import NotKept, Wish

_LEASE_PAUSE: Final = 1.0
"""Seconds without a new lease after a commit that failed."""

_TOKEN_STEP: Final = 0.005
"""At high rates tokens are waited for in bunches: the bucket is many times deeper, so none is lost."""

_TICK: Final = 0.001
"""The shortest sleep: no rounding between two clocks may make the timer spin."""

_LIFE_OVER: Final = NotWritten("life_over")

SentAway = Callable[[TrafficClass, Sequence[str]], None]
"""A part of this class may have come to one of these routes."""


class _Run(NamedTuple):
    """Parts of one lane that a lease was asked for, and their slots."""

    lane: int
    headers: list[Header]
    slots: Sequence[Slot]


class Way:
    """One route: its slots, lanes and tokens, between the spool and its channel.

    Counters are plain numbers for the metrics: ``leased`` parts by their own commit, ``offered`` in the accepting one,
    ``missed`` leases that took no row, ``failed`` commits, ``overdue`` parts whose life ended under the lease.
    """

    def __init__(
        self, slots: Slots, rate: float, channel: Channel, spool: Spool, clock: IReactorTime,
        wall: Callable[[], float], sent_away: SentAway,
    ) -> None:  # fmt: skip
        """``rate``: PDUs a second over all binds, 0 for no limit. ``wall``: seconds since 1970, for the life of
        messages; ``clock`` is for everything else. ``sent_away``: told of a part that may stand on another route now.
        """
        self.slots = slots
        self.leased = self.offered = self.missed = self.failed = self.overdue = 0
        self._spool = spool
        self._clock = clock
        self._wall = wall
        self._channel = channel
        self._sent_away = sent_away
        self._lanes = Lanes()
        self._beliefs = {number: Belief() for number in self._lanes.lanes}
        self._up_to = {
            lane: [(queue, self._beliefs[number]) for number, queue in self._lanes.lanes.items() if number <= lane]
            for lane in self._lanes.lanes
        }
        self._begun: dict[int, tuple[int, int]] = {}
        self._tempo = Tempo(rate, clock.seconds())
        self._paused_until = 0.0
        self._set_reach()
        self._timer: IDelayedCall | None = None
        self._stopping = False
        self._held = False
        self._emptied: Callable[[bool], None] | None = None
        self._deadline: IDelayedCall | None = None

    @property
    def queued(self) -> int:
        """The headers read ahead and not yet leased."""
        return self._lanes.queued

    # ---- the accepting commit ----

    def offer(self, traffic: TrafficClass, parts: int) -> tuple[Slot, ...]:
        """A slot for each part when the message may leave in the commit that accepts it, else none."""
        lane = LANE_OF[traffic]
        urgent = lane in URGENT_LANES
        now = self._clock.seconds() if self._paused_until or self._tempo.purse.rate else 0.0
        binds = self._open_binds(now, urgent)
        self._tempo.refill(now)
        if (
            not binds
            or self._something_waits(lane)
            or not self._tempo.purse.pays(urgent)
            or self.slots.room(binds, urgent) < parts
        ):
            self._beliefs[lane].coming += 1
            return ()
        self._tempo.pay(urgent, parts)
        self.offered += parts
        return self.slots.reserve(parts, binds, urgent)

    def settle(self, results: Sequence[tuple[Slot, Outgoing | None]]) -> None:
        """What became of offered slots: write the leased, take back the rest."""
        leased: list[Outgoing] = []
        for slot, outgoing in results:
            if outgoing is None:
                self._take_back(slot, 1)
            else:
                leased.append(outgoing)
        self._write(leased)
        if len(leased) < len(results):
            self._slots_came_free()

    def waits(self, traffic: TrafficClass, refused: int, headers: Sequence[Header], later: float) -> None:
        """What a commit made of messages without slots: see ``model.ports.Admission``."""
        lane = LANE_OF[traffic]
        belief = self._beliefs[lane]
        belief.coming -= refused
        if later:
            belief.told_of_later(later)
        if headers:
            belief.handed(headers)
        if headers or later:
            self.soon()

    # ---- other routes ----

    def told_of_arrival(self, traffic: TrafficClass) -> None:
        """Parts of this class may have come from another route: they may be older than all that was read ahead."""
        self._beliefs[LANE_OF[traffic]].told_of_return()
        self.soon()

    def forget(self) -> None:
        """Much of what was read ahead has gone to other routes: read it again when there is a bind."""
        for number, lane in self._lanes.lanes.items():
            self._beliefs[number].left(lane.clear())
            self._beliefs[number].told()

    # ---- leases ----

    def soon(self) -> None:
        """Take a turn when this round of the reactor is done."""
        self._wake_at(self._clock.seconds())

    def turn(self) -> None:
        """Do all that can be done now: lease, read ahead, and set the timer for what time will bring."""
        if self._stopping:
            return
        now = self._clock.seconds()
        binds = self._open_binds(now)
        if binds:
            self._lease(self._plan(binds, self._open_binds(now, urgent=True), now))
        self._read(now)
        self._set_timer(now, bool(binds))

    def _plan(self, binds: Sequence[int], trusted: Sequence[int], now: float) -> list[_Run]:
        """Pick messages while there are slots and tokens; both are taken here, before the mark. What is urgent goes by
        the ``trusted`` binds."""
        runs: list[_Run] = []
        self._tempo.refill(now)
        lanes, slots, wall = self._lanes, self.slots, self._wall()
        while lanes.queued:
            purse = self._tempo.purse
            lane, headers = lanes.pick(
                slots.room(trusted, urgent=True),
                slots.room(binds, urgent=False),
                purse.affords(True),
                purse.affords(False),
            )
            if not headers:
                break
            alive = [header for header in headers if header.expires > wall]
            if len(alive) < len(headers):  # the spool's own clock ends the others
                self._beliefs[lane].left([header.part for header in headers if header.expires <= wall])
            if alive:
                runs.append(self._take(lane, alive, trusted if lane in URGENT_LANES else binds))
        return runs

    def _take(self, lane: int, headers: list[Header], binds: Sequence[int]) -> _Run:
        """Slots and tokens for parts that were picked."""
        urgent = lane in URGENT_LANES
        self._tempo.pay(urgent, _price(headers))
        if headers[0].parts == 1:
            return _Run(lane, headers, self.slots.reserve_each(len(headers), binds, urgent))
        return _Run(lane, headers, self._reserve_together(lane, headers, binds))

    def _reserve_together(self, lane: int, headers: list[Header], binds: Sequence[int]) -> Sequence[Slot]:
        """Slots for parts whose siblings may have gone before: where these went, if that can be."""
        message = headers[0].head
        before, bind = self._begun.get(lane, (0, -1))
        taken = self.slots.reserve(len(headers), binds, lane in URGENT_LANES, bind if before == message else -1)
        self._begun[lane] = message, taken[-1].bind
        return taken

    def _lease(self, runs: list[_Run]) -> None:
        if runs:
            wishes = [
                Wish(header.part, slot)
                for _, headers, slots in runs
                for header, slot in zip(headers, slots, strict=True)
            ]
            self._spool.lease(wishes, lambda answer: self._lease_done(runs, answer))

    def _lease_done(self, runs: list[_Run], answer: LeaseAnswer) -> None:
        if isinstance(answer, NotKept):
            self._lease_failed(runs)
            return
        for lane, headers, _ in runs:
            self._beliefs[lane].left([header.part for header in headers])
        leased = [outgoing for outgoing in answer if outgoing is not None]
        if len(leased) < len(answer):
            self._missed(runs, answer)
        self.leased += len(leased)
        self._write(leased)
        self._slots_came_free()

    def _missed(self, runs: list[_Run], answer: Sequence[Outgoing | None]) -> None:
        """Some took no row: slots and tokens go back, and what was believed of their lane is looked after."""
        answers = iter(answer)
        for lane, headers, slots in runs:
            for header, slot in zip(headers, slots, strict=True):
                if next(answers) is None:
                    self.missed += 1
                    self._take_back(slot, _price([header]))
                    self._beliefs[lane].told()

    def _lease_failed(self, runs: list[_Run]) -> None:
        """The disk took no mark: nothing may leave, slots and tokens go back, and nothing is tried for a while."""
        self.failed += 1
        self._paused_until = self._clock.seconds() + _LEASE_PAUSE
        for lane, headers, slots in reversed(runs):
            for header, slot in zip(headers, slots, strict=True):
                self._take_back(slot, _price([header]))
            self._lanes.put_back(lane, headers)
        self._slots_came_free()

    def _write(self, leased: list[Outgoing]) -> None:
        """Hand over what is leased; life is looked at once more, because a commit takes its time."""
        wall = self._wall()
        alive = [outgoing for outgoing in leased if outgoing.expires > wall]
        if len(alive) < len(leased):
            late = [(outgoing, _LIFE_OVER) for outgoing in leased if outgoing.expires <= wall]
            self.overdue += len(late)
            self.ended(late)
        if alive:
            self._channel.submit(alive)

    # ---- outcomes ----

    def ended(self, results: Sequence[tuple[Outgoing, Outcome]]) -> None:
        """Attempts ended: write it down, and free their slots only then."""
        self._spool.end(results, lambda answer: self._end_done(results, answer))

    def _end_done(self, results: Sequence[tuple[Outgoing, Outcome]], answer: int | NotKept) -> None:
        if isinstance(answer, NotKept):
            self._end_failed(results)
            return
        free = self.slots.free
        slows = False
        for outgoing, outcome in results:
            free(outgoing.reference)
            if type(outcome) is not Accepted and isinstance(outcome, Deferred | Elsewhere | NotWritten):
                self._beliefs[LANE_OF[outgoing.traffic]].told_of_return()
                slows = slows or _slows(outcome)
                if isinstance(outcome, Elsewhere):
                    self._sent_away(outgoing.traffic, outcome.routes)
        if slows:
            self._tempo.throttled(self._clock.seconds())
        self._slots_came_free()

    def _end_failed(self, results: Sequence[tuple[Outgoing, Outcome]]) -> None:
        """The spool will never take this batch: a bug, which it has told of. One bad outcome must not hold the slots of
        the others; its own stays taken, because its row stays leased until the next start."""
        if len(results) == 1:
            self.failed += 1
            return
        for result in results:
            self.ended([result])

    # ---- other settings ----

    def apply(self, windows: Sequence[int], rate: float) -> None:
        """Go on by these windows and this rate."""
        self.slots.apply(windows)
        self._set_reach()
        self._tempo.apply(rate, self._clock.seconds())
        self.soon()

    def _set_reach(self) -> None:
        """How many headers a read asks for, and below how many another one is worth it."""
        self._fetch = min(max(2 * self.slots.total, 64), 1000)
        self._low = self._fetch // 2

    # ---- a disk that cannot take more ----

    def hold(self) -> None:
        """Lease nothing more until ``go_on``."""
        self._held = True

    def go_on(self) -> None:
        """Lease again."""
        if self._held:
            self._held = False
            self.soon()

    # ---- the end of the day ----

    def end(self) -> None:
        """The route is gone: do nothing more."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def drain(self, done: Callable[[bool], None], within: float) -> None:
        """Lease nothing more; ``done(True)`` when every slot is free, ``done(False)`` after ``within`` seconds."""
        self.end()
        self._emptied = done
        self._deadline = self._clock.callLater(within, self._drained, False)
        self._slots_came_free()

    def _drained(self, empty: bool) -> None:
        done, deadline = self._emptied, self._deadline
        self._emptied = self._deadline = None
        if deadline is not None and deadline.active():
            deadline.cancel()
        if done is not None:
            done(empty)

    # ---- small parts ----

    def _open_binds(self, now: float, urgent: bool = False) -> Sequence[int]:
        if self._stopping or self._held or now < self._paused_until:
            return ()
        return self._channel.open_binds(urgent)

    def _something_waits(self, lane: int) -> bool:
        for queue, belief in self._up_to[lane]:
            if queue.queued or not belief.quiet() or (belief.next_due and belief.next_due <= self._wall()):
                return True
        return False

    def _room(self, queue: Lane) -> int:
        """How many more headers memory takes of a lane."""
        return max(self._fetch - queue.queued, 0)

    def _take_back(self, slot: Slot, paid: int) -> None:
        self.slots.free(slot.reference)
        self._tempo.refund(slot.urgent, paid)

    def _slots_came_free(self) -> None:
        if self._emptied is not None and not self.slots.used:
            self._drained(True)
        self.turn()

    def _read(self, now: float) -> None:
        """Read ahead, so that a slot that comes free never waits for a read. What came back is looked for however much
        is here, and while the binds rest: it is to leave before the younger."""
        wall = self._wall()
        for number, belief in self._beliefs.items():
            lane = self._lanes.lanes[number]
            if not belief.wants_read(now, wall):
                continue
            if belief.returned:
                belief.asked(now)
                self._ask(Ask(self.slots.route, number, self._fetch, frozenset()))
            elif lane.queued < self._low:
                belief.asked(now)
                self._ask(Ask(self.slots.route, number, self._fetch + belief.known, lane.well_fed(self._low)))

    def _ask(self, ask: Ask) -> None:
        self._spool.ready(ask, lambda answer: self._read_done(ask, answer))

    def _read_done(self, ask: Ask, answer: Ready) -> None:
        clients = Counter(header.client for header in answer.headers)
        whole = not ask.skip and all(count < ask.limit for count in clients.values())
        queue, belief = self._lanes.lanes[ask.lane], self._beliefs[ask.lane]
        new = belief.heard(answer, whole, self._room(queue), self._clock.seconds(), self._wall())
        self._lanes.add(ask.lane, new)
        self.turn()

    def _set_timer(self, now: float, bound: bool) -> None:
        if now < self._paused_until:
            self._wake_at(self._paused_until)
        elif bound:
            self._wake_at(max(min(self._next_read(now), self._next_token(now)), now + _TICK))

    def _next_read(self, now: float) -> float:
        wall, lanes = self._wall(), self._lanes.lanes
        moments = [
            belief.wakes_at(now, wall)
            for number, belief in self._beliefs.items()
            if not belief.asking and lanes[number].queued < self._low
        ]
        return min(moments, default=now + LOOK_AGAIN)

    def _next_token(self, now: float) -> float:
        waits = [self._tempo.purse.wait(urgent) for urgent in (True, False) if self._lanes.holds(urgent)]
        return now + max(min((wait for wait in waits if wait), default=LOOK_AGAIN), _TOKEN_STEP)

    def _wake_at(self, at: float) -> None:
        if self._stopping:
            return
        if self._timer is not None:
            if self._timer.getTime() <= at:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(max(at - self._clock.seconds(), 0.0), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        wall = self._wall()
        for queue, belief in self._up_to[LANES[-1]]:
            if not belief.quiet():
                queue.add_new(belief.to_queue(self._room(queue), wall))
        self.turn()


def _price(headers: Sequence[Header]) -> int:
    """Tokens for parts: the first part of a new message pays for all, so the others come free; a retry pays one."""
    price = 0
    for header in headers:
        price += 1 if header.attempts else header.parts if header.n == 1 else 0
    return price


def _slows(outcome: Outcome) -> bool:
    """Whether the operator asked to slow down by it."""
    match outcome:
        case Deferred(reason):
            return throttles(reason)
        case Elsewhere(_, why):
            return why == "throttled"
        case _:
            return False
