"""What a person, a feed or the clock asks for. Pure: each moves rows of a ``Ledger``, or a cursor."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from mgate.model.message import ENDED, Fate, State
from mgate.policy.step import over_when_set_back
from mgate.spool.ledger import PATIENCE, Ledger
from mgate.spool.lifecycle import Event, failed_beside
from mgate.spool.rows import Row
from mgate.spool.verbs import Ack, Acked, Cancel, Cancelled, Move, Release, Released, Woken

MOST_FEEDS: Final = 16
"""Feeds that a client may have. Those that mgate reads itself for a webhook are not counted: their names have a dot,
which none of a client's own may have."""

CLOCK_STEP: Final = 2_000
"""Milliseconds by which two moments may differ and be the same."""

LOOK_AGAIN: Final = 60_000
"""A part whose life ends while it is leased: its outcome will say, so look again after a minute (milliseconds)."""


def acknowledge(wish: Ack, durable: dict[str, int], acks: dict[tuple[str, str], int], last: int) -> Acked:
    """Move a feed's cursor (``states.md``, rule 14): it only grows, and one beyond the journal is refused.

    ``durable``: the client's cursors on the disk; ``acks``: those of this commit, where the new one goes; ``last``: the
    journal's last sequence.
    """
    if wish.cursor > last:
        return Acked("beyond", last)
    cursors = durable | {feed: cursor for (client, feed), cursor in acks.items() if client == wish.client}
    if is_one_too_many(wish.feed, cursors):
        return Acked("too_many", 0)
    cursor = max(cursors.get(wish.feed, 0), wish.cursor)
    acks[wish.client, wish.feed] = cursor
    return Acked("acked", cursor)


def is_one_too_many(feed: str, known: Collection[str]) -> bool:
    """Whether a client with these feeds may not begin this one."""
    if feed in known or "." in feed:
        return False
    return sum("." not in name for name in known) >= MOST_FEEDS


def cancel(ledger: Ledger, wish: Cancel) -> Cancelled:
    """Cancel what has not left; what is in doubt is not repeated."""
    ledger.load_messages([wish.message])
    head = ledger.rows.get(wish.message)
    if head is None or head.n != 1 or (wish.client and head.client != wish.client):
        return Cancelled("unknown")
    rows = ledger.siblings(head)
    states = {row.state for row in rows}
    if states == {State.CANCELLED}:
        return Cancelled("cancelled")
    if states <= ENDED:
        return Cancelled("ended")
    doubtful = [row for row in rows if row.state not in ENDED and Fate.IN_DOUBT in ledger.fates(row)]
    for row in doubtful:
        if row.state is State.READY:
            ledger.stop(row, Event.CANCEL, wish.reason)
        else:
            ledger.forbid_repeat(row)
    if State.LEASED in states:
        return Cancelled("leaving")
    if doubtful:
        return Cancelled("may_have_left")
    if states != {State.READY}:
        return Cancelled("left")
    for row in rows:
        ledger.stop(row, Event.CANCEL, wish.reason)
    return Cancelled("cancelled")


def release(ledger: Ledger, wish: Release) -> Released:
    """Let an uncertain part be repeated, if it still stands as she saw it."""
    ledger.load([wish.part])
    row = ledger.rows.get(wish.part)
    if row is None or row.attempts != wish.attempts or row.repeats_off or not _may_repeat(ledger, row):
        return Released(done=False)
    ledger.repeat(row, "released")
    return Released(done=True)


def move(ledger: Ledger, wish: Move) -> int:
    """Take what is ready on a route that cannot serve it to another; how many parts that were."""
    ledger.load([shift.part for shift in wish.shifts])
    moved = 0
    for shift in wish.shifts:
        row = ledger.rows.get(shift.part)
        if row is not None and row.state is State.READY and row.route == shift.route:
            left = ledger.left(row, shift.routes)
            if left and ledger.may_change_route(row):
                moved += ledger.take_to(left[0], row, wish.reason)
    return moved


def _may_repeat(ledger: Ledger, row: Row) -> bool:
    return (
        row.state is State.UNCERTAIN
        and row.expires > ledger.now
        and not failed_beside(sibling.state for sibling in ledger.siblings(row))
    )


def wake(ledger: Ledger, parts: Sequence[int]) -> Woken:
    """Do what the clock asks of these parts."""
    ledger.load(parts)
    for part in parts:
        row = ledger.rows[part]
        ledger.touch(row)  # its timer has rung early or in time: either way it is set anew
        if row.wake <= ledger.now:
            _wake_one(ledger, row)
    return Woken(len(parts))


def _wake_one(ledger: Ledger, row: Row) -> None:
    if row.state in ENDED:
        ledger.may_leave(row)
        return
    over = row.expires <= ledger.now
    if over:
        ledger.erase(row)
    match row.state:
        case State.READY if over:
            ledger.stop(row, Event.LAPSE, "life_over")
        case State.READY:
            ledger.set_wake(row, row.expires)
        case State.LEASED:
            ledger.set_wake(row, ledger.now + LOOK_AGAIN)
        case State.SENT if row.expires + PATIENCE <= ledger.now:
            ledger.apply(row, Event.LOSE_PATIENCE, "no_receipt")
        case State.SENT:
            ledger.set_wake(row, row.expires + PATIENCE if over else row.expires)
        case State.UNCERTAIN:
            _wake_uncertain(ledger, row)
        case _:
            pass  # it ended in this very commit


def _wake_uncertain(ledger: Ledger, row: Row) -> None:
    if row.due and row.due <= ledger.now:
        if not row.repeats_off and _may_repeat(ledger, row):
            ledger.repeat(row, "")
            return
        row.due = 0
        ledger.touch(row)
    if row.expires + PATIENCE <= ledger.now:
        ledger.apply(row, Event.LOSE_PATIENCE, "no_receipt")
    else:
        ledger.set_wake(row, ledger.wake_of_uncertain(row))


def set_right(ledger: Ledger, parts: Sequence[int]) -> None:
    """At a start: these parts were accepted later than it is now, because the clock has been set back since.

    What was to leave at once leaves at once, unless policy says that it is over.
    """
    ledger.load(parts)
    for part in parts:
        row = ledger.rows[part]
        if row.state is not State.READY:
            continue  # a sibling's end has ended it
        if over_when_set_back(row.traffic):
            ledger.stop(row, Event.LAPSE, "clock_set_back")
        elif row.due - row.created <= CLOCK_STEP:
            row.due = ledger.now
            ledger.touch(row)
