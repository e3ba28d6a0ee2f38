"""The databases that messages are taken from, while the daemon runs: a poller each, and what a person may do with them.

The house starts and serves without them: each poller is a task of its own, and a database that is away is a line in the
log and an alarm. Other rules are taken up where they stand; another place, table or identity means another connection,
made when what was claimed over the old one is finished.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from mgate.config import Config, CoreSource
from mgate.control.source_views import (
    CalledView,
    CheckView,
    LagView,
    ProblemView,
    RewoundView,
    SourcesView,
    SourceView,
    UnreadRowView,
    UnreadView,
)
from mgate.control.sources import Answer, Failed
from mgate.daemon.fresh import Looks
from mgate.daemon.leaving import Leaving
from mgate.daemon.logs import bug
from mgate.intake.calls import CallRefused, CallRules, Calls
from mgate.intake.client import PushClient
from mgate.intake.normal import FORM_BY_WORD, Normaliser
from mgate.intake.polling import Pace, Poller
from mgate.intake.rows import RowRules
from mgate.intake.taking import Memory, Taking
from mgate.intake.unread import UnreadRows
from mgate.model.message import CLASS_BY_WORD
from mgate.model.ports import Acceptor
from mgate.model.source import Problem, Source, SourceError
from mgate.net.bridge import Bridge
from mgate.telemetry import Alarm, Event, Log, Telemetry

STOP_LIMIT: Final = 3.0
"""Seconds that a source has, at its end, to finish what is claimed."""

AGAIN: Final = 10.0
"""Seconds after which a poller that ended by a mistake of ours is started again."""

_SOFT: Final = frozenset({
    "batch", "poll", "classes", "default_class", "senders", "default_sender", "default_country", "numbers", "rate",
})  # fmt: skip
"""What a source takes up without another connection."""

_PARAMETER: Final = re.compile(r"%\(([A-Za-z_][A-Za-z0-9_]*)\)s")
_WHO: Final = {"unreachable": "network", "refused": "security", "busy": "dba", "mismatch": "dba"}
_STEP: Final = {"unreachable": "network", "refused": "login", "busy": "read", "mismatch": "mapping"}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Around:
    """What every source works with.

    Attributes:
        open: makes a source; it connects when it is first asked.
        memory: what the spool and the history know.
        why_not: why no new message may come in now.
        wall: seconds since 1970.
    """

    open: Callable[[CoreSource], Source]
    acceptor: Acceptor
    memory: Memory
    bridge: Bridge
    why_not: Callable[[], str]
    wall: Callable[[], float]
    reactor: IReactorTime
    telemetry: Telemetry
    log: Log


class SourceEars:
    """Turns what pollers tell into log lines and one alarm: see ``intake.polling.Ears``."""

    def __init__(self, telemetry: Telemetry, log: Log) -> None:
        self._telemetry = telemetry
        self._log = log
        self._down: set[str] = set()

    def failed(self, source: str, error: SourceError) -> None:
        """See ``intake.polling.Ears``."""
        self._log(Event.SOURCE_FAILED, client=source, reason=error.reason, error=str(error), detail=error.todo)
        self._down.add(source)
        self._alarm()

    def well(self, source: str, seconds: float) -> None:
        """See ``intake.polling.Ears``."""
        self._log(Event.SOURCE_WELL, client=source, seconds=round(seconds, 1))
        self.gone(source)

    def held(self, source: str, why: str) -> None:
        """See ``intake.polling.Ears``."""
        self._log(Event.SOURCE_HELD, client=source, detail=why)

    def goes_on(self, source: str, seconds: float) -> None:
        """See ``intake.polling.Ears``."""
        self._log(Event.SOURCE_GOES_ON, client=source, seconds=round(seconds, 1))

    def stuck(self, source: str, key: str, error: SourceError) -> None:
        """See ``intake.polling.Ears``."""
        self._log(Event.SOURCE_ROW_STUCK, client=source, detail=f"row {key}: {_whole(error)}")

    def bug(self, source: str, error: Exception) -> None:
        """See ``intake.polling.Ears``."""
        bug(self._log, error, f"while rows of the source {source} were taken")

    def gone(self, source: str) -> None:
        """It is well, or there is no such source any more."""
        self._down.discard(source)
        self._alarm()

    def _alarm(self) -> None:
        if self._telemetry.sound(Alarm.SOURCE_DOWN, raised=bool(self._down)):
            event = Event.ALARM_RAISED if self._down else Event.ALARM_CLEARED
            self._log(event, alarm=Alarm.SOURCE_DOWN.value, detail=", ".join(sorted(self._down)))


class One:
    """One running source.

    Attributes:
        done: fires when its poller has ended.
    """

    def __init__(self, config: CoreSource, around: Around, ears: SourceEars) -> None:
        self.config = config
        self.unread = UnreadRows()
        self.line = around.open(config)
        self.numbers = around.telemetry.source_of(config.name)
        taking = Taking(
            rules_of(config), around.acceptor, around.memory, around.wall, self.unread, around.telemetry.push.accepted
        )
        self.poller = Poller(
            config.name, self.line, taking, _pace(config), around.why_not, random.random, self.numbers, ears
        )
        self.calls = Calls(self.line, _calls(config), around.reactor.seconds)
        self.done: Deferred[None] = succeed(None)
        self._around = around
        self._own = around.bridge.branch()
        self._ears = ears
        self._ending = False

    def start(self) -> None:
        """Poll from now on."""
        self.done = self._own.run(self.poller.run()).addErrback(self._died)

    def stop(self) -> Deferred[None]:
        """Finish what is claimed, or leave it to its lease, and let go of the database. Fires when nothing of it runs
        any more."""
        self._ending = True
        self.poller.finish()
        self.done.addTimeout(STOP_LIMIT, self._around.reactor)
        # Who was cancelled in time is told at once, and may be letting go still.
        gone = self.done.addErrback(_gave_up).addCallback(lambda _: self._own.stop())
        return gone.addCallback(lambda _: self._close())

    def apply(self, config: CoreSource) -> None:
        """Go on by these rules."""
        self.config = config
        self.poller.apply(rules_of(config), _pace(config))

    def _close(self) -> Deferred[None]:
        self._ears.gone(self.config.name)
        return self._around.bridge.run(self.line.close()).addErrback(lambda failure: failure.trap(Exception) and None)

    def _died(self, failure: Failure) -> None:
        if self._ending or failure.check(CancelledError, TookTooLong):
            return
        bug(self._around.log, failure.value, f"in the poller of the source {self.config.name}")
        self._around.reactor.callLater(AGAIN, lambda: None if self._ending else self.start())


class Sources:
    """Every configured source: see ``control.sources.SourceBoard``."""

    def __init__(self, config: Config, around: Around) -> None:
        self._around = around
        self._config = config
        self._ears = SourceEars(around.telemetry, around.log)
        self._all = {source.name: One(source, around, self._ears) for source in config.sources}
        self._leaving = Leaving()
        self._looks = Looks()
        self._started = False

    # ---- the day ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Poll them all."""
        self._started = True
        for one in self._all.values():
            one.start()

    def stop(self) -> Deferred[None]:
        """Finish them all. Fires within some seconds, whatever the databases do."""
        self._started = False
        self._looks.stop()
        for name, one in self._all.items():
            self._leaving.go(name, one.stop())
        return self._leaving.all()

    def apply(self, config: Config) -> None:
        """Take up other sources and other settings of them."""
        wanted = {source.name: source for source in config.sources}
        self._config = config
        for name in self._all.keys() - wanted.keys():
            self._leaving.go(name, self._all.pop(name).stop())
        for name, source in wanted.items():
            before = self._all.get(name)
            if before is None:
                self._begin(source)
            elif _hard(before.config) != _hard(source):
                self._leaving.go(name, before.stop())
                self._begin(source, paused=before.poller.paused)
            else:
                if before.config != source:
                    before.apply(source)
                # Whoever says reload may have mended what the database disliked, such as the files of its identity.
                before.poller.try_again()

    def _begin(self, source: CoreSource, *, paused: bool = False) -> None:
        one = self._all[source.name] = One(source, self._around, self._ears)
        one.poller.paused = paused

        def start() -> None:
            if self._started and self._all.get(source.name) is one:
                one.start()

        self._leaving.after(source.name, start)

    # ---- the board -------------------------------------------------------------------------------------------------

    def names(self) -> Sequence[str]:
        """See ``control.sources.SourceBoard``."""
        return tuple(self._all)

    def views(self, name: str = "") -> tuple[SourceView, ...]:
        """See ``control.sources.SourceBoard``."""
        return tuple(_view(one) for one in self._all.values() if name in {"", one.config.name})

    def look(self, answer: Answer[SourcesView]) -> None:
        """See ``control.sources.SourceBoard``. One that does not answer in time is shown as it was."""

        async def look() -> SourcesView:
            ones = [one for one in self._all.values() if one.poller.fault is None]
            await self._looks.look((one.line, one.poller) for one in ones)
            return SourcesView(self.views())

        self._tell(look(), answer)

    def pause(self, name: str) -> None:
        """See ``control.sources.SourceBoard``."""
        self._all[name].poller.pause()
        self._around.log(Event.SOURCE_PAUSED, client=name)

    def resume(self, name: str) -> None:
        """See ``control.sources.SourceBoard``."""
        self._all[name].poller.resume()
        self._around.log(Event.SOURCE_RESUMED, client=name)

    def unread(self, name: str) -> UnreadView:
        """See ``control.sources.SourceBoard``."""
        unread = self._all[name].unread
        rows = tuple(UnreadRowView(row.key, row.version, row.reason, row.shape, row.at) for row in unread.rows)
        return UnreadView(name, dict(unread.counts), rows)

    def check(self, name: str, answer: Answer[CheckView]) -> None:
        """See ``control.sources.SourceBoard``."""
        one = self._all[name]

        async def look() -> CheckView:
            try:
                found = list(await one.line.survey())
            except SourceError as error:
                found = [_problem(error)]
            if not any(problem.fatal for problem in found):
                one.poller.try_again()
            return CheckView(name, tuple(_shown(each) for each in (*found, *_own_problems(one))))

        self._tell(look(), answer)

    def measure(self, name: str, answer: Answer[LagView]) -> None:
        """See ``control.sources.SourceBoard``."""
        one = self._all[name]

        async def look() -> LagView:
            lag = await one.line.lag()
            return LagView(name, lag.waiting, round(lag.oldest, 3), round(lag.clock_difference, 3))

        self._tell(look(), answer)

    def rewind(self, name: str, since: float, dry_run: bool, answer: Answer[RewoundView]) -> None:
        """See ``control.sources.SourceBoard``."""
        one = self._all[name]

        async def turn_back() -> RewoundView:
            again, final = await one.line.rewind(since, dry_run)
            if not dry_run:
                one.poller.wake()
            return RewoundView(name, since, dry_run, again, final, self._warning(since))

        self._tell(turn_back(), answer)

    def call(self, name: str, call: str, arguments: Mapping[str, object], answer: Answer[CalledView]) -> None:
        """See ``control.sources.SourceBoard``."""
        one = self._all[name]

        async def ask() -> CalledView:
            return CalledView(name, call, tuple(map(dict, await one.calls.call(call, arguments))))

        self._tell(ask(), answer)

    def _tell(self, work: Coroutine[object, object, _T], answer: Answer[_T]) -> None:
        self._around.bridge.run(work).addCallbacks(answer, lambda failure: answer(self._failure(failure)))

    def _failure(self, failure: Failure) -> Failed:
        error = failure.value
        if isinstance(error, SourceError):
            return Failed(503, error.reason, _whole(error))
        if isinstance(error, CallRefused):
            return Failed(503 if error.reason in {"open", "busy"} else 422, error.reason, str(error))
        if failure.check(CancelledError):
            return Failed(503, "stopping", "mgated is stopping")
        bug(self._around.log, error, "while a source was asked")
        return Failed(500, "bug", "this is a mistake of mgate; its log has more")

    def _warning(self, since: float) -> str:
        """References that are forgotten cannot tell a repeat."""
        days = self._config.spool.reference_days
        if since >= self._around.wall() - days * 86_400.0:
            return ""
        return (
            f"a message is remembered for {days} days after its end ([spool] reference_days): a row that ended before,"
            " and whose final state is not in the results, would be sent again"
        )


