"""Three ledgers compared from outside: what the pusher was told, what the operator saw, what mgate says.

A pure function, so that it can be shown false ledgers and be seen to notice. It knows the promise, not the program:

* Who was told "accepted" is known to mgate, once, under that id, and stands in a state that has a name.
* Every part of it was at the operator, unless mgate itself says that it is in doubt or never left, and the class and
  the life explain why it was not sent again.
* A part is at the operator more than once only as often as mgate marks a repeat; at most twice; marketing never. A
  submit that the operator refused has not happened, and does not count.
* Nothing is submitted after its life, nor with a validity_period that outlives it.
* What the operator saw is what was pushed: text, number, cut.
* A receipt that mgate acknowledged is in mgate; a state that needs a receipt had one.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple

from msgspec import Struct

from mgate.peers.smsc.ledger import Acknowledged, Delivered, Row, Submitted
from mgate.peers.told import Told

UNDER_WAY: Final = frozenset(("waiting", "ready", "leased"))
OPEN_ENDED: Final = frozenset(("sent", "uncertain", "no_receipt"))
ENDED: Final = frozenset(("delivered", "undelivered", "expired", "cancelled"))
FAILED: Final = frozenset(("undelivered", "expired", "cancelled"))
MOST_SUBMITS: Final = {"otp": 2, "fraud": 2, "transaction": 2, "service": 2, "marketing": 1}
CLOCK_SLACK: Final = 1.0
"""Seconds: an answer is read some time after the commit that it tells of, and validity_period counts whole seconds."""
REPEATED_AT_ONCE: Final = frozenset(("otp", "fraud"))
REPEAT_NEEDS: Final = 60.0
"""Seconds of life at the lease that surely suffice for a repeat: 30 that the rule asks for, 10 of response limit, 5 of
waiting, and a restart."""
_FINAL_RECEIPTS: Final = frozenset(("DELIVRD", "UNDELIV", "EXPIRED", "REJECTD", "DELETED"))
_CLAIMS: Final = frozenset(("accepted", "delivered", "undelivered"))


class Attempt(Struct, frozen=True):
    """One try of one part, as mgate tells of it; `repeat`: an earlier one may have been sent too."""

    part: int
    attempt: int
    fate: str
    leased_at: str = ""
    repeat: bool = False


class PartState(Struct, frozen=True):
    """Where one part stands: parts of one message may end apart."""

    part: int
    state: str


class Says(Struct, frozen=True):
    """What mgate says about one message; its `state` is the fold of its parts."""

    id: str
    ref: str
    state: str
    parts: int = 1
    attempts: tuple[Attempt, ...] = ()
    part_states: tuple[PartState, ...] = ()


class Kind(Enum):
    """What can be wrong."""

    LOST = "accepted, and mgate does not know it"
    TWICE = "known more than once, or under another id"
    NAMELESS = "in a state that has no name"
    STUCK = "still under way after the time to finish"
    MISSING = "not at the operator, and nothing explains it"
    REPEATED = "at the operator more often than mgate marks"
    LATE = "submitted after its life, or to outlive it"
    STRANGER = "at the operator, and nobody pushed it"
    MANGLED = "not what was pushed"
    RECEIPT_LOST = "a receipt was acknowledged and is not in mgate"
    WRONG_END = "a final state that nothing at the operator explains"


class Violation(NamedTuple):
    """One broken promise."""

    kind: Kind
    ref: str
    sentence: str


class Findings(NamedTuple):
    """All broken promises, and counts for the report by what was counted."""

    violations: tuple[Violation, ...]
    counts: Mapping[str, int]


class _Case(NamedTuple):
    """All that the ledgers hold about one accepted message; `rows` by part, counted from 1."""

    told: Told
    says: Says
    rows: Mapping[int, Sequence[Submitted]]
    sent: Mapping[str, frozenset[str]]
    acknowledged: Mapping[str, frozenset[str]]
    delay: float
    drained: bool

    @property
    def parts(self) -> range:
        return range(1, len(self.told.texts) + 1)

    def attempts(self, part: int) -> list[Attempt]:
        return [attempt for attempt in self.says.attempts if attempt.part == part]

    def state(self, part: int) -> str:
        """Where the part stands; where the message does, when mgate does not tell them apart."""
        return next((one.state for one in self.says.part_states if one.part == part), self.says.state)

    def taken(self, part: int) -> list[Submitted]:
        """The rows that the operator did not refuse."""
        return [row for row in self.rows.get(part, ()) if row.status == 0]

    def receipts(self, ledger: Mapping[str, frozenset[str]]) -> list[frozenset[str]]:
        """The final states that a ledger of receipts has for each part."""
        nothing: frozenset[str] = frozenset()
        return [nothing.union(*(ledger.get(row.id, nothing) for row in self.taken(part))) for part in self.parts]

    @property
    def refused(self) -> bool:
        """Whether the operator refused any submit of it."""
        return any(row.status for rows in self.rows.values() for row in rows)

    def wrong(self, kind: Kind, sentence: str) -> Violation:
        return Violation(kind, self.told.ref, f"{self.told.traffic}, {self.says.state}: {sentence}")


def compare(
    told: Sequence[Told],
    rows: Iterable[Row],
    says: Mapping[str, Sequence[Says]],
    drained: bool = True,
    delay: float = 0.0,
) -> Findings:
    """Hold the three ledgers against one another.

    `says` has the answer of mgate for every ref that was pushed; `drained` is False when no time was given to finish;
    `delay`: seconds that the line may have kept what mgate had written, before the operator read it.
    """
    ledger = list(rows)
    violations: list[Violation] = []
    at_operator = _by_ref(told, [row for row in ledger if isinstance(row, Submitted)], violations)
    sent = _states(ledger, Delivered)
    acknowledged = _states(ledger, Acknowledged)
    ids = Counter(row.id for row in told if row.accepted)
    counts: Counter[str] = Counter(pushed=len(told), submits=sum(isinstance(row, Submitted) for row in ledger))
    for row in told:
        known, seen = says.get(row.ref, ()), at_operator.get(row.ref, {})
        counts[f"told {row.state}"] += 1
        if not row.accepted:
            violations += _not_accepted(row, known, seen)
        elif len(known) != 1 or known[0].id != row.id or ids[row.id] > 1:
            violations.append(_identity(row, known))
        else:
            case = _Case(row, known[0], seen, sent, acknowledged, delay, drained)
            violations += (found for check in _CHECKS for found in check(case))
            if case.says.state in UNDER_WAY and drained:
                violations.append(case.wrong(Kind.STUCK, "it has had its time"))
            _count(case, counts)
    counts["violations"] = len(violations)
    return Findings(tuple(violations), counts)


def _by_ref(
    told: Sequence[Told], rows: Sequence[Submitted], violations: list[Violation]
) -> dict[str, dict[int, list[Submitted]]]:
    """The operator's rows by ref and part, found by the fingerprints of the texts."""
    owner = {text: (row, part) for row in told for part, text in enumerate(row.texts, 1)}
    found: dict[str, dict[int, list[Submitted]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        pushed, part = owner.get(row.text, (None, 0))
        if pushed is None:
            violations.append(Violation(Kind.STRANGER, "", f"{row.id or 'refused'}: text {row.text} was never pushed"))
            continue
        parts = len(pushed.texts)
        if row.to != pushed.to:
            violations.append(Violation(Kind.MANGLED, pushed.ref, f"{row.id}: it went to another number"))
        if (row.part, row.parts) != ((part, parts) if parts > 1 else (0, 0)):
            place = f"part {row.part} of {row.parts} where {part} of {parts} was due"
            violations.append(Violation(Kind.MANGLED, pushed.ref, f"{row.id}: {place}"))
        found[pushed.ref][part].append(row)
    return found


def _states(rows: Sequence[Row], kind: type[Delivered] | type[Acknowledged]) -> dict[str, frozenset[str]]:
    """The final states in receipts of one kind, by message id."""
    states: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if isinstance(row, kind) and row.state in _FINAL_RECEIPTS:
            states[row.id].add(row.state)
    return {name: frozenset(words) for name, words in states.items()}


def _not_accepted(row: Told, known: Sequence[Says], seen: Mapping[int, Sequence[Submitted]]) -> Iterator[Violation]:
    if row.state == "refused" and seen:
        yield Violation(Kind.STRANGER, row.ref, f"it was refused with {row.error}, and yet submitted")
    if row.state == "unanswered" and seen and not known:
        yield Violation(Kind.LOST, row.ref, "it had no answer, was submitted, and mgate does not know it")


def _identity(row: Told, known: Sequence[Says]) -> Violation:
    if not known:
        return Violation(Kind.LOST, row.ref, f"{row.traffic}, told {row.id} after {row.tries} tries")
    names = ", ".join(one.id for one in known)
    return Violation(Kind.TWICE, row.ref, f"told {row.id}, known as {names}, or an id that another has too")


def _named(case: _Case) -> Iterator[Violation]:
    if case.says.state not in UNDER_WAY | OPEN_ENDED | ENDED:
        yield case.wrong(Kind.NAMELESS, "no such state is documented")


def _submitted(case: _Case) -> Iterator[Violation]:
    for part in case.parts:
        if not case.rows.get(part):
            why = _unexplained(case, part)
            if why:
                yield case.wrong(Kind.MISSING, f"part {part}: {why}")


def _unexplained(case: _Case, part: int) -> str:
    """Why it is wrong that the operator never saw a part; empty when it is not."""
    attempts = case.attempts(part)
    claims = [attempt.fate for attempt in attempts if attempt.fate in _CLAIMS]
    doubts = [attempt for attempt in attempts if attempt.fate == "in_doubt"]
    if claims:
        return f"mgate says {claims[0]}"
    state = case.state(part)
    if state in UNDER_WAY or state in ("expired", "cancelled"):
        return ""
    if state == "undelivered":
        return "" if case.rows else "it ended undelivered, and no part of it was submitted"
    if not doubts:
        return "no attempt is marked in doubt"
    if any(case.state(other) in FAILED for other in case.parts):
        return ""  # a part is never repeated beside one that has failed: the message cannot arrive whole any more
    if case.drained and case.told.traffic in REPEATED_AT_ONCE and len(attempts) < MOST_SUBMITS[case.told.traffic]:
        left = _life_left(case, doubts[0])
        if left > REPEAT_NEEDS:
            return f"it was in doubt with {left:.0f} s to live, and was not sent again"
    return ""


def _life_left(case: _Case, attempt: Attempt) -> float:
    if not attempt.leased_at:
        return 0.0
    leased = datetime.fromisoformat(attempt.leased_at).timestamp()
    return case.told.answered_at + case.told.life - leased


def _repeated(case: _Case) -> Iterator[Violation]:
    for part in case.parts:
        extra = len(case.taken(part)) - 1
        marked = sum(attempt.repeat for attempt in case.attempts(part))
        most = MOST_SUBMITS[case.told.traffic]
        if extra > marked:
            yield case.wrong(Kind.REPEATED, f"part {part}: {extra} repeats, {marked} marked")
        if extra >= most:
            yield case.wrong(Kind.REPEATED, f"part {part}: {extra + 1} submits, at most {most} are allowed")


def _in_time(case: _Case) -> Iterator[Violation]:
    end = case.told.answered_at + case.told.life + CLOCK_SLACK + case.delay
    for part in case.parts:
        for row in case.rows.get(part, ()):
            if row.at > end:
                yield case.wrong(Kind.LATE, f"part {part}: submitted {row.at - end:.1f} s after its life")
                continue
            lives = _validity(row)
            if lives is None:
                yield case.wrong(Kind.LATE, f"part {part}: validity_period {row.validity!r} cannot be read")
            elif lives > end + CLOCK_SLACK:
                yield case.wrong(Kind.LATE, f"part {part}: validity_period outlives it by {lives - end:.1f} s")


def _validity(row: Submitted) -> float | None:
    """The moment that a row's validity_period names, seconds since 1970 (SMPP 3.4 section 7.1.1); None for none."""
    text = row.validity
    if len(text) != 16 or not text[:12].isdigit():
        return None
    years, months, days, hours, minutes, seconds = (int(text[at : at + 2]) for at in range(0, 12, 2))
    if text.endswith("R"):
        whole = timedelta(days=days + 30 * months + 365 * years, hours=hours, minutes=minutes, seconds=seconds)
        return row.at + whole.total_seconds()
    try:
        moment = datetime(2000 + years, months, days, hours, minutes, seconds, tzinfo=UTC)
    except ValueError:
        return None
    quarters = int(text[13:15]) * (1 if text[15] == "+" else -1)
    return (moment - timedelta(minutes=15 * quarters)).timestamp()


def _ended_rightly(case: _Case) -> Iterator[Violation]:
    """Each final state has its ground at the operator."""
    sent = case.receipts(case.sent)
    state = case.says.state
    if state == "delivered" and not all("DELIVRD" in states for states in sent):
        yield case.wrong(Kind.WRONG_END, "not every part had a receipt that says so")
    # Where one part never left, the message is undelivered though the others arrived.
    unsent = any(case.state(part) in ("expired", "cancelled") and not case.taken(part) for part in case.parts)
    if state == "undelivered" and not (case.refused or unsent or any(states - {"DELIVRD"} for states in sent)):
        yield case.wrong(Kind.WRONG_END, "no part was refused, and none had a receipt of failure")
    if state in ("expired", "cancelled") and any(case.taken(part) for part in case.parts):
        yield case.wrong(Kind.WRONG_END, "it says that it never left, and the operator took it")


def _receipts_kept(case: _Case) -> Iterator[Violation]:
    """What mgate acknowledged, it must know."""
    kept = case.receipts(case.acknowledged)
    if case.says.state in ENDED:
        failed = case.refused or any(states - {"DELIVRD"} for states in kept)
        if not failed and case.says.state != "delivered" and all("DELIVRD" in states for states in kept):
            yield case.wrong(Kind.RECEIPT_LOST, "it acknowledged a delivery of every part")
        return
    submits = [row for part in case.parts for row in case.taken(part)]
    if any(row.nameless for row in submits):
        return  # nobody can match a receipt to a submit whose id was never told
    doubt = any(attempt.fate == "in_doubt" for attempt in case.says.attempts)
    if all(kept) and not doubt and all(case.acknowledged.get(row.id) for row in submits):
        yield case.wrong(Kind.RECEIPT_LOST, "it acknowledged a final receipt of every submit")


_CHECKS: Final[tuple[Callable[[_Case], Iterator[Violation]], ...]] = (
    _named, _submitted, _repeated, _in_time, _ended_rightly, _receipts_kept,
)  # fmt: skip


def _count(case: _Case, counts: Counter[str]) -> None:
    counts["accepted"] += 1
    counts[f"state {case.says.state}"] += 1
    for part in case.parts:
        counts["parts"] += 1
        counts["repeats"] += max(len(case.taken(part)) - 1, 0)
        counts["repeats marked"] += sum(attempt.repeat for attempt in case.attempts(part))
        counts["parts in doubt"] += any(attempt.fate == "in_doubt" for attempt in case.attempts(part))
        counts["parts not at the operator, explained"] += not case.rows.get(part) and not _unexplained(case, part)
        counts["refused submits"] += sum(row.status != 0 for row in case.rows.get(part, ()))
