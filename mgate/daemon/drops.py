"""The folders of files, while the daemon runs: a look each second, one file of a folder at a time.

Each folder has two loops: one takes files, the other follows what becomes of their messages, so that a large file holds
up no other's results. A folder that cannot be used is a line in the log and an alarm, never a reason not to start; it
is looked at again each second.
"""

from __future__ import annotations

import grp
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Final

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred, succeed

from mgate.config import Config
from mgate.config.drops import Drop
from mgate.control.drop_views import DropFileView, DropView
from mgate.daemon.drop_check import Check
from mgate.daemon.drop_journal import DropJournal
from mgate.daemon.logs import bug
from mgate.feeds.api import Feeds
from mgate.feeds.stream import Journal
from mgate.intake.client import PushClient
from mgate.intake.drops.access import writers
from mgate.intake.drops.blocks import Limits
from mgate.intake.drops.book import Book, Counts, TakenFile, Turned
from mgate.intake.drops.course import Around, Course, Stopped, Takes
from mgate.intake.drops.finals import Finals, moment
from mgate.intake.drops.folder import Folder, FolderError
from mgate.intake.drops.hands import Hands
from mgate.intake.drops.names import MANIFEST, Packing
from mgate.intake.drops.rules import RowRules
from mgate.intake.normal import FORM_BY_WORD, Normaliser
from mgate.model.message import CLASS_BY_WORD, TrafficClass
from mgate.model.ports import Acceptor, Desk
from mgate.net.exchange import Sink, Stream
from mgate.telemetry import Alarm, Event, Log, Telemetry

LOOK: Final = 1.0
"""Seconds between two looks at a folder."""

_SWEEP: Final = 60.0
_SHOWN: Final = 50

