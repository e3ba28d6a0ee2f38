"""An oracle that knows only the promises: it counts what was written, remembers what was said, looks at what is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mgate.model.entry import Told
from mgate.model.message import Fate, State, TrafficClass
from mgate.spool.engine import Record

ENDED = ("DELIVERED", "UNDELIVERED", "EXPIRED", "NO_RECEIPT", "CANCELLED")
WORDS = {"SENT", "UNCERTAIN", *ENDED}
SUBMITS = {"OTP": 2, "FRAUD": 2, "TRANSACTION": 2, "SERVICE": 2, "MARKETING": 1}


class Broken(AssertionError):
    """A promise that was not kept."""


class Instance(NamedTuple):
    """What is played: the class and parts of each message, the window of each bind, and the routes of the binds where
    there are several."""

    messages: tuple[tuple[TrafficClass, int], ...]
    windows: tuple[int, ...]
    routes: tuple[str, ...] = ()


class Submit(NamedTuple):
    """What the operator has: one submit_sm."""

    part: int
    n: int
    reference: int
    route: str

    @property
    def operator_id(self) -> str:
        return f"{self.part}/{self.n}"


def stands(states: Sequence[State]) -> str:
    """The fold of the parts, as the page says it."""
    names = [state.name for state in states]
    for live in ("LEASED", "READY", "UNCERTAIN", "SENT"):
        if live in names:
            return live
    if set(names) == {"DELIVERED"}:
        return "DELIVERED"
    if "UNDELIVERED" in names or ("DELIVERED" in names and {"EXPIRED", "CANCELLED"} & set(names)):
        return "UNDELIVERED"
    return next(name for name in ("NO_RECEIPT", "EXPIRED", "CANCELLED") if name in names)


class Oracle:
    """What was promised and seen, and the comparison with what is there."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.acked: dict[int, int] = {}
        self.written: list[Submit] = []
        self.surely_refused: set[tuple[int, int]] = set()
        self.sent_away: set[tuple[int, int]] = set()
        self.released: dict[int, int] = {}
        self.called_off: dict[int, int] = {}
        self.heard: dict[tuple[int, int], set[Told]] = {}
        self.told_ids: set[tuple[int, int]] = set()
        self.last: dict[int, Record] = {}

    def check(self, held: dict[int, int], records: Sequence[Record]) -> None:
        """After a commit: ``held`` are the slots in use of each bind."""
        found = {record.rows[0].id: record for record in records}
        for head in self.acked.values():
            self.need(head in found, "something acknowledged is lost")
        opens = [attempt for record in records for attempt in record.attempts if attempt.fate is Fate.OPEN]
        for bind, window in enumerate(self.instance.windows):
            mine = sum(attempt.bind == bind for attempt in opens)
            self.need(mine <= window, "more is leased than a window holds")
            self.need(mine <= held[bind], "a slot is free while its lease is on the disk")
        for head, record in found.items():
            self.check_parts(record)
            self.check_journal(record, self.last.get(head))
        self.last = found

    def check_parts(self, record: Record) -> None:
        before = self.last.get(record.rows[0].id)
        for at, row in enumerate(record.rows):
            attempts = row.tries
            fates = {attempt.fate.name for attempt in attempts}
            self.need([attempt.n for attempt in attempts] == list(range(1, len(attempts) + 1)), "attempts lack one")
            state = row.state.name
            self.need((state == "DELIVERED") == ("DELIVERED" in fates), "delivered is not what the attempts say")
            forbidden = {
                "READY": {"OPEN", "ACCEPTED"},
                "SENT": {"OPEN"},
                "UNCERTAIN": {"OPEN", "ACCEPTED"},
                "UNDELIVERED": {"OPEN", "ACCEPTED", "IN_DOUBT"},
                "EXPIRED": {"OPEN", "ACCEPTED", "IN_DOUBT"},
                "CANCELLED": {"OPEN", "ACCEPTED", "IN_DOUBT"},
            }.get(state, set())
            self.need(not fates & forbidden, f"{state} beside {fates & forbidden}")
            needed = {"LEASED": "OPEN", "SENT": "ACCEPTED", "UNCERTAIN": "IN_DOUBT"}.get(state)
            self.need(needed is None or needed in fates, f"{state} without {needed}")
            self.need(state != "LEASED" or attempts[-1].route == row.route, "leased by a route that it is not on")
            if state in ("EXPIRED", "CANCELLED"):
                failed = {(row.id, attempt.n) for attempt in attempts if attempt.fate is Fate.UNDELIVERED}
                left = {(one.part, one.n) for one in self.written if one.part == row.id}
                self.need(left <= self.surely_refused | failed, f"{state} though it left")
            if before is not None and (old := before.rows[at].state.name) in ENDED:
                self.need(state == old or (old, state) == ("NO_RECEIPT", "DELIVERED"), f"{old} became {state}")
            for attempt in attempts:
                key = (row.id, attempt.n)
                if self.heard.get(key) and key in self.told_ids:
                    self.need(attempt.fate.name in ("DELIVERED", "UNDELIVERED"), "a receipt was not put to its attempt")
                if attempt.fate.name in ("DELIVERED", "UNDELIVERED"):
                    told = Told[attempt.fate.name]
                    self.need(told in self.heard.get(key, ()), f"{told} was heard of another attempt")
                if attempt.fate is Fate.REFUSED:
                    wrote = Submit(row.id, attempt.n, attempt.reference, attempt.route) in self.written
                    self.need(not wrote or key in self.surely_refused, "refused though nobody refused it")

    def check_journal(self, record: Record, before: Record | None) -> None:
        rows, old = record.journal, () if before is None else before.journal
        sequences = [row.sequence for row in rows]
        self.need(sequences == sorted(set(sequences)), "the journal is out of order")
        self.need(rows[: len(old)] == old, "the journal was rewritten")
        events = [row.event.upper() for row in rows]
        self.need(events[0] == "ACCEPTED" and "ACCEPTED" not in events[1:], "accepted is not first")
        now = stands([row.state for row in record.rows])
        was = "READY" if before is None else stands([row.state for row in before.rows])
        if now != was and now in WORDS:
            self.need(len(rows) > len(old) and events[-1] == now, f"{was} became {now}, the journal says {events}")
        if now in WORDS:
            self.need(events[-1] == now, f"it is {now}, and the journal says {events}")
        ends = [event for event in events if event in ENDED]
        corrected = len(ends) == 2 and ends[0] == "NO_RECEIPT" and rows[-1].reason == "corrects"
        self.need(len(ends) <= 1 or corrected, f"it ended twice: {events}")
        if ends and ends[-1] in ("EXPIRED", "CANCELLED"):
            failed = any(attempt.fate is Fate.UNDELIVERED for attempt in record.attempts)
            self.need(failed or not rows[-1].may_have_been_sent, "what never left is said to have been sent perhaps")

    def check_lease(self, part: int, record: Record) -> None:
        """A new lease of a part, as its commit left it."""
        *earlier, newest = next(row.tries for row in record.rows if row.id == part)
        fates = {attempt.fate.name for attempt in earlier}
        self.need(fates <= {"REFUSED", "IN_DOUBT", "UNDELIVERED"}, f"leased again beside {fates}")
        self.need(newest.repeat == ("IN_DOUBT" in fates), "a repeat is not marked as one")
        siblings = {row.state.name for row in record.rows if row.id != part}
        self.need(not siblings & {"UNDELIVERED", "EXPIRED"}, "leased beside a failed sibling")
        self.check_route(part, record)
        if newest.repeat:
            off = self.called_off.get(part, -1)
            self.need(off < 0 or off < self.released.get(part, 0), "repeated though it was called off")

    def check_route(self, part: int, record: Record) -> None:
        """Where a new lease of a part goes."""
        mine = next(row for row in record.rows if row.id == part)
        newest = mine.tries[-1]
        free = len(record.rows) == 1 and mine.traffic.name in ("OTP", "FRAUD")
        bound = {
            attempt.route
            for attempt in record.attempts
            if attempt.fate.name not in ("REFUSED", "UNDELIVERED") and attempt is not newest
        }
        self.need(free or bound <= {newest.route}, "a message left by two accounts")
        if len(record.rows) == 1 and (free or not newest.repeat):
            away = {attempt.route for attempt in mine.tries if (part, attempt.n) in self.sent_away}
            every = set(self.instance.routes) or away
            self.need(newest.route not in away or away == every, "a route that sent it away was asked again")

    def check_write(self, one: Submit, traffic: str, alive: bool) -> None:
        self.need(alive, "written after its life")
        self.written.append(one)
        counted = [w for w in self.written if w.part == one.part and (w.part, w.n) not in self.surely_refused]
        allowed = SUBMITS[traffic] + self.released.get(one.part, 0)
        self.need(len(counted) <= allowed, f"{traffic} written {len(counted)} times")

    def need(self, kept: object, promise: str) -> None:
        if not kept:
            raise Broken(promise)
