"""`tools/torture kill`: SIGKILL at random moments under load, then three ledgers compared from outside.

The pusher goes on through every death and repeats what had no answer; the operator lives through all of them. What the
pusher was told, what the operator saw and what mgate says must then agree (`audit`).
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import msgspec

from mgate.peers import told as told_ledger
from mgate.peers.audit import ENDED, UNDER_WAY, Findings, Kind, Says, compare
from mgate.peers.fingerprint import Fingerprint
from mgate.peers.house import PASSWORD, SYSTEM_ID, Asker, HouseError, Instance, Smsc
from mgate.peers.links import BrokeProtocol
from mgate.peers.push import Plan, Pusher
from mgate.peers.smsc import ledger as smsc_ledger
from mgate.peers.told import Told, ToldLedger
from mgate.peers.traffic import Maker, Mix

SCRIPT: Final = f"""# A slow operator with moods, for the torture.
seed = {{seed}}
[account]
system_id = "{SYSTEM_ID}"
password = "{PASSWORD}"
[latency]
submit = [0.01, 0.3]
[throttling]
queue_full = 0.01
system_error = 0.005
[errors]
shares = {{ ESME_RSUBMITFAIL = 0.005 }}
[silence]
submits = 0.002
[receipts]
delay = [0.05, 6.0]
states = {{ DELIVRD = 0.95, UNDELIV = 0.05 }}
duplicates = 0.02
before_response = 0.05
intermediates = 0.1
other_bind = 0.2
"""
WINDOW: Final = 20
BINDS: Final = 2
SETTLED: Final = 8.0  # longer than a code waits on a live link before it is sent again
SHOWN: Final = 20
_PLAIN: Final = (b"37529111", b"Tell it to nobody", "Банк Пример".encode(), "Банк Пример".encode("utf-16-be"))


class Course(NamedTuple):
    """How to torture: so many kills, each after a random part of `every` seconds; `drain`: the longest last wait."""

    rounds: int
    seed: int
    rate: float
    every: tuple[float, float]
    drain: float
    script: str


class Evidence(NamedTuple):
    """What was gathered: the three ledgers, how long each restart took, and what was wrong besides."""

    told: Sequence[Told]
    rows: Sequence[smsc_ledger.Row]
    says: Mapping[str, tuple[Says, ...]]
    restarts: Sequence[float]
    besides: Sequence[str]


class Kept(msgspec.Struct, frozen=True):
    """What a report keeps of a run beside the two ledgers."""

    says: Mapping[str, tuple[Says, ...]]
    restarts: tuple[float, ...]
    besides: tuple[str, ...]


async def torture(course: Course, folder: Path) -> Evidence:
    """Run the whole course in `folder`.

    Raises:
        HouseError: a process did not start, or ended by itself.
        BrokeProtocol: mgate answered a push as its documentation does not allow.
    """
    random = Random(course.seed)  # noqa: S311  # repeatable on purpose
    key_file = folder / "hash.key"
    key_file.write_bytes(random.randbytes(32))
    smsc = Smsc(folder, course.script.replace("{seed}", str(course.seed)), key_file)
    book = ToldLedger(folder / "told.ledger")
    try:
        instance = Instance(folder, smsc.port, window=WINDOW, binds=BINDS)
        maker = Maker(course.seed, Mix(short=0.05), Fingerprint.from_file(key_file))
        pusher = Pusher(Plan(instance.push_socket, 0, course.rate, 3, 200), maker, book)
        besides: list[str] = []
        restarts, says = await _under_load(course, random, instance, pusher, besides)
    finally:
        book.close()
        if smsc.stop():
            raise smsc.fault("did not end well")
    besides += [f"a number or a text in plain in {path}" for path in _leaks(instance.path, folder / "mgated.log")]
    told = list(told_ledger.read(folder / "told.ledger"))
    refused = Counter(row.error for row in told if row.error)
    besides += [f"{count} good messages were refused with {error}" for error, count in refused.items()]
    return Evidence(told, list(smsc_ledger.read(smsc.ledger)), says, restarts, besides)


async def _under_load(
    course: Course, random: Random, instance: Instance, pusher: Pusher, besides: list[str]
) -> tuple[list[float], dict[str, tuple[Says, ...]]]:
    """The kills, the drain, the questions, and an orderly stop."""
    daemon = instance.start()
    restarts = [await asyncio.to_thread(instance.wait_ready, daemon)]
    pushing = asyncio.create_task(pusher.run(patience=30.0))
    try:
        for round_number in range(1, course.rounds + 1):
            await asyncio.wait((pushing,), timeout=random.uniform(*course.every))
            if pushing.done():
                break
            if not daemon.alive:
                raise daemon.fault("ended by itself")
            daemon.kill()
            await asyncio.sleep(random.uniform(0.0, 0.5))
            daemon = instance.start()
            restarts.append(await asyncio.to_thread(instance.wait_ready, daemon))
            _say(f"round {round_number}: killed, back in {restarts[-1]:.2f} s, {pusher.answered} messages answered")
        await asyncio.wait((pushing,), timeout=course.every[1])
        pusher.stop()
        await pushing
        says = await _drain(instance, pusher.refs, course.drain)
        status = daemon.stop()
        if status:
            besides.append(f"mgated ended with status {status} after SIGTERM")
        return restarts, says
    finally:
        if daemon.alive:
            daemon.kill()
        pushing.cancel()
        await asyncio.wait((pushing,))


async def _drain(instance: Instance, refs: Sequence[str], limit: float) -> dict[str, tuple[Says, ...]]:
    """Ask until nothing is under way and nothing has changed for a while; what mgate says about each ref at the end."""
    asker = Asker(instance.push_socket)
    began = changed = time.monotonic()
    says: dict[str, tuple[Says, ...]] = {}
    try:
        while True:
            before = _states(says)
            for number, ref in enumerate(refs):
                # What has ended is asked about once more, at the very end.
                if not says.get(ref) or any(one.state not in ENDED for one in says[ref]):
                    says[ref] = asker.ask(ref)
                if number % 200 == 0:
                    await asyncio.sleep(0)
            now, states = time.monotonic(), _states(says)
            if states != before:
                changed = now
                _say(f"draining: {', '.join(f'{count} {state}' for state, count in sorted(states.items()))}")
            if now - began > limit or (now - changed > SETTLED and not any(states[state] for state in UNDER_WAY)):
                return {ref: asker.ask(ref) for ref in refs}
            await asyncio.sleep(1.0)
    finally:
        asker.close()


def _states(says: dict[str, tuple[Says, ...]]) -> Counter[str]:
    return Counter(one.state for known in says.values() for one in known)


def _leaks(*places: Path) -> list[Path]:
    """Files that hold a pushed number or text in plain."""
    files = [path for place in places for path in (place.rglob("*") if place.is_dir() else (place,)) if path.is_file()]
    return [path for path in files if any(plain in path.read_bytes() for plain in _PLAIN)]


def report(evidence: Evidence, findings: Findings, folder: Path) -> bool:
    """Print what was found and write it to report.json; whether all promises were kept."""
    counts = dict(findings.counts)
    for name, count in sorted(counts.items()):
        _say(f"{name:>42}  {count}")
    slowest = max(evidence.restarts)
    _say(f"{'slowest start, seconds':>42}  {slowest:.2f}")
    by_kind = Counter(violation.kind for violation in findings.violations)
    for kind, count in by_kind.most_common():
        _say(f"VIOLATION {count} x {kind.name}: {kind.value}")
    for violation in findings.violations[:SHOWN]:
        _say(f"    {violation.kind.name} {violation.ref}: {violation.sentence}")
    for sentence in evidence.besides:
        _say(f"VIOLATION {sentence}")
    document = {
        "counts": counts,
        "restarts": evidence.restarts,
        "violations": [(one.kind.name, one.ref, one.sentence) for one in findings.violations],
        "besides": evidence.besides,
        "says": {ref: msgspec.to_builtins(says) for ref, says in evidence.says.items()},
    }
    (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(document)))
    repeats, marked = counts.get("repeats", 0), counts.get("parts in doubt", 0)
    lost = by_kind[Kind.LOST] + by_kind[Kind.MISSING]
    _say(f"{lost} lost, {repeats} repeats ({by_kind[Kind.REPEATED]} unmarked), {marked} parts with a doubt left")
    return not findings.violations and not evidence.besides


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  # a command line


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/torture", description="Torture a whole mgate in a folder of its own.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    kill = kinds.add_parser("kill", help="SIGKILL at random moments under load; three ledgers compared")
    kill.add_argument("--rounds", type=int, default=20, help="kills (default 20)")
    kill.add_argument("--seed", type=int, help="of moments, messages and moods (default: from the clock, printed)")
    kill.add_argument("--rate", type=float, default=150.0, help="messages a second (default 150)")
    kill.add_argument("--least", type=float, default=0.3, help="least seconds between kills (default 0.3)")
    kill.add_argument("--most", type=float, default=3.0, help="most seconds between kills (default 3)")
    kill.add_argument("--drain", type=float, default=90.0, help="most seconds to wait for the ends (default 90)")
    kill.add_argument("--script", type=Path, help="another script for the operator, such as etc/smsc/flapping.toml")
    kill.add_argument("--folder", type=Path, help="where to keep the evidence (default: a new one in the temp folder)")
    kill.add_argument("--keep", action="store_true", help="keep the evidence also when all is well")
    judge = kinds.add_parser("judge", help="compare the ledgers of a kept folder once more")
    judge.add_argument("folder", type=Path)
    return parser


def _judge(folder: Path) -> int:
    """Compare what a former run has kept; the exit status."""
    told = list(told_ledger.read(folder / "told.ledger"))
    rows = list(smsc_ledger.read(folder / "smsc.ledger"))
    kept = msgspec.json.decode((folder / "report.json").read_bytes(), type=Kept)
    evidence = Evidence(told, rows, kept.says, kept.restarts, kept.besides)
    return 0 if report(evidence, compare(told, rows, kept.says), folder) else 1


def main() -> int:
    """The command line; the exit status: 0 all promises kept, 1 not."""
    given = _arguments().parse_args()
    if given.kind == "judge":
        return _judge(given.folder)
    seed = int(time.time()) if given.seed is None else given.seed
    folder = given.folder or Path(tempfile.mkdtemp(prefix="mgate-torture-"))
    folder.mkdir(exist_ok=True)
    script = given.script.read_text() if given.script else SCRIPT
    course = Course(given.rounds, seed, given.rate, (given.least, given.most), given.drain, script)
    _say(f"torture kill --rounds {given.rounds} --seed {seed}, evidence in {folder}")
    try:
        evidence = asyncio.run(torture(course, folder))
    except (HouseError, BrokeProtocol, TimeoutError) as fault:
        _say(f"VIOLATION {fault}")
        return 1
    kept = report(evidence, compare(evidence.told, evidence.rows, evidence.says), folder)
    if kept and not given.keep and not given.folder:
        shutil.rmtree(folder)
    _say("all promises kept" if kept else f"PROMISES BROKEN; the evidence is in {folder}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
