"""`tools/bench`: how many messages a second go end to end, and what each costs.

Every row starts a fresh instance, a fresh operator and the traffic, and ends when the operator has the daemon's word
for every final receipt: a message counts when it was pushed, sealed, committed, submitted, answered, and its receipt
committed and acknowledged. Rates depend on the machine and on who else uses it: compare rows of one table, and read
CPU a message and the disk's fdatasync beside them.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table

from mgate.peers import told as told_ledger
from mgate.peers.esme import load
from mgate.peers.fingerprint import Fingerprint
from mgate.peers.house import PASSWORD, SYSTEM_ID, HouseError, Instance, Smsc, fdatasync_ms
from mgate.peers.links import BrokeProtocol
from mgate.peers.push import Plan, Pusher
from mgate.peers.smsc import ledger as smsc_ledger
from mgate.peers.told import ToldLedger
from mgate.peers.traffic import Maker, Mix

SCRIPT: Final = f"""# An operator that is never the slowest.
[account]
system_id = "{SYSTEM_ID}"
password = "{PASSWORD}"
[receipts]
delay = 0.1
"""
PROFILE: Final = "MGATE_PROFILE"
"""The environment variable that asks the daemon to write a cProfile of itself to this path when it stops."""
NO_PROGRESS: Final = 30.0
_MARK: Final = b'{"kind":"acknowledged"'


class Row(NamedTuple):
    """One way to push. `window` is that of the bind; `rate` 0 is as fast as it goes; `single` pushes one at a time."""

    name: str
    meaning: str
    messages: int
    window: int = 100
    binds: int = 1
    connections: int = 1
    single: bool = False
    rate: float = 0.0


ROWS: Final = (
    Row("batch", "one endless batch, one bind, window 100", 30_000),
    Row("batch-wide", "one endless batch, one bind, window 500", 30_000, window=500),
    Row("singles", "single pushes over 32 connections, one bind, window 100", 15_000, connections=32, single=True),
    Row("paced", "single pushes over 8 connections at 500 a second", 5_000, connections=8, single=True, rate=500.0),
    Row("operator", "the operator alone under a bare client, window 300", 100_000),
)


class Result(msgspec.Struct, frozen=True):
    """What one row measured. Rates are a second, times as named, memory bytes, percentiles milliseconds.

    Attributes:
        end_to_end: messages a second from the first push to the last receipt that mgate acknowledged.
        taken: messages a second from the first push to the last answer.
        daemon_us: CPU of the daemon a message; operator_us, pusher_us: of the peers.
        to_submit: push to submit_sm at the operator: median, 95 and 99 of 100.
        to_answer: push to answer, the same.
    """

    name: str
    meaning: str
    messages: int
    seconds: float
    end_to_end: float
    taken: float
    daemon_us: float
    operator_us: float
    pusher_us: float
    resident: int
    to_submit: tuple[float, float, float]
    to_answer: tuple[float, float, float]
    fdatasync_before_ms: float
    fdatasync_after_ms: float


class Costs(NamedTuple):
    """CPU seconds of the three processes, and the daemon's memory."""

    daemon: float
    operator: float
    pusher: float
    resident: int


def measure(row: Row, folder: Path, profile: Path | None) -> Result:
    """Run one row in an empty folder.

    Raises:
        HouseError: a process did not start or ended by itself, or nothing went forward for 30 seconds.
        BrokeProtocol: mgate answered a push as its documentation does not allow.
    """
    before = fdatasync_ms(folder)
    key_file = folder / "hash.key"
    key_file.write_bytes(b"")
    smsc = Smsc(folder, SCRIPT, key_file)
    try:
        if row.name == "operator":
            return _operator_alone(row, smsc, before, folder)
        return _whole_house(row, smsc, before, folder, profile)
    finally:
        smsc.stop()


def _whole_house(row: Row, smsc: Smsc, before: float, folder: Path, profile: Path | None) -> Result:
    instance = Instance(folder, smsc.port, window=row.window, binds=row.binds)
    daemon = instance.start({PROFILE: str(profile)} if profile else None)
    try:
        instance.wait_ready(daemon)
        _wait_for(smsc, b'"event":"bound"', row.binds)
        idle, idle_operator, own = daemon.usage(), smsc.usage(), time.process_time()
        _push(row, instance, folder)
        own = time.process_time() - own
        _wait_for(smsc, _MARK, row.messages)
        used, used_operator = daemon.usage(), smsc.usage()
        if daemon.stop():
            raise daemon.fault("did not end well")
    finally:
        daemon.stop()
    costs = Costs(used.cpu - idle.cpu, used_operator.cpu - idle_operator.cpu, own, used.resident)
    return _result(row, smsc, folder, costs, before)