_Over = Deferred[list[tuple[bool, None]]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every folder works with; ``wall``: seconds since 1970."""

    acceptor: Acceptor
    desk: Desk
    feeds: Feeds
    journal: Journal
    wall: Callable[[], float]
    reactor: AsyncioSelectorReactor
    telemetry: Telemetry
    log: Log


def takes_of(drop: Drop) -> Takes:
    """The settings of a folder as its files are read by."""
    client = PushClient(
        drop.name,
        frozenset(CLASS_BY_WORD[word] for word in drop.classes),
        None if "*" in drop.senders else frozenset(drop.senders),
        drop.default_sender or None,
        drop.default_country or None,
    )
    numbers = Normaliser(drop.default_country or None, frozenset(FORM_BY_WORD[word] for word in drop.numbers))
    return Takes(
        RowRules(client, CLASS_BY_WORD.get(drop.default_class), numbers),
        Limits(drop.most_rows, drop.most_bytes, drop.most_ratio),
        drop.format,
        drop.encoding,
        drop.delimiter,
        drop.columns,
        drop.time_zone,
        drop.on_error == "file",
        drop.rate,
    )


class One:
    """One folder."""

    def __init__(self, drop: Drop, around: Surroundings, hands: Hands, alarm: Callable[[str, str], None]) -> None:
        self.drop = drop
        self.paused = False
        self._around = around
        self._hands = hands
        self._alarm = alarm
        self._stopping = False
        self._opened = False
        self._course: Course | None = None
        self._taking = False
        self._waiting: list[str] = []
        self._strays = 0
        self._files: dict[str, tuple[TakenFile, Counts | None]] = {}
        self._swept = 0.0
        self._failure = ""
        self._numbers = around.telemetry.drop_of(drop.name)
        self.folder = Folder(drop.folder)
        self.book = Book(drop.folder / "work" / "book.db")
        journal = DropJournal(drop.name, around.feeds, around.journal, around.desk, around.reactor)
        self._finals = Finals(
            self.folder, self.book, hands, journal, around.wall, self._gate_finals, lambda: self._taking, self._written
        )
        self.over: _Over = succeed([])

    def start(self) -> None:
        """Begin to look."""
        self.over = DeferredList([ensureDeferred(self._loop(self._take)), ensureDeferred(self._loop(self._follow))])

    def stop(self) -> None:
        """Take no more; what is under way stops within a run of rows."""
        self._stopping = True

    def let_go(self) -> None:
        """Leave the folder, once both loops are over."""
        self.book.close()
        self.folder.close()

    def apply(self, drop: Drop) -> None:
        """Go on by these settings, from the next file on."""
        self.drop = drop

    # ---- the loops -------------------------------------------------------------------------------------------------

    async def _loop(self, step: Callable[[], Coroutine[Deferred[object], object, None]]) -> None:
        while not self._stopping:
            try:
                await step()
                self._well()
            except Stopped:
                pass
            except (OSError, sqlite3.Error, FolderError) as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001  # a mistake of ours in one folder must not end the others
                bug(self._around.log, error, "in a drop folder")
                self._failed(error)
            if not self._stopping:
                await self._hands.sleep(LOOK)

    async def _take(self) -> None:
        if not self._opened:
            await self._hands.away(self._open)
        await self._look()
        while not (self.paused or self._stopping) and await self._finals.begin():
            left = await self._hands.away(self.folder.claimed)
            if left:
                await self._run(left[0], fresh=False)
            elif self._waiting:
                name = self._waiting[0]
                await self._hands.away(self.folder.claim, name)
                self._around.log(Event.DROP_CLAIMED, client=self.drop.name, path=name)
                await self._run(name, fresh=True)
            else:
                break
            await self._look()

    def _open(self) -> None:
        self.folder.group = _gid(self.drop.group)
        self.folder.open()
        self._opened = True

    async def _look(self) -> None:
        self._waiting, self._strays = await self._hands.away(self.folder.waiting)
        self._numbers.waiting.n = len(self._waiting)
        if self._around.wall() - self._swept >= _SWEEP:
            self._swept = self._around.wall()
            await self._hands.away(self._sweep)
        files = await self._hands.away(self.book.files)
        self._numbers.open.n = sum(each.phase != "final" for each in files)

    async def _run(self, name: str, *, fresh: bool) -> None:
        around = Around(
            self.folder,
            self.book,
            self._hands,
            takes_of(self.drop),
            self._around.acceptor,
            self._around.wall,
            self._gate,
            self._count,
            os.urandom(16),
        )
        self._course, self._taking = Course(around, name), True
        try:
            ended = await self._course.run(fresh=fresh)
        finally:
            # Where it was broken off, rows may still have no answer in the book.
            self._course, self._taking = None, bool(await self._hands.away(self.folder.claimed))
        if not ended.reason:
            self._numbers.files["taken"].n += 1
            self._around.log(Event.DROP_TAKEN, client=self.drop.name, path=name, count=ended.rows)
        else:
            self._numbers.files["broken" if ended.rows else "refused"].n += 1
            self._around.log(
                Event.DROP_REFUSED, client=self.drop.name, path=name, reason=ended.reason, count=ended.rows
            )

    async def _follow(self) -> None:
        if self._opened and await self._finals.begin():
            await self._finals.step(await self._hands.away(self.book.files))

    # ---- what the loops tell ---------------------------------------------------------------------------------------

    def _gate(self) -> None:
        if self._stopping or self.paused:
            raise Stopped

    def _gate_finals(self) -> None:
        if self._stopping:
            raise Stopped

    def _count(self, accepted: Counter[TrafficClass], known: int, refused: int) -> None:
        rows = self._numbers.rows
        rows["accepted"].n += accepted.total()
        for traffic, count in accepted.items():
            # Whichever way they came in, they are what the service has accepted.
            self._around.telemetry.push.accepted[traffic].n += count
        rows["known"].n += known
        rows["refused"].n += refused

    def _written(self, file: TakenFile) -> None:
        self._around.log(Event.DROP_FINAL, client=self.drop.name, path=file.name)

    def _failed(self, error: Exception) -> None:
        said = str(error) or type(error).__name__
        if said != self._failure:
            self._failure = said
            self._around.log(Event.DROP_FAILED, client=self.drop.name, error=type(error).__name__, detail=said)
        self._alarm(self.drop.name, said)
        self._opened = False

    def _well(self) -> None:
        if self._failure and self._opened:
            self._failure = ""
            self._around.log(Event.DROP_WELL, client=self.drop.name)
            self._alarm(self.drop.name, "")

    def _sweep(self) -> None:
        """Remove what has been kept for long enough. On the thread."""
        now = self._around.wall()
        data = tuple(f".{form}{packing.value}" for form in ("csv", "ndjson") for packing in Packing)
        for place in ("done", "refused"):
            for file, since in self.folder.files(place):
                result = file.endswith(MANIFEST) or ".result." in file or ".final." in file
                kept = self.drop.keep if result else self.drop.keep_data
                if (result or file.endswith(data)) and now - since > kept:
                    self.folder.remove(place, file)
        for each in self.book.files():
            if each.phase == "final" and now - each.touched > self.drop.keep:
                self.book.forget(each.number)
        self.book.forget_turned(now - self.drop.keep)

    # ---- for the administrator -------------------------------------------------------------------------------------

    def turn(self, paused: bool) -> None:
        """Pause or resume: while it is paused nothing is claimed or handed in; results go on being written."""
        self.paused = paused
        self._numbers.paused.n = int(paused)

    async def view(self) -> DropView:
        """How it stands."""
        files = await self._hands.away(self.book.files) if self._opened else []
        shown = [await self._file_view(each) for each in files[-_SHOWN:]]
        shown += map(_turned_view, await self._hands.away(self.book.turned) if self._opened else [])
        shown = sorted(shown, key=lambda each: each.claimed)[-_SHOWN:]
        course = self._course
        state = "failed" if self._failure else "paused" if self.paused else "taking" if course else "idle"
        step = "" if course is None else course.step
        done = 0.0 if course is None else round(course.done, 3)
        return DropView(
            self.drop.name, str(self.drop.folder), state, len(self._waiting), self._strays, step, done,
            self._failure, tuple(shown), writers(self.drop.folder),
        )  # fmt: skip

    async def _file_view(self, file: TakenFile) -> DropFileView:
        counts = await self._hands.away(self.book.counts, file.number)
        return DropFileView(file.name, file.phase, moment(int(file.claimed * 1000)), *counts)


def _turned_view(file: Turned) -> DropFileView:
    return DropFileView(file.name, "refused", moment(int(file.at * 1000)), refused=file.rows, reason=file.reason)


class Drops:
    """Every configured folder: see ``control.drops.DropBoard``."""

    def __init__(self, config: Config, around: Surroundings) -> None:
        self._around = around
        self.hands = Hands(around.reactor, around.reactor)
        self._failing: set[str] = set()
        self._ending: dict[str, _Over] = {}
        self.all = {drop.name: One(drop, around, self.hands, self._alarm) for drop in config.drops}

    def start(self) -> None:
        """Start every folder's loops."""
        self.hands.start()
        for one in self.all.values():
            one.start()

    def close(self) -> None:
        """Take no more rows; what has no answer is gone on with at the next start."""
        for one in self.all.values():
            one.stop()

    def stop(self) -> None:
        """End the thread; call it last."""
        self.hands.stop()
        for one in self.all.values():
            one.let_go()

    def apply(self, drops: Sequence[Drop]) -> None:
        """Take up other settings, begin with what came, and end what went; what is under way is broken off there."""
        for name in self.all.keys() - {drop.name for drop in drops}:
            self._end(self.all.pop(name))
        for drop in drops:
            if drop.name in self.all:
                self.all[drop.name].apply(drop)
                continue
            one = self.all[drop.name] = One(drop, self._around, self.hands, self._alarm)
            # Two may not work in one folder: the one that went may not have ended yet.
            self._ending.pop(drop.name, succeed([])).addCallback(_begin, one)

    def _end(self, one: One) -> None:
        one.stop()
        one.over.addCallback(_leave, one)
        self._ending[one.drop.name] = one.over
        self._alarm(one.drop.name, "")

    def names(self) -> Sequence[str]:
        """See ``control.drops.DropBoard``."""
        return list(self.all)

    def views(self, answer: Callable[[Sequence[DropView]], None]) -> None:
        """See ``control.drops.DropBoard``."""

        async def all_views() -> None:
            answer([await one.view() for one in self.all.values()])

        ensureDeferred(all_views()).addErrback(lambda failure: bug(self._around.log, failure.value, "in a view"))

    def turn(self, name: str, paused: bool) -> None:
        """See ``control.drops.DropBoard``."""
        self.all[name].turn(paused)

    def check(self, name: str, file: str, stream: Stream) -> Sink:
        """See ``control.drops.DropBoard``."""
        drop, around = self.all[name].drop, self._around

        def failed(error: Exception) -> None:
            bug(around.log, error, "in a check of a file")

        return Check(
            stream, file, takes_of(drop), drop.folder / "work", self.hands, around.wall, around.reactor.seconds, failed
        )

    def _alarm(self, name: str, failure: str) -> None:
        (self._failing.add if failure else self._failing.discard)(name)
        if self._around.telemetry.sound(Alarm.DROP_FAILED, raised=bool(self._failing)):
            event = Event.ALARM_RAISED if self._failing else Event.ALARM_CLEARED
            self._around.log(event, alarm=Alarm.DROP_FAILED.value)


def _begin(over: list[tuple[bool, None]], one: One) -> list[tuple[bool, None]]:
    one.start()
    return over


def _leave(over: list[tuple[bool, None]], one: One) -> list[tuple[bool, None]]:
    one.let_go()
    return over


def _gid(group: str) -> int:
    """The id of a group; -1 for the daemon's own."""
    try:
        return grp.getgrnam(group).gr_gid if group else -1
    except KeyError:
        raise FolderError(f"there is no group {group} on this machine") from None
