"""The stage of every discipline: an operator, an instance, and a load that goes on whatever befalls them.

The pusher lives through every death and repeats what had no answer; the operator lives through all of them. When the
rounds are over the load ends, everybody has the time to finish, and mgate is asked about every message.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from mgate.peers import told as told_ledger
from mgate.peers.audit import ENDED, UNDER_WAY, Says
from mgate.peers.fingerprint import Fingerprint
from mgate.peers.house import DAEMON, PASSWORD, SYSTEM_ID, Asker, HouseError, Instance, Running, Smsc
from mgate.peers.push import Plan, Pusher
from mgate.peers.smsc import ledger as smsc_ledger
from mgate.peers.told import Told, ToldLedger
from mgate.peers.torture.words import Words, leaks, read_words
from mgate.peers.traffic import Maker, Mix

ACCOUNT: Final = f"""seed = {{seed}}
[account]
system_id = "{SYSTEM_ID}"
password = "{PASSWORD}"
"""
SILENCE: Final = """\
[silence]
submits = 0.002
"""
SCRIPT: Final = (
    "# A slow operator with moods, for the torture.\n"
    + ACCOUNT
    + SILENCE
    + """\
[latency]
submit = [0.01, 0.3]
[throttling]
queue_full = 0.002
system_error = 0.001
[errors]
shares = { ESME_RSUBMITFAIL = 0.005 }
[receipts]
delay = [0.05, 6.0]
retry = 2.0
states = { DELIVRD = 0.95, UNDELIV = 0.05 }
duplicates = 0.02
before_response = 0.05
intermediates = 0.1
other_bind = 0.2
"""
)
PATIENCE: Final = 60.0
"""Seconds that the pusher waits for a daemon that does not answer."""

SETTLED: Final = 8.0
"""Seconds without a change that end the drain: longer than a code waits on a live link before it is sent again."""


class Course(NamedTuple):
    """How to torture.

    Attributes:
        rounds: how many; seed: of moments, messages and moods.
        rate: messages a second; mix: of what.
        script: of the operator, with ``{seed}``; window, binds: of the account.
        settings: lines for the end of the instance's configuration, where the account's section stands.
        drain: the longest last wait, seconds.
        delay: what stands between holds octets for so many seconds at most, so that the operator reads them late.
        launcher: what runs the daemon; another one for a build that is broken on purpose.
    """

    rounds: int
    seed: int
    rate: float = 100.0
    mix: Mix = Mix(short=0.05)
    script: str = SCRIPT
    window: int = 20
    binds: int = 2
    settings: str = ""
    drain: float = 90.0
    delay: float = 0.0
    launcher: tuple[str, ...] = DAEMON


class Evidence(NamedTuple):
    """What was gathered.

    Attributes:
        told, rows, says: the three ledgers; words: what the daemon logged.
        restarts: how long each start took, seconds; deeds: what was done to it, counted.
        besides: what was wrong and stands in no ledger.
    """

    told: Sequence[Told]
    rows: Sequence[smsc_ledger.Row]
    says: Mapping[str, tuple[Says, ...]]
    words: Words
    restarts: Sequence[float]
    deeds: Mapping[str, int]
    besides: Sequence[str]


class Stage:
    """One instance under load, as a discipline sees it.

    Attributes:
        random: the source of all chance; deeds: what was done, for the discipline to count.
        port: where the daemon finds its operator; a discipline that puts something between changes it in ``prepare``.
        daemon: the running one, or the last.
    """

    def __init__(self, course: Course, folder: Path) -> None:
        self.course = course
        self.folder = folder
        self.random = Random(course.seed)  # noqa: S311  # repeatable on purpose
        self.deeds: Counter[str] = Counter()
        self.restarts: list[float] = []
        self.besides: list[str] = []
        self._key = folder / "hash.key"
        self._key.write_bytes(self.random.randbytes(32))
        self.smsc = Smsc(folder, course.script.replace("{seed}", str(course.seed)), self._key)
        self.port = self.smsc.port
        self.daemon: Running | None = None
        self._book = ToldLedger(folder / "told.ledger")

    def build(self) -> None:
        """Make the instance; HouseError when mgatectl makes none."""
        course = self.course
        self.instance = Instance(self.folder, self.port, window=course.window, binds=course.binds)
        self.instance.settle(course.settings)

    def load(self) -> None:
        """Begin to push."""
        course = self.course
        maker = Maker(course.seed, course.mix, Fingerprint.from_file(self._key))
        self.pusher = Pusher(Plan(self.instance.push_socket, 0, course.rate, 3, 200), maker, self._book)
        self._pushing = asyncio.create_task(self.pusher.run(patience=PATIENCE))

    # ---- for disciplines -------------------------------------------------------------------------------------------

    def launch(self, environment: Mapping[str, str] | None = None, before: Sequence[str] = ()) -> Running:
        """Start a daemon; it is not ready yet."""
        self.daemon = self.instance.start(environment, self.course.launcher, before)
        return self.daemon

    async def start(self, environment: Mapping[str, str] | None = None) -> Running:
        """Start a daemon and wait until it takes pushes. HouseError when it does not."""
        daemon = self.launch(environment)
        self.restarts.append(await asyncio.to_thread(self.instance.wait_ready, daemon))
        return daemon

    async def spend(self, seconds: float) -> None:
        """Let the load go on. What ends the pusher before its time is raised: BrokeProtocol, TimeoutError."""
        await asyncio.wait((self._pushing,), timeout=seconds)
        if self._pushing.done():
            await self._pushing
            raise HouseError("the pusher ended before it was told to")

    async def until_dead(self, daemon: Running, limit: float) -> bool:
        """Let the load go on until the daemon has ended, at most ``limit`` seconds; whether it has."""
        deadline = time.monotonic() + limit
        while daemon.alive and time.monotonic() < deadline:
            await self.spend(0.02)
        return not daemon.alive

    def must_live(self) -> Running:
        """The daemon, which nobody has ended; HouseError when it ended by itself."""
        if self.daemon is None or not self.daemon.alive:
            raise self._fault("ended by itself")
        return self.daemon

    async def stop(self) -> None:
        """SIGTERM, and wait for its orderly end; anything but status 0 is told."""
        status = await asyncio.to_thread(self.must_live().stop)
        if status:
            self.besides.append(f"mgated ended with status {status} after SIGTERM")

    # ---- the end ---------------------------------------------------------------------------------------------------

    async def hush(self) -> None:
        """Push nothing new, and wait until all that was pushed has an answer."""
        self.pusher.stop()
        await self._pushing

    async def ask(self, say: "Say") -> dict[str, tuple[Says, ...]]:
        """What mgate says of each message, when nothing is under way any more or the time is over."""
        return await drain(self.instance.push_socket, self.pusher.refs, self.course.drain, say)

    def tell(self, told: Told) -> None:
        """A line for the ledger of what was told, of a message that came by another way than a push."""
        self._book.add(told)

    def evidence(self, says: Mapping[str, tuple[Says, ...]]) -> Evidence:
        """All that this run has left; the daemon has ended."""
        self._book.close()
        if self.smsc.stop():
            self.besides.append("the operator did not end well")
        log = self.folder / "mgated.log"
        self.besides += [f"a number or a text in plain in {path}" for path in leaks(self.instance.path, log)]
        told = list(told_ledger.read(self.folder / "told.ledger"))
        refused = Counter(row.error for row in told if row.error)
        self.besides += [f"{count} good messages were refused with {error}" for error, count in refused.items()]
        rows = list(smsc_ledger.read(self.smsc.ledger))
        return Evidence(told, rows, says, read_words(log), self.restarts, self.deeds, self.besides)

    async def clear(self) -> None:
        """End every process and task that is left."""
        if self.daemon is not None and self.daemon.alive:
            self.daemon.kill()
        if hasattr(self, "_pushing") and not self._pushing.done():
            self._pushing.cancel()
            await asyncio.wait((self._pushing,))
        self._book.close()
        if self.smsc.alive:
            self.smsc.kill()

    def _fault(self, sentence: str) -> HouseError:
        return self.daemon.fault(sentence) if self.daemon is not None else HouseError(f"mgated {sentence}")


class Say:
    """Where the course tells how far it is."""

    def __call__(self, line: str) -> None:
        """Now this; ``round N ...`` moves the bar."""

    def part(self, before: int) -> "Say":
        """The same, for a chapter that begins after so many rounds."""
        return self


class Discipline:
    """One way to break things. Subclasses say what a round does; the rest is for those that need more."""

    name = ""
    needs: tuple[str, ...] = ()
    """The programs that it cannot do without, as Debian calls their packages."""

    def course(self, course: Course) -> Course:
        """The course as this discipline needs it."""
        return course

    async def prepare(self, stage: Stage) -> None:
        """Before the instance is made."""

    async def furnish(self, stage: Stage) -> None:
        """The instance is made and does not run yet."""

    async def begin(self, stage: Stage) -> None:
        """Start the daemon for the first time."""
        await stage.start()

    async def round(self, stage: Stage, number: int) -> None:
        """Do it once, from 1."""
        raise NotImplementedError

    async def finish(self, stage: Stage) -> None:
        """Undo what was done, so that everybody can come to an end; the daemon must run after this."""

    async def ask(self, stage: Stage, say: Say) -> dict[str, tuple[Says, ...]]:
        """What mgate says of messages that were not pushed, by what they are told under; the daemon still runs."""
        return {}

    async def afterwards(self, stage: Stage, say: Say) -> None:
        """The daemon has ended, and every question was asked."""

    async def tidy(self, stage: Stage) -> None:
        """Whatever happened: leave nothing behind."""

    def judge(self, evidence: Evidence, counts: Mapping[str, int]) -> list[str]:
        """What this discipline promises besides what all do; each sentence is a finding."""
        return []


async def play(course: Course, discipline: Discipline, folder: Path, say: Say) -> Evidence:
    """Run the whole course in ``folder``.

    Raises:
        HouseError: a process did not start, or ended by itself.
        BrokeProtocol: mgate answered a push as its documentation does not allow.
        TimeoutError: nobody answered for too long.
    """
    stage = Stage(course, folder)
    try:
        await discipline.prepare(stage)
        stage.build()
        await discipline.furnish(stage)
        stage.load()
        await discipline.begin(stage)
        for number in range(1, course.rounds + 1):
            await discipline.round(stage, number)
            say(f"round {number} of {course.rounds}, {stage.pusher.answered} messages answered")
        await discipline.finish(stage)
        await stage.hush()
        says = await stage.ask(say) | await discipline.ask(stage, say)
        await stage.stop()
        await discipline.afterwards(stage, say)
        return stage.evidence(says)
    finally:
        await discipline.tidy(stage)
        await stage.clear()


async def drain(push_socket: Path, refs: Sequence[str], limit: float, say: Say) -> dict[str, tuple[Says, ...]]:
    """Ask until nothing is under way and nothing has changed for a while; what mgate says about each ref at the end."""
    asker = Asker(push_socket)
    began = changed = time.monotonic()
    says: dict[str, tuple[Says, ...]] = {}
    try:
        while True:
            before = _states(says)
            # What has ended is asked about once more, at the very end.
            open_ones = [ref for ref in refs if not says.get(ref) or any(one.state not in ENDED for one in says[ref])]
            says |= await asyncio.to_thread(_ask, asker, open_ones)
            now, states = time.monotonic(), _states(says)
            if states != before:
                changed = now
                say(f"draining: {', '.join(f'{count} {state}' for state, count in sorted(states.items()))}")
            if now - began > limit or (now - changed > SETTLED and not any(states[state] for state in UNDER_WAY)):
                return await asyncio.to_thread(_ask, asker, refs)
            await asyncio.sleep(1.0)
    finally:
        asker.close()


def _ask(asker: Asker, refs: Sequence[str]) -> dict[str, tuple[Says, ...]]:
    """In a thread: what stands between the daemon and its operator may live in our loop."""
    return {ref: asker.ask(ref) for ref in refs}


def _states(says: Mapping[str, tuple[Says, ...]]) -> Counter[str]:
    return Counter(one.state for known in says.values() for one in known)
