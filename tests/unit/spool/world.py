"""A small honest house around a store, every fault of the page on states, and an oracle that knows only the promises.

``World`` plays: clients that repeat, a dispatcher with slots, binds that break, an operator that answers late, never or
twice, a disk that fills, a process that is killed. ``moves()`` lists what may happen next; ``play`` does one of it.
After every commit the ``Oracle`` reads the store through its reader and compares it with what was promised. It shares
no rule with the code: it counts what was written, remembers what was said, and looks at what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from msgspec import structs

from mgate.model.entry import Told
from mgate.model.message import Fate, State
from mgate.model.outcome import Accepted, Deferred, Elsewhere, NotWritten, Outcome, Rejected, Uncertain
from mgate.model.ports import Slot
from mgate.model.ready import Ask
from mgate.spool.engine import StoreFull
from mgate.spool.verbs import (  # fmt: skip
    Accept,
    Cancel,
    Cancelled,
    End,
    Ends,
    Kept,
    Lease,
    Leased,
    Move,
    Release,
    Released,
    Result,
    Shift,
    Verb,
    Wake,
    Wish,
)
from tests.conformance.player import NOW, NUMBER, ROUTE, Place, hearing, kind_of, message, number_of, tag
from tests.unit.spool.oracle import ENDED, Instance, Oracle, Submit, stands

PATIENCE = 72 * 3_600_000
ANSWERS: tuple[Outcome, ...] = (
    Accepted("x"),
    Accepted("x"),
    Rejected("ESME_RINVDSTADR"),
    Deferred("ESME_RTHROTTLED"),
    Elsewhere("ESME_RINVDSTADR", "other_route"),
    Elsewhere("ESME_RTHROTTLED", "throttled"),
)

Step = Callable[[], object]


class Switches(NamedTuple):
    """Rules of the house around the store that a test may switch off."""

    slot_freed_early: bool = False
    second_queue: bool = False
    duplicate_from_memory: bool = False
    life_unchecked_at_write: bool = False
    outcomes_dropped_on_failure: bool = False


class Fragile(Protocol):
    """A place whose next commit can be made to fail cleanly."""

    full: bool

    def open(self) -> Place:
        """Open it, or open it again after an end of the process."""


class Try(NamedTuple):
    """One attempt on its way."""

    part: int
    n: int
    slot: Slot


class World:
    """The house. Everything but ``place`` and what the operator has is memory, and dies with the process."""

    def __init__(self, instance: Instance, place: Fragile, off: Switches = Switches()) -> None:  # noqa: B008  # frozen
        self.instance, self.fragile, self.off = instance, place, off
        self.place = place.open()
        self.routes = instance.routes or (ROUTE,) * len(instance.windows)
        self.oracle = Oracle(instance)
        self.now = NOW
        self.pushes = 0
        self.messages = [
            message(at + 1, ref=f"ref {at}", traffic=traffic, parts=parts, life=3_600_000 if parts > 1 else 0)
            for at, (traffic, parts) in enumerate(instance.messages)
        ]
        self.remembered: dict[int, int] = {}
        self.queue: list[tuple[Try | None, End]] = []
        self.held: dict[int, int] = {}
        self.to_write: list[Try] = []
        self.outstanding: list[Try] = []
        self.unanswered: list[tuple[Submit, Outcome]] = []
        self.references = 0
        self.start()

    def start(self) -> None:
        """Rule 7: the sweep comes before anything else."""
        self.queue, self.to_write, self.outstanding = [], [], []
        self.remembered = {}
        self.held = dict.fromkeys(range(len(self.instance.windows)), 0)
        self.place.store.sweep(self.now)
        self.look()

    # ---- what may happen next --------------------------------------------------------------------------------------

    def play(self, choice: int) -> None:
        """Do one of the things that may happen now; ``choice`` has 16 bits: which kind, and which of that kind."""
        kinds = [(weight, moves) for weight, moves in self.moves() if moves]
        place = (choice & 0xFF) % sum(weight for weight, _ in kinds)
        for weight, moves in kinds:
            place -= weight
            if place < 0:
                moves[(choice >> 8) % len(moves)]()
                return

    def moves(self) -> list[tuple[int, list[Step]]]:
        """What may happen next, by kind, each with its weight: faults are rarer than work, or no walk would get far."""
        free = [bind for bind, window in enumerate(self.instance.windows) if self.held[bind] < window]
        pushes = [partial(self.push, at, fails=False) for at in range(len(self.messages))]
        commits = [partial(self.commit, fails=False)] * 4 + [partial(self.commit, fails=True)] if self.queue else []
        hours = [self.pass_time_by(3_600_000)] * 3 + [self.pass_time_by(PATIENCE)]
        return [
            (4, [*pushes, partial(self.push, self.pushes % len(self.messages), fails=True)]),
            (8, [partial(self.lease, bind, fails=fails) for bind in free for fails in (False, False, False, True)]),
            (7, [partial(self.write, one) for one in self.to_write]),
            (5, [partial(self.respond, at, kept=kept) for at in range(len(self.unanswered)) for kept in (False, True)]),
            (2, [partial(self.time_out, one) for one in self.outstanding]),
            (1, [partial(self.lose_link, bind) for bind in range(len(self.instance.windows))]),
            (4, list(commits)),
            (2, [self.move] if len(set(self.routes)) > 1 else []),
            (3, list(self.receipts())),
            (1, [partial(self.cancel, head) for head in self.oracle.last]),
            (1, list(self.releases())),
            (2, [self.pass_time_by(5_000), self.pass_time_by(600_000), self.pass_time_by(600_000)]),
            (1, list(hours)),
            (4, [self.wake]),
            (1, [self.crash, self.crash, self.stop]),
        ]

    def receipts(self) -> Iterator[Step]:
        for submit in self.oracle.written[-4:]:
            for told in (Told.DELIVERED, Told.UNDELIVERED):
                for bears in (False, True):
                    yield partial(self.receipt, submit, told, bears=bears)

    def releases(self) -> Iterator[Step]:
        for record in self.oracle.last.values():
            for row in record.rows:
                if row.state is State.UNCERTAIN and self.oracle.released.get(row.id, 0) < 1:
                    yield partial(self.release_twice, row.id, row.attempts)

    def pass_time_by(self, milliseconds: int) -> Step:
        return partial(self.pass_time, milliseconds)

    # ---- commits ---------------------------------------------------------------------------------------------------

    def commit(self, *verbs: Verb, fails: bool, alone: bool = False) -> list[Result] | None:
        """One commit of all outcomes that wait and of ``verbs``; None when it failed cleanly."""
        told = [] if alone else list(self.queue)
        ends = [Ends(tuple(end for _, end in told))] if told else []
        self.fragile.full = fails
        try:
            results = self.place.store.work([*ends, *verbs], self.now)
            self.place.store.flush()
        except StoreFull:
            if self.off.outcomes_dropped_on_failure:
                self.settle(told)
            self.look()
            return None
        finally:
            self.fragile.full = False
        for _, end in told:
            if end.operator_tag:
                self.oracle.told_ids.add((end.part, end.attempt))
            if isinstance(end.outcome, Elsewhere) and end.outcome.why != "throttled":
                self.oracle.sent_away.add((end.part, end.attempt))
        self.settle(told)
        return results[len(ends) :]

    def settle(self, told: Sequence[tuple[Try | None, End]]) -> None:
        self.queue = self.queue[len(told) :]
        for one, _ in told:
            if one is not None and not self.off.slot_freed_early:
                self.held[one.slot.bind] -= 1

    def look(self) -> None:
        heads = [new.id for new in self.messages]
        held = dict(self.held)
        if self.off.slot_freed_early:  # what the oracle counts as held is what the house believes
            for one, _ in self.queue:
                if one is not None:
                    held[one.slot.bind] += 1
        self.oracle.check(held, self.place.reader.records(heads))

    # ---- the moves -------------------------------------------------------------------------------------------------

    def push(self, at: int, *, fails: bool) -> None:
        """A client sends, or sends again; a free slot is offered now and then."""
        new = self.messages[at]
        self.pushes += 1
        if self.off.duplicate_from_memory and at in self.remembered:
            self.oracle.acked[at] = self.remembered[at]
            self.look()
            return
        self.remembered[at] = new.id
        bind = self.pushes % len(self.instance.windows)
        offered: tuple[Slot, ...] = ()
        room = self.held[bind] + new.parts <= self.instance.windows[bind]
        if self.pushes % 2 and room and self.routes[bind] == new.route:
            offered = tuple(self.reserve(bind) for _ in range(new.parts))
        results = self.commit(Accept((structs.replace(new, slots=offered),)), fails=fails)
        if results is None:
            self.give_back(offered)
            return
        (kept,) = kind_of(results[0], tuple)
        kept = kind_of(kept, Kept)
        if at in self.oracle.acked:
            self.oracle.need(kept.duplicate, "a retry was kept as a new message")
            self.oracle.need(self.oracle.acked[at] == kept.message, "a retry was answered with another id")
        self.oracle.acked[at] = kept.message
        if kept.leased:
            self.to_write += [Try(new.id + n, 1, slot) for n, slot in enumerate(offered)]
        else:
            self.give_back(offered)
        self.look()
        if not kept.leased:
            self.oracle.need(
                kept.state.name == stands([row.state for row in self.oracle.last[new.id].rows]), "a wrong fold"
            )

    def reserve(self, bind: int) -> Slot:
        self.held[bind] += 1
        self.references += 1
        return Slot(self.routes[bind], bind, self.references, urgent=False)

    def give_back(self, slots: Sequence[Slot]) -> None:
        for slot in slots:
            self.held[slot.bind] -= 1

    def lease(self, bind: int, *, fails: bool) -> None:
        """A slot first, then the mark; what the commit did not take gives its slot back."""
        parts = [
            header.part
            for lane in (1, 2, 3, 4)
            for header in self.place.reader.ready(Ask(self.routes[bind], lane, 5, frozenset()), self.now).headers
        ]
        if self.references % 7 == 6:  # what was read long ago may stand anywhere by now
            parts = [row.id for record in self.oracle.last.values() for row in record.rows]
        if not parts:
            return
        slot = self.reserve(bind)
        part = parts[self.references % len(parts)]
        results = self.commit(Lease((Wish(part, slot),)), fails=fails, alone=self.off.second_queue)
        if results is None:
            self.give_back([slot])
            return
        (leased,) = kind_of(results[0], tuple)
        if leased is None:
            self.give_back([slot])
        else:
            self.to_write.append(Try(part, kind_of(leased, Leased).attempt, slot))
        self.look()
        if leased is not None:
            head = number_of((part - number_of(0)) // 1_000)
            self.oracle.check_lease(part, self.oracle.last[head])

    def tell(self, one: Try | None, part: int, n: int, outcome: Outcome) -> None:
        """An outcome goes into the one queue to the writer."""
        if isinstance(outcome, Uncertain | Elsewhere):
            outcome = structs.replace(outcome, routes=tuple(dict.fromkeys(self.routes)))
        named = isinstance(outcome, Accepted)
        key = tag(f"{part}/{n}") if named else b""
        self.queue.append((one, End(part, n, outcome, key, b"sealed" if named else b"")))
        if one is not None and self.off.slot_freed_early:
            self.held[one.slot.bind] -= 1

    def message_of(self, part: int) -> int:
        return (part - number_of(0)) // 1_000 - 1

    def write(self, one: Try) -> None:
        """Rule 5: life is looked at again, then the octets leave."""
        self.to_write.remove(one)
        new = self.messages[self.message_of(one.part)]
        alive = new.expires > self.now
        if not alive and not self.off.life_unchecked_at_write:
            self.tell(one, one.part, one.n, NotWritten("life_over"))
            return
        submit = Submit(one.part, one.n, one.slot.reference, one.slot.route)
        self.oracle.check_write(submit, new.traffic.name, alive)
        self.outstanding.append(one)
        self.unanswered.append((submit, ANSWERS[(self.references + len(self.oracle.written)) % len(ANSWERS)]))

    def respond(self, at: int, *, kept: bool) -> None:
        """The operator answers, late or not; ``kept`` tells whether it may answer the same once more."""
        submit, outcome = self.unanswered[at]
        if not kept:
            del self.unanswered[at]
        if not isinstance(outcome, Accepted):
            self.oracle.surely_refused.add((submit.part, submit.n))
        one = next((one for one in self.outstanding if (one.part, one.n) == submit[:2]), None)
        if one is not None:
            self.outstanding.remove(one)
        self.tell(one, submit.part, submit.n, outcome)

    def time_out(self, one: Try) -> None:
        self.outstanding.remove(one)
        self.tell(one, one.part, one.n, Uncertain("response_timeout", link_alive=True))

    def lose_link(self, bind: int) -> None:
        """Rule 3: what was written is uncertain, what was not goes back; each frees its slot by its own commit."""
        for one in [one for one in self.outstanding if one.slot.bind == bind]:
            self.outstanding.remove(one)
            self.tell(one, one.part, one.n, Uncertain("link_lost", link_alive=False))
        for one in [one for one in self.to_write if one.slot.bind == bind]:
            self.to_write.remove(one)
            self.tell(one, one.part, one.n, NotWritten("link_lost"))

    def receipt(self, submit: Submit, told: Told, *, bears: bool) -> None:
        """Early, late, repeated, contradicting; with the attempt's own reference or without."""
        refused = (submit.part, submit.n) in self.oracle.surely_refused
        if refused or any(s == submit and not isinstance(outcome, Accepted) for s, outcome in self.unanswered):
            return
        verb = hearing(
            submit.operator_id,
            told=told,
            reference=submit.reference if bears else -1,
            number=NUMBER if bears else "",
            account=submit.route,
        )
        self.oracle.heard.setdefault((submit.part, submit.n), set()).add(told)
        self.commit(verb, fails=False)
        self.look()

    def move(self) -> None:
        """A route is dead, or believed to be: whatever is ready goes to the other."""
        shifts = [
            Shift(row.id, row.route, tuple(dict.fromkeys(self.routes)))
            for record in self.oracle.last.values()
            for row in record.rows
        ]
        self.commit(Move(tuple(shifts), "no_bind"), fails=False)
        self.look()

    def cancel(self, head: int) -> None:
        results = self.commit(Cancel(head, "local", "called_off"), fails=False)
        assert results is not None
        word = kind_of(results[0], Cancelled).word
        self.look()
        record = self.oracle.last[head]
        if word == "cancelled":
            self.oracle.need(stands([row.state for row in record.rows]) == "CANCELLED", "cancelled is not what it is")
        if word == "may_have_left":
            for row in record.rows:
                if any(attempt.fate is Fate.IN_DOUBT for attempt in row.tries):
                    self.oracle.called_off[row.id] = self.oracle.released.get(row.id, 0)

    def release_twice(self, part: int, attempts: int) -> None:
        """A person clicks twice on one page."""
        results = self.commit(Release(part, attempts), Release(part, attempts), fails=False)
        assert results is not None
        done = [kind_of(result, Released).done for result in results]
        self.oracle.need(done != [True, True], "two clicks are two releases")
        if any(done):
            self.oracle.released[part] = self.oracle.released.get(part, 0) + 1
        self.look()

    def pass_time(self, milliseconds: int) -> None:
        self.now += milliseconds

    def wake(self) -> None:
        self.commit(Wake(100), fails=False)
        self.look()

    def crash(self) -> None:
        self.place = self.fragile.open()
        self.start()

    def stop(self) -> None:
        """SIGTERM: what is unwritten goes back, what has no answer is uncertain, and all of it is committed."""
        for bind in range(len(self.instance.windows)):
            self.lose_link(bind)
        if self.queue:
            self.commit(fails=False)
        self.look()
        self.oracle.need(all(not held for held in self.held.values()), "slots are held after a stop")
        self.crash()

    def end(self) -> None:
        """Whatever happened: with time enough everything ends, and the clock falls silent."""
        self.stop()
        for step in (86_400_000, PATIENCE, 1):
            self.pass_time(step)
            for _ in range(10):
                self.wake()
        for record in self.oracle.last.values():
            self.oracle.need(stands([row.state for row in record.rows]) in ENDED, "it never ends")
