"""Positive controls: builds that are broken on purpose, each run under the discipline that must catch it.

A run of torture that finds nothing says something only when its checkers find what is there. So each promise has a
build that breaks it, and a control that is not caught makes the whole run void.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from rich.table import Table

from mgate.peers.audit import Kind
from mgate.peers.house import HouseError
from mgate.peers.links import BrokeProtocol
from mgate.peers.torture import verdict
from mgate.peers.torture.broken import launcher
from mgate.peers.torture.database import Database
from mgate.peers.torture.disk import Full
from mgate.peers.torture.kill import Kill
from mgate.peers.torture.link import Link
from mgate.peers.torture.proxy import Fault
from mgate.peers.torture.stage import Course, Discipline, Say, play
from mgate.peers.torture.tools import missing
from mgate.peers.traffic import Mix


class Control(NamedTuple):
    """A broken build, and what must be said of it.

    Attributes:
        discipline: its name, or one of its own; rounds: that surely suffice.
        kinds: any of these violations; words: or any finding that holds this.
        rate, window: of the course.
    """

    discipline: str | Callable[[], Discipline]
    rounds: int
    kinds: frozenset[Kind] = frozenset()
    words: str = "\0"
    rate: float = 100.0
    window: int = 20
    mix: Mix = Mix(short=0.05)


class Caught(msgspec.Struct, frozen=True):
    """What came of a control. ``void``: it could not be run, or was not caught; ``said``: the finding, or why not."""

    name: str
    discipline: str
    caught: bool
    findings: int
    said: str


def _killed_at(*points: str) -> Callable[[], Discipline]:
    return lambda: Kill((0.02, 1.0), points)


NEVER_REPEATED: Final = Mix(classes={"marketing": 0.7, "service": 0.3})

CONTROLS: Final[Mapping[str, Control]] = {
    "acknowledged-before-commit": Control(
        _killed_at("accept.before_commit", "answer.after_write"), 6, frozenset((Kind.LOST,))
    ),
    "receipt-answered-before-commit": Control(
        _killed_at("receipt.before_commit", "receipt.after_answer"), 8, frozenset((Kind.RECEIPT_LOST,))
    ),
    "slot-freed-early": Control(
        _killed_at("submit.after_write", "response.before_read"),
        6,
        words="more open attempts than",
        rate=300.0,
        window=5,
    ),
    "repeated-from-the-wrong-state": Control(
        _killed_at("submit.after_write"), 6, frozenset((Kind.REPEATED,)), mix=NEVER_REPEATED
    ),
    "marketing-repeated": Control(_killed_at("submit.after_write"), 6, frozenset((Kind.REPEATED,)), mix=NEVER_REPEATED),
    "lost-link-returned": Control("link", 6, frozenset((Kind.REPEATED,))),
    "deaf-line-trusted": Control(lambda: Link(faults=(Fault.DEAF,), alone=1.0), 2, words="a dead line"),
    "stopped-without-drain": Control("stop", 4, words="a stop must"),
    "full-disk-ignored": Control(lambda: Full(left=0), 9, frozenset((Kind.LOST,)), rate=300.0),
    "errors-swallowed": Control("errors", 6, frozenset((Kind.LOST,))),
    "timers-on-the-wall": Control("clock", 2, words="no enquire_link came"),
    "marked-before-commit": Control(
        lambda: Database(("mgated killed at a random moment",)), 8, frozenset((Kind.LOST,))
    ),
    "synchronous-normal": Control("power", 20, words="LOST"),
}
SHORT: Final = ("acknowledged-before-commit", "repeated-from-the-wrong-state")


def run(
    name: str, seed: int, folder: Path, make: Mapping[str, Callable[[], Discipline]], say: Say
) -> Caught:  # fmt: skip
    """Run one control and see whether it is caught."""
    control = CONTROLS[name]
    discipline = make[control.discipline]() if isinstance(control.discipline, str) else control.discipline()
    lacking = missing(discipline.needs)
    if lacking:
        return Caught(name, discipline.name, False, 0, f"cannot be run here: {lacking}")
    course = Course(control.rounds, seed, control.rate, control.mix, window=control.window, drain=60.0)
    course = discipline.course(course)._replace(launcher=launcher(name))
    folder.mkdir(parents=True)
    try:
        evidence = asyncio.run(play(course, discipline, folder, say))
    except (HouseError, BrokeProtocol, TimeoutError, OSError) as fault:
        return Caught(name, discipline.name, False, 0, f"void, the run did not come to its end: {fault}")
    found = verdict.judge(course, discipline, evidence)
    verdict.keep(found, course, evidence, folder)
    right = [f"{one.kind.name} {one.ref}: {one.sentence}" for one in found.violations if one.kind in control.kinds]
    right += [sentence for sentence in found.besides if control.words in sentence]
    if right:
        return Caught(name, discipline.name, True, len(right), right[0])
    said = f"void: not caught, though {len(found.violations) + len(found.besides)} other findings"
    return Caught(name, discipline.name, False, 0, said)


def table(caught: Sequence[Caught]) -> Table:
    """The controls as a table."""
    shown = Table(title="controls: builds broken on purpose")
    for column in ("build", "discipline", "caught", "findings", "such as"):
        shown.add_column(column)
    for one in caught:
        shown.add_row(one.name, one.discipline, "yes" if one.caught else "NO: VOID", str(one.findings), one.said[:90])
    return shown
