"""The rows of one commit, and how the table moves them. Pure.

A ``Ledger`` is the working set of one transaction: it loads rows through a ``Shelf``, writes what is heard on the
attempt that it is about, folds the attempts into an event, looks the event up in the table of ``lifecycle``, and sees
to what follows: the journal, the siblings, the text of an otp, the clock. ``turn`` says which verb does what to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, assert_never

from mgate.model.entry import Told
from mgate.model.message import ENDED, Fate, State
from mgate.model.outcome import Accepted, Deferred, Elsewhere, Rejected, Uncertain
from mgate.policy.classes import NO_RECEIPT_STAY, RECEIPT_PATIENCE, RULES
from mgate.policy.step import (
    Defer,
    Exhaust,
    Facts,
    KeepPlace,
    MoveTo,
    RepeatAt,
    Siblings,
    after_deferral,
    after_doubt,
    after_elsewhere,
    after_refusal,
    repeat_route,
    repeats_elsewhere,
)
from mgate.spool.lifecycle import (
    JOURNALLED,
    MAY_HAVE_LEFT,
    Event,
    advance,
    failed_beside,
    fold_fates,
    fold_parts,
    may_become,
)
from mgate.spool.rows import Attempt, JournalRow, Row, Shelf

PATIENCE: Final = int(RECEIPT_PATIENCE * 1000)
STAY: Final = int(NO_RECEIPT_STAY * 1000)
NEVER: Final = 1 << 62

_BEARS: Final = (Fate.DELIVERED, Fate.ACCEPTED, Fate.IN_DOUBT, Fate.OPEN, Fate.UNDELIVERED)
"""Of the attempts of a part, that with the first of these fates says by which route it went."""

Cause = Accepted | Deferred | Rejected | Elsewhere | Uncertain | Told
"""What has just been written on an attempt."""


class Ledger:
    """The working set of one transaction.

    Attributes:
        now: milliseconds since 1970.
        rows: every row looked at; ``changed``: those to write; ``journal``: (message, its new event) to append;
            ``erased``: messages whose text goes; ``over``: messages that may leave for history; ``moved``: parts whose
            route changed, each with the one that it had before; ``repeats``: how many leave though they may have left.
    """

    def __init__(self, shelf: Shelf, now: int, next_sequence: int) -> None:
        self._shelf = shelf
        self.now = now
        self.next_sequence = next_sequence
        self.rows: dict[int, Row] = {}
        self.changed: dict[int, Row] = {}
        self.journal: list[tuple[Row, JournalRow]] = []
        self.erased: list[int] = []
        self.over: dict[int, Row] = {}
        self.moved: dict[int, str] = {}
        self.repeats = 0

    # ---- the table, applied ----------------------------------------------------------------------------------------

    def apply(self, row: Row, event: Event, reason: str) -> None:
        """Move a part by the table, tell the journal if its message moved too, and see to what follows from it."""
        siblings = self.siblings(row)
        before = fold_parts([sibling.state for sibling in siblings])
        old = row.state
        row.state = advance(old, event)
        self.touch(row)
        if row.state is old:
            return
        row.reason = reason
        if row.state is State.READY:
            self.set_wake(row, row.expires)
        elif len(row.tries) > 1 or (row.tries and row.tries[0].route != row.route):
            self._set_route(row, _bearer(row))
        if row.state in ENDED:
            self.await_end(row)
        after = fold_parts([sibling.state for sibling in siblings])
        if after is not before and after in JOURNALLED:
            may = any(sibling.burned for sibling in siblings)
            corrects = "corrects" if before is State.NO_RECEIPT else ""
            self.tell(siblings[0], JOURNALLED[after], corrects or _reason(after, row, siblings), may=may)
        if after in ENDED:
            self.erase(row)
        if row.state is State.UNDELIVERED:
            self._stop_siblings(siblings, Event.EXHAUST)
        elif row.state is State.EXPIRED:
            self._stop_siblings(siblings, Event.LAPSE)

    def stop(self, row: Row, event: Event, reason: str) -> None:
        """GiveUp, LAPSE or CANCEL of what is ready: note (b), in doubt it becomes uncertain and is never repeated."""
        if Fate.IN_DOUBT in self.fates(row):
            row.repeats_off = True
            self.doubt(row, link_alive=False, reason=reason)
        else:
            self.apply(row, event, reason)

    def _stop_siblings(self, siblings: Sequence[Row], event: Event) -> None:
        for sibling in siblings:
            if sibling.state is State.READY:
                self.stop(sibling, event, "life_over" if event is Event.LAPSE else "sibling_failed")
            elif sibling.state is State.UNCERTAIN:
                self.forbid_repeat(sibling)

    def await_end(self, row: Row) -> None:
        """A message may leave the spool when all its parts have ended and no attempt of them is open any more."""
        self.touch(row)
        siblings = self.siblings(row)
        if all(_over(sibling) for sibling in siblings):
            stay = STAY if any(sibling.state is State.NO_RECEIPT for sibling in siblings) else 0
            for sibling in siblings:
                self.set_wake(sibling, self.now + stay)
            if not stay:
                self.over[siblings[0].id] = siblings[0]
        else:
            self.set_wake(row, NEVER)

    def may_leave(self, row: Row) -> None:
        """Its stay is over, or whoever was to move it to history has not: say again that it may."""
        siblings = self.siblings(row)
        if all(_over(sibling) and sibling.wake <= self.now for sibling in siblings):
            self.over[siblings[0].id] = siblings[0]

    def erase(self, row: Row) -> None:
        """The text of an otp goes when it has been delivered or its life has ended."""
        if not RULES[row.traffic].erase_text:
            return
        head = self.siblings(row)[0]
        if head.keeps_text:
            head.keeps_text = False
            self.touch(head)
            self.erased.append(head.id)

    def forbid_repeat(self, row: Row) -> None:
        """Called off, or beside a failed sibling: whatever is in doubt stays so."""
        if row.state not in ENDED and not row.repeats_off:
            row.repeats_off = True
            row.due = 0 if row.state is State.UNCERTAIN else row.due
            self.touch(row)

    def doubt(self, row: Row, *, link_alive: bool, reason: str, routes: Sequence[str] = ()) -> None:
        """It may have been sent: the class says whether it is repeated, when, and whether by one of these routes."""
        plan = after_doubt(self._facts(row), link_alive, self.now / 1000)
        row.due = int(plan.due * 1000) if isinstance(plan, RepeatAt) else 0
        if routes and repeats_elsewhere(row.traffic, row.parts):
            doubtful = {attempt.route for attempt in row.tries if attempt.fate is Fate.IN_DOUBT}
            row.repeat_route = repeat_route(row.route, routes, row.barred, doubtful)
        self.apply(row, Event.LOSE_REPLY, reason)
        if row.state is State.UNCERTAIN:
            self.set_wake(row, self.wake_of_uncertain(row))

    def _facts(self, row: Row) -> Facts:
        return Facts(row.traffic, row.expires / 1000, row.burned, row.deferrals, row.repeats_off)

    def fold(self, row: Row, cause: Cause) -> None:
        """What the fates of all attempts now mean for the part; ``cause`` has just been written on one of them."""
        if row.state in ENDED and row.state is not State.NO_RECEIPT:
            self.await_end(row)
            return
        event = fold_fates(self.fates(row))
        if event is None:
            return
        if event is Event.LOSE_REPLY:
            alive = not isinstance(cause, Uncertain) or cause.link_alive
            reason = cause.reason if isinstance(cause, Uncertain) else ""
            routes = cause.routes if isinstance(cause, Uncertain | Elsewhere) else ()
            self.doubt(row, link_alive=alive, reason=reason, routes=routes)
        elif event is Event.EXHAUST:
            self._refused(row, cause)
        else:
            self.apply(row, event, "")

    def _refused(self, row: Row, cause: Cause) -> None:
        reason = newest(row).reason
        if row.state is State.NO_RECEIPT:
            return  # a late receipt of failure corrects nothing: it did not arrive, and nobody was told that it did
        if not isinstance(cause, Deferred | Elsewhere) or self._told_of_failure(row):
            self.apply(row, Event.EXHAUST, after_refusal(reason).reason)
        elif failed_beside(sibling.state for sibling in self.siblings(row)):
            self.apply(row, Event.EXHAUST, "sibling_failed")
        elif isinstance(cause, Deferred):
            self._put_off(row, after_deferral(self._facts(row), cause.reason, self.now / 1000), reason)
        else:
            self._sent_away(row, cause)

    def _put_off(self, row: Row, plan: Defer | KeepPlace, reason: str) -> None:
        self.apply(row, Event.DEFER, reason)
        row.due = int(plan.due * 1000) if isinstance(plan, Defer) else row.created

    def _sent_away(self, row: Row, cause: Elsewhere) -> None:
        """Its route refused it, and another may do better."""
        left = self.left(row, cause.routes)
        row.deferrals += cause.why == "quota" and not left
        siblings = self._siblings_stand(row)
        plan = after_elsewhere(self._facts(row), cause.why, cause.reason, left, siblings, self.now / 1000)
        match plan:
            case MoveTo(route):
                self.apply(row, Event.DEFER, cause.reason)
                self.take_to(route, row, cause.reason)
            case Defer() | KeepPlace():
                self._put_off(row, plan, cause.reason)
            case Exhaust(reason):
                self.apply(row, Event.EXHAUST, reason)
            case _:
                assert_never(plan)

    def _told_of_failure(self, row: Row) -> bool:
        """Whether a receipt said of an earlier attempt that it failed: that is final, whatever became of the others."""
        return Fate.UNDELIVERED in self.fates(row)

    def give_back(self, row: Row) -> None:
        """Provably not written: note (a) of the table."""
        if row.state in ENDED:
            self.await_end(row)
            return
        rest = fold_fates(self.fates(row))
        over = row.expires <= self.now
        siblings_failed = failed_beside(sibling.state for sibling in self.siblings(row))
        if rest is Event.ACCEPT:
            self.apply(row, Event.ACCEPT, "")
        elif rest is Event.LOSE_REPLY and (over or row.repeats_off or siblings_failed):
            row.repeats_off = row.repeats_off or siblings_failed
            self.doubt(row, link_alive=False, reason="not_written")
        elif rest is Event.EXHAUST and self._told_of_failure(row):
            self.apply(row, Event.EXHAUST, "undelivered")
        elif over:
            self.apply(row, Event.RETURN, "")
            self.stop(row, Event.LAPSE, "life_over")
        elif siblings_failed:
            self.apply(row, Event.EXHAUST, "sibling_failed")
        else:
            self.apply(row, Event.RETURN, "")
            row.due = self.now

    # ---- another route ---------------------------------------------------------------------------------------------

    def left(self, row: Row, routes: Sequence[str]) -> list[str]:
        """Those of these routes that a message may still be taken to: not its own, and none that sent it away."""
        barred = {row.route}.union(*(sibling.barred for sibling in self.siblings(row)))
        return [route for route in routes if route not in barred]

    def may_change_route(self, row: Row) -> bool:
        """Whether a ready part may leave by another account: a part that is accepted or in doubt ties its siblings to
        its own, and itself too unless policy repeats it elsewhere."""
        if self._siblings_stand(row) is not Siblings.FREE:
            return False
        return MAY_HAVE_LEFT.isdisjoint(self.fates(row)) or repeats_elsewhere(row.traffic, row.parts)

    def _siblings_stand(self, row: Row) -> Siblings:
        if row.parts == 1:
            return Siblings.FREE
        fates = {fate for sibling in self.siblings(row) if sibling is not row for fate in self.fates(sibling)}
        if fates <= {Fate.REFUSED}:
            return Siblings.FREE
        return Siblings.OPEN if fates <= {Fate.REFUSED, Fate.OPEN} else Siblings.BOUND

    def take_to(self, route: str, row: Row, reason: str) -> int:
        """Have the parts of a message that are ready leave by this route; how many they are."""
        ready = [sibling for sibling in self.siblings(row) if sibling.state is State.READY]
        for sibling in ready:
            self._set_route(sibling, route)
            sibling.reason = reason
            if sibling.tries:
                sibling.due = sibling.created
        return len(ready)

    def repeat(self, row: Row, reason: str) -> None:
        """Let an uncertain part go once more, where it was said to."""
        self.apply(row, Event.REPEAT, reason)
        row.due = self.now
        if row.repeat_route:
            self._set_route(row, row.repeat_route)
            row.repeat_route = ""

    def _set_route(self, row: Row, route: str) -> None:
        if row.route != route:
            self.moved.setdefault(row.id, row.route)
            row.route = route
            self.touch(row)

    # ---- receipts --------------------------------------------------------------------------------------------------

    def hear(self, row: Row, attempt: Attempt, told: Told, reason: str) -> bool:
        """Write a receipt on its attempt; False when it says nothing new."""
        if (
            told is Told.DELIVERED
            and row.state is State.SENT
            and row.parts == 1
            and len(row.tries) == 1
            and attempt.fate is Fate.ACCEPTED
        ):
            self._delivered_at_once(row, attempt, reason)
            return True
        match told:
            case Told.DELIVERED:
                fate = Fate.DELIVERED
            case Told.UNDELIVERED:
                fate = Fate.UNDELIVERED
            case Told.ENROUTE | Told.UNKNOWN:
                if attempt.fate is not Fate.IN_DOUBT:
                    return False
                fate = Fate.ACCEPTED
            case _:
                assert_never(told)
        if not self.move(attempt, fate):
            return False
        attempt.heard = self.now
        attempt.reason = reason
        self.touch(row)
        self.fold(row, told)
        return True

    def _delivered_at_once(self, row: Row, attempt: Attempt, reason: str) -> None:
        """What nearly always happens, without asking the table: it says CONFIRM, DELIVERED, and the event."""
        attempt.fate = Fate.DELIVERED
        attempt.heard = self.now
        attempt.reason = reason
        row.state = State.DELIVERED
        row.reason = ""
        row.wake = self.now
        self.over[row.id] = row
        self.tell(row, "delivered", "", may=True)
        self.erase(row)

    def tell(self, head: Row, event: str, reason: str, *, may: bool) -> None:
        """Append the message's next event to the journal."""
        told = JournalRow(self.next_sequence, event, reason, self.now, may)
        self.next_sequence += 1
        self.journal.append((head, told))
        head.events.append(told)
        self.changed[head.id] = head

    def move(self, attempt: Attempt, fate: Fate) -> bool:
        """Move an attempt's fate; False when what arrived is a repeat or a contradiction, and so only a note."""
        if not may_become(attempt.fate, fate):
            return False
        attempt.fate = fate
        return True

    def touch(self, row: Row) -> None:
        """Mark a row as changed."""
        self.changed[row.id] = row

    def set_wake(self, row: Row, wake: int) -> None:
        """Set when the clock next has something to say about a part, or when it may move to history."""
        if row.wake != wake:
            row.wake = wake
            self.changed[row.id] = row

    def attempt(self, row: Row, n: int) -> Attempt | None:
        """The attempt of that number; None when there is none."""
        return row.tries[n - 1] if 0 < n <= len(row.tries) else None

    def fates(self, row: Row) -> list[Fate]:
        """The fates of all attempts of a part."""
        return [attempt.fate for attempt in row.tries]

    def siblings(self, row: Row) -> list[Row]:
        """All parts of the row's message, itself among them, in order."""
        if row.parts == 1:
            return [row]
        head = row.head
        if any(head + n not in self.rows for n in range(row.parts)):
            self.load_messages([head])
        return [self.rows[head + n] for n in range(row.parts)]

    def load(self, parts: Sequence[int]) -> None:
        """Have these parts at hand."""
        missing = [part for part in dict.fromkeys(parts) if part not in self.rows]
        if missing:
            for row in self._shelf.load(missing):
                self.rows[row.id] = row

    def load_messages(self, heads: Sequence[int]) -> None:
        """Have all parts of these messages at hand."""
        for row in self._shelf.load_messages(heads):
            self.rows.setdefault(row.id, row)

    def wake_of_uncertain(self, row: Row) -> int:
        """The next moment that matters to an uncertain part: its repeat, the end of its life, the end of patience."""
        moments = [row.expires + PATIENCE]
        if row.due:
            moments.append(row.due)
        if row.expires > self.now:
            moments.append(row.expires)
        return min(moments)


def _over(row: Row) -> bool:
    return row.state in ENDED and (row.newest is None or row.newest.fate is not Fate.OPEN)


def _reason(state: State, row: Row, siblings: Sequence[Row]) -> str:
    """Why the message stands so: the part that moved says it, unless it is another one that failed before it."""
    if row.state is state or state is State.DELIVERED:
        return row.reason
    failed = [sibling for sibling in siblings if sibling.state is state]
    failed += [sibling for sibling in siblings if sibling.state in ENDED and sibling.state is not State.DELIVERED]
    return next((sibling.reason for sibling in failed if sibling.reason), row.reason)


def _bearer(row: Row) -> str:
    """The route by which a part went; that by which it would have gone when it surely went by none."""
    for fate in _BEARS:
        for attempt in reversed(row.tries):
            if attempt.fate is fate:
                return attempt.route
    return row.route


def newest(row: Row) -> Attempt:
    """The newest attempt of a part that must have one."""
    if row.newest is None:
        raise AssertionError(f"part {row.id} is {row.state.name} without an attempt")
    return row.newest
