"""The guards of an instance: built by its configuration, with a memory that outlives the process.

Every five minutes, and at the end, what is counted goes into one file beside the spool, written anew and then renamed.
After a kill the counts of the last minutes are missing: a few messages more may pass than a limit says. A file that is
damaged, or of another keyring, is not believed, and counting begins anew; the log says so.
"""

from __future__ import annotations

import os
import threading
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import Final

import msgspec
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mgate.config import Config
from mgate.config.guards import holidays_of
from mgate.control.guard_views import BlockedView, GuardsView, RefusedView
from mgate.intake.counts import Counts
from mgate.intake.guards import Desk, Guarded, Guards
from mgate.intake.pumping import Kept, Watch
from mgate.model.entry import Submission
from mgate.model.ports import Acceptor, Refusal
from mgate.policy.guards.pumping import HOUR, Marks
from mgate.telemetry import Alarm, Event, Log, Telemetry

EVERY: Final = 300.0
"""Seconds between two writings."""

FILE: Final = "guards"
"""The name of the file, beside the spool."""

_REMEMBERED: Final = 1_000
"""Refusals that can be asked for."""

_MOST_TOLD: Final = 20
"""Ranges and kinds of refusals that the log names within five minutes; one that is flooded says how many there were."""

_DIGEST: Final = 32


class _Head(msgspec.Struct, frozen=True):
    """The first part of the file. ``tables``: name, and octets in the file."""

    version: int
    check: int
    watch: Kept
    tables: list[tuple[str, int]]


