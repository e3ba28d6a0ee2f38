"""A source in memory: the least that keeps the contract of ``mgate.model.source.Source``, for tests of who uses one.

It is an outbox with statuses and leases, and a result table. Time is the loop's. ``put`` is the bank's INSERT;
``fail`` makes the next verbs of a name raise; ``calls`` counts the verbs.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mgate.model.source import FINAL, Count, Lag, Problem, Result, Row, SourceError

LEASE = 60.0


@dataclass(slots=True)
class Held:
    """A row as the outbox holds it: ``status`` is ``new``, ``claimed``, ``taken`` or ``refused``."""

    row: Row
    status: str = "new"
    lease: float = 0.0
    cancel_told: bool = False


class MemorySource:
    """See ``model.source.Source``."""

    def __init__(self, announces: bool = False) -> None:
        self.outbox: dict[tuple[str, str], Held] = {}
        self.results: dict[tuple[str, str], Result] = {}
        self.calls: Counter[str] = Counter()
        self.acks: list[Sequence[Result]] = []
        self.problems: list[Problem] = []
        self.answers: dict[str, Sequence[Mapping[str, object]]] = {}
        self.closed = False
        self._announces = announces
        self._news = asyncio.Event()
        self._failing: dict[str, list[Exception]] = {}

    # ---- the bank's side -------------------------------------------------------------------------------------------

    def put(self, *rows: Row) -> None:
        """INSERT, or UPDATE of a row that is there: its status stays."""
        for row in rows:
            held = self.outbox.setdefault((row.key, row.version), Held(row))
            held.row = row
        self._news.set()

    def fail(self, verb: str, error: Exception, times: int = 1) -> None:
        """Let the next calls of the verb raise."""
        self._failing.setdefault(verb, []).extend([error] * times)

    def statuses(self) -> dict[str, str]:
        """Each row's status, by key."""
        return {key: held.status for (key, _), held in self.outbox.items()}

    # ---- the source ------------------------------------------------------------------------------------------------

    async def claim(self, most: int) -> Sequence[Row]:
        """See ``model.source.Source``."""
        self._begin("claim")
        now = asyncio.get_running_loop().time()
        found: list[Row] = []
        busy = {held.row.customer for held in self.outbox.values() if held.status == "claimed" and held.lease > now}
        for held in self.outbox.values():
            if len(found) == most:
                break
            cancel = held.row.cancel and held.status == "taken" and not held.cancel_told
            free = held.status == "new" or (held.status == "claimed" and held.lease <= now)
            if cancel or (free and (not held.row.customer or held.row.customer not in busy)):
                held.cancel_told |= held.row.cancel
                held.status, held.lease = "claimed", now + LEASE
                found.append(held.row)
        return found

    async def ack(self, results: Sequence[Result]) -> None:
        """See ``model.source.Source``."""
        self._begin("ack")
        self.acks.append(tuple(results))
        for result in results:
            identity = result.key, result.version
            held = self.outbox.get(identity)
            if held is not None and result.state in {"taken", "refused", "returned"}:
                held.status = "new" if result.state == "returned" else result.state
                held.cancel_told &= result.state != "returned"
            before = self.results.get(identity)
            if result.state != "returned" and (before is None or before.sequence <= result.sequence):
                self.results[identity] = result

    async def wait(self, most: float) -> bool:
        """See ``model.source.Source``."""
        self.calls["wait"] += 1
        if not self._announces:
            await asyncio.sleep(most)
            return False
        try:
            await asyncio.wait_for(self._news.wait(), most)
        except TimeoutError:
            return False
        self._news.clear()
        return True

    async def call(self, name: str, arguments: Mapping[str, object], limit: float) -> Sequence[Mapping[str, object]]:
        """See ``model.source.Source``."""
        self._begin("call")
        return self.answers[name]

    async def lag(self) -> Lag:
        """See ``model.source.Source``."""
        self._begin("lag")
        waiting = sum(held.status == "new" for held in self.outbox.values())
        return Lag(waiting=waiting, oldest=0.0, clock_difference=0.0)

    async def survey(self) -> Sequence[Problem]:
        """See ``model.source.Source``."""
        self._begin("survey")
        return self.problems

    async def rewind(self, since: float, dry_run: bool) -> tuple[int, int]:
        """See ``model.source.Source``."""
        self._begin("rewind")
        again, final = 0, 0
        for identity, held in self.outbox.items():
            if held.row.created < since:
                continue
            result = self.results.get(identity)
            if result is not None and result.state in FINAL:
                final += 1
                continue
            again += 1
            if not dry_run:
                held.status = "new"
        return again, final

    async def written(self, begin: float, end: float, after: str, most: int) -> Sequence[Count]:
        """See ``model.source.Source``."""
        self._begin("written")
        found = [held for held in self.outbox.values() if begin <= held.row.created < end and held.row.key > after]
        found.sort(key=lambda held: held.row.key)
        return [
            Count(
                key=held.row.key,
                version=held.row.version,
                created=held.row.created,
                final="refused" if held.status == "refused" else self._last_word(held.row),
            )
            for held in found[:most]
        ]

    def _last_word(self, row: Row) -> str:
        result = self.results.get((row.key, row.version))
        return result.state if result is not None and result.state in FINAL else ""

    async def close(self) -> None:
        """See ``model.source.Source``."""
        self.closed = True

    def _begin(self, verb: str) -> None:
        self.calls[verb] += 1
        if self.closed:
            raise SourceError("unreachable", "the source is closed", "")
        waiting = self._failing.get(verb)
        if waiting:
            raise waiting.pop(0)
