"""The office: who may be reckoned, by which clock, and one reckoning after the other.

One at a time, because each works as much as it dares beside sending; the others wait in line and are told so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from mgate.model.ports import Refusal
from mgate.policy.reckoning import Sums, day_span, yesterday
from mgate.reckoning.clerk import Clerk, Core, Day, Open, Progress
from mgate.reckoning.document import Document, Head, moment
from mgate.seal.signature import Signer

TELL_EVERY: Final = 0.5
"""Seconds between two words on how far it is."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who may be reckoned.

    Attributes:
        name: of the source, the push client or the drop.
        time_zone: what its day is, by its IANA name.
        kept: how long the shortest-lived of its messages stays readable, seconds: an older day cannot be reckoned.
        core: its database; None where there is none to be asked.
    """

    name: str
    time_zone: str
    kept: float
    core: Callable[[], Core] | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """[reckoning], as it is now: seconds after which a message is late, and how far it looks around, seconds."""

    late_after: float
    reach: float


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to know.

    Attributes:
        file: the name of the file that the core's rows come from; empty for the source's database.
        time_zone: another than the client's own; empty for that.
    """

    client: str
    day: str
    file: str = ""
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """A reckoning that can be begun."""

    client: Client
    day: date
    zone: ZoneInfo
    file: str


class Listener(Protocol):
    """Who hears of a reckoning. ``write`` waits while the other end does not read."""

    def progress(self, at: Progress) -> None:
        """How far it is."""

    async def write(self, lines: bytes) -> None:
        """Lines of the document."""


class Observer(Protocol):
    """Who keeps the numbers of reckonings."""

    def reckoned(self, client: str, day: str, sums: Sums) -> None:
        """One was finished."""


class Office:
    """All reckonings of one instance.

    Args:
        clients: those there are now; ``rules``: those that hold now.
        folder: where things are put aside. ``rest``: see ``Clerk``.
    """

    def __init__(
        self,
        instance: str,
        database: bytes,
        signer: Signer,
        clients: Callable[[], dict[str, Client]],
        rules: Callable[[], Rules],
        census: Open,
        folder: Path,
        now: Callable[[], float],
        observer: Observer,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._instance = instance
        self._database = database
        self.signer = signer
        self._clients = clients
        self._rules = rules
        self._census = census
        self._folder = folder
        self._now = now
        self._observer = observer
        self._rest = rest
        self._turn: asyncio.Lock | None = None

    def look_at(self, asked: Asked) -> Task | Refusal:
        """Whether it can be done."""
        clients = self._clients()
        client = clients.get(asked.client)
        if client is None:
            known = ", ".join(sorted(clients))
            return Refusal(404, "unknown_client", "client", f"there is no such source or client; known: {known}")
        if client.core is None and not asked.file:
            return Refusal(
                422, "no_source", "against", f"{client.name} has no database that could be asked: give the core's file"
            )
        zone = _zone(asked.time_zone or client.time_zone)
        if zone is None:
            return Refusal(422, "bad_value", "time_zone", 'there is no such time zone; one is "Asia/Tashkent"')
        day = _date(asked.day, self._now(), zone)
        if day is None:
            return Refusal(422, "bad_value", "day", 'a day is written 2026-07-01, or "yesterday" or "today"')
        begin, _ = day_span(day, zone)
        if begin / 1000 > self._now():
            return Refusal(422, "out_of_range", "day", f"{day} has not begun in {zone.key}")
        if begin / 1000 < self._now() - client.kept:
            days = int(client.kept // 86_400)
            return Refusal(
                422,
                "too_old",
                "day",
                f"messages of {client.name} stay readable for {days} days ([retention]); {day} is older",
            )
        return Task(client, day, zone, asked.file)

    async def reckon(self, task: Task, core: Core, listener: Listener) -> None:
        """Do it, and write the document.

        Raises:
            as ``Clerk.count``.
        """
        self._turn = self._turn or asyncio.Lock()
        if self._turn.locked():
            listener.progress(Progress("waiting", 0, 0))
        async with self._turn:
            clerk = Clerk(self._census, self._folder, self._now, self._rest)
            try:
                await self._write(task, core, clerk, listener)
            finally:
                await clerk.close()
                await core.close()

    async def _write(self, task: Task, core: Core, clerk: Clerk, listener: Listener) -> None:
        rules = self._rules()
        begin, end = day_span(task.day, task.zone)
        day = Day(task.client.name, begin, end, int(rules.late_after * 1000), int(rules.reach * 1000))
        sums = await clerk.count(day, core, _now_and_then(listener.progress))
        document = Document(self.signer)
        await listener.write(document.head(self._head(task, day, sums)))
        async for found in clerk.differences():
            await listener.write(document.differences(found))
        await listener.write(document.last())
        self._observer.reckoned(task.client.name, str(task.day), sums)

    def _head(self, task: Task, day: Day, sums: Sums) -> Head:
        return Head(
            instance=self._instance,
            database=self._database.hex(),
            client=task.client.name,
            core=task.file or "source",
            day=str(task.day),
            time_zone=task.zone.key,
            begin=moment(day.begin),
            end=moment(day.end),
            made_at=moment(int(self._now() * 1000)),
            late_after=day.late_after // 1000,
            balances=sums.balances,
            sums=sums,
        )


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return None


def _date(text: str, now: float, zone: ZoneInfo) -> date | None:
    if text in {"yesterday", "today"}:
        last = yesterday(now, zone)
        return last if text == "yesterday" else date.fromordinal(last.toordinal() + 1)
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _now_and_then(told: Callable[[Progress], None]) -> Callable[[Progress], None]:
    last = 0.0

    def tell(at: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= TELL_EVERY:
            last = now
            told(at)

    return tell
