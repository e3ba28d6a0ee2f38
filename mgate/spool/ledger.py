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
from mgate.model.outcome import Accepted, Deferred, Rejected, Uncertain
from mgate.policy.classes import NO_RECEIPT_STAY, RECEIPT_PATIENCE, RULES
from mgate.policy.step import Defer, Facts, RepeatAt, after_deferral, after_doubt, after_refusal
from mgate.spool.lifecycle import JOURNALLED, Event, advance, failed_beside, fold_fates, fold_parts, may_become
from mgate.spool.rows import Attempt, JournalRow, Row, Shelf

PATIENCE: Final = int(RECEIPT_PATIENCE * 1000)
STAY: Final = int(NO_RECEIPT_STAY * 1000)
NEVER: Final = 1 << 62

Cause = Accepted | Deferred | Rejected | Uncertain | Told
"""What has just been written on an attempt."""


class Ledger:
    """The working set of one transaction.

    Attributes:
        now: milliseconds since 1970.
        rows: every row looked at; ``changed``: those to write; ``journal``: (message, its new event) to append;
            ``erased``: messages whose text goes; ``over``: messages that may leave for history.
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
        if row.state in ENDED:
            self.await_end(row)
        after = fold_parts([sibling.state for sibling in siblings])
        if after is not before and after in JOURNALLED:
            may = any(sibling.burned for sibling in siblings)
            corrects = "corrects" if before is State.NO_RECEIPT else ""
            self.tell(siblings[0], JOURNALLED[after], corrects or row.reason, may=may)
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

    def doubt(self, row: Row, *, link_alive: bool, reason: str) -> None:
        """It may have been sent: the class says whether it is repeated, and when."""
        plan = after_doubt(self._facts(row), link_alive, self.now / 1000)
        row.due = int(plan.due * 1000) if isinstance(plan, RepeatAt) else 0
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
            self.doubt(row, link_alive=alive, reason=cause.reason if isinstance(cause, Uncertain) else "")
        elif event is Event.EXHAUST:
            self._refused(row, cause)
        else:
            self.apply(row, event, "")

    def _refused(self, row: Row, cause: Cause) -> None:
        reason = newest(row).reason
        if row.state is State.NO_RECEIPT:
            return  # a late receipt of failure corrects nothing: it did not arrive, and nobody was told that it did
        if isinstance(cause, Deferred) and not self._told_of_failure(row):
            if failed_beside(sibling.state for sibling in self.siblings(row)):
                self.apply(row, Event.EXHAUST, "sibling_failed")
                return
            plan = after_deferral(self._facts(row), cause.reason, self.now / 1000)
            self.apply(row, Event.DEFER, reason)
            row.due = int(plan.due * 1000) if isinstance(plan, Defer) else row.created
            return
        self.apply(row, Event.EXHAUST, after_refusal(reason).reason)

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


def newest(row: Row) -> Attempt:
    """The newest attempt of a part that must have one."""
    if row.newest is None:
        raise AssertionError(f"part {row.id} is {row.state.name} without an attempt")
    return row.newest
