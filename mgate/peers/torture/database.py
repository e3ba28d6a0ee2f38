"""The bank's database breaks: killed in every phase, promoted, hanging, locked, cut off, in another time, altered.

A real PostgreSQL, reached over mutual TLS through a proxy of ours, and a program that goes on inserting rows. The
server dies where it hurts: while it works on a claim, between the claim and our commit, before and after the rows are
marked, before and after what became of them is written back, and when its answers are lost. For some of these the
daemon is told to stand still at a named point; at the same points it dies itself. After each fault new rows must be
taken again, and the daemon's log must have said why none were, and what to do. Beside it messages are pushed: they
must not notice.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from mgate.peers import told as told_ledger
from mgate.peers.audit import ENDED, UNDER_WAY, Says
from mgate.peers.fingerprint import Fingerprint
from mgate.peers.house import Asker, HouseError, Running
from mgate.peers.postgres import SOURCE
from mgate.peers.smsc import ledger as smsc_ledger
from mgate.peers.torture.bank import Bank, Writer
from mgate.peers.torture.outbox import Known, Row, judge
from mgate.peers.torture.proxy import Fault
from mgate.peers.torture.stage import SETTLED, Course, Discipline, Evidence, Say, Stage
from mgate.peers.torture.tools import faketime
from mgate.peers.traffic import Maker, Mix

POINTS: Final = (
    "source.before_claim", "source.after_claim", "source.before_mark", "source.after_mark", "source.before_result",
    "source.after_result",
)  # fmt: skip
ROWS: Final = 8.0
"""Rows a second that the core writes; a fault of minutes makes a backlog of them."""

PUSHES: Final = 10.0
TAKEN_AGAIN: Final = 75.0
"""Seconds after a fault in which a new row must be taken: a minute is the longest pause between two tries."""

HUNG: Final = "push to submit_sm while it hung, p99, ms"
CALM: Final = "push to submit_sm before, p99, ms"
SLOWEST: Final = "slowest to take rows again, ms"
_NOTICED: Final = 50
"""Milliseconds by which the 99th percentile of pushes may differ beside a hanging database: chance, not a queue."""

_PASSED: Final = 20.0
_LOCK_SEEN: Final = 20.0
_SKEW: Final = 7200
_LOCKED: Final = """
SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name LIKE 'mgate %' AND wait_event_type = 'Lock'
"""
_CLAIMED: Final = "SELECT count(*) FROM mgate.outbox WHERE status IN ('claimed', 'cancelling')"
# What is assigned to text is taken by PostgreSQL whatever it was: that would break nothing.
_ALTERED: Final = (
    ("ALTER TABLE mgate.outbox ALTER leased_until TYPE text",
     "ALTER TABLE mgate.outbox ALTER leased_until TYPE timestamptz USING leased_until::timestamptz"),
    ("ALTER TABLE mgate.outbox RENAME recipient TO phone", "ALTER TABLE mgate.outbox RENAME phone TO recipient"),
    ("ALTER TABLE mgate.results ALTER at TYPE bigint USING extract(epoch FROM at)::bigint",
     "ALTER TABLE mgate.results ALTER at TYPE timestamptz USING to_timestamp(at)"),
)  # fmt: skip
_AWAY: Final = frozenset(("unreachable",))
_SILENT: Final = frozenset(("unreachable", "busy"))


class _Line(msgspec.Struct, frozen=True):
    """What matters of a line of the log."""

    event: str
    reason: str = ""
    error: str = ""
    detail: str = ""


class _Found(msgspec.Struct, frozen=True):
    messages: tuple[Known, ...]


class _Problem(msgspec.Struct, frozen=True):
    step: str
    todo: str


class _Check(msgspec.Struct, frozen=True):
    problems: tuple[_Problem, ...]


class Database(Discipline):
    """See the module.

    Args:
        faults: of `faults`, in the order of their rounds; () for all, in an order of chance.
        hang, locked: seconds of the longest.
    """

    name = "db"
    needs = ("postgresql", "faketime")

    def __init__(self, faults: Sequence[str] = (), hang: float = 120.0, locked: float = 30.0) -> None:
        self._wanted = faults
        self._hang = hang
        self._locked = locked
        self._line: list[str] = []
        self._done: set[str] = set()
        self._hung: list[tuple[float, float]] = []
        self._calm: list[tuple[float, float]] = []
        self._slowest = 0.0

    def course(self, course: Course) -> Course:
        """Pushes beside rows, within what the operator's windows bear."""
        return course._replace(rate=min(course.rate, PUSHES))

    async def prepare(self, stage: Stage) -> None:
        """A server and its tables."""
        self._bank = Bank(stage.random)
        await self._bank.open()

    async def furnish(self, stage: Stage) -> None:
        """Name it in the configuration; in every other chapter it announces its rows."""
        lines = await asyncio.to_thread(self._bank.settings, stage.folder / "bank", notify=stage.course.seed % 2 == 0)
        stage.instance.settle(lines)

    async def begin(self, stage: Stage) -> None:
        """Rows from now on."""
        mix = Mix(short=0.03, short_life=15)
        maker = Maker(stage.course.seed + 1_000_000_000, mix, Fingerprint.from_file(stage.folder / "hash.key"))
        self._writer = Writer(self._bank, maker, ROWS, stage.random)
        self._writing = asyncio.create_task(self._writer.run())
        await stage.start()
        await self._taken_again(stage)

    async def round(self, stage: Stage, number: int) -> None:
        """One fault, and rows are taken again."""
        await stage.spend(stage.random.uniform(0.2, 1.0))
        name = self.next_fault(stage)
        deed, reasons = self.faults[name]
        log = stage.folder / "mgated.log"
        before = log.stat().st_size
        stage.deeds[name] += 1
        await deed(stage)
        stage.must_live()
        await self._taken_again(stage)
        stage.besides += unsaid(log, before, name, reasons)

    async def ask(self, stage: Stage, say: Say) -> dict[str, tuple[Says, ...]]:
        """Let every row come to its end, and hold the outbox against what mgate says of each."""
        self._writer.stop()
        await self._writing
        rows, known = await self._drain(stage, say)
        ends = judge(self._writer.rows, rows, known, self._writer.began)
        for told in ends.told:
            stage.tell(told)
        stage.deeds.update(ends.counts)
        stage.besides += [*ends.findings, *await self._bank.oddities()]
        for name, spans in ((HUNG, self._hung), (CALM, self._calm)):
            if spans:
                stage.deeds[name] = _p99_ms(stage, spans)
        return dict(ends.says)

    async def tidy(self, stage: Stage) -> None:
        """Take the bank away."""
        if hasattr(self, "_writing") and not self._writing.done():
            self._writing.cancel()
            await asyncio.wait((self._writing,))
        if hasattr(self, "_bank"):
            await self._bank.close()

    def judge(self, evidence: Evidence, counts: Mapping[str, int]) -> list[str]:
        """What is beside a database that hangs does not wait for it."""
        hung, calm = evidence.deeds.get(HUNG, 0), evidence.deeds.get(CALM, 0)
        if hung > max(2 * calm, calm + _NOTICED):
            return [f"beside a database that hung a push waited {hung} ms for its submit_sm, before {calm} ms (p99)"]
        return []

    # ---- faults ----------------------------------------------------------------------------------------------------

    @property
    def faults(self) -> Mapping[str, tuple[Callable[[Stage], Awaitable[None]], frozenset[str]]]:
        """Each by its name, and the reasons that the daemon may give; none where nothing need be said."""
        whole: dict[str, tuple[Callable[[Stage], Awaitable[None]], frozenset[str]]] = {
            "server killed during a claim": (self._killed_at_lock("mgate.outbox"), _SILENT),
            "server killed while results are written": (self._killed_at_lock("mgate.results"), _SILENT),
            "server killed, its answers lost": (self._killed_unheard, _AWAY),
            "replica promoted, there and back": (self._promoted, _AWAY),
            "connection cut in the middle of a claim's rows": (self._cut, _AWAY),
            "server hangs": (self._hangs, _SILENT),
            "outbox locked": (self._outbox_locked, _SILENT),
            "clock of the database wrong": (self._skewed, frozenset()),
            "column altered": (self._altered, frozenset(("mismatch",))),
            "mgated killed at a random moment": (self._daemon_killed, frozenset()),
        }
        for point in POINTS:
            whole[f"server killed at {point}"] = (self._killed_at(point), _AWAY)
            whole[f"mgated killed at {point}"] = (self._daemon_killed_at(point), frozenset())
        return whole

    def next_fault(self, stage: Stage) -> str:
        """Which is next."""
        if not self._line:
            self._line = list(self._wanted or self.faults)
            if not self._wanted:
                stage.random.shuffle(self._line)
        return self._line.pop(0)

    def _killed_at_lock(self, table: str) -> Callable[[Stage], Awaitable[None]]:
        async def deed(stage: Stage) -> None:
            held = await self._bank.hold(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
            try:
                await self._bank.until(_LOCKED, "t", _LOCK_SEEN)
                await self._kill_server(stage)
            finally:
                held.end()

        return deed

    def _killed_at(self, point: str) -> Callable[[Stage], Awaitable[None]]:
        """The daemon stands still at the point while its server dies."""

        async def deed(stage: Stage) -> None:
            await stage.stop()
            daemon = stage.launch({"MGATE_CRASH_AT": f"{point}:{stage.random.randint(1, 3)}:stop"})
            try:
                await _until_still(stage, daemon)
                await self._kill_server(stage)
            finally:
                daemon.signal(signal.SIGCONT)
            await stage.spend(0.1)

        return deed

    def _daemon_killed_at(self, point: str) -> Callable[[Stage], Awaitable[None]]:
        async def deed(stage: Stage) -> None:
            await stage.stop()
            daemon = stage.launch({"MGATE_CRASH_AT": f"{point}:{stage.random.randint(1, 3)}"})
            if not await stage.until_dead(daemon, _PASSED):
                raise HouseError(f"{point} was not passed within {_PASSED:g} s")
            if daemon.status != -signal.SIGKILL:
                raise daemon.fault(f"ended with status {daemon.status} where {point} was due")
            await stage.spend(stage.random.uniform(0.0, 0.3))
            await stage.start()

        return deed

    async def _daemon_killed(self, stage: Stage) -> None:
        await stage.spend(stage.random.uniform(0.0, 1.5))
        stage.must_live().kill()
        await stage.start()

    async def _killed_unheard(self, stage: Stage) -> None:
        self._writer.flood(100)
        self._bank.proxy.strike(Fault.SILENT)
        await stage.spend(stage.random.uniform(0.3, 1.5))
        await self._kill_server(stage)
        self._bank.proxy.heal()

    async def _kill_server(self, stage: Stage) -> None:
        await asyncio.to_thread(self._bank.primary.kill)
        await stage.spend(stage.random.expovariate(1.5) % 3.0)
        await asyncio.to_thread(self._bank.primary.start)

    async def _promoted(self, stage: Stage) -> None:
        for _ in range(2):
            await self._bank.follow()
            await stage.spend(stage.random.uniform(0.2, 1.0))
            await self._bank.promote()
            await self._taken_again(stage)

    async def _cut(self, stage: Stage) -> None:
        self._writer.flood(600)
        await stage.spend(stage.random.uniform(0.1, 0.5))
        self._bank.proxy.strike(Fault.SLOW)
        await stage.spend(stage.random.uniform(0.2, 1.2))
        self._bank.proxy.strike(Fault.RESET)
        self._bank.proxy.heal()

    async def _hangs(self, stage: Stage) -> None:
        """The first time for as long as was asked, then for some seconds."""
        seconds = self._hang if not self._hung else stage.random.uniform(3.0, min(12.0, self._hang))
        self._calm.append(await _span(stage, min(seconds, 20.0)))
        self._bank.primary.freeze()
        try:
            self._hung.append(await _span(stage, seconds))
        finally:
            self._bank.primary.thaw()
        stage.deeds["seconds that it hung"] += round(seconds)

    async def _outbox_locked(self, stage: Stage) -> None:
        first = not stage.deeds["seconds that the outbox was locked"]
        seconds = self._locked if first else stage.random.uniform(3.0, min(8.0, self._locked))
        held = await self._bank.hold("LOCK TABLE mgate.outbox IN ACCESS EXCLUSIVE MODE")
        await stage.spend(seconds)
        held.end()
        stage.deeds["seconds that the outbox was locked"] += round(seconds)

    async def _skewed(self, stage: Stage) -> None:
        """It starts with another time; rows are taken all the same, and ``source check`` says what is wrong."""
        ahead = stage.random.choice((_SKEW, -_SKEW))
        await self._restarted({
            "LD_PRELOAD": str(next(faketime())), "FAKETIME": f"{ahead:+d}", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }, stage)  # fmt: skip
        await self._taken_again(stage)
        found = await asyncio.to_thread(_check, stage.instance.path / "run" / "admin.sock")
        if not any(each.step == "clock" and each.todo for each in found.problems):
            stage.besides.append(f"source check did not say that the database's clock is {ahead} s off")
        await self._restarted({}, stage)

    async def _restarted(self, environment: Mapping[str, str], stage: Stage) -> None:
        """Another clock, when nothing is claimed: a lease that one clock gave may last for hours by the other."""
        admin = stage.instance.path / "run" / "admin.sock"
        while True:
            await self._bank.until(_CLAIMED, "0", TAKEN_AGAIN)
            await asyncio.to_thread(_act, admin, "pause")
            await stage.spend(0.5)
            if await self._bank.ask(_CLAIMED) == "0":
                break
            await asyncio.to_thread(_act, admin, "resume")
        await asyncio.to_thread(self._bank.primary.stop)
        await asyncio.to_thread(self._bank.primary.start, environment)
        await asyncio.to_thread(_act, admin, "resume")

    async def _altered(self, stage: Stage) -> None:
        there, back = stage.random.choice(_ALTERED)
        await self._bank.ask(there)
        self._writer.flood(20)
        await stage.spend(stage.random.uniform(2.0, 5.0))
        await self._bank.ask(back)

    # ---- what must be so after each --------------------------------------------------------------------------------

    async def _taken_again(self, stage: Stage) -> None:
        """Wait until a row that is written from now on is taken or refused."""
        began, wanted = time.monotonic(), self._writer.committed + 1
        asked = f"SELECT count(*) FROM mgate.outbox WHERE id >= {wanted} AND status IN ('taken', 'refused')"  # noqa: S608  # a number of ours
        while True:
            await stage.spend(0.1)
            if self._writing.done():
                await self._writing
            if self._writer.committed >= wanted and await self._bank.ask(asked) != "0":
                break
            if time.monotonic() - began > TAKEN_AGAIN:
                stage.besides.append(f"no row was taken for {TAKEN_AGAIN:g} s after a fault was over")
                return
        took = time.monotonic() - began
        if took > self._slowest:
            self._slowest = took
            stage.deeds[SLOWEST] = round(took * 1000)

    async def _drain(self, stage: Stage, say: Say) -> tuple[list[Row], dict[str, tuple[Known, ...]]]:
        """When nothing is under way and nothing changes any more: the rows, and what mgate says of each."""
        began = changed = time.monotonic()
        before: list[Row] = []
        while True:
            rows = await self._bank.rows()
            now = time.monotonic()
            if rows != before:
                before, changed = rows, now
                say(f"draining: {sum(row.state in ENDED for row in rows)} of {len(rows)} rows have ended")
            open_ones = any(row.status not in ("taken", "refused") or row.state in UNDER_WAY for row in rows)
            if now - began > stage.course.drain or (now - changed > SETTLED and not open_ones):
                return rows, await asyncio.to_thread(_known, stage.instance.path / "run" / "admin.sock", rows)
            await asyncio.sleep(1.0)


def unsaid(log: Path, since: int, name: str, reasons: frozenset[str]) -> list[str]:
    """What the log should have said behind this octet, and has not: why no row was taken, and what to do."""
    said = [line for line in _lines(log, since) if line.event == "source_failed"]
    found = [f"{name}: no word what to do: {line.error}" for line in said if not line.detail]
    if reasons and not any(line.reason in reasons for line in said):
        words = ", ".join(f"{line.reason}: {line.error}" for line in said) or "nothing"
        found.append(f"{name}: the log should say {' or '.join(sorted(reasons))}, and says {words}")
    return found


async def _until_still(stage: Stage, daemon: Running) -> None:
    """Let the load go on until the daemon stands still; HouseError when it does not."""
    deadline = time.monotonic() + _PASSED
    while not daemon.stands_still:
        if not daemon.alive or time.monotonic() > deadline:
            raise daemon.fault(f"did not come to the point where it must stand still, within {_PASSED:g} s")
        await stage.spend(0.01)


async def _span(stage: Stage, seconds: float) -> tuple[float, float]:
    began = time.time()
    await stage.spend(seconds)
    return began, time.time()


def _check(admin: Path) -> _Check:
    asker = Asker(admin)
    try:
        return asker.post(f"/v1/sources/{SOURCE}:check", _Check)
    finally:
        asker.close()


def _act(admin: Path, act: str) -> None:
    asker = Asker(admin)
    try:
        asker.post(f"/v1/sources/{SOURCE}:{act}", dict[str, object])
    finally:
        asker.close()


def _known(admin: Path, rows: Sequence[Row]) -> dict[str, tuple[Known, ...]]:
    """What mgate says of each row's message, whose reference ends in an empty version; in a thread."""
    asker = Asker(admin)
    try:
        return {row.key: asker.get(f"/v1/messages?ref={row.key}%2F&client={SOURCE}", _Found).messages for row in rows}
    finally:
        asker.close()


def _lines(log: Path, since: int) -> list[_Line]:
    decoder = msgspec.json.Decoder(_Line)
    found = []
    with log.open("rb") as lines:
        lines.seek(since)
        for raw in lines:
            try:
                found.append(decoder.decode(raw))
            except msgspec.MsgspecError:
                continue  # cut by a kill, or no line of ours
    return found


def _p99_ms(stage: Stage, spans: Sequence[tuple[float, float]]) -> int:
    """Of what was pushed within these spans: push to the first submit_sm, at the 99th percentile."""
    first: dict[str, float] = {}
    for row in smsc_ledger.read(stage.smsc.ledger):
        if isinstance(row, smsc_ledger.Submitted):
            first.setdefault(row.text, row.at)
    waited = sorted(
        first[told.texts[0]] - told.pushed_at
        for told in told_ledger.read(stage.folder / "told.ledger")
        if told.texts[0] in first and any(begin <= told.pushed_at < end for begin, end in spans)
    )
    return round(waited[max(-(-len(waited) * 99 // 100) - 1, 0)] * 1000) if waited else 0