class GuardRoom:
    """The guards of one instance, and everything around them.

    Args:
        key_of: 64 bits of a number, by the keyring.
        wall: seconds since 1970.

    Attributes:
        guards: the guards themselves.
    """

    def __init__(
        self, config: Config, key_of: Callable[[str], int], reactor: IReactorTime, wall: Callable[[], float],
        telemetry: Telemetry, log: Log,
    ) -> None:  # fmt: skip
        self._config = config
        self._reactor = reactor
        self._wall = wall
        self._telemetry = telemetry
        self._log = log
        self._check = key_of("+0")  # tells whether the file was written under this keyring
        self._path = config.spool.path.with_name(FILE)
        self._counts = Counts(config.guards.numbers)
        marks = Marks(config.guards.pumping_floor, config.guards.pumping_factor)
        self._watch = Watch(marks, wall(), self._pumped)
        self.guards = Guards(
            config.guards, config.texts, holidays_of(config.guards), self._counts, self._watch, key_of
        )  # fmt: skip
        self._refusals: deque[tuple[str, RefusedView]] = deque(maxlen=_REMEMBERED)
        self._told: Counter[tuple[str, str]] = Counter()
        self._ranges_told = 0
        self._alarmed_at = 0.0
        self._next: IDelayedCall | None = None
        self._writing: threading.Thread | None = None
        self._read()

    def guarded(self, acceptor: Acceptor, desk: Desk) -> Guarded:
        """This acceptor behind the guards."""
        return Guarded(acceptor, self.guards, desk, self._wall, self._refused)

    def duty_numbers(self) -> Sequence[str]:
        """Whom mgatectl may write to."""
        return self._config.guards.duty_numbers

    def start(self) -> None:
        """Write from time to time from now on."""
        self._next = self._reactor.callLater(EVERY, self._turn)

    def stop(self) -> None:
        """Write for the last time."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._writing is not None:
            self._writing.join()
        self._write(self._watch.put_aside())

    def apply(self, config: Config) -> None:
        """Go on by these settings."""
        self._config = config
        self.guards.apply(config.guards, config.texts, holidays_of(config.guards))

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def view(self) -> GuardsView:
        """How the watch stands, and the last refusals, newest first."""
        now = self._wall()
        blocked = tuple(
            BlockedView(name, _utc(until)) for name, until in sorted(self._watch.blocked.items()) if now < until
        )
        return GuardsView(self._watch.is_learning(now), blocked, tuple(view for _, view in reversed(self._refusals)))

    def refused_to(self, e164: str) -> GuardsView:
        """The same, of one number."""
        mine = tuple(view for to, view in reversed(self._refusals) if to == e164)
        return msgspec.structs.replace(self.view(), refused=mine)

    def release(self, name: str) -> bool:
        """Block a range no longer; False when it was not blocked."""
        return self._watch.release(name)

    # ---- what is told ----------------------------------------------------------------------------------------------

    def _refused(self, one: Submission, why: Refusal) -> None:
        at, to = _utc(self._wall()), one.to
        view = RefusedView(at, one.client, one.ref, one.traffic.word, to.mask(), why.code, why.detail)
        self._refusals.append((to.e164, view))
        kind = one.client, why.code
        self._told[kind] += 1
        if self._told[kind] == 1 and len(self._told) <= _MOST_TOLD:
            self._log(Event.GUARD_REFUSED, client=one.client, reason=why.code, status=one.traffic.word)

    def _pumped(self, name: str, codes: int, until: float) -> None:
        self._alarmed_at = self._wall()
        self._ranges_told += 1
        if self._telemetry.sound(Alarm.SMS_PUMPING, raised=True):
            self._log(Event.ALARM_RAISED, alarm=Alarm.SMS_PUMPING.value)
        if self._ranges_told <= _MOST_TOLD:
            what = f"blocked until {_utc(until)}" if until else "not blocked"
            self._log(Event.RANGE_PUMPED, detail=f"{name}: {codes} codes within an hour; {what}", count=codes)

    def _turn(self) -> None:
        self._next = self._reactor.callLater(EVERY, self._turn)
        for (client, code), count in self._told.items():
            if count > 1:
                self._log(Event.GUARD_REFUSED, client=client, reason=code, count=count)
        self._told.clear()
        self._ranges_told = 0
        now = self._wall()
        over = now - self._alarmed_at > HOUR and not any(now < until for until in self._watch.blocked.values())
        if over and self._telemetry.sound(Alarm.SMS_PUMPING, raised=False):
            self._log(Event.ALARM_CLEARED, alarm=Alarm.SMS_PUMPING.value)
        if self._writing is None or not self._writing.is_alive():
            kept = self._watch.put_aside()
            # A stalled disk keeps whoever writes to it.
            self._writing = threading.Thread(target=self._write, args=(kept,), name="mgate-guards", daemon=True)
            self._writing.start()

    # ---- the file --------------------------------------------------------------------------------------------------

    def _write(self, watch: Kept) -> None:
        new = self._path.with_suffix(".new")
        tables = [(name, zlib.compress(octets, 1)) for name, octets in self._counts.dump()]
        head = msgspec.json.encode(_Head(1, self._check, watch, [(name, len(octets)) for name, octets in tables]))
        try:
            with open(new, "wb", opener=_private) as file:  # Path.open knows no opener
                digest = blake2b(digest_size=_DIGEST)
                for piece in (head + b"\n", *(octets for _, octets in tables)):
                    digest.update(piece)
                    file.write(piece)
                file.write(digest.digest())
            new.replace(self._path)
        except OSError as error:
            self._log(Event.GUARDS_NOT_KEPT, path=str(self._path), reason=error.strerror or str(error))

    def _read(self) -> None:
        try:
            kept = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            self._log(Event.GUARDS_NOT_KEPT, path=str(self._path), reason=error.strerror or str(error))
            return
        content, digest = kept[:-_DIGEST], kept[-_DIGEST:]
        if blake2b(content, digest_size=_DIGEST).digest() != digest:
            self._log(Event.GUARDS_NOT_KEPT, path=str(self._path), reason="damaged; counting begins anew")
            return
        line, _, rest = content.partition(b"\n")
        try:
            head = msgspec.json.decode(line, type=_Head)
        except msgspec.MsgspecError:
            self._log(Event.GUARDS_NOT_KEPT, path=str(self._path), reason="of another version; counting begins anew")
            return
        if head.check != self._check:
            self._log(Event.GUARDS_NOT_KEPT, path=str(self._path), reason="of another keyring; counting begins anew")
            return
        self._watch.go_on(head.watch, self._wall())
        left_out = self._counts.load(_tables(head, rest))
        if left_out:
            reason = f"{', '.join(left_out)}: other settings now; counted anew"
            self._log(Event.GUARDS_NOT_KEPT, path=str(self._path), reason=reason)


def _tables(head: _Head, rest: bytes) -> Iterator[tuple[str, bytes]]:
    begin = 0
    for name, size in head.tables:
        yield name, zlib.decompress(rest[begin : begin + size])
        begin += size


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _utc(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
