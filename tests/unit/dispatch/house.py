"""The dispatcher and acceptance around a store, with a disk that is told what to do; and the rules as a model.

Only the store's thread, the reader's thread, sealing and the wire are made up. The disk commits what has gathered and
gives the answers later, or fails cleanly; the reader looks and answers at two moments of their own. The model knows
nothing of lanes or beliefs: it looks at the store's rows and at what is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from twisted.internet.task import Clock

from mgate.dispatch.belief import MOST_HELD
from mgate.dispatch.dispatcher import Dispatcher, RoutePlan
from mgate.dispatch.lanes import LANE_OF
from mgate.dispatch.seam import LeaseAnswer
from mgate.intake.acceptance import Acceptance
from mgate.model.address import Msisdn
from mgate.model.entry import Submission
from mgate.model.message import COUNT_BITS, Outgoing, Secret, State, TrafficClass
from mgate.model.outcome import Accepted, Outcome
from mgate.model.ports import Outcomes, Slot
from mgate.model.ready import Ask, Mark, Ready, Stranded
from mgate.policy.classes import URGENT
from mgate.policy.pacing import bulk_slots
from mgate.spool.front import AcceptAnswer
from mgate.spool.memory import MemoryStore
from mgate.spool.rows import Row
from mgate.spool.sealing import Sealing
from mgate.spool.verbs import (
    Accept,
    Cancel,
    End,
    Ends,
    Lease,
    Leased,
    Move,
    NewMessage,
    NotKept,
    Result,
    Verb,
    Wake,
    Wish,
)  # fmt: skip
from tests.unit.dispatch.world import ROUTE, START, FakeChannel, router

NUMBER = "+375291110001"
Job = tuple[Verb, Callable[[Result], None]]


class Disk:
    """The spool's front, writer and reader in one hand."""

    def __init__(self, store: MemoryStore, wall: Callable[[], float]) -> None:
        self._store = store
        self._wall = wall
        self.lines: tuple[list[Job], list[Job], list[Job]] = ([], [], [])
        self.answers: list[Callable[[], None]] | None = None
        self.asked: list[tuple[Ask, Callable[[Ready], None]]] = []
        self.seen: list[tuple[Ready, Callable[[Ready], None]]] = []
        self.commits = 0
        self.moves: list[Move] = []
        self.run = 200

    # ---- as the spool's front ----

    def accept(self, messages: Sequence[NewMessage], done: Callable[[AcceptAnswer], None], *, urgent: bool) -> None:
        self._put(1 if urgent else 2, Accept(tuple(messages)), lambda result: done(cast("AcceptAnswer", result)))

    def lease(self, wishes: Sequence[Wish], done: Callable[[LeaseAnswer], None]) -> None:
        def marked(result: Result) -> None:
            if isinstance(result, NotKept):
                done(result)
                return
            leased = cast("tuple[Leased | None, ...]", result)
            pairs = zip(leased, wishes, strict=True)
            done([None if one is None else _outgoing(one, wish.slot) for one, wish in pairs])

        self._put(0, Lease(tuple(wishes)), marked)

    def end(self, results: Sequence[tuple[Outgoing, Outcome]], done: Callable[[int | NotKept], None]) -> None:
        ends = tuple(End(out.part, out.attempt, outcome, b"", b"") for out, outcome in results)
        self._put(0, Ends(ends), lambda result: done(cast("int | NotKept", result)))

    def ready(self, ask: Ask, done: Callable[[Ready], None]) -> None:
        self.asked.append((ask, done))

    def stranded(
        self, route: str, lane: int, after: Mark, limit: int, done: Callable[[Sequence[Stranded]], None]
    ) -> None:  # fmt: skip
        found = self._store.queued(route, lane, after, limit, int(self._wall() * 1000))
        rows = self._store.rows
        text = Secret("Code 482913")
        done([Stranded(one.mark, rows[one.mark.part].traffic, NUMBER, "Example", (), text) for one in found])

    def move(self, move: Move, done: Callable[[int | NotKept], None]) -> None:
        self.moves.append(move)
        self._put(0, move, lambda result: done(cast("int | NotKept", result)))

    def routes(self, done: Callable[[Sequence[str]], None]) -> None:
        done(self._store.routes())

    def cancel(self, message: int) -> None:
        self._put(1, Cancel(message, "", "test"), lambda _: None)

    def wake(self) -> None:
        self._put(2, Wake(100), lambda _: None)

    def _put(self, line: int, verb: Verb, done: Callable[[Result], None]) -> None:
        self.lines[line].append((verb, done))

    # ---- as it is told ----

    def commit(self, most: int = 1_000) -> None:
        """Work on at most so many verbs and have them on the disk; the answers are still on their way."""
        if self.answers is not None:
            return
        jobs = self._gather(most)
        if jobs:
            self.commits += 1
            results = self._store.work([verb for verb, _ in jobs], int(self._wall() * 1000))
            self._store.flush()
            self.answers = [lambda d=done, r=result: d(r) for (_, done), result in zip(jobs, results, strict=True)]  # type: ignore[misc]  # bound now

    def fail(self, most: int = 1_000) -> None:
        """A commit that fails cleanly: outcomes stay first in line, everybody else is told so."""
        if self.answers is not None:
            return
        jobs = self._gather(most)
        self.lines[0][:0] = [job for job in jobs if isinstance(job[0], Ends)]
        refused = [job for job in jobs if not isinstance(job[0], Ends)]
        self.answers = [lambda d=done: d(NotKept("disk full")) for _, done in refused]  # type: ignore[misc]  # bound now

    def answer(self) -> None:
        answers, self.answers = self.answers or [], None
        for answer in answers:
            answer()

    def look(self) -> None:
        """The oldest question sees the rows of now; its answer is on its way."""
        if self.asked:
            ask, done = self.asked.pop(0)
            self.seen.append((self._store.ready(ask, int(self._wall() * 1000)), done))

    def answer_reads(self) -> None:
        seen, self.seen = self.seen, []
        for answer, done in seen:
            done(answer)

    def _gather(self, most: int) -> list[Job]:
        jobs: list[Job] = []
        for line in self.lines:
            taken = line[: most - len(jobs)]
            del line[: len(taken)]
            jobs += taken
        return jobs