def rules_of(source: CoreSource) -> RowRules:
    """By what its rows are read."""
    country = source.default_country or None
    client = PushClient(
        source.name,
        frozenset(CLASS_BY_WORD[word] for word in source.classes),
        None if "*" in source.senders else frozenset(source.senders),
        source.default_sender or None,
        country,
        float(source.rate) or None,
    )
    numbers = Normaliser(country, frozenset(FORM_BY_WORD[word] for word in source.numbers))
    traffic = CLASS_BY_WORD[source.default_class] if source.default_class else None
    return RowRules(client, traffic, numbers, versioned="version" in source.mapped)


def _pace(source: CoreSource) -> Pace:
    return Pace(source.batch, source.poll)


def _calls(source: CoreSource) -> dict[str, CallRules]:
    return {
        call.name: CallRules(frozenset(_PARAMETER.findall(call.sql)), call.limit, call.at_once) for call in source.calls
    }


def _hard(source: CoreSource) -> dict[str, object]:
    """What needs another connection."""
    return {key: value for key, value in msgspec.structs.asdict(source).items() if key not in _SOFT}


def _view(one: One) -> SourceView:
    config, poller, numbers = one.config, one.poller, one.numbers
    trouble = poller.fault or poller.full
    return SourceView(
        name=config.name,
        dialect=config.dialect,
        mode=config.mode,
        place=f"{', '.join(config.hosts)}/{config.database}",
        state=poller.state,
        reason=trouble.why if trouble else "",
        detail=trouble.sentence if trouble else "",
        todo=trouble.todo if trouble else "",
        next_try=round(poller.next_try, 1),
        waiting=poller.lag.waiting if poller.lag else -1,
        oldest=round(poller.lag.oldest, 3) if poller.lag else -1.0,
        claimed=int(numbers.claimed.n),
        taken=int(numbers.taken.n),
        duplicates=int(numbers.duplicates.n),
        returned=int(numbers.returned.n),
        refused={reason: int(number.n) for reason, number in numbers.refused.items() if number.n},
        unread=one.unread.counts.total(),
        calls=one.calls.names,
    )


