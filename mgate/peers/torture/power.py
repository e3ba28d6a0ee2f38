"""Power cuts: a daemon is recorded under load, and started again on what a cut at any moment could have left.

strace writes down every call that changes a file, of the daemon as it is delivered; `trace` plays them on a model of a
disk that keeps only what was synced. For each round a moment of the recording is drawn, the files that a cut could have
left then are laid out, and the daemon is started on them, with no operator to speak to. What had been answered before
the moment must be known; what the operator had seen must be marked; what mgate had acknowledged to it must be there.
"""

import asyncio
import copy
import os
import shutil
import signal
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from mgate.peers import told as told_ledger
from mgate.peers.audit import Says, compare
from mgate.peers.house import Asker, HouseError, Instance, Running
from mgate.peers.smsc import ledger as smsc_ledger
from mgate.peers.told import Told
from mgate.peers.torture.stage import Course, Discipline, Say, Stage
from mgate.peers.torture.trace import CALLS, Disk, replay
from mgate.peers.torture.words import read_words

ROOTS: Final = ("spool", "keys")
RECORDED: Final = 12.0
"""Seconds that are recorded; all rounds are moments of it."""

_LONGEST_STRING: Final = 1 << 24
_STRACE: Final = (
    "strace",
    "-f",
    "-y",
    "-ttt",
    "-xx",
    "-s",
    str(_LONGEST_STRING),
    "--seccomp-bpf",
    "-e",
    f"trace={CALLS}",
)


class Image(NamedTuple):
    """What a cut could have left: when it was, and the files by path."""

    at: float
    files: Mapping[str, bytes]


class Ledgers(NamedTuple):
    """What the pusher and the operator wrote down."""

    told: Sequence[Told]
    rows: Sequence[smsc_ledger.Row]

    def before(self, moment: float) -> "Ledgers":
        """As they stood then: what was answered later was not answered yet."""
        told = [
            one if one.answered_at < moment else msgspec.structs.replace(one, state="unanswered", id="", error="")
            for one in self.told
            if one.pushed_at < moment
        ]
        return Ledgers(told, [row for row in self.rows if row.at < moment])


class Power(Discipline):
    """See the module."""

    name = "power"
    needs = ("strace",)

    def __init__(self) -> None:
        self._cuts = 0
        self._disk: Disk | None = None

    def course(self, course: Course) -> Course:
        """One recording; the rounds are its cuts."""
        return course._replace(rate=min(course.rate, 60.0))

    async def furnish(self, stage: Stage) -> None:
        """Remember what is there before anything runs."""
        self._disk = Disk(stage.instance.path / root for root in ROOTS)
        shutil.copytree(stage.instance.path, stage.folder / "bare", ignore=shutil.ignore_patterns("run"))

    async def begin(self, stage: Stage) -> None:
        """Record a life, from its first line to its orderly end; then go on without the recorder."""
        daemon = stage.launch(before=(*_STRACE, "-o", str(stage.folder / "trace")))
        stage.restarts.append(await asyncio.to_thread(stage.instance.wait_ready, daemon, 60.0))
        await stage.spend(RECORDED)
        await _stop_traced(stage, daemon)
        await stage.start()

    async def round(self, stage: Stage, number: int) -> None:
        """The moments are drawn when the recording is whole."""
        self._cuts = number

    async def afterwards(self, stage: Stage, say: Say) -> None:
        """Cut, start, ask; as often as there are rounds."""
        ledgers = Ledgers(
            list(told_ledger.read(stage.folder / "told.ledger")), list(smsc_ledger.read(stage.smsc.ledger))
        )
        images = _images(stage, self._disk, self._cuts)
        for number, image in enumerate(images, 1):
            for sentence in await asyncio.to_thread(_try, stage, image, ledgers.before(image.at)):
                stage.besides.append(f"cut {number}: {sentence}")
            stage.deeds["power cuts"] += 1
            say(f"round {number} of {self._cuts}: cut, started and asked")
        shutil.rmtree(stage.folder / "cut", ignore_errors=True)


