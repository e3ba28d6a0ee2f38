"""What became of an outbox, judged from outside: its table, its results, what mgate says, what the operator saw. Pure.

Each row has one end: a refusal with its reason, where it deserved one, or a message whose state in the results is the
one that mgate itself tells. What was taken becomes a line of the ledger of what was told, so that rows of a database
are held against the operator's ledger by the very rules of pushes: none lost, none doubled without a mark.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from mgate.peers.audit import Attempt, PartState, Says
from mgate.peers.told import Told
from mgate.peers.traffic import LIVES, Draft

TAKEN: Final = "taken"
REFUSED: Final = "refused"


class Written(NamedTuple):
    """One row as the bank's program wrote it. ``expires``: seconds since 1970, 0.0 for none; ``unfit``: nobody can
    send it; ``customer``: whose order it keeps, empty for none."""

    draft: Draft
    expires: float
    customer: str
    unfit: bool


class Row(msgspec.Struct, frozen=True):
    """One row of the outbox at the end, and its result beside it; empty without one."""

    key: str
    status: str
    state: str = ""
    message: str = ""
    reason: str = ""
    error: str = ""


class Happened(msgspec.Struct, frozen=True):
    """One event of a message's journal."""

    sequence: int
    event: str


class Known(msgspec.Struct, frozen=True):
    """What mgate says of one message to an administrator."""

    id: str
    ref: str
    state: str
    accepted_at: str
    parts: int = 1
    attempts: tuple[Attempt, ...] = ()
    part_states: tuple[PartState, ...] = ()
    events: tuple[Happened, ...] = ()

    @property
    def says(self) -> Says:
        """The same for the comparison of the ledgers."""
        return Says(self.id, self.ref, self.state, self.parts, self.attempts, self.part_states)


class Ends(NamedTuple):
    """Lines for the ledger of what was told, what mgate says by key, findings, and counts."""

    told: Sequence[Told]
    says: Mapping[str, tuple[Says, ...]]
    findings: Sequence[str]
    counts: Mapping[str, int]


def judge(
    written: Mapping[str, Written], rows: Sequence[Row], known: Mapping[str, Sequence[Known]], began: float
) -> Ends:
    """Hold the outbox at the end against what was written; ``began``: when the first row was, seconds since 1970."""
    by_key = {row.key: row for row in rows}
    findings: Counter[str] = Counter()
    examples: dict[str, str] = {}
    counts: Counter[str] = Counter()
    told: list[Told] = []
    for key, one in written.items():
        row = by_key.pop(key, None)
        for finding in _wrong(one, row, known.get(key, ())):
            findings[finding] += 1
            examples.setdefault(finding, key)
        if row is not None:
            counts[f"rows {row.status}"] += 1
            if row.status == TAKEN:
                told.append(_told(key, one, row, known.get(key, ()), began))
    if by_key:
        findings[f"void: the outbox has {len(by_key)} rows that nobody wrote"] += 1
    sentences = [f"{count} rows: {words} (such as {examples.get(words, '-')})" for words, count in findings.items()]
    says = {key: tuple(one.says for one in known.get(key, ())) for key in written}
    return Ends(told, says, [*sentences, *_out_of_order(written, known)], counts)


def _wrong(one: Written, row: Row | None, known: Sequence[Known]) -> Iterator[str]:
    if row is None:
        yield "void: committed, and not in the outbox"
    elif row.status == REFUSED:
        yield from _wrongly_refused(one, row, known)
    elif row.status != TAKEN:
        yield f"no end: status {row.status}"
    elif one.unfit:
        yield "taken, and nobody can send it"
    elif not row.state:
        yield "taken, and without a result"
    elif known and known[0].state != row.state:
        yield f"the results say {row.state}, and mgate {known[0].state}"


def _wrongly_refused(one: Written, row: Row, known: Sequence[Known]) -> Iterator[str]:
    if row.state != REFUSED:
        yield f"refused, and the results say {row.state or 'nothing'}"
    if not row.reason or not row.error:
        yield "refused without a reason and a sentence"
    if not one.unfit and not one.expires:
        yield f"good, and refused with {row.reason}"
    if known:
        yield "refused, and mgate has a message of it"


def _told(key: str, one: Written, row: Row, known: Sequence[Known], began: float) -> Told:
    """What was taken, as a pusher would have been told it."""
    draft = one.draft
    accepted = _moment(known[0].accepted_at) if known else began
    life = LIVES[draft.traffic]
    if one.expires:
        life = min(life, one.expires - accepted)
    return Told(
        key, draft.traffic, row.message, "accepted", False, "", 1, draft.pushed, accepted, life, draft.to, draft.texts
    )


def _out_of_order(written: Mapping[str, Written], known: Mapping[str, Sequence[Known]]) -> list[str]:
    """Customers whose messages were not accepted in the order of their rows."""
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for key, one in written.items():
        if one.customer and known.get(key):
            first = min((event.sequence for event in known[key][0].events), default=0)
            places[one.customer].append((int(key), first))
    wrong = [customer for customer, all_of in places.items() if not _rises([place for _, place in sorted(all_of)])]
    return [f"the rows of {len(wrong)} customers were not taken in their order, such as {wrong[0]}"] if wrong else []


def _rises(places: Sequence[int]) -> bool:
    return all(before < after for before, after in pairwise(places))


def _moment(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