def _push(row: Row, instance: Instance, folder: Path) -> None:
    """Push all messages of a row; HouseError unless each was taken."""
    book = ToldLedger(folder / "told.ledger")
    plan = Plan(instance.push_socket, row.messages, row.rate, row.connections, 0 if row.single else 4000)
    pusher = Pusher(plan, Maker(1, Mix(parts={1: 1.0}, plain=True), Fingerprint()), book)
    asyncio.run(pusher.run(NO_PROGRESS))
    book.close()
    if pusher.said["accepted"] != row.messages:
        raise HouseError(f"of {row.messages} messages not all were taken: {dict(pusher.said)}")


def _result(row: Row, smsc: Smsc, folder: Path, costs: Costs, before: float) -> Result:
    """What the ledgers and the costs say."""
    told = {text: one for one in told_ledger.read(folder / "told.ledger") for text in one.texts}
    first = min(one.pushed_at for one in told.values())
    submits, last = _submits(smsc)
    return Result(
        name=row.name,
        meaning=row.meaning,
        messages=row.messages,
        seconds=last - first,
        end_to_end=row.messages / (last - first),
        taken=row.messages / (max(one.answered_at for one in told.values()) - first),
        daemon_us=costs.daemon / row.messages * 1e6,
        operator_us=costs.operator / row.messages * 1e6,
        pusher_us=costs.pusher / row.messages * 1e6,
        resident=costs.resident,
        to_submit=_percentiles([at - told[text].pushed_at for text, at in submits.items()]),
        to_answer=_percentiles([one.answered_at - one.pushed_at for one in told.values()]),
        fdatasync_before_ms=before,
        fdatasync_after_ms=fdatasync_ms(folder),
    )


def _operator_alone(row: Row, smsc: Smsc, before: float, folder: Path) -> Result:
    idle, own = smsc.usage(), time.process_time()
    run = load(
        "127.0.0.1", smsc.port, SYSTEM_ID, PASSWORD, messages=row.messages, window=300, receipts=True
    )  # fmt: skip
    done = asyncio.run(run)
    if done.receipts < row.messages:
        raise HouseError(f"of {row.messages} submits {done.submits} were answered and {done.receipts} had receipts")
    used = smsc.usage()
    rate = row.messages / done.seconds
    none = (0.0, 0.0, 0.0)
    return Result(
        name=row.name,
        meaning=row.meaning,
        messages=row.messages,
        seconds=done.seconds,
        end_to_end=rate,
        taken=rate,
        daemon_us=0.0,
        operator_us=(used.cpu - idle.cpu) / row.messages * 1e6,
        pusher_us=(time.process_time() - own) / row.messages * 1e6,
        resident=used.resident,
        to_submit=none,
        to_answer=none,
        fdatasync_before_ms=before,
        fdatasync_after_ms=fdatasync_ms(folder),
    )


def _wait_for(smsc: Smsc, mark: bytes, count: int) -> None:
    """Wait until the operator's ledger has so many rows with this mark."""
    seen, rest, heard = 0, b"", time.monotonic()
    with smsc.ledger.open("rb") as ledger:
        while seen < count:
            piece = ledger.read(1 << 20)
            now = time.monotonic()
            if piece:
                *lines, rest = (rest + piece).split(b"\n")
                found = sum(mark in line for line in lines)
                seen += found
                heard = now if found else heard
                continue
            if now - heard > NO_PROGRESS:
                raise HouseError(f"the operator's ledger has {seen} of {count} rows with {mark!r}, and no more come")
            time.sleep(0.02)


def _submits(smsc: Smsc) -> tuple[dict[str, float], float]:
    """The first submit of each text, and the moment of the last acknowledged receipt."""
    submits: dict[str, float] = {}
    last = 0.0
    for row in smsc_ledger.read(smsc.ledger):
        if isinstance(row, smsc_ledger.Submitted):
            submits.setdefault(row.text, row.at)
        elif isinstance(row, smsc_ledger.Acknowledged):
            last = row.at
    return submits, last