def _problem(error: SourceError) -> Problem:
    step, who = _STEP.get(error.reason, "read"), _WHO.get(error.reason, "mgate")
    return Problem(step=step, who=who, problem=str(error), todo=error.todo)


def _whole(error: SourceError) -> str:
    """What happened and what to do, as one sentence."""
    return f"{str(error).rstrip('.')}; {error.todo}" if error.todo else str(error)


def _own_problems(one: One) -> list[Problem]:
    """What keeps a source from being polled, and is ours to mend."""
    name, found = one.config.name, list[Problem]()
    if one.poller.paused:
        found.append(_ours("it is paused", f"mgatectl source resume {name}"))
    if one.poller.full is not None:
        found.append(_ours(f"nothing is claimed: {one.poller.full.sentence}", "mgatectl status tells more"))
    if one.unread.counts:
        count = one.unread.counts.total()
        found.append(_ours(f"{count} numbers could not be read", f"mgatectl source unread {name}"))
    return found


def _ours(problem: str, todo: str) -> Problem:
    return Problem(step="read", who="mgate", problem=problem, todo=todo, fatal=False)


def _shown(problem: Problem) -> ProblemView:
    return ProblemView(problem.step, problem.who, problem.problem, problem.todo, problem.fatal)


def _gave_up(failure: Failure) -> None:
    failure.trap(CancelledError, TookTooLong)
