"""What is said of a run: every promise held against its evidence, the table, and the report that is kept."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table

from mgate.peers import told as told_ledger
from mgate.peers.audit import Kind, Says, Violation, compare
from mgate.peers.smsc import ledger as smsc_ledger
from mgate.peers.torture.stage import Course, Discipline, Evidence
from mgate.peers.torture.words import Words

SHOWN: Final = 20
_TABLE: Final = ("accepted", "parts", "submits", "repeats", "repeats marked", "parts in doubt", "refused submits")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a report keeps of a run beside the ledgers: enough to judge it again."""

    discipline: str
    seed: int
    window: int
    binds: int
    delay: float = 0.0
    says: Mapping[str, tuple[Says, ...]]
    words: Words
    restarts: tuple[float, ...]
    deeds: Mapping[str, int]
    besides: tuple[str, ...]


class Verdict(NamedTuple):
    """One run judged.

    Attributes:
        rounds: that were run; counts: of the comparison; deeds: of the discipline.
        violations: broken promises by the ledgers; besides: what else was wrong.
    """

    discipline: str
    seed: int
    rounds: int
    counts: Mapping[str, int]
    deeds: Mapping[str, int]
    restarts: Sequence[float]
    violations: Sequence[Violation]
    besides: Sequence[str]

    @property
    def good(self) -> bool:
        """Whether all promises were kept."""
        return not self.violations and not self.besides


def judge(course: Course, discipline: Discipline, evidence: Evidence) -> Verdict:
    """Hold every promise against the evidence."""
    findings = compare(evidence.told, evidence.rows, evidence.says, delay=course.delay)
    slots = course.window * course.binds
    besides = list(evidence.besides)
    over = [swept for swept in evidence.words.swept if swept > slots]
    if over:
        besides.append(f"{len(over)} starts found more open attempts than {slots} slots, {max(over)} at the most")
    besides += [f"{count} times in the log: {line}" for line, count in evidence.words.bad.items()]
    besides += discipline.judge(evidence, findings.counts)
    return Verdict(
        discipline.name, course.seed, course.rounds, findings.counts, evidence.deeds, evidence.restarts,
        findings.violations, besides,
    )  # fmt: skip


def failed(course: Course, discipline: Discipline, fault: Exception) -> Verdict:
    """A run that could not be brought to its end is a finding itself."""
    sentence = f"{type(fault).__name__}: {fault}"
    return Verdict(discipline.name, course.seed, course.rounds, {}, {}, (), (), (sentence,))


def keep(verdict: Verdict, course: Course, evidence: Evidence, folder: Path) -> None:
    """Write report.json, from which ``tools/torture judge`` can judge again."""
    document = {
        **as_json(verdict),
        "window": course.window,
        "binds": course.binds,
        "delay": course.delay,
        "words": evidence.words,
        "says": evidence.says,
    }
    document["besides"] = evidence.besides
    (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(document)))


def again(folder: Path, disciplines: Mapping[str, Discipline]) -> Verdict:
    """Judge what a former run has kept."""
    kept = msgspec.json.decode((folder / "report.json").read_bytes(), type=Kept)
    told = list(told_ledger.read(folder / "told.ledger"))
    rows = list(smsc_ledger.read(folder / "smsc.ledger"))
    evidence = Evidence(told, rows, kept.says, kept.words, kept.restarts, kept.deeds, kept.besides)
    course = Course(0, kept.seed, window=kept.window, binds=kept.binds, delay=kept.delay)
    return judge(course, disciplines[kept.discipline], evidence)


def as_json(verdict: Verdict) -> dict[str, object]:
    """A verdict as the result of ``--json``."""
    return {
        "discipline": verdict.discipline,
        "seed": verdict.seed,
        "rounds": verdict.rounds,
        "good": verdict.good,
        "counts": dict(verdict.counts),
        "deeds": dict(verdict.deeds),
        "restarts": list(verdict.restarts),
        "violations": [(one.kind.name, one.ref, one.sentence) for one in verdict.violations],
        "besides": list(verdict.besides),
    }


def total(verdicts: Sequence[Verdict]) -> Verdict:
    """The chapters of one discipline as one."""
    counts: Counter[str] = Counter()
    deeds: Counter[str] = Counter()
    for verdict in verdicts:
        counts.update(verdict.counts)
        deeds.update(verdict.deeds)
    first = verdicts[0]
    return Verdict(
        first.discipline, first.seed, sum(one.rounds for one in verdicts), counts, deeds,
        [seconds for one in verdicts for seconds in one.restarts],
        [violation for one in verdicts for violation in one.violations],
        [sentence for one in verdicts for sentence in one.besides],
    )  # fmt: skip


def show(verdict: Verdict, console: Console) -> None:
    """Print the table and every finding."""
    table = Table(title=f"torture {verdict.discipline}, {verdict.rounds} rounds, seed {verdict.seed}")
    table.add_column("what")
    table.add_column("count", justify="right")
    for row in _lines(verdict):
        table.add_row(*row)
    console.print(table)
    for kind, count in Counter(one.kind for one in verdict.violations).most_common():
        console.print(f"VIOLATION {count} x {kind.name}: {kind.value}", markup=False, soft_wrap=True)
    for violation in verdict.violations[:SHOWN]:
        line = f"    {violation.kind.name} {violation.ref}: {violation.sentence}"
        console.print(line, markup=False, soft_wrap=True)
    for sentence in verdict.besides:
        console.print(f"VIOLATION {sentence}", markup=False, soft_wrap=True)
    console.print(summary(verdict), markup=False, soft_wrap=True)


def summary(verdict: Verdict) -> str:
    """The three numbers that matter."""
    kinds = Counter(one.kind for one in verdict.violations)
    lost = kinds[Kind.LOST] + kinds[Kind.MISSING]
    repeats, doubts = verdict.counts.get("repeats", 0), verdict.counts.get("parts in doubt", 0)
    return f"{lost} lost, {repeats} repeats ({kinds[Kind.REPEATED]} unmarked), {doubts} parts with a doubt left"


def _lines(verdict: Verdict) -> Iterable[tuple[str, str]]:
    for deed, count in sorted(verdict.deeds.items()):
        yield deed, f"{count:,}"
    for name in _TABLE:
        yield name, f"{verdict.counts.get(name, 0):,}"
    for name, count in sorted(verdict.counts.items()):
        if name.startswith("state "):
            yield name, f"{count:,}"
    if verdict.restarts:
        yield "slowest start, seconds", f"{max(verdict.restarts):.2f}"