def _percentiles(seconds: Sequence[float]) -> tuple[float, float, float]:
    ordered = sorted(seconds)
    fifty, ninety_five, ninety_nine = (ordered[min(int(len(ordered) * p), len(ordered) - 1)] for p in (0.5, 0.95, 0.99))
    return fifty * 1000, ninety_five * 1000, ninety_nine * 1000


def show(results: Sequence[Result]) -> None:
    """One table for people: a column for each row that was measured, so that it fits a terminal."""
    table = Table(title="end to end: push, seal, commit, submit, answer, receipt, commit")
    table.add_column("")
    for one in results:
        table.add_column(one.name, justify="right")
    lines: tuple[tuple[str, Callable[[Result], str]], ...] = (
        ("messages", lambda one: f"{one.messages:,}"),
        ("a second, end to end", lambda one: f"{one.end_to_end:,.0f}"),
        ("a second, taken", lambda one: f"{one.taken:,.0f}"),
        ("mgated, µs of CPU each", lambda one: f"{one.daemon_us:.0f}" if one.daemon_us else "-"),
        ("operator, µs each", lambda one: f"{one.operator_us:.0f}"),
        ("pusher, µs each", lambda one: f"{one.pusher_us:.0f}"),
        ("push to submit, ms: 50 / 95 / 99 %", lambda one: _three(one.to_submit)),
        ("push to answer, ms: 50 / 95 / 99 %", lambda one: _three(one.to_answer)),
        ("memory, MiB", lambda one: f"{one.resident / 2**20:.0f}"),
        ("fdatasync, ms: before / after", lambda one: f"{one.fdatasync_before_ms:.2f} / {one.fdatasync_after_ms:.2f}"),
    )
    for heading, value in lines:
        table.add_row(heading, *(value(one) for one in results))
    console = Console() if sys.stdout.isatty() else Console(width=120)
    console.print(table)
    for one in results:
        console.print(f"{one.name}: {one.meaning}", highlight=False)


def _three(milliseconds: tuple[float, float, float]) -> str:
    return " / ".join(f"{ms:.1f}" for ms in milliseconds) if any(milliseconds) else "-"


def _arguments() -> argparse.ArgumentParser:
    names = ", ".join(row.name for row in ROWS)
    parser = argparse.ArgumentParser(prog="tools/bench", description="Measure a whole mgate, end to end.")
    parser.add_argument("--rows", default="batch,singles,paced,operator", help=f"of {names}")
    parser.add_argument("--messages", type=int, help="messages a row (default: each row's own)")
    parser.add_argument("--seconds", type=float, help="how long a paced row takes (default 10)")
    parser.add_argument("--window", type=int, help="window of the bind in every row")
    parser.add_argument("--binds", type=int, help="binds in every row")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--profile", type=Path, help=f"have the daemon profile itself into this file ({PROFILE})")
    parser.add_argument("--folder", type=Path, help="measure on the disk of this folder (default: the temp folder's)")
    parser.add_argument("--keep", action="store_true", help="keep the instances and ledgers")
    return parser


def _rows(given: argparse.Namespace) -> list[Row]:
    """The rows asked for, with what was asked of them. HouseError for a name that is none."""
    known = {row.name: row for row in ROWS}
    rows: list[Row] = []
    for name in str(given.rows).split(","):
        if name not in known:
            raise HouseError(f"--rows: {name} is none of {', '.join(known)}")
        row = known[name]
        messages = int(row.rate * given.seconds) if row.rate and given.seconds else given.messages
        changes = {"messages": messages, "window": given.window, "binds": given.binds}
        rows.append(row._replace(**{key: value for key, value in changes.items() if value}))
    return rows


def main() -> int:
    """The command line; the exit status: 0 measured, 1 not."""
    given = _arguments().parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mgate-bench-", dir=given.folder))
    results: list[Result] = []
    try:
        for row in _rows(given):
            place = folder / row.name
            place.mkdir()
            results.append(measure(row, place, given.profile))
    except (HouseError, BrokeProtocol, TimeoutError) as fault:
        print(f"tools/bench: {fault}\nall is kept in {folder}", file=sys.stderr)  # noqa: T201  # a command line
        return 1
    if given.keep:
        print(f"kept in {folder}", file=sys.stderr)  # noqa: T201
    else:
        shutil.rmtree(folder)
    if given.json:
        print(msgspec.json.encode(results).decode())  # noqa: T201
    else:
        show(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
