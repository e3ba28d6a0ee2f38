"""The command line of `tools/torture fuzz`: every target, or those that are named; 0 when nothing was found."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mgate.peers.fuzz import seeds
from mgate.peers.fuzz.campaign import MOST_GROWTH, Result, attack
from mgate.peers.fuzz.targets import TARGETS

CASES: Final = 10_000_000
CORPUS: Final = Path("tests/vectors/fuzz")


def main(given: Sequence[str] | None = None) -> int:
    """Attack; the exit status: 0 nothing found, 1 something, 2 it cannot be run as asked."""
    parser = argparse.ArgumentParser(
        prog="tools/torture fuzz", description="Octets that nobody would send, at everything that reads from outside."
    )
    names = [target.name for target in TARGETS]
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(names)} (default: all)")
    parser.add_argument("--cases", type=int, default=CASES, help=f"over all targets together (default {CASES:,})")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the cases (default: from the clock)")
    parser.add_argument("--corpus", type=Path, default=CORPUS, help=f"former findings (default {CORPUS})")
    asked = parser.parse_args(given)
    if unknown := set(asked.targets) - set(names):
        parser.error(f"{', '.join(sorted(unknown))}: the targets are {', '.join(names)}")
    chosen = [target for target in TARGETS if target.name in (asked.targets or names)]
    _say(f"torture fuzz --cases {asked.cases} --seed {asked.seed}")
    results = []
    for target in chosen:
        result = attack(target, asked.cases // len(chosen), asked.seed, seeds.kept(asked.corpus, target.name), _say)
        results.append(result)
        _tell(result)
    good = all(result.good for result in results)
    total = sum(result.cases for result in results)
    _say(f"{total:,} cases: {'nothing but typed errors' if good else 'FINDINGS, see above'}")
    return 0 if good else 1


def _tell(result: Result) -> None:
    each = result.seconds / max(result.cases, 1) * 1e6
    _say(
        f"{result.target:>8}  {result.cases:>10,} cases  {each:6.1f} µs each"
        f"  slowest {result.slowest * 1e6:6.0f} µs a unit  memory {result.grown / 2**20:+.1f} MiB"
    )
    if result.grown >= MOST_GROWTH:
        _say("    FINDING the memory grows")
    for finding in result.findings:
        _say(f"    FINDING {finding.kind}: {finding.sentence}\n        {finding.case.hex()}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  # a command line


if __name__ == "__main__":
    sys.exit(main())
