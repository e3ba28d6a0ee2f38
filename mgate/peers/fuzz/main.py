"""The command line of `tools/torture fuzz`: every target, or those that are named; 0 when nothing was found."""

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mgate.peers.fuzz import seeds
from mgate.peers.fuzz.campaign import MOST_GROWTH, Result, attack
from mgate.peers.fuzz.targets import TARGETS
from mgate.peers.interop.install import Missing, program

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
    parser.add_argument("--guided", type=int, default=0, help="besides, so many runs of each target under atheris")
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
    total = sum(result.cases for result in results)
    try:
        led = [_led(target.name, asked.guided, asked.seed) for target in chosen if asked.guided]
    except Missing as absent:
        _say(str(absent))
        return 2
    good = all(result.good for result in results) and not any(led)
    _say(f"{total:,} cases: {'nothing but typed errors' if good else 'FINDINGS, see above'}")
    return 0 if good else 1


def _led(name: str, runs: int, seed: int) -> int:
    """So many runs of a target under libFuzzer; its exit status."""
    python = program("atheris", "python")
    folder = tempfile.mkdtemp(prefix=f"mgate-fuzz-{name}-")
    paths = os.pathsep.join((str(Path.cwd()), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    command = [str(python), "-m", "mgate.peers.fuzz.libfuzzer", name, str(runs), folder, f"-seed={seed % 2**31}"]
    words = Path(f"{folder}.log")
    with words.open("wb") as file:
        done = subprocess.run(  # noqa: S603  # our own
            command, env={**os.environ, "PYTHONPATH": paths}, stdout=file, stderr=file, check=False
        )
    _say(f"{name:>8}  {runs:>10,} runs under libFuzzer: {'FINDING' if done.returncode else 'nothing found'}; {words}")
    return done.returncode


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
