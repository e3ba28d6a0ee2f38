"""One campaign against one target: so many spoilt cases, each timed, each finding kept once, the memory watched."""

import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from mgate.peers.fuzz.mutation import spoil
from mgate.peers.fuzz.targets import Target

LIMIT_S: Final = 0.001
"""A unit (a PDU, a request) may take so long."""

MOST_GROWTH: Final = 20 * 2**20
_CORPUS: Final = 400
_KEEP_EVERY: Final = 97  # now and then a spoilt case is spoilt further
_LONGEST_KEPT: Final = 512  # or they grow from spoiling to spoiling
_STATM: Final = Path("/proc/self/statm")
_PAGE: Final = 4096


class Finding(NamedTuple):
    """What a target did and may not do: `kind` names it and the place, `case` is the shortest known that shows it."""

    kind: str
    sentence: str
    case: bytes


class Result(NamedTuple):
    """What came of a campaign. `slowest` is of a unit, seconds; `grown`: resident octets more at the end than after
    the first tenth."""

    target: str
    cases: int
    seconds: float
    slowest: float
    grown: int
    findings: Sequence[Finding]

    @property
    def good(self) -> bool:
        """Whether nothing was found and the memory stayed flat."""
        return not self.findings and self.grown < MOST_GROWTH


def attack(
    target: Target,
    cases: int,
    seed: int,
    kept: Sequence[bytes] = (),
    say: Callable[[str], object] = str,
    most: int = 100,
) -> Result:
    """Run `cases` cases, after the corpus itself.

    Args:
        seed: the same seed, corpus and code make the same cases.
        kept: more for the corpus, such as former findings.
        say: told now and then how it goes.
        most: so many kinds of findings end the campaign early.
    """
    random = Random(f"{target.name} {seed}")  # noqa: S311  # repeatable on purpose
    corpus = [*target.seeds, *kept]
    first = [*target.huge, *corpus]
    fixed, found, slowest = len(corpus), dict[str, Finding](), 0.0
    began, resident, tell, n = time.perf_counter(), 0, max(cases // 10, 1), -1
    for n in range(cases):
        if n < len(first):
            case = first[n]
        else:
            case = spoil(random.choice(corpus), random.choice(corpus), target.words, target.joints, random)
            if n % _KEEP_EVERY == 0 and len(case) < _LONGEST_KEPT:
                if len(corpus) < _CORPUS:
                    corpus.append(case)
                else:
                    corpus[random.randrange(fixed, _CORPUS)] = case
        finding, slowest = _try(target, case, slowest)
        if finding is not None and finding.kind not in found:
            found[finding.kind] = _shorter(target, finding)
            if len(found) == most:
                break
        if n % tell == tell - 1:
            resident = resident or _resident()
            say(f"{target.name}: {n + 1:,} cases, {len(found)} findings")
    grown = _resident() - resident if resident else 0
    return Result(target.name, n + 1, time.perf_counter() - began, slowest, grown, tuple(found.values()))


def _try(target: Target, case: bytes, slowest: float) -> tuple[Finding | None, float]:
    """What came of one case, and the slowest unit after it, seconds."""
    began = time.perf_counter()
    try:
        units = target.run(case)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding
        return Finding(_kind(error), str(error)[:200], case), slowest
    if (time.perf_counter() - began) / units <= slowest:
        return None, slowest
    # The machine may have been elsewhere: what counts is our own time, and the best of a few.
    unit = min(_own_time(target, case) for _ in range(5)) / units
    slow = Finding("slow", f"{unit * 1000:.2f} ms a unit", case) if unit > LIMIT_S else None
    return slow, max(slowest, unit)


def _own_time(target: Target, case: bytes) -> float:
    began = time.thread_time()
    target.run(case)
    return time.thread_time() - began


def _kind(error: Exception) -> str:
    """The exception and the line of ours that raised it: one fault is one kind, however many cases show it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"


def _shorter(target: Target, finding: Finding) -> Finding:
    """The same finding from fewer octets, as far as cutting pieces out leads."""
    size = len(finding.case) // 2
    tries = 2000
    while size and tries > 0:
        at = 0
        while at < len(finding.case) and tries > 0:
            tries -= 1
            again, _ = _try(target, finding.case[:at] + finding.case[at + size :], LIMIT_S)
            if again is not None and again.kind == finding.kind:
                finding = again
            else:
                at += size
        size //= 2
    return finding


def _resident() -> int:
    return int(_STATM.read_text().split()[1]) * _PAGE
