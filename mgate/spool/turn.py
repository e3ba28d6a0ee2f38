"""One commit: what the verbs of a batch mean for the rows. Pure; the engines read for it and write what it leaves.

A ``Turn`` is made for one transaction. Its verbs move rows in a ``Ledger`` and leave behind new rows, changed rows,
attempts and journal rows, which the engine then writes in one go. Whatever fails in between, nothing was written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, assert_never

from mgate.model.message import COUNT_BITS, ENDED, Fate, State
from mgate.model.outcome import Accepted, Deferred, Elsewhere, NotWritten, Rejected, Uncertain
from mgate.policy.step import backs_off
from mgate.spool.ledger import NEVER, Ledger, newest
from mgate.spool.lifecycle import Event, advance, fold_parts
from mgate.spool.matching import best, newer
from mgate.spool.rows import Attempt, Early, Found, Head, Hit, JournalRow, KnownRef, Row, Shelf
from mgate.spool.verbs import (
    Accept,
    Ack,
    Bury,
    Cancel,
    Clash,
    End,
    Ends,
    Fit,
    Forget,
    Hear,
    Heard,
    KeepInbound,
    Kept,
    Lease,
    Leased,
    Move,
    NewInbound,
    NewMessage,
    Release,
    Result,
    Trim,
    Verb,
    Wake,
    Wish,
)  # fmt: skip
from mgate.spool.wishes import CLOCK_STEP, acknowledge, cancel, move, release, set_right, wake

SameNumber = Callable[[int, bytes, Sequence[str]], bool]
"""Whether a phone tag of this period is that of one of these numbers."""

# States.md, rules 2 and 8: outcomes before leases, and receipts see what the outcomes of the same commit have learnt.
_ORDER: Final = (Ends, Lease, Hear, Accept, KeepInbound, Ack, Bury, Cancel, Release, Wake, Move, Forget, Trim)

MATCHED: Final = Fit("matched")
REPEAT: Final = Fit("repeat")
EARLY: Final = Fit("early")

_UNDER_WAY: Final = frozenset({State.LEASED, State.SENT, State.DELIVERED})

_FATE_OF: Final = {
    Accepted: Fate.ACCEPTED,
    Deferred: Fate.REFUSED,
    Rejected: Fate.REFUSED,
    Elsewhere: Fate.REFUSED,
    Uncertain: Fate.IN_DOUBT,
    NotWritten: Fate.REFUSED,
}


class Turn:
    """What one transaction does.

    Attributes:
        ledger: the rows it moved.
        inserted: new messages with their rows; ``early_kept`` and ``early_used``: early receipts to add and to drop;
        inbound: to add; ``forgotten``: (message, journal row) of messages to delete; ``trims``: what only time removes;
        acks: cursors to set, by (client, feed); ``buried``: runs that feeds give up or take up again.
    """

    def __init__(self, shelf: Shelf, now: int, next_sequence: int, same_number: SameNumber) -> None:
        self._shelf = shelf
        self._same_number = same_number
        self._now = now
        self._kept: dict[tuple[str, bytes], KnownRef] = {}
        self._fresh: dict[tuple[str, bytes], list[Hit]] = {}
        self.ledger = Ledger(shelf, now, next_sequence)
        self.inserted: list[tuple[NewMessage, list[Row]]] = []
        self.early_kept: list[Early] = []
        self.early_used: list[Early] = []
        self.inbound: list[tuple[NewInbound, JournalRow]] = []
        self.forgotten: list[tuple[int, int]] = []
        self.trims: list[Trim] = []
        self.acks: dict[tuple[str, str], int] = {}
        self.buried: list[Bury] = []

    def run(self, verbs: Sequence[Verb]) -> list[Result]:
        """Answer each verb, in the order that the rules ask for; the results stand in the order of the verbs."""
        results: dict[int, Result] = {}
        for kind in _ORDER:
            for index, verb in enumerate(verbs):
                if type(verb) is kind:
                    results[index] = self._answer(verb)
        return [results[index] for index in range(len(verbs))]

    def _answer(self, verb: Verb) -> Result:  # noqa: C901  # one line a verb
        match verb:
            case Ends():
                return self._end(verb.ends)
            case Lease():
                return self._lease(verb.wishes)
            case Hear():
                return self._hear(verb.receipts)
            case Accept():
                return self._accept(verb.messages)
            case KeepInbound():
                return self._keep_inbound(verb.messages)
            case Ack():
                return acknowledge(verb, self._shelf.cursors(verb.client), self.acks, self.ledger.next_sequence - 1)
            case Bury():
                self.buried.append(verb)
                return len(verb.dead) + len(verb.raised)
            case Cancel():
                return cancel(self.ledger, verb)
            case Release():
                return release(self.ledger, verb)
            case Wake():
                return wake(self.ledger, self._shelf.wakes(self._now, verb.limit))
            case Move():
                return move(self.ledger, verb)
            case Forget():
                self.forgotten.extend(verb.messages)
                return len(verb.messages)
            case Trim():
                self.trims.append(verb)
                return 0
            case _:
                assert_never(verb)

    def sweep(self, routes: tuple[str, ...]) -> int:
        """At start: what was open is in doubt (rule 7), to be repeated by these routes. How many parts that were."""
        parts = self._shelf.open_attempts()
        self.ledger.load(parts)
        for part in parts:
            row = self.ledger.rows[part]
            attempt = newest(row)
            attempt.fate = Fate.IN_DOUBT
            attempt.reason = "crash"
            self.ledger.touch(row)
            self.ledger.fold(row, Uncertain("crash", link_alive=False, routes=routes))
        set_right(self.ledger, self._shelf.from_the_future(self._now + CLOCK_STEP << COUNT_BITS))
        return len(parts)

    # ---- acceptance ------------------------------------------------------------------------------------------------

    def _accept(self, messages: Sequence[NewMessage]) -> tuple[Kept | Clash, ...]:
        wanted = [(message.client, message.ref_tag) for message in messages]
        self._kept.update(self._shelf.refs([key for key in wanted if key not in self._kept]))
        return tuple(self._accept_one(message, key) for message, key in zip(messages, wanted, strict=True))

    def _accept_one(self, message: NewMessage, key: tuple[str, bytes]) -> Kept | Clash:
        held = self._kept.get(key)
        if held is not None:
            if held.content_tag != message.content_tag:
                return Clash(held.message)
            return Kept(held.message, held.parts, duplicate=True, state=self._state_of(held), leased=False)
        if message.group_tag:
            self._supersede(message)
        leased = bool(message.slots) and message.expires > self._now
        state = State.LEASED if leased else State.READY
        rows = [self._new_row(message, n, state) for n in range(1, message.parts + 1)]
        self.inserted.append((message, rows))
        self._kept[key] = KnownRef(message.id, message.parts, message.content_tag, state)
        self.ledger.tell(rows[0], "accepted", "", may=False)
        return Kept(message.id, message.parts, duplicate=False, state=state, leased=leased)

    def _new_row(self, message: NewMessage, n: int, state: State) -> Row:
        row = Row(
            message.id + n - 1,
            n,
            message.parts,
            message.client,
            message.traffic,
            message.route,
            state,
            message.created,
            message.due,
            message.expires,
            message.expires,
            message.period,
            message.phone_tag,
            keeps_text=n == 1 and message.body != b"",
        )
        self.ledger.rows[row.id] = self.ledger.changed[row.id] = row
        if state is State.LEASED:
            self._mark(row, Wish(row.id, message.slots[n - 1]))
        return row

    def _state_of(self, known: KnownRef) -> State:
        rows = [self.ledger.rows.get(known.message + n) for n in range(known.parts)]
        states = [row.state for row in rows if row is not None]
        return fold_parts(states) if len(states) == known.parts else known.state

    def _supersede(self, message: NewMessage) -> None:
        """A second code must not overtake the first: what is unsent of the group is called off."""
        key = (message.client, message.group_tag)
        heads = self._shelf.group(*key)
        self.ledger.load_messages(heads)
        heads += [new.id for new, _ in self.inserted if (new.client, new.group_tag) == key]
        for head in heads:
            rows = self.ledger.siblings(self.ledger.rows[head])
            under_way = any(row.state in _UNDER_WAY for row in rows)
            for row in rows:
                if row.state is State.READY and not under_way:
                    self.ledger.stop(row, Event.CANCEL, "superseded")
                elif row.state is State.UNCERTAIN:
                    self.ledger.forbid_repeat(row)

    # ---- leases ----------------------------------------------------------------------------------------------------

    def _lease(self, wishes: Sequence[Wish]) -> tuple[Leased | None, ...]:
        self.ledger.load([wish.part for wish in wishes])
        granted = [self._grant(wish) for wish in wishes]
        heads = self._shelf.heads(list({row.head: None for row in granted if row is not None}))
        return tuple(None if row is None else _leased(row, heads[row.head]) for row in granted)

    def _grant(self, wish: Wish) -> Row | None:
        row = self.ledger.rows.get(wish.part)
        if row is None or row.state is not State.READY or row.due > self._now or row.expires <= self._now:
            return None
        if row.route != wish.slot.route:
            return None  # it has been moved to another since it was read
        row.state = advance(row.state, Event.LEASE)
        self._mark(row, wish)
        self.ledger.touch(row)
        return row

    def _mark(self, row: Row, wish: Wish) -> None:
        repeat = bool(row.tries) and Fate.IN_DOUBT in self.ledger.fates(row)
        self.ledger.repeats += repeat
        row.burned += 1
        slot = wish.slot
        row.tries.append(Attempt(len(row.tries) + 1, slot.route, slot.bind, slot.reference, self._now, repeat=repeat))

    # ---- outcomes --------------------------------------------------------------------------------------------------

    def _end(self, ends: Sequence[End]) -> int:
        self.ledger.load([end.part for end in ends])
        for end in ends:
            row = self.ledger.rows.get(end.part)
            if row is not None:
                self._end_one(row, end)
        return len(ends)

    def _end_one(self, row: Row, end: End) -> None:
        if (
            type(end.outcome) is Accepted
            and end.attempt == 1
            and row.state is State.LEASED
            and row.parts == 1
            and len(row.tries) == 1
            and row.tries[0].fate is Fate.OPEN
        ):
            self._accepted_at_once(row, row.tries[0], end)
            return
        ledger = self.ledger
        attempt = ledger.attempt(row, end.attempt)
        if attempt is None:
            return
        learnt = end.operator_tag != b"" and attempt.operator_id is None
        if learnt:
            attempt.place = -attempt.place  # indexed under what a receipt taught: its own id takes the place
            attempt.operator_tag = end.operator_tag
            attempt.operator_id = end.operator_id
            self._fresh.setdefault((attempt.route, end.operator_tag), []).append((row, attempt))
        moved = ledger.move(attempt, _FATE_OF[type(end.outcome)])
        if moved or learnt:
            attempt.answered = attempt.answered or self._now
            ledger.touch(row)
        if moved:
            self._settle(row, attempt, end)
        elif row.state in ENDED and row.wake == NEVER:
            ledger.await_end(row)
        if learnt:
            self._hear_early(row, attempt, end.operator_tag)

    def _accepted_at_once(self, row: Row, attempt: Attempt, end: End) -> None:
        """What nearly always happens, without asking the table: it says ACCEPT, SENT, and the event."""
        attempt.fate = Fate.ACCEPTED
        attempt.answered = self._now
        row.state = State.SENT
        row.reason = ""
        self.ledger.tell(row, "sent", "", may=True)
        if end.operator_tag:
            attempt.place = -attempt.place  # see ``_end_one``
            attempt.operator_tag = end.operator_tag
            attempt.operator_id = end.operator_id
            self._fresh.setdefault((attempt.route, end.operator_tag), []).append((row, attempt))
            self._hear_early(row, attempt, end.operator_tag)

    def _settle(self, row: Row, attempt: Attempt, end: End) -> None:
        outcome = end.outcome
        match outcome:
            case Accepted():
                self.ledger.fold(row, outcome)
            case Uncertain():
                attempt.reason = outcome.reason
                self.ledger.fold(row, outcome)
            case Deferred():
                attempt.reason = outcome.reason
                row.burned -= 1
                row.deferrals += backs_off(outcome.reason)
                self.ledger.fold(row, outcome)
            case Rejected():
                attempt.reason = outcome.reason
                row.burned -= 1
                self.ledger.fold(row, outcome)
            case Elsewhere():
                attempt.reason = outcome.reason
                attempt.barred = outcome.why != "throttled"
                row.burned -= 1
                self.ledger.fold(row, outcome)
            case NotWritten():
                attempt.reason = outcome.reason
                row.burned -= 1
                self.ledger.give_back(row)
            case _:
                assert_never(outcome)

    # ---- receipts --------------------------------------------------------------------------------------------------

    def _hear(self, receipts: Sequence[Heard]) -> tuple[Fit, ...]:
        """Those that surely mean an attempt at hand are looked up one by one, the rest together."""
        known: dict[tuple[str, bytes], list[Hit]] = {}
        hits: list[Hit | None] = []
        rest: list[Heard] = []
        rows, fresh, at_hand = self.ledger.rows, self._fresh, self._shelf.at_hand
        for receipt in receipts:
            hit = None
            if receipt.tags:
                key = (receipt.account, receipt.tags[0])
                hit = None if key in known else newer(fresh.get(key), at_hand(*key))
                if hit is not None:
                    known[key] = [hit]
                    rows[hit[0].id] = hit[0]
            hits.append(hit)
            if hit is None:
                rest.append(receipt)
        if rest:
            known.update(self._known_ids(rest))
        return tuple([self._hear_one(receipt, hit, known) for receipt, hit in zip(receipts, hits, strict=True)])

    def _known_ids(self, receipts: Sequence[Heard]) -> dict[tuple[str, bytes], list[Hit]]:
        """Every attempt that bears an id of these receipts, newest first.

        The best forms first: only a receipt that none of them fits is asked for by the others, in every bucket.
        """
        known: dict[tuple[str, bytes], list[Hit]] = {key: list(hits) for key, hits in self._fresh.items()}
        self._look_up([(receipt.account, receipt.tags[:1]) for receipt in receipts], known)
        unfit = [
            receipt
            for receipt in receipts
            if not known.get((receipt.account, receipt.tags[0] if receipt.tags else b""))
        ]
        self._look_up([(receipt.account, receipt.tags[1:]) for receipt in unfit], known)
        return known

    def _look_up(
        self, wanted: Sequence[tuple[str, tuple[bytes, ...]]], known: dict[tuple[str, bytes], list[Hit]]
    ) -> None:
        accounts: dict[str, dict[bytes, None]] = {}
        for account, tags in wanted:
            accounts.setdefault(account, {}).update(dict.fromkeys(tags))
        for account, distinct in accounts.items():
            found = self._shelf.operator_ids(account, list(distinct))
            for one, hit in zip(found, self._hits(found), strict=True):
                if hit is not None:
                    known.setdefault((account, one.tag), []).append(hit)

    def _hits(self, found: Sequence[Found]) -> list[Hit | None]:
        self.ledger.load([one.part for one in found])
        hits: list[Hit | None] = []
        for one in found:
            row = self.ledger.rows.get(one.part)
            attempt = None if row is None else self.ledger.attempt(row, one.attempt)
            hits.append(None if row is None or attempt is None else (row, attempt))
        return hits

    def _hear_one(self, receipt: Heard, hit: Hit | None, known: dict[tuple[str, bytes], list[Hit]]) -> Fit:
        if hit is not None:
            row, attempt = hit
            return MATCHED if self.ledger.hear(row, attempt, receipt.told, receipt.reason) else REPEAT
        hit = best(receipt, known)
        if hit is None:
            hit = self._by_reference(receipt)
            if hit is not None:
                self._learn(*hit, receipt, known)
        if hit is not None:
            return MATCHED if self.ledger.hear(*hit, receipt.told, receipt.reason) else REPEAT
        key = receipt.tags[0] if receipt.tags else b""
        self.early_kept.append(
            Early(receipt.account, key, receipt.tags, receipt.told, receipt.reason, receipt.reference, self._now)
        )
        return EARLY

    def _learn(self, row: Row, attempt: Attempt, receipt: Heard, known: dict[tuple[str, bytes], list[Hit]]) -> None:
        """A receipt that our reference led home tells the operator's id too: the next one may bear no reference, or
        come when the attempt is no longer in doubt."""
        if not receipt.tags or attempt.operator_tag is not None:
            return
        tag = receipt.tags[0]
        attempt.operator_tag = tag
        self.ledger.touch(row)
        known.setdefault((receipt.account, tag), []).append((row, attempt))
        self._fresh.setdefault((receipt.account, tag), []).append((row, attempt))
        self._hear_early(row, attempt, tag)

    def _by_reference(self, receipt: Heard) -> Hit | None:
        """The one open or doubtful attempt of the account that bears this reference and goes to this number."""
        if receipt.reference < 0:
            return None
        fits = [
            (row, attempt)
            for row, attempt in filter(None, self._hits(self._shelf.references(receipt.account, receipt.reference)))
            if attempt.fate in (Fate.OPEN, Fate.IN_DOUBT)
            and self._same_number(row.period, row.phone_tag, receipt.numbers)
        ]
        return fits[0] if len(fits) == 1 else None

    def _hear_early(self, row: Row, attempt: Attempt, tag: bytes) -> None:
        """A newly known operator id looks into the early receipts (rule 8).

        Only one that was seen after the attempt was leased can be its own: operators use ids again.
        """
        for early in self._shelf.early(attempt.route, tag):
            if early.seen >= attempt.leased and early not in self.early_used:
                self.early_used.append(early)
                self.ledger.hear(row, attempt, early.told, early.reason)

    def _keep_inbound(self, messages: Sequence[NewInbound]) -> int:
        for message in messages:
            told = JournalRow(self.ledger.next_sequence, "inbound", message.account, self._now, False)
            self.inbound.append((message, told))
            self.ledger.next_sequence += 1
        return len(messages)


def _leased(row: Row, head: Head) -> Leased:
    return Leased(
        row.id, row.n, row.parts, len(row.tries), row.traffic, row.period, row.created, row.expires, head.envelope,
        head.body, row.client,
    )  # fmt: skip
