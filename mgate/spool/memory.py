"""A store in memory: the second opinion. It keeps nothing over an end of the process, and says so.

It passes the same conformance suite as the SQLite store, and so proves that the suite, and the rooms above, ask for
nothing that only SQLite has. Tests of other rooms use it where they need a spool.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

from mgate.model.message import ENDED, Fate, State
from mgate.model.ready import Ask, Header, Ready
from mgate.policy.classes import RULES
from mgate.spool.engine import Count, Record, Waiting
from mgate.spool.lifecycle import fold_parts
from mgate.spool.rows import Attempt, Early, Found, JournalRow, KnownRef, Row, Touched
from mgate.spool.turn import SameNumber, Turn
from mgate.spool.verbs import NewInbound, NewMessage, Result, Trim, Verb


class MemoryStore:
    """A ``Store`` and a ``Reader`` in one, on dicts."""

    def __init__(self, same_number: SameNumber) -> None:
        self._same_number = same_number
        self._sequence = 1
        self.rows: dict[int, Row] = {}
        self.messages: dict[int, NewMessage] = {}
        self.attempts: dict[tuple[int, int], Attempt] = {}
        self.journal: list[JournalRow] = []
        self.early_receipts: list[Early] = []
        self.inbound: list[NewInbound] = []

    # ---- the writer ------------------------------------------------------------------------------------------------

    def commit(self, verbs: Sequence[Verb], now: int) -> list[Result]:
        """See ``engine.Store``."""
        turn = Turn(self, now, self._sequence, self._same_number)
        results = turn.run(verbs)
        self._write(turn)
        return results

    def sweep(self, now: int) -> int:
        """See ``engine.Store``."""
        turn = Turn(self, now, self._sequence, self._same_number)
        swept = turn.sweep()
        self._write(turn)
        return swept

    def _write(self, turn: Turn) -> None:
        self._sequence = turn.ledger.next_sequence
        for message, rows in turn.inserted:
            self.messages[message.id] = message
            self.rows.update({row.id: row for row in rows})
        self.rows.update(turn.ledger.changed)
        self.attempts.update(turn.ledger.attempts)
        self.journal += turn.ledger.journal
        for row in self.rows.values():
            row.touched = Touched.NOTHING
        keys = {_early_key(early) for early in self.early_receipts}
        self.early_receipts += [early for early in turn.early_kept if _early_key(early) not in keys]
        self.early_receipts = [early for early in self.early_receipts if early not in turn.early_used]
        self.inbound += turn.inbound
        for head, event in turn.forgotten:
            if head in self.rows and self.rows[head].event == event:
                self._forget(head)
        for trim in turn.trims:
            self._trim(trim)

    def _forget(self, head: int) -> None:
        for part in range(head, head + self.rows[head].parts):
            del self.rows[part]
            for key in [key for key in self.attempts if key[0] == part]:
                del self.attempts[key]
        del self.messages[head]

    def _trim(self, trim: Trim) -> None:
        self.early_receipts = [early for early in self.early_receipts if early.seen >= trim.early_before]
        self.journal = [row for row in self.journal if row.at >= trim.journal_before]

    def greatest_id(self) -> int:
        """See ``engine.Store``."""
        return max([row.message for row in self.journal], default=0)

    def tend(self, now: int) -> bool:
        """See ``engine.Store``."""
        return False

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

    def older(self, part: int) -> list[Attempt]:
        """See ``rows.Shelf``."""
        mine = [attempt for (of, _), attempt in self.attempts.items() if of == part]
        return [copy.copy(attempt) for attempt in sorted(mine, key=lambda attempt: attempt.n)]

    def sealed(self, heads: Sequence[int]) -> dict[int, tuple[bytes, bytes | None]]:
        """See ``rows.Shelf``."""
        return {head: (self.messages[head].envelope, self._body(head)) for head in heads if head in self.messages}

    def _body(self, head: int) -> bytes | None:
        return self.messages[head].body if self.rows[head].keeps_text else None

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

    def _all_attempts(self) -> list[Attempt]:
        newest = [row.newest for row in self.rows.values() if row.newest is not None]
        return sorted([*newest, *self.attempts.values()], key=lambda attempt: -attempt.leased)

    def operator_ids(self, account: str, tags: Sequence[bytes]) -> list[Found]:
        """See ``rows.Shelf``."""
        wanted = set(tags)
        return [
            Found(attempt.part, attempt.n, attempt.operator_tag)
            for attempt in self._all_attempts()
            if attempt.route == account and attempt.operator_tag in wanted
        ]

    def references(self, account: str, reference: int) -> list[Found]:
        """See ``rows.Shelf``."""
        return [
            Found(attempt.part, attempt.n, b"")
            for attempt in self._all_attempts()
            if (attempt.route, attempt.reference) == (account, reference) and attempt.fate in (Fate.OPEN, Fate.IN_DOUBT)
        ]

    def early(self, account: str, tag: bytes) -> list[Early]:
        """See ``rows.Shelf``."""
        return [early for early in self.early_receipts if early.account == account and tag in early.tags]

    def wakes(self, now: int, limit: int) -> list[int]:
        """See ``rows.Shelf``."""
        live = [row for row in self.rows.values() if row.state not in ENDED and row.wake <= now]
        return [row.id for row in sorted(live, key=lambda row: row.wake)[:limit]]

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

    def records(self, heads: Sequence[int]) -> list[Record]:
        """See ``engine.Reader``."""
        return [self._record(self.messages[head]) for head in heads if head in self.messages]

    def _record(self, message: NewMessage) -> Record:
        rows = tuple(self.load_messages([message.id]))
        attempts = [attempt for row in rows for attempt in self.older(row.id) + ([row.newest] if row.newest else [])]
        journal = tuple(row for row in self.journal if row.message == message.id)
        return Record(
            rows, tuple(attempts), journal, message.ref_tag, message.content_tag, message.envelope,
            self._body(message.id),
        )  # fmt: skip

    def by_ref(self, tags: Sequence[tuple[str, bytes]]) -> list[int]:
        """See ``engine.Reader``."""
        return [one.id for one in self.messages.values() if (one.client, one.ref_tag) in tags]

    def by_phone(self, tags: Sequence[bytes], limit: int) -> list[int]:
        """See ``engine.Reader``."""
        mine = [one.id for one in self.messages.values() if one.phone_tag in tags]
        return sorted(mine, reverse=True)[:limit]

    def ended(self, now: int, limit: int) -> list[int]:
        """See ``engine.Reader``."""
        over = {part for part, row in self.rows.items() if row.state in ENDED and row.wake <= now}
        whole = [one.id for one in self.messages.values() if over.issuperset(range(one.id, one.id + one.parts))]
        return sorted(whole, key=lambda head: self.rows[head].wake)[:limit]

    def next_wake(self) -> int:
        """See ``engine.Reader``."""
        return min((row.wake for row in self.rows.values() if row.state not in ENDED), default=0)

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
    fresh.newest = copy.copy(row.newest)
    return fresh


def _early_key(early: Early) -> tuple[object, ...]:
    return early.account, early.key, early.reference, early.told