async def _stop_traced(stage: Stage, daemon: Running) -> None:
    """SIGTERM to the daemon itself, the tracer's only child."""
    os.kill(_child(daemon.pid), signal.SIGTERM)
    if not await stage.until_dead(daemon, 30.0):
        raise daemon.fault("did not end under strace")


def _child(tracer: int) -> int:
    (child,) = Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split()
    return int(child)


def _images(stage: Stage, disk: Disk | None, cuts: int) -> Iterator[Image]:
    """An image for each of so many moments of the recording, drawn evenly over what was done to the disk."""
    if disk is None:
        raise AssertionError("furnish comes first")
    trace = stage.folder / "trace"
    with trace.open("rb") as lines:
        steps = sum(1 for _ in replay(lines, copy.deepcopy(disk)))
    if steps < cuts:
        raise HouseError(f"void: the recording has {steps} steps, fewer than {cuts} cuts")
    moments = Counter(stage.random.randrange(steps) for _ in range(cuts))
    with trace.open("rb") as lines:
        for step, at in enumerate(replay(lines, disk)):
            for _ in range(moments[step]):
                yield Image(at, disk.after_cut(stage.random))


def _try(stage: Stage, image: Image, ledgers: Ledgers) -> list[str]:
    """Start the daemon on an image and ask it about everything; what is wrong with its answers."""
    folder = stage.folder / "cut"
    instance = _lay_out(stage, image, folder)
    daemon = instance.start(launcher=stage.course.launcher)
    try:
        try:
            stage.restarts.append(instance.wait_ready(daemon))
        except HouseError as fault:
            return [str(fault)]
        asker = Asker(instance.push_socket)
        says = {one.ref: asker.ask(one.ref) for one in ledgers.told}
        asker.close()
    except (OSError, HouseError) as fault:
        return [f"it did not answer: {fault}"]
    finally:
        daemon.kill()
    return _wrong(says, ledgers) + [f"in the log: {line}" for line in read_words(folder / "mgated.log").bad]


def _lay_out(stage: Stage, image: Image, folder: Path) -> Instance:
    """An instance of its own that holds what the cut has left, and knows no operator."""
    shutil.rmtree(folder, ignore_errors=True)
    home = folder / "instance"
    shutil.copytree(stage.folder / "bare", home)
    (home / "run").mkdir(mode=0o751)
    for root in ROOTS:
        for path in (home / root).rglob("*"):
            if path.is_file():
                path.unlink()
    for name, content in image.files.items():
        place = home / Path(name).relative_to(stage.instance.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(0o600)
    config = home / "mgate.toml"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = nobody.getsockname()[1]
    config.write_text(config.read_text().replace(f"port = {stage.port}\n", f"port = {closed}\n"))
    return Instance.existing(folder)


def _wrong(says: Mapping[str, tuple[Says, ...]], ledgers: Ledgers) -> list[str]:
    findings = compare(ledgers.told, ledgers.rows, says, drained=False)
    sentences = [f"{one.kind.name} {one.ref}: {one.sentence}" for one in findings.violations]
    return sentences + list(_unmarked(says, ledgers))


def _unmarked(says: Mapping[str, tuple[Says, ...]], ledgers: Ledgers) -> Iterator[str]:
    """What the operator had seen and mgate knows no attempt of would leave once more, unmarked."""
    seen = Counter(row.text for row in ledgers.rows if isinstance(row, smsc_ledger.Submitted))
    for one in ledgers.told:
        known = says.get(one.ref, ())
        for part, text in enumerate(one.texts, 1):
            tries = sum(attempt.part == part for answer in known for attempt in answer.attempts)
            if known and seen[text] > tries:
                yield f"{one.ref}: part {part} was submitted {seen[text]} times, and {tries} attempts are known"
