"""A small world around a dispatcher: a spool that commits when told to, a channel whose answers are told, a clock.

The spool follows the store's rules: ends before leases before acceptances in one commit, only what is ready, due and
alive is leased, a commit that fails keeps its ends first in line. Reads see the rows as they stood when they were asked
for, however late they are answered: the worst that a second connection can do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC

from twisted.internet.task import Clock

from mgate.dispatch.dispatcher import Dispatcher, RoutePlan
from mgate.dispatch.foreign import Foreign
from mgate.dispatch.lanes import LANE_OF
from mgate.dispatch.router import Network, Router
from mgate.dispatch.seam import LeaseAnswer
from mgate.model.message import Outgoing, Secret, State, TrafficClass
from mgate.model.outcome import Accepted, Deferred, NotWritten, Outcome, Uncertain
from mgate.model.ports import Outcomes, Slot
from mgate.model.ready import Ask, Header, Mark, Ready, Stranded
from mgate.policy.classes import URGENT
from mgate.policy.pacing import bulk_slots
from mgate.policy.routing_table import Table, Target, WeekClock
from mgate.policy.step import backs_off
from mgate.spool.verbs import Move, NotKept, Wish

ROUTE = "sms:op-a"
START = 1_700_000_000.0
FOREVER = START + 1e9

Results = Sequence[tuple[Outgoing, Outcome]]


def network(*routes: str) -> Network:
    """One of these routes, in this order."""
    return Network(Table.of_accounts([Target(route) for route in routes]), routes, WeekClock(UTC))


def router(clock: Clock, *routes: str) -> Router:
    """One that takes the routes in this order."""
    return Router(network(*routes), Foreign(86_400.0, bytes(16)), clock.seconds, lambda: START + clock.seconds())


@dataclass
class Row:
    part: int
    n: int
    parts: int
    client: str
    traffic: TrafficClass
    due: float
    expires: float
    state: State = State.READY
    attempts: int = 0
    slot: Slot | None = None

    @property
    def header(self) -> Header:
        return Header(self.part, self.n, self.parts, self.client, self.attempts, self.expires)

    def lease(self, slot: Slot, text: str) -> Outgoing:
        self.state, self.slot = State.LEASED, slot
        self.attempts += 1
        return Outgoing(
            self.part, self.attempts, slot.bind, slot.reference, self.n, self.parts,
            "+375291110001", "Example", Secret(text), self.expires, self.traffic,
        )  # fmt: skip


def text_of(row: Row) -> str:
    """A text that makes that many parts."""
    return "Code 482913" if row.parts == 1 else "x" * 152 * row.parts


@dataclass
class Pending:
    """An acceptance on its way into a commit."""

    rows: list[Row]
    slots: tuple[Slot, ...]
    known: bool
    asked: bool = True


class FakeSpool:
    def __init__(self, wall: Callable[[], float], windows: tuple[int, ...]) -> None:
        self._wall = wall
        self._windows = windows
        self.rows: dict[int, Row] = {}
        self.accepts: list[Pending] = []
        self.leases: list[tuple[Sequence[Wish], Callable[[LeaseAnswer], None]]] = []
        self.ends: list[tuple[Results, Callable[[int | NotKept], None]]] = []
        self.reads: list[tuple[Ready, Callable[[Ready], None]]] = []
        self.read_count = 0
        self.leased: dict[int, Row] = {}

    def lease(self, wishes: Sequence[Wish], done: Callable[[LeaseAnswer], None]) -> None:
        self.leases.append((wishes, done))

    def end(self, results: Results, done: Callable[[int | NotKept], None]) -> None:
        self.ends.append((results, done))

    def ready(self, ask: Ask, done: Callable[[Ready], None]) -> None:
        self.read_count += 1
        now = self._wall()
        mine = [row for row in self.rows.values() if row.state is State.READY and LANE_OF[row.traffic] == ask.lane]
        mine = [row for row in mine if row.expires > now]
        by_client: dict[str, list[Row]] = {}
        for row in sorted(mine, key=lambda row: (row.due, row.part)):
            if row.due <= now and row.client not in ask.skip:
                by_client.setdefault(row.client, []).append(row)
        headers = [row.header for rows in by_client.values() for row in rows[: ask.limit]]
        next_due = min((row.due for row in mine if row.due > now), default=0.0)
        self.reads.append((Ready(tuple(headers), next_due), done))

    def stranded(
        self, route: str, lane: int, after: Mark, limit: int, done: Callable[[Sequence[Stranded]], None]
    ) -> None:  # fmt: skip
        raise AssertionError("nothing moves here")

    def move(self, move: Move, done: Callable[[int | NotKept], None]) -> None:
        raise AssertionError("nothing moves here")

    def routes(self, done: Callable[[Sequence[str]], None]) -> None:
        raise AssertionError("nothing moves here")

    def answer_reads(self) -> None:
        reads, self.reads = self.reads, []
        for answer, done in reads:
            done(answer)

    def commit(self, fails: bool, dispatcher: Dispatcher) -> None:
        """One commit of all that has gathered."""
        leases, self.leases = self.leases, []
        accepts, self.accepts = self.accepts, []
        if fails:
            for _, lease_done in leases:
                lease_done(NotKept("disk full"))
            for pending in accepts:
                self._tell(dispatcher, pending, [], [(slot, None) for slot in pending.slots])
            return
        ends, self.ends = self.ends, []
        for results, _ in ends:
            for outgoing, outcome in results:
                self._end(outgoing, outcome)
        lease_answers = [[self._lease(wish) for wish in wishes] for wishes, _ in leases]
        accepted = [(pending, *self._accept(pending)) for pending in accepts]
        self._check_rule_1()
        for results, end_done in ends:
            end_done(len(results))
        for (_, lease_done), answers in zip(leases, lease_answers, strict=True):
            lease_done(answers)
        for pending, unleased, settled in accepted:
            self._tell(dispatcher, pending, unleased, settled)

    def _accept(self, pending: Pending) -> tuple[list[Row], list[tuple[Slot, Outgoing | None]]]:
        if pending.known:
            return [], [(slot, None) for slot in pending.slots]
        self.rows.update((row.part, row) for row in pending.rows)
        settled = [(slot, self._mark(row, slot)) for row, slot in zip(pending.rows, pending.slots, strict=False)]
        return [row for row in pending.rows if row.state is State.READY], list(settled)

    def _tell(
        self, dispatcher: Dispatcher, pending: Pending, unleased: list[Row],
        settled: list[tuple[Slot, Outgoing | None]],
    ) -> None:  # fmt: skip
        """As acceptance does after the commit."""
        refused = pending.asked and not pending.slots
        due = [row.header for row in unleased if pending.asked]
        later = 0.0 if due or not unleased else unleased[0].due
        if refused or unleased:
            dispatcher.waits(ROUTE, pending.rows[0].traffic, int(refused), due, later)
        if settled:
            dispatcher.settle(settled)

    def _lease(self, wish: Wish) -> Outgoing | None:
        row = self.rows[wish.part]
        now = self._wall()
        if row.state is not State.READY or row.due > now or row.expires <= now:
            return None
        return self._mark(row, wish.slot)

    def _mark(self, row: Row, slot: Slot) -> Outgoing:
        self.leased[row.part] = row
        return row.lease(slot, text_of(row))

    def _end(self, outgoing: Outgoing, outcome: Outcome) -> None:
        row = self.rows[outgoing.part]
        if row.state is State.UNCERTAIN and isinstance(outcome, Accepted):
            row.state = State.SENT
            return
        assert row.state is State.LEASED, f"{outcome} for a part that is {row.state.word}"
        assert row.attempts == outgoing.attempt
        row.slot = None
        del self.leased[row.part]
        if isinstance(outcome, NotWritten):
            row.state, row.due = State.READY, self._wall()
        elif isinstance(outcome, Deferred):
            row.state = State.READY
            row.due = self._wall() + 1.0 if backs_off(outcome.reason) else row.due
        elif isinstance(outcome, Uncertain):
            row.state = State.UNCERTAIN
        else:
            row.state = State.SENT

    def _check_rule_1(self) -> None:
        """Leased rows never exceed the windows, nor bulk its part of them, and no two share a reference."""
        leased = list(self.leased.values())
        assert all(row.state is State.LEASED for row in leased)
        slots = [row.slot for row in leased if row.slot is not None]
        assert len({slot.reference for slot in slots}) == len(leased)
        for bind, window in enumerate(self._windows):
            bulk = [row for row in leased if row.slot and row.slot.bind == bind and row.traffic not in URGENT]
            assert sum(slot.bind == bind for slot in slots) <= window
            assert len(bulk) <= bulk_slots(window)


class FakeChannel:
    def __init__(
        self, outcomes: Outcomes, state_of: Callable[[int], State], binds: int, clock: Clock, route: str = ROUTE
    ) -> None:  # fmt: skip
        self._outcomes = outcomes
        self._route = route
        self._state_of = state_of
        self._clock = clock
        self.up = set(range(binds))
        self.suspect = False
        self.deaf: set[int] = set()
        self.flying: list[Outgoing] = []
        self.written: list[Outgoing] = []
        self.moments: list[float] = []

    @property
    def name(self) -> str:
        return self._route

    def open_binds(self, urgent: bool = False) -> Sequence[int]:
        return sorted(self.up - self.deaf if urgent else self.up)

    def submit(self, batch: Sequence[Outgoing]) -> None:
        gone = [outgoing for outgoing in batch if outgoing.bind not in self.up]
        for outgoing in batch:
            assert self._state_of(outgoing.part) is State.LEASED, "written before its mark was on the disk"
            if outgoing.bind in self.up:
                self.flying.append(outgoing)
                self.written.append(outgoing)
                self.moments.append(self._clock.seconds())
        if gone:
            self._outcomes.ended(self._route, [(outgoing, NotWritten("no_link")) for outgoing in gone])

    def answer(self, outcome: Outcome, count: int = 1_000_000) -> None:
        """The operator answers the oldest ones."""
        answered, self.flying = self.flying[:count], self.flying[count:]
        if answered:
            self._outcomes.ended(self._route, [(outgoing, outcome) for outgoing in answered])

    def drop(self, bind: int) -> None:
        """The link of a bind is lost: what was written on it is in doubt."""
        self.up.discard(bind)
        lost = [outgoing for outgoing in self.flying if outgoing.bind == bind]
        self.flying = [outgoing for outgoing in self.flying if outgoing.bind != bind]
        self._outcomes.binds_changed(self._route)
        if lost:
            self._outcomes.ended(self._route, [(outgoing, Uncertain("link_lost", False)) for outgoing in lost])

    def rise(self, bind: int) -> None:
        self.up.add(bind)
        self._outcomes.binds_changed(self._route)


@dataclass
class World:
    windows: tuple[int, ...] = (10,)
    rate: float = 0.0
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.spool = FakeSpool(self.wall, self.windows)
        self._next_part = 1 << 20
        made: list[FakeChannel] = []

        def build(outcomes: Outcomes) -> FakeChannel:
            made.append(FakeChannel(outcomes, self._state_of, len(self.windows), self.clock))
            return made[0]

        plan = RoutePlan(ROUTE, self.windows, self.rate, build)
        self.dispatcher = Dispatcher([plan], router(self.clock, ROUTE), self.spool, self.clock, self.wall)
        self.channel = made[0]
        self.way = self.dispatcher.ways[ROUTE]

    def _state_of(self, part: int) -> State:
        return self.spool.rows[part].state

    def wall(self) -> float:
        return START + self.clock.seconds()

    @property
    def written(self) -> list[int]:
        return [outgoing.part for outgoing in self.channel.written]

    def rows(
        self, traffic: TrafficClass, parts: int = 1, client: str = "local", due: float = 0.0, expires: float = FOREVER
    ) -> list[Row]:
        first, self._next_part = self._next_part, self._next_part + parts
        return [Row(first + n, n + 1, parts, client, traffic, due, expires) for n in range(parts)]

    def stored(
        self, traffic: TrafficClass, parts: int = 1, client: str = "local", due: float = 0.0, expires: float = FOREVER
    ) -> int:
        """A message that stands in the spool already, as after a start; the id of its first part."""
        rows = self.rows(traffic, parts, client, due, expires)
        self.spool.rows.update((row.part, row) for row in rows)
        return rows[0].part

    def accept(
        self, traffic: TrafficClass, parts: int = 1, client: str = "local", due: float = 0.0, expires: float = FOREVER,
        known: bool = False,
    ) -> int:  # fmt: skip
        """Acceptance: asks for slots, and puts the message into the next commit; the id of its first part."""
        asked = due <= self.wall()
        slots = self.dispatcher.offer(ROUTE, traffic, client, parts) if asked else ()
        assert len(slots) in (0, parts)
        rows = self.rows(traffic, parts, client, due, expires)
        self.spool.accepts.append(Pending(rows, slots, known, asked))
        return rows[0].part

    def commit(self, fails: bool = False) -> None:
        self.spool.commit(fails, self.dispatcher)

    def settle(self, rounds: int = 6) -> None:
        """Let everything that is under way come to rest, in no time; the operator stays silent."""
        for _ in range(rounds):
            self.clock.advance(0)
            self.spool.answer_reads()
            self.commit()

    def run(self, seconds: float, step: float = 0.001) -> None:
        """Time passes, and the operator answers at once."""
        for _ in range(round(seconds / step)):
            self.channel.answer(Accepted("1"))
            self.commit()
            self.spool.answer_reads()
            self.clock.advance(step)
