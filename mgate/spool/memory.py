"""A store in memory: the second opinion. It keeps nothing over an end of the process, and says so.

It passes the same conformance suite as the SQLite store, and so proves that the suite, and the rooms above, ask for
nothing that only SQLite has. Tests of other rooms use it where they need a spool.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from mgate.model.message import ENDED, Fate, State
from mgate.model.ready import Ask, Header, Mark, Ready
from mgate.policy.classes import RULES
from mgate.spool.engine import Count, Ending, News, Queued, Record, StoredEvents, Waiting, told_of
from mgate.spool.lifecycle import fold_parts
from mgate.spool.rows import Attempt, Early, Found, Head, Hit, KnownRef, Row
from mgate.spool.story import ending_of
from mgate.spool.turn import SameNumber, Turn
from mgate.spool.verbs import DeadRun, NewInbound, NewMessage, Result, Trim, Verb

RING_AGAIN: Final = 60_000
"""Milliseconds until it is said again that what has ended is still here."""


class MemoryStore:
    """A ``Store`` and a ``Reader`` in one, on dicts."""

    def __init__(self, same_number: SameNumber) -> None:
        self._same_number = same_number
        self._sequence = 1
        self._news = News([], [], journalled=False)
        self.rows: dict[int, Row] = {}
        self.messages: dict[int, NewMessage] = {}
        self.greatest = 0
        self._feeds: dict[tuple[str, str], int] = {}
        self._dead: dict[tuple[str, str, int], DeadRun] = {}
        self.early_receipts: list[Early] = []
        self.inbound: list[NewInbound] = []

    # ---- the writer ------------------------------------------------------------------------------------------------

    def work(self, verbs: Sequence[Verb], now: int) -> list[Result]:
        """See ``engine.Store``."""
        turn = Turn(self, now, self._sequence, self._same_number)
        results = turn.run(verbs)
        self._write(turn)
        return results

    def flush(self) -> News:
        """See ``engine.Store``."""
        return self._news

    def sweep(self, now: int, routes: tuple[str, ...] = ()) -> int:
        """See ``engine.Store``."""
        turn = Turn(self, now, self._sequence, self._same_number)
        swept = turn.sweep(routes)
        self._write(turn)
        return swept

    def _write(self, turn: Turn) -> None:
        self._sequence = turn.ledger.next_sequence
        for message, _ in turn.inserted:
            self.messages[message.id] = message
            self.greatest = max(self.greatest, message.id + message.parts - 1)
        self.rows.update(turn.ledger.changed)
        keys = {_early_key(early) for early in self.early_receipts}
        self.early_receipts += [early for early in turn.early_kept if _early_key(early) not in keys]
        self.early_receipts = [early for early in self.early_receipts if early not in turn.early_used]
        self.inbound += [message for message, _ in turn.inbound]
        self._feeds.update(turn.acks)
        for bury in turn.buried:
            self._dead.update({(dead.client, dead.feed, dead.first): dead for dead in bury.dead})
            for first in bury.raised:
                self._dead.pop((bury.client, bury.feed, first), None)
        self._set_timers(turn)
        over = [self._ending(head) for head in turn.ledger.over]
        told = [told_of(row, event) for row, event in turn.ledger.journal]
        self._news = News(told, over, bool(turn.ledger.journal or turn.inbound), turn.ledger.repeats)
        for head, event in turn.forgotten:
            if head in self.rows and self.rows[head].event == event:
                self._forget(head)
        for trim in turn.trims:
            self._trim(trim)

    def _set_timers(self, turn: Turn) -> None:
        for row in turn.ledger.changed.values():
            over = row.state in ENDED and row.wake <= turn.ledger.now
            row.timer = turn.ledger.now + RING_AGAIN if over else row.wake

    def _ending(self, head: int) -> Ending:
        return ending_of(self.messages[head], tuple(self.load_messages([head])))

    def _forget(self, head: int) -> None:
        for part in range(head, head + self.rows[head].parts):
            del self.rows[part]
        del self.messages[head]

    def _trim(self, trim: Trim) -> None:
        self.early_receipts = [early for early in self.early_receipts if early.seen >= trim.early_before]

    def greatest_id(self) -> int:
        """See ``engine.Store``."""
        return self.greatest

    def tend(self, now: int) -> bool:
        """See ``engine.Store``."""
        return False

    @property
    def bears(self) -> int:
        """See ``engine.Store``."""
        return 1 << 20

    def tidy(self) -> None:
        """See ``engine.Store``."""

    def close(self) -> None:
        """See ``engine.Store``."""

    # ---- the shelf: copies, so that a turn that fails has changed nothing ------------------------------------------

    def load(self, ids: Sequence[int]) -> Iterator[Row]:
        """See ``rows.Shelf``."""
        return (_copy(self.rows[part]) for part in ids if part in self.rows)

    def load_messages(self, heads: Sequence[int]) -> Iterator[Row]:
        """See ``rows.Shelf``."""
        for head in heads:
            if head in self.rows:
                yield from self.load(range(head, head + self.rows[head].parts))

    def heads(self, messages: Sequence[int]) -> dict[int, Head]:
        """See ``rows.Shelf``."""
        return {
            head: msgspec.structs.replace(self.messages[head], body=self._body(head) or b"")
            for head in messages
            if head in self.messages
        }

    def _body(self, head: int) -> bytes | None:
        return self.messages[head].body or None if self.rows[head].keeps_text else None

    def refs(self, wanted: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], KnownRef]:
        """See ``rows.Shelf``."""
        known = {}
        for message in self.messages.values():
            key = (message.client, message.ref_tag)
            if key in wanted:
                known[key] = KnownRef(message.id, message.parts, message.content_tag, self._state(message))
        return known

    def _state(self, message: NewMessage) -> State:
        return fold_parts([self.rows[message.id + n].state for n in range(message.parts)])

    def group(self, client: str, tag: bytes) -> list[int]:
        """See ``rows.Shelf``."""
        mine = [one for one in self.messages.values() if (one.client, one.group_tag) == (client, tag)]
        return sorted(one.id for one in mine if self.rows[one.id].state not in ENDED)

    def _all_attempts(self) -> list[tuple[Row, Attempt]]:
        every = [(row, attempt) for row in self.rows.values() for attempt in row.tries]
        return sorted(every, key=lambda pair: -pair[1].leased)

    def at_hand(self, account: str, tag: bytes) -> Hit | None:
        """See ``rows.Shelf``: every row is looked up."""
        return None

    def operator_ids(self, account: str, tags: Sequence[bytes]) -> list[Found]:
        """See ``rows.Shelf``."""
        wanted = set(tags)
        return [
            Found(row.id, attempt.n, attempt.operator_tag)
            for row, attempt in self._all_attempts()
            if attempt.route == account and attempt.operator_tag in wanted
        ]

    def references(self, account: str, reference: int) -> list[Found]:
        """See ``rows.Shelf``."""
        return [
            Found(row.id, attempt.n, b"")
            for row, attempt in self._all_attempts()
            if (attempt.route, attempt.reference) == (account, reference) and attempt.fate in (Fate.OPEN, Fate.IN_DOUBT)
        ]

    def cursors(self, client: str) -> dict[str, int]:
        """See ``rows.Shelf``."""
        return {feed: cursor for (of, feed), cursor in self._feeds.items() if of == client}

    def early(self, account: str, tag: bytes) -> list[Early]:
        """See ``rows.Shelf``."""
        return [early for early in self.early_receipts if early.account == account and tag in early.tags]

    def wakes(self, now: int, limit: int) -> list[int]:
        """See ``rows.Shelf``."""
        rung = [row for row in self.rows.values() if row.timer <= now]
        return [row.id for row in sorted(rung, key=lambda row: row.timer)[:limit]]

    def from_the_future(self, first: int) -> list[int]:
        """See ``rows.Shelf``."""
        return [part for part, row in self.rows.items() if part >= first and row.state is State.READY]

    def open_attempts(self) -> list[int]:
        """See ``rows.Shelf``."""
        return [part for part, row in self.rows.items() if row.newest is not None and row.newest.fate is Fate.OPEN]

    # ---- the reader ------------------------------------------------------------------------------------------------

    def ready(self, ask: Ask, now: int) -> Ready:
        """See ``engine.Reader``."""
        lane = [
            row
            for row in self.rows.values()
            if row.state is State.READY and row.route == ask.route and RULES[row.traffic].lane == ask.lane
        ]
        headers = []
        for client in sorted({row.client for row in lane} - ask.skip):
            mine = [row for row in lane if row.client == client and row.due <= now < row.expires]
            headers += sorted(mine, key=lambda row: (row.due, row.id))[: ask.limit]
        later = [row.due for row in lane if row.due > now]
        return Ready(
            tuple(Header(row.id, row.n, row.parts, row.client, row.attempts, row.expires / 1000) for row in headers),
            min(later) / 1000 if later else 0.0,
        )

    def queued(self, route: str, lane: int, after: Mark, limit: int, now: int) -> list[Queued]:
        """See ``engine.Reader``."""
        lane_of = {traffic: rules.lane for traffic, rules in RULES.items()}
        found = [
            Queued(Mark(row.client, row.due, row.id), row.n)
            for row in self.rows.values()
            if row.state is State.READY and (row.route, lane_of[row.traffic]) == (route, lane) and row.due <= now
        ]
        return sorted(one for one in found if one.mark > after)[:limit]

    def routes(self) -> list[str]:
        """See ``engine.Reader``."""
        return sorted({row.route for row in self.rows.values() if row.state is State.READY})

    def records(self, heads: Sequence[int]) -> list[Record]:
        """See ``engine.Reader``."""
        return [self._record(self.messages[head]) for head in heads if head in self.messages]

    def _record(self, message: NewMessage) -> Record:
        rows = tuple(self.load_messages([message.id]))
        return Record(rows, message.ref_tag, message.content_tag, message.envelope, self._body(message.id))

    def by_ref(self, tags: Sequence[tuple[str, bytes]]) -> list[int]:
        """See ``engine.Reader``."""
        return [one.id for one in self.messages.values() if (one.client, one.ref_tag) in tags]

    def by_phone(self, tags: Sequence[bytes], limit: int) -> list[int]:
        """See ``engine.Reader``."""
        mine = [one.id for one in self.messages.values() if one.phone_tag in tags]
        return sorted(mine, reverse=True)[:limit]

    def accepted(self, client: str, after: int, until: int, limit: int) -> list[int]:
        """See ``engine.Reader``."""
        mine = [one.id for one in self.messages.values() if one.client == client and after < one.id < until]
        return sorted(mine)[:limit]

    def ended(self, now: int, after: int, limit: int) -> tuple[list[Ending], int]:
        """See ``engine.Reader``."""
        over = {part for part, row in self.rows.items() if row.state in ENDED and row.wake <= now}
        whole = [one.id for one in self.messages.values() if over.issuperset(range(one.id, one.id + one.parts))]
        heads = sorted(head for head in whole if head > after)
        return [self._ending(head) for head in heads[:limit]], heads[limit - 1] if len(heads) > limit else 0

    def events(self, after: int, limit: int) -> list[StoredEvents]:
        """See ``engine.Reader``: nothing is kept sealed here."""
        return []

    def last_event(self) -> int:
        """See ``engine.Reader``."""
        return self._sequence - 1

    def cursor(self, client: str, feed: str) -> int:
        """See ``engine.Reader``."""
        return self._feeds.get((client, feed), 0)

    def feeds(self) -> list[tuple[str, str, int]]:
        """See ``engine.Reader``."""
        return [(*key, cursor) for key, cursor in self._feeds.items()]

    def dead(self) -> list[DeadRun]:
        """See ``engine.Reader``."""
        return [dead for _, dead in sorted(self._dead.items())]

    def waiting(self) -> list[Waiting]:
        """See ``engine.Reader``."""
        lanes: dict[tuple[str, int], list[int]] = {}
        for row in self.rows.values():
            if row.state is State.READY:
                lanes.setdefault((row.route, RULES[row.traffic].lane), []).append(row.due)
        return [Waiting(route, lane, len(dues), min(dues)) for (route, lane), dues in sorted(lanes.items())]

    def uncertain(self) -> int:
        """See ``engine.Reader``."""
        return sum(row.state is State.UNCERTAIN for row in self.rows.values())

    def counts(self, now: int) -> list[Count]:
        """See ``engine.Reader``."""
        seen: dict[tuple[object, ...], Count] = {}
        for row in self.rows.values():
            due = row.state is State.READY and row.due <= now
            key = (row.route, row.traffic, row.client, row.state, due)
            old = seen.get(key, Count(row.route, row.traffic, row.client, row.state, due, 0, row.created))
            seen[key] = old._replace(parts=old.parts + 1, oldest=min(old.oldest, row.created))
        return list(seen.values())

    def clients(self) -> list[str]:
        """See ``engine.Reader``."""
        return sorted({row.client for row in self.rows.values()})

    def periods(self) -> set[int]:
        """See ``engine.Reader``."""
        return {row.period for row in self.rows.values()}


def _copy(row: Row) -> Row:
    fresh = copy.copy(row)
    fresh.tries = [copy.copy(attempt) for attempt in row.tries]
    fresh.events = list(row.events)
    return fresh


def _early_key(early: Early) -> tuple[object, ...]:
    return early.account, early.key, early.reference, early.told