def _outgoing(leased: Leased, slot: Slot) -> Outgoing:
    return Outgoing(
        leased.part, leased.attempt, slot.bind, slot.reference, leased.n, leased.parts, NUMBER, "Example",
        Secret("Code 482913"), leased.expires / 1000, leased.traffic, slot.route, client=leased.client,
    )  # fmt: skip


class _Numbering:
    """In the place of sealing: the next id."""

    def __init__(self) -> None:
        self.for_later: set[int] = set()
        self.next = int(START * 1000) << COUNT_BITS

    def message(self, asked: Submission, route: str, parts: int, slots: tuple[Slot, ...], now: float) -> NewMessage:
        first, self.next = self.next, self.next + parts
        created, due, expires = (int(moment * 1000) for moment in (now, max(now, asked.not_before), asked.expires))
        ref = asked.ref.encode()
        if asked.not_before > now:
            self.for_later.update(range(first, first + parts))
        return NewMessage(
            first, asked.client, asked.traffic, route, parts, created, due, expires, 1, ref, ref, b"", b"", b"", b"",
            slots,
        )  # fmt: skip


class House:
    """What runs, and what is claimed of it."""

    def __init__(self, windows: tuple[int, ...], rate: float, routes: tuple[str, ...] = (ROUTE,)) -> None:
        self.windows, self.rate, self.routes = windows, rate, routes
        self.store = MemoryStore(lambda *_: False)
        self.numbering = _Numbering()
        self.pushed = 0
        self.accepted_in: dict[int, int] = {}
        self.excused: set[int] = set()
        self._stood = START
        self._begin()

    def _begin(self) -> None:
        self.clock = Clock()
        self.disk = Disk(self.store, self.wall)
        self.channels: dict[str, FakeChannel] = {}
        plans = [RoutePlan(route, self.windows, self.rate, self._build(route)) for route in self.routes]
        self.dispatcher = Dispatcher(plans, router(self.clock, *self.routes), self.disk, self.clock, self.wall)
        self.channel, self.way = self.channels[ROUTE], self.dispatcher.ways[ROUTE]
        self.acceptance = Acceptance(
            self.disk, cast("Sealing", self.numbering), self.dispatcher, self.wall, lambda: ""
        )  # fmt: skip
        for route in self.routes:
            self.dispatcher.binds_changed(route)
        self._judged = 0

    def _build(self, route: str) -> Callable[[Outcomes], FakeChannel]:
        def build(outcomes: Outcomes) -> FakeChannel:
            channel = FakeChannel(
                outcomes, lambda part: self.store.rows[part].state, len(self.windows), self.clock, route
            )  # fmt: skip
            self.channels[route] = channel
            return channel

        return build

    def wall(self) -> float:
        return self._stood + self.clock.seconds()

    # ---- what may happen ----

    def push(
        self, messages: Sequence[tuple[TrafficClass, int, str]], life: float = 1e6, after: float = 0.0, known: int = 0
    ) -> None:  # fmt: skip
        """One push of messages: class, parts and client of each. ``known``: so many have been pushed before."""
        submissions = []
        for traffic, parts, client in messages:
            ref = str(self.pushed - known)
            self.pushed += not known
            text = Secret("Code 482913" if parts == 1 else "x" * 150 * parts)
            submissions.append(
                Submission(
                    client=client,
                    ref=f"{client}{ref}",
                    to=Msisdn("+375291110001"),
                    sender="Example",
                    traffic=traffic,
                    text=text,
                    not_before=self.wall() + after if after else 0.0,
                    expires=self.wall() + after + life,
                    group="",
                    tags=(),
                    meta=b"",
                    canonical=b"",
                    peer_uid=0,
                )
            )
        self.acceptance.accept(submissions, lambda _: None)

    def commit(self, most: int) -> None:
        before = set(self.store.rows)
        self.disk.commit(most)
        self.accepted_in.update((part, self.disk.commits) for part in self.store.rows if part not in before)
        self.leases_fit_the_windows()

    def fail(self, most: int) -> None:
        """What is not leased now may be passed by those that the commits around this one bear."""
        self.disk.fail(most)
        self.excused.update(part for part, row in self.store.rows.items() if row.state is State.READY)

    def kill(self) -> None:
        """The process is killed and begins anew: the store alone is left."""
        self._stood = self.wall()
        self.store.sweep(int(self._stood * 1000))
        self._begin()

    def fair(self, rounds: int, step: float) -> None:
        """Everything works: the operator takes all, and every answer comes."""
        for bind in range(len(self.windows)):
            if bind not in self.channel.up:
                self.channel.rise(bind)
        for _ in range(rounds):
            self.disk.answer()
            self.clock.advance(step)
            while self.disk.asked:
                self.disk.look()
            self.disk.answer_reads()
            self.commit(1_000)
            self.disk.answer()
            self.nobody_was_overtaken()
            if not (self.channel.flying or self.rows(State.READY) or self.rows(State.LEASED)):
                break
            self.channel.answer(Accepted("7"))

    # ---- what must hold ----

    def rows(self, state: State) -> list[Row]:
        return [row for row in self.store.rows.values() if row.state is state]

    def leases_fit_the_windows(self) -> None:
        """Rule 1: leased rows never exceed the windows, nor bulk its part of them; no two share a reference."""
        leased = [(row, row.tries[-1]) for row in self.rows(State.LEASED)]
        assert len({attempt.reference for _, attempt in leased}) == len(leased)
        for bind, window in enumerate(self.windows):
            here = [row.traffic for row, attempt in leased if attempt.bind == bind]
            assert len(here) <= window
            assert sum(traffic not in URGENT for traffic in here) <= bulk_slots(window)
        assert len(leased) <= self.way.slots.used <= sum(self.windows)

    def nobody_was_overtaken(self) -> None:
        """When a part leaves for the first time, none of its client and lane waits that is older, came into the spool
        no later, has never left, and was not meant for later."""
        fresh, self._judged = self.channel.written[self._judged :], len(self.channel.written)
        if not fresh:
            return
        now = int(self.wall() * 1000)
        excused = self.excused | self.numbering.for_later
        waiting = [
            row for row in self.rows(State.READY) if not row.tries and row.expires > now and row.id not in excused
        ]
        for out in fresh:
            assert out.expires > self.wall(), "written after its life"
            if out.attempt > 1:
                continue
            mine = self.store.rows[out.part]
            for row in waiting:
                if row.id < out.part and (row.client, LANE_OF[row.traffic]) == (mine.client, LANE_OF[out.traffic]):
                    assert self.accepted_in[row.id] > self.accepted_in[out.part], f"{row.id} < {out.part}"

    def memory_is_bounded(self, clients: int) -> None:
        """Whatever waits, a lane holds a few windows of each client's headers."""
        fetch = min(max(2 * sum(self.windows), 64), 1000)
        for lane in self.way._lanes.lanes.values():  # what is in memory is told by lane nowhere else
            assert lane.queued <= fetch * 2 * clients
            belief = self.way._beliefs[lane.number]  # the same
            assert len(belief._held) <= MOST_HELD  # the same
